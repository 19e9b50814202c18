"""Reading modality importance: tables, verdicts, sentences, figures, and the reason instead of a number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from tests.tiny import tiny_examples, tiny_model
from value_nb import importance, style
from value_nb.aloud import read_aloud
from value_nb.headmap import draw_head_map, write_numbers
from value_nb.modality_plots import scale
from value_nb.plots import plot_modality, plot_modality_map, plot_modality_maps, plotter
from value_nb.probes.modality import ModalityImportance
from value_nb.result import Result
from value_nb.sweep import sweep


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def swept(family: str, **options: Any) -> Result:
    probes = [ModalityImportance()]
    found = sweep(tiny_model(family), tiny_examples(4), probes, progress=False, **options)
    return found["modality_importance"]


@pytest.fixture(scope="module")
def result() -> Result:
    return swept("uniter")


@pytest.fixture(scope="module")
def undefined() -> Result:
    return swept("lxmert")


META = {"model": "m", "data": "d", "split": "test", "n": 10, "n_images": 5, "gate_met": True}


def written(shares: dict[str, list[tuple[float, float, float]]], gate: bool = True) -> Result:
    """A result of one head whose text share by layer is written down as (value, lo, hi)."""
    common = {"model": "m", "weights": "trained", "control": "none", "stack": "joint", "n": 10, "n_images": 5}
    rows = []
    for specials in ("paper", "excluded"):
        for measure, layers in shares.items():
            for layer, (value, lo, hi) in enumerate(layers, start=1):
                place = {"layer": layer, "measure": measure, "specials": specials, "group": "text"}
                found = common | place | {"value": value, "lo": lo, "hi": hi}
                rows += [found | {"head": None}, found | {"head": 0}]
        even = {"measure": "position_share", "specials": specials, "group": "text", "value": 0.3}
        rows.append(common | even)
    return Result("modality_importance", pd.DataFrame(rows), META | {"gate_met": gate})


ABOVE, BELOW, OPEN = (0.7, 0.6, 0.8), (0.3, 0.2, 0.4), (0.6, 0.45, 0.75)
SHARES = {
    "cls_mass": [ABOVE, OPEN, BELOW],
    "text_share": [ABOVE, ABOVE, OPEN],
    "text_share_per_position": [ABOVE, OPEN, BELOW],
}


# --- verdict, table, sentences ---


def test_the_rule_needs_the_whole_interval_above_one_half_in_most_layers():
    found = written(SHARES)
    raw, each = importance.verdict(found, "raw"), importance.verdict(found, "per position")
    assert (raw.above, raw.layers, raw.holds) == (2, 3, True)
    assert (each.above, each.layers, each.holds) == (1, 3, False)


def test_half_of_the_layers_are_not_most():
    assert not importance.Verdict(3, 6).holds
    assert importance.Verdict(4, 6).holds


def test_an_unknown_weighing_is_refused():
    with pytest.raises(ValueError, match="weighing='mean'; expected one of 'raw', 'per position'"):
        importance.verdict(written(SHARES), "mean")


def test_the_table_is_the_result(result):
    table = importance.layer_table(result, "excluded")
    assert list(table.index) == [1, 2, 3]
    names = ["text", "image", "special"]
    assert list(table.columns)[:3] == [("mass", name) for name in names]
    row = result.select(measure="cls_mass", specials="excluded", group="special", control="none", layer=2)
    assert table.loc[2, ("mass", "special")] == row[row["head"].isna()]["value"].iloc[0]


def test_sentences_say_the_numbers_of_the_result():
    said = read_aloud(written(SHARES, gate=False)).splitlines()
    assert said == [
        "m on d, 10 pairs of 5 pictures.",
        "[CLS] gives most to the text in layer 1: 0.70 (0.60 to 0.80) of its attention; an even spread "
        "would give 0.30.",
        "Raw, the text gets more than the image in 2 of 3 layers (interval above one half), so “more to "
        "text in most layers” holds here.",
        "Per position, the text gets more than the image in 1 of 3 layers (interval above one half), so "
        "“more to text in most layers” does not hold here.",
        "With [CLS] and [SEP] left out it is 2 of 3 raw and 1 of 3 per position.",
        "The model misses its quality gate, so none of this is evidence about trained models.",
    ]


def test_sentences_name_the_random_models(result):
    assert "and 5 models of the same shape with random weights give 0." in read_aloud(result)


def test_without_a_number_everything_says_why(undefined):
    assert read_aloud(undefined) == f"There is no number for tiny-lxmert: {undefined.reason}."
    assert importance.layer_table(undefined).loc["tiny-lxmert", "not defined"] == undefined.reason
    table = undefined.compare()
    assert table["note"].tolist() == [f"not defined for tiny-lxmert: {undefined.reason}"]
    assert "value" not in table or table["value"].isna().all()


def test_data_without_pairs_say_so():
    empty = Result("modality_importance", pd.DataFrame({"value": []}), META)
    assert importance.nothing(empty) == "no example came that has both words and regions"
    assert "no example came" in read_aloud(empty)


def test_results_of_other_probes_are_refused():
    other = Result("fusion_degree", pd.DataFrame({"value": []}), META)
    with pytest.raises(ValueError, match="a result of 'fusion_degree' came; expected one of"):
        importance.nothing(other)


def test_compare_has_the_papers_statement_and_no_invented_number(result):
    table = result.compare()
    said = table[table["published_model"].notna()]
    assert said["said"].tolist() == ["[CLS] gives more mass to text than to image, most in the middle layers"]
    assert table["published"].isna().all() and said["note"].tolist() == ["a statement, no number"]
    assert len(table) == 1 + 3 * 2, "each layer and modality, specials as in the paper"


# --- figures ---


def curve(ax: Axes, start: str) -> tuple[Any, Any]:
    found = [line.get_data() for line in ax.get_lines() if str(line.get_label()).startswith(start)]
    assert len(found) == 1, [line.get_label() for line in ax.get_lines()]
    return found[0]


@pytest.mark.parametrize("measure", importance.MEASURES)
@pytest.mark.parametrize("specials", ["paper", "excluded"])
def test_the_curve_is_the_result(result, measure, specials):
    ax = plot_modality(result, measure=measure, specials=specials)
    rows = importance.layers(result, measure, specials)
    own = rows[rows["control"] == "none"].sort_values("layer")
    x, y = curve(ax, "tiny-uniter, 95 % interval")
    assert x.tolist() == [1, 2, 3] and np.array_equal(y, own["value"])
    random = rows[rows["control"] == "random weights"].groupby("layer")["value"].mean()
    assert np.allclose(curve(ax, "random weights (5 seeds)")[1], random)
    assert len(curve(ax, "mismatched pictures")[0]) == 3
    top = ax.get_ylim()[1]
    assert top >= own["hi"].max() and (top == 1.0 or measure == "cls_mass_per_position")
    assert ("left out" in ax.get_title(loc="left")) == (specials == "excluded")


def test_what_no_preference_gives_is_drawn(result):
    even = result.select(measure="position_share", specials="paper", group="image", control="none")
    assert curve(plot_modality(result, group="image"), "an even spread")[1] == [even["value"].iloc[0]] * 2
    per = plot_modality(result, measure="cls_mass_per_position")
    assert curve(per, "an even spread")[1] == [1.0, 1.0]
    assert curve(plot_modality(result, measure="text_share"), "as much to either")[1] == [0.5, 0.5]


def test_labels_say_what_is_drawn(result):
    ax = plot_modality(result, group="image")
    assert ax.get_xlabel() == "layer" and "from [CLS]\nto the image" in ax.get_ylabel()
    assert [int(tick) for tick in ax.get_xticks()] == [1, 2, 3]
    assert ax.get_title(loc="left").startswith("tiny-uniter on tiny (test), 4 pairs of 4 images")


def test_maps_have_heads_as_rows_and_layers_as_columns(result):
    axes = plot_modality_maps(result, specials="excluded")
    assert axes.shape == (2, 3)
    titles = [ax.get_title(loc="left") for ax in axes[0]]
    assert titles == ["to text, without [CLS] and [SEP]", "to the image", "to [CLS] and [SEP]"]
    for ax, group in zip(axes[0], ("text", "image", "special"), strict=True):
        table = importance.heads(result, "cls_mass", "excluded", group)
        cells = np.asarray(ax.collections[0].get_array()).reshape(3, 3)
        assert np.array_equal(cells, table.to_numpy(float))
        numbers = {tuple(map(round, text.get_position())): text.get_text() for text in ax.texts}
        assert numbers[3, 1] == f"{table.loc[1, 3]:.2f}", "x is the layer, y the head"
        assert ax.get_ylim() == (2.5, -0.5) and ax.get_xlim() == (0.5, 3.5)
    assert len(axes[0, 0].figure.legends[0].get_texts()) == 4


def test_all_maps_of_a_figure_share_their_colours(result):
    axes = plot_modality_maps(result, measure="cls_mass_per_position")
    limits = {ax.collections[0].get_clim() for ax in axes[0]}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low * high == pytest.approx(1.0), "an even spread has the middle colour"


def test_masses_go_from_0_to_1_and_shares_have_their_middle_at_one_half(result):
    assert [scale(result, "cls_mass", "paper")[0](x) for x in (0.0, 1.0)] == [0.0, 1.0]
    assert scale(result, "text_share", "paper")[0](0.5) == 0.5


def test_one_map_alone(result):
    ax = plot_modality_map(result, measure="text_share")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layer", "head")
    assert "Text share" in ax.get_title(loc="left")


def test_nothing_of_a_figure_is_cut_off(result):
    for measure in ("cls_mass", "text_share"):
        figure = plot_modality_maps(result, measure)[0, 0].figure
        figure.canvas.draw()
        legend, page = figure.legends[0].get_window_extent(), figure.bbox
        assert legend.x0 >= page.x0 and legend.x1 <= page.x1 and legend.y0 >= page.y0
        assert figure._suptitle.get_window_extent().x1 <= page.x1


@pytest.mark.parametrize("draw", [plot_modality, plot_modality_map, lambda r: plot_modality_maps(r)[0, 0]])
def test_the_reason_is_drawn_instead_of_a_number(undefined, draw):
    ax = draw(undefined)
    said = " ".join(" ".join(text.get_text().split()) for text in ax.texts)
    assert said.startswith("Not defined No one softmax covers both modalities")
    assert "tiny-lxmert" in ax.get_title(loc="left") and not ax.get_lines() and not ax.collections


def test_results_plot_themselves(result, undefined):
    assert plotter("modality_importance") is plot_modality
    _, ax = plt.subplots()
    assert result.plot(ax=ax, measure="text_share") is ax
    assert undefined.plot().texts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "mass"}, "measure='mass'; expected one of 'cls_mass', 'cls_mass_per_position'"),
        ({"measure": "position_share"}, "expected one of 'cls_mass'"),
        ({"specials": "some"}, "there are: 'paper', 'excluded'"),
        ({"group": "special"}, "there are: 'text', 'image'"),
        ({"measure": "text_share", "group": "image"}, "there are: 'text'"),
    ],
)
def test_options_are_never_ignored(result, options, message):
    for draw in (plot_modality, plot_modality_map):
        with pytest.raises(ValueError, match=message):
            draw(result, **options)


def test_a_map_with_holes_is_grey_there_and_carries_no_number():
    from matplotlib.colors import Normalize

    table = pd.DataFrame([[0.0, np.nan], [0.5, 1.0]], index=[0, 1], columns=[1, 2])
    with style.styled():
        ax = style.new_axes()
    mesh = draw_head_map(ax, table, Normalize(0, 1), "mako_r")
    write_numbers(ax, mesh, table)
    assert [text.get_text() for text in ax.texts] == ["0.00", "0.50", "1.00"]
    assert [text.get_color() for text in ax.texts] == ["#202020", "white", "white"]
    ax.figure.canvas.draw()
    assert np.allclose(mesh.get_facecolors()[1][:3], 0xD0 / 255)
