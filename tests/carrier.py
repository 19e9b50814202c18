"""A model in which one head alone carries the picture to the text, planted in the weights of the real engine.

Every picture shows one thing; region 0 has its one-hot class as feature, all others have none. All attention
is even. Of all heads one has a value map: it reads the class of regions and writes it where the word head
reads. So with it a masked thing is always right, and without it as without the picture: always the first.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tests.tiny import CLASSES, FEATURE_SIZE, PIECES, tiny_config, tiny_words
from value_nb.data.example import Example, Phrase, Regions
from value_nb.models.base import Outputs
from value_nb.models.files import build
from value_nb.models.gated import GatedVL

THINGS = CLASSES[:3]  # "man", "dog", "hat": one piece each
SEEN, SAID = 0, 8  # where a state holds the class of a region, and of a word
HABIT = 1.0  # bias of the first thing: what is said when nothing is known


class Carrier(GatedVL):
    """Matches by comparing what came from the picture at [CLS] with the thing that the caption names."""

    def _matching_logits(self, outputs: Outputs) -> Tensor:
        things = [thing_of(example) for example in outputs.layout.examples]
        first = outputs.hidden["text"][:, 0]
        return first[torch.arange(len(things)), torch.tensor(things) + SAID]


def carrier(family: str, layer: int = 2, head: int = 1) -> Carrier:
    """Plant it in one head of a single-stream ("uniter") or two-stream ("lxmert") model."""
    module = build(tiny_config(family), 0)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        for index, thing in enumerate(THINGS):
            module.image_embedding.feature.weight[SEEN + index, index] = 1.0
            module.text_embedding.word.weight[PIECES.index(thing), SAID + index] = 1.0
        module.word_head.dense.weight.copy_(torch.eye(module.config.text_width))
        module.word_head.bias[PIECES.index(THINGS[0])] = HABIT
        place = (next(s for s in ("joint", "cross") if s in module.gates.stacks), layer)
        (step,) = module.gates.attention_sublayers(place, "text->image")
        part = module.sublayers[step].part("text")
        slot = head * (module.config.text_width // part.heads)
        for index in range(len(THINGS)):
            part.value.weight[slot + index, SEEN + index] = 1.0
            part.output.weight[SAID + index, slot + index] = 1.0
    return Carrier(module, tiny_words(), f"carrier-{family}", "trained")


class Gold(list[Example]):
    """Examples that know what is true: a caption is false of a picture that shows another thing."""

    def contradicts(self, example: Example, image_id: str) -> bool:
        """Whether the example's caption is false of the picture."""
        return thing_of(example) != thing_of(next(e for e in self if e.image_id == image_id))


def pictures(n: int, others: int = 4, split: str = "test") -> Gold:
    """One caption each, "a THING near a big umbrella": things take turns; no picture shows an umbrella."""
    return Gold(_picture(index, others, split) for index in range(n))


def thing_of(example: Example) -> int:
    """The class that the caption names."""
    return THINGS.index(example.words[1])


def _picture(index: int, others: int, split: str) -> Example:
    thing = index % len(THINGS)
    words = ("a", THINGS[thing], "near", "a", "big", "umbrella")
    features = np.zeros((1 + others, FEATURE_SIZE), dtype=np.float32)
    features[0, thing] = 1.0
    corner = np.linspace(0.0, 0.8, 1 + others, dtype=np.float32)
    boxes = np.stack([corner, corner, corner + 0.1, corner + 0.1], axis=1)
    names = (THINGS[thing], *(CLASSES[3],) * others)
    regions = Regions(boxes, features, names, ("annotated",) * (1 + others), np.ones(1 + others, np.float32))
    return Example(
        id=f"{split}{index}#0", image_id=f"{split}{index}", caption=" ".join(words), words=words,
        size=(320, 240), regions=regions, phrases=(Phrase(0, 1, "1", ("people",), (0,)),), dataset="planted",
        split=split,
    )  # fmt: skip
