"""Pictures and sentences for all probes at once, and a model in which what each of them asks is planted.

Everything is balanced: in every split, what one plant says tells nothing of what another asks. So without
noise a layer that holds none of an answer is right at exactly the rate of chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from tests.probes.planted_model import Place, PlantedModel, Positions
from value_nb import seeds
from value_nb.data.example import Example, Phrase, Regions, Relation

TYPES = ("animals", "people")
PREDICATES = ("holding", "near", "wearing")
PAIRS = ((0, 1), (2, 3))  # of regions: in each picture a relation holds from first to second of one of them
NAMES = ("man", "dog", "man", "dog", *("tree",) * 6)
BOXES = np.array(
    [
        [0.10, 0.10, 0.20, 0.20], [0.30, 0.10, 0.40, 0.20], [0.10, 0.60, 0.20, 0.70],
        [0.30, 0.60, 0.40, 0.70], [0.70, 0.70, 1.00, 1.00], [0.45, 0.45, 0.55, 0.55],
        [0.90, 0.00, 0.95, 0.05], [0.90, 0.10, 0.95, 0.15], [0.90, 0.20, 0.95, 0.25],
        [0.90, 0.30, 0.95, 0.35],
    ],
    dtype=np.float32,
)  # fmt: skip
HEAD_WORDS = (("man", "dog", "men", "dogs"), ("guy", "pet", "guys", "pets"))
"""Of the four phrases of a picture's two captions; the second names no region."""

KINDS = [*product(TYPES, PREDICATES, PAIRS)]
"""One picture of each makes a balanced set: type of the first phrase, predicate, related pair."""

SPLITS = ("train", "val", "test")
CLASSES = ("no", "yes")
VERBS = ("rides", "holds", "sees", "eats")


def pictures(sets: Sequence[int] = (2, 1, 1), draw: str = "", recur: bool = True) -> list[Example]:
    """Two captions each of so many balanced sets of `KINDS` in train, val and test.

    Four phrases of two words, each with a region of its own, two men and two dogs; six trees, of which one is
    the largest and one the most central region. As many regions as positions of text, [CLS] and [SEP] too.

    With `recur=False` every split has words and classes of its own, so that no control task is defined: that
    saves half of the fits where nobody looks at it.
    """
    return [
        _picture(f"{draw}{split}{number}-{kind}", caption, split, "" if recur else split, *KINDS[kind])
        for split, count in zip(SPLITS, sets, strict=True)
        for number in range(count)
        for kind in range(len(KINDS))
        for caption in (0, 1)
    ]


def _picture(
    name: str, caption: int, split: str, own: str, first: str, predicate: str, pair: tuple[int, int]
) -> Example:
    words = tuple(word for head in HEAD_WORDS[caption] for word in ("the", own + head))
    types = (first, TYPES[first == TYPES[0]])
    return Example(
        id=f"{name}#{caption}",
        image_id=name,
        caption=" ".join(words),
        words=words,
        size=(100, 100),
        regions=Regions(BOXES, None, tuple(own + n for n in NAMES), ("annotated",) * len(NAMES)),
        phrases=tuple(Phrase(2 * k, 2 * k + 1, str(k), (types[k % 2],), (k,)) for k in range(4)),
        relations=(Relation(pair[0], predicate, pair[1]),),
        dataset="planted",
        split=split,
    )


