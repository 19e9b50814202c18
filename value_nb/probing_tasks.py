"""What the nine probing tasks ask, each with a sentence from the data; and a probe worked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb.data.senteval import TASKS, check_task

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class About:
    """A probing task in words.

    Attributes
    ----------
    kind
        "surface" (can be seen without understanding), "syntax" (how the sentence is built) or "semantics"
        (what it says), as SentEval groups them.
    asks
        The question to a sentence.
    classes
        What the classes stand for.
    """

    kind: str
    asks: str
    classes: str


ABOUT = {
    "sentence_length": About("surface", "How many words has it?", "bins of lengths, from short to long"),
    "tree_depth": About(
        "syntax", "How deep is its parse tree?", "nodes on the longest way from the top to a word"
    ),
    "top_constituents": About(
        "syntax", "Which parts follow each other right below the top of its tree?", "the parts; OTHER"
    ),
    "bigram_shift": About("syntax", "Were two neighbouring words swapped?", "I: swapped, O: as it was"),
    "past_present": About("semantics", "What is the tense of the main verb?", "PAST, PRES"),
    "subj_number": About("semantics", "Is the subject one or several?", "NN: one, NNS: several"),
    "obj_number": About("semantics", "Is the direct object one or several?", "NN: one, NNS: several"),
    "odd_man_out": About(
        "semantics", "Was a word replaced by one that does not belong?", "C: replaced, O: as it was"
    ),
    "coordination_inversion": About(
        "semantics", "Were its two clauses put in the other order?", "I: swapped, O: as it was"
    ),
}
"""Task -> what it is about, in SentEval's order."""


def task_table(tasks: Sequence[str]) -> pd.DataFrame:
    """The tasks as a table: what each asks, what its classes mean, its first test sentence and class.

    Parameters
    ----------
    tasks
        Names of data sets, for instance of `value_nb.linguistic_tasks()`.

    Returns
    -------
    Rows by (kind, task); columns asks, classes, sentence, class of it, test sentences.

    Raises
    ------
    ValueError
        For a data set that is no probing task.
    """
    import pandas as pd

    from value_nb.data.registry import load_dataset

    rows = {}
    for name in tasks:
        task = check_task(name.rpartition("/")[2])
        about, data = ABOUT[task], load_dataset(name, "test")
        rows[about.kind, task] = {
            "asks": about.asks, "classes": about.classes, "a test sentence": data[0].caption,
            "its class": data[0].label, "test sentences": len(data),
        }  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["kind", "task"])
    return table


def chosen_tasks(source: str, tasks: Sequence[str] | None) -> tuple[str, ...]:
    """Names of data sets of some tasks, or of all nine for None; ValueError for one that there is not."""
    return tuple(f"{source}/{check_task(task)}" for task in (TASKS if tasks is None else tasks))


SHARES = {"train": 1.0, "val": 1 / 4, "test": 1 / 3}
"""Sentences of a split for one of training, about as in the bundled files."""


def split_limits(training: int | None) -> dict[str, int] | None:
    """How many sentences of each split to take for so many of training; None: all.

    Examples
    --------
    >>> split_limits(600)
    {'train': 600, 'val': 150, 'test': 200}
    """
    return None if training is None else {s: max(1, round(share * training)) for s, share in SHARES.items()}


def probe_by_hand(
    features: Mapping[str, Sequence[Sequence[float]]],
    labels: Sequence[str],
    words: Sequence[str],
    seed: int = 0,
    C: float = 100.0,
) -> pd.DataFrame:
    """A linear probe on features written by hand, on the task and on its control task.

    It answers the sentences that it learned from, so that every number can be worked out on paper.

    Parameters
    ----------
    features
        Name -> `(sentence, feature)` numbers.
    labels
        `(sentence,)` classes.
    words
        `(sentence,)` the word of each that the control task gives its random label to.
    seed
        Of the random labels.
    C
        Inverse strength of the penalty; large: nearly none.

    Returns
    -------
    Rows by name of the features; columns task, control task (shares of right answers) and selectivity
    (task minus control task).
    """
    import pandas as pd

    from value_nb.probes.linear import LinearProbe
    from value_nb.probes.task import control_labels

    asked = {
        "task": np.asarray(labels),
        "control task": control_labels(np.asarray(labels), np.asarray(words), seed),
    }
    rows = {}
    for name, values in features.items():
        x = np.asarray(values, dtype=np.float64)
        rows[name] = {
            one: float((LinearProbe(C).fit(x, y).predict(x) == y).mean()) for one, y in asked.items()
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.assign(selectivity=table["task"] - table["control task"])
