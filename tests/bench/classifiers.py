"""Classifier probes against SentEval's protocol: the same features of the miniature's nine tasks."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

import value_nb as vnb
from tests.bench import senteval
from value_nb.batches import batches
from value_nb.probes.linear import LinearProbe, choose_fits
from value_nb.probes.task import Task

MODEL = "mini-bert"


def features(task: str, model: Any, layer: int) -> tuple[np.ndarray, Task]:
    """[CLS] of the sentences after a layer, `(sentence, width)` float32, and the task."""
    rows: list[np.ndarray] = []
    seen: list[Any] = []

    def take(batch: Any) -> None:
        if batch.layer == layer and batch.stack == next(iter(model.stacks)):
            rows.append(batch.hidden["text"][:, 0].float().numpy())

    for part in batches(vnb.load_splits(f"mini-senteval/{task}"), 64):
        with torch.inference_mode():
            model.run(model.prepare(part), on_layer=take)
        seen += part
    labels, images, splits = (
        np.array([str(value(e)) for e in seen]) for value in (_label, _image, lambda e: e.split)
    )
    return np.concatenate(rows), Task(labels=labels, images=images, splits=splits)


def _label(example: Any) -> Any:
    return example.label


def _image(example: Any) -> Any:
    return example.image_id


def compared(states: np.ndarray, task: Task) -> dict[str, float]:
    """Seconds and test accuracies of both ways on the same features."""
    classes = {name: k for k, name in enumerate(np.unique(task.labels))}
    numbers = np.array([classes[name] for name in task.labels], dtype=np.int64)
    rows = {split: task.rows(split) for split in ("train", "val", "test")}
    start = time.perf_counter()
    theirs, l2 = senteval.score(*((states[r], numbers[r]) for r in rows.values()))
    middle = time.perf_counter()
    C, (fit,) = choose_fits([lambda: states], task)
    end = time.perf_counter()
    return {
        "senteval_s": middle - start, "ours_s": end - middle, "faster": (middle - start) / (end - middle),
        "senteval_accuracy": theirs, "ours_accuracy": float(fit.test.mean()), "l2": l2, "C": C,
        "train": len(rows["train"]), "width": states.shape[1],
    }  # fmt: skip


def measure(quick: bool) -> dict[str, Any]:
    """By task; the last layer's [CLS]."""
    model = vnb.load_model(MODEL, device="cpu")
    layer = next(iter(model.stacks.values()))
    LinearProbe().fit(np.eye(4), np.array(["a", "b", "a", "b"]))  # scikit-learn's import is no part of a fit
    names = [n.split("/")[1] for n in vnb.datasets()["name"] if n.startswith("mini-senteval/")]
    return {name: compared(*features(name, model, layer)) for name in (names[:1] if quick else names)}
