"""Cross-modal ablation: what is taken away is really gone, what is planted is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import value_nb as vnb
from tests.carrier import THINGS, carrier, pictures
from tests.tiny import CLASSES, GATED, tiny_examples, tiny_model
from value_nb import cross_modal_losses
from value_nb.cross_modal_ablation import TO_IMAGE, TO_TEXT, cross_modal_ablation, phrase_loss, region_loss
from value_nb.cross_modal_cases import Case, find_cases, overlap, with_hidden_features, without_regions
from value_nb.cross_modal_losses import (
    NO_IMAGE,
    NO_PHRASE,
    NO_REGIONS,
    NO_TEXT,
    OTHER_REGIONS,
    OTHER_WORDS,
    SIDES,
    WHOLE,
)
from value_nb.data.example import Example, Phrase
from value_nb.models.base import VLModel
from value_nb.result import Result, load_result

FAST: dict[str, Any] = {"progress": False, "replicates": 100, "random_weights": (), "classes": CLASSES}
BOXES = np.array(
    [[0.0, 0.0, 0.4, 0.4], [0.0, 0.0, 0.2, 0.4], [0.0, 0.0, 1.0, 1.0], [0.6, 0.6, 0.9, 0.9],
     [0.1, 0.1, 0.2, 0.2], [0.5, 0.0, 0.9, 0.4], [0.0, 0.5, 0.4, 0.9]],
    dtype=np.float32,
)  # fmt: skip


def tiny(n: int = 4) -> list[Example]:
    """Captions with enough words and regions for others; two words in the phrase."""
    made = tiny_examples(n, seed=5, words=(6, 8), regions=(5, 7))
    return [replace(e, words=("a", "man", *e.words[2:]), phrases=(_phrase(),)) for e in made]


def _phrase(regions: tuple[int, ...] = (0,)) -> Phrase:
    return Phrase(0, 1, "1", ("people",), regions)


def value(result: Result, measure: str, group: str, control: str = "none") -> float:
    return float(result.select(measure=measure, group=group, control=control)["value"].iloc[0])


# --- planted ---


@pytest.mark.parametrize("family", ["uniter", "lxmert"])
def test_the_region_that_shows_the_thing_is_all_that_counts(family: str) -> None:
    found = cross_modal_ablation(carrier(family), pictures(12), **FAST)
    assert cross_modal_losses.asymmetry(found)["lo"] > 1, "words lean on the picture, regions on nothing"
    accuracy, loss = "masked_phrase_accuracy", "masked_phrase_loss"
    assert value(found, accuracy, WHOLE) == value(found, accuracy, OTHER_REGIONS) == 1.0
    assert (
        value(found, accuracy, NO_REGIONS)
        == value(found, accuracy, NO_IMAGE)
        == pytest.approx(1 / len(THINGS))
    )
    assert value(found, loss, NO_REGIONS) == pytest.approx(value(found, loss, NO_IMAGE), abs=0.05)
    assert cross_modal_losses.beyond_others(found, "masked_phrase")["lo"] > 1


def test_nothing_planted_nothing_found() -> None:
    found = cross_modal_ablation(carrier("uniter"), pictures(12), **FAST)
    added = cross_modal_losses.losses(found, "masked_region", "added")
    assert np.allclose(added[["value", "lo", "hi"]].to_numpy(float), 0.0, atol=1e-6)
    assert value(found, "masked_region_loss", WHOLE) == pytest.approx(np.log(len(CLASSES)), abs=1e-6)


# --- what is taken away is gone, and what is not is there ---


def changed_features(example: Example, rows: tuple[int, ...]) -> Example:
    """Other features and other boxes for some regions."""
    assert example.regions is not None and example.regions.features is not None
    features, boxes = np.array(example.regions.features), np.array(example.regions.boxes)
    features[list(rows)] += 3.0
    boxes[list(rows)] *= 0.5
    return replace(example, regions=replace(example.regions, features=features, boxes=boxes))


def phrase_losses(model: VLModel, cases: tuple[Case, ...], group: str) -> np.ndarray:
    gone: dict[str, Callable[[Case], tuple[int, ...]]] = {
        NO_REGIONS: lambda c: c.regions, OTHER_REGIONS: lambda c: c.other_regions
    }  # fmt: skip
    examples = [without_regions(c.example, gone[group](c)) if group in gone else c.example for c in cases]
    return phrase_loss(model, cases, examples, (TO_IMAGE,) if group == NO_IMAGE else ()).loss


@pytest.mark.parametrize("family", GATED)
@pytest.mark.parametrize(
    ("group", "independent"), [(WHOLE, ()), (NO_REGIONS, ("regions",)), (OTHER_REGIONS, ("other_regions",)),
                               (NO_IMAGE, ("regions", "other_regions"))]
)  # fmt: skip
def test_words_do_not_know_of_regions_that_are_gone(
    family: str, group: str, independent: tuple[str, ...]
) -> None:
    model, cases = tiny_model(family, seed=2), find_cases(tiny()).kept
    before = phrase_losses(model, cases, group)
    for part in ("regions", "other_regions"):
        other = tuple(replace(c, example=changed_features(c.example, getattr(c, part))) for c in cases)
        same = np.allclose(before, phrase_losses(model, other, group), atol=1e-5)
        assert same == (part in independent)


def region_losses(model: VLModel, cases: tuple[Case, ...], group: str) -> np.ndarray:
    masked = {NO_PHRASE: [c.words for c in cases], OTHER_WORDS: [c.other_words for c in cases]}
    nothing: list[tuple[int, ...]] = [()] * len(cases)
    closed = (TO_TEXT,) if group == NO_TEXT else ()
    return region_loss(model, cases, masked.get(group, nothing), CLASSES, closed).loss


@pytest.mark.parametrize("family", GATED)
@pytest.mark.parametrize(
    ("group", "independent"),
    [(WHOLE, ()), (NO_PHRASE, ("words",)), (OTHER_WORDS, ("other_words",)),
     (NO_TEXT, ("words", "other_words"))],
)  # fmt: skip
def test_regions_do_not_know_of_words_that_are_gone(
    family: str, group: str, independent: tuple[str, ...]
) -> None:
    model, cases = tiny_model(family, seed=2), find_cases(tiny()).kept
    cases = tuple(replace(c, example=_flat(c.example)) for c in cases)
    before = region_losses(model, cases, group)
    for part in ("words", "other_words"):
        other = tuple(replace(c, example=_reworded(c.example, getattr(c, part))) for c in cases)
        same = np.allclose(before, region_losses(model, other, group), atol=1e-5)
        assert same == (part in independent)


def _flat(example: Example) -> Example:
    """Words of one piece each, so that other words take as many positions."""
    return replace(
        example, words=tuple(w if w != "umbrella" and w != "trombonist" else "hat" for w in example.words)
    )


def _reworded(example: Example, rows: tuple[int, ...]) -> Example:
    return replace(example, words=tuple("dog" if i in rows and w != "dog" else w if i not in rows else "red"
                                        for i, w in enumerate(example.words)))  # fmt: skip


@pytest.mark.parametrize("family", GATED)
def test_hidden_features_are_nowhere_to_be_read(family: str) -> None:
    """Not in ViLBERT's mean row either; where a hidden region is stays known."""
    model, cases = tiny_model(family, seed=2), find_cases(tiny()).kept

    def louder(example: Example, rows: tuple[int, ...]) -> Example:
        assert example.regions is not None and example.regions.features is not None
        features = np.array(example.regions.features)
        features[list(rows)] += 3.0
        return replace(example, regions=replace(example.regions, features=features))

    before = region_losses(model, cases, WHOLE)
    hidden = tuple(replace(c, example=louder(c.example, c.regions)) for c in cases)
    seen = tuple(replace(c, example=louder(c.example, c.other_regions)) for c in cases)
    assert np.allclose(before, region_losses(model, hidden, WHOLE), atol=1e-5)
    assert not np.allclose(before, region_losses(model, seen, WHOLE), atol=1e-3)


