from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from tests.fakes import FakeModel, fake_example, fake_examples
from value_nb.collecting import collect
from value_nb.probes.fusion import FusionDegree, effective_rank
from value_nb.sweep import sweep


def by_layer(frame: pd.DataFrame, measure: str, specials: str = "paper") -> list[float]:
    rows = frame[(frame["measure"] == measure) & (frame["specials"] == specials)]
    return rows.sort_values("layer")["value"].tolist()


def run(model: FakeModel, examples: list, probe: FusionDegree | None = None, seed: int = 0) -> pd.DataFrame:
    probe = probe or FusionDegree()
    return sweep(model, examples, [probe], controls="none", progress=False, seed=seed)[probe.name].frame


def constant(values: dict[str, list[list[float]]]) -> FakeModel:
    """The same states for every example: [CLS], words, [SEP]; regions."""
    text, image = (np.array(values[s], dtype=np.float32) for s in ("text", "image"))
    return FakeModel(gap=(0.0, 0.0), width=text.shape[1], states=lambda e, layer, n: (text, image))


def pairs(n: int, words: int, regions: int) -> list:
    return [fake_example(f"i{k}", 0, tuple("w" * words), regions) for k in range(n)]


def test_modalities_that_lie_apart_give_one():
    model = constant({"text": [[0.0], [0.1], [0.2], [0.0]], "image": [[9.0], [9.1], [9.2]]})
    frame = run(model, pairs(3, words=2, regions=3))
    assert by_layer(frame, "nmi") == pytest.approx([1.0, 1.0])
    assert by_layer(frame, "ami") == pytest.approx([1.0, 1.0])


def test_a_split_across_modalities_gives_zero():
    """Half of the words and half of the regions at 0, the others at 9."""
    model = constant({"text": [[0.0], [0.1], [9.0], [9.1]], "image": [[0.0], [9.0]]})
    frame = run(model, pairs(3, words=2, regions=2))
    assert by_layer(frame, "nmi") == pytest.approx([0.0, 0.0], abs=1e-12)
    assert by_layer(frame, "ami")[0] < 0, "below what chance gives"


def test_specials_count_with_their_stream_or_not_at_all():
    """[CLS] and [SEP] lie among the regions: with them half of the text is apart, without them all is."""
    model = constant({"text": [[9.0], [0.0], [0.1], [9.1]], "image": [[9.0], [9.1], [9.2]]})
    frame = run(model, pairs(2, words=2, regions=3))
    clusters, modality = [1, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1]
    assert by_layer(frame, "nmi", "paper")[0] == pytest.approx(
        normalized_mutual_info_score(modality, clusters)
    )
    assert by_layer(frame, "ami", "paper")[0] == pytest.approx(adjusted_mutual_info_score(modality, clusters))
    assert by_layer(frame, "nmi", "excluded")[0] == pytest.approx(1.0)


def test_mean_over_pairs_is_that_of_scikit_learn():
    model, examples = FakeModel(gap=(5.0, 5.0)), fake_examples(6)
    nmi = []
    for example in examples:
        text, image = model.states(example, 1, len(example.words) + 2)
        clusters = KMeans(2, n_init=20, random_state=0).fit_predict(
            np.concatenate([text, image]).astype(float)
        )
        nmi.append(normalized_mutual_info_score([0] * len(text) + [1] * len(image), clusters))
    assert by_layer(run(model, examples), "nmi")[1] == pytest.approx(np.mean(nmi), abs=1e-9)


def test_planted_degrees_come_out_in_order():
    frame = run(FakeModel(gap=(0.0, 1.0, 2.0, 3.0, 4.5, 7.0)), fake_examples(40))
    for measure in ("nmi", "ami", "separability"):
        values = by_layer(frame, measure)
        assert all(a < b for a, b in pairwise(values)), measure
        assert values[-1] > 0.9
    assert abs(by_layer(frame, "ami")[0]) < 0.03
    assert abs(by_layer(frame, "separability")[0] - 0.5) < 0.06


def test_last_minus_first_is_paired_and_has_its_sign():
    frame = run(FakeModel(gap=(0.0, 6.0, 3.0, 1.0)), fake_examples(30))
    row = frame[(frame["measure"] == "ami_last_minus_first") & (frame["specials"] == "paper")].iloc[0]
    ami = by_layer(frame, "ami")
    assert row["value"] == pytest.approx(ami[3] - ami[1]) and row["hi"] < 0
    assert pd.isna(row["layer"])


@pytest.fixture(scope="module")
def nothing_planted() -> list[dict]:
    """Rows of 200 draws in which text and image states are the same in distribution."""
    rows = []
    for draw in range(200):
        probe = FusionDegree(restarts=2, sample_size=400)
        model = FakeModel(gap=(0.0, 0.0, 0.0), width=4, weights=f"draw{draw}")
        collect(model, fake_examples(30, captions=1, seed=draw), [probe])
        rows += [r for r in probe.rows(replicates=300) if r["specials"] == "excluded"]
    return rows


@pytest.mark.parametrize("measure", ["ami", "ami_last_minus_first", "separability"])
def test_false_positives_with_nothing_planted(nothing_planted, measure):
    """The 95 % interval may miss the truth in at most 18 of 200 draws (99 % bound)."""
    rows = [r for r in nothing_planted if r["measure"] == measure and r["layer"] in (2, None)]
    truth = 0.5 if measure == "separability" else 0.0
    assert len(rows) == 200 and sum(not r["lo"] <= truth <= r["hi"] for r in rows) <= 18


