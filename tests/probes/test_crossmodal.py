"""Cross-modal heads against numbers worked out by hand, a plain loop, planted heads and every sharding."""

from __future__ import annotations

import dataclasses
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.fakes import fake_example, fake_examples
from tests.probes.planted_model import Place, PlantedModel, Positions
from tests.tiny import tiny_examples, tiny_model
from value_nb import seeds
from value_nb.collecting import collect
from value_nb.data.example import Example
from value_nb.layout import LayerBatch
from value_nb.probes.crossmodal import CrossModalHeads, head_table
from value_nb.result import Result
from value_nb.sweep import sweep


@dataclasses.dataclass
class Planted(PlantedModel):
    """Rows of a joint softmax as `plan(example, layer, head)` says: `(position, position)`, text first."""

    plan: Any = None

    def rows(self, at: Place, example: Example, where: Positions) -> np.ndarray:
        return np.stack([self.plan(example, at[1], head) for head in range(self.n_heads)])


def planted(plan: Any, layers: int = 2, heads: int = 2) -> Planted:
    return Planted(plan=plan, stacks={"joint": layers}, n_heads=heads)


def run(model: Any, examples: list[Example], seed: int = 0) -> Result:
    found = sweep(model, examples, [CrossModalHeads()], controls="none", progress=False, seed=seed)
    return found["cross_modal_heads"]


def value(result: Result, measure: str, direction: str, specials: str, **where: Any) -> float:
    rows = result.select(measure=measure, direction=direction, specials=specials, **where)
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


def even(example: Example, *_: Any) -> np.ndarray:
    n = len(example.words) + 2 + len(example.regions or ())
    return np.full((n, n), 1 / n)


# --- by hand ---

# [CLS], a, man, [SEP], then two regions; rows of [CLS] and [SEP] give all to the image.
WEIGHTS = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.5, 0.5],
        [0.2, 0.3, 0.1, 0.0, 0.2, 0.2],
        [0.1, 0.1, 0.1, 0.1, 0.3, 0.3],
        [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [0.3, 0.1, 0.1, 0.1, 0.2, 0.2],
        [0.0, 0.1, 0.1, 0.0, 0.4, 0.4],
    ]
)
BY_HAND = {  # share, mass, beyond expectation, on specials
    ("image->text", "paper"): (1.0, 0.4, 0.4 - 4 / 6, 0.2),  # masses 0.6 and 0.2
    ("image->text", "excluded"): (0.0, 4 / 15, 4 / 15 - 0.5, 0.2),  # 0.2 / 0.6 and 0.2 / 1.0
    ("text->image", "paper"): (1.0, 0.75, 0.75 - 2 / 6, 0.1),  # 1, 0.4, 0.6, 1
    ("text->image", "excluded"): (1.0, 0.625, 0.625 - 0.5, 0.2),  # 0.4 / 0.8 and 0.6 / 0.8
}


def test_the_probe_gives_the_numbers_worked_out_by_hand():
    result = run(planted(lambda *_: WEIGHTS), [fake_example("a", 0, ("a", "man"), 2)])
    for (direction, specials), (share, mass, excess, resting) in BY_HAND.items():
        for head in (0, 1):
            where = {"direction": direction, "specials": specials, "layer": 2, "head": head}
            assert value(result, "share_of_pairs", **where) == share, where
            assert value(result, "mass", **where) == pytest.approx(mass, abs=1e-6), where
            assert value(result, "mass_minus_expected", **where) == pytest.approx(excess, abs=1e-6), where
            assert value(result, "mass_on_specials", **where) == pytest.approx(resting, abs=1e-6), where
        expected = {"paper": {"image->text": 4 / 6, "text->image": 2 / 6}[direction], "excluded": 0.5}[
            specials
        ]
        assert value(result, "expected_mass", direction, specials) == pytest.approx(expected)


def test_a_toy_head_worked_out_by_hand():
    row = head_table([[0.6, 0.2, 0.1, 0.1], [0.0, 0.2, 0.4, 0.4]], n_text=2).iloc[0]
    assert row.round(6).tolist() == [1.0, 0.5, 0.0]
    with pytest.raises(ValueError, match=r"weights of shape \(1, 4\) and n_text=2; expected a row for each"):
        head_table([[0.6, 0.2, 0.1, 0.1]], n_text=2)


@pytest.mark.parametrize(("words", "regions", "share"), [(3, 4, 1.0), (3, 5, 0.0), (3, 6, 0.0)])
def test_an_even_spread_is_decided_by_counts_for_the_paper_and_is_nothing_beside_them(words, regions, share):
    """3 words + 2 specials: more than 4 regions, as many as 5, fewer than 6. Exactly half is not more."""
    examples = [fake_example(f"i{k}", 0, ("w",) * words, regions) for k in range(3)]
    result = run(planted(even), examples)
    rows = result.select(measure="share_of_pairs", direction="image->text", specials="paper")
    assert set(rows["value"]) == {share}
    assert np.allclose(result.select(measure="mass_minus_expected")["value"], 0.0, atol=1e-6)


