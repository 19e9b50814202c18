"""What a classifier probe looks at: the states of spans, or the attention between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from value_nb.models.gates import query_of
from value_nb.probes.spans import Placed, pool_attention, pool_states

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel


VARIANCE = 1e-6  # of a component, the mean feature having one: below, it is rounding


class View(ABC):
    """One kind of features of an item, taken from each layer as it comes by.

    Attributes
    ----------
    name
        Stands in the column `group` of results.
    streams
        Side -> the stream that its spans are of, for the sides that the view looks at.
    per_layer
        True: a classifier for each layer. False: one classifier on all layers together.
    """

    name: str
    streams: Mapping[str, str]
    per_layer: bool

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Names of the blocks of features that `extract` gives."""

    @property
    def alone(self) -> tuple[str, ...]:
        """Parts that are also tried without the others, against leakage; none unless a view says so."""
        return ()

    @abstractmethod
    def stacks(self, model: VLModel) -> frozenset[str]:
        """The stacks of the model that have what it looks at."""

    @property
    def hidden(self) -> bool:
        """Whether it looks at hidden states."""
        return False

    @property
    def directions(self) -> frozenset[str]:
        """The directions whose maps it looks at."""
        return frozenset()

    @abstractmethod
    def extract(self, batch: LayerBatch, placed: Mapping[str, Placed]) -> dict[str, Tensor]:
        """Features of the items of a batch that have all its sides.

        Parameters
        ----------
        batch
            A layer of one of its stacks.
        placed
            Side -> where the items' spans are.

        Returns
        -------
        Part -> `(item, feature)`; empty where this layer has none (layer 0 has no maps).
        """

    def combine(self, blocks: Sequence[np.ndarray], train: np.ndarray) -> np.ndarray:
        """What a classifier is given: the blocks side by side, unless a view makes more of them.

        Parameters
        ----------
        blocks
            `(item, feature)` each: the parts, layer by layer where layers are taken together.
        train
            Rows of the training items, from which alone anything may be learned.
        """
        return np.concatenate(blocks, axis=1)

    def wants(self, sides: frozenset[str]) -> frozenset[str]:
        """Of the sides that an item brings, those that it takes: all of its own, or none."""
        mine = frozenset(self.streams)
        return mine if mine <= sides else frozenset()


@dataclass(frozen=True)
class States(View):
    """Hidden states of the sides of an item, one after the other: the paper's embedding probe.

    Parameters
    ----------
    streams
        Side -> "text" or "image", for instance {"phrase": "text", "region": "image"}.
    name
        Of the view.
    one_side
        Also fit each side alone, at the best layer, where there are several.
    """

    streams: Mapping[str, str]
    name: str = "embedding"
    one_side: bool = True
    per_layer = True
    hidden = True

    @property
    def parts(self) -> tuple[str, ...]:
        """One for each side."""
        return tuple(self.streams)

    @property
    def alone(self) -> tuple[str, ...]:
        """Each side, where there are several."""
        return self.parts if self.one_side and len(self.parts) > 1 else ()

    def stacks(self, model: VLModel) -> frozenset[str]:
        """Stacks that hold the streams of all sides."""
        wanted = set(self.streams.values())
        return frozenset(s for s in model.stacks if wanted <= set(map(query_of, model.directions[s])))

    def wants(self, sides: frozenset[str]) -> frozenset[str]:
        """Whatever of its own there is: sides may come from different passes."""
        return frozenset(self.streams) & sides

    def extract(self, batch: LayerBatch, placed: Mapping[str, Placed]) -> dict[str, Tensor]:
        """Mean over the positions of a unit, then over the units."""
        return {side: pool_states(batch.hidden[where.stream], where) for side, where in placed.items()}


@dataclass(frozen=True)
class Bilinear(States):
    """Hidden states of two sides and the products of their leading components: whether two things match.

    A linear map of two states side by side scores a pair by a sum, f(first) + g(second). Where pairs and
    their swaps are equally often right and wrong such a sum is of no use whatever the states hold, so
    what two sides have to do with each other needs products. Components are principal components of the
    standardised states, whitened, learned on training items; a side alone is taken as it is.

    Parameters
    ----------
    streams, name, one_side
        As in `States`, with exactly two sides.
    components
        Of each side; there are components^2 products.
    """

    components: int = 16

    def __post_init__(self) -> None:
        if len(self.streams) != 2 or self.components < 1:
            raise ValueError(
                f"sides {list(self.streams)} and components={self.components} came; expected exactly two "
                "sides and at least one component"
            )

    def combine(self, blocks: Sequence[np.ndarray], train: np.ndarray) -> np.ndarray:
        """Both states, then the products; `(item, widths + components^2)` float32."""
        if len(blocks) != len(self.parts):
            return super().combine(blocks, train)
        first, second = (leading_components(block, train, self.components) for block in blocks)
        products = (first[:, :, None] * second[:, None, :]).reshape(len(first), -1)
        return np.concatenate([*blocks, products], axis=1, dtype=np.float32)


def leading_components(block: np.ndarray, train: np.ndarray, most: int) -> np.ndarray:
    """Principal components of standardised features, learned on the training rows, with variance one there.

    Parameters
    ----------
    block
        `(item, feature)`.
    train
        Rows to learn from.
    most
        Components wanted.

    Returns
    -------
    `(item, component)` float64: the first `most`, or as many as there are with variance, in order of it.
    """
    values = block.astype(np.float64)
    spread = values[train].std(axis=0)
    values = (values - values[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    variances, axes = np.linalg.eigh(values[train].T @ values[train] / len(train))
    order = np.argsort(variances)[::-1][:most]
    order = order[variances[order] > VARIANCE]
    return values @ axes[:, order] / np.sqrt(variances[order])


@dataclass(frozen=True)
class Attention(View):
    """Attention between the two sides of an item, by every head, both ways: the paper's attention probe.

    Parameters
    ----------
    streams
        The two sides and their streams; both may be of one stream (two regions).
    name
        Of the view.
    per_layer
        False, as in the paper: one classifier on the heads of all layers.
    """

    streams: Mapping[str, str]
    name: str = "attention"
    per_layer: bool = False

    def __post_init__(self) -> None:
        if len(self.streams) != 2:
            raise ValueError(f"sides {list(self.streams)} came; attention lies between exactly two")

    @property
    def parts(self) -> tuple[str, ...]:
        """First to second, and second to first."""
        first, second = self.streams
        return f"{first}->{second}", f"{second}->{first}"

    @property
    def directions(self) -> frozenset[str]:
        """Both ways between the streams of the sides."""
        first, second = self.streams.values()
        return frozenset({f"{first}->{second}", f"{second}->{first}"})

    def stacks(self, model: VLModel) -> frozenset[str]:
        """Stacks that have both directions."""
        return frozenset(s for s in model.stacks if self.directions <= set(model.directions[s]))

    def extract(self, batch: LayerBatch, placed: Mapping[str, Placed]) -> dict[str, Tensor]:
        """From a span: mean over its words; to a span: sum. `(item, head)` each."""
        (a, b), (there, back) = self.streams, self.parts
        if not batch.attention:
            return {}
        first, second = placed[a], placed[b]
        return {
            there: pool_attention(batch.attention[f"{first.stream}->{second.stream}"], first, second),
            back: pool_attention(batch.attention[f"{second.stream}->{first.stream}"], second, first),
        }
