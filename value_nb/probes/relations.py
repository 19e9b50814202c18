"""Visual relations as classification: VRI, is there a relation between two regions, and VRC, which one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from value_nb.controls import matched
from value_nb.probes.base import Kept
from value_nb.probes.geometry import aspect, relative_geometry
from value_nb.probes.items import Item
from value_nb.probes.questions import ATTENTION, EMBEDDING, Question, Questions
from value_nb.probes.region_pairs import Asked, Plan, gather, plan_predicates, plan_relations
from value_nb.probes.spans import regions
from value_nb.probes.views import Attention, States, View

if TYPE_CHECKING:
    from value_nb.data.example import Example

IDENTIFICATION, CLASSIFICATION = "VRI", "VRC"
CLASS_PAIR, GEOMETRY, BOTH = "class pair only", "geometry only", "class pair + geometry"
SIDES: Mapping[str, str] = {"subject": "image", "object": "image"}
PREDICATES = 32  # the paper's number
EDGES = (0.15, 0.3)


class RelationProbe(Questions):
    """Linear classifiers on two regions: visual relation identification and classification.

    Sweep over all splits in one go: `sweep(model, load_splits("mini-vg"), [RelationProbe()])`. An example is
    a picture with one region description. A pair of regions is asked with one description that names both
    and one that does not, where there are such, and scores are also given for either alone: the groups
    "VRI, embedding probe, pair mentioned" and ", pair not mentioned".

    VRI
        Does a relation hold from subject to object? For every related pair there is one, of the same split,
        class pair (subject, object), distance bin and kind of caption, between which no relation holds in
        either direction (`plan_relations`). So class pair and distance tell nothing: "VRI, class pair only"
        is right for one half.
    VRC
        Which of the `k` most frequent predicates of training holds? Pairs with one predicate.
        "VRC, chance" is 1 / number of predicates there are, at most `k`.

    The attention probe sees all heads of all layers that have "image->image", from subject to object and
    back; the embedding probe the two states, layer by layer, in every stack that has the image (a two-stream
    model: image and cross).

    Baselines that know no model: class pair only (the frequency prior), geometry only (`relative_geometry`),
    and both. Controls: random weights (one seed); mismatched pairs (the picture stays, the caption is a
    partner's; subsets as with the matched caption); a control task whose types are class pairs; majority.

    See `Questions` and `ClassifierProbe` for measures and groups. All are shares between 0 and 1, higher:
    more can be read off. VALUE, visual relations.

    Parameters
    ----------
    questions
        Among "VRI", "VRC".
    k
        Predicates of VRC.
    edges
        Edges of the distance bins of VRI, ascending, in shares of the picture's diagonal.
    settings
        `description_length`, `grid`, `limit`, `dtype`, `n_jobs`: see `ClassifierProbe`.
    """

    name = "relation_probe"
    title = "Visual relations: identification and classification"
    question = "Does a relation hold between two regions, and which?"
    counts: ClassVar[dict[str, str]] = {"": "pairs of regions", "type_recurrence": "types"}
    keeps: ClassVar[Kept] = "picture"
    prepares: ClassVar[bool] = True
    QUESTIONS = (IDENTIFICATION, CLASSIFICATION)

    def __init__(
        self,
        questions: Sequence[str] = QUESTIONS,
        k: int = PREDICATES,
        edges: Sequence[float] = EDGES,
        **settings: Any,
    ) -> None:
        if k < 2 or list(edges) != sorted(set(edges)):
            raise ValueError(
                f"k={k}, edges={list(edges)} came; expected at least two predicates, and ascending edges"
            )
        self.k, self.edges = int(k), [float(edge) for edge in edges]
        self._plans: dict[str, Plan] | None = None
        super().__init__(questions, **settings)

    def prepare(self, examples: Sequence[Example]) -> Self:
        """Draw the pairs that are asked about; the draw depends on the examples and the seed alone."""
        light = examples.without_features() if hasattr(examples, "without_features") else examples
        pictures = gather(light)
        self._plans = {}
        if IDENTIFICATION in self.questions:
            self._plans[IDENTIFICATION] = plan_relations(pictures, tuple(self.edges), self.seed)
        if CLASSIFICATION in self.questions:
            self._plans[CLASSIFICATION], _ = plan_predicates(pictures, self.k, self.seed)
        self._start()
        return self

    def _question(self, name: str, settings: dict[str, Any]) -> Question:
        return Relations(name, None if self._plans is None else self._plans[name], **settings)

    def _absorb(self, other: RelationProbe) -> None:
        if self._plans != other._plans:
            raise ValueError(
                "probes that looked over different examples do not merge; prepare one over all examples and "
                "take fresh copies of it"
            )
        super()._absorb(other)


class Relations(Question):
    """VRI or VRC: what the plan asks of an example.

    Parameters
    ----------
    name
        Of the question.
    plan
        What each example is asked; None: nobody has looked over the examples.
    settings
        Of `ClassifierProbe`.
    """

    keeps: ClassVar[Kept] = "picture"

    def __init__(self, name: str, plan: Plan | None, **settings: Any) -> None:
        self._plan = plan
        super().__init__(name, **settings)

    def items(self, example: Example) -> list[Item]:
        """The planned pairs of the example, or of the one that a mismatched one was made from."""
        if self._plan is None:
            raise ValueError(
                "pairs are drawn over all examples, and nobody has looked over them; call "
                "probe.fresh(seed).prepare(examples), which a sweep does by itself"
            )
        own = matched(example)
        return [item(own, asked) for asked in self._plan.get(own.id, ())]

    def views(self) -> Sequence[View]:
        """Attention, and the states."""
        return [Attention(SIDES, name=ATTENTION), States(SIDES, name=EMBEDDING)]

    def baselines(self) -> Mapping[str, Sequence[str]]:
        """What is known of a pair without a model."""
        return {
            CLASS_PAIR: [CLASS_PAIR],
            GEOMETRY: [GEOMETRY],
            BOTH: [CLASS_PAIR, GEOMETRY],
        }


def item(example: Example, asked: Asked) -> Item:
    """A pair of regions; the control task's type is its class pair."""
    if example.regions is None:
        raise ValueError(f"example {example.id!r} has no picture, and regions of it are asked about")
    subject, target = (example.regions.names[k] for k in (asked.subject, asked.object))
    pair = f"{subject} / {target}"
    geometry = relative_geometry(example.regions, asked.subject, asked.object, aspect(example.size))
    return Item(
        name=f"{example.id}/{asked.subject}-{asked.object}",
        label=asked.label,
        spans={"subject": regions(asked.subject), "object": regions(asked.object)},
        type=pair,
        known={
            CLASS_PAIR: {pair: 1.0, f"{subject} / *": 1.0, f"* / {target}": 1.0},
            GEOMETRY: geometry,
        },
        subset=asked.subset,
    )
