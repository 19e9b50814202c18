"""Planted truth: every probe finds what was planted, in one sweep, and nothing when nothing was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import value_nb as vnb
from tests.probes.planted_model import PlantedModel
from tests.probes.planted_world import (
    BOXES,
    CROSS,
    DEPTH,
    HEADS,
    LINK,
    PREDICATES,
    cls_mass,
    pictures,
    sentences,
    single_stream,
    two_stream,
)
from value_nb import coreference_heads, crossmodal, importance, linguistic_scores, relation_rule
from value_nb.best_layer import best_layer
from value_nb.collecting import collect
from value_nb.probes.base import Probe
from value_nb.result import Result

FIT: dict[str, Any] = {"n_jobs": 1, "grid": (0.1,)}
LINGUISTIC = "linguistic_probe"
Found = Mapping[str, Result]


def probes() -> list[Probe]:
    return [
        vnb.FusionDegree(),
        vnb.ModalityImportance(),
        vnb.CrossModalHeads(),
        vnb.CoreferenceAttention(permutations=199),
        vnb.CoreferenceProbe(**FIT),
        vnb.RelationProbe(**FIT),
    ]


def look(model: PlantedModel, asked: list[Probe], controls: Any = "default") -> Found:
    """One sweep over pictures."""
    return vnb.sweep(model, pictures((1, 1, 1)), asked, controls=controls, progress=False)


def listen(model: PlantedModel, controls: Any = "default") -> Found:
    """One call for sentences."""
    probe = vnb.LinguisticProbe(**FIT)
    found = vnb.probe_linguistics(model, {"": sentences()}, probe, controls=controls, progress=False)
    return {LINGUISTIC: found[""]}


@pytest.fixture(scope="module")
def single() -> Found:
    """Every probe, by the public interface, with all its controls."""
    model = single_stream()
    return {**look(model, probes()), **listen(model)}


@pytest.fixture(scope="module")
def double() -> Found:
    model, controls = two_stream(), [vnb.RandomWeights((0,))]
    return {**look(model, probes(), controls), **listen(model, controls)}


@pytest.fixture(scope="module", params=["single", "double"])
def found(request: pytest.FixtureRequest) -> Found:
    """One stream, and two."""
    return request.getfixturevalue(request.param)


def deep(found: Found) -> str:
    """The stack that holds what was planted."""
    return "cross" if "cross" in found[LINGUISTIC].meta["layers"] else "joint"


def values(result: Result, measure: str, *index: str, control: str = "none", **where: Any) -> pd.Series:
    """The values of a measure; `index` names the columns that tell them apart."""
    rows = result.select(measure=measure, control=control, **where)
    return rows.set_index(list(index))["value"]


def value(result: Result, measure: str, control: str = "none", **where: Any) -> float:
    rows = result.select(measure=measure, control=control, **where)
    assert len(rows) == 1, rows
    return float(rows["value"].iloc[0])


# --- exactly, without noise -------------------------------------------------------------------------------


def test_fusion_is_one_where_modalities_lie_apart_and_zero_where_they_are_mixed(found):
    result = found["fusion_degree"]
    for specials in ("paper", "excluded"):
        nmi = values(result, "nmi", "layer", specials=specials)
        assert nmi[1] == 1.0 and nmi[DEPTH] == 0.0 and nmi[0] == 0.0, "all states alike form one cluster"
        apart = values(result, "separability", "layer", specials=specials)
        assert apart[1] == 1.0 and np.allclose(apart.drop(1), 0.5)
        assert value(result, "nmi_last_minus_first", specials=specials) == -1.0
        change = result.select(measure="ami_last_minus_first", specials=specials, control="none").iloc[0]
        assert change["hi"] < 0, "deeper layers fuse more"
    random = values(result, "nmi", "weights", "layer", control="random weights", specials="paper")
    assert (random == 0.0).all()


def test_cls_mass_is_what_was_planted_in_every_head(single):
    result = single["modality_importance"]
    mass = values(result, "cls_mass", "specials", "group", "layer", "head")
    share = values(result, "text_share", "specials", "layer", "head")
    for layer in range(1, DEPTH + 1):
        for head in range(HEADS):
            words, special, regions = cls_mass(layer, head)
            planted = {
                ("paper", "text"): words + special, ("paper", "image"): regions,
                ("excluded", "text"): words, ("excluded", "special"): special, ("excluded", "image"): regions,
            }  # fmt: skip
            found = {key: mass[*key, layer, head] for key in planted}
            assert found == pytest.approx(planted, abs=1e-6), (layer, head)
            both = words + special + regions, words + regions
            assert share["paper", layer, head] == pytest.approx((words + special) / both[0], abs=1e-6)
            assert share["excluded", layer, head] == pytest.approx(words / both[1], abs=1e-6)
    random = result.select(measure="text_share_per_position", control="random weights")
    assert np.allclose(random["value"], 0.5, atol=1e-6)


def test_one_head_a_direction_is_cross_modal(single):
    """As many text positions as regions: an even spread is exactly half, which is not more than half."""
    result = single["cross_modal_heads"]
    for direction, head, mass in (("image->text", 1, CROSS), ("text->image", 2, LINK)):
        at = {"direction": direction, "specials": "paper"}
        share = values(result, "share_of_pairs", "layer", "head", **at)
        assert share[2, head] == 1.0 and (share.drop((2, head)) == 0.0).all()
        assert value(result, "share_of_heads", **at) == pytest.approx(1 / (DEPTH * HEADS))
        at["specials"] = "excluded"
        assert value(result, "mass", layer=2, head=head, **at) == pytest.approx(mass, abs=1e-6)
        expected = value(result, "expected_mass", **at)
        beyond = value(result, "mass_minus_expected", layer=2, head=head, **at)
        assert beyond == pytest.approx(mass - expected, abs=1e-6)
        random = result.select(measure="mass_minus_expected", control="random weights", **at)
        assert np.allclose(random["value"], 0.0, atol=1e-6)


def test_the_heads_that_link_phrases_and_regions_are_chosen(found):
    """A phrase's words give 0.6 to its region; a region gives 0.9 to its phrase, other regions to all."""
    result = found["coreference_attention"]
    scale = LINK if deep(found) == "joint" else 1.0, CROSS if deep(found) == "joint" else 1.0
    trees = len(BOXES) - 4
    weights = {
        "text->image": (2, scale[0], 0.0),
        "image->text": (1, scale[1], scale[1] / 4 * trees / (trees + 3)),
    }
    for direction, (head, linked, unlinked) in weights.items():
        for group in ("all", "animals", "people"):
            row = result.select(measure="chosen_hit_rate", direction=direction, group=group, control="none")
            assert row[["stack", "layer", "head", "value", "lo", "hi"]].iloc[0].tolist() == [
                deep(found), 2, head, 1.0, 1.0, 1.0
            ]  # fmt: skip
            at = {"direction": direction, "group": group}
            assert value(result, "p", **at) == pytest.approx(1 / 200)
            assert value(result, "chosen_permuted", **at) == pytest.approx(1 / 4, abs=0.02)
            rates = values(result, "hit_rate", "layer", "head", **at)
            assert rates[2, head] == 1.0 and rates.drop((2, head)).max() < 0.3
            at |= {"layer": 2, "head": head}
            assert value(result, "linked_weight", **at) == pytest.approx(linked, abs=1e-6)
            assert value(result, "unlinked_weight", **at) == pytest.approx(unlinked, abs=1e-6)
            assert value(result, "p_max", **at) == pytest.approx(1 / 200)
    assert value(result, "chance", group="all") == pytest.approx(1 / len(BOXES))
    for guess in ("largest_region", "central_region"):
        assert value(result, guess, group="all") == 0.0


