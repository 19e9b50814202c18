"""Cross-modal heads: heads in which one modality looks at the other. (VALUE, third probe, first part.)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    from numpy.typing import ArrayLike
    from torch import Tensor

    from value_nb.layout import LayerBatch, Layout
    from value_nb.models.base import VLModel

DIRECTIONS = ("image->text", "text->image")
SPECIALS = ("paper", "excluded")
SHARE, MASS, EXCESS, EXPECTED = "share_of_pairs", "mass", "mass_minus_expected", "expected_mass"
TO_SPECIALS = "mass_on_specials"
MEASURES = (SHARE, MASS, EXCESS, TO_SPECIALS)
"""Measures of a single head, in order."""

SUMMARIES = ("share_of_heads", "largest_head", "smallest_head")
"""Measures of all heads of a stack, made of their `share_of_pairs`."""

HALF = 0.5  # of a token's attention, and of the pairs: the paper's two limits
ROUNDING = 1e-6  # float32 weights that add up to one half are not more than half of it

_OWN = {"text": PositionClass.TEXT, "image": PositionClass.IMAGE}


class CrossModalHeads(Batchwise):
    """Counts the pairs in which a head lets one modality look at the other.

    A direction is "image->text" (regions look at words) or "text->image". Defined where one softmax covers
    both modalities. For every head and direction; measures, each a mean over pairs:

    share_of_pairs
        The paper's: share of the pairs in which at least one token of the looking modality gives more than
        half of its attention to the other one; 0 to 1. It depends on the numbers of positions: where the
        other modality has more than half of them, an untrained head that spreads its attention evenly
        reaches 1, and where it has clearly fewer, 0.
    mass
        What a token of the looking modality gives to the other one, mean over tokens; 0 to 1.
    mass_minus_expected
        mass minus the other modality's share of the positions, T / (T + R) for text: 0 for an even spread,
        whatever the numbers of positions; above: more than they explain. -1 to 1.
    mass_on_specials
        What a token of the looking modality gives to [CLS], [SEP] and global rows; 0 to 1.

    And for all heads of a stack together: `share_of_heads`, those whose share_of_pairs is above one half;
    `largest_head` and `smallest_head`, the extremes of share_of_pairs. The interval of an extreme is that of
    the extreme in each replicate. `expected_mass` is the share of positions.

    specials="paper": [CLS] and [SEP] count as text, a global row as image, when they look and when they are
    looked at. "excluded": they do neither, and what a token gives to words and regions is divided by its
    sum. A token that gives all to specials then says nothing, and is left out; mass_on_specials tells how
    much of a head's attention the other numbers are about.
    """

    title: str = "Cross-modal heads"
    question: str = "Which heads let one modality look at the other, more than numbers of positions explain?"

    def __init__(self) -> None:
        self.name = "cross_modal_heads"
        self._start()

    def _start(self) -> None:
        super()._start()
        self._sums = ImageSums()
        self._expected = ImageSums()

    def _absorb(self, other: Self) -> None:
        self._sums.absorb(other._sums)
        self._expected.absorb(other._expected)

    def needs(self, model: VLModel) -> Needs:
        """The blocks from one modality to the other and, to set specials apart, to itself."""
        queries = {direction.split("->")[0] for direction in _directions(model)}
        blocks = {*_directions(model), *(f"{query}->{query}" for query in queries)}
        return Needs(stacks=frozenset(_stacks(model)), attention=frozenset(blocks))

    def not_defined(self, model: VLModel) -> str | None:
        """A direction that has a softmax of its own gives all its attention to the other modality."""
        if not _directions(model):
            stacks = ", ".join(model.stacks)
            return f"{model.name} has no attention between text and image (stacks: {stacks})"
        if not model.joint:
            return (
                "each direction between text and image has a softmax of its own: every token of every head "
                "gives the other modality all of its attention, by construction, so no head can be told "
                "from another"
            )
        return None

    def _look(self, layout: Layout) -> tuple[list[str], _Counted]:
        kinds = {stream: layout.streams[stream].position_class for stream in ("text", "image")}
        return [example.image_id for example in layout.examples], _Counted.of(kinds)

    def _reduce(self, batch: LayerBatch, about: tuple[list[str], _Counted]) -> Iterator[Reduced]:
        for direction in DIRECTIONS:
            if direction in batch.attention:
                looks = _looks(batch.attention, about[1], direction)
                yield (batch.stack, direction, batch.layer), (looks,)

    def _add(self, about: tuple[list[str], _Counted], keys: Sequence[Any], *values: np.ndarray) -> None:
        (images, counted), (looks,) = about, values  # (layer, example, head, specials, what)
        for (stack, direction, layer), one in zip(keys, looks, strict=True):
            self._sums.add((stack, direction, layer), images, _measured(one, counted, direction))
            if layer == 1:
                self._expected.add((stack, direction), images, counted.expected[direction])

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[dict[str, Any]]:
        """Values by direction, layer, head, measure and treatment of specials, with intervals over images."""
        self.settle()
        keys: list[Any] = sorted(self._sums.keys, key=str)
        rows: list[dict[str, Any]] = []
        for place in dict.fromkeys(key[:2] for key in keys):
            layers = sorted(layer for *where, layer in keys if tuple(where) == place)
            rows += _place_rows(self._sums, place, layers, self.seed, replicates)
            rows += _expected_rows(self._expected, place, self.seed, replicates)
        return rows


def measures(
    blocks: Mapping[str, Tensor], kinds: Mapping[str, Tensor], direction: str
) -> tuple[np.ndarray, np.ndarray]:
    """The measures of every head of one layer in one direction.

    Parameters
    ----------
    blocks
        direction -> `(example, head, query, key)`, blocks of a softmax over both modalities: at least the
        direction's own and that of the looking modality to itself.
    kinds
        stream -> `(example, position)` integers of `PositionClass`.
    direction
        "image->text" or "text->image".

    Returns
    -------
    (`(example, head, specials, measure)` in the order of `SPECIALS` and `MEASURES`, `(example, specials)`
    expected mass); nan where there are no words or no regions.
    """
    counted = _Counted.of({stream: one.to(blocks[direction].device) for stream, one in kinds.items()})
    looks = _looks(blocks, counted, direction).cpu().numpy()
    return _measured(looks, counted, direction), counted.expected[direction]


def head_table(image_rows: ArrayLike, n_text: int) -> pd.DataFrame:
    """The image->text measures of one head without specials: for toy cases, and for checking by hand.

    Parameters
    ----------
    image_rows
        `(region, text position + region)`: what each region gives to every position, text first.
    n_text
        How many of them are text.

    Returns
    -------
    A table with one row: share_of_pairs, mass, mass_minus_expected.

    Examples
    --------
    >>> table = head_table([[0.6, 0.2, 0.1, 0.1], [0.0, 0.2, 0.4, 0.4]], n_text=2)
    >>> table.round(3).to_dict("records")
    [{'share_of_pairs': 1.0, 'mass': 0.5, 'mass_minus_expected': 0.0}]
    """
    import pandas as pd
    import torch

    rows = np.array(image_rows, dtype=np.float64)
    if rows.ndim != 2 or not 0 < n_text < rows.shape[1] or len(rows) != rows.shape[1] - n_text:
        raise ValueError(
            f"weights of shape {rows.shape} and n_text={n_text}; expected a row for each region, and columns "
            "for the text positions and then the regions"
        )
    kinds = {
        "text": torch.full((1, n_text), int(PositionClass.TEXT)),
        "image": torch.full((1, len(rows)), int(PositionClass.IMAGE)),
    }
    whole = torch.from_numpy(rows)[None, None]
    blocks = {"image->text": whole[..., :n_text], "image->image": whole[..., n_text:]}
    values, _ = measures(blocks, kinds, "image->text")
    return pd.DataFrame(values[0, :, SPECIALS.index("paper")], columns=list(MEASURES)).drop(
        columns=TO_SPECIALS
    )


def _stacks(model: VLModel) -> list[str]:
    return [stack for stack, names in model.directions.items() if set(DIRECTIONS) & set(names)]


def _directions(model: VLModel) -> list[str]:
    return [d for d in DIRECTIONS if any(d in names for names in model.directions.values())]


def _stack(parts: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.stack(list(parts), dim=-1)


@dataclass(frozen=True, slots=True)
class _Counted:
    """The positions of a batch that count, under each treatment of specials.

    Attributes
    ----------
    looked
        Stream -> `(example, position, specials)` float32: 1 where a position counts to it as looked at.
    asks
        Stream -> `(example, 1, position, specials)` bool: where it counts as looking; wherever float64 is.
    expected
        Direction -> `(example, specials)` float64: the share of positions that the looked-at modality has;
        nan where there are no words or no regions.
    """

    looked: dict[str, Tensor]
    asks: dict[str, Tensor]
    expected: dict[str, np.ndarray]

    @classmethod
    def of(cls, kinds: Mapping[str, Tensor]) -> _Counted:
        """From stream -> `(example, position)` integers of `PositionClass`."""
        member = {s: _stack([kinds[s] != PositionClass.PAD, kinds[s] == _OWN[s]]) for s in _OWN}
        there = {stream: exact(one.sum(dim=1)).cpu().numpy() for stream, one in member.items()}
        complete = (there["text"][:, 1:] > 0) & (there["image"][:, 1:] > 0)
        positions = np.maximum(there["text"] + there["image"], 1.0)
        share = {s: np.where(complete, there[s] / positions, np.nan) for s in _OWN}
        return cls(
            {s: one.float() for s, one in member.items()},
            {s: exact(one[:, None]) > 0 for s, one in member.items()},
            {direction: share[direction.split("->")[1]] for direction in DIRECTIONS},
        )


def _looks(blocks: Mapping[str, Tensor], counted: _Counted, direction: str) -> Tensor:
    """`(example, head, specials, 3)` float64: whether a token gives the other modality more than half, the
    mean that tokens give it, and the mean that they give to specials; means are nan where no token counts.
    """
    import torch

    query, key = direction.split("->")
    across, within = (_given(blocks[f"{query}->{s}"], counted.looked[s]) for s in (key, query))
    both = across + within  # (example, head, query, specials)
    total, asks = both[..., 1:], counted.asks[query]
    mass = torch.cat([across[..., :1], across[..., 1:] / total.clamp(min=1e-300)], dim=-1)
    looking = torch.cat([asks[..., :1].expand_as(total), asks[..., 1:] & (total > 0)], dim=-1)
    hit = ((mass > HALF + ROUNDING) & looking).any(dim=2)
    mean = (mass * looking).sum(dim=2) / looking.sum(dim=2)
    resting = ((both[..., :1] - total) * asks).sum(dim=2) / asks.sum(dim=2)
    return _stack([hit.double(), mean, resting])


def _given(block: Tensor, looked: Tensor) -> Tensor:
    """`(example, head, query, specials)` float64: what each query gives to the members of a stream.

    One product for each example, of all its heads and queries.
    """
    rows = block.detach().float().flatten(1, 2)
    return exact(rows @ looked).unflatten(1, block.shape[1:3])


def _measured(looks: np.ndarray, counted: _Counted, direction: str) -> np.ndarray:
    """`(example, head, specials, measure)` from what `_looks` gives; nan for an incomplete pair."""
    expected = counted.expected[direction][:, None]
    hit, mean, resting = (np.where(np.isnan(expected), np.nan, looks[..., k]) for k in range(3))
    hit = np.where(np.isnan(mean), np.nan, hit)
    return np.stack([hit, mean, mean - expected, resting], axis=-1)


def _place_rows(
    sums: ImageSums, place: tuple[str, str], layers: list[int], seed: int, replicates: int
) -> Iterator[dict[str, Any]]:
    """Rows of the heads of a stack and direction, layer by layer, and of all of them together."""
    values, draws, counts = [], [], np.zeros((2, len(SPECIALS)), dtype=int)
    for layer in layers:
        ids, num, den = sums.table((*place, layer))
        drawn = stats.replicate_ratios(num, den, ids, seed=seed, replicates=replicates)
        total = den.sum(axis=0)
        value = np.divide(num.sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0)
        found = stats.percentile_interval(value, drawn, (den > 0).sum(axis=0))
        for head, s, m in np.ndindex(*found.value.shape):
            where = _where(place, SPECIALS[s]) | {"layer": layer, "head": head}
            yield from _row(where, MEASURES[m], found, (head, s, m), int(total[head, s, m]))
        values.append(value[..., 0])
        draws.append(drawn[..., 0])
        counts = np.stack([total[0, :, 0], found.n_images[0, :, 0]]).astype(int)
    yield from _summary_rows(place, np.concatenate(values), np.concatenate(draws, axis=1), counts)


def _summary_rows(
    place: tuple[str, str], value: np.ndarray, draws: np.ndarray, counts: np.ndarray
) -> Iterator[dict[str, Any]]:
    """`value` `(head, specials)` and `draws` `(replicate, head, specials)` of share_of_pairs."""
    for measure, made in zip(SUMMARIES, (_above_half, np.max, np.min), strict=True):
        found = stats.percentile_interval(made(value, axis=0), made(draws, axis=1), counts[1])  # type: ignore[operator]
        for s, specials in enumerate(SPECIALS):
            yield from _row(_where(place, specials), measure, found, (s,), int(counts[0, s]))


def _above_half(values: np.ndarray, axis: int) -> np.ndarray:
    """Share of heads above one half; nan where a head is nan."""
    return np.where(np.isnan(values).any(axis=axis), np.nan, (values > HALF).mean(axis=axis))


def _expected_rows(
    sums: ImageSums, place: tuple[str, str], seed: int, replicates: int
) -> Iterator[dict[str, Any]]:
    ids, num, den = sums.table(place)
    found = stats.ratio_interval(num, den, ids, seed=seed, replicates=replicates)
    for s, specials in enumerate(SPECIALS):
        yield from _row(_where(place, specials), EXPECTED, found, (s,), int(den[:, s].sum()))


def _where(place: tuple[str, str], specials: str) -> dict[str, Any]:
    return {"stack": place[0], "direction": place[1], "specials": specials}


def _row(
    where: dict[str, Any], measure: str, found: stats.Interval, cell: tuple[int, ...], n: int
) -> Iterator[dict[str, Any]]:
    """One row; none where no pair counts."""
    if n:
        yield where | {
            "measure": measure, "value": float(found.value[cell]), "lo": float(found.lo[cell]),
            "hi": float(found.hi[cell]), "n": n, "n_images": int(found.n_images[cell]), "unit": "fraction",
        }  # fmt: skip
