from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.getting.server import Server, serving


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no variable that forbids the network; the data folder is a test's own."""
    for name in ("VALUE_NB_OFFLINE", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "root"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with serving(server):
        yield server
