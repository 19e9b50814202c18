"""How the browser is found, and what would install it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser import chromium


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    return tmp_path


def test_the_variable_comes_before_what_is_on_the_path(only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chromium.find() is None
    there = program(only, "google-chrome")
    assert chromium.find() == str(there)
    mine = program(only, "mine")
    monkeypatch.setenv("CHROMIUM", str(mine))
    assert chromium.find() == str(mine)


def test_it_is_installed_only_where_that_needs_no_password(only: Path) -> None:
    assert chromium.install_commands(superuser=True) == []
    apt = program(only, "apt-get")
    assert chromium.install_commands(superuser=False) == []
    assert [command[:2] for command in chromium.install_commands(superuser=True)] == [
        [str(apt), "update"],
        ["env", "DEBIAN_FRONTEND=noninteractive"],
    ]
    program(only, "sudo")
    assert all(command[1] == "-n" for command in chromium.install_commands(superuser=False))


def test_without_one_it_says_what_to_do(only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert os.environ["PATH"] == str(only)
    assert chromium.main() == 0
    assert "apt-get install chromium" in capsys.readouterr().out
