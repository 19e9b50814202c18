"""Visual coreference as classification: VCD, do phrase and region belong together, and VCC, of which type."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from value_nb.controls import matched
from value_nb.probes.base import Kept
from value_nb.probes.items import Item
from value_nb.probes.lemma import lemma
from value_nb.probes.questions import ATTENTION, BILINEAR, EMBEDDING, Question, Questions
from value_nb.probes.spans import regions, words
from value_nb.probes.squares import SIDES, pairs_of, squares
from value_nb.probes.views import Attention, Bilinear, States, View

if TYPE_CHECKING:
    from value_nb.data.example import Example, Phrase

DETECTION, SAME_CLASS, CLASSIFICATION = "VCD", "VCD of one class", "VCC"
TOGETHER, APART = "together", "apart"


class CoreferenceProbe(Questions):
    """Linear classifiers on a phrase and a region: visual coreference detection and classification.

    Sweep over all splits in one go: `sweep(model, load_splits("mini-flickr30k"), [CoreferenceProbe()])`.

    VCD
        Do phrase and region belong together? Two chains of one caption make a square (`squares`): both linked
        pairs, and both with the regions changed over. So the phrase alone and the region alone answer exactly
        half of them, and any score of the phrase plus any score of the region adds up to the same over both
        kinds of pairs: a linear map of the two states side by side, the paper's embedding probe, has nothing
        to learn from whatever the states hold. The group is therefore "bilinear embedding probe": products
        of leading components stand beside the states (`Bilinear`).
    VCD of one class
        The same over squares whose two regions have one class: which of two people, not person or dog.
    VCC
        Of which entity type is a linked pair? Every linked phrase of one type with each of its regions. The
        paper warns that the phrase alone can give it away, so "VCC, embedding probe: phrase only" and
        ": region only" stand beside it, at the best layer.

    The attention probe is the paper's: p(c | i, j) proportional to exp(sum over heads k of
    w[c, k] alpha_k(i, j) + u[c, k] alpha_k(j, i)), all heads of all layers, on standardised attention.

    Controls: random weights (one seed); mismatched pairs for the states alone (that of the phrase from its
    caption with the picture of a partner, that of the region from its picture with the partner's caption); a
    control task whose types are head lemmas (VCC), and head lemma with region class (VCD); majority.

    See `Questions` and `ClassifierProbe` for measures and groups. All are shares between 0 and 1, higher:
    more can be read off. VALUE, visual coreference.

    Parameters
    ----------
    questions
        Among "VCD", "VCD of one class", "VCC".
    components
        Leading components of either side whose products the bilinear probe sees.
    settings
        `description_length`, `grid`, `limit`, `dtype`, `n_jobs`: see `ClassifierProbe`.
    """

    name = "coreference_probe"
    title = "Visual coreference: detection and classification"
    question = "Do a phrase and a region belong together, and of which type is a linked pair?"
    counts: ClassVar[dict[str, str]] = {"": "pairs of phrase and region", "type_recurrence": "types"}
    keeps: ClassVar[Kept] = "both"
    QUESTIONS = (DETECTION, SAME_CLASS, CLASSIFICATION)

    def __init__(self, questions: Sequence[str] = QUESTIONS, components: int = 16, **settings: Any) -> None:
        self.components = int(components)
        super().__init__(questions, **settings)

    def _question(self, name: str, settings: dict[str, Any]) -> Question:
        if name == CLASSIFICATION:
            return Classification(name, **settings)
        return Detection(name, self.components, name == SAME_CLASS, **settings)


class Coreference(Question):
    """What both questions share: of a mismatched pair, only the side that is the item's own counts."""

    keeps: ClassVar[Kept] = "both"

    @abstractmethod
    def asked(self, example: Example) -> list[Item]:
        """The items of a matched example."""

    def items(self, example: Example) -> list[Item]:
        """Items of the example; of a mismatched one those of the example it was made from, with one side."""
        side = {"caption": "phrase", "picture": "region"}.get(example.extra.get("kept", ""))
        found = self.asked(matched(example))
        return found if side is None else [replace(i, spans={side: i.spans[side]}) for i in found]


class Detection(Coreference):
    """VCD: do phrase and region belong together?

    Parameters
    ----------
    name
        Of the question.
    components
        Of the bilinear view.
    same_class
        Squares whose regions have one class.
    settings
        Of `ClassifierProbe`.
    """

    def __init__(self, name: str, components: int, same_class: bool, **settings: Any) -> None:
        self.components, self.same_class = components, same_class
        super().__init__(name, **settings)

    def asked(self, example: Example) -> list[Item]:
        """Four for each square."""
        return [
            item(example, phrase, region, TOGETHER if linked else APART, detection=True)
            for square in squares(example, self.seed, self.same_class)
            for phrase, region, linked in pairs_of(square)
        ]

    def views(self) -> Sequence[View]:
        """Attention, and the states with their products."""
        return [
            Attention(SIDES, name=ATTENTION),
            Bilinear(SIDES, name=BILINEAR, components=self.components),
        ]


class Classification(Coreference):
    """VCC: of which entity type is a linked pair? Phrases of several types are left out."""

    def asked(self, example: Example) -> list[Item]:
        """One for each linked pair."""
        return [
            item(example, phrase, region, phrase.types[0], detection=False)
            for phrase in example.phrases
            if len(phrase.types) == 1
            for region in phrase.regions
        ]

    def views(self) -> Sequence[View]:
        """Attention, and the states."""
        return [Attention(SIDES, name=ATTENTION), States(SIDES, name=EMBEDDING)]


def item(example: Example, phrase: Phrase, region: int, label: str, detection: bool) -> Item:
    """A pair of phrase and region; the control task's type is the head lemma, for VCD with the class."""
    head = lemma(example.words[phrase.last])
    names = () if example.regions is None else example.regions.names
    return Item(
        name=f"{example.id}/{phrase.first}-{phrase.last}/{region}",
        label=label,
        spans={"phrase": words(phrase.words), "region": regions(region)},
        type=f"{head} / {names[region]}" if detection else head,
    )