PLANTED_LAYER = {
    ("coreference_probe", "VCD, bilinear embedding probe"): 2,
    ("coreference_probe", "VCD of one class, bilinear embedding probe"): 2,
    ("coreference_probe", "VCC, embedding probe"): 3,
    ("relation_probe", "VRI, embedding probe"): 1,
    ("relation_probe", "VRC, embedding probe"): 1,
    (LINGUISTIC, "mean"): 1,
    (LINGUISTIC, "[CLS]"): 3,
}
IN_HEADS = {
    ("coreference_probe", "VCD, attention probe"): True,
    ("coreference_probe", "VCD of one class, attention probe"): True,
    ("coreference_probe", "VCC, attention probe"): False,
    ("relation_probe", "VRI, attention probe"): True,
    ("relation_probe", "VRC, attention probe"): False,
    (LINGUISTIC, "heads"): True,
}
"""Group -> whether a head was made to tell the answer."""

SIDES = {
    ("coreference_probe", "VCD, bilinear embedding probe"): {"phrase": False, "region": False},
    ("coreference_probe", "VCC, embedding probe"): {"phrase": True, "region": False},
    ("relation_probe", "VRI, embedding probe"): {"subject": True, "object": False},
    ("relation_probe", "VRC, embedding probe"): {"subject": True, "object": False},
}
"""Group -> whether a side alone tells the answer."""


