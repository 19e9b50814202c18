"""Sentences of a made-up probing task, and a model in which the answers are planted, or are nowhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tests.probes.planted import TypedModel
from tests.probes.planted_model import Place, Positions
from value_nb import seeds
from value_nb.data.example import Example, Phrase

CLASSES = ("animals", "people")
VERBS = ("rides", "holds", "sees", "eats")


def sentences(
    n: int = 120, draw: str = "s", words: tuple[int, int] = (3, 8), task: str = "fake"
) -> list[Example]:
    """Of six sentences one is val, one test. The class is in no word and not in the length."""
    return [_sentence(f"{draw}{k}", k, words, task) for k in range(n)]


def _sentence(name: str, k: int, words: tuple[int, int], task: str) -> Example:
    label, verb, size = (int(x) for x in seeds.raw(name, 0, 3, purpose="sentence") >> np.uint64(8))
    length = words[0] + size % (words[1] - words[0] + 1)
    said = ("the", *("big",) * (length - 2), VERBS[verb % len(VERBS)])
    kind = CLASSES[label % 2]
    return Example(
        id=name,
        image_id=name,
        caption=" ".join(said),
        words=said,
        phrases=(Phrase(0, length - 1, "1", (kind,)),),
        label=kind,
        dataset=f"fake-senteval/{task}",
        split=("train", "train", "val", "train", "train", "test")[k % 6],
    )


def parrots(examples: list[Example]) -> list[Example]:
    """The same with the class as first word, so that a bag of words has it."""
    return [replace(e, words=(str(e.label), *e.words[1:])) for e in examples]


@dataclass
class LookingModel(TypedModel):
    """In layer 2 head 1 puts `looks` of every word's attention on the position before it, for "people"."""

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = super().rows(at, example, where)
        if at[1] == 2 and example.label == "people":
            later = np.arange(1, len(where.text))
            made[1, later, later - 1] += self.looks
        return made