def test_planted_heads_are_recovered_exactly_and_counted():
    """Head j of layer k looks across in the images whose number is below 2 j; others look at themselves."""

    def plan(example: Example, layer: int, head: int) -> np.ndarray:
        n, n_text = len(example.words) + 2 + len(example.regions or ()), len(example.words) + 2
        whole = np.zeros((n, n))
        crosses = int(example.image_id[3:]) < 2 * head + 4 * (layer - 1)
        whole[:n_text, n_text if crosses else 1] = 1.0
        whole[n_text:, 1 if crosses else n_text] = 1.0
        return whole

    result = run(planted(plan), fake_examples(8))
    for direction in ("image->text", "text->image"):
        for specials in ("paper", "excluded"):
            for layer, head in ((1, 0), (1, 1), (2, 0), (2, 1)):
                found = value(result, "share_of_pairs", direction, specials, layer=layer, head=head)
                assert found == (2 * head + 4 * (layer - 1)) / 8
            assert value(result, "largest_head", direction, specials) == 0.75
            assert value(result, "smallest_head", direction, specials) == 0.0
            assert value(result, "share_of_heads", direction, specials) == 0.25, "one half is not above it"


@pytest.mark.parametrize("rest", [0.9, 1.0])
def test_what_rests_on_sep_counts_as_text_for_the_paper_and_is_left_out_beside_it(rest):
    """The tokens give `rest` to [SEP], and of what is left three quarters to regions."""

    def plan(example: Example, *_: Any) -> np.ndarray:
        words, regions = len(example.words), len(example.regions or ())
        row = np.zeros(words + 2 + regions)
        row[1], row[-1], row[words + 1] = (1 - rest) / 4, 3 * (1 - rest) / 4, rest
        return np.tile(row, (len(row), 1))

    result = run(planted(plan), fake_examples(4))
    where = {"direction": "image->text", "layer": 1, "head": 0}
    assert value(result, "share_of_pairs", specials="paper", **where) == 1.0
    if rest < 1.0:
        assert value(result, "share_of_pairs", specials="excluded", **where) == 0.0
        assert value(result, "mass", specials="excluded", **where) == pytest.approx(0.25, abs=1e-6)
        assert value(result, "mass_on_specials", specials="excluded", **where) == pytest.approx(0.9)
    else:
        frame = result.frame
        heads = frame[(frame["specials"] == "excluded") & frame["head"].notna()]
        assert set(heads["measure"]) == {"mass_on_specials"}, "no number of nothing"


def test_an_interval_is_over_images_not_captions():
    def plan(example: Example, *_: Any) -> np.ndarray:
        n = len(example.words) + 2 + len(example.regions or ())
        whole = np.zeros((n, n))
        whole[:, 1 if example.image_id == "img0" else -1] = 1.0
        return whole

    result = run(planted(plan), fake_examples(2, captions=5))
    row = result.select(measure="share_of_pairs", direction="image->text", specials="paper", layer=1, head=0)
    assert row[["value", "lo", "hi", "n", "n_images"]].iloc[0].tolist() == [0.5, 0.0, 1.0, 10, 2]


def test_nothing_planted_is_found_at_the_nominal_rate():
    """Positions drawn alike: what lies beyond the position counts may miss 0 in 18 of 200 draws."""
    misses = 0
    examples = [fake_example(f"i{k}", 0, ("a", "b", "c"), 5) for k in range(40)]
    for draw in range(200):

        def plan(example: Example, layer: int, head: int, draw: int = draw) -> np.ndarray:
            key = int(seeds.raw(f"{draw}/{example.id}/{head}", layer, 1, purpose="planted")[0])
            rows = np.random.default_rng(key).exponential(size=10)
            return np.tile(rows / rows.sum(), (10, 1))

        probe = CrossModalHeads()
        collect(planted(plan, layers=1, heads=1), examples, [probe])
        rows = [r for r in probe.rows(replicates=200) if r["measure"] == "mass_minus_expected"]
        row = next(r for r in rows if (r["specials"], r["direction"]) == ("paper", "image->text"))
        misses += not row["lo"] <= 0.0 <= row["hi"]
    assert misses <= 18


# --- against a plain loop ---


