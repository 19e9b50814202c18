"""Visual coreference, attention trace: do phrases and regions look at each other? (VALUE, third probe.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from value_nb import stats
from value_nb.probes.base import Needs, Probe
from value_nb.probes.coreference_looks import Gathered, Looks
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


class CoreferenceAttention(Probe):
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
        self._mentions: list[Mention] = []
        self._looks = Gathered()
        self._batch: tuple[Layout | None, Placed | None] = (None, None)

    def state(self) -> dict[str, Any]:
        """Mentions and what they look at; the batch at hand goes."""
        return {"_mentions": self._mentions, "_looks": self._looks}

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

    def update(self, batch: LayerBatch) -> None:
        """Keep of every mention and head the region looked at most and two mean weights."""
        for direction in DIRECTIONS:
            if direction not in batch.attention:
                continue
            placed = self._placed(batch.layout)
            if placed is not None:
                weights = pooled(batch.attention[direction], placed, direction)
                self._looks.add((direction, (batch.stack, batch.layer)), Looks.of(weights, placed))

    def _placed(self, layout: Layout) -> Placed | None:
        """The mentions of the batch, found once for all its layers."""
        if self._batch[0] is not layout:
            placed = place(layout, self.seed)
            self._batch = (layout, placed)
            self._mentions.extend(placed.mentions if placed else ())
        return self._batch[1]

    def rows(self, *, replicates: int = stats.REPLICATES) -> list[dict[str, Any]]:
        """Values by direction, layer, head, measure and entity type, with intervals over images."""
        self._batch = (None, None)
        if not self._mentions:
            return []
        table = Table.of(self._mentions, self._looks)
        choosing, scoring = parts(table.images, table.splits, self.choose_on, self.seed)
        parted = table.take(choosing), table.take(scoring)
        return all_rows(*parted, self.seed, self.permutations, replicates, self.progress)