def chance(group: str) -> float:
    return 1 / len(PREDICATES) if group.startswith("VRC") else 0.5


@pytest.mark.parametrize(("probe", "group"), PLANTED_LAYER)
def test_classifiers_are_right_in_the_planted_layer_and_at_chance_in_all_others(found, probe, group):
    layers = values(found[probe], "accuracy", "stack", "layer", group=group)
    planted = (deep(found), PLANTED_LAYER[probe, group])
    assert layers[planted] == 1.0 and best_layer(found[probe].frame, group) == planted
    rest = layers.drop(planted)
    assert len(rest) >= DEPTH and np.allclose(rest, chance(group)), rest
    for side, tells in SIDES.get((probe, group), {}).items():
        expected = 1.0 if tells else chance(group)
        assert value(found[probe], "accuracy", group=f"{group}: {side} only") == pytest.approx(expected)


@pytest.mark.parametrize(("probe", "group"), IN_HEADS)
def test_attention_probes_are_right_where_a_head_tells_and_at_chance_where_none_does(found, probe, group):
    expected = 1.0 if IN_HEADS[probe, group] else chance(group)
    assert value(found[probe], "accuracy", group=group) == pytest.approx(expected)


@pytest.mark.parametrize(("probe", "group"), [*PLANTED_LAYER, *IN_HEADS])
def test_random_weights_are_at_chance_in_every_layer(found, probe, group):
    rows = found[probe].select(measure="accuracy", group=group, control="random weights")
    assert np.allclose(rows["value"], chance(group)) and set(rows["weights"]) == {"random:0"}


def test_mismatched_pairs_keep_what_one_side_knows_and_lose_the_rest(single):
    """Types are known from the caption alone; pairs and relations need the picture that belongs to it."""
    for probe, group in PLANTED_LAYER:
        if probe != LINGUISTIC:
            layers = values(single[probe], "accuracy", "layer", control="mismatched", group=group)
            kept = layers.pop(3) == 1.0 if group.startswith("VCC") else True
            assert kept and np.allclose(layers, chance(group)), (group, layers)
    assert value(single["relation_probe"], "accuracy", "mismatched", group="VRI, attention probe") == 0.5
    rate = {"group": "all", "direction": "text->image", "control": "mismatched"}
    assert value(single["coreference_attention"], "chosen_hit_rate", **rate) < 0.25


@pytest.mark.parametrize(
    ("probe", "baselines"),
    [
        ("relation_probe", ("class pair only", "geometry only", "class pair + geometry")),
        (LINGUISTIC, ("bag of words", "length")),
    ],
)
def test_baselines_without_a_model_are_at_chance(found, probe, baselines):
    for question in ("VRI, ", "VRC, ") if probe == "relation_probe" else ("",):
        for baseline in baselines:
            assert value(found[probe], "accuracy", group=question + baseline) == pytest.approx(
                chance(question)
            )


def test_rules_hold_for_what_was_planted(single):
    for weighing in ("raw", "per position"):
        found = importance.verdict(single["modality_importance"], weighing)
        assert found.holds and found.above == found.layers == DEPTH
    found = coreference_heads.verdict(single["coreference_attention"])
    assert found.holds and found.held == found.tested == 4, "two types in two directions"
    found = relation_rule.verdict(single["relation_probe"])
    assert found.holds and (found.lo, found.level) == (1.0, pytest.approx(0.5))
    found = linguistic_scores.verdict(single[LINGUISTIC])
    assert found.holds and found.lo == 1.0 and max(found.rivals.values()) == 0.5


