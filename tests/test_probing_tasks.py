"""What is said of the probing tasks, and the probe that is worked by hand in notebook 06."""

from __future__ import annotations

import numpy as np
import pytest

import value_nb as vnb
from value_nb.data.senteval import TASKS
from value_nb.linguistics import text_controls
from value_nb.probing_tasks import ABOUT, probe_by_hand, split_limits, task_table


def test_every_task_is_described_in_order():
    assert tuple(ABOUT) == TASKS
    kinds = [about.kind for about in ABOUT.values()]
    assert kinds == ["surface"] + ["syntax"] * 3 + ["semantics"] * 5


def test_the_table_is_from_the_data():
    table = task_table(vnb.linguistic_tasks(tasks=("tree_depth", "past_present")))
    assert list(table.index) == [("syntax", "tree_depth"), ("semantics", "past_present")]
    for (_, task), row in table.iterrows():
        data = vnb.load_dataset(f"mini-senteval/{task}", "test")
        assert (row["a test sentence"], row["its class"]) == (data[0].caption, data[0].label)
        assert row["test sentences"] == len(data)
    with pytest.raises(ValueError, match="task='mini-flickr30k' came; expected one of sentence_length"):
        task_table(["mini-flickr30k"])


def test_some_tasks_by_name():
    assert vnb.linguistic_tasks(tasks=("tree_depth",)) == ("mini-senteval/tree_depth",)
    with pytest.raises(ValueError, match="task='depth' came; expected one of"):
        vnb.linguistic_tasks(tasks=("depth",))


def test_limits_of_splits():
    assert split_limits(300) == {"train": 300, "val": 75, "test": 100}
    assert split_limits(1) == {"train": 1, "val": 1, "test": 1}
    assert split_limits(None) is None


def test_the_text_control():
    assert text_controls("mini-uniter") == ["mini-bert"]
    assert text_controls("mini-bert") == []
    assert text_controls("mini-uniter", "no such model") == []


def test_selectivity_by_hand():
    """The toy case of notebook 06: its numbers are worked out there."""
    features = {"plurals": [[0], [1], [1], [1]], "first": [[0], [1], [0], [1]], "word": np.eye(4)}
    table = probe_by_hand(features, ["NN", "NNS", "NN", "NNS"], ["runs", "run", "cats", "cat"], seed=2)
    assert table["task"].tolist() == [0.75, 1.0, 1.0]
    assert table["control task"].tolist() == [0.75, 0.5, 1.0]
    assert table["selectivity"].tolist() == [0.0, 0.5, 0.0]
