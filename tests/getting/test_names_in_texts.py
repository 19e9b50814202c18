"""Whatever README, docs, notebooks and messages tell a reader to fetch can be fetched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from value_nb.getting.manifest import load_manifest
from value_nb.lab import ROOT

FETCH = re.compile(r'fetch\(\\*"([^"\\{}]+)\\*"')
TEXTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "value_nb").rglob("*.py")),
    *sorted((ROOT / "value_nb").rglob("*.json")),
]
NAMED = sorted({(name, path) for path in TEXTS for name in FETCH.findall(path.read_text(encoding="utf-8"))})


def test_texts_name_some() -> None:
    assert {path.name for _, path in NAMED} >= {"README.md", "08_real_models.ipynb", "manifest.json"}


@pytest.mark.parametrize(("name", "path"), NAMED, ids=lambda value: str(getattr(value, "name", value)))
def test_it_can_be_fetched(name: str, path: Path) -> None:
    load_manifest().find(name)
