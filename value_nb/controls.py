"""Controls: the same probe under conditions in which what it looks for cannot be there.

A control hands out conditions; a condition is a frozen value that says which model meets which examples.
Probes that ask for equal conditions share one pass of the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, get_args, overload, runtime_checkable

import numpy as np

from value_nb import seeds
from value_nb.data.example import Example
from value_nb.probes.base import Kept, Probe, Side

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

NEIGHBOURS = 32  # pictures among which a partner is sought: those most alike in regions and caption length
FORBIDDEN = 1e9  # cost of a picture as its own partner
NOT_FALSE = 1e4  # cost of a caption that would stay true
StaysTrue = Callable[[int, int], bool]  # (own, partner), indices of examples


@runtime_checkable
class KnowsScenes(Protocol):
    """A data set with gold scenes, which can tell when a caption is false of another picture."""

    def contradicts(self, example: Example, image_id: str) -> bool:
        """Whether the example's caption is false of the picture."""
        ...


class NotPossible(ValueError):
    """The data cannot give this control (one picture alone has no other to be swapped with)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A condition, ready to run.

    Attributes
    ----------
    label
        What stands in the column `control`.
    model, examples
        What meets what.
    note
        Anything a reader must know of how it was made.
    """

    label: str
    model: VLModel
    examples: Sequence[Example]
    note: str = ""


class Condition(ABC):
    """Says which model meets which examples; equal conditions are run once."""

    @abstractmethod
    def open(self, model: VLModel, examples: Sequence[Example]) -> Opened:
        """Make it, from the model and the examples as they are."""


class Control(ABC):
    """Something a result is shown beside.

    Attributes
    ----------
    name
        As it stands in the column `control`; a probe lists the names that make sense for it.
    """

    name: str

    @abstractmethod
    def conditions(self, probe: Probe) -> tuple[Condition, ...]:
        """What has to be run for this probe."""


@dataclass(frozen=True, slots=True)
class AsIs(Condition):
    """The model and the examples as they are: no control."""

    def open(self, model: VLModel, examples: Sequence[Example]) -> Opened:
        """Hand both on."""
        return Opened("none", model, examples)


@dataclass(frozen=True, slots=True)
class RandomWeights(Control):
    """The same architecture with weights drawn anew: what the shape of the model does by itself.

    Parameters
    ----------
    seeds
        One model for each; five show the spread of a descriptive measure.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    name = "random weights"

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(int(seed) for seed in self.seeds))
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds={self.seeds}; expected one or more different whole numbers")

    def conditions(self, probe: Probe) -> tuple[Condition, ...]:
        """One for each seed."""
        return tuple(_Reweighted(seed) for seed in self.seeds)


@dataclass(frozen=True, slots=True)
class _Reweighted(Condition):
    seed: int

    def open(self, model: VLModel, examples: Sequence[Example]) -> Opened:
        return Opened(RandomWeights.name, model.with_random_weights(self.seed), examples)


@dataclass(frozen=True, slots=True)
class Mismatched(Control):
    """Captions with the pictures of others: what a probe finds when neither says anything of the other.

    The pictures of a split swap partners by a derangement (none keeps its own, each is used once), chosen
    among the pictures most alike to cost least in difference of region count and of mean caption length;
    ties below one word are broken by the seed. No caption meets a picture of another split: a classifier
    that learns on one and is scored on the other would be scored on what it has learned. The probe says
    which side stays with the example.

    Parameters
    ----------
    seed
        Seed of the derangement.
    false_by_gold
        True: keep only pairs that the gold scene makes false, which needs a data set with
        `contradicts(example, image_id)`. False: do not look. None: as True where the data set has it.
    """

    seed: int = 0
    false_by_gold: bool | None = None
    name = "mismatched"

    def conditions(self, probe: Probe) -> tuple[Condition, ...]:
        """One, in which the probe's side stays."""
        return (_Swapped(self, probe.keeps),)

    def partners(self, examples: Sequence[Example], keeps: Kept = "caption") -> dict[str, str]:
        """Which picture each picture is paired with: a derangement of image ids.

        Raises
        ------
        NotPossible
            With fewer than two pictures in a split, or an example without one.
        """
        survey = _survey(examples)
        return _derange(survey, self.seed, self._stays_true(examples, survey, keeps))

    def swapped(self, examples: Sequence[Example], keeps: Kept) -> SwappedExamples:
        """The mismatched examples, made when asked for.

        Parameters
        ----------
        examples
            The matched ones, in any order.
        keeps
            "caption": picture and regions come from the partner. "picture": the caption does. "both": one
            pair of either kind for each example, with the same partner.
        """
        if keeps not in get_args(Kept):
            raise ValueError(f"keeps={keeps!r}; expected one of {', '.join(map(repr, get_args(Kept)))}")
        survey = _survey(examples)
        stays_true = self._stays_true(examples, survey, keeps)
        partners = _derange(survey, self.seed, stays_true)
        pairs = [*_pair_up(survey, partners, keeps)]
        if stays_true is not None:
            pairs = [pair for pair in pairs if not stays_true(*pair)]
        return SwappedExamples(examples, pairs, keeps, left_out=len(survey.examples) - len(pairs))

    def _stays_true(self, examples: Sequence[Example], survey: _Survey, keeps: Kept) -> StaysTrue | None:
        """Whether the swap of examples i and j may leave a true caption; None when nobody can tell."""
        known = isinstance(examples, KnowsScenes)
        if self.false_by_gold and not known:
            raise ValueError(
                "false_by_gold=True needs a data set with contradicts(example, image_id), and "
                f"{type(examples).__name__} has none; use false_by_gold=None or False"
            )
        if self.false_by_gold is False or not isinstance(examples, KnowsScenes):
            return None
        ask, light = examples.contradicts, survey.examples

        def stays_true(own: int, partner: int) -> bool:
            pairs = {"caption": (own, partner), "picture": (partner, own)}
            return any(
                not ask(light[pairs[side][0]], light[pairs[side][1]].image_id) for side in _sides(keeps)
            )

        return stays_true


