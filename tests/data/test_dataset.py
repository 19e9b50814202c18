from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from value_nb.data.dataset import Dataset, check_limit
from value_nb.data.example import Example, Phrase, Regions, Relation


class Counting:
    """A source that counts how often features are read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def example(self, record: int, features: bool) -> Example:
        vectors = np.full((2, 3), record, dtype=np.float32) if features else None
        self.read += [record] if features else []
        regions = Regions(np.tile([0, 0, 1, 1], (2, 1)), vectors, ("", ""), ("detected",) * 2)
        phrases = (Phrase(0, 0, "1", ("people", "other"), (0,)), Phrase(1, 1, "0", ("notvisual",)))
        key = str(record // 2)
        return Example(
            f"{record}", key, "a b", ("a", "b"), None, None, regions, phrases, (Relation(0, "on", 1),)
        )


@pytest.fixture
def source() -> Counting:
    return Counting()


@pytest.fixture
def data(source: Counting) -> Dataset:
    return Dataset("mine", "test", range(5), source)


def test_it_is_a_sequence(data: Dataset) -> None:
    assert len(data) == 5
    assert [example.id for example in data] == list("01234")
    assert data[-1].id == data[np.int64(4)].id == "4"  # type: ignore[call-overload]
    assert data[1] in data
    assert data.index(data[3]) == 3
    assert [e.id for e in reversed(data)] == list("43210")


def test_slices_are_data_sets(data: Dataset) -> None:
    part = data[1:4][::2]
    assert isinstance(part, Dataset)
    assert [example.id for example in part] == ["1", "3"]
    assert (part.name, part.split) == ("mine", "test")
    assert part.problems is data.problems
    assert len(data[9:]) == 0


def test_features_are_read_when_an_example_is_asked_for(data: Dataset, source: Counting) -> None:
    assert source.read == []
    iterator = iter(data[2:])
    next(iterator)
    assert source.read == [2]
    assert data.without_features()[1:][0].regions.features is None  # type: ignore[union-attr]
    data.describe()
    assert source.read == [2]


def test_describe_counts_pictures_once(data: Dataset) -> None:
    counts = data.describe()
    assert counts.index.name == "what"
    assert counts["count"].to_dict() == {
        "images": 3,
        "captions": 5,
        "phrases": 10,
        "phrases linked": 5,
        "phrases of type notvisual": 5,
        "phrases of type other": 5,
        "phrases of type people": 5,
        "relations": 3,
        "relations without a region": 0,
        "regions": 6,
        "regions per image, fewest": 2,
        "regions per image, most": 2,
        "annotated boxes": 0,
        "annotated boxes linked to a region": 0,
    }


def test_describe_of_sentences_and_of_nothing() -> None:
    examples = [Example(str(i), str(i), "a", ("a",), label="xyx"[i]) for i in range(3)]
    counts = Dataset("s", "test", examples).describe()["count"]
    assert counts.to_dict() == {"images": 0, "captions": 3, "label x": 2, "label y": 1}
    assert Dataset("s", "test", []).describe()["count"].to_dict() == {"images": 0, "captions": 0}


def test_ready_made_examples_lose_features_only_in_a_copy(source: Counting) -> None:
    example = source.example(1, features=True)
    data = Dataset("mine", "test", [example])
    assert data[0] is example
    light = data.without_features()[0]
    assert light.regions is not None and light.regions.features is None
    assert example.regions is not None and example.regions.features is not None


def test_bad_indices_say_what_is_expected(data: Dataset) -> None:
    with pytest.raises(
        IndexError, match=r"index 5 is outside mine \(test\), which has 5 examples: expected -5 to 4"
    ):
        data[5]
    with pytest.raises(IndexError, match="index -6"):
        data[-6]
    with pytest.raises(TypeError, match="'a' came as an index of mine; expected a whole number or a slice"):
        data["a"]  # type: ignore[call-overload]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True])
def test_bad_limits(limit: Any) -> None:
    with pytest.raises(
        ValueError, match=r"came; expected None \(everything\) or a whole number of at least 1"
    ):
        check_limit(limit)


def test_good_limits_and_repr(data: Dataset) -> None:
    assert check_limit(None) is None
    assert check_limit(np.int32(3)) == 3  # type: ignore[arg-type]
    assert repr(data) == "Dataset('mine', split='test', 5 examples, 0 skipped)"