def test_power_grows_with_what_is_planted():
    found = []
    for gap in (0.0, 1.5, 3.0, 5.0):
        hits = 0
        for draw in range(20):
            probe = FusionDegree(restarts=2, sample_size=50)
            collect(
                FakeModel(gap=(gap, gap), width=4, weights=f"p{draw}"), fake_examples(12, 1, draw), [probe]
            )
            hits += next(r["lo"] > 0 for r in probe.rows(replicates=200) if r["measure"] == "ami")
        found.append(hits)
    assert found == sorted(found) and found[0] <= 4 and found[-1] == 20


def test_collapse_shows_in_the_effective_rank():
    model = constant({"text": [[1.0, 2.0]] * 4, "image": [[1.0, 2.0]] * 3})
    frame = run(model, pairs(2, words=2, regions=3))
    assert by_layer(frame, "nmi") == [0.0, 0.0] and by_layer(frame, "effective_rank") == [0.0, 0.0]


def test_effective_rank_of_known_spectra():
    line = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]])
    cross = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])
    assert effective_rank(line, torch.ones(1, 3, dtype=torch.bool))[0] == pytest.approx(1.0, abs=1e-9)
    assert effective_rank(cross, torch.ones(1, 4, dtype=torch.bool))[0] == pytest.approx(2.0)
    padded = torch.cat([cross, torch.full((1, 3, 2), 50.0)], dim=1)
    assert effective_rank(padded, torch.arange(7)[None] < 4)[0] == pytest.approx(2.0)
    wide = torch.eye(3).repeat(1, 1, 2).reshape(1, 3, 6)
    assert effective_rank(wide, torch.ones(1, 3, dtype=torch.bool))[0] == pytest.approx(2.0)


def test_pooled_asks_another_question():
    """Every pair lies apart, but along a direction of its own: pair by pair 1, together near 0."""

    def states(example, layer, n_text):
        rng = np.random.default_rng(int(example.image_id[3:]))
        way = rng.normal(size=8)
        way *= 20 / np.linalg.norm(way)
        text, image = rng.normal(size=(n_text, 8)), rng.normal(size=(len(example.regions), 8))
        return (text + way).astype(np.float32), (image - way).astype(np.float32)

    model, examples = FakeModel(gap=(0.0, 0.0), width=8, states=states), fake_examples(60, captions=1)
    alone, pooled = run(model, examples), run(model, examples, FusionDegree(pooled=True, sample_size=600))
    assert by_layer(alone, "nmi")[0] == pytest.approx(1.0)
    assert by_layer(pooled, "nmi")[0] < 0.2
    assert set(pooled["measure"]) == {"nmi", "ami"} and set(pooled["group"]) == {"pooled sample"}
    assert pooled["n"].max() == 600


def test_pooled_value_is_that_of_scikit_learn_and_lies_in_its_interval():
    model, examples = FakeModel(gap=(4.0, 4.0)), fake_examples(20)
    probe = FusionDegree(pooled=True, sample_size=100_000)
    row = run(model, examples, probe).query("layer == 1 and measure == 'nmi' and specials == 'paper'").iloc[0]
    parts = [model.states(e, 1, len(e.words) + 2) for e in examples]
    states = np.concatenate([np.concatenate(part) for part in parts]).astype(float)
    modality = np.concatenate([[0] * len(text) + [1] * len(image) for text, image in parts])
    clusters = KMeans(2, n_init=10, random_state=0).fit_predict(states)
    assert row["value"] == pytest.approx(normalized_mutual_info_score(modality, clusters), abs=0.01)
    assert row["lo"] < row["value"] < row["hi"] and row["n"] == len(states)


def test_cross_stack_counts_as_one():
    frame = run(FakeModel(gap=(6.0, 6.0), stack="cross"), fake_examples(4))
    assert set(frame["stack"]) == {"cross"}


def test_unequal_widths_are_not_defined():
    model = FakeModel(widths={"text": 6, "image": 8})
    result = sweep(model, fake_examples(3), [FusionDegree()], progress=False)["fusion_degree"]
    assert result.frame.empty and model.calls == []
    assert "text states of fake are 6 wide and image states 8" in result.reason
    assert "not defined" in repr(result)


def test_a_text_model_is_not_defined():
    model = FakeModel(stack="text")
    assert "no stack of fake holds both" in FusionDegree().not_defined(model)


def test_states_are_left_as_they_are():
    model, examples = FakeModel(), fake_examples(4)
    seen = []

    def check(batch):
        before = {k: v.clone() for k, v in batch.hidden.items()}
        FusionDegree().update(batch)
        seen.append(all(torch.equal(before[k], batch.hidden[k]) for k in before))

    model.run(model.prepare(examples), on_layer=check)
    assert seen == [True, True, True]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="restarts=0, sample_size=2000: at least 1 start"):
        FusionDegree(restarts=0)


def test_merging_other_settings_is_refused():
    with pytest.raises(ValueError, match="only probes with the same settings"):
        FusionDegree().merge(FusionDegree(restarts=3))
