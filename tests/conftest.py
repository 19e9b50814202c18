"""Fixtures of tests in more than one file."""

from __future__ import annotations

import pytest


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The class of every panel that draws, from here on."""
    from tests.panels import spy_on_draws

    return spy_on_draws(monkeypatch)
