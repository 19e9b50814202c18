"""The sanity gate: planted truth, a hand-counted AUC, wrong features of the right width, and sweeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import tiny_examples, tiny_model
from value_nb import sanity
from value_nb.ablation import without_image
from value_nb.controls import RandomWeights, matched
from value_nb.data.example import Example, Regions
from value_nb.data.registry import load_dataset
from value_nb.models.base import MaskedWords, VLModel
from value_nb.models.gated import GatedVL
from value_nb.models.registry import load_model
from value_nb.probes.fusion import FusionDegree
from value_nb.quality_gate import MET, NOT_DEFINED, NOT_MEASURED, NOT_MET, UNDECIDED
from value_nb.result import load_result
from value_nb.sanity import Measure, SanityGate, judge, sanity_gate, settled
from value_nb.sweep import sweep

Score = Callable[[Example], float]


class Planted(GatedVL):
    """A tiny UNITER whose heads say what a test wants; it counts how often each is asked."""

    score: Score | None = None
    right: Callable[[Example, int], bool] | None = None
    asked: int = 0

    def _matching_logits(self, outputs: Any) -> torch.Tensor:
        if self.score is None:
            raise ValueError("planted: no matching head")
        self.asked += len(outputs.layout.examples)
        return torch.tensor([float(self.score(example)) for example in outputs.layout.examples])

    def _word_logits(self, text_states: torch.Tensor) -> torch.Tensor:
        if self.right is None:
            raise ValueError("planted: no word head")
        return super()._word_logits(text_states)

    def masked_words(self, examples: Any, word_indices: Sequence[int], batch_size: int = 32) -> MaskedWords:
        assert self.right is not None
        correct = [self.right(example, word) for example, word in zip(examples, word_indices, strict=True)]
        n = len(correct)
        return MaskedWords(np.zeros(n), np.array(correct), np.ones(n, dtype=int), ((),) * n)


def planted(score: Score | None, right: Any = None, weights: str = "trained") -> Planted:
    tiny = tiny_model("uniter", layers=1)
    model = Planted(tiny.module, tiny.words, "planted", weights)
    model.score, model.right = score, right
    return model


def belongs(example: Example) -> bool:
    """Whether caption and picture are of one example: what no model can know better."""
    return matched(example) is example


def noise(example: Example) -> float:
    return float(np.random.default_rng([ord(c) for c in example.id]).normal())


EXAMPLES = tiny_examples(40)


def test_a_score_that_is_the_truth_gives_one_and_its_opposite_nothing():
    gate = sanity_gate(planted(belongs), EXAMPLES)
    assert gate.matching == Measure(1.0, 1.0, 1.0, 80, 40)
    assert (gate.verdict, gate.met, gate.note) == (
        MET,
        True,
        "sanity gate met: matching AUC 1.00 [1.00, 1.00]",
    )
    assert gate.words_gain is None and (gate.n, gate.n_images, gate.data) == (40, 40, "tiny")
    upside = sanity_gate(planted(lambda e: -belongs(e)), EXAMPLES)
    assert upside.matching.value == 0.0 and upside.met is False
    assert upside.note.endswith("[0.00, 0.00], score upside down?") and "upside down" in upside.reason


def test_a_score_at_random_holds_chance_and_is_not_met():
    gate = sanity_gate(planted(noise), tiny_examples(120))
    assert gate.matching.lo < 0.5 < gate.matching.hi
    assert gate.verdict == NOT_MET and gate.note.endswith("wrong features?")
    assert "probably not the features that the model was trained with" in gate.reason


@pytest.mark.parametrize("side", ["caption", "picture"])
def test_a_score_of_one_side_alone_is_exactly_one_half(side):
    """Captions of several a picture, of different lengths: the same ones stand on both sides."""
    examples = [
        replace(e, id=f"{e.id}.{k}", words=e.words * (k + 1)) for e in EXAMPLES[:20] for k in range(2)
    ]
    look: Score = (
        (lambda e: len(e.words)) if side == "caption" else (lambda e: float(e.regions.features.sum()))
    )
    assert sanity_gate(planted(look), examples).matching.value == 0.5


def test_the_area_with_ties_counted_by_hand():
    """Own pictures score 2, 1, 1, others 1, 1, 0: of nine pairs 5 are won and 4 tied, (5 + 4 / 2) / 9."""
    examples = EXAMPLES[:3]
    own, others = {"0#0": 2, "1#0": 1, "2#0": 1}, {"0#0": 1, "1#0": 1, "2#0": 0}
    model = planted(lambda e: own[e.id] if belongs(e) else others[matched(e).id])
    gate = sanity_gate(model, examples)
    assert gate.matching.value == pytest.approx(7 / 9) and gate.matching.n == 6
    assert gate.verdict == UNDECIDED, "three pictures decide nothing"


def test_features_shuffled_among_pictures_are_wrong_features():
    """The score compares the picture with the one that the caption is of, so it reads the features."""
    true = {e.caption + e.image_id: e.regions.features[0] for e in EXAMPLES}

    def score(example: Example) -> float:
        own = matched(example)
        return -float(np.abs(example.regions.features[0] - true[own.caption + own.image_id]).sum())

    assert sanity_gate(planted(score), EXAMPLES).matching.value == 1.0
    order = np.random.default_rng(1).permutation(len(EXAMPLES))
    shuffled = [replace(e, regions=EXAMPLES[k].regions) for e, k in zip(EXAMPLES, order, strict=True)]
    gate = sanity_gate(planted(score), shuffled)
    assert gate.matching.lo < 0.5 < gate.matching.hi and gate.verdict == NOT_MET


@pytest.fixture(scope="module")
def mini() -> tuple[VLModel, list[Example]]:
    data = load_dataset("mini-flickr30k", limit=300)
    return load_model("mini-uniter", device="cpu"), sanity.drawn(data, 60, 0)


def with_features(example: Example, change: Callable[[np.ndarray], np.ndarray]) -> Example:
    regions = example.regions
    assert regions is not None and regions.features is not None
    return replace(example, regions=replace(regions, features=change(regions.features).astype(np.float32)))


def test_another_detector_of_the_same_width_is_seen_through(mini):
    """The features turned by one random rotation: same width, lengths and angles, another basis."""
    model, examples = mini
    right = sanity_gate(model, examples, n=60)
    assert right.matching.value > 0.9 and right.met is True and right.words_gain.lo > 0
    assert len({e.image_id for e in examples}) == 60
    width = examples[0].regions.features.shape[1]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0]
    wrong = sanity_gate(model, [with_features(e, lambda f: f @ turn) for e in examples], n=60)
    assert abs(wrong.matching.value - 0.5) < 0.1, "boxes are still right, and say a little"
    assert wrong.verdict == NOT_MET and wrong.note.endswith("wrong features?")
    assert wrong.words_gain.lo <= 0


def test_features_of_another_width_are_the_models_own_error(mini):
    model, examples = mini
    with pytest.raises(ValueError, match="Features of another detector do not fit a model"):
        sanity_gate(model, [with_features(e, lambda f: f[:, :-1]) for e in examples])


def test_without_a_matching_head_words_decide():
    seen = planted(None, lambda e, w: belongs(e) or noise(e) > 0)
    gate = sanity_gate(seen, EXAMPLES)
    assert gate.matching is None and gate.verdict == MET
    assert gate.words_right.value == 1.0 and 0.2 < gate.words_other.value < 0.8
    assert gate.words_gain.value == pytest.approx(1 - gate.words_other.value)
    assert gate.note.startswith("sanity gate met: masked words +") and "no head for matching" in gate.reason
    blind = sanity_gate(planted(None, lambda e, w: len(e.words) > 4), EXAMPLES)
    assert blind.words_gain.value == 0.0 and blind.verdict == NOT_MET and "wrong features?" in blind.note


def test_only_content_words_are_asked_and_the_same_ones_on_both_sides():
    asked: list[tuple[str, str]] = []

    def note(example: Example, word: int) -> bool:
        asked.append((matched(example).id, example.words[word]))
        return True

    sanity_gate(planted(None, note), EXAMPLES)
    half = len(asked) // 2
    assert sorted(asked[:half]) == sorted(asked[half:]) and not {word for _, word in asked} & {"a", "near"}


def test_words_that_see_the_picture_defend_the_features():
    gate = sanity_gate(planted(noise, lambda e, w: belongs(e)), tiny_examples(120))
    assert gate.verdict == NOT_MET and "the matching head that was not trained" in gate.reason


def test_neither_head_no_picture_and_one_picture():
    nothing = sanity_gate(planted(None), EXAMPLES)
    assert nothing.verdict == NOT_MEASURED and "planted: no matching head" in nothing.reason
    assert sanity_gate(tiny_model("bert"), EXAMPLES).verdict == NOT_DEFINED
    one = [replace(EXAMPLES[0], id=str(k)) for k in range(3)]
    alone = sanity_gate(planted(belongs), one)
    assert alone.verdict == NOT_MEASURED and "fewer than two pictures" in alone.reason and alone.met is None
    bare = [replace(e, regions=None) for e in EXAMPLES]
    assert sanity_gate(planted(belongs), bare).verdict == NOT_MEASURED


@pytest.mark.parametrize("family", ["uniter", "lxmert", "vilbert"])
def test_every_family_can_be_asked(family):
    gate = sanity_gate(tiny_model(family), EXAMPLES[:12], batch_size=5)
    assert gate.matching.n == 24 and gate.words_gain.n == 12 and gate.weights == "random:0"


def test_a_sample_is_even_over_pictures_and_does_not_depend_on_the_order():
    examples = [replace(e, id=f"{e.image_id}#{k}") for e in EXAMPLES for k in range(3)]
    few = sanity.drawn(examples, 10, seed=0)
    assert len({e.image_id for e in few}) == len(few) == 10
    many = sanity.drawn(examples, 90, seed=0)
    assert len(many) == 80 and {sum(e.image_id == i for e in many) for i in {e.image_id for e in many}} == {2}
    assert {e.id for e in sanity.drawn(examples[::-1], 10, 0)} == {e.id for e in few}
    assert {e.id for e in sanity.drawn(examples, 10, 1)} != {e.id for e in few}


def test_batches_do_not_matter_and_a_gate_comes_out_the_same_again():
    model = tiny_model("uniter")
    gates = [
        sanity_gate(model, data, batch_size=size) for data, size in ((EXAMPLES, 1), (iter(EXAMPLES), 32))
    ]
    assert gates[0] == gates[1]
    assert sanity_gate(model, EXAMPLES, seed=1) != gates[0]


@pytest.mark.parametrize(
    ("value", "lo", "hi", "n", "verdict"),
    [
        (0.95, 0.90, 0.99, 50, MET),
        (0.75, 0.60, 0.90, 50, MET),
        (0.74, 0.60, 0.90, 50, UNDECIDED),
        (0.80, 0.45, 0.95, 50, UNDECIDED),
        (0.62, 0.55, 0.70, 50, NOT_MET),
        (0.51, 0.45, 0.57, 50, NOT_MET),
        (0.10, 0.05, 0.15, 50, NOT_MET),
        (1.00, 1.00, 1.00, 9, UNDECIDED),
    ],
)
def test_the_rule(value, lo, hi, n, verdict):
    assert judge(Measure(value, lo, hi, 2 * n, n), 0.5, 0.75) == verdict


def test_a_weak_gate_is_told_from_wrong_features():
    gate = sanity_gate(planted(lambda e: noise(e) + 0.5 * belongs(e)), tiny_examples(150))
    assert gate.matching.lo > 0.5 and gate.matching.hi < 0.75
    assert gate.note.endswith("wrong features?") and "but too seldom" in gate.reason


def test_wrong_arguments_are_refused():
    model = planted(belongs)
    for change, message in (
        ({"n": 1}, "n is 1; expected at least 2"),
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"data": ["a dog"]}, "expected examples of a data set, got str"),
    ):
        with pytest.raises(ValueError, match=message):
            sanity_gate(**{"model": model, "data": EXAMPLES} | change)
    for wrong in ("always", 1, None):
        with pytest.raises(ValueError, match="expected 'auto', True, False or a gate"):
            settled(model, EXAMPLES, wrong)


def test_a_record_is_plain_and_comes_back():
    for model in (planted(belongs, lambda e, w: True), tiny_model("bert")):
        gate = sanity_gate(model, EXAMPLES)
        assert SanityGate.from_record(json.loads(json.dumps(gate.record))) == gate
    with pytest.raises(ValueError, match="of source 'card'; expected that of a measured gate"):
        SanityGate.from_record({"source": "card", "verdict": MET})
    lost = replace(gate, matching=Measure(0.5, float("nan"), float("nan"), 2, 1))
    assert lost.record["matching"]["lo"] is None
    assert np.isnan(SanityGate.from_record(lost.record).matching.hi)


def test_the_table_has_a_row_for_each_number():
    table = sanity_gate(planted(belongs, lambda e, w: True), EXAMPLES).table
    assert table.loc["matching AUC", ["value", "least", "n"]].tolist() == [1.0, 0.75, 80]
    assert len(table) == 4 and np.isnan(table.loc["masked words, difference", "least"])


# --- sweeps ---


def asked(model: VLModel, **options: Any) -> Any:
    options = {
        "data": EXAMPLES,
        "probes": [FusionDegree(restarts=1)],
        "controls": "none",
        "progress": False,
    } | options
    return sweep(model, **options)["fusion_degree"]


def test_a_trained_model_without_a_card_is_measured_before_any_probe(tmp_path):
    model = planted(noise)
    result = asked(model)
    assert model.asked > 80 and result.meta["gate_met"] is False
    gate = SanityGate.from_record(result.meta["gate"])
    assert gate == sanity_gate(planted(noise), EXAMPLES) and gate.n == 40
    again = load_result(result.save(tmp_path / "r"))
    assert again == result and SanityGate.from_record(again.meta["gate"]) == gate
    assert gate.note in repr(again)


def test_it_is_measured_once_however_many_controls_there_are():
    model = planted(belongs)
    asked(model, controls=[RandomWeights((0, 1))])
    assert model.asked == 81, "forty pairs of either kind, and one example for whether there is a head"


@pytest.mark.parametrize(
    ("change", "gate", "verdict"),
    [
        ({"card": {"gate_met": True}}, "auto", MET),
        ({"card": {"gate_met": False}}, "auto", NOT_MET),
        ({"weights": "random:0"}, "auto", NOT_MEASURED),
        ({}, False, NOT_MEASURED),
    ],
)
def test_where_it_is_not_measured(change, gate, verdict):
    model = planted(belongs)
    for name, value in change.items():
        setattr(model, name, value)
    meta = asked(model, gate=gate).meta
    assert model.asked == 0 and meta["gate"]["verdict"] == verdict and meta["gate"]["source"] != "measured"


def test_a_gate_can_be_asked_for_and_handed_on():
    model = planted(belongs)
    model.card = {"gate_met": True}
    assert asked(model, gate=True).meta["gate"]["source"] == "measured"
    model = planted(belongs)
    gate = sanity_gate(model, EXAMPLES)
    before = model.asked
    given, carded = asked(model, gate=gate), asked(model.with_card(gate))
    assert model.asked == before and given.meta["gate"] == carded.meta["gate"] == gate.record
    assert given.meta["gate_met"] is carded.meta["gate_met"] is True
    with pytest.raises(ValueError, match="a gate of 'planted' came with the model 'tiny-lxmert'"):
        asked(tiny_model("lxmert"), gate=gate)
    with pytest.raises(ValueError, match="gate='yes'; expected 'auto'"):
        asked(model, gate="yes")


def test_what_was_taken_away_keeps_the_gate_of_the_whole_model():
    model = planted(belongs)
    with without_image(model) as blind:
        meta = asked(blind).meta
    assert model.asked == 0 and "asked of the whole model" in meta["gate"]["reason"]
    gate = sanity_gate(model, EXAMPLES)
    with without_image(model.with_card(gate)) as blind:
        assert asked(blind).meta["gate"] == gate.record
        assert asked(blind, gate=gate).meta["gate"] == gate.record


def test_a_stream_is_read_no_further_than_the_gate_needs(monkeypatch):
    monkeypatch.setattr(sanity, "EXAMPLES", 12)
    whole, streamed = asked(planted(belongs)), asked(planted(belongs), data=iter(EXAMPLES))
    assert streamed.frame.equals(whole.frame) and streamed.meta["n"] == 40
    assert streamed.meta["gate"]["n"] == 12


def test_a_model_of_text_alone_has_no_gate():
    meta = asked(tiny_model("bert")).meta
    assert meta["gate"]["verdict"] == NOT_DEFINED and meta["gate_met"] is None


def test_nothing_is_written_into():
    model, card = planted(belongs), {"seed": 3}
    model.card = card
    other = model.with_card(sanity_gate(model, EXAMPLES))
    assert model.card == card == {"seed": 3} and other.module is model.module
    assert other.gate_met is True and model.gate_met is None and other.card["seed"] == 3
    assert model.with_card({"gate_met": False}).gate_met is False
    with pytest.raises(ValueError, match="is no card; expected a gate"):
        model.with_card("good")


def test_regions_of_a_picture_are_needed():
    empty = Regions(np.zeros((0, 4), dtype=np.float32), None, (), ())
    examples = [*EXAMPLES, replace(EXAMPLES[0], id="x", image_id="x", regions=empty)]
    assert sanity_gate(planted(belongs), examples).n_images == 40
