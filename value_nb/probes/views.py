"""What a classifier probe looks at: the states of spans, or the attention between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from value_nb.models.gates import query_of
from value_nb.probes.spans import Placed, pool_attention, pool_states

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel


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
