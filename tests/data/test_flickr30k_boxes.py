from __future__ import annotations

from pathlib import Path

import pytest

from value_nb.data.flickr30k_boxes import Annotations, read_annotations
from value_nb.data.problems import DataFormatError, ProblemReport

from .conftest import xml_file, xml_object


def read(tmp_path: Path, text: str) -> tuple[Annotations | None, ProblemReport]:
    (tmp_path / "1.xml").write_text(text, "utf-8")
    problems = ProblemReport()
    return read_annotations(tmp_path / "1.xml", problems), problems


def good(tmp_path: Path, *objects: str) -> tuple[Annotations, ProblemReport]:
    notes, problems = read(tmp_path, xml_file(*objects))
    assert notes is not None
    return notes, problems


def test_pixels_from_one_inclusive_become_fractions(tmp_path: Path) -> None:
    whole, pixel = xml_object("5", box=(1, 1, 100, 50)), xml_object("6", box=(100, 50, 100, 50))
    notes, problems = good(tmp_path, whole, pixel)
    assert notes.size == (100, 50)
    assert notes.boxes == ((0, 0, 1, 1), (0.99, 0.98, 1, 1))
    assert not problems


def test_several_boxes_several_names_and_one_box_in_two_objects(tmp_path: Path) -> None:
    notes, _ = good(
        tmp_path,
        xml_object("5", "7", box=(1, 1, 10, 10)),
        xml_object("5", box=(11, 1, 20, 10)),
        xml_object("8", box=(1, 1, 10, 10)),
    )
    assert notes.chains == (("5", "7", "8"), ("5",))
    assert [notes.boxes_of(chain) for chain in ("5", "7", "8", "9")] == [(0, 1), (0,), (0,), ()]


def test_flags_are_independent(tmp_path: Path) -> None:
    def flags(scene: int, no_box: int) -> str:
        return f"<scene>{scene}</scene><nobndbox>{no_box}</nobndbox>"

    notes, problems = good(
        tmp_path,
        *(xml_object(str(i), extra=flags(i // 2, i % 2)) for i in range(4)),
        xml_object("2", box=(1, 1, 10, 10)),
    )
    assert notes.scene == {"2", "3"}
    assert notes.no_box == {"1", "3"}
    assert notes.boxes_of("2") == (0,)
    assert problems.changed == {"object without box or flag": 1}


def test_boxes_outside_are_cut_and_empty_ones_dropped(tmp_path: Path) -> None:
    notes, problems = good(
        tmp_path,
        xml_object("5", box=(-10, 0, 50, 80)),
        xml_object("6", box=(101, 1, 120, 10)),
        xml_object("7", box=(20, 1, 10, 10)),
        xml_object("8", box=("a", 1, 10, 10)),
        xml_object("9", extra="<bndbox><xmin>1</xmin></bndbox>"),
        xml_object(" ", box=(1, 1, 10, 10)),
    )
    assert notes.boxes == ((0, 0, 0.5, 1),)
    assert problems.changed == {"box cut at the border": 1}
    assert problems.skipped == {"empty box": 2, "box without numbers": 2, "object without name": 1}
    texts = [str(problem) for problem in problems]
    assert any("1.xml, object 2: the box 1.000 0.000 1.200 0.200" in text for text in texts)
    assert any(
        "object 4: the corners [None, 1.0, 10.0, 10.0] came; expected four numbers" in text for text in texts
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<annotation>", r"1\.xml, the whole file: it cannot be read \(ParseError"),
        ("", "ParseError"),
        (xml_file(width=0), "size/width or size/height is not a whole number above 0"),
        (xml_file(height="tall"), "write its size in pixels"),
        ("<annotation/>", "size/width"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "cannot be read"),
        ('<!DOCTYPE a [<!ENTITY e "boo">]><annotation>&e;</annotation>', "DTDForbidden.*without entities"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "DTDForbidden"),
    ],
)
def test_unusable_files_are_said(tmp_path: Path, text: str, expected: str) -> None:
    notes, problems = read(tmp_path, text)
    assert notes is None
    assert len(problems) == 1
    with pytest.raises(DataFormatError, match=f"(?s){expected}"):
        read_annotations(tmp_path / "1.xml", ProblemReport(strict=True))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    problems = ProblemReport()
    assert read_annotations(tmp_path / "2.xml", problems) is None
    assert "2.xml, the whole file: the file is missing; expected one per picture" in repr(problems)
