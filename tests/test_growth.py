"""Growth: every checkpoint is asked, numbers shown are those of its results, marks stand at its steps."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tests.probes.coreference_fakes import looking, mapped, noise, world
from value_nb import coreference_heads, growth
from value_nb.growth import watch_growth
from value_nb.plots import plot_growth

DATA = [*world(8, "val"), *world(8, "test")]
CURVE = pd.DataFrame(
    [
        (step, "dev", measure, value)
        for measure, values in (("object words", (0.1, 0.4, 0.7)), ("matching AUC", (0.5, 0.6, 0.9)))
        for step, value in zip((10, 20, 30), values, strict=True)
    ],
    columns=["step", "split", "measure", "value"],
)


def model_at(name, random_weights=None, step=None):
    """Head 1 of layer 2 finds the regions at the end of training alone; at step 20 another one does."""
    place = {None: (2, 1), 20: (1, 0)}[step] if random_weights is None else None

    def weights(example, direction, layer, head):
        found = noise()(example, direction, layer, head)
        planted = direction == "text->image" and (layer, head) == place
        return looking(example, found, lambda phrase: phrase.regions) if planted else found

    return mapped(weights)


@pytest.fixture
def grown(monkeypatch):
    table = pd.DataFrame({"name": ["small"], "steps": [(20,)]})
    monkeypatch.setattr(growth, "models", lambda: table)
    monkeypatch.setattr(growth, "training_curve", lambda name: CURVE)
    monkeypatch.setattr(growth, "load_model", model_at)
    yield watch_growth("small", DATA)
    plt.close("all")


def test_trainings_stand_side_by_side(monkeypatch):
    curves = {0: CURVE, 3: CURVE[CURVE["step"] <= 20]}
    monkeypatch.setattr(growth, "models", lambda: pd.DataFrame({"name": ["small"], "seeds": [(0, 3)]}))
    monkeypatch.setattr(growth, "training_curve", lambda name, seed: curves[seed])
    table = growth.trainings("small")
    assert table.index.tolist() == [0, 3] and table["steps"].tolist() == [30, 20]
    assert table.loc[0, "half of the object words at"] == 30
    assert pd.isna(table.loc[3, "half of the object words at"])
    assert table["matching AUC, end"].tolist() == [0.9, 0.6]
    with pytest.raises(ValueError, match="there are: small"):
        growth.trainings("large")


def test_all_checkpoints_are_asked_from_random_weights_to_the_end(grown):
    assert list(grown.results) == [0, 20, 30]
    best = grown.best()
    best = best[best["direction"] == "text->image"].set_index("step")
    assert best.loc[20, ["layer", "head", "hit_rate"]].tolist() == [1, 0, 1.0]
    assert best.loc[30, ["layer", "head", "hit_rate"]].tolist() == [2, 1, 1.0]
    assert best.loc[0, "hit_rate"] < 0.9


def test_the_maps_are_those_of_the_results(grown):
    for step, table in grown.maps().items():
        own = coreference_heads.head_map(grown.results[step], "hit_rate", "text->image")
        pd.testing.assert_frame_equal(table, own)


def test_the_figure_has_a_map_for_each_checkpoint_on_one_scale(grown):
    curves, *cells = plot_growth(grown)
    assert [ax.get_title(loc="left") for ax in cells] == ["random weights", "step 20", "step 30"]
    meshes = [ax.collections[0] for ax in cells]
    assert len({mesh.get_clim() for mesh in meshes}) == 1
    assert np.nanmax(meshes[-1].get_array()) == 1.0
    lines = {line.get_label(): line for line in curves.lines}
    assert lines["hidden object words"].get_xdata().tolist() == [10, 20, 30]
    assert lines["matching AUC"].get_ydata()[1] == pytest.approx(CURVE["value"].to_numpy()[3:].mean())


def test_an_unknown_model_lists_those_there_are(monkeypatch):
    monkeypatch.setattr(growth, "training_curve", lambda name: CURVE)
    monkeypatch.setattr(growth, "load_model", lambda *args, **how: None)
    with pytest.raises(ValueError, match="no model 'none'; there are: mini-bert"):
        watch_growth("none", DATA)