def test_a_subset_of_heads_is_more_than_one_that_chance_gives(single):
    """One head in twelve is planted; chance gives one so often that the rule asks for two."""
    twice = single_stream()
    twice = replace(twice, plants={k: replace(p, layers=(*p.layers, 3)) for k, p in twice.plants.items()})
    probes = [vnb.CrossModalHeads()]
    both = look(twice, probes, [vnb.RandomWeights()])["cross_modal_heads"]
    for direction in ("image->text", "text->image"):
        found = crossmodal.verdict(single["cross_modal_heads"], direction)
        assert (found.above, found.heads, found.least, found.holds) == (1, DEPTH * HEADS, 2, False)
        found = crossmodal.verdict(both, direction)
        assert (found.above, found.holds) == (2, True)


def test_rules_do_not_hold_for_a_model_without_plants():
    asked = [vnb.ModalityImportance(), vnb.CrossModalHeads(), vnb.CoreferenceAttention(permutations=199)]
    empty = look(single_stream(strength=0.0), asked, [vnb.RandomWeights()])
    for weighing in ("raw", "per position"):
        assert not importance.verdict(empty["modality_importance"], weighing).holds
    for direction in ("image->text", "text->image"):
        assert not crossmodal.verdict(empty["cross_modal_heads"], direction).holds
    assert not coreference_heads.verdict(empty["coreference_attention"]).holds


def test_two_streams_have_no_share_of_one_softmax_and_say_why(double):
    for probe, reason in (
        ("modality_importance", "no one softmax"),
        ("cross_modal_heads", "a softmax of its own"),
    ):
        assert double[probe].frame.empty and reason in double[probe].reason


# --- under noise ------------------------------------------------------------------------------------------


def strengths(model: PlantedModel, seed: int = 0) -> dict[str, float]:
    """One number of every probe: what the power curves are of."""
    seen = vnb.sweep(model, pictures((3, 2, 3)), probes(), controls="none", progress=False, seed=seed)
    told = vnb.probe_linguistics(
        model,
        {"planted": sentences((144, 72, 72))},
        vnb.LinguisticProbe(**FIT),
        controls="none",
        progress=False,
    )["planted"]
    looked = {"layer": 2, "head": 2, "direction": "text->image", "group": "all"}
    across = {"layer": 2, "head": 1, "direction": "image->text", "specials": "excluded"}
    mass = {"group": "text", "specials": "excluded", "layer": 1, "head": 0}
    return {
        "fusion": value(seen["fusion_degree"], "ami", layer=1, specials="paper"),
        "importance": value(seen["modality_importance"], "cls_mass", **mass),
        "cross-modal heads": value(seen["cross_modal_heads"], "mass", **across),
        "coreference attention": value(seen["coreference_attention"], "hit_rate", **looked),
        **{
            group: value(seen.get(probe, told), "accuracy", group=group, layer=layer)
            for (probe, group), layer in PLANTED_LAYER.items()
        },
        **{
            group: value(seen.get(probe, told), "accuracy", group=group)
            for (probe, group), tells in IN_HEADS.items()
            if tells
        },
    }  # fmt: skip


EXPECTED: dict[str, tuple[float, float]] = {
    "fusion": (0.0, 1.0),
    "importance": (8 / 20, cls_mass(1, 0)[0]),
    "cross-modal heads": (8 / 18, CROSS),
    "coreference attention": (1 / len(BOXES), 1.0),
}
"""Value with nothing planted, and with all of it; of classifiers chance and 1."""


@pytest.mark.stress
def test_power_grows_with_what_is_planted():
    curve = pd.DataFrame([strengths(single_stream(strength=s, noise=1.0)) for s in (0.0, 0.25, 0.5, 1.0)])
    for name, measured in curve.items():
        start, end = EXPECTED.get(str(name), (1 / 3 if str(name).startswith("VRC") else 0.5, 1.0))
        assert measured.is_monotonic_increasing, (name, measured.tolist())
        assert abs(measured.iloc[0] - start) < 0.12 and abs(measured.iloc[-1] - end) < 0.03, (
            name,
            measured.tolist(),
        )


Flags = dict[str, bool]


def missed(rows: pd.DataFrame, truth: float) -> bool:
    """Whether the one row's interval leaves the truth out."""
    assert len(rows) == 1, rows
    return not rows["lo"].iloc[0] <= truth <= rows["hi"].iloc[0]


