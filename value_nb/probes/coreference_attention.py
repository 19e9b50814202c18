"""Visual coreference, attention trace: do phrases and regions look at each other? (VALUE, third probe.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from value_nb import stats
from value_nb.probes.base import Needs
from value_nb.probes.batchwise import Batchwise, Reduced
from value_nb.probes.coreference_looks import Gathered, Looks, reduced
from value_nb.probes.coreference_rows import CHANCES, HEAD_MEASURES, all_rows
from value_nb.probes.coreference_table import Table, parts
from value_nb.probes.mentions import DIRECTIONS, Mention, Placed, place, pooled

if TYPE_CHECKING:
    from value_nb.layout import LayerBatch, Layout
    from value_nb.models.base import VLModel

OF_CHOSEN = (
    "chosen_hit_rate", "chosen_hit_rate_on_choice", "chosen_permuted", "chosen_permuted_within_type",
    "p", "p_holm", "p_within_type", "p_within_type_holm", "p_error",
)  # fmt: skip


class CoreferenceAttention(Batchwise):
    """Follows the attention between each phrase and the regions that show it.

    Attention to a phrase is the sum over its words, from a phrase the mean over them. "image->text": what
    regions give to the phrase; "text->image": what the phrase gives to regions. In either direction the
    regions of the picture compete for the phrase, in every layer that has the direction. A region that
    overlaps a gold box of the phrase (IoU of at least 0.5) without being linked is neither linked nor
    unlinked. Measures of single heads, each a mean over mentions of phrases, by entity type (`group`, or
    "all"):

    hit_rate
        Share of mentions whose largest weight falls on a linked or overlapping region; 0 to 1.
    hit_rate_linked
        The same for linked regions alone; what is missing fell on overlapping ones.
    linked_weight, unlinked_weight
        Mean weight of the linked, and of the unlinked regions.
    p_max
        P-value of the hit rate that holds for all heads of the direction at once (maximum statistic).

    A head is chosen for each type and direction by its hit rate on the validation images, or, where only
    one split comes, on half of the images; everything else is of the other images, but for
    `hit_rate_on_choice`, the hit rate of every head on the images that choose (group "all"), by which heads
    can be ranked without looking at the test. For chosen heads:

    chosen_hit_rate, chosen_hit_rate_on_choice
        On the images of the test, and on those it was chosen on (too good: it was chosen for it).
    chosen_permuted, chosen_permuted_within_type
        Mean over permutations in which the chains of a picture swap their regions, and in which only chains
        of the type do, so that the class of a thing does not help.
    p, p_holm, p_within_type, p_within_type_holm, p_error
        P-values of both permutation tests, corrected over types x directions, and the Monte Carlo standard
        error of `p`.

    And for the mentions: `chance` and `chance_linked` (regions that are a hit / all), `largest_region` and
    `central_region` (hit rate of always guessing that one), `images_with_one_chain` (nothing to swap: these
    pictures count in rates and in no permutation) and `images_with_one_chain_of_type`.

    In mismatched pairs each chain is given regions of the other picture at random, as many as it has in its
    own.

    Parameters
    ----------
    choose_on
        The split whose images choose the heads, where the examples are of several.
    permutations
        How many are drawn; with 2,500 no p-value has a Monte Carlo error above 0.01.
    """

    title: str = "Visual coreference: attention trace"
    question: str = "Do a phrase and the region that shows it look at each other?"
    counts: ClassVar[dict[str, str]] = {
        **dict.fromkeys((*HEAD_MEASURES, *CHANCES, "hit_rate_on_choice", "p_max", *OF_CHOSEN), "mentions"),
        "images_with_one_chain": "images",
        "images_with_one_chain_of_type": "images",
    }

    def __init__(self, choose_on: str = "val", permutations: int = stats.PERMUTATIONS) -> None:
        if permutations < 1:
            raise ValueError(
                f"permutations={permutations}; at least 1 is needed, {stats.PERMUTATIONS} are usual"
            )
        self.name = "coreference_attention"
        self.choose_on, self.permutations = choose_on, permutations
        self._start()

    def _start(self) -> None:
        super()._start()
        self._mentions: list[Mention] = []
        self._looks = Gathered()

    def _absorb(self, other: Self) -> None:
        self._mentions.extend(other._mentions)
        self._looks.absorb(other._looks)

    def needs(self, model: VLModel) -> Needs:
        """The blocks between the modalities."""
        there = {stack: set(names) & set(DIRECTIONS) for stack, names in model.directions.items()}
        stacks = frozenset(stack for stack, names in there.items() if names)
        return Needs(stacks=stacks, attention=frozenset().union(*there.values()))

    def not_defined(self, model: VLModel) -> str | None:
        """There has to be attention between the modalities."""
        if any(set(names) & set(DIRECTIONS) for names in model.directions.values()):
            return None
        return f"{model.name} has no attention between text and image (stacks: {', '.join(model.stacks)})"

    def _look(self, layout: Layout) -> Placed | None:
        placed = place(layout, self.seed)
        self._mentions.extend(placed.mentions if placed else ())
        return placed

    def _reduce(self, batch: LayerBatch, about: Placed) -> Iterator[Reduced]:
        """Of every mention and head the region looked at most, and two mean weights."""
        for direction in DIRECTIONS:
            if direction in batch.attention:
                weights = pooled(batch.attention[direction], about, direction)
                yield (direction, (batch.stack, batch.layer)), reduced(weights, about)

    def _add(self, about: Placed, keys: Sequence[Any], *values: np.ndarray) -> None:
        for key, top, weights in zip(keys, *values, strict=True):
            self._looks.add(key, Looks(top, weights))

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[dict[str, Any]]:
        """Values by direction, layer, head, measure and entity type, with intervals over images."""
        self.settle()
        if not self._mentions:
            return []
        table = Table.of(self._mentions, self._looks)
        choosing, scoring = parts(table.images, table.splits, self.choose_on, self.seed)
        parted = table.take(choosing), table.take(scoring)
        return all_rows(*parted, self.seed, self.permutations, replicates, self.progress)
