"""Modality importance against numbers worked out by hand, a plain loop, and every way of sharding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.fakes import fake_example, fake_examples
from tests.probes.planted_model import WEIGHT_OF_PADDING, Place, PlantedModel, Positions
from tests.tiny import tiny_examples, tiny_model
from value_nb import seeds
from value_nb.collecting import collect
from value_nb.data.example import Example
from value_nb.layout import LayerBatch, Layout, PositionClass, StreamLayout
from value_nb.probes.modality import CELLS, ModalityImportance, cls_table, measures
from value_nb.result import Result
from value_nb.sweep import sweep

Rows = Callable[[Example, int, int], np.ndarray]
KINDS = ["text special", "text", "text", "text special", "image", "image"]


@dataclasses.dataclass
class Planted(PlantedModel):
    """Attention of [CLS] as `plan(example, layer, head)` says, over text positions, then regions.

    Every other row holds 7: whoever reads it finds no share.
    """

    plan: Rows | None = None

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        made = np.full((self.n_heads, len(where), len(where)), WEIGHT_OF_PADDING)
        made[:, 0] = [self.plan(example, at[1], head) for head in range(self.n_heads)]
        return made


def planted(plan: Rows, layers: int = 2, heads: int = 2) -> Planted:
    return Planted(plan=plan, stacks={"joint": layers}, n_heads=heads)


def run(model: Any, examples: list[Example], seed: int = 0) -> Result:
    found = sweep(model, examples, [ModalityImportance()], controls="none", progress=False, seed=seed)
    return found["modality_importance"]


def value(result: Result, measure: str, specials: str, group: str, layer: Any = 1, head: Any = None) -> float:
    rows = result.select(measure=measure, specials=specials, group=group)
    if layer is not None:
        rows = rows[rows["layer"] == layer]
    rows = rows[rows["head"].isna() if head is None else rows["head"] == head] if "head" in rows else rows
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


# --- one row by hand ---

BY_HAND = {
    ("cls_mass", "paper", "text"): 0.6,
    ("cls_mass", "paper", "image"): 0.4,
    ("cls_mass", "excluded", "text"): 0.4,
    ("cls_mass", "excluded", "image"): 0.4,
    ("cls_mass", "excluded", "special"): 0.2,
    ("cls_mass_per_position", "paper", "text"): 0.9,  # 0.6 / (4 / 6)
    ("cls_mass_per_position", "paper", "image"): 1.2,  # 0.4 / (2 / 6)
    ("cls_mass_per_position", "excluded", "text"): 1.2,
    ("cls_mass_per_position", "excluded", "image"): 1.2,
    ("cls_mass_per_position", "excluded", "special"): 0.6,
    ("text_share", "paper", "text"): 0.6,
    ("text_share", "excluded", "text"): 0.5,
    ("text_share_per_position", "paper", "text"): 3 / 7,  # (0.6 / 4) / (0.6 / 4 + 0.4 / 2)
    ("text_share_per_position", "excluded", "text"): 0.5,
}


def test_a_row_worked_out_by_hand():
    table = cls_table([0.1, 0.1, 0.3, 0.1, 0.3, 0.1], KINDS)
    assert set(BY_HAND) == set(CELLS)
    for (measure, specials, group), expected in BY_HAND.items():
        assert table.loc[measure, (specials, group)] == pytest.approx(expected), (measure, specials, group)
    assert int(table.isna().sum().sum()) == 4 * 5 - len(CELLS)


def test_the_probe_gives_the_numbers_worked_out_by_hand():
    row = np.array([0.1, 0.1, 0.3, 0.1, 0.3, 0.1])
    result = run(planted(lambda *_: row), [fake_example("a", 0, ("a", "man"), 2)])
    for (measure, specials, group), expected in BY_HAND.items():
        for head in (0, 1, None):
            found = value(result, measure, specials, group, 1, head)
            assert found == pytest.approx(expected, abs=1e-6), (measure, specials, group, head)
    even = {("paper", "text"): 4, ("paper", "image"): 2, ("excluded", "text"): 2, ("excluded", "special"): 2}
    for (specials, group), places in even.items():
        assert value(result, "position_share", specials, group, None) == pytest.approx(places / 6)


def test_an_even_spread_has_no_preference():
    def even(example: Example, layer: int, head: int) -> np.ndarray:
        n = len(example.words) + 2 + len(example.regions or ())
        return np.full(n, 1 / n)

    frame = run(planted(even), fake_examples(5)).frame
    found = frame[frame["measure"] == "cls_mass_per_position"]
    assert np.allclose(found[["value", "lo", "hi"]], 1.0, atol=1e-6)
    found = frame[frame["measure"] == "text_share_per_position"]
    assert np.allclose(found[["value", "lo", "hi"]], 0.5, atol=1e-6)
    assert (frame[frame["measure"] == "text_share"]["value"] < 0.49).any()


# --- planted ---


def test_planted_heads_are_recovered_exactly():
    """Layer k, head j gives 0.2 k + 0.1 j to the words, and of the rest a quarter to the specials."""

    def plan(example: Example, layer: int, head: int) -> np.ndarray:
        words, regions = len(example.words), len(example.regions or ())
        text = 0.2 * layer + 0.1 * head
        special = (1 - text) / 4
        parts = (
            [special / 2],
            [text / words] * words,
            [special / 2],
            [(1 - text - special) / regions] * regions,
        )
        return np.concatenate(parts)

    result = run(planted(plan, layers=3, heads=3), fake_examples(6))
    for layer in (1, 2, 3):
        for head in range(3):
            text = 0.2 * layer + 0.1 * head
            found = {
                g: value(result, "cls_mass", "excluded", g, layer, head) for g in ("text", "image", "special")
            }
            wanted = {"text": text, "special": (1 - text) / 4, "image": 3 * (1 - text) / 4}
            assert found == pytest.approx(wanted, abs=1e-6)
        mean = 0.2 * layer + 0.1
        assert value(result, "cls_mass", "excluded", "text", layer) == pytest.approx(mean, abs=1e-6)
        raw = value(result, "cls_mass", "paper", "text", layer)
        assert value(result, "text_share", "paper", "text", layer) == pytest.approx(raw, abs=1e-6)


def test_an_interval_is_over_images_not_captions():
    """Two pictures, one of which has its words looked at and the other not: the interval spans both."""

    def plan(example: Example, layer: int, head: int) -> np.ndarray:
        words, regions = len(example.words), len(example.regions or ())
        row = np.zeros(words + 2 + regions)
        row[1 if example.image_id == "img0" else -1] = 1.0
        return row

    result = run(planted(plan), fake_examples(2, captions=5))
    row = result.select(measure="text_share", specials="excluded", layer=1, head=0).iloc[0]
    assert (row["value"], row["lo"], row["hi"]) == (0.5, 0.0, 1.0)
    assert (row["n"], row["n_images"]) == (10, 2)


def test_a_layer_has_the_interval_of_the_mean_and_not_the_mean_of_intervals():
    """Head 0 looks at words where head 1 does not: each varies from picture to picture, their mean never."""

    def plan(example: Example, layer: int, head: int) -> np.ndarray:
        row = np.zeros(len(example.words) + 2 + len(example.regions or ()))
        row[1 if int(example.image_id[3:]) % 2 == head else -1] = 1.0
        return row

    frame = run(planted(plan), fake_examples(8)).select(measure="text_share", specials="paper", layer=1)
    single = frame[frame["head"].notna()]
    assert ((single["hi"] - single["lo"]) > 0.3).all()
    assert frame[frame["head"].isna()][["value", "lo", "hi"]].iloc[0].tolist() == [0.5, 0.5, 0.5]


def test_nothing_planted_is_found_at_the_nominal_rate():
    """Text and image positions drawn alike: the per-position share may miss one half in 18 of 200 draws."""
    misses = 0
    for draw in range(200):

        def plan(example: Example, layer: int, head: int, draw: int = draw) -> np.ndarray:
            key = int(seeds.raw(f"{draw}/{example.id}/{head}", layer, 1, purpose="planted")[0])
            row = np.random.default_rng(key).exponential(size=10)
            return row / row.sum()

        examples = [fake_example(f"i{k}", 0, ("a", "b", "c"), 5) for k in range(40)]
        probe = ModalityImportance()
        collect(planted(plan, layers=1), examples, [probe])
        rows = [r for r in probe.rows(replicates=200) if r["measure"] == "text_share" and r["head"] == 0]
        row = next(r for r in rows if r["specials"] == "paper")
        misses += not row["lo"] <= 0.5 <= row["hi"]
    assert misses <= 18


# --- against a plain loop ---


def plainly(model: Any, examples: list[Example]) -> dict[tuple[Any, ...], float]:
    """Position by position, in float64; (measure, specials, group, layer, head) -> mean over pairs."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for example in examples:
        trace = model.trace(example)
        rows = trace.positions
        for (stack, layer), maps in trace.maps.items():
            assert stack == "joint"
            for head in range(maps["text->text"].shape[0]):
                weights = np.concatenate([maps[d][head, 0] for d in ("text->text", "text->image")])
                for specials in ("paper", "excluded"):
                    mass, places = {}, {}
                    for weight, stream, kind in zip(weights, rows["stream"], rows["class"], strict=True):
                        group = "special" if kind == "special" and specials == "excluded" else stream
                        mass[group] = mass.get(group, 0.0) + float(weight)
                        places[group] = places.get(group, 0) + 1
                    for group, spent in mass.items():
                        at = (specials, group, layer, head)
                        found.setdefault(("cls_mass", *at), []).append(spent)
                        share = places[group] / len(weights)
                        found.setdefault(("cls_mass_per_position", *at), []).append(spent / share)
                    t, i = mass["text"], mass["image"]
                    at = (specials, "text", layer, head)
                    found.setdefault(("text_share", *at), []).append(t / (t + i))
                    t, i = t / places["text"], i / places["image"]
                    found.setdefault(("text_share_per_position", *at), []).append(t / (t + i))
    return {key: float(np.mean(values)) for key, values in found.items()}


