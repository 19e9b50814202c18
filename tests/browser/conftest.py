"""What the browser tests need from the machine."""

from __future__ import annotations

import os

import pytest

from tests.browser.lab import chromium

MISSING = "no Chromium here; on Debian or Ubuntu: apt-get install chromium (or set CHROMIUM to its path)"


@pytest.fixture(scope="session", autouse=True)
def browser() -> str:
    """Path of the browser. Without one the tests are skipped, but never where CI is set."""
    path = chromium()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    return str(path)
