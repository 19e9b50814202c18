from dataclasses import replace

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from tests.fakes import FakeModel, fake_example, fake_examples
from value_nb import style
from value_nb.plots import plot_attention, plot_fusion, plot_regions, plotter, title
from value_nb.probes.fusion import FusionDegree
from value_nb.result import Result
from value_nb.sweep import sweep


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result() -> Result:
    model = FakeModel(gap=(5.0, 4.0, 3.0, 2.0))
    return sweep(model, fake_examples(8), [FusionDegree(restarts=2)], progress=False)["fusion_degree"]


def lines(ax: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {line.get_label(): line.get_data() for line in ax.get_lines()}


def line(ax: Axes, start: str) -> tuple[np.ndarray, np.ndarray]:
    found = [data for label, data in lines(ax).items() if label.startswith(start)]
    assert len(found) == 1, list(lines(ax))
    return found[0]


@pytest.mark.parametrize("measure", ["nmi", "ami", "effective_rank", "separability"])
def test_the_curve_is_the_result(result, measure):
    ax = plot_fusion(result, measure=measure, specials="excluded")
    rows = result.select(measure=measure, specials="excluded", control="none").sort_values("layer")
    x, y = line(ax, "fake, 95 % interval")
    assert x.tolist() == rows["layer"].tolist() == [0, 1, 2, 3]
    assert np.array_equal(y, rows["value"])


def test_bands_are_intervals_and_spread_of_seeds(result):
    ax = plot_fusion(result)
    rows = result.select(measure="nmi", specials="paper")
    heights = [band.get_paths()[0].vertices[:, 1] for band in ax.collections]
    random = rows[rows["control"] == "random weights"]
    none = rows[rows["control"] == "none"]
    assert (heights[0].min(), heights[0].max()) == (random["value"].min(), random["value"].max())
    assert (heights[2].min(), heights[2].max()) == (none["lo"].min(), none["hi"].max())
    assert np.allclose(line(ax, "random weights (5 seeds)")[1], random.groupby("layer")["value"].mean())
    assert len(line(ax, "mismatched pictures")[0]) == 4


def test_random_weights_are_grey(result):
    ax = plot_fusion(result)
    drawn = next(found for found in ax.get_lines() if found.get_label().startswith("random"))
    assert drawn.get_color() == style.RANDOM


def test_paper_points_stand_at_their_relative_depth(result):
    x, y = line(plot_fusion(result, paper="uniter"), "UNITER-base in the paper")
    assert x.tolist() == [1.0, 3.0] and y.tolist() == [0.36, 0.20]
    x, y = line(plot_fusion(result, paper="lxmert"), "LXMERT in the paper")
    assert x.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0] and y.tolist() == [0.42, 0.48, 0.67, 0.75, 0.43]


def test_title_says_model_data_n_and_the_gate():
    assert plot_fusion_title(True) == "fake on fake-flickr30k (test), 4 pairs of 2 images"
    assert "quality gate not met" in plot_fusion_title(False)
    assert plot_fusion_title(None).endswith("\nsanity gate not measured")


def plot_fusion_title(gate_met: bool | None) -> str:
    model = FakeModel(gate_met=gate_met)
    how = {"controls": "none", "progress": False, "gate": False}
    found = sweep(model, fake_examples(2), [FusionDegree()], **how)["fusion_degree"]
    ax = plot_fusion(found)
    assert ax.get_title(loc="left") == title(found)
    return title(found)


def test_it_draws_where_it_is_told_and_leaves_settings_alone(result):
    before = mpl.rcParams.copy()
    _, ax = plt.subplots()
    assert result.plot(ax=ax, measure="ami") is ax
    assert mpl.rcParams == before


def test_legend_lies_outside_and_nothing_overlaps(result):
    ax = plot_fusion(result, paper="lxmert")
    ax.figure.canvas.draw()
    inside, legend = ax.get_window_extent(), ax.get_legend().get_window_extent()
    heading, page = ax.title.get_window_extent(), ax.figure.bbox
    assert legend.x0 >= inside.x1 and legend.x1 <= page.x1 and legend.y0 >= page.y0
    assert not legend.overlaps(ax._left_title.get_window_extent()) and not heading.overlaps(legend)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "mni"}, "measure='mni'; expected one of 'nmi', 'ami'"),
        ({"paper": "vilbert"}, "paper='vilbert'; expected one of 'uniter', 'lxmert' or None"),
        ({"paper": "uniter", "measure": "ami"}, "has no published counterpart: use paper=None"),
        ({"paper": "uniter", "specials": "excluded"}, "has no published counterpart"),
        ({"specials": "some"}, "there are: 'paper', 'excluded'"),
    ],
)
def test_options_are_never_ignored(result, options, message):
    with pytest.raises(ValueError, match=message):
        plot_fusion(result, **options)


