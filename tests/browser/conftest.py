"""What the browser tests need from the machine."""

from __future__ import annotations

import os

import pytest

from tests.browser import chromium


@pytest.fixture(scope="session", autouse=True)
def browser() -> str:
    """Path of the browser. Without one the tests are skipped, but never where CI is set."""
    path = chromium.find()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(chromium.HINT)
    return str(path)
