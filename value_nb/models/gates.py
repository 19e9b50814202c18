"""Which block of attention is open in which sublayer, and which published layer a sublayer belongs to.

The gated bimodal encoder (Bugliarello et al. 2021) is one list of sublayers. A model is a choice of gates:
UNITER opens all four blocks everywhere, LXMERT and ViLBERT open them in turn. Readers count *published*
layers of a stack ("joint", or "text", "image" and "cross"), never sublayers; this file is the bridge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, zip_longest

STREAMS = ("text", "image")
DIRECTIONS = ("text->text", "text->image", "image->text", "image->image")
CO_ATTENTION = ("text->image", "image->text")

Place = tuple[str, int]
"""A published layer: (stack, 1-based layer)."""


def query_of(direction: str) -> str:
    """Stream of the queries: "text" for "text->image"."""
    return direction.split("->", maxsplit=1)[0]


def key_of(direction: str) -> str:
    """Stream of the keys: "image" for "text->image"."""
    return direction.split("->")[1]


@dataclass(frozen=True, slots=True)
class Sublayer:
    """One step of the encoder: attention (has directions) or feed-forward (has none).

    Attributes
    ----------
    places
        Stream that this step rewrites -> the published layer that the step is part of.
    directions
        The open blocks, "query->key"; empty for a feed-forward step.
    shared
        One set of weights serves both streams.
    cross
        Co-attention: width and heads are those of the co-attention, not of the stream.
    """

    places: dict[str, Place]
    directions: tuple[str, ...] = ()
    shared: bool = False
    cross: bool = False

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams that this step rewrites."""
        return tuple(self.places)


@dataclass(frozen=True, slots=True)
class Gates:
    """All sublayers of an encoder in order.

    Attributes
    ----------
    sublayers
        The steps, in the order in which they run.
    stacks
        Published stacks and their numbers of layers, in the order in which a reader meets them.
    """

    sublayers: tuple[Sublayer, ...]
    stacks: dict[str, int] = field(default_factory=dict)

    def members(self, place: Place) -> list[tuple[int, str]]:
        """(sublayer index, stream) pairs that make up a published layer."""
        return [(i, s) for i, sub in enumerate(self.sublayers) for s, p in sub.places.items() if p == place]

    def streams(self, stack: str) -> tuple[str, ...]:
        """Streams that a stack rewrites."""
        found = {s for sub in self.sublayers for s, (name, _) in sub.places.items() if name == stack}
        return tuple(s for s in STREAMS if s in found)

    def directions(self, stack: str) -> tuple[str, ...]:
        """Directions for which a stack has attention maps."""
        found = {d for sub in self.sublayers for d in sub.directions if sub.places[query_of(d)][0] == stack}
        return tuple(d for d in DIRECTIONS if d in found)

    def attention_sublayers(self, place: Place, direction: str) -> list[int]:
        """Indices of the sublayers of a published layer in which a block is open.

        More than one only where several self-attention layers follow one co-attention (no released model).
        """
        query = query_of(direction)
        return [i for i, s in self.members(place) if s == query and direction in self.sublayers[i].directions]

    def first(self, stack: str) -> int:
        """Index of the first sublayer of a stack."""
        return next(
            i for i, sub in enumerate(self.sublayers) if stack in {name for name, _ in sub.places.values()}
        )


def single_stream(layers: int) -> Gates:
    """UNITER, VisualBERT, VL-BERT: every layer is joint attention over both streams, then feed-forward."""
    steps: list[Sublayer] = []
    for layer in range(1, layers + 1):
        places = dict.fromkeys(STREAMS, ("joint", layer))
        steps += [Sublayer(places, DIRECTIONS, shared=True), Sublayer(places, shared=True)]
    return Gates(tuple(steps), {"joint": layers})


def lxmert(text_layers: int, image_layers: int, cross_layers: int) -> Gates:
    """LXMERT: text and image layers side by side, then cross layers.

    A cross layer is one co-attention whose weights serve both directions, self-attention of each stream,
    feed-forward of each stream.
    """
    text = [("text", layer) for layer in range(1, text_layers + 1)]
    image = [("image", layer) for layer in range(1, image_layers + 1)]
    steps = _self_layers(text, image)
    for layer in range(1, cross_layers + 1):
        place = ("cross", layer)
        both = dict.fromkeys(STREAMS, place)
        steps += [Sublayer(both, CO_ATTENTION, shared=True, cross=True), *_self_layers([place], [place])]
    stacks = {"text": text_layers, "image": image_layers, "cross": cross_layers}
    return Gates(tuple(steps), _present(stacks))


def vilbert(
    text_layers: int, image_layers: int, text_ids: tuple[int, ...], image_ids: tuple[int, ...]
) -> Gates:
    """ViLBERT: co-attention k stands before text layer `text_ids[k]` and image layer `image_ids[k]`.

    Layers before the first co-attention are the stacks "text" and "image"; cross layer k is co-attention k
    (with its feed-forward) and the text and image layers that follow it up to the next co-attention.
    Where several layers of one stream follow, the published map is the last one's.
    """
    text, image = _blocks(text_layers, text_ids), _blocks(image_layers, image_ids)
    steps = _self_layers(
        [("text", i + 1) for i in range(text[0])], [("image", i + 1) for i in range(image[0])]
    )
    for layer in range(1, len(text_ids) + 1):
        place = ("cross", layer)
        both = dict.fromkeys(STREAMS, place)
        steps += [Sublayer(both, CO_ATTENTION, cross=True), Sublayer(both)]
        steps += _self_layers([place] * text[layer], [place] * image[layer])
    return Gates(tuple(steps), _present({"text": text[0], "image": image[0], "cross": len(text_ids)}))


def _blocks(layers: int, ids: tuple[int, ...]) -> list[int]:
    """Number of layers before the first co-attention, then after each."""
    edges = (0, *ids, layers)
    return [last - first for first, last in pairwise(edges)]


def _self_layers(text: list[Place], image: list[Place]) -> list[Sublayer]:
    """Self-attention and feed-forward of each stream; the j-th layers of both streams share their steps."""
    steps: list[Sublayer] = []
    for text_place, image_place in zip_longest(text, image):
        places = {s: p for s, p in zip(STREAMS, (text_place, image_place), strict=True) if p is not None}
        steps += [Sublayer(places, tuple(f"{s}->{s}" for s in places)), Sublayer(places)]
    return steps


def _present(stacks: dict[str, int]) -> dict[str, int]:
    return {stack: layers for stack, layers in stacks.items() if layers}