def test_a_phrase_loss_is_the_masked_word_loss_where_the_phrase_is_a_word() -> None:
    model = tiny_model("uniter", seed=2)
    examples = [replace(e, phrases=(Phrase(1, 1, "1", ("people",), (0,)),)) for e in tiny()]
    cases = find_cases(examples).kept
    said = phrase_loss(model, cases, [c.example for c in cases])
    by_word = model.masked_words([c.example for c in cases], [1] * len(cases))
    assert np.allclose(said.loss, -by_word.log_probability, atol=1e-5)
    assert said.right.astype(bool).tolist() == by_word.correct.tolist() and said.asked.tolist() == [1] * 4


def test_words_that_count() -> None:
    content, whole = (find_cases(tiny(), scored=scored).kept[0] for scored in ("content", "all"))
    assert content.words == whole.words == whole.scored == (0, 1) and content.scored == (1,)


def test_dropping_leaves_the_others_as_they_were() -> None:
    example = tiny(1)[0]
    less = without_regions(example, (0, 2))
    assert example.regions is not None and less.regions is not None
    assert len(less.regions) == len(example.regions) - 2 and less.phrases[0].regions == ()
    assert np.array_equal(less.regions.boxes, np.delete(example.regions.boxes, [0, 2], axis=0))
    assert less.regions.names[0] == example.regions.names[1]
    hidden = with_hidden_features(example, (1,))
    assert hidden.regions is not None and hidden.regions.features is not None
    assert not hidden.regions.features[1].any() and hidden.regions.features[0].any()
    assert example.regions.features is not None and example.regions.features[1].any(), "not written into"


