from __future__ import annotations

from pathlib import Path

import pytest

from value_nb.data import paths


def test_environment_variable_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path))
    assert paths.bundled_root() == tmp_path


def test_without_it_the_checkout_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALUE_NB_DATA", raising=False)
    assert paths.bundled_root() == Path(paths.__file__).resolve().parents[2] / "data"


def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"VALUE_NB_DATA is .*nowhere.*not a folder.*mini/.*unset"):
        paths.bundled_root()


def test_an_installation_without_data_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALUE_NB_DATA", raising=False)
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "a" / "b" / "paths.py"))
    with pytest.raises(FileNotFoundError, match=r"ship with the repository.*VALUE_NB_DATA"):
        paths.bundled_root()


def test_find_image_takes_the_first_folder_and_no_path(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "7.webp").write_bytes(b"")
    (tmp_path / "7.png").write_bytes(b"")
    assert paths.find_image([tmp_path / "a", tmp_path / "b", tmp_path], "7") == tmp_path / "b" / "7.webp"
    assert paths.find_image([tmp_path], "8") is None
    assert paths.find_image([tmp_path / "b"], "../7") is None
    assert paths.find_image([tmp_path], "") is None
