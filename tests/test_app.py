"""The command that serves the series as pages, and that those pages need nothing from another machine."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from value_nb import app
from value_nb.widgets import Choices, ModelChoices
from value_nb.widgets.choices import ADVICE, ADVICE_APP

PAGES = app.TEMPLATES / "voila" / "templates" / app.TEMPLATE


def test_only_this_machine_with_a_token_and_without_sources() -> None:
    command = app.app_command(Path("/kit/notebooks"), display=True)
    assert command[:4] == [sys.executable, "-m", "voila", "/kit/notebooks"]
    assert {"--Voila.ip=127.0.0.1", "--token", "--strip_sources=True", "--template=value_nb"} <= set(command)
    assert "--no-browser" not in command
    assert "--no-browser" in app.app_command(Path("/kit"), display=False)


def test_the_flags_are_those_that_voila_knows() -> None:
    voila = pytest.importorskip("voila.app").Voila()
    voila.parse_command_line(app.app_command(Path("/kit"), display=False)[3:])
    config = voila.config
    assert (config.Voila.ip, config.Voila.port, config.Voila.auto_token) == ("127.0.0.1", app.PORT, True)
    assert config.VoilaConfiguration.template == app.TEMPLATE
    assert voila.extra_args == ["/kit"]


def test_templates_come_before_others() -> None:
    environ = {"JUPYTER_PATH": "/mine", "HOME": "/home/me"}
    assert app.app_environ(environ)["JUPYTER_PATH"] == f"{app.TEMPLATES}{os.pathsep}/mine"
    assert app.app_environ({})["JUPYTER_PATH"] == str(app.TEMPLATES)
    assert environ == {"JUPYTER_PATH": "/mine", "HOME": "/home/me"}


def test_pages_name_no_other_machine() -> None:
    files = sorted(PAGES.iterdir())
    assert [path.name for path in files] == ["conf.json", "index.html.j2", "tree.html"]
    assert not [path.name for path in files if re.search(r"https?:|//cdn", path.read_text(encoding="utf-8"))]


def test_the_block_with_the_outside_links_is_the_one_replaced() -> None:
    """Should Voilà move its links to another block, this fails."""
    paths = pytest.importorskip("voila.paths")
    found = [Path(path) / "index.html.j2" for path in paths.collect_template_paths(["voila"], "lab")]
    text = next(path for path in found if path.is_file()).read_text(encoding="utf-8")
    block = text[text.index("block notebook_css") : text.index("endblock notebook_css")]
    assert "cdn.jsdelivr.net" in block and "https:" not in text.replace(block, "").replace(
        "https://github.com/pallets/jinja/issues/1044", ""
    )


def test_the_list_shows_numbered_notebooks_escaped() -> None:
    from jinja2 import Environment

    content = [
        {"type": "notebook", "name": "01_a<b>.ipynb", "path": "01_a<b>.ipynb"},
        {"type": "notebook", "name": "draft.ipynb", "path": "draft.ipynb"},
        {"type": "directory", "name": "02_x", "path": "02_x"},
    ]
    page = Environment().from_string((PAGES / "tree.html").read_text(encoding="utf-8"))
    text = page.render(contents={"content": content}, base_url="/", query="token=a&b")
    assert re.findall(r"<a href=.*</a>", text) == [
        '<a href="/voila/render/01_a%3Cb%3E.ipynb?token=a&amp;b">01 a&lt;b&gt;</a>'
    ]


def test_main_hands_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(app, "run", lambda command, environ: seen.extend([command, environ]) or 0)
    (tmp_path / "00_a.ipynb").touch()
    assert app.main([str(tmp_path), "--no-browser", "--port=9000", "--debug"]) == 0
    command, environ = seen
    assert "--port=9000" in command and command[-1] == "--debug" and "--no-browser" in command
    assert environ["JUPYTER_PATH"].startswith(str(app.TEMPLATES))
    assert "127.0.0.1" in capsys.readouterr().out


def test_a_folder_without_notebooks_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        app.main([str(tmp_path)])
    assert f"no numbered notebook in {tmp_path}" in capsys.readouterr().err


def test_in_a_page_choices_are_shown_and_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVER_SOFTWARE", raising=False)
    choices = Choices("mini-uniter", "mini-flickr30k", 4)
    assert ADVICE in choices.children[1].value and not choices.controls["model"].disabled
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    choices = Choices("mini-uniter", "mini-flickr30k", 4)
    assert ADVICE_APP in choices.children[1].value and ADVICE not in choices.children[1].value
    assert all(control.disabled for control in choices.controls.values())
    several = ModelChoices(["mini-uniter"])
    assert several.control.disabled and ADVICE_APP in several.children[1].value