# --- which regions go ---


def test_overlaps_by_hand() -> None:
    found = {
        kind: overlap(BOXES[:1], BOXES[:5], kind)[0].round(3).tolist()
        for kind in ("target", "iou", "smaller")
    }
    assert found["target"] == [1.0, 0.5, 1.0, 0.0, 0.062]
    assert found["iou"] == [1.0, 0.5, 0.16, 0.0, 0.062]
    assert found["smaller"] == [1.0, 1.0, 1.0, 0.0, 1.0]


def _drawn(kind: str, threshold: float = 0.5, **extra: Any) -> Example | Any:
    example = tiny(1)[0]
    assert example.regions is not None and example.regions.features is not None
    features = np.ones((len(BOXES), example.regions.features.shape[1]), dtype=np.float32)
    regions = replace(
        example.regions, boxes=BOXES, features=features, names=("man",) * 7, sources=("annotated",) * 7,
        confidence=None,
    )  # fmt: skip
    cases = find_cases([replace(example, regions=regions, extra=extra)], kind=kind, threshold=threshold)
    return cases.kept[0] if cases.kept else cases.left_out


def test_regions_of_a_phrase() -> None:
    assert _drawn("target").regions == (0, 1, 2)
    assert _drawn("iou").regions == (0, 1)
    assert _drawn("iou", 0.51).regions == (0,)
    assert _drawn("smaller") == 1, "four go and three are left: no control, so it is left out and counted"
    case = _drawn("target")
    assert len(case.other_regions) == 3 and not set(case.other_regions) & set(case.regions)
    assert len(case.other_words) == 2 and not set(case.other_words) & {0, 1}


def test_annotated_boxes_of_the_phrase_come_before_those_of_its_regions() -> None:
    gold = {"1": np.array([[0.6, 0.6, 0.9, 0.9]])}
    case = _drawn("iou", gold_boxes=gold)
    assert case.regions == (0, 3) and case.target == 0, "what is predicted is a linked one"


def test_others_and_drawn_phrases_depend_on_the_example_alone() -> None:
    data = [replace(e, phrases=(_phrase(), Phrase(3, 3, "2", ("other",), (1,)))) for e in tiny(6)]
    data = [replace(e, words=(*e.words[:3], "hat", *e.words[4:])) for e in data]
    one, other = find_cases(data, per_caption=1), find_cases(data[:3], per_caption=1)
    by_id = {c.example.id: c for c in one.kept}
    assert all(by_id[c.example.id].other_regions == c.other_regions for c in other.kept)
    assert len(one.kept) == 6 and len(find_cases(data).kept) == 12
    assert find_cases(data, seed=1).kept != find_cases(data).kept


# --- the result ---


