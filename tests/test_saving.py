"""Saved views: which files, that none is overwritten, and that a failure leaves none behind."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from value_nb import saving
from value_nb.saving import caption_text, plain_name, save_view

ENDINGS = [".svg", ".pdf", ".png", ".csv", ".txt"]
TABLE = pd.DataFrame({"layer": [1]})
FACTS = {"model": "mini-uniter", "n_images": "8"}


@pytest.fixture(scope="module")
def figure() -> Figure:
    made = Figure(figsize=(2, 1))
    made.add_subplot().set_title("one title")
    return made


def save(figure: Figure, folder: Path, name: str = "a") -> tuple[Path, ...]:
    return save_view(figure, TABLE, FACTS, "A sentence.", folder, name)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {"svg": b"s", "pdf": b"d", "png": b"p"}
    monkeypatch.setattr(saving, "figure_bytes", lambda figure, dpi: drawn)


def test_five_files_and_the_same_bytes_again(figure: Figure, tmp_path: Path) -> None:
    first, second = save(figure, tmp_path / "new" / "folder"), save(figure, tmp_path)
    assert [path.suffix for path in first] == ENDINGS
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"one title</text>" in first[0].read_bytes()
    assert first[3].read_text() == "layer\n1\n"
    assert first[4].read_text() == "A sentence.\n\nmodel: mini-uniter\nn images: 8\n"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(
        p.name for p in second
    )


def test_nothing_is_overwritten(quick: None, figure: Figure, tmp_path: Path) -> None:
    (tmp_path / "a-2.png").write_text("mine")
    assert [save(figure, tmp_path)[0].stem for _ in range(3)] == ["a", "a-3", "a-4"]
    assert (tmp_path / "a-2.png").read_text() == "mine"


def test_two_at_a_time_get_names_of_their_own(quick: None, figure: Figure, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stems = [files[0].stem for files in pool.map(lambda _: save(figure, tmp_path), range(24))]
    assert len(set(stems)) == 24
    assert len(list(tmp_path.iterdir())) == 24 * len(ENDINGS)


def test_a_name_taken_in_between_is_left_alone(
    quick: None, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.link

    def slow(source: Any, target: Any) -> None:
        if Path(target).name == "a.csv":
            Path(target).write_text("theirs")
        original(source, target)

    monkeypatch.setattr(os, "link", slow)
    assert save(figure, tmp_path)[0].stem == "a-2"
    assert (tmp_path / "a.csv").read_text() == "theirs"
    assert {path.name for path in tmp_path.glob("a.*")} == {"a.csv"}


@pytest.mark.parametrize("name", ["csv", "txt"])
def test_a_full_disk_leaves_no_file(
    quick: None, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = os.link

    def full(source: Any, target: Any) -> None:
        if str(target).endswith(name):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(source, target)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        save(figure, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_links(
    quick: None, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(source: Any, target: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    assert [save(figure, tmp_path)[0].stem for _ in range(2)] == ["a", "a-2"]
    assert len(list(tmp_path.iterdir())) == 2 * len(ENDINGS)
    assert (tmp_path / "a.png").read_bytes() == b"p"


def test_files_are_readable_as_the_reader_has_it(quick: None, figure: Figure, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert save(figure, tmp_path)[0].stat().st_mode == plain.stat().st_mode


def test_no_table_no_csv(quick: None, figure: Figure, tmp_path: Path) -> None:
    written = save_view(figure, None, FACTS, "", tmp_path, "a")
    assert [path.suffix for path in written] == [".svg", ".pdf", ".png", ".txt"]


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a b"])
def test_names_are_plain(name: str, figure: Figure, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no plain name; use letters, digits"):
        save(figure, tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_names_from_panels_and_models() -> None:
    assert plain_name("FusionPanel", "mini-uniter") == "fusion_panel-mini-uniter"
    assert plain_name("AttentionPanel", "../x <b>") == "attention_panel-x-b"
    assert plain_name("") == "view"


def test_a_caption_is_plain_text() -> None:
    assert caption_text("<b>", {}) == "<b>\n\n"
