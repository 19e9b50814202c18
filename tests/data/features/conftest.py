"""Conversions in tests need not outlive a power cut: no waiting for the disk."""

from __future__ import annotations

import pytest

from value_nb.data.features import part_file


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_file, "SYNCHRONOUS", "off")