def test_random_models_agree_with_a_plain_loop():
    model, examples = tiny_model("uniter", seed=3), tiny_examples(5, seed=1)
    frame, expected = run(model, examples).frame, plainly(model, examples)
    heads = frame[frame["head"].notna()]
    assert len(heads) == len(expected) == 3 * 3 * len(CELLS)
    for row in heads.itertuples():
        key = (row.measure, row.specials, row.group, row.layer, row.head)
        assert row.value == pytest.approx(expected[key], abs=2e-6), key
    layers = frame[frame["head"].isna() & frame["layer"].notna()]
    for row in layers.itertuples():
        of = [expected[(row.measure, row.specials, row.group, row.layer, head)] for head in range(3)]
        assert row.value == pytest.approx(np.mean(of), abs=2e-6)


def test_groups_of_one_treatment_add_up_to_one():
    frame = run(tiny_model("uniter"), tiny_examples(4)).select(measure="cls_mass")
    sums = frame.groupby(["specials", "layer", "head"], dropna=False)["value"].sum()
    assert np.allclose(sums, 1.0, atol=1e-5)


# --- merging ---


def test_any_sharding_gives_the_same():
    model, examples = tiny_model("uniter"), fake_free(9)
    whole = ModalityImportance()
    collect(model, examples, [whole], batch_size=9)
    shards = []
    for part in (examples[:2], examples[2:3], examples[3:]):
        probe = ModalityImportance()
        collect(model, part, [probe], batch_size=2)
        shards.append(probe)
    expected = table(whole)
    for one, two, three in permutations(shards):
        assert np.allclose(table(one.merge(two).merge(three)), expected, atol=1e-6)
        assert np.allclose(table(one.merge(two.merge(three))), expected, atol=1e-6)
    assert len(shards[0].rows(replicates=10)) == len(whole.rows(replicates=10)), "shards are left as they are"


