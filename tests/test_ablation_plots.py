"""Figures and sentences of both ablations: every number shown is one of the result."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.carrier import carrier, pictures
from tests.tiny import CLASSES, tiny_examples, tiny_model
from value_nb import cross_modal_losses, head_curves
from value_nb.ablation_plots import (
    plot_cross_modal_ablation,
    plot_head_ablation,
    plot_head_ablation_panels,
    ranked_by,
)
from value_nb.aloud import read_aloud
from value_nb.cross_modal_ablation import cross_modal_ablation
from value_nb.head_ablation import ablation_curve
from value_nb.head_curves import ACCURACY, AUC, LOSS
from value_nb.plots import PLOTTERS
from value_nb.pointed_heads import PointedHeads
from value_nb.result import Result

FAST: dict[str, Any] = {"progress": False, "replicates": 100}
POINTED = PointedHeads(
    (("joint", 2, 1), ("joint", 3, 0)), (0.9, 0.2), "text->image", "coreference_attention",
    "hit_rate_on_choice", "m", "planted", "val", 7,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def heads() -> Result:
    return ablation_curve(carrier("uniter"), pictures(12), POINTED, draws=3, **FAST)


@pytest.fixture(scope="module")
def crossed() -> Result:
    return cross_modal_ablation(carrier("uniter"), pictures(12), classes=CLASSES, **FAST)


def lines(ax: Any) -> dict[str, Any]:
    return {line.get_label().split(":")[0]: line for line in ax.get_lines()}


# --- head ablation ---


@pytest.mark.parametrize("measure", [AUC, ACCURACY, LOSS])
def test_the_curve_is_the_results(heads: Result, measure: str) -> None:
    ax = plot_head_ablation(heads, measure=measure)
    own, random = head_curves.curve(heads, measure), head_curves.band(heads, measure)
    drawn = lines(ax)
    assert (
        drawn["pointed heads, 95 % interval"].get_xydata().tolist()
        == own[["size", "value"]].astype(float).to_numpy().tolist()
    )
    assert drawn["random heads of the same layers"].get_ydata().tolist() == random["mean"].tolist()
    assert set(drawn["nothing off"].get_ydata()) == {own["value"].iloc[0]}
    bare = head_curves.without_picture(heads, measure)["value"]
    assert set(drawn["nothing off, without the picture"].get_ydata()) == {bare}
    assert ax.get_xlabel() == "heads switched off (of 9)" and len(ax.collections) == 2


def test_the_title_says_whose_heads(heads: Result) -> None:
    title = plot_head_ablation(heads).get_title(loc="left").replace("\n", " ")
    assert "carrier-uniter on planted (test), 12 pairs of 12 images" in title
    assert "heads ranked by hit rate of coreference attention (7 val images)" in title
    plain = ablation_curve(
        carrier("uniter"), pictures(6), [("joint", 2, 1)], direction="text->image", how="mean", draws=1,
        reference=pictures(3, split="val"), **FAST,
    )  # fmt: skip
    assert ranked_by(plain) == "heads in the order given, text->image alone, each replaced by its mean"


def test_panels_side_by_side_with_one_legend(heads: Result) -> None:
    figure = plot_head_ablation_panels(heads)
    assert [ax.get_ylabel().split("\n")[0] for ax in figure.axes] == [
        "own picture told from another's", "masked words that are right,"
    ]  # fmt: skip
    assert len(figure.legends) == 1 and not any(ax.get_legend() for ax in figure.axes)
    alone = ablation_curve(carrier("uniter"), pictures(1), [("joint", 1, 0)], draws=1, **FAST)
    texts = [t.get_text() for t in plot_head_ablation_panels(alone).axes[0].texts]
    assert "Not defined" in texts[0] and "mismatched pairs need at least" in texts[0]
    assert "nan" not in read_aloud(alone) and "cannot tell" in read_aloud(alone)
    one = cross_modal_ablation(carrier("uniter"), pictures(1), classes=CLASSES, **FAST)
    assert "nan" not in read_aloud(one) and len(plot_cross_modal_ablation(one).containers) == 4
    assert np.isnan(head_curves.curve_table(alone)[ACCURACY, "lo"]).all()


def test_where_there_is_no_number_the_reason_is_drawn() -> None:
    found = ablation_curve(tiny_model("bert"), tiny_examples(2), [("text", 1, 0)], **FAST)
    assert "sees no picture" in plot_head_ablation(found).texts[0].get_text()
    assert len(plot_head_ablation_panels(found).axes) == 1
    crossed = cross_modal_ablation(tiny_model("bert"), tiny_examples(2), **FAST)
    assert "sees no picture" in plot_cross_modal_ablation(crossed).texts[0].get_text()
    assert read_aloud(found).startswith("There is no number for tiny-bert")
    assert read_aloud(crossed).startswith("There is no number for tiny-bert")


def test_results_draw_themselves(heads: Result, crossed: Result) -> None:
    assert PLOTTERS["head_ablation"] is plot_head_ablation
    ax = plt.subplots()[1]
    assert heads.plot(ax, measure=LOSS) is ax and crossed.plot().get_xlabel().startswith("loss added")
    with pytest.raises(ValueError, match="expected one of"):
        heads.plot(measure="f1")
    with pytest.raises(ValueError, match="came; expected one of"):
        plot_head_ablation(crossed)
    with pytest.raises(ValueError, match="came; expected one of"):
        plot_cross_modal_ablation(heads)


# --- cross-modal ablation ---


@pytest.mark.parametrize(("kind", "rows"), [("added", 3), ("loss", 4), ("accuracy", 4)])
def test_points_are_the_results(crossed: Result, kind: str, rows: int) -> None:
    ax = plot_cross_modal_ablation(crossed, kind=kind)
    drawn = [c for c in ax.containers if c.get_label() == "carrier-uniter, 95 % interval"]
    assert len(drawn) == 1, "one entry in the legend"
    found = cross_modal_losses.losses(crossed, "masked_phrase", kind)
    own = found[found["control"] == "none"]
    assert np.allclose(drawn[0].lines[0].get_xdata(), own["value"].to_numpy(float))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[:rows] == own["group"].tolist() and len(labels) == 2 * rows
    assert len(ax.containers) == 4, "two sides, with random weights each"


def test_headings_say_what_there_was_to_start_from(crossed: Result) -> None:
    ax = plot_cross_modal_ablation(crossed)
    start = cross_modal_losses.everything(crossed, "masked_phrase")
    assert f"12 pieces; loss with everything {start['value']:.2f}" in ax.texts[0].get_text()
    assert "cover at least 50% of its box, 1.0 on average" in ax.get_title(loc="left").replace("\n", " ")


# --- sentences ---


def test_heads_read_aloud(heads: Result) -> None:
    said = read_aloud(heads).split("\n")
    assert said[0] == "carrier-uniter on planted, 12 pairs of 12 pictures."
    assert "7 pictures of the split val" in said[1] and "pointed heads are excluded" in said[1]
    assert "is 1.00 (1.00 to 1.00), without the picture 0.50." in said[2]
    assert "first 2 of 9 heads off it is 0.50" in said[3] and "random heads off it is 1.00 to 1.00" in said[3]
    assert "so here the model needs them more than random heads" in said[3]
    assert "so here the model needs them more than random heads" in said[6]


def test_a_ranking_made_on_the_scored_split_is_said() -> None:
    from dataclasses import replace

    pointed = replace(POINTED, split="test")
    found = ablation_curve(carrier("uniter"), pictures(6), pointed, draws=1, **FAST)
    assert "of the same split as is asked here" in read_aloud(found)
    plain = ablation_curve(carrier("uniter"), pictures(6), [("joint", 1, 0)], draws=2, **FAST)
    assert "in the order given" in read_aloud(plain) and "cannot tell" in read_aloud(plain)


def test_cross_modal_ablation_read_aloud(crossed: Result) -> None:
    said = read_aloud(crossed).split("\n")
    row = cross_modal_losses.beyond_others(crossed, "masked_phrase")
    assert f"{row['value']:+.2f} nats" in said[2] and "it is these regions that count" in said[2]
    assert "cannot tell whether it is these words that count" in said[4]
    assert "words lean more on the picture than regions on the text" in said[5]
    bare = cross_modal_ablation(carrier("uniter"), pictures(6), random_weights=(), **FAST)
    assert "pass classes" in read_aloud(bare) and "lean" not in read_aloud(bare)


def test_a_missed_gate_is_said_and_drawn() -> None:
    model = carrier("uniter")
    model.card = {"gate_met": False}
    found = ablation_curve(model, pictures(6), [("joint", 2, 1)], draws=1, **FAST)
    assert "misses its quality gate" in read_aloud(found)
    assert "quality gate not met" in plot_head_ablation(found).get_title(loc="left")


def test_reading_and_drawing_do_not_load_torch() -> None:
    code = "import sys; from value_nb import aloud, plots, pointed_heads; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
