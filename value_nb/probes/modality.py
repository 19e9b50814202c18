"""Modality importance: how much of its attention [CLS] spends on text and on image. (VALUE, second probe.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from value_nb import stats
from value_nb.exact import exact
from value_nb.layout import PositionClass
from value_nb.probes.base import Needs
from value_nb.probes.batchwise import Batchwise, Reduced
from value_nb.sums import ImageSums

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from value_nb.layout import LayerBatch, Layout
    from value_nb.models.base import VLModel

DIRECTIONS = ("text->text", "text->image")
CLS = 0  # place of [CLS] among the text positions
KINDS = ("text", "text special", "image", "image special")
"""Kinds of positions: words, [CLS] and [SEP], regions, a global row of the picture."""

GROUPS = (
    ("paper", "text", ("text", "text special")),
    ("paper", "image", ("image", "image special")),
    ("excluded", "text", ("text",)),
    ("excluded", "image", ("image",)),
    ("excluded", "special", ("text special", "image special")),
)
"""Treatment of specials, modality, and the kinds that count to it."""

MASS, RELATIVE = "cls_mass", "cls_mass_per_position"
SHARE, RELATIVE_SHARE = "text_share", "text_share_per_position"
EVEN = "position_share"
UNITS = {RELATIVE: "times even"}

_TREATMENTS = tuple(dict.fromkeys(specials for specials, _, _ in GROUPS))
_NAMES = [(specials, group) for specials, group, _ in GROUPS]
_PAIRS = [(_NAMES.index((s, "text")), _NAMES.index((s, "image"))) for s in _TREATMENTS]
_MEMBERS = np.array([[kind in kinds for _, _, kinds in GROUPS] for kind in KINDS], dtype=np.float64)

CELLS = (
    *((measure, specials, group) for measure in (MASS, RELATIVE) for specials, group in _NAMES),
    *((measure, specials, "text") for measure in (SHARE, RELATIVE_SHARE) for specials in _TREATMENTS),
)
"""(measure, specials, group) of each number that `measures` returns, in order."""


class ModalityImportance(Batchwise):
    """Adds up what [CLS], the position that sums up the pair, spends on each modality.

    Defined where one softmax covers both modalities, so that what [CLS] gives to text and to image are
    shares of one whole. For every pair, layer and head; measures, each a mean over pairs:

    cls_mass
        The paper's I(M, j): sum of the attention from [CLS] to the positions of modality M (`group`:
        "text", "image", and "special" where those are set apart); 0 to 1. Higher: more attention. The
        groups of one treatment of specials add up to 1. A modality with more positions gets more even
        when nothing is preferred.
    cls_mass_per_position
        cls_mass divided by the group's share of the pair's positions, at least 0; 1 is what a head that
        spreads its attention evenly gives; higher: more than its number of positions explains.
    text_share
        Text mass / (text mass + image mass), 0 to 1; above 0.5: more attention to text.
    text_share_per_position
        The same of the means over positions, (text mass / text positions) against (image mass / image
        positions); 0.5 is no preference, whatever the numbers of positions.
    position_share
        The group's share of positions, what an even spread would give; one number for the whole stack.

    Rows with a `head` are single heads; rows without are layers: the mean over the heads of each pair,
    with an interval of its own. specials="paper": [CLS] and [SEP] count as text, a global row as image;
    "excluded": they are a group of their own, "special", and no part of the text share. Pairs without
    words or without regions count nothing.
    """

    title: str = "Modality importance"
    question: str = "How much of its attention does [CLS] spend on text, and how much on the image?"

    def __init__(self) -> None:
        self.name = "modality_importance"
        self._start()

    def _start(self) -> None:
        super()._start()
        self._sums = ImageSums()
        self._even = ImageSums()

    def _absorb(self, other: Self) -> None:
        self._sums.absorb(other._sums)
        self._even.absorb(other._even)

    def needs(self, model: VLModel) -> Needs:
        """What text looks at, in the stacks whose text looks at both modalities."""
        return Needs(stacks=frozenset(_stacks(model)), attention=frozenset(DIRECTIONS))

    def not_defined(self, model: VLModel) -> str | None:
        """One softmax has to cover both modalities at [CLS]."""
        if not any(direction == DIRECTIONS[1] for names in model.directions.values() for direction in names):
            stacks = ", ".join(model.stacks)
            return f"{model.name} has no attention from text to image (stacks: {stacks})"
        if not model.joint or not _stacks(model):
            return (
                "no one softmax covers both modalities: its [CLS] looks at text and at the image in separate "
                "steps, and in each of them its attention adds up to 1 by itself, so there are no shares of "
                "text and image to compare"
            )
        return None

    def _look(self, layout: Layout) -> _Kinds:
        return _Kinds.of(layout)

    def _reduce(self, batch: LayerBatch, about: _Kinds) -> Iterator[Reduced]:
        import torch

        masses = [exact(batch.attention[d][:, :, CLS].detach()) @ about.member[d] for d in DIRECTIONS]
        yield (batch.stack, batch.layer), (torch.cat(masses, dim=-1),)

    def _add(self, about: _Kinds, keys: Sequence[Any], *values: np.ndarray) -> None:
        (mass,) = values  # (layer, example, head, kind)
        heads = measures(mass, about.count[:, None, :])
        for key, cells in zip(keys, np.concatenate([heads, _mean(heads)], axis=2), strict=True):
            self._sums.add(key, about.images, cells)
        for stack, layer in keys:
            if layer == 1:
                self._even.add(stack, about.images, _even(about.count))

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[dict[str, Any]]:
        """Values by layer, head, measure, modality and treatment of specials, with intervals over images."""
        self.settle()
        rows: list[dict[str, Any]] = []
        keys: list[Any] = self._sums.keys
        for key in keys:
            rows += _layer_rows(self._sums, key, self.seed, replicates)
        stacks: list[Any] = self._even.keys
        for stack in stacks:
            rows += _even_rows(self._even, stack, self.seed, replicates)
        return rows


def measures(mass: np.ndarray, count: np.ndarray) -> np.ndarray:
    """All measures of one or many rows of attention.

    Parameters
    ----------
    mass
        `(..., kind)`: what the row gives to all positions of each of `KINDS`.
    count
        `(..., kind)`, or a shape that broadcasts to it: how many positions there are of each.

    Returns
    -------
    `(..., cell)`, in the order of `CELLS`; nan where there are no words or no regions, and for a text
    share of nothing.
    """
    count = np.broadcast_to(count, mass.shape)
    grouped = mass @ _MEMBERS
    relative = _ratio(grouped, _even(count))
    shares = [_ratio(x[..., t], x[..., t] + x[..., i]) for x in (grouped, relative) for t, i in _PAIRS]
    cells = np.concatenate([grouped, relative, np.stack(shares, axis=-1)], axis=-1)
    return np.where(_complete(count)[..., None], cells, np.nan)


def cls_table(weights: Sequence[float], kinds: Sequence[str]) -> pd.DataFrame:
    """The measures of one row of attention, as a table: for toy cases, and for checking by hand.

    Parameters
    ----------
    weights
        `(position,)`: what [CLS] gives to each position.
    kinds
        `(position,)`: what stands there, among `KINDS`.

    Returns
    -------
    Measures as rows; columns (specials, group).

    Raises
    ------
    ValueError
        For another number of kinds than of weights, or a kind that there is not.

    Examples
    --------
    >>> kinds = ["text special", "text", "image", "image", "text special"]
    >>> table = cls_table([0.1, 0.4, 0.2, 0.1, 0.2], kinds)
    >>> float(table.loc["cls_mass", ("paper", "text")].round(2))
    0.7
    """
    import pandas as pd

    wrong = [kind for kind in kinds if kind not in KINDS]
    if wrong or len(weights) != len(kinds):
        raise ValueError(
            f"{len(weights)} weights and kinds {list(kinds)}; expected one kind for each, "
            f"among {', '.join(map(repr, KINDS))}"
        )
    member = np.array([[kind == known for known in KINDS] for kind in kinds], dtype=np.float64)
    values = measures(np.asarray(weights, dtype=np.float64) @ member, member.sum(axis=0))
    found = dict(zip(CELLS, values, strict=True))
    names = pd.Index([MASS, RELATIVE, SHARE, RELATIVE_SHARE], name="measure")
    columns = {name: [found.get((measure, *name), np.nan) for measure in names] for name in _NAMES}
    return pd.DataFrame(columns, index=names).rename_axis(columns=["specials", "group"])


def _stacks(model: VLModel) -> list[str]:
    return [stack for stack, names in model.directions.items() if set(DIRECTIONS) <= set(names)]


@dataclass(frozen=True, slots=True)
class _Kinds:
    """What stands at the positions of a batch.

    Attributes
    ----------
    images
        The image of each example.
    member
        Direction -> `(example, key, 2)` float64: 1 at the looked-at modality's own positions, and at its
        specials.
    count
        `(example, kind)` float64: how many positions there are of each of `KINDS`.
    """

    images: list[str]
    member: dict[str, Tensor]
    count: np.ndarray

    @classmethod
    def of(cls, layout: Layout) -> _Kinds:
        """ValueError where a text does not begin with [CLS], or another special."""
        import torch

        classes = {stream: layout.streams[stream].position_class for stream in ("text", "image")}
        headless = (classes["text"][:, CLS] != PositionClass.SPECIAL).nonzero()
        if len(headless):
            example = layout.examples[int(headless[0])]
            raise ValueError(
                f"the text of example {example.id!r} does not begin with [CLS], or another special"
            )
        member = {d: _member(classes[d.split("->")[1]], _own(d)) for d in DIRECTIONS}
        count = torch.cat([member[d].sum(dim=1) for d in DIRECTIONS], dim=-1).cpu().numpy()
        return cls([example.image_id for example in layout.examples], member, count)


def _member(classes: Tensor, own: PositionClass) -> Tensor:
    import torch

    return exact(torch.stack([classes == own, classes == PositionClass.SPECIAL], dim=-1))


def _own(direction: str) -> PositionClass:
    return PositionClass.TEXT if direction == DIRECTIONS[0] else PositionClass.IMAGE


def _even(count: np.ndarray) -> np.ndarray:
    """`(..., group)`: each group's share of positions; nan where there are no words or no regions."""
    share = _ratio(count @ _MEMBERS, count.sum(axis=-1, keepdims=True))
    return np.where(_complete(count)[..., None], share, np.nan)