def fake_free(n: int) -> list[Example]:
    """Several captions to a picture, so that shards share pictures."""
    examples = tiny_examples(n, seed=5)
    return [dataclasses.replace(e, image_id=str(index % 4)) for index, e in enumerate(examples)]


def table(probe: ModalityImportance) -> np.ndarray:
    rows = pd.DataFrame(probe.rows(replicates=50))
    order = rows.sort_values(["measure", "specials", "group", "layer", "head"], kind="stable")
    return order[["value", "lo", "hi", "n", "n_images"]].to_numpy(float)


# --- where it is not defined, and what is refused ---


@pytest.mark.parametrize("family", ["lxmert", "vilbert"])
def test_two_streams_have_no_number_and_say_why(family):
    model = tiny_model(family)
    result = sweep(model, tiny_examples(2), [ModalityImportance()], progress=False)["modality_importance"]
    assert result.frame.empty and "no one softmax covers both modalities" in result.reason
    assert "not defined" in repr(result)


def test_a_text_model_has_no_number_and_says_why():
    said = ModalityImportance().not_defined(tiny_model("bert"))
    assert said == "tiny-bert has no attention from text to image (stacks: text)"


def test_a_stack_of_two_streams_in_one_softmax_is_defined_whatever_its_name():
    assert ModalityImportance().not_defined(PlantedModel(stacks={"cross": 2}, joint=True)) is None
    assert ModalityImportance().not_defined(PlantedModel(stacks={"cross": 2}, joint=False)) is not None


