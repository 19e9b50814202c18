from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import tiny_examples, tiny_model
from value_nb.examples import own_data


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    examples = tiny_examples(4)
    data = own_data.load(own_data.write(tmp_path, examples))
    assert [one.id for one in data] == [one.id for one in examples]
    for ours, theirs in zip(data, examples, strict=True):
        assert ours.words == theirs.words and ours.image_id == theirs.image_id
        assert ours.regions is not None and theirs.regions is not None
        np.testing.assert_array_equal(ours.regions.boxes, theirs.regions.boxes)
        np.testing.assert_array_equal(ours.regions.features, theirs.regions.features)
        assert ours.regions.names == theirs.regions.names
    model = tiny_model("uniter")
    np.testing.assert_allclose(model.matching(list(data)), model.matching(examples), atol=1e-6)


def test_limit_and_features_on_demand(tmp_path: Path) -> None:
    data = own_data.load(own_data.write(tmp_path, tiny_examples(4)), limit=2)
    assert len(data) == 2
    first = data.without_features()[0]
    assert first.regions is not None and first.regions.features is None


def test_a_picture_is_found_where_there_is_one(tmp_path: Path) -> None:
    examples = tiny_examples(2)
    own_data.write(tmp_path, examples)
    (tmp_path / "pictures").mkdir()
    picture = tmp_path / "pictures" / f"{examples[0].image_id}.png"
    picture.touch()
    assert own_data.load(tmp_path)[0].image == picture


def test_pickled_names_are_refused(tmp_path: Path) -> None:
    examples = tiny_examples(1)
    own_data.write(tmp_path, examples)
    np.savez(
        tmp_path / "regions" / f"{examples[0].image_id}.npz",
        boxes=np.zeros((1, 4)), features=np.zeros((1, 2)), names=np.array([{}], dtype=object),
    )  # fmt: skip
    with pytest.raises(ValueError, match="allow_pickle"):
        own_data.load(tmp_path)[0]


def test_examples_without_features_cannot_be_written(tmp_path: Path) -> None:
    example = own_data.load(own_data.write(tmp_path, tiny_examples(1))).without_features()[0]
    with pytest.raises(ValueError, match="no region features"):
        own_data.write(tmp_path / "again", [example])


def test_lines_are_plain_json(tmp_path: Path) -> None:
    own_data.write(tmp_path, tiny_examples(2))
    lines = (tmp_path / "test.jsonl").read_text().splitlines()
    assert {*json.loads(lines[0])} == {"id", "picture", "caption"}
