"""Classifier probes against SentEval's protocol: the same features of the miniature's nine tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import value_nb as vnb
from tests.bench import senteval
from value_nb.batches import batches
from value_nb.probes.linear import LinearProbe, choose_fits
from value_nb.probes.task import Task

MODEL = "mini-bert"


def features(task: str, model: Any) -> tuple[dict[int, np.ndarray], Task]:
    """[CLS] of the sentences after each layer, `(sentence, width)` float32, and the task.

    Layer 0, what goes in, is left out: there [CLS] is the same in all sentences.
    """
    rows: dict[int, list[np.ndarray]] = {}
    seen: list[Any] = []

    def take(batch: Any) -> None:
        if batch.layer > 0 and batch.stack == next(iter(model.stacks)):
            rows.setdefault(batch.layer, []).append(batch.hidden["text"][:, 0].float().numpy())

    for part in batches(vnb.load_splits(f"mini-senteval/{task}"), 64):
        with torch.inference_mode():
            model.run(model.prepare(part), on_layer=take)
        seen += part
    labels, images, splits = (
        np.array([str(value(e)) for e in seen]) for value in (_label, _image, lambda e: e.split)
    )
    states = {layer: np.concatenate(mine) for layer, mine in rows.items()}
    return states, Task(labels=labels, images=images, splits=splits)


def _label(example: Any) -> Any:
    return example.label


def _image(example: Any) -> Any:
    return example.image_id


@dataclass(frozen=True)
class Compared:
    """Both ways on the same features: seconds, and whether each answer on test is right, `(sentence,)`."""

    senteval_s: float
    ours_s: float
    senteval_right: np.ndarray
    ours_right: np.ndarray


def compared(states: np.ndarray, task: Task) -> Compared:
    """Fit, choose and score in both ways."""
    classes = {name: k for k, name in enumerate(np.unique(task.labels))}
    numbers = np.array([classes[name] for name in task.labels], dtype=np.int64)
    rows = {split: task.rows(split) for split in ("train", "val", "test")}
    start = time.perf_counter()
    theirs, _ = senteval.score(*((states[r], numbers[r]) for r in rows.values()))
    middle = time.perf_counter()
    _, (fit,) = choose_fits([lambda: states], task)
    return Compared(middle - start, time.perf_counter() - middle, theirs, fit.test)


def over_layers(states: Mapping[int, np.ndarray], task: Task) -> dict[str, float]:
    """Medians of the seconds and means of the accuracies over the layers.

    One layer says little: near chance, its accuracy moves by several points with the test sentences. The
    standard error is that of the mean difference over the same sentences.
    """
    found = [compared(mine, task) for mine in states.values()]
    theirs, ours = (float(np.median([getattr(one, f"{w}_s") for one in found])) for w in ("senteval", "ours"))
    gained = np.mean([one.ours_right * 1.0 - one.senteval_right for one in found], axis=0)
    return {
        "senteval_s": theirs, "ours_s": ours, "faster": theirs / ours,
        "senteval_accuracy": float(np.mean([one.senteval_right for one in found])),
        "ours_accuracy": float(np.mean([one.ours_right for one in found])),
        "error": float(gained.std(ddof=1) / len(gained) ** 0.5), "layers": len(states),
        "train": len(task.rows("train")), "width": next(iter(states.values())).shape[1],
    }  # fmt: skip


def measure(quick: bool) -> dict[str, Any]:
    """By task, over the layers; a quick run takes one task and its last layer."""
    model = vnb.load_model(MODEL, device="cpu")
    LinearProbe().fit(np.eye(4), np.array(["a", "b", "a", "b"]))  # scikit-learn's import is no part of a fit
    names = [n.split("/")[1] for n in vnb.datasets()["name"] if n.startswith("mini-senteval/")]
    found = {}
    for name in names[:1] if quick else names:
        states, task = features(name, model)
        found[name] = over_layers({max(states): states[max(states)]} if quick else states, task)
    return found
