"""Small manifests for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from value_nb.getting.manifest import Manifest, load_manifest
from value_nb.getting.wire import Wire

QUICK = Wire(timeout=0.5, attempts=3, pause=0.001)


def item(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An item of the folder "things"."""
    texts = {
        "title": "A thing",
        "source": "https://example.org",
        "licence": "see the source",
        "citation": "A 2020",
    }
    return {"kind": "data", "folder": "things", **texts, "parts": list(parts), **more}


def part(*urls: str, name: str = "file", **more: Any) -> dict[str, Any]:
    """A part that is a plain file, or what `more` says."""
    form = {} if {"take", "files"} & more.keys() else {"to": "file.bin"}
    return {"name": name, "from": [{"kind": "http", "url": url} for url in urls], **form, **more}


def manifest(folder: Path, **items: dict[str, Any]) -> Manifest:
    """The manifest of these items, through a file."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({"version": 1, "items": items}))
    return load_manifest(path)
