"""Task tokens of the multi-task ViLBERT (Lu et al. 2020): a row behind [CLS] says what is to be done."""

from __future__ import annotations

import torch
from torch import Tensor

from value_nb.layout import PositionClass, StreamLayout
from value_nb.models.config import EncoderConfig

PLACE = 1
"""Index of the task's position in the text."""
NAMES = {
    1: "VQA", 2: "GenomeQA", 3: "VisDial", 4: "Visual7W", 5: "VCR question to answer",
    6: "VCR answer to rationale", 7: "COCO retrieval", 8: "Flickr30k retrieval", 9: "RefCOCO", 10: "RefCOCO+",
    11: "RefCOCOg", 12: "NLVR2", 13: "SNLI-VE", 14: "GuessWhat", 15: "GQA", 16: "FOIL",
    17: "GuessWhat pointing", 18: "Flickr30k grounding",
}  # fmt: skip
"""Tasks of the published model, which has 20 rows."""
TRAINED = (1, 2, 4, 7, 8, 9, 10, 11, 12, 13, 15, 17)
"""Those that it was trained with; the other rows are as they were drawn."""
PUBLISHED_ROWS = 20


def checked_task(config: EncoderConfig, task: int | None) -> int | None:
    """Return the task; ValueError where a model with task rows gets none of them, or one without gets one."""
    rows = config.task_rows
    if not rows:
        if task is not None:
            raise ValueError(f"task is {task!r}, and this model has no task tokens: leave it out")
        return None
    if isinstance(task, bool) or not isinstance(task, int) or not 0 <= task < rows:
        raise ValueError(f"task is {task!r}; this model reads every sentence for a task, {_choices(rows)}")
    return task


def _choices(rows: int) -> str:
    if rows != PUBLISHED_ROWS:
        return f"0 to {rows - 1}"
    known = ", ".join(f"{number} {NAMES[number]}" for number in TRAINED)
    return f"0 to {rows - 1}; trained are {known}"


def with_task(
    inputs: dict[str, Tensor], layout: StreamLayout, task: int, filler: int
) -> tuple[dict[str, Tensor], StreamLayout]:
    """Make room for the task behind the first position of input_ids, text_mask and the text's layout.

    The new position is special, belongs to no word and is called "[TASK 7]". `filler`: the id at its place,
    which the model does not read.
    """
    ids = inputs["input_ids"]
    made = {
        "input_ids": _inserted(ids, filler),
        "text_mask": _inserted(inputs["text_mask"], 1),
        "task_ids": torch.full_like(ids[:, 0], task),
    }
    tokens = tuple((*own[:PLACE], f"[TASK {task}]", *own[PLACE:]) for own in layout.tokens)
    classes = _inserted(layout.position_class, int(PositionClass.SPECIAL))
    return made, StreamLayout(classes, _inserted(layout.unit, -1), tokens)


def _inserted(rows: Tensor, value: int) -> Tensor:
    """`(example, position)` -> `(example, position + 1)` with one value at the task's place."""
    column = torch.full_like(rows[:, :1], value)
    return torch.cat([rows[:, :PLACE], column, rows[:, PLACE:]], dim=1)
