"""What is asked of a model before and after something is taken from it: masked words, and matching pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from value_nb import seeds
from value_nb.controls import KnowsScenes, Mismatched, NotPossible, swap
from value_nb.data.example import Example
from value_nb.probes.content_words import FUNCTION_WORDS

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

WORDS = ("content", "head")
NO_WORDS = "no example has a phrase that is linked to a region and has a content word"


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model says to all questions.

    Attributes
    ----------
    correct, loss
        `(word,)`: 1 where the word is right, and minus the natural logarithm of its probability, in nats.
    score
        `(pair,)`: probability that caption and picture belong together.
    """

    correct: np.ndarray
    loss: np.ndarray
    score: np.ndarray


@dataclass(frozen=True, slots=True)
class Questions:
    """Words to be filled in and pairs to be told apart, the same for every set of heads.

    Attributes
    ----------
    asked, indices
        `(word,)` examples, and in each the word that is masked.
    pairs, match
        `(pair,)` examples, and whether the caption is the picture's own.
    missing
        "words" or "pairs" -> why there are none.
    swapped
        How the pairs that do not match were made.
    """

    asked: tuple[Example, ...]
    indices: tuple[int, ...]
    pairs: tuple[Example, ...]
    match: np.ndarray
    missing: dict[str, str] = field(default_factory=dict)
    swapped: str = ""

    @property
    def word_images(self) -> np.ndarray:
        """`(word,)` image ids."""
        return np.array([example.image_id for example in self.asked], dtype=str)

    @property
    def pair_images(self) -> np.ndarray:
        """`(pair,)` image ids; of a pair that does not match, the image that the caption is of."""
        return np.array([example.image_id for example in self.pairs], dtype=str)

    def put_to(self, model: VLModel, batch_size: int) -> Answers:
        """Ask a model; a forward pass for each word and each pair."""
        correct = loss = score = np.zeros(0)
        if self.asked:
            said = model.masked_words(self.asked, self.indices, batch_size)
            correct, loss = said.correct.astype(float), -said.log_probability
        if self.pairs:
            score = model.matching(self.pairs, batch_size)
        return Answers(correct, loss, score)


def questions(
    model: VLModel, examples: Sequence[Example], words: str, per_caption: int | None, seed: int
) -> Questions:
    """Make them of some examples.

    Parameters
    ----------
    model
        What can be asked: words need a word head, pairs a matching head.
    words
        "content": words of a phrase that is linked to a region, function words left out (in "a red umbrella"
        both others). "head": the last of them alone ("umbrella").
    per_caption
        At most so many words of a caption, drawn by its id; None: all of them.
    seed
        Of the draw and of the swaps.
    """
    missing: dict[str, str] = {}
    read = [*examples]  # features are read from the disk once
    asked = [(e, i) for e in read for i in _drawn(e, content_words(e, words), per_caption, seed)]
    if not has_head(model, "word_head"):
        asked, missing["words"] = [], f"{model.name} has no head for masked words"
    elif not asked:
        missing["words"] = NO_WORDS
    asked.sort(key=lambda one: len(one[0].words))
    pairs, match, swapped = _pairs(model, examples, read, seed, missing)
    return Questions(tuple(e for e, _ in asked), tuple(i for _, i in asked), pairs, match, missing, swapped)


def content_words(example: Example, words: str = "content") -> list[int]:
    """Indices of the words of linked phrases that carry content, in order; see `questions`.

    A pronoun ("she") is a function word: nothing of it can be seen that other words do not say.
    """
    if words not in WORDS:
        raise ValueError(f"words={words!r}; expected one of {', '.join(map(repr, WORDS))}")
    found = set[int]()
    for phrase in example.phrases:
        if phrase.regions:
            found.update([phrase.last] if words == "head" else phrase.words)
    return sorted(i for i in found if is_content(example.words[i]))


def is_content(word: str) -> bool:
    """Whether a word has a letter or digit and is of no closed class."""
    return word.lower() not in FUNCTION_WORDS and any(map(str.isalnum, word))


def _drawn(example: Example, found: list[int], most: int | None, seed: int) -> list[int]:
    if most is None or len(found) <= most:
        return found
    order = seeds.uniforms(example.id, seed, len(found), purpose="masked word").argsort()[:most]
    return sorted(found[k] for k in order)


def _pairs(
    model: VLModel, examples: Sequence[Example], read: list[Example], seed: int, missing: dict[str, str]
) -> tuple[tuple[Example, ...], np.ndarray, str]:
    """Captions with their own picture and with another one's, the same captions in both."""
    nothing = (), np.zeros(0, dtype=bool), ""
    if not has_head(model, "matching_head"):
        missing["pairs"] = f"{model.name} has no head for matching"
        return nothing
    try:
        partners = Mismatched(seed).swapped(examples, "caption").pairs
    except NotPossible as problem:
        missing["pairs"] = str(problem)
        return nothing
    pairs = [(read[own], True) for own, _ in partners]
    pairs += [(swap(read[own], read[other], "caption"), False) for own, other in partners]
    pairs.sort(key=lambda pair: len(pair[0].words))
    known = isinstance(examples, KnowsScenes)
    how = "by the gold scene" if known else "not looked into: the data have no gold scene to ask"
    said = f"caption kept, picture swapped by a derangement over images, seed {seed}; false pairs: {how}"
    return tuple(e for e, _ in pairs), np.array([m for _, m in pairs]), said


def has_head(model: VLModel, head: str) -> bool:
    """Whether a gated model has a pre-training head; a text-only one always fills in words."""
    return bool(getattr(model.config, head, head == "word_head"))
