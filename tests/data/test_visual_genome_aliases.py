from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from value_nb.data.problems import DataFormatError, ProblemReport
from value_nb.data.visual_genome_aliases import (
    Aliases,
    clean_name,
    clean_predicate,
    load_aliases,
    parse_aliases,
)

WORDS = st.text("abc de", min_size=1, max_size=3).map(clean_name).filter(bool)
GROUPS = st.lists(st.lists(WORDS, min_size=1, max_size=4, unique=True), max_size=8)


def written(groups: list[list[str]]) -> str:
    return "".join(", ".join(group) + "\n" for group in groups)


def sg2im(groups: list[list[str]]) -> dict[str, str]:
    """The rule of sg2im: the last line wins, and nothing is followed."""
    return {item: group[0] for group in groups for item in group}


@settings(derandomize=True, max_examples=200, deadline=None)
@given(GROUPS)
def test_what_is_written_is_read(groups: list[list[str]]) -> None:
    table, overruled = parse_aliases(written(groups), clean_name)
    last = sg2im(groups)
    assert set(table) == set(last)
    for item, canonical in table.items():
        assert table[canonical] == canonical, "a canonical item stands for itself"
        steps = item
        while last[steps] != steps:  # the same as sg2im's rule, followed to its end
            steps = last[steps]
        assert canonical == steps
    if not overruled:
        assert table == last
    assert len(overruled) == sum(map(len, groups)) - len(table)


def test_the_last_line_wins_and_is_followed() -> None:
    text = "near, next to ,close to\nbeside,near\n\n,\nON,on,on\n"
    table, overruled = parse_aliases(text, clean_predicate)
    assert table == {
        "near": "beside", "next to": "beside", "close to": "beside", "beside": "beside", "on": "on",
    }  # fmt: skip
    assert overruled == [(1, "near")]


def test_items_are_cleaned_as_predicates_and_names_are() -> None:
    assert parse_aliases("In Front-of., BEFORE\r\n", clean_predicate)[0] == {
        "in frontof": "in frontof",
        "before": "in frontof",
    }
    assert parse_aliases("T-Shirt,  tee   shirt", clean_name)[0]["tee shirt"] == "t-shirt"


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    for clean in (clean_name, clean_predicate):
        table, _ = parse_aliases(text, clean)
        assert all(table[canonical] == canonical for canonical in table.values())


def test_a_chain_of_a_hundred_thousand_lines_is_read_in_one_go() -> None:
    table, _ = parse_aliases("".join(f"n{k + 1},n{k}\n" for k in range(100_000)), str.strip)
    assert table["n0"] == "n100000"


def test_names_are_put_together_and_the_unlisted_stay() -> None:
    aliases = Aliases({"guy": "man", "man": "man"}, {"next to": "near"})
    assert aliases.names(("guy", "rider", "man")) == ("man", "rider")
    assert aliases.predicate("next to") == "near" and aliases.predicate("under") == "under"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "object_alias.txt").write_text("\ufeffman,guy\nperson,man\n", "utf-8")
    (tmp_path / "relationship_alias.txt").write_text("near,next to\n", "utf-8")
    return tmp_path


def test_the_option(root: Path, tmp_path: Path) -> None:
    problems = ProblemReport()
    for option in (None, True, root, str(root)):
        found = load_aliases(root, option, problems)
        assert found.names(("guy",)) == ("person",) and found.predicate("next to") == "near"
    assert "object_alias.txt, line 1: 'man' occurs on a later line too. It stands for 'person'" in repr(
        problems
    )
    assert load_aliases(root, False, problems) == Aliases()
    (root / "object_alias.txt").unlink()
    half = load_aliases(root, None, problems)
    assert half.names(("guy",)) == ("guy",) and half.predicate("next to") == "near"
    for option in (True, root):
        with pytest.raises(
            FileNotFoundError, match=r"has no object_alias\.txt; expected object_alias\.txt and"
        ):
            load_aliases(root, option, problems)


@pytest.mark.parametrize("wrong", [1, 0, ["a"], 2.5])
def test_other_options_are_refused(root: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"aliases=.* came; expected None .*, True .*, False .*, or the path"):
        load_aliases(root, wrong, ProblemReport())


def test_unusable_files_are_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "object_alias.txt").write_bytes(b"caf\xe9,cafe")
    with pytest.raises(DataFormatError, match=r"object_alias\.txt, the whole file: it is not UTF-8"):
        load_aliases(root, True, ProblemReport())
    monkeypatch.setattr("value_nb.data.visual_genome_aliases.LARGEST_FILE", 3)
    with pytest.raises(DataFormatError, match=r"object_alias\.txt.*it is longer than 3 bytes"):
        load_aliases(root, True, ProblemReport())
