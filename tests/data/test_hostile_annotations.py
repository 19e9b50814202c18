"""Broken and hostile annotation files: every one gives the documented error or a reported record."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_model
from value_nb.data import flickr30k_boxes, flickr30k_entities
from value_nb.data.flickr30k_boxes import read_annotations
from value_nb.data.flickr30k_entities import (
    load_flickr30k_entities,
    read_sentences,
    read_split,
    read_unrelated,
)
from value_nb.data.flickr30k_sentences import parse_sentence
from value_nb.data.json_stream import stream_objects
from value_nb.data.problems import DataFormatError, ProblemReport
from value_nb.data.senteval import load_senteval, parse_line
from value_nb.data.visual_genome import load_visual_genome, split_ids

from .conftest import vg_object, vg_region, vg_relation, xml_file, xml_object
from .real_layouts import detected, write_lxmert_tsv

MakeRoot = Callable[..., Path]
GENTLE = settings(derandomize=True, max_examples=150, deadline=None)
FEW = settings(derandomize=True, max_examples=40, deadline=None)


def scratch(name: str, data: bytes) -> Path:
    """A file in a folder of its own, which goes with the test run."""
    path = Path(tempfile.mkdtemp(dir=scratch.base)) / name  # type: ignore[attr-defined]
    path.write_bytes(data)
    return path


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    scratch.base = tmp_path_factory.mktemp("hostile")  # type: ignore[attr-defined]


# --- XML -------------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{k + 1} "{f"&l{k};" * 10}">' for k in range(9))
BOMBS = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotation>&l9;</annotation>',
    "quadratic": f'<!DOCTYPE a [<!ENTITY l "{"x" * 100_000}">]><annotation>{"&l;" * 1000}</annotation>',
    "external file": '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><annotation>&e;</annotation>',
    "external address": '<!DOCTYPE a [<!ENTITY e SYSTEM "http://127.0.0.1:9/">]><annotation>&e;</annotation>',
    "parameter": '<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p;]><annotation/>',
    "undefined": "<annotation>&nothing;</annotation>",
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_entities_are_never_expanded(name: str) -> None:
    problems = ProblemReport()
    assert read_annotations(scratch("1.xml", BOMBS[name].encode()), problems) is None
    assert problems.skipped == {"unreadable XML": 1}
    assert "Forbidden" in repr(problems) or "undefined entity" in repr(problems)


def test_deep_xml_is_no_crash() -> None:
    deep = "<a>" * 50_000 + "</a>" * 50_000
    notes = read_annotations(scratch("1.xml", xml_file(deep).encode()), ProblemReport())
    assert notes is None or notes.boxes == ()


def test_other_encodings_of_xml_are_read() -> None:
    text = xml_file(xml_object("5", box=(1, 1, 10, 10)))
    for encoding in ("utf-8-sig", "utf-16"):
        notes = read_annotations(scratch("1.xml", text.encode(encoding)), ProblemReport())
        assert notes is not None and notes.chains == (("5",),)


@FEW
@given(st.data())
def test_xml_cut_or_changed_anywhere(data: st.DataObject) -> None:
    whole = xml_file(
        xml_object("5", "6", box=(1, 1, 10, 10)), xml_object("7", extra="<scene>1</scene>")
    ).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(
        st.sampled_from([whole[:at], whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :]])
    )
    path, problems = scratch("1.xml", changed), ProblemReport()
    notes = read_annotations(path, problems)
    if changed == whole[:at]:
        assert notes is None, "a part of a file is never taken for the whole"
    if notes is None:
        assert len(problems) == 1 and str(path) in repr(problems)
        with pytest.raises(DataFormatError):
            read_annotations(path, ProblemReport(strict=True))


@FEW
@given(st.binary(max_size=200))
def test_any_bytes_as_xml(content: bytes) -> None:
    problems = ProblemReport()
    assert read_annotations(scratch("1.xml", content), problems) is None and len(problems) == 1


PIXELS = st.tuples(st.integers(1, 100), st.integers(1, 50), st.integers(1, 100), st.integers(1, 50)).filter(
    lambda box: box[0] <= box[2] and box[1] <= box[3]
)


@FEW
@given(st.lists(st.tuples(st.integers(1, 9), PIXELS), max_size=6))
def test_boxes_written_as_pixels_come_back_exactly(objects: list[tuple[int, tuple[int, ...]]]) -> None:
    text = xml_file(*(xml_object(str(chain), box=box) for chain, box in objects))
    problems = ProblemReport()
    notes = read_annotations(scratch("1.xml", text.encode()), problems)
    assert notes is not None and not problems
    found = [
        (int(chain), (round(x1 * 100) + 1, round(y1 * 50) + 1, round(x2 * 100), round(y2 * 50)))
        for (x1, y1, x2, y2), chains in zip(notes.boxes, notes.chains, strict=True)
        for chain in chains
    ]
    assert sorted(found) == sorted(set(objects))


@pytest.mark.parametrize("value", ["1e400", "nan", "-inf", "9" * 5000, "1" + "0" * 300, "0x10", "", " 7 "])
def test_odd_numbers_in_xml(value: str) -> None:
    for text in (xml_file(width=value), xml_file(xml_object("5", box=(value, 1, 10, 10)))):
        read_annotations(scratch("1.xml", text.encode()), ProblemReport())


def test_what_is_no_file_is_said(flickr_root: MakeRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    root = flickr_root({str(k): "a man\n" for k in (1, 2, 3, 4)}, {str(k): xml_file() for k in (1, 2, 3, 4)})
    (root / "Annotations" / "1.xml").unlink()
    (root / "Annotations" / "1.xml").mkdir()
    (root / "Sentences" / "2.txt").unlink()
    (root / "Sentences" / "2.txt").mkdir()
    (root / "Sentences" / "3.txt").write_text("a dog " * 1000)
    for module in (flickr30k_boxes, flickr30k_entities):
        monkeypatch.setattr(module, "LARGEST_FILE", 1000)
    data = load_flickr30k_entities(root)
    assert [e.image_id for e in data] == ["4"]
    assert data.problems.skipped == {"no annotation file": 1, "no sentence file": 1, "too large a file": 1}


def test_linked_files_are_read_and_ids_are_no_paths(flickr_root: MakeRoot, tmp_path: Path) -> None:
    """A data set may be linked from another disk; a split file cannot lead anywhere else."""
    root = flickr_root({"1": "a man\n"}, {"1": xml_file()}, split="1\n../1\n/etc/hostname\n1/../1\n１\n")
    elsewhere = tmp_path / "elsewhere.txt"
    (root / "Sentences" / "1.txt").rename(elsewhere)
    (root / "Sentences" / "1.txt").symlink_to(elsewhere)
    data = load_flickr30k_entities(root)
    assert [e.id for e in data] == ["1#1"]
    assert data.problems.skipped == {"bad image id": 4}


# --- sentences -------------------------------------------------------------------------------------------

SCRIPTS = {
    "right to left": ("\u05d0\u05d9\u05e9 \u202b\u0631\u062c\u0644\u202c .", 3),
    "emoji": ("A \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd", 3),
    "combining": ("cafe\u0301 \u0301 a\u0300\u0301\u0302", 3),
    "NUL": ("a\0b \0 c", 3),
    "zero width": ("\u200b a \ufeff", 3),
    "control": ("a\x07b \x7f", 2),
    "no-break space parts words": ("a\u00a0b", 2),
}


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_words_of_every_script_are_kept_as_they_are(name: str, flickr_root: MakeRoot, tmp_path: Path) -> None:
    text, n = SCRIPTS[name]
    line = f"{text} [/EN#5/people {text.split()[0]}]\n"
    root = flickr_root({"1": line}, {"1": xml_file(xml_object("5", box=(1, 1, 50, 25)))})
    (caption,) = load_flickr30k_entities(root, strict=True)
    assert caption.words == (*text.split(), text.split()[0]) and len(caption.words) == n + 1
    assert [(p.first, p.last) for p in caption.phrases] == [(n, n)]
    path = tmp_path / "x.txt"
    path.write_text(f"tr\tA\t{text}\n", "utf-8")
    assert load_senteval(path, "train", strict=True)[0].words == tuple(text.split())


def test_bytes_at_the_start_and_ends_of_lines(flickr_root: MakeRoot) -> None:
    line = "[/EN#5/people A man] runs ."
    root = flickr_root({"1": ""}, {"1": xml_file()})
    for content in (f"\ufeff{line}\r\n{line}\r\n", f"{line}\n\n \t\n{line}", f"{line}\x85\n{line}\u2028\n"):
        (root / "Sentences" / "1.txt").write_bytes(content.encode())
        data = load_flickr30k_entities(root, strict=True)
        assert [(e.id, e.caption) for e in data] == [("1#1", "A man runs ."), ("1#2", "A man runs .")]


def test_a_line_of_a_megabyte() -> None:
    line = "[/EN#5/people " + "man " * 250_000 + "end] ."
    found = parse_sentence(line, ProblemReport().at("a", ""))
    assert len(found.words) == 250_002 and found.phrases[0].last == 250_000
    assert len(parse_sentence("[/EN#5/people " * 70_000, ProblemReport().at("a", "")).words) == 0
    path = scratch("x.txt", b"tr\tA\t" + b"man " * 250_000)
    assert len(load_senteval(path, "train")[0].words) == 250_000


@GENTLE
@given(st.text(max_size=80))
@example("[/EN#4 word] [/EN#5/people/ x] [[/EN#6/people y]] [/EN#7/people [/EN#8/other z]]")
@example("[/EN#9/people a]b] ] [ [/EN#/] [/EN#10/people//other c]")
def test_any_line_is_a_sentence(line: str) -> None:
    report = ProblemReport()
    found = parse_sentence(line, report.at("a.txt", "line 1"))
    assert all(0 <= p.first <= p.last < len(found.words) for p in found.phrases)
    assert all(word and word.split() == [word] for word in found.words)


@FEW
@given(st.binary(max_size=120))
def test_any_bytes_as_a_text_file(content: bytes) -> None:
    path = scratch("1.txt", content)
    read_sentences(path, ProblemReport())
    assert all(image_id.isdigit() for image_id in read_split(path, ProblemReport()))
    assert all(number >= 1 for _, number in read_unrelated(path, ProblemReport()))


FIELD = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=6)


@FEW
@given(st.sampled_from(["tr", "va", "te"]), FIELD, st.lists(FIELD, max_size=2), st.lists(FIELD, min_size=1))
def test_lines_of_senteval_come_back_exactly(
    part: str, label: str, between: list[str], words: list[str]
) -> None:
    report = ProblemReport()
    line = "\t".join([part, label, *between, " ".join(words)]) + "\n"
    assert parse_line(line, report.at("a", "")) == (
        {"tr": "train", "va": "val", "te": "test"}[part], label, tuple(words)
    )  # fmt: skip
    assert not report


@FEW
@given(st.binary(max_size=120))
def test_any_bytes_as_a_probing_file(content: bytes) -> None:
    path = scratch("x.txt", content)
    try:
        load_senteval(path)
    except DataFormatError as error:
        assert str(path) in str(error)


def test_a_sentence_that_occurs_twice_is_two_examples(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbftr\tA\ta b\r\ntr\tA\ta b\r\ntr\tB\ta b")
    data = load_senteval(tmp_path / "x.txt", "train", strict=True)
    assert [(e.id, e.label, e.caption) for e in data] == [
        ("x#1", "A", "a b"), ("x#2", "A", "a b"), ("x#3", "B", "a b")
    ]  # fmt: skip


# --- what reaches a model --------------------------------------------------------------------------------


@pytest.fixture
def captions(flickr_root: MakeRoot, tmp_path: Path) -> Callable[[str], Any]:
    """One caption of a picture with features, as a data set."""

    def load(caption: str) -> Any:
        root = flickr_root({"17": caption}, {"17": xml_file(width=200, height=100)})
        return load_flickr30k_entities(root, regions=write_lxmert_tsv(tmp_path / "a.tsv", [17]))

    return load


def test_a_caption_longer_than_the_model_is_its_error_and_is_never_cut(
    captions: Callable[[str], Any],
) -> None:
    (long,) = captions("man " * 40)
    assert len(long.words) == 40
    with pytest.raises(ValueError, match=r"24"):
        tiny_model("uniter", layers=1).trace(long)


def test_captions_without_words_never_reach_a_model(captions: Callable[[str], Any]) -> None:
    data = captions(" \n[/EN#5/people ]\n\u2003\n")
    assert len(data) == 0 and data.problems.skipped == {"unreadable phrase": 1, "caption without words": 1}


def test_words_of_which_no_piece_is_left_keep_their_place(captions: Callable[[str], Any]) -> None:
    (example,) = captions("man \0 \u0301 \u200b dog\n")
    assert len(example.words) == 5
    trace = tiny_model("uniter", layers=1).trace(example)
    attention = trace.attention("text->image", layer=1, head=0)
    assert attention.shape[0] == 5 and np.isfinite(attention.to_numpy()).all()
    assert attention.shape[1] in (len(detected(17)[0]), len(detected(17)[0]) + 1)


# --- JSON ------------------------------------------------------------------------------------------------

RECORDS = [
    {"image_id": 1, "objects": [{"object_id": 5, "names": ["d\u00f6g", "\U0001f415"], "x": -1.5e3}]},
    {},
]
TEXT = json.dumps(RECORDS, ensure_ascii=False).encode()


def test_json_cut_at_any_byte_is_an_error_that_names_the_file() -> None:
    path = scratch("objects.json", b"")
    for end in range(len(TEXT)):
        path.write_bytes(TEXT[:end])
        with pytest.raises(DataFormatError, match=r"objects\.json"):
            list(stream_objects(path))
    path.write_bytes(TEXT)
    assert list(stream_objects(path)) == RECORDS


def test_a_zip_cut_at_any_byte_is_an_error_that_names_the_file() -> None:
    path = scratch("objects.json.zip", b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("objects.json", TEXT)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(DataFormatError, match=r"objects\.json\.zip"):
            list(stream_objects(path))


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '[{"a":' + "[" * 200_000, '[{"a":' + '{"a":' * 100_000, '[{"a": ' + "9" * 5000 + "}]"],
)
def test_deep_or_huge_json_is_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(DataFormatError, match=r"a\.json"):
        list(stream_objects(scratch("a.json", text.encode())))
    with pytest.raises(DataFormatError, match=r"splits\.json.*cannot be used"):
        path = scratch("splits.json", text.encode())
        split_ids(path.parent, "test", [])


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), st.text(max_size=4),
    st.sampled_from(["1", "\ud800", "ON", "A man.", "\u0660", "9" * 5000]),
    st.lists(st.integers(-3, 3), max_size=2), st.builds(dict),
)  # fmt: skip
KEYS = (
    "id", "image_id", "object_id", "region_id", "names", "name", "object_names", "x", "y", "w", "h", "width",
    "height", "predicate", "subject", "object", "phrase", "objects", "relationships", "regions", "coco_id",
    "merged_object_ids",
)  # fmt: skip
ANY_RECORD = st.dictionaries(st.sampled_from(KEYS), ODD | st.lists(ODD, max_size=2), max_size=6)


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Good files of Visual Genome in which some records, at any level, have odd values or too few keys."""

    def spoil(record: dict[str, Any]) -> dict[str, Any]:
        return record | draw(ANY_RECORD) if draw(st.booleans()) else record

    man, dog = (spoil(vg_object(k, 10 * k, 0, 9, 9, "man", merged_object_ids=[9])) for k in (1, 2))
    relation = spoil(vg_relation(spoil(man), "on", spoil(dog)))
    return {
        "image_data": [spoil({"image_id": 1, "width": 100, "height": 50, "coco_id": None})],
        "objects": [spoil({"image_id": 1, "objects": [man, dog]})],
        "relationships": [spoil({"image_id": 1, "relationships": [relation]})],
        "region_descriptions": [spoil({"id": 1, "regions": [spoil(vg_region(7, "A man."))]})],
        "splits": {"train": [], "val": [], "test": [1]},  # type: ignore[dict-item]
    }


@settings(derandomize=True, max_examples=100, deadline=None)
@given(spoilt(), st.booleans(), st.booleans())
def test_odd_records_are_left_out_and_said(files: dict[str, Any], strict: bool, exclude_coco: bool) -> None:
    root = scratch("x", b"").parent
    for name, content in files.items():
        (root / f"{name}.json").write_text(json.dumps(content), "utf-8")
    try:
        data = load_visual_genome(root, strict=strict, exclude_coco=exclude_coco)
    except DataFormatError as error:
        assert str(root) in str(error)
        return
    repr(data.problems)
    for found in data:
        found.caption.encode()
        assert found.regions is not None and ((found.regions.boxes >= 0) & (found.regions.boxes <= 1)).all()
        for relation in found.relations:
            assert relation.subject != relation.object and relation.predicate
            assert max(relation.subject, relation.object) < len(found.regions)
