"""An empty cache of the hub, so that no test sees what the machine's user has fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the hub's cache."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def cached(hub: Path) -> Callable[[str], Path]:
    """Make the empty snapshot of a repository in the cache, as the hub's library lays it out."""

    def make(repository: str) -> Path:
        root = hub / f"models--{repository.replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text("abc123")
        snapshot = root / "snapshots" / "abc123"
        snapshot.mkdir(parents=True)
        return snapshot

    return make
