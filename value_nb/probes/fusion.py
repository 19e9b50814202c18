"""Multimodal fusion degree: do the states of text and image still lie apart? (VALUE, fusion probe.)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from value_nb import stats
from value_nb.agreement import ami, contingency, nmi
from value_nb.kmeans import RESTARTS, Products, centred, split, two_means
from value_nb.layout import PositionClass
from value_nb.probes.base import Needs, Probe
from value_nb.probes.sample import Positions, PositionSample
from value_nb.probes.separability import held_out_accuracy
from value_nb.sums import ImageSums

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel

Key = tuple[str, int]  # stack, layer
SPECIALS = ("paper", "excluded")
PER_PAIR = ("nmi", "ami", "effective_rank")
N_AGREEMENT = 2  # of which the first so many compare clusters with modalities
UNITS = {"effective_rank": "dimensions"}
SAMPLE = 2000


class FusionDegree(Probe):
    """Splits the states of a pair's words and regions in two and asks whether the split is the modality.

    For every pair and layer (0, the embeddings, included) the states of all text and image positions are
    clustered by two-means, and the clusters are compared with the modalities. Measures:

    nmi
        Normalised mutual information of clusters and modalities, mean over pairs; 0 to 1. Higher: the
        modalities lie apart, less fusion. This is the paper's measure.
    ami
        The same adjusted for chance; about 0 for clusters that ignore modality, at most 1. Higher:
        less fusion. Pairs of different length compare on this one.
    effective_rank
        exp(entropy) of the eigenvalues of the pair's covariance, as shares of their sum; from 1 (all
        states on a line; 0 when they are all the same) to the smaller of positions - 1 and width. A low
        nmi with a low rank may be collapse and not fusion.
    separability
        Balanced accuracy with which one linear direction (shrinkage discriminant), fitted on one half of
        the pictures, tells the modality of positions of the other half, in a sample of `sample_size`
        positions; 0.5 is chance, 1 means that a plane parts the modalities, even where other
        differences dominate the clusters. The interval takes the fitted direction as given.
    ami_last_minus_first, nmi_last_minus_first
        Last layer minus layer 1, paired over images; below 0: deeper layers fuse more.

    Each with specials="paper" ([CLS], [SEP] and global rows counted with their stream) and "excluded".
    Defined where one stack holds both streams at one width: "joint" or "cross".

    Parameters
    ----------
    pooled
        Instead of pair by pair, cluster a sample of positions of many pairs together. Another measure,
        with a name of its own (`fusion_degree_pooled`): it asks for one split that serves all pairs,
        so one can be high where the other is low. It has nmi and ami only, with intervals over images
        that take the clusters as given.
    restarts
        Starts of two-means; more can only lower the inertia.
    sample_size
        Positions in the sample, drawn by hash of the example's id.
    """

    title: str = "Multimodal fusion degree"
    question: str = "Do the hidden states of text and image lie apart, layer by layer?"
    counts: ClassVar[dict[str, str]] = {"separability": "positions"}

    def __init__(self, pooled: bool = False, restarts: int = RESTARTS, sample_size: int = SAMPLE) -> None:
        if restarts < 1 or sample_size < 2:
            raise ValueError(
                f"restarts={restarts}, sample_size={sample_size}: at least 1 start and 2 positions are needed"
            )
        self.pooled, self.restarts, self.sample_size = bool(pooled), int(restarts), int(sample_size)
        self.name = "fusion_degree_pooled" if pooled else "fusion_degree"
        if pooled:
            self.title = "Multimodal fusion degree, tokens of many pairs clustered together"
        self._start()

    def _start(self) -> None:
        self._sums = ImageSums()
        self._sample = PositionSample(self.sample_size, self.seed)

    def _absorb(self, other: Self) -> None:
        self._sums.absorb(other._sums)
        self._sample.absorb(other._sample)

    def needs(self, model: VLModel) -> Needs:
        """Hidden states of the stack that holds both streams."""
        return Needs(stacks=frozenset({"joint", "cross"} & set(model.stacks)), hidden=True)

    def not_defined(self, model: VLModel) -> str | None:
        """Two-means needs text and image states in one space."""
        if not {"joint", "cross"} & set(model.stacks):
            return f"no stack of {model.name} holds both text and image (stacks: {', '.join(model.stacks)})"
        if model.widths["text"] != model.widths["image"]:
            return (
                f"text states of {model.name} are {model.widths['text']} wide and image states "
                f"{model.widths['image']}: they do not lie in one space and cannot be clustered together"
            )
        return None

    def update(self, batch: LayerBatch) -> None:
        """Cluster the pairs of one layer of one batch."""
        points = _Points.of(batch)
        key = (batch.stack, batch.layer)
        _offer(self._sample, key, points, batch)
        if not self.pooled:
            values = [self._per_pair(points, points.chosen(specials)) for specials in SPECIALS]
            self._sums.add(key, [e.image_id for e in batch.layout.examples], np.stack(values, axis=1))

    def _per_pair(self, points: _Points, chosen: Tensor) -> np.ndarray:
        """`(example, measure)`: nan for an example without positions of both modalities."""
        image, text = (chosen & points.is_image).any(dim=1), (chosen & ~points.is_image).any(dim=1)
        both = (image & text).nonzero()[:, 0]
        values = np.full((len(chosen), len(PER_PAIR)), np.nan)
        if len(both) == 0:
            return values
        states, valid = points.states[both], chosen[both]
        ids = [points.ids[i] for i in both.tolist()]
        products = Products(centred(states, valid))  # both measures need them
        clusters = split(products, valid, ids, self.seed, self.restarts).labels
        table = contingency(*(x.cpu().numpy() for x in (clusters, points.is_image[both], valid)))
        values[both.cpu().numpy()] = np.stack([nmi(table), ami(table), _rank(products)], axis=1)
        return values

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[dict[str, Any]]:
        """Values by layer, measure and treatment of specials, with intervals over images."""
        if self.pooled:
            return list(_pooled_rows(self._sample, self.restarts, self.seed, replicates))
        pairs = _pair_rows(self._sums, self.seed, replicates)
        return [*pairs, *_separability_rows(self._sample, self.seed, replicates)]


def effective_rank(states: Tensor, valid: Tensor) -> np.ndarray:
    """exp(entropy) of the shares of variance along the principal directions of each set.

    Parameters
    ----------
    states
        `(set, position, width)`.
    valid
        `(set, position)` bool.

    Returns
    -------
    `(set,)` float64 between 1 and min(positions - 1, width); 0 where all states are the same. Higher:
    spread over more directions.
    """
    return _rank(Products(centred(states, valid)))


def _rank(products: Products) -> np.ndarray:
    """`effective_rank` of points whose inner products are there already."""
    import torch

    points, gram = products.points, products.gram
    products_ = points.transpose(1, 2) @ points if gram is None else gram
    variances = torch.linalg.eigvalsh(products_).clamp(min=0).cpu().numpy()
    total = variances.sum(axis=1, keepdims=True)
    shares = np.divide(variances, total, out=np.zeros_like(variances), where=total > 0)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    return np.where(total[:, 0] > 0, np.exp(entropy), 0.0)


@dataclass(frozen=True, slots=True)
class _Points:
    """Text and image positions of a batch, one after the other: `(example, position, ...)`."""

    states: Tensor
    valid: Tensor
    special: Tensor
    is_image: Tensor
    ids: tuple[str, ...]

    @classmethod
    def of(cls, batch: LayerBatch) -> _Points:
        import torch

        streams = [batch.layout.streams[name] for name in ("text", "image")]
        states = torch.cat([batch.hidden[name].detach() for name in ("text", "image")], dim=1)
        classes = torch.cat([stream.position_class for stream in streams], dim=1).to(states.device)
        n_text = streams[0].position_class.shape[1]
        side = (torch.arange(classes.shape[1], device=states.device) >= n_text).expand_as(classes)
        special = classes == PositionClass.SPECIAL
        return cls(
            states, classes != PositionClass.PAD, special, side, tuple(e.id for e in batch.layout.examples)
        )

    def chosen(self, specials: str) -> Tensor:
        """`(example, position)` bool: the positions that count under this treatment of specials."""
        return self.valid if specials == "paper" else self.valid & ~self.special


def _offer(sample: PositionSample, key: Key, points: _Points, batch: LayerBatch) -> None:
    """Hand the positions of a batch to a sample; only those that can still enter leave the device."""
    limit = sample.limit(key)
    valid = points.valid.cpu().numpy()
    numbers = np.full(valid.shape, 2**64 - 1, dtype=np.uint64)
    for row, example_id in enumerate(points.ids):
        numbers[row, valid[row]] = sample.priorities(example_id, int(valid[row].sum()))
    rows, columns = np.nonzero(valid & (numbers < limit))
    if len(rows) == 0:
        return
    images = np.array([e.image_id for e in batch.layout.examples], dtype=object)
    picked = Positions(
        priority=numbers[rows, columns],
        states=points.states[rows, columns].float().cpu().numpy(),
        image=images[rows],
        is_image=points.is_image[rows, columns].cpu().numpy(),
        special=points.special[rows, columns].cpu().numpy(),
    )
    sample.add(key, picked)


def _row(
    key: tuple[str, int | None], specials: str, measure: str, interval: stats.Interval, n: float, **more: Any
) -> dict[str, Any]:
    stack, layer = key
    return {
        "stack": stack, "layer": layer, "specials": specials, "measure": measure,
        "value": float(interval.value), "lo": float(interval.lo), "hi": float(interval.hi),
        "n": int(n), "n_images": int(interval.n_images), "unit": UNITS.get(measure, "fraction"),
    } | more  # fmt: skip


def _pick(interval: stats.Interval, *cell: int) -> stats.Interval:
    return stats.Interval(*(getattr(interval, f)[cell] for f in ("value", "lo", "hi", "n_images")))


def _pair_rows(sums: ImageSums, seed: int, replicates: int) -> Iterator[dict[str, Any]]:
    keys: list[Any] = sums.keys
    if not keys:
        return
    tables = [sums.table(key) for key in keys]
    ids = tables[0][0]
    num, den = (np.stack([table[i] for table in tables], axis=1) for i in (1, 2))
    interval = stats.ratio_interval(num, den, ids, seed=seed, replicates=replicates)
    for k, s, m in np.ndindex(*num.shape[1:]):  # (image, key, specials, measure)
        yield _row(keys[k], SPECIALS[s], PER_PAIR[m], _pick(interval, k, s, m), den[:, k, s, m].sum())
    for stack in dict.fromkeys(stack for stack, _ in keys):
        layers = {layer: k for k, (name, layer) in enumerate(keys) if name == stack}
        if 1 in layers and max(layers) > 1:
            first, last = (
                (num[:, k, :, :N_AGREEMENT], den[:, k, :, :N_AGREEMENT])
                for k in (layers[1], layers[max(layers)])
            )
            yield from _change_rows(stack, ids, first, last, seed, replicates)


def _change_rows(
    stack: str,
    ids: list[str],
    first: tuple[np.ndarray, np.ndarray],
    last: tuple[np.ndarray, np.ndarray],
    seed: int,
    replicates: int,
) -> Iterator[dict[str, Any]]:
    change = stats.difference_interval(first, last, ids, seed=seed, replicates=replicates)
    for s, m in np.ndindex(*change.value.shape):
        measure, n = f"{PER_PAIR[m]}_last_minus_first", last[1][:, s, m].sum()
        yield _row((stack, None), SPECIALS[s], measure, _pick(change, s, m), n)


def _chosen(sample: PositionSample, key: Key, specials: str) -> Positions:
    positions = sample.positions(key)
    return positions if specials == "paper" else positions.take(np.flatnonzero(~positions.special))


def _separability_rows(sample: PositionSample, seed: int, replicates: int) -> Iterator[dict[str, Any]]:
    keys: list[Any] = sample.keys
    for key in keys:
        for specials in SPECIALS:
            positions = _chosen(sample, key, specials)
            right = held_out_accuracy(positions.states, positions.is_image, positions.image, seed)
            if right is None:
                continue
            tested = ~np.isnan(right)
            interval = _balanced(right[tested], positions.take(np.flatnonzero(tested)), seed, replicates)
            yield _row(key, specials, "separability", interval, int(tested.sum()))


def _balanced(right: np.ndarray, positions: Positions, seed: int, replicates: int) -> stats.Interval:
    """Mean of the two modalities' accuracies: each position weighs one over the number of its kind."""
    n_image = positions.is_image.sum()
    weight = np.where(positions.is_image, 1 / n_image, 1 / (len(positions) - n_image))
    sums = ImageSums()
    sums.add("both", list(positions.image), np.stack([right * weight, weight], axis=1))
    ids, both, _ = sums.table("both")
    return stats.ratio_interval(both[:, 0], both[:, 1], ids, seed=seed, replicates=replicates)


