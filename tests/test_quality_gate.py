"""What figures, sentences, tables and files say of a quality card and of a measured sanity gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.text import Text

from tests.test_linguistics import made
from tests.tiny import tiny_examples, tiny_model
from value_nb import quality_gate
from value_nb.aloud import read_aloud
from value_nb.curves import title
from value_nb.export import describe
from value_nb.linguistic_aloud import read_tasks
from value_nb.linguistic_plots import plot_linguistic_tasks
from value_nb.models.gated import GatedVL
from value_nb.plots import plot_scoreboard, plotter
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.fusion import FusionDegree
from value_nb.probes.modality import ModalityImportance
from value_nb.provenance import provenance
from value_nb.result import Result, Results, load_result
from value_nb.sanity import Measure, SanityGate
from value_nb.scoreboard import scoreboard, sentences
from value_nb.sweep import sweep
from value_nb.widgets.card import card_table
from value_nb.widgets.head_on_picture import HeadOnPicturePanel

NUMBER = "matching AUC 0.51 [0.46, 0.56]"
NOTE = f"sanity gate not met: {NUMBER}, wrong features?"
BAD = SanityGate(
    "tiny-uniter", "trained", "tiny", "test", 200, 100, 0, Measure(0.51, 0.46, 0.56, 400, 100), None, None,
    None, "not met", f"Captions are not told from those of other pictures ({NUMBER}).", NOTE,
)  # fmt: skip
GOOD = replace(
    BAD, matching=Measure(0.97, 0.95, 0.99, 400, 100), verdict="met", reason="They are.",
    note="sanity gate met: matching AUC 0.97 [0.95, 0.99]",
)  # fmt: skip
OPEN = replace(BAD, verdict="undecided", note=f"sanity gate undecided: {NUMBER}")
NOTHING = {"source": None, "verdict": "not measured", "reason": "It has no quality card."}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def model(gate: SanityGate | None = None, **card: Any) -> GatedVL:
    tiny = tiny_model("uniter")
    found = GatedVL(tiny.module, tiny.words, "tiny-uniter", "trained", card)
    return found if gate is None else found.with_card(gate)


def meta(gate: SanityGate | None = None, **card: Any) -> dict[str, Any]:
    return provenance(model(gate, **card), tiny_examples(3), seed=0)


def written(thing: Any) -> str:
    """Every text of a figure, in one line."""
    figure = getattr(thing, "figure", None) or thing.flat[0].figure
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


@pytest.fixture(scope="module")
def results() -> Results:
    probes = [FusionDegree(restarts=1), ModalityImportance(), CrossModalHeads(), CoreferenceAttention()]
    examples = [replace(e, split=split) for split in ("val", "test") for e in tiny_examples(6)]
    return sweep(model(BAD), examples, probes, controls="none", progress=False)


@pytest.mark.parametrize(
    "probe", ["fusion_degree", "modality_importance", "cross_modal_heads", "coreference_attention"]
)
def test_every_figure_and_every_sentence_says_the_measured_gate(results, probe, tmp_path):
    for result in (results[probe], load_result(results[probe].save(tmp_path / probe))):
        assert NOTE in written(plotter(probe)(result))
        said = read_aloud(result).splitlines()[-1]
        assert said.startswith("Sanity gate not met: Captions are not told") and said.endswith(
            "trained model."
        )
        assert NOTE in repr(result)
        assert describe(result)["quality gate"] == f"not met: {NUMBER}, wrong features?"


def test_probing_tasks_say_it_too():
    one = made(gate=None)
    found = Result(one.probe, one.frame, one.meta | {"gate_met": False, "gate": BAD.record})
    assert NOTE in written(plotter("linguistic_probe")(found))
    tasks = Results({"tree_depth": found})
    assert f"ours: {NOTE}" in written(plot_linguistic_tasks([tasks]))
    assert read_tasks(tasks).endswith("none of this is evidence about the trained model.")
    assert "gate" not in written(plotter("linguistic_probe")(one)), "an old result says nothing of it"


@pytest.mark.parametrize(
    ("gate", "card", "note"),
    [
        (BAD, {}, NOTE),
        (GOOD, {}, GOOD.note),
        (OPEN, {}, OPEN.note),
        (None, {}, "sanity gate not measured"),
        (None, {"gate_met": True}, ""),
        (None, {"gate_met": False}, quality_gate.CARD_MISSED),
        (GOOD, {"gate_met": True}, GOOD.note),
        (GOOD, {"gate_met": False}, f"{quality_gate.CARD_MISSED}\n{GOOD.note}"),
        (BAD, {"gate_met": True}, NOTE),
    ],
)
def test_the_line_in_a_title(gate, card, note):
    found = meta(gate, **card)
    assert quality_gate.note(found) == note
    empty = Result("p", pd.DataFrame({"value": [1.0]}), found)
    assert title(empty).partition("\n")[2] == note
    assert bool(quality_gate.sentence(found)) is bool(note)
    assert quality_gate.fact(found) == (
        "not met" if note.startswith("quality") else note.removeprefix("sanity gate ")
    )


@pytest.mark.parametrize(
    ("gate", "card", "met", "short"),
    [
        (BAD, {}, False, NOTE),
        (GOOD, {}, True, ""),
        (OPEN, {}, None, OPEN.note),
        (GOOD, {"gate_met": False}, False, "quality gate not met"),
        (OPEN, {"gate_met": True}, True, OPEN.note),
        (None, {}, None, ""),
    ],
)
def test_a_gate_that_is_missed_in_card_or_measure_is_missed(gate, card, met, short):
    found = meta(gate, **card)
    assert found["gate_met"] is met is model(gate, **card).gate_met
    assert quality_gate.short(found) == short


def test_nothing_is_said_where_nobody_could_measure():
    for quiet in (tiny_model("uniter"), tiny_model("bert")):
        assert quality_gate.note(provenance(quiet, tiny_examples(2), seed=0)) == ""
    assert quality_gate.note({}) == quality_gate.sentence({}) == quality_gate.fact({}) == ""
    said = quality_gate.sentence({"weights": "trained", "gate_met": None, "gate": NOTHING})
    assert said == "Whether it can read these features was not measured: It has no quality card."


def test_the_scoreboard_names_the_gate(results):
    board = scoreboard({"tiny-uniter": {"modality_importance": results["modality_importance"]}})
    asked = board[board["n"].notna()]
    assert set(asked["gate"]) == {NOTE} and set(board["gate"]) == {NOTE, ""}
    assert any(NOTE in said for said in sentences(board))
    assert NOTE in written(plot_scoreboard(board))


def test_the_card_shows_the_measured_gate():
    table = card_table(model(BAD, seed=3))["tiny-uniter"].to_dict()
    assert table["quality gate"] == "not met" and table["sanity gate"] == BAD.reason
    assert table["sanity gate: matching AUC"] == "0.51 (0.46 to 0.56)" and table["seed"] == "3"
    assert table["sanity gate: asked"] == "200 captions of 100 pictures of tiny (test)"
    assert card_table(model(OPEN))["tiny-uniter"]["quality gate"] == "undecided"


def test_the_panel_that_draws_a_head_says_it():
    panel = HeadOnPicturePanel(model(BAD), tiny_examples(2))
    assert "; sanity gate not met" in written(panel.figure.axes[0]) and NOTE in panel.sentence


def test_a_gate_of_another_model_is_refused():
    with pytest.raises(
        ValueError, match="a gate of 'tiny-uniter' came with the model 'tiny-lxmert'; measure that"
    ):
        tiny_model("lxmert").with_card(BAD)
