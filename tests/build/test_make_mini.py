"""Which trainings and checkpoints a build makes, and what of them is shipped."""

from __future__ import annotations

import json

import pytest
import torch

from data.build import cards, make_mini, pretrain
from tests.tiny import save_tiny, tiny_examples
from value_nb.models.registry import load_model, models

SIZES = make_mini.FULL
FAMILIES = {"mini-bert": "bert", "mini-uniter": "uniter", "mini-lxmert": "lxmert", "mini-vilbert": "vilbert"}


@pytest.fixture
def work(tmp_path):
    """Work files as trainings leave them: every model, and snapshots of which more exist than are shipped."""
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    for name, seed in make_mini.trainings():
        run = pretrain.run_name(name, seed)
        save_tiny(work / "models" / run, FAMILIES[name], seed)
        (work / "models" / run / "card.json").write_text(json.dumps({"seed": seed, "gate_met": True}))
        for number, step in enumerate((*make_mini.SNAPSHOT_STEPS, 900)):
            folder = work / "work" / "snapshots" / run / f"step-{step:05d}"
            save_tiny(folder, FAMILIES[name], 10 + number)
            (folder / "tokenizer.json").unlink()
            (folder / "optimiser.txt").write_text("of no use to a reader")
    return work


def test_all_models_and_two_shorter_seeds_are_trained():
    assert sorted(make_mini.MODELS) == ["mini-bert", "mini-lxmert", "mini-uniter", "mini-vilbert"]
    assert make_mini.trainings()[-2:] == (("mini-uniter", 1), ("mini-uniter", 2))
    assert [make_mini.steps_of(seed, SIZES) for seed in (0, 1, 2)] == [3000, 1500, 1500]
    assert make_mini.steps_of(1, make_mini.FAST) == 30


def test_shipped_steps_lie_before_the_end_and_are_kept_by_the_training(monkeypatch):
    assert make_mini.shipped_steps("mini-uniter", 0, SIZES) == make_mini.SNAPSHOT_STEPS
    assert set(make_mini.SNAPSHOT_STEPS) <= set(pretrain.SNAPSHOTS)
    assert make_mini.shipped_steps("mini-uniter", 1, SIZES) == ()
    assert make_mini.shipped_steps("mini-bert", 0, SIZES) == ()
    assert make_mini.shipped_steps("mini-uniter", 0, make_mini.FAST) == ()
    monkeypatch.setattr(make_mini, "SNAPSHOT_STEPS", (50, 60, 3000))
    assert make_mini.shipped_steps("mini-uniter", 0, make_mini.FAST) == (50,)


def test_training_and_card_are_of_the_same_seed_and_the_data_seed_is_not_theirs(tmp_path):
    jobs = make_mini._training_jobs(tmp_path, SIZES)
    assert jobs[-1] == ("mini-uniter-seed2", pretrain.train, ("mini-uniter", tmp_path, 1500, 2, False))
    assert make_mini._card_jobs(tmp_path)[-1][1:] == (cards.write, ("mini-uniter", tmp_path, 2))
    assert len(jobs) == len(make_mini.trainings()) == 6


def test_what_is_shipped_can_be_loaded(work, tmp_path, monkeypatch):
    make_mini._publish(work, tmp_path / "data" / "mini", SIZES)
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "data"))
    table = models().set_index("name")
    assert table.loc["mini-uniter", "seeds"] == (0, 1, 2)
    assert table.loc["mini-uniter", "steps"] == make_mini.SNAPSHOT_STEPS
    assert table.loc["mini-lxmert", "seeds"] == (0,) and table.loc["mini-lxmert", "steps"] == ()
    step = make_mini.SNAPSHOT_STEPS[0]
    shipped = tmp_path / "data" / "mini" / "models" / "mini-uniter" / "steps" / f"step-{step:05d}"
    assert sorted(p.name for p in shipped.iterdir()) == ["config.json", "model.safetensors"]
    states = []
    for model in (
        load_model("mini-uniter"),
        load_model("mini-uniter", step=step),
        load_model("mini-uniter", seed=1),
    ):
        states.append(model.run(model.prepare(tiny_examples(2))).hidden["text"])
    assert not any(torch.equal(states[i], states[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_step_that_was_not_kept_is_named(work, tmp_path, monkeypatch):
    monkeypatch.setattr(make_mini, "SNAPSHOT_STEPS", (123,))
    with pytest.raises(
        ValueError, match=r"mini-uniter has no config\.json and no model\.safetensors of step 123"
    ):
        make_mini._publish(work, tmp_path / "mini", SIZES)
    assert not (tmp_path / "mini").exists()
