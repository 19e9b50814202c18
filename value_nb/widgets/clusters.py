"""One pair's hidden states in a plane: where text and image lie, and how two-means splits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb import style
from value_nb.layout import PositionClass

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from value_nb.trace import Trace

TEXT, IMAGE = style.OURS, style.PAPER
MARKERS = ("o", "^")
SPECIALS = ("paper", "excluded")
SPECIAL = int(PositionClass.SPECIAL)


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """A set of states split in two, beside the split by modality.

    Attributes
    ----------
    points
        `(position, 2)`: the states on their first two principal axes, text towards the left.
    is_image, cluster
        `(position,)` bool: which modality, which of the two clusters.
    labels
        What each position is.
    share
        Share of the variance that the two axes carry, 0 to 1.
    nmi, ami
        Agreement of clusters and modalities; 1: the clusters are the modalities, about 0: they ignore them.
    """

    points: np.ndarray
    is_image: np.ndarray
    cluster: np.ndarray
    labels: tuple[str, ...]
    share: float
    nmi: float
    ami: float

    def plot(self, ax: Axes | None = None, title: str = "") -> Axes:
        """Points in a plane: colour says modality, marker says cluster."""
        with style.styled():
            ax = style.new_axes(5.0, 4.2) if ax is None else ax
            draw_clusters(ax, self, title)
        return ax


def two_clusters(
    text: Any, image: Any, labels: Sequence[str] = (), name: str = "states", seed: int = 0
) -> Clusters:
    """Split states in two by two-means and compare the split with the modality.

    Parameters
    ----------
    text, image
        `(position, width)`: states of text and of image positions.
    labels
        One for each position, text first; () for none.
    name, seed
        Of the random starts, as in the probe: the example's id and the sweep's seed.

    Raises
    ------
    ValueError
        When one side is empty, widths differ, or the number of labels is another.
    """
    import torch

    from value_nb.agreement import ami, contingency, nmi
    from value_nb.kmeans import two_means

    states, is_image = _stacked(text, image)
    named = tuple(labels) or ("",) * len(states)
    if len(named) != len(states):
        raise ValueError(f"{len(named)} labels for {len(states)} positions; expected one each")
    valid = torch.ones(1, len(states), dtype=torch.bool)
    split = two_means(torch.from_numpy(states)[None], valid, [name], seed=seed).labels[0].numpy().astype(bool)
    table = contingency(split, is_image, np.ones(len(states)))
    points, share = _plane(states, is_image)
    return Clusters(
        points, is_image, _named_split(split, is_image), named, share, float(nmi(table)), float(ami(table))
    )


def pair_clusters(trace: Trace, layer: int, specials: str = "paper", seed: int = 0) -> Clusters:
    """The states of one traced pair after a layer, split in two, as `FusionDegree` does it.

    Parameters
    ----------
    trace
        From `model.trace(example)`, of a model with one stack for both streams at one width.
    layer
        0 (embeddings) to the last.
    specials
        "paper": [CLS], [SEP] and global rows count with their stream; "excluded": they are left out.
    seed
        Of the sweep that it is to agree with.

    Raises
    ------
    ValueError
        For a model without such a stack, another `specials`, or a layer that there is not.
    """
    if specials not in SPECIALS:
        raise ValueError(f"specials={specials!r}; expected one of {', '.join(map(repr, SPECIALS))}")
    stack = next((name for name in ("joint", "cross") if name in trace.stacks), None)
    if stack is None:
        raise ValueError(f"no stack of {trace.model} holds text and image; it has: {', '.join(trace.stacks)}")
    if not 0 <= layer <= trace.stacks[stack]:
        raise ValueError(f"layer={layer!r}; expected 0 to {trace.stacks[stack]}")
    states, labels = [], list[str]()
    for stream in ("text", "image"):
        positions = trace.streams[stream]
        kept = (
            np.ones(len(positions.tokens), dtype=bool)
            if specials == "paper"
            else positions.position_class != SPECIAL
        )
        states.append(trace.hidden[stack][stream][layer][kept])
        labels += [token for token, keep in zip(positions.tokens, kept, strict=True) if keep]
    return two_clusters(states[0], states[1], labels=labels, name=trace.example.id, seed=seed)


def draw_clusters(ax: Axes, clusters: Clusters, title: str = "") -> None:
    """Draw into axes, which are emptied first; text positions carry their token."""
    ax.clear()
    for image, colour in ((False, TEXT), (True, IMAGE)):
        for cluster, marker in enumerate(MARKERS):
            chosen = (clusters.is_image == image) & (clusters.cluster == bool(cluster))
            x, y = clusters.points[chosen].T
            dressed: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.7, "alpha": 0.85, "zorder": 3}
            ax.scatter(x, y, s=46, c=colour, marker=marker, **dressed)
    _name_points(ax, clusters)
    ax.set(xticks=[], yticks=[], title=title)
    ax.set_xlabel(f"first two principal axes ({clusters.share:.0%} of the variance)")
    for side in ax.spines.values():
        side.set(visible=True, color="#b0b0b0")
    ax.margins(0.12)
    _explain(ax, clusters)


def _explain(ax: Axes, clusters: Clusters) -> None:
    """Legend: colours are modalities, markers are clusters."""
    from matplotlib.lines import Line2D

    n_image = int(clusters.is_image.sum())
    entries = [
        (TEXT, "s", f"text ({len(clusters.is_image) - n_image})"),
        (IMAGE, "s", f"image ({n_image})"),
        ("#404040", MARKERS[0], f"group A ({int((~clusters.cluster).sum())})"),
        ("#404040", MARKERS[1], f"group B ({int(clusters.cluster.sum())})"),
    ]
    handles = [
        Line2D([], [], linestyle="none", color=colour, marker=marker, markersize=7, label=label)
        for colour, marker, label in entries
    ]
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncol=4,
        columnspacing=0.4,
        handletextpad=0.0,
        fontsize=8,
    )


def _name_points(ax: Axes, clusters: Clusters) -> None:
    """Tokens beside text points, those left out that would lie on one already written."""
    span = np.ptp(clusters.points, axis=0)
    reach = np.where(span > 0, span, 1.0) * [0.16, 0.05]
    written: list[np.ndarray] = []
    for index in np.flatnonzero(~clusters.is_image):
        point = clusters.points[index]
        if not clusters.labels[index] or any((np.abs(point - other) < reach).all() for other in written):
            continue
        written.append(point)
        ax.annotate(
            clusters.labels[index],
            point,
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=8,
            color=TEXT,
            zorder=4,
        )


def _stacked(text: Any, image: Any) -> tuple[np.ndarray, np.ndarray]:
    parts = [np.asarray(side, dtype=np.float32) for side in (text, image)]
    if any(part.ndim != 2 or not len(part) for part in parts) or parts[0].shape[1] != parts[1].shape[1]:
        raise ValueError(
            f"states of shapes {parts[0].shape} and {parts[1].shape}; expected (position, width) twice, "
            "with at least one position each and one width: text and image states must lie in one space"
        )
    return np.concatenate(parts), np.arange(len(parts[0]) + len(parts[1])) >= len(parts[0])


def _plane(states: np.ndarray, is_image: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal axes; text lies to the left and, if it can, below, so that layers compare."""
    centred = states.astype(np.float64) - states.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(states), 2))
    points[:, : min(2, len(sizes))] = (left * sizes)[:, :2]
    gap = points[is_image].mean(axis=0) - points[~is_image].mean(axis=0)
    total = float((sizes**2).sum())
    return points * np.where(gap < 0, -1.0, 1.0), float((sizes[:2] ** 2).sum()) / total if total > 0 else 0.0


def _named_split(split: np.ndarray, is_image: np.ndarray) -> np.ndarray:
    """Cluster B is the one with the larger share of image positions: names do not flip between layers."""
    shares = [is_image[split == side].mean() if (split == side).any() else -1.0 for side in (False, True)]
    return split if shares[1] >= shares[0] else ~split