def of(frame: pd.DataFrame, **where: Any) -> pd.DataFrame:
    return frame[np.logical_and.reduce([frame[column] == wanted for column, wanted in where.items()])]


def descriptive_flags(fusion: pd.DataFrame, cls: pd.DataFrame, heads: pd.DataFrame) -> Flags:
    """Intervals that leave out what nothing planted comes to."""
    paper = {"specials": "paper"}
    share = of(cls, measure="text_share", group="text", layer=1, **paper)
    return {
        "fusion: ami": missed(of(fusion, measure="ami", layer=2, **paper), 0.0),
        "fusion: change": missed(of(fusion, measure="ami_last_minus_first", **paper), 0.0),
        "fusion: separability": missed(of(fusion, measure="separability", layer=2, **paper), 0.5),
        "importance: a head": missed(share[share["head"] == 0], 0.5),
        "importance: a layer": missed(share[share["head"].isna()], 0.5),
        **{
            f"heads: {direction}": missed(
                of(heads, measure="mass_minus_expected", direction=direction, layer=1, head=0, **paper), 0.0
            )
            for direction in ("image->text", "text->image")
        },
    }


def attention_flags(frame: pd.DataFrame) -> Flags:
    """P-values of a chosen head, of the best of all heads, and of the family of types and directions."""
    one = of(frame, group="people", direction="text->image")
    found = {
        f"coreference: {p}": bool((of(one, measure=p)["value"] <= 0.05).any())
        for p in ("p", "p_within_type", "p_max")
    }
    return found | {"coreference: family": bool((of(frame, measure="p_holm")["value"] < 0.05).any())}


def classifier_flags(frame: pd.DataFrame, groups: Mapping[str, float]) -> Flags:
    """Group -> whether the interval of its accuracy, at the best layer if it has layers, misses chance."""
    found = {}
    for group, level in groups.items():
        rows = of(frame, measure="accuracy", group=group)
        if rows["layer"].notna().any():
            rows = rows[rows["layer"] == best_layer(frame.assign(control="none"), group)[1]]
        found[group] = missed(rows, level)
    return found


def draw(k: int, replicates: int = 400) -> Flags:
    """What each probe would report of a model of noise alone, by its own rule at 5 %."""
    model = single_stream(strength=0.0, noise=1.0, name=f"draw {k}", stacks={"joint": 2}, n_heads=2)
    asked: list[Probe] = [
        vnb.FusionDegree(restarts=2, sample_size=400),
        vnb.ModalityImportance(),
        vnb.CrossModalHeads(),
        vnb.CoreferenceAttention(permutations=199),
        vnb.CoreferenceProbe(("VCD", "VCC"), components=4, **FIT),
        vnb.RelationProbe(**FIT),
    ]
    seen = pictures((2, 1, 3), draw=f"draw {k} ", recur=False)
    ready = [probe.fresh(k).prepare(seen) for probe in asked]
    frames = [pd.DataFrame(p.rows(replicates=replicates)) for p in collect(model, seen, ready).probes]
    heard = sentences((90, 60, 180), draw=f"draw {k} ", recur=False)
    said = collect(model, heard, [vnb.LinguisticProbe(**FIT).fresh(k)])
    told = pd.DataFrame(said.probes[0].rows(replicates=replicates))
    groups = [group for probe, group in (*PLANTED_LAYER, *IN_HEADS) if "one class" not in group]
    level = {group: 1 / 3 if group.startswith("VRC") else 0.5 for group in groups}
    return {
        **descriptive_flags(*frames[:3]),
        **attention_flags(frames[3]),
        **{
            name: flag
            for frame in (*frames[4:], told)
            for name, flag in classifier_flags(
                frame, {g: c for g, c in level.items() if g in set(frame["group"])}
            ).items()
        },
    }


def test_nothing_planted_is_not_found():
    """One draw: of 22 intervals and p-values a few may be off (the stress tier has 200)."""
    flagged = draw(0)
    assert len(flagged) == 22 and sum(flagged.values()) <= 4, flagged


@pytest.mark.stress
def test_nothing_planted_is_found_at_the_nominal_rate():
    """At nominal 5 % at most 18 of 200 draws are flagged, whatever the probe (99 % binomial bound)."""
    flagged = pd.DataFrame([draw(k) for k in range(200)])
    assert (flagged.sum() <= 18).all(), flagged.sum()
