"""How JupyterLab is launched: the flags for a desktop, for no display and for root."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from value_nb import lab


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "/usr/bin/firefox"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"SSH_CONNECTION": "192.0.2.1"}, "darwin", False),
    ],
)
def test_display(environ: dict[str, str], platform: str, expected: bool) -> None:
    assert lab.has_display(environ, platform) is expected


def test_command_keeps_the_token_and_listens_on_this_machine_only() -> None:
    command = lab.launch_command(lab.START, root=Path("/kit"), display=True, superuser=False)
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--ip=127.0.0.1" in command
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command
    assert "--ServerApp.root_dir=/kit" in command
    assert not [flag for flag in command if "token" in flag or "password" in flag]
    assert "--no-browser" not in command
    assert "--allow-root" not in command


def test_no_display_and_root_are_flags_and_words() -> None:
    command = lab.launch_command(lab.START, display=False, superuser=True)
    assert {"--no-browser", "--allow-root"} <= set(command)
    said = lab.explain(display=False, superuser=True)
    assert "no display" in said
    assert "You are root" in said
    assert "root" not in lab.explain(display=True, superuser=False)


def test_news_and_extension_look_ups_are_off_in_front_of_other_configuration() -> None:
    off = json.loads((lab.QUIET / "labconfig" / "page_config.json").read_text(encoding="utf-8"))
    assert off["disabledExtensions"] == {
        "@jupyterlab/apputils-extension:announcements": True,
        "@jupyterlab/extensionmanager-extension:plugin": True,
    }
    environ = {"JUPYTER_CONFIG_PATH": "/mine", "HOME": "/home/me"}
    quiet = lab.launch_environ(environ)
    assert quiet["JUPYTER_CONFIG_PATH"].startswith(str(lab.QUIET))
    assert quiet["JUPYTER_CONFIG_PATH"].endswith("/mine")
    assert quiet["HOME"] == "/home/me"
    assert environ == {"JUPYTER_CONFIG_PATH": "/mine", "HOME": "/home/me"}


def test_notebook_is_found_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").touch()
    assert lab.find_notebook(Path("notebooks/01_a.ipynb"), tmp_path) == Path("notebooks/01_a.ipynb")
    with pytest.raises(ValueError, match=r"no notebook at .*02_b.ipynb; the notebooks here are: 01_a.ipynb"):
        lab.find_notebook(Path("notebooks/02_b.ipynb"), tmp_path)
    with pytest.raises(ValueError, match="lies outside"):
        lab.find_notebook(Path("../x.ipynb"), tmp_path)


def test_main_hands_extra_flags_to_jupyterlab(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(lab, "find_notebook", lambda notebook: notebook)
    monkeypatch.setattr(lab, "run", lambda command, environ: seen.extend(command) or 0)
    assert lab.main(["notebooks/01_a.ipynb", "--no-browser", "--port=9000"]) == 0
    assert seen[-1] == "--port=9000"
    assert "--LabApp.default_url=/lab/tree/notebooks/01_a.ipynb" in seen
    assert "--no-browser" in seen
    assert "127.0.0.1" in capsys.readouterr().out


def test_main_says_which_notebook_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lab.main(["notebooks/none.ipynb"])
    assert "no notebook at" in capsys.readouterr().err
