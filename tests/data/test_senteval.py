from __future__ import annotations

from pathlib import Path

import pytest

from value_nb.data.problems import DataFormatError
from value_nb.data.senteval import TASKS, check_task, load_senteval

FILES = Path(__file__).parent / "files"


def test_fields_zero_one_and_last_are_used() -> None:
    data = load_senteval(FILES / "tree_depth.txt", "train")
    assert [e.caption for e in data] == ["The man rode .", "Dogs ran , fast", "She sat ."]
    assert [e.label for e in data] == ["5", "10", "6"]
    first = data[0]
    assert first.words == ("The", "man", "rode", ".")
    assert (first.id, first.image_id) == ("tree_depth#1", "tree_depth#1")
    assert first.regions is None and first.image is None
    assert (first.dataset, first.split) == ("senteval/tree_depth", "train")


def test_class_index_is_the_place_among_sorted_strings_of_train() -> None:
    data = load_senteval(FILES / "tree_depth.txt", "test")
    assert data.labels == ("10", "5", "6")
    assert [(e.label, e.extra["label_index"]) for e in data] == [("6", 2), ("10", 0)]


def test_partitions_become_splits() -> None:
    sizes = {split: len(load_senteval(FILES / "tree_depth.txt", split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 3, "val": 1, "test": 2}


def test_bad_lines_are_counted_with_their_lines() -> None:
    problems = load_senteval(FILES / "tree_depth.txt", "test").problems
    assert problems.skipped == {
        "too few fields": 2,
        "unknown partition": 1,
        "empty field": 1,
        "not UTF-8": 1,
        "label not in train": 1,
    }
    assert problems.changed == {"blank line": 1}
    texts = [str(p) for p in problems]
    assert any(
        "tree_depth.txt, line 4: 2 tab-separated field(s) came; expected partition" in t for t in texts
    )
    assert any("line 6: the partition 'dev' came; expected tr, va or te." in t for t in texts)
    assert any("line 9: the bytes are not UTF-8" in t for t in texts)
    assert any(
        "line 12: the label '7' came; expected a label of the training lines: 10, 5, 6." in t for t in texts
    )


def test_strict_raises_at_the_first_bad_line() -> None:
    with pytest.raises(DataFormatError, match=r"tree_depth\.txt, line 4: 2 tab.*correct it or download"):
        load_senteval(FILES / "tree_depth.txt", strict=True)


def test_limit_and_name(tmp_path: Path) -> None:
    data = load_senteval(FILES / "tree_depth.txt", "test", limit=1, name="other")
    assert [(e.label, e.dataset) for e in data] == [("6", "other")]


def test_a_file_without_training_lines_has_no_classes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("te\tO\tA dog .\n")
    with pytest.raises(DataFormatError, match=r"a\.txt: no line of the training partition"):
        load_senteval(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match=r"b\.txt does not exist; expected a SentEval probing file"):
        load_senteval(tmp_path / "b.txt")


def test_there_are_nine_tasks() -> None:
    assert len(set(TASKS)) == 9
    assert check_task("bigram_shift") == "bigram_shift"
    with pytest.raises(ValueError, match=r"task='depth' came; expected one of sentence_length, tree_depth"):
        check_task("depth")