@dataclass(frozen=True, slots=True)
class _Swapped(Condition):
    control: Mismatched
    keeps: Kept

    def open(self, model: VLModel, examples: Sequence[Example]) -> Opened:
        swapped = self.control.swapped(examples, self.keeps)
        note = f"{self.keeps} stays, derangement over the images of a split, seed {self.control.seed}"
        if self.keeps == "both":
            note = note.replace("both stays", "caption and picture each stay in a pair of their own")
        if swapped.left_out:
            note += f"; {swapped.left_out} pairs left out, which the gold scene does not make false"
        return Opened(self.control.name, model, swapped, note)


class SwappedExamples(Sequence[Example]):
    """Examples of which one side comes from a partner; a sequence, made when asked for.

    Attributes
    ----------
    pairs
        (index of the example, index of its partner) in the matched examples.
    left_out
        Examples whose swap is not false by the gold scene.
    """

    def __init__(
        self, examples: Sequence[Example], pairs: list[tuple[int, int]], keeps: Kept, left_out: int = 0
    ) -> None:
        self._examples, self._sides = examples, _sides(keeps)
        self.pairs, self.left_out = tuple(pairs), left_out

    def __len__(self) -> int:
        return len(self.pairs) * len(self._sides)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} came; expected {-len(self)} to {len(self) - 1}")
        row, side = divmod(index % len(self), len(self._sides))
        own, partner = self.pairs[row]
        return swap(self._examples[own], self._examples[partner], self._sides[side])


def swap(example: Example, partner: Example, keeps: Side) -> Example:
    """`example` with the picture (keeps="caption") or the caption (keeps="picture") of `partner`.

    It keeps its `image_id`, over which intervals are taken. Phrases lose their links, since the regions
    that they were linked to are not those of this picture; relations stay with the picture. `extra` says
    where the other side is from ("mismatched_with"), which side is the example's own ("kept"), and holds
    the example itself ("matched").
    """
    caption, picture = (example, partner) if keeps == "caption" else (partner, example)
    return replace(
        example,
        id=f"{example.id}~{partner.id}",
        caption=caption.caption,
        words=caption.words,
        phrases=tuple(replace(phrase, regions=()) for phrase in caption.phrases),
        image=picture.image,
        size=picture.size,
        regions=picture.regions,
        relations=picture.relations,
        extra={"mismatched_with": partner.id, "kept": keeps, "matched": example},
    )


