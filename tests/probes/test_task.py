import numpy as np
import pytest

from value_nb.probes.task import NotDefined, Task, control_labels


def made(labels: str, splits: str, types: str | None = None, images: list[str] | None = None) -> Task:
    """One letter for each example; splits by r (train), v, t."""
    names = {"r": "train", "v": "val", "t": "test"}
    return Task(
        np.array(list(labels)),
        np.array(images or [f"i{k}" for k in range(len(labels))]),
        np.array([names[s] for s in splits]),
        None if types is None else np.array(list(types)),
    )


def test_rows_classes_and_majority():
    task = made("aabbbcab", "rrrrrvtt")
    assert task.rows("train").tolist() == [0, 1, 2, 3, 4] and task.rows("test").tolist() == [6, 7]
    assert task.classes.tolist() == ["a", "b"] and task.majority().tolist() == [False, True]
    assert made("abvab", "rrvtt").majority().tolist() == [True, False], "a tie goes to the first label"


def test_recurrence_counts_each_type_once():
    assert made("ababaaa", "rrvtttt", "xyzxxxq").recurrence() == 0.5
    assert np.isnan(made("abab", "rrvt").recurrence())


def test_control_labels_belong_to_the_type_and_follow_the_distribution():
    types = np.array([f"type {k}" for k in range(4000)])
    labels = np.array(["rare"] * 10 + ["usual"] * 90)
    found = control_labels(labels, types, seed=0)
    assert (found == "rare").mean() == pytest.approx(0.1, abs=0.015)
    twice = control_labels(labels, np.r_[types[::-1], types], seed=0)
    assert np.array_equal(twice[:4000][::-1], found) and np.array_equal(twice[4000:], found)
    assert (control_labels(labels, types, seed=1) != found).mean() == pytest.approx(0.18, abs=0.03)


def test_control_labels_are_those_of_yesterday():
    """Written down, so that another version or machine that draws others is noticed."""
    found = control_labels(np.array(list("ab")), np.array(list("mnopqrst")), seed=0)
    assert "".join(found) == "aabaaaba"


def test_control_task_keeps_everything_else():
    task = made("ababab" * 4, "rrvttr" * 4, "mnmnmn" * 4)
    control = next(c for c in map(lambda seed: _control(task, seed), range(20)) if c is not None)
    assert np.array_equal(control.images, task.images) and np.array_equal(control.splits, task.splits)
    assert set(control.labels.tolist()) == {"a", "b"}
    assert task.labels.tolist() == list("ababab" * 4), "the task is left as it was"


def _control(task: Task, seed: int) -> Task | None:
    try:
        return task.control(seed)
    except NotDefined:
        return None


def test_control_task_is_not_defined():
    with pytest.raises(NotDefined, match="have no types"):
        made("abab", "rrvt").control(0)
    with pytest.raises(NotDefined, match=r"67% of the types in test occur in training, and 80% are needed"):
        made("abaaab", "rrvttt", "xyzxyq").control(0)
    with pytest.raises(NotDefined, match="all drew the same random label"):
        made("abab", "rrvt", "xxxx").control(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("abab", "rrvv"), r"splits \['train', 'val'\] came; a classifier needs all of"),
        (("aaab", "rrvt"), "all training examples have the label 'a'"),
        (("abab", "rrvt", None, ["x", "y", "z", "y"]), "image 'y' is in several splits"),
    ],
)
def test_errors_say_what_came(arguments, message):
    with pytest.raises(ValueError, match=message):
        made(*arguments)
    with pytest.raises(ValueError, match=r"arrays of lengths \[2, 1, 1\]"):
        Task(np.array(["a", "b"]), np.array(["i"]), np.array(["train"]))