def test_controls_have_their_names_and_seeds():
    result = sweep(tiny_model("uniter"), tiny_examples(4), [ModalityImportance()], progress=False)
    frame = result["modality_importance"].frame
    assert set(frame["control"]) == {"none", "random weights", "mismatched"}
    random = frame[frame["control"] == "random weights"]
    assert set(random["weights"]) == {f"random:{seed}" for seed in range(5)}


def test_pairs_without_words_or_regions_count_nothing():
    examples = fake_examples(3)
    bare = dataclasses.replace(examples[0], words=(), caption="")
    result = run(
        planted(lambda e, *_: np.full(len(e.words) + 2 + len(e.regions or ()), 0.1)), [bare, *examples[1:]]
    )
    assert set(result.frame["n"]) == {5}
    alone = run(planted(lambda e, *_: np.full(len(e.words) + 2 + len(e.regions or ()), 0.1)), [bare])
    assert alone.frame.empty


def test_a_head_that_gives_words_and_regions_nothing_has_no_text_share():
    cells = measures(np.array([0.0, 1.0, 0.0, 0.0]), np.array([3.0, 2.0, 4.0, 0.0]))
    found = dict(zip(CELLS, cells, strict=True))
    assert np.isnan(found["text_share", "excluded", "text"]) and found["text_share", "paper", "text"] == 1.0
    assert found["cls_mass", "excluded", "special"] == 1.0


def test_maps_are_left_as_they_are():
    model, same = tiny_model("uniter"), []

    def check(batch: LayerBatch) -> None:
        before = {d: m.clone() for d, m in batch.attention.items()}
        if batch.layer:
            ModalityImportance().update(batch)
        same.append(all(torch.equal(before[d], batch.attention[d]) for d in before))

    model.run(model.prepare(tiny_examples(3)), on_layer=check)
    assert same == [True] * 4


def test_a_text_that_does_not_begin_with_cls_is_refused():
    example = fake_example("a", 0, ("x",), 1)
    text = StreamLayout(torch.tensor([[PositionClass.TEXT]]), torch.tensor([[0]]), (("x",),))
    image = StreamLayout(torch.tensor([[PositionClass.IMAGE]]), torch.tensor([[0]]), (("r",),))
    maps = {"text->text": torch.full((1, 1, 1, 1), 0.5), "text->image": torch.full((1, 1, 1, 1), 0.5)}
    batch = LayerBatch(Layout((example,), {"text": text, "image": image}), "joint", 1, {}, maps, True)
    with pytest.raises(ValueError, match=r"example 'a#0' does not begin with \[CLS\]"):
        ModalityImportance().update(batch)


@pytest.mark.parametrize("kinds", [["text"], ["text", "word"]])
def test_toy_rows_that_do_not_fit_are_refused(kinds):
    with pytest.raises(ValueError, match="expected one kind for each, among 'text', 'text special'"):
        cls_table([0.5, 0.5], kinds)