def matched(example: Example) -> Example:
    """The example that a mismatched one was made from; any other example itself."""
    found: Example = example.extra.get("matched", example)
    return found


def _sides(keeps: Kept) -> tuple[Side, ...]:
    return ("caption", "picture") if keeps == "both" else (keeps,)


@dataclass(frozen=True, slots=True)
class _Survey:
    """What swapping needs to know: the examples in their order (no features), and by image id the rows."""

    examples: tuple[Example, ...]
    members: dict[str, list[int]]

    def kind(self, image_id: str) -> tuple[int, float]:
        """Number of regions and mean number of words of a picture's captions."""
        mine = [self.examples[i] for i in self.members[image_id]]
        regions = mine[0].regions
        return (0 if regions is None else len(regions)), sum(len(e.words) for e in mine) / len(mine)

    @property
    def splits(self) -> dict[str, list[str]]:
        """Split -> image ids; a picture is of the split of its first example."""
        found: dict[str, list[str]] = {}
        for image_id, rows in self.members.items():
            found.setdefault(self.examples[rows[0]].split, []).append(image_id)
        return found


def _survey(examples: Sequence[Example]) -> _Survey:
    light = examples.without_features() if hasattr(examples, "without_features") else examples
    survey = _Survey(tuple(light), {})
    for index, example in enumerate(survey.examples):
        if example.regions is None:
            raise NotPossible(f"example {example.id!r} has no picture; mismatched pairs need one each")
        survey.members.setdefault(example.image_id, []).append(index)
    for split, images in survey.splits.items():
        if len(images) < 2:
            raise NotPossible(
                f"{len(images)} picture came in split {split!r}; mismatched pairs need at least two in each"
            )
    if not survey.members:
        raise NotPossible("no picture came; mismatched pairs need at least two")
    return survey


def _derange(survey: _Survey, seed: int, stays_true: StaysTrue | None) -> dict[str, str]:
    """Within runs of alike pictures of a split, the cheapest assignment in which none gets itself."""
    kinds = {image_id: survey.kind(image_id) for image_id in survey.members}
    partners: dict[str, str] = {}
    for images in survey.splits.values():
        ranked = sorted(images, key=lambda image_id: (*kinds[image_id], image_id))
        for run in _runs(ranked):
            partners |= _assign(run, kinds, survey, seed, stays_true)
    return partners


def _runs(ranked: list[str]) -> list[list[str]]:
    """Runs of neighbours; one that would be left alone joins the run before."""
    runs = [ranked[start : start + NEIGHBOURS] for start in range(0, len(ranked), NEIGHBOURS)]
    if len(runs) > 1 and len(runs[-1]) == 1:
        runs[-2:] = [runs[-2] + runs[-1]]
    return runs


def _assign(
    run: list[str],
    kinds: dict[str, tuple[int, float]],
    survey: _Survey,
    seed: int,
    stays_true: StaysTrue | None,
) -> dict[str, str]:
    from scipy.optimize import linear_sum_assignment

    features = np.array([kinds[image_id] for image_id in run], dtype=np.float64)
    cost = np.abs(features[:, None] - features[None]).sum(axis=-1)
    cost += np.stack([seeds.uniforms(image_id, seed, len(run), purpose="mismatched") for image_id in run])
    if stays_true is not None:
        for i, own in enumerate(run):
            for j, other in enumerate(run):
                partner = survey.members[other][0]
                cost[i, j] += NOT_FALSE * sum(stays_true(mine, partner) for mine in survey.members[own])
    np.fill_diagonal(cost, FORBIDDEN)
    rows, columns = linear_sum_assignment(cost)
    return {run[i]: run[j] for i, j in zip(rows, columns, strict=True)}


def _pair_up(survey: _Survey, partners: dict[str, str], keeps: Kept) -> Iterator[tuple[int, int]]:
    """For every example one of the partner's: any when the picture is wanted, else the closest in length."""
    words = [len(example.words) for example in survey.examples]
    for index, example in enumerate(survey.examples):
        others = survey.members[partners[example.image_id]]
        if keeps == "caption":
            yield index, others[0]
        else:
            yield index, min(others, key=lambda j: (abs(words[j] - words[index]), j))
