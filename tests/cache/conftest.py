"""Tests of the cache go on while somebody edits the kit; what is refused then has a test of its own."""

from __future__ import annotations

import math

import pytest

from value_nb.cache import sources


@pytest.fixture(autouse=True)
def _edits_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_loaded_at", math.inf)