def test_differences_are_differences(tmp_path: Any) -> None:
    found = cross_modal_ablation(tiny_model("uniter", seed=2), tiny(), **{**FAST, "random_weights": (3, 4)})
    for side, groups in SIDES.items():
        for group in groups[1:]:
            gap = value(found, f"{side}_loss", group) - value(found, f"{side}_loss", WHOLE)
            assert value(found, f"{side}_loss_added", group) == pytest.approx(gap)
    need = value(found, "masked_phrase_loss", NO_REGIONS) - value(found, "masked_phrase_loss", OTHER_REGIONS)
    assert cross_modal_losses.beyond_others(found, "masked_phrase")["value"] == pytest.approx(need)
    ends = [value(found, f"{side}_loss_added", groups[-1]) for side, groups in SIDES.items()]
    assert cross_modal_losses.asymmetry(found)["value"] == pytest.approx(ends[0] - ends[1])
    random = found.select(control="random weights")
    assert len(random[random["measure"] == "added_to_words_minus_regions"]) == 2
    assert set(random["weights"]) == {"random:3", "random:4"} and set(random["seed"]) == {3, 4}
    assert load_result(found.save(tmp_path)) == found
    table = cross_modal_losses.loss_table(found)
    assert table.loc[("masked_region", NO_TEXT), "loss"] == value(found, "masked_region_loss", NO_TEXT)
    assert "loss, random weights" in table


def test_the_same_again_in_any_batch() -> None:
    model = tiny_model("vilbert", seed=2)
    one, other = (cross_modal_ablation(model, tiny(5), batch_size=size, **FAST) for size in (2, 32))
    assert one == cross_modal_ablation(model, tiny(5), batch_size=2, **FAST)
    assert np.allclose(one.frame["value"], other.frame["value"], atol=1e-5)


def test_classes_come_with_the_data_where_it_names_them() -> None:
    class Named(list[Example]):
        region_classes = CLASSES

    options = {**FAST, "classes": None}
    found = cross_modal_ablation(tiny_model("uniter"), Named(tiny()), **options)
    assert cross_modal_losses.sides(found) == ["masked_phrase", "masked_region"]
    bare = cross_modal_ablation(tiny_model("uniter"), tiny(), **options)
    assert "pass classes" in cross_modal_losses.why_not(bare, "masked_region")
    assert cross_modal_losses.sides(bare) == ["masked_phrase"]
    assert vnb.load_dataset("mini-flickr30k", split="val", limit=1).region_classes[0] == "man"


def test_a_head_that_is_not_there_has_its_reason() -> None:
    few = cross_modal_ablation(tiny_model("uniter"), tiny(), **{**FAST, "classes": ("man", "dog")})
    assert "2 classes are named" in cross_modal_losses.why_not(few, "masked_region")
    with pytest.raises(ValueError, match="2 classes are named"):
        cross_modal_losses.losses(few, "masked_region")
    unnamed = cross_modal_ablation(tiny_model("uniter"), tiny(), **{**FAST, "classes": ("a", "b", "c", "d")})
    assert "no region that shows a phrase" in cross_modal_losses.why_not(unnamed, "masked_region")
    assert cross_modal_losses.sides(unnamed) == ["masked_phrase"]
    headless = tiny_model("uniter", word_head=False, region_targets=())
    found = cross_modal_ablation(headless, tiny(), **FAST)
    why = cross_modal_losses.nothing(found)
    assert "no head for masked words" in why and "class of a masked region" in why


def test_reasons() -> None:
    assert "sees no picture" in str(cross_modal_ablation(tiny_model("bert"), tiny(), **FAST).reason)
    bare = [replace(e, phrases=()) for e in tiny()]
    found = cross_modal_ablation(tiny_model("uniter"), bare, **FAST)
    assert "linked to regions" in cross_modal_losses.nothing(found)
    assert "not defined" in cross_modal_losses.loss_table(found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 0.0}, "share above 0"),
        ({"overlap": "giou"}, "'target', 'iou', 'smaller'"),
        ({"words": "nouns"}, "'content', 'all'"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_errors(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        cross_modal_ablation(tiny_model("uniter"), tiny(), **{**FAST, **options})


def test_reading_says_what_there_is() -> None:
    found = cross_modal_ablation(tiny_model("uniter"), tiny(), **FAST)
    with pytest.raises(ValueError, match="'masked_phrase', 'masked_region'"):
        cross_modal_losses.losses(found, "words")
    with pytest.raises(ValueError, match="'added', 'loss', 'accuracy'"):
        cross_modal_losses.losses(found, "masked_phrase", "f1")
    assert vnb.cross_modal_ablation(tiny_model("bert"), tiny(), **FAST).reason
