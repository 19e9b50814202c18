from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from value_nb.data import json_stream
from value_nb.data.json_stream import stream_objects
from value_nb.data.problems import DataFormatError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LISTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(LISTS, st.integers(1, 40), st.sampled_from([None, 2]), st.booleans())
def test_it_reads_what_json_reads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: Any,
    chunk: int,
    indent: int | None,
    ascii_only: bool,
) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=ascii_only), "utf-8")
    assert list(stream_objects(path)) == content


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"element 0: expected a JSON list, which begins with '\['"),
        ('{"a": 1}', "element 0: expected a JSON list"),
        ("[1]", "element 1: expected an object, which begins with '{'"),
        ('[{"a": 1}, 2]', "element 2: expected an object"),
        ('[{"a": 1}', "element 1: expected ',' or ']' after it"),
        ('[{"a": 1} {"b": 1}]', "element 1: expected ',' or ']' after it"),
        ('[{"a": 1},]', "element 1: expected another object after the ','"),
        ('[{"a": 1}, {"b": ', "element 2: it is not valid JSON, or cut short"),
        ('[{"a": 1}, {"b": "x', "element 2: it is not valid JSON, or cut short"),
        ('[{"a": oops, "and": "much more text behind it"}]', "element 1: it is not valid JSON"),
        ('[{"a": 1}] x', "element 1: expected nothing after the list's closing"),
        ("[" + '{"a":' * 100_000, "element 1: it is nested too deeply|cut short"),
    ],
)
def test_bad_json_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str, chunk: int
) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataFormatError, match=rf"a\.json, {expected}"):
        list(stream_objects(tmp_path / "a.json"))


def test_an_endless_element_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 10)
    monkeypatch.setattr(json_stream, "LARGEST_ELEMENT", 100)
    (tmp_path / "a.json").write_text('[{"a": "' + "x" * 1000 + '"}]')
    with pytest.raises(DataFormatError, match="element 1: it is longer than 100 characters"):
        list(stream_objects(tmp_path / "a.json"))


def test_bad_bytes_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"a": "\xe9"}]')
    with pytest.raises(DataFormatError, match=r"a\.json: it is not UTF-8"):
        list(stream_objects(tmp_path / "a.json"))
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf[{"a": 1}]')
    assert list(stream_objects(tmp_path / "a.json")) == [{"a": 1}]


def make_zip(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_a_zip_is_read_in_place(tmp_path: Path) -> None:
    members = {"../data/objects.json": '[{"a": 1}]', "__MACOSX/._objects.json": "x", "readme.txt": "x"}
    path = make_zip(tmp_path / "objects.json.zip", **members)
    assert list(stream_objects(path)) == [{"a": 1}]
    assert [p.name for p in tmp_path.iterdir()] == ["objects.json.zip"]


def test_bad_zips_are_said(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.json.zip", **{"a.json": "[]", "b.json": "[]"})
    with pytest.raises(
        DataFormatError, match=r"\['a.json', 'b.json'\] came; expected exactly one .json member"
    ):
        list(stream_objects(path))
    with pytest.raises(DataFormatError, match="exactly one"):
        list(stream_objects(make_zip(tmp_path / "b.json.zip")))
    (tmp_path / "c.json.zip").write_text("no zip")
    with pytest.raises(DataFormatError, match="the zip archive is damaged"):
        list(stream_objects(tmp_path / "c.json.zip"))
    path = make_zip(tmp_path / "d.json.zip", **{"d.json": json.dumps([{"a": list(range(3000))}])})
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataFormatError, match=r"the zip archive is damaged|not valid JSON|not UTF-8"):
        list(stream_objects(path))
