"""The Makefile's promises about installing, with a stand-in for Python that notes its calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# "-m venv DIR" makes DIR/bin/python, a copy of itself; with a file `broken` beside it, pip fails.
STAND_IN = """#!/bin/sh
here="{folder}"
echo "$@" >> "$here/calls"
case "$*" in
  --version) echo "Python 3.9.1" ;;
  "-c "*) [ ! -e "$here/old" ] ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$here/python" "$3/bin/python" ;;
  "-m pip "*) [ ! -e "$here/broken" ] ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(STAND_IN.format(folder=tmp_path), encoding="utf-8")
    python.chmod(0o755)
    return tmp_path


def make(folder: Path, *goals: str) -> tuple[int, str]:
    command = ["make", f"PYTHON={folder / 'python'}", *goals]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def calls(folder: Path) -> list[str]:
    lines = (folder / "calls").read_text(encoding="utf-8").splitlines()
    (folder / "calls").write_text("", encoding="utf-8")
    return lines


def test_second_call_installs_nothing(folder: Path) -> None:
    assert make(folder, "lab")[0] == 0
    assert any("pip install" in call and "requirements.lock" in call for call in calls(folder))
    assert make(folder, "lab")[0] == 0
    assert calls(folder) == ["-m value_nb.lab"]


def test_a_changed_lock_installs_again(folder: Path) -> None:
    make(folder, "lab")
    calls(folder)
    stamp = folder / ".venv" / ".installed"
    lock = folder / "requirements.lock"
    later = stamp.stat().st_mtime + 10
    os.utime(lock, (later, later))
    make(folder, "lab")
    assert any("pip install" in call for call in calls(folder))


def test_an_interrupted_install_starts_again(folder: Path) -> None:
    (folder / "broken").touch()
    assert make(folder, "lab")[0] != 0
    assert not (folder / ".venv" / ".installed").exists()
    assert "-m value_nb.lab" not in calls(folder)
    (folder / "broken").unlink()
    assert make(folder, "lab")[0] == 0
    assert any("pip install" in call for call in calls(folder))


def test_an_old_python_is_named(folder: Path) -> None:
    (folder / "old").touch()
    code, said = make(folder, "test")
    assert code != 0
    assert "Python 3.11 or newer is needed" in said
    assert "is: Python 3.9.1" in said
    assert "PYTHON=/path/to/python3.11 test" in said


def test_the_miniature_goes_where_it_is_told(folder: Path) -> None:
    make(folder, "mini", "FAST=1", "MINI_OUT=build/fast")
    assert calls(folder)[-1] == "-m data.build.make_mini --fast --out build/fast"
    make(folder, "mini")
    assert calls(folder)[-1] == "-m data.build.make_mini --out data/mini"


def test_help_is_the_default_and_names_every_goal(folder: Path) -> None:
    code, said = make(folder)
    assert code == 0
    goals = "lab app test check figures mini lock clean test-browser stress help"
    for goal in goals.split():
        assert f"make {goal} " in said
    assert not (folder / "calls").exists()