def test_axes_of_a_result_that_is_not_defined_say_why():
    found = sweep(FakeModel(stack="text"), fake_examples(2), [FusionDegree()], progress=False)[
        "fusion_degree"
    ]
    ax = found.plot()
    assert not ax.lines and ax.get_title("left") == "Fusion of fake"
    said = " ".join(ax.texts[0].get_text().split())
    assert said.startswith("Not defined No stack of fake holds both text and image")


def test_pooled_result_has_a_plot():
    assert plotter("fusion_degree_pooled") is plot_fusion


def matrix(rows: int = 3, columns: int = 4) -> pd.DataFrame:
    values = np.arange(rows * columns, dtype=float).reshape(rows, columns) / 20
    return pd.DataFrame(
        values, index=[f"w{k}" for k in range(rows)], columns=[f"r{k}" for k in range(columns)]
    )


def test_attention_cells_are_the_matrix():
    table = matrix()
    ax = plot_attention(table, title="head 2")
    mesh = ax.collections[0]
    assert np.array_equal(np.asarray(mesh.get_array()).reshape(3, 4), table.to_numpy())
    assert [label.get_text() for label in ax.get_xticklabels()] == list(table.columns)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    assert mesh.get_clim()[0] == 0 and ax.get_title(loc="left") == "head 2"
    assert [text.get_text() for text in ax.texts][:2] == ["0.00", "0.05"]


def test_large_maps_carry_no_numbers_unless_asked_and_unassigned_is_drawn():
    table = matrix(12, 12).rename(columns={"r11": "unassigned"})
    ax = plot_attention(table)
    assert not ax.texts and ax.get_xticklabels()[-1].get_text() == "unassigned"
    assert len(plot_attention(table, annotate=True).texts) == 144


def boxes(ax: Axes) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_zorder() > 2]


def test_regions_are_drawn_in_pixels():
    example = fake_example("a", 0, ("x",), 3)
    ax = plot_regions(example)
    drawn = sorted(box.get_bbox().bounds for box in boxes(ax))
    for (x1, y1, x2, y2), bounds in zip(example.regions.boxes, drawn, strict=True):
        assert np.allclose(bounds, (x1 * 320, y1 * 240, (x2 - x1) * 320, (y2 - y1) * 240), atol=1e-3)
    assert [text.get_text() for text in ax.texts] == ["r0 thing", "r1 thing", "r2 thing"]
    assert ax.get_ylim() == (240, 0), "the picture's origin is its upper left corner"


def test_heavier_regions_are_filled_more_and_named():
    example = fake_example("a", 0, ("x",), 12)
    weights = np.zeros(12)
    weights[4], weights[7] = 0.6, 0.3
    ax = plot_regions(example, weights=weights, highlight=[1])
    fills = sorted(box.get_facecolor()[3] for box in boxes(ax))
    assert fills[-1] == pytest.approx(2 * fills[-2]) and fills[:-2] == [0.0] * 10
    assert {text.get_text().split()[0] for text in ax.texts} == {"r1", "r4", "r7"}


def test_names_do_not_cover_each_other():
    ax = plot_regions(replace(fake_example("a", 0, ("x",), 6), words=("x",)))
    ax.figure.canvas.draw()
    extents = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for k, a in enumerate(extents) for b in extents[k + 1 :])


def test_the_picture_is_shown_where_there_is_one(tmp_path):
    path = tmp_path / "a.webp"
    Image.new("RGB", (32, 24), (200, 10, 10)).save(path, lossless=True)
    ax = plot_regions(replace(fake_example("a", 0, ("x",), 2), image=path))
    assert np.abs(np.asarray(ax.images[0].get_array())[0, 0].astype(int) - [200, 10, 10]).max() <= 3
    assert not plot_regions(fake_example("a", 0, ("x",), 2)).images


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"highlight": [5]}, "no region 5 in example 'a#0'; it has regions 0 to 2"),
        ({"weights": np.ones(2)}, r"weights of shape \(2,\) for 3 regions"),
        ({"weights": np.array([1.0, -1.0, 0.0])}, "at least 0"),
    ],
)
def test_wrong_regions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plot_regions(fake_example("a", 0, ("x",), 3), **options)


def test_an_example_without_a_picture_is_refused():
    with pytest.raises(ValueError, match="example 'a#0' has no regions to draw"):
        plot_regions(replace(fake_example("a", 0, ("x",), 3), regions=None))


def test_grid_boxes_are_called_that_in_the_title() -> None:
    from value_nb.data.example import Example
    from value_nb.data.grid_boxes import grid_regions

    drawn = Example("1", "1", "a dog", ("a", "dog"), size=(40, 30), regions=grid_regions(2, 2))
    said = plot_regions(drawn).get_title("left")
    assert said.splitlines() == ["a dog", "grid boxes, not detected regions"]
