import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from tests.probes.sentences import LookingModel, sentences
from tests.tiny import tiny_examples, tiny_model
from value_nb import style
from value_nb.linguistic_plots import COLOURS, plot_linguistic, plot_linguistic_tasks
from value_nb.linguistic_scores import score
from value_nb.linguistics import probe_linguistics
from value_nb.plots import plotter
from value_nb.probes.linguistic import LinguisticProbe
from value_nb.result import Result, Results
from value_nb.sweep import sweep

PROBE = LinguisticProbe(n_jobs=1, grid=(0.01,))


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def planted(name: str, gate: bool, task: str = "one") -> Result:
    model = LookingModel(signal={1: 6.0}, looks=0.4, name=name, gate_met=gate)
    return sweep(model, sentences(120, task=task), [PROBE], progress=False)["linguistic_probe"]


@pytest.fixture(scope="module")
def result() -> Result:
    return planted("good", True)


@pytest.fixture(scope="module")
def two_streams() -> Result:
    from tests.test_linguistics import sentences as tiny_sentences

    model = tiny_model("lxmert")
    tasks = {"first": tiny_sentences()}
    return probe_linguistics(model, tasks, PROBE, pictures=tiny_examples(6), progress=False)["first"]


def line(ax, start: str):
    found = [one for one in ax.get_lines() if str(one.get_label()).startswith(start)]
    assert len(found) == 1, [one.get_label() for one in ax.get_lines()]
    return found[0]


@pytest.mark.parametrize(("group", "label"), [("[CLS]", "[CLS],\n95"), ("mean", "mean over words,\n95")])
def test_curves_are_the_result(result, group, label):
    ax = plot_linguistic(result)
    rows = result.select(measure="accuracy", group=group, control="none").sort_values("layer")
    x, y = line(ax, label).get_data()
    assert x.tolist() == [0, 1, 2] and np.array_equal(y, rows["value"])
    bands = [band.get_paths()[0].vertices[:, 1] for band in ax.collections]
    assert any((band.min(), band.max()) == (rows["lo"].min(), rows["hi"].max()) for band in bands)


def test_levels_and_controls(result):
    ax = plot_linguistic(result, pooling="mean")
    for name in ("majority", "length", "bag of words"):
        assert set(line(ax, name).get_ydata()) == {score(result, name)["value"]}
    assert set(line(ax, "statistics of heads").get_ydata()) == {score(result, "heads")["value"]}
    random = result.select(measure="accuracy", group="mean", control="random weights").sort_values("layer")
    drawn = line(ax, "mean over words,\nrandom weights")
    assert np.array_equal(drawn.get_ydata(), random["value"]) and drawn.get_color() == style.RANDOM
    assert not any(str(one.get_label()).startswith("[CLS]") for one in ax.get_lines())


def test_stacks_stand_one_after_the_other(two_streams):
    ax = plot_linguistic(two_streams)
    assert [t.get_text() for t in ax.get_xticklabels()] == list("01230123")
    assert ax.get_xticks().tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    region = line(ax, "[CLS], mean region")
    rows = two_streams.select(measure="accuracy", group="[CLS]", control="mean region", stack="cross")
    assert np.array_equal(region.get_ydata(), rows.sort_values("layer")["value"])
    assert region.get_xdata().tolist() == [5, 6, 7, 8]
    assert "text, then of the cross stack" in ax.get_xlabel()


def test_titles(result):
    assert plot_linguistic(result).get_title(loc="left") == "good on fake-senteval/one, 20 test sentences"
    missed = plot_linguistic(planted("bad", False)).get_title(loc="left")
    assert missed.endswith("quality gate not met: this model cannot support the figure")


def test_it_is_the_plot_of_its_probe(result):
    assert plotter("linguistic_probe") is plot_linguistic
    _, ax = plt.subplots()
    assert result.plot(ax=ax) is ax


def test_a_panel_for_each_task_and_a_row_for_each_view():
    many = [
        Results({task: planted(name, gate, task) for task in ("one", "two_words", "three", "four")})
        for name, gate in (("good", True), ("bad", False))
    ]
    axes = plot_linguistic_tasks(many)
    assert axes.shape == (2, 3)
    assert [ax.get_title(loc="left") for ax in axes.flat] == ["one", "two words", "three", "four", "", ""]
    assert [ax.axison for ax in axes.flat] == [True] * 4 + [False] * 2
    labels = [t.get_text() for t in axes[0, 0].get_yticklabels()]
    assert labels == [f"{m}  {g}" for m in ("good", "bad") for g in ("[CLS]", "mean", "heads")]
    title = axes[0, 0].figure.get_suptitle()
    assert "good, bad" in title and "20 test sentences a task" in title
    assert title.endswith("bad: quality gate not met, cannot support the figure")


def test_points_are_scores_at_the_best_layer(result):
    ax = plot_linguistic_tasks({"one": result})[0, 0]
    for place, group in enumerate(("[CLS]", "mean", "heads")):
        own, random = score(result, group), score(result, group, "random weights")
        (bar,) = [c for c in ax.containers if c.lines[0].get_color() == COLOURS[group]]
        assert bar.lines[0].get_data()[0].tolist() == [own["value"]]
        ends = bar.lines[2][0].get_segments()[0]
        assert np.allclose(ends, [[own["lo"], place], [own["hi"], place]])
        circles = [one for one in ax.get_lines() if one.get_color() == style.RANDOM]
        assert circles[place].get_data() == ([random["value"]], [place])
    shown = [t.get_text() for t in ax.texts]
    assert shown == [f"joint {score(result, '[CLS]')['layer']}", "joint 1", ""]


def test_layers_of_two_streams_are_told_apart(two_streams):
    ax = plot_linguistic_tasks({"first": two_streams})[0, 0]
    rows = [score(two_streams, group) for group in ("[CLS]", "mean")]
    assert [t.get_text() for t in ax.texts] == [f"{r['stack']} {r['layer']}" for r in rows] + [""]
    crosses = [one.get_xdata()[0] for one in ax.get_lines() if one.get_marker() == "x"]
    expected = [score(two_streams, g, "mean region")["value"] for g in ("[CLS]", "mean", "heads")]
    assert crosses == expected
    legend = [t.get_text() for t in ax.figure.legends[0].get_texts()]
    assert "mean region" in legend and "random weights" in legend


def test_what_cannot_be_drawn(result):
    with pytest.raises(ValueError, match=r"pooling='max'; expected '\[CLS\]', 'mean' or 'both'"):
        plot_linguistic(result, pooling="max")
    other = Result("fusion_degree", pd.DataFrame({"value": [1.0]}), {"model": "x"})
    with pytest.raises(ValueError, match="expected one of 'linguistic_probe'"):
        plot_linguistic(other)
    undefined = Result("linguistic_probe", pd.DataFrame({"value": []}), {"model": "x"}, "no stack")
    with pytest.raises(ValueError, match="not defined for x: no stack"):
        plot_linguistic(undefined)
    with pytest.raises(ValueError, match="no results came"):
        plot_linguistic_tasks([])
    with pytest.raises(ValueError, match="models good, good came; expected each once"):
        plot_linguistic_tasks([{"one": result}, {"one": result}])
    with pytest.raises(ValueError, match="tasks of good: two; of good: one"):
        plot_linguistic_tasks([{"one": result}, {"two": result}])
