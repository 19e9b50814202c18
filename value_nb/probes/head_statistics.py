"""What single heads do in a sentence, as a few numbers each: how far, how widely and where they look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from value_nb.layout import PositionClass
from value_nb.probes.views import View

if TYPE_CHECKING:
    from torch import Tensor

    from value_nb.layout import LayerBatch
    from value_nb.models.base import VLModel
    from value_nb.probes.spans import Placed

DIRECTION = "text->text"
STATISTICS = ("distance", "entropy", "cls", "sep", "self", "previous", "next")
TINY = 1e-12  # a share of attention below this counts as none


@dataclass(frozen=True)
class HeadStatistics(View):
    """How each head looks around in a sentence: the attention variant of a text probe.

    For every piece of a word, the attention of one head to the sentence, p over its positions, [CLS] and
    [SEP] included (scaled to sum to one where part of it goes to a picture), gives seven numbers:

    distance
        Mean distance in positions from the piece to the pieces of words that it attends to, weighted by p
        among these alone; 0 where nothing goes to words other than the piece itself.
    entropy
        - sum of p log p, in nats; 0: one position gets all, log(positions): all get the same.
    cls, sep, self, previous, next
        p of [CLS], of [SEP], of the piece itself, of the position before it and of that behind it, 0 to 1.
        The neighbours of the first and the last piece are [CLS] and [SEP].

    Each is averaged over the pieces of a word, then over the words, so that an item has one number for each
    statistic and head, whatever its length.

    Parameters
    ----------
    streams
        The side that is asked for, a span of words, for instance {"words": "text"}.
    name
        Of the view.
    per_layer
        False: one classifier on the heads of all layers.
    """

    streams: Mapping[str, str]
    name: str = "heads"
    per_layer: bool = False

    def __post_init__(self) -> None:
        if list(self.streams.values()) != ["text"]:
            raise ValueError(f"streams is {dict(self.streams)}; expected one side, of the text")

    @property
    def parts(self) -> tuple[str, ...]:
        """The seven statistics."""
        return STATISTICS

    @property
    def directions(self) -> frozenset[str]:
        """Attention among words."""
        return frozenset({DIRECTION})

    def stacks(self, model: VLModel) -> frozenset[str]:
        """Stacks in which words attend to words."""
        return frozenset(s for s in model.stacks if DIRECTION in model.directions[s])

    def extract(self, batch: LayerBatch, placed: Mapping[str, Placed]) -> dict[str, Tensor]:
        """Statistic -> `(item, head)`; nothing for a layer without maps."""
        import torch

        if not batch.attention:
            return {}
        (where,) = placed.values()
        block, classes = batch.attention[DIRECTION], batch.layout.streams["text"].position_class
        example, position = (torch.from_numpy(a).to(block.device) for a in (where.example, where.position))
        found = head_statistics(block[example, :, position], position, classes[example])
        return {name: _pooled(values, where) for name, values in found.items()}


def head_statistics(rows: Tensor, queries: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """The seven statistics of single rows of attention; see `HeadStatistics` for what they mean.

    Parameters
    ----------
    rows
        `(entry, head, key)`: what one piece of a word gives to every position of the text.
    queries
        `(entry,)` the position of that piece: not the first and not the last of its sentence.
    classes
        `(entry, key)` position classes of that sentence; the first valid position is [CLS], the last [SEP].

    Returns
    -------
    Statistic -> `(entry, head)` float32.
    """
    import torch

    valid, words = classes != PositionClass.PAD, classes == PositionClass.TEXT
    p = rows.float() * valid[:, None]
    p = p / p.sum(dim=-1, keepdim=True).clamp_min(TINY)
    to_words = p * words[:, None]
    away = (torch.arange(p.shape[-1], device=p.device)[None] - queries[:, None]).abs()
    last = valid.sum(dim=-1) - 1
    spots = {
        "cls": torch.zeros_like(queries), "sep": last, "self": queries, "previous": queries - 1,
        "next": queries + 1,
    }  # fmt: skip
    return {
        "distance": (to_words * away[:, None]).sum(-1) / to_words.sum(-1).clamp_min(TINY),
        "entropy": -torch.xlogy(p, p).sum(dim=-1),
        **{name: _at(p, keys) for name, keys in spots.items()},
    }


def _at(p: Tensor, keys: Tensor) -> Tensor:
    """`(entry, head)`: what each row gives to its own key `(entry,)`."""
    return p.gather(-1, keys[:, None, None].expand(-1, p.shape[1], 1)).squeeze(-1)


def _pooled(values: Tensor, where: Placed) -> Tensor:
    """`(item, head)` from `(entry, head)`: mean over the pieces of a word, then over words."""
    import torch

    span, share = (torch.from_numpy(a).to(values.device) for a in (where.span, where.share))
    pooled = values.new_zeros((where.n, values.shape[1]))
    return pooled.index_add_(0, span, values * share[:, None])
