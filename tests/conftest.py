"""Fixtures of tests in more than one file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from value_nb.cache.store import OFF, VARIABLE, Store

# Tests, and the kernels and processes that they start, compute everything; those of the cache ask for one.
os.environ[VARIABLE] = OFF


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A result cache in a folder of its own, in use from here on."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return Store(tmp_path / "cache")


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The class of every panel that draws, from here on."""
    from tests.panels import spy_on_draws

    return spy_on_draws(monkeypatch)