def sentences(counts: Sequence[int] = (48, 24, 24), draw: str = "", recur: bool = True) -> list[Example]:
    """So many sentences in train, val and test; each comes twice, once of either class, but for its id.

    `recur` as in `pictures`.
    """
    return [
        _sentence(f"{draw}{split}{k}", k // 2, CLASSES[k % 2], split, "" if recur else split)
        for split, count in zip(SPLITS, counts, strict=True)
        for k in range(count)
    ]


def _sentence(name: str, k: int, label: str, split: str, own: str) -> Example:
    words = ("the", *("big",) * (1 + k % 3), own + VERBS[k % len(VERBS)])
    return Example(
        id=name, image_id=name, caption=" ".join(words), words=words, label=label,
        dataset="planted-senteval/planted", split=split,
    )  # fmt: skip


# --- what is planted -------------------------------------------------------------------------------------

WIDTH, HEADS, DEPTH = 9, 3, 4
FUSION, CODE, TYPE, RELATED, PREDICATE, LABEL = 0, (1, 2), 3, 4, (5, 6, 7), 8  # axes of a state
CODES = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
APART, FAR = 10.0, 4.0  # how far states move at full strength: the modalities, and everything else
LINK, POINT, CROSS, BACK = 0.6, 0.8, 0.9, 0.6  # attention at full strength

Moves = np.ndarray
"""`(position, width)`, added to the states."""

Look = tuple[int, np.ndarray, np.ndarray]
"""Head, `(position,)` bool of those that look, and `(position,)` what they give to each: adds up to one."""


@dataclass(frozen=True)
class Plant:
    """Something to be found.

    Attributes
    ----------
    layers
        Where it is.
    moves
        (layer, example, positions) -> how states move.
    looks
        The same -> what heads look at.
    """

    layers: Sequence[int]
    moves: Callable[[int, Example, Positions], Moves] | None = None
    looks: Callable[[int, Example, Positions], Iterator[Look]] | None = None


def matches(example: Example) -> bool:
    """Whether caption and picture belong together."""
    return "matched" not in example.extra


def apart_then_mixed(layer: int, example: Example, where: Positions) -> Moves:
    """The modalities lie apart; in the last layer, every other position of either does."""
    side = where.is_text if layer < DEPTH else (np.arange(len(where)) % 2 == 0)
    moves = np.zeros((len(where), WIDTH))
    moves[:, FUSION] = np.where(side, APART, -APART)
    return moves


def cls_mass(layer: int, head: int) -> tuple[float, float, float]:
    """What [CLS] gives to words, to [CLS] and [SEP], and to regions."""
    words = 0.4 + 0.02 * layer + 0.01 * head
    return words, 0.2, 0.8 - words


def first_position(layer: int, example: Example, where: Positions) -> Iterator[Look]:
    first = np.arange(len(where)) == 0
    members = where.words(), where.special, where.regions()
    for head in range(HEADS):
        if all(member.any() for member in members):
            shares = zip(members, cls_mass(layer, head), strict=True)
            yield head, first, sum(member / member.sum() * mass for member, mass in shares)


def region_to_words(layer: int, example: Example, where: Positions) -> Iterator[Look]:
    """Head 1: every region gives most to words, one that a phrase is linked to gives that to the phrase."""
    regions, of_phrase = where.regions(), np.zeros(len(where), dtype=bool)
    for phrase in example.phrases:
        if phrase.regions:
            mine, words = where.regions(phrase.regions), where.words(phrase.words)
            of_phrase |= mine
            yield 1, mine, _even(words) * CROSS + _even(regions) * (1 - CROSS)
    if regions.any():
        yield 1, regions & ~of_phrase, _even(where.words()) * CROSS + _even(regions) * (1 - CROSS)


def phrase_to_region(layer: int, example: Example, where: Positions) -> Iterator[Look]:
    """Head 2: the words of a phrase look at its region, and for the rest at all words."""
    for phrase in example.phrases:
        if phrase.regions:
            target = where.regions(phrase.regions)
            yield 2, where.words(phrase.words), _even(target) * LINK + _even(where.words()) * (1 - LINK)


def pair_codes(layer: int, example: Example, where: Positions) -> Moves:
    """A phrase and its region have one code, where caption and picture belong together."""
    moves = np.zeros((len(where), WIDTH))
    for k, phrase in enumerate(example.phrases if matches(example) else ()):
        if phrase.regions:
            mine = where.words(phrase.words) | where.regions(phrase.regions)
            moves[np.ix_(mine, CODE)] = FAR * CODES[k % len(CODES)]
    return moves


def phrase_types(layer: int, example: Example, where: Positions) -> Moves:
    moves = np.zeros((len(where), WIDTH))
    for phrase in example.phrases:
        moves[where.words(phrase.words), TYPE] = FAR if phrase.types == TYPES[1:] else -FAR
    return moves


def relation_codes(layer: int, example: Example, where: Positions) -> Moves:
    """The subject's state says that it is one, and of which predicate."""
    moves = np.zeros((len(where), WIDTH))
    for relation in example.relations if matches(example) else ():
        axes = [RELATED, PREDICATE[PREDICATES.index(relation.predicate)]]
        moves[np.ix_(where.regions([relation.subject]), axes)] = 2 * FAR
    return moves


def subject_to_object(layer: int, example: Example, where: Positions) -> Iterator[Look]:
    """Head 0: a subject looks at its object."""
    for relation in example.relations if matches(example) else ():
        target = _even(where.regions([relation.object])) * POINT + _even(where.regions()) * (1 - POINT)
        yield 0, where.regions([relation.subject]), target


def class_in(of: Callable[[Positions], np.ndarray]) -> Callable[[int, Example, Positions], Moves]:
    """The class of a sentence in the states of some positions."""

    def moves(layer: int, example: Example, where: Positions) -> Moves:
        made = np.zeros((len(where), WIDTH))
        if example.label is not None:
            made[of(where), LABEL] = FAR if example.label == CLASSES[1] else -FAR
        return made

    return moves


def word_to_previous(layer: int, example: Example, where: Positions) -> Iterator[Look]:
    """Head 0: in sentences of the second class, words look at the position before them."""
    for position in np.flatnonzero(where.words()) if example.label == CLASSES[1] else ():
        before = np.arange(len(where)) == position - 1
        yield 0, np.arange(len(where)) == position, before * BACK + _even(where.is_text) * (1 - BACK)


def _even(member: np.ndarray) -> np.ndarray:
    """`(position,)`: one, spread over the members."""
    return member / member.sum()


def _first(where: Positions) -> np.ndarray:
    return np.arange(len(where)) == 0


PLANTS: Mapping[str, Plant] = {
    "fusion": Plant((1, DEPTH), moves=apart_then_mixed),
    "cls": Plant(range(1, DEPTH + 1), looks=first_position),
    "regions look at words": Plant((2,), looks=region_to_words),
    "phrases look at regions": Plant((2,), looks=phrase_to_region),
    "pairs": Plant((2,), moves=pair_codes),
    "types": Plant((3,), moves=phrase_types),
    "relations": Plant((1,), moves=relation_codes, looks=subject_to_object),
    "class in words": Plant((1,), moves=class_in(Positions.words)),
    "class in [CLS]": Plant((3,), moves=class_in(_first)),
    "class in a head": Plant((4,), looks=word_to_previous),
}


@dataclass
class WorldModel(PlantedModel):
    """Plants of some strength in the joint or the cross layers, under noise.

    Attributes
    ----------
    strength
        0: nothing, 1: exactly what the plant says.
    noise
        Standard deviation of every number of a state; above 0, rows of attention are drawn, too, all
        positions alike.
    plants
        Which.
    """

    strength: float = 1.0
    noise: float = 0.0
    plants: Mapping[str, Plant] = field(default_factory=lambda: PLANTS)
    width: int = WIDTH
    n_heads: int = HEADS

    def states(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = self.noise * self._draws(at, example, "states").normal(size=(len(where), self.width))
        for plant in self._here(at):
            if plant.moves:
                made += self.strength * plant.moves(at[1], example, where)
        return made

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = super().rows(at, example, where)
        if self.noise:
            made = self._draws(at, example, "rows").exponential(size=made.shape)
            made /= made.sum(axis=-1, keepdims=True)
        for plant in self._here(at):
            for head, looking, target in plant.looks(at[1], example, where) if plant.looks else ():
                made[head, looking] = (1 - self.strength) * made[head, looking] + self.strength * target
        return made

    def with_random_weights(self, seed: int) -> WorldModel:
        return replace(self, strength=0.0, weights=f"random:{seed}")

    def _here(self, at: Place) -> list[Plant]:
        stack, layer = at
        there = self.strength and stack not in ("text", "image")
        return [plant for plant in self.plants.values() if there and layer in plant.layers]

    def _draws(self, at: Place, example: Example, what: str) -> np.random.Generator:
        key = seeds.raw(f"{self.weights}/{self.name}/{at[0]}/{example.id}", at[1], 1, purpose=what)
        return np.random.default_rng(int(key[0]))


def single_stream(**settings: object) -> WorldModel:
    """All plants in joint layers."""
    return WorldModel(**{"stacks": {"joint": DEPTH}} | settings)  # type: ignore[arg-type]


def two_stream(**settings: object) -> WorldModel:
    """All plants in cross layers, below which lie a text and an image layer with nothing in them."""
    stacks = {"text": 1, "image": 1, "cross": DEPTH}
    return WorldModel(**{"stacks": stacks, "joint": False} | settings)  # type: ignore[arg-type]