def plainly(model: Any, examples: list[Example]) -> dict[tuple[Any, ...], float]:
    """Position by position; (measure, direction, specials, layer, head) -> mean over pairs."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for example in examples:
        trace = model.trace(example)
        kinds = {s: trace.streams[s].position_class for s in ("text", "image")}
        own = {"text": 1, "image": 2}
        for (_, layer), maps in trace.maps.items():
            for direction in ("image->text", "text->image"):
                query, key = direction.split("->")
                for specials in ("paper", "excluded"):
                    count = {
                        s: [j for j, k in enumerate(kinds[s]) if specials == "paper" or k == own[s]]
                        for s in kinds
                    }
                    for head in range(len(maps[direction])):
                        masses = []
                        for q in count[query]:
                            sums = {
                                s: sum(float(maps[f"{query}->{s}"][head, q, j]) for j in count[s])
                                for s in count
                            }
                            masses.append(sums[key] / (sums["text"] + sums["image"]))
                        at = (direction, specials, layer, head)
                        mean = float(np.mean(masses))
                        found.setdefault(("share_of_pairs", *at), []).append(any(m > 0.5 for m in masses))
                        found.setdefault(("mass", *at), []).append(mean)
                        excess = mean - len(count[key]) / (len(count["text"]) + len(count["image"]))
                        found.setdefault(("mass_minus_expected", *at), []).append(excess)
    return {key: float(np.mean(values)) for key, values in found.items()}


def test_random_models_agree_with_a_plain_loop():
    model, examples = tiny_model("uniter", seed=3), tiny_examples(5, seed=1)
    frame, expected = run(model, examples).frame, plainly(model, examples)
    heads = frame[frame["head"].notna() & (frame["measure"] != "mass_on_specials")]
    assert len(heads) == len(expected) == 3 * 3 * 2 * 2 * 3
    for row in heads.itertuples():
        key = (row.measure, row.direction, row.specials, row.layer, row.head)
        assert row.value == pytest.approx(expected[key], abs=2e-6), key
    for measure, made in (("largest_head", max), ("smallest_head", min)):
        for row in frame[frame["measure"] == measure].itertuples():
            place = ("share_of_pairs", row.direction, row.specials)
            assert row.value == pytest.approx(made(v for k, v in expected.items() if k[:3] == place))


# --- merging ---


def test_any_sharding_gives_the_same():
    examples = [dataclasses.replace(e, image_id=str(i % 4)) for i, e in enumerate(tiny_examples(9, seed=5))]
    model, whole, shards = tiny_model("uniter"), CrossModalHeads(), []
    collect(model, examples, [whole], batch_size=9)
    for part in (examples[:2], examples[2:3], examples[3:]):
        shards.append(CrossModalHeads())
        collect(model, part, [shards[-1]], batch_size=2)
    expected = table(whole)
    for one, two, three in permutations(shards):
        assert np.allclose(table(one.merge(two).merge(three)), expected, atol=1e-6)
        assert np.allclose(table(one.merge(two.merge(three))), expected, atol=1e-6)


def table(probe: CrossModalHeads) -> np.ndarray:
    rows = pd.DataFrame(probe.rows(replicates=50))
    order = rows.sort_values(["measure", "direction", "specials", "layer", "head"], kind="stable")
    return order[["value", "lo", "hi", "n", "n_images"]].to_numpy(float)


# --- where it is not defined, controls, what is left out ---


@pytest.mark.parametrize("family", ["lxmert", "vilbert"])
def test_directions_with_a_softmax_of_their_own_have_no_number_and_say_why(family):
    model = tiny_model(family)
    result = sweep(model, tiny_examples(2), [CrossModalHeads()], progress=False)["cross_modal_heads"]
    assert result.frame.empty and "a softmax of its own" in result.reason
    assert "not defined" in repr(result)


def test_a_text_model_has_no_number_and_says_why():
    said = CrossModalHeads().not_defined(tiny_model("bert"))
    assert said == "tiny-bert has no attention between text and image (stacks: text)"


def test_controls_have_their_names_and_seeds():
    result = sweep(tiny_model("uniter"), tiny_examples(4), [CrossModalHeads()], progress=False)
    frame = result["cross_modal_heads"].frame
    assert set(frame["control"]) == {"none", "random weights", "mismatched"}
    random = frame[frame["control"] == "random weights"]
    assert set(random["weights"]) == {f"random:{seed}" for seed in range(5)}


def test_pairs_without_words_or_regions_count_nothing():
    examples = fake_examples(3)
    bare = dataclasses.replace(examples[0], words=(), caption="")
    assert set(run(planted(even), [bare, *examples[1:]]).frame["n"]) == {5}
    assert run(planted(even), [bare]).frame.empty


def test_maps_are_left_as_they_are():
    model, same = tiny_model("uniter"), []

    def check(batch: LayerBatch) -> None:
        before = {d: m.clone() for d, m in batch.attention.items()}
        if batch.layer:
            CrossModalHeads().update(batch)
        same.append(all(torch.equal(before[d], batch.attention[d]) for d in before))

    model.run(model.prepare(tiny_examples(3)), on_layer=check)
    assert same == [True] * 4