def _complete(count: np.ndarray) -> np.ndarray:
    return (count[..., KINDS.index("text")] > 0) & (count[..., KINDS.index("image")] > 0)


def _ratio(num: np.ndarray, den: np.ndarray) -> np.ndarray:
    """`num / den`, nan where `den` is 0 or nan."""
    num, den = np.broadcast_arrays(num, den)
    return np.divide(num, den, out=np.full(num.shape, np.nan), where=den > 0)


def _mean(heads: np.ndarray) -> np.ndarray:
    """`(..., head, cell)` -> `(..., 1, cell)`: mean over the heads in which the cell is defined."""
    known = ~np.isnan(heads)
    return _ratio(np.where(known, heads, 0.0).sum(axis=-2, keepdims=True), known.sum(axis=-2, keepdims=True))


def _layer_rows(sums: ImageSums, key: Any, seed: int, replicates: int) -> Iterator[dict[str, Any]]:
    ids, num, den = sums.table(key)
    interval = stats.ratio_interval(num, den, ids, seed=seed, replicates=replicates)
    heads = num.shape[1] - 1
    for head, cell in np.ndindex(heads + 1, len(CELLS)):
        place = {"stack": key[0], "layer": key[1], "head": head if head < heads else None}
        yield from _row_of(place, CELLS[cell], interval, (head, cell), den)


def _even_rows(sums: ImageSums, stack: str, seed: int, replicates: int) -> Iterator[dict[str, Any]]:
    ids, num, den = sums.table(stack)
    interval = stats.ratio_interval(num, den, ids, seed=seed, replicates=replicates)
    for cell, name in enumerate(_NAMES):
        yield from _row_of({"stack": stack}, (EVEN, *name), interval, (cell,), den)


def _row_of(
    place: dict[str, Any],
    name: tuple[str, str, str],
    interval: stats.Interval,
    cell: tuple[int, ...],
    den: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """One row; none where no pair counts."""
    n = int(den.sum(axis=0)[cell])
    if n:
        measure, specials, group = name
        yield place | {
            "measure": measure, "specials": specials, "group": group, "value": float(interval.value[cell]),
            "lo": float(interval.lo[cell]), "hi": float(interval.hi[cell]), "n": n,
            "n_images": int(interval.n_images[cell]), "unit": UNITS.get(measure, "fraction"),
        }  # fmt: skip