def _pooled_rows(
    sample: PositionSample, restarts: int, seed: int, replicates: int
) -> Iterator[dict[str, Any]]:
    import torch

    keys: list[Any] = sample.keys
    for key in keys:
        for specials in SPECIALS:
            positions = _chosen(sample, key, specials)
            if len(set(positions.is_image.tolist())) < 2:
                continue
            states = torch.from_numpy(positions.states).unsqueeze(0)
            valid = torch.ones(states.shape[:2], dtype=torch.bool)
            clusters = two_means(states, valid, ["pooled"], seed=seed, restarts=restarts).labels[0].numpy()
            yield from _pooled_measures(key, specials, positions, clusters, seed, replicates)


def _pooled_measures(
    key: Key, specials: str, positions: Positions, clusters: np.ndarray, seed: int, replicates: int
) -> Iterator[dict[str, Any]]:
    """NMI and AMI of clusters that stay as they are while the images are drawn again."""
    sums = ImageSums()
    one_hot = np.zeros((len(positions), 2, 2))
    one_hot[np.arange(len(positions)), clusters.astype(int), positions.is_image.astype(int)] = 1
    sums.add(key, list(positions.image), one_hot)
    ids, tables, _ = sums.table(key)
    draws = stats.replicate_sums(tables, ids, seed=seed, replicates=replicates)
    for name, measure in (("nmi", nmi), ("ami", ami)):
        value = measure(tables.sum(axis=0))
        interval = stats.percentile_interval(value, measure(draws), np.asarray(len(ids)))
        yield _row(key, specials, name, interval, len(positions), group="pooled sample")
