"""The scoreboard: each rule says what its result says, and reasons stand where there is no number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from tests.probes.coreference_fakes import looking, mapped, noise, world
from tests.test_importance import written
from tests.tiny import tiny_examples, tiny_model
from value_nb import importance, linguistic_scores, observations, relation_rule
from value_nb.observations import OBSERVATIONS
from value_nb.plots import plot_scoreboard
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.modality import ModalityImportance
from value_nb.result import Result
from value_nb.scoreboard import COLUMNS, NOT_MEASURED, beside_paper, scoreboard, sentences
from value_nb.sweep import sweep

META: dict[str, Any] = {
    "model": "m", "data": "mini-flickr30k", "split": "test", "n": 10, "n_images": 5, "gate_met": True,
}  # fmt: skip
JUDGES = {one.key: one.judge for one in OBSERVATIONS}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def change(value: float, lo: float, hi: float) -> Result:
    """A fusion result of which only the change from first to last layer is written."""
    row = {
        "stack": "joint",
        "control": "none",
        "specials": "paper",
        "measure": "ami_last_minus_first",
        "value": value,
        "lo": lo,
    }
    return Result("fusion_degree", pd.DataFrame([row | {"hi": hi, "n": 10, "n_images": 5}]), META)


def heads(own: list[float], random: list[float], models: int = 5) -> Result:
    """A cross-modal heads result: excess by head of the model, and of random models, in one layer."""
    rows = [
        {"control": control, "weights": weights, "layer": 1, "head": head, "value": value}
        for control, weights, values in (
            ("none", "trained", own),
            *(("random weights", f"random:{seed}", random) for seed in range(models)),
        )
        for head, value in enumerate(values)
    ]
    same = {"stack": "joint", "direction": "image->text", "measure": "mass_minus_expected"}
    frame = pd.DataFrame(
        [row | same | {"specials": "excluded", "lo": 0.0, "hi": 0.5, "n": 9} for row in rows]
    )
    return Result("cross_modal_heads", frame, META)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((-0.2, -0.3, -0.1), "holds"),
        ((-0.2, -0.3, 0.1), "does not hold"),
        ((0.4, 0.3, 0.5), "does not hold"),
    ],
)
def test_fusion_holds_when_the_whole_interval_lies_below_zero(ends, verdict):
    found = JUDGES["fusion"](change(*ends))
    assert (found.verdict, found.value, found.lo, found.hi, found.against) == (verdict, *ends, 0.0)


def test_the_deciding_layer_decides():
    """Three layers: the rule holds exactly when the interval of the deciding one lies above one half."""
    for second, holds in ((0.51, True), (0.49, False)):
        layers = [(0.62, 0.57, 0.67), (0.5, 0.44, 0.56), (0.55, second, 0.59)]
        result = written({"text_share": layers, "text_share_per_position": layers})
        found = JUDGES["i, raw"](result)
        assert found.holds is holds is importance.verdict(result).holds
        assert (found.value, found.lo) == (0.55, second) and "layer 3" in found.said


@pytest.mark.parametrize(
    ("own", "verdict", "above"),
    [
        ([0.3, 0.0, 0.0, 0.0], "holds", 1),
        ([0.3, 0.3, 0.0, 0.0], "holds", 2),
        ([0.3, 0.3, 0.3, 0.0], "does not hold", 3),
        ([0.1, 0.0, 0.0, 0.0], "does not hold", 0),
    ],
)
def test_a_subset_is_at_least_one_head_and_at_most_half(own, verdict, above):
    found = JUDGES["ii, image->text"](heads(own, [0.0, 0.1, 0.2, 0.2]))
    assert found.verdict == verdict and found.said.startswith(f"{above} of 4 heads")
    assert found.value == max(own) and found.against == pytest.approx(0.2)


def test_what_a_rule_lacks_is_said():
    assert JUDGES["ii, image->text"](heads([0.3], [0.1], models=4)).said == "needs 5 random-weight models"
    assert JUDGES["ii, text->image"](heads([0.3], [0.1])).said == "no text->image"
    one_layer = Result("fusion_degree", change(0, 0, 0).frame.assign(measure="ami"), META)
    assert JUDGES["fusion"](one_layer).verdict == "cannot be tested"


def knows(example, direction, layer, head):
    """One head looks from every phrase at its regions."""
    weights = noise()(example, direction, layer, head)
    if (direction, layer, head) != ("text->image", 2, 1):
        return weights
    return looking(example, weights, lambda phrase: phrase.regions)


def test_alignment_is_found_where_it_was_planted():
    data = [*world(12, "val"), *world(12, "test")]
    probes = [CoreferenceAttention(permutations=199)]
    result = sweep(mapped(knows), data, probes, controls="none", progress=False)["coreference_attention"]
    found = JUDGES["iii"](result)
    assert found.holds and found.value == 1.0 and found.against < 1.0
    assert "layer 2 head 1 hits in 1.00" in found.said


def test_relations_are_held_against_the_better_rival(monkeypatch):
    rivals = {"random weights": 0.5, "class pair + geometry": 0.6}
    for lo, verdict in ((0.61, "holds"), (0.55, "does not hold")):
        given = relation_rule.Verdict(0.7, lo, 0.8, 100, 20, rivals)
        monkeypatch.setattr(observations.relation_rule, "verdict", lambda result, given=given: given)
        found = JUDGES["iv"](None)
        assert (found.verdict, found.lo, found.against) == (verdict, lo, 0.6)
        assert "class pair + geometry 0.60" in found.said and "100 pairs" in found.said
    monkeypatch.setattr(observations.relation_rule, "verdict", lambda r: relation_rule.Verdict(reason="why"))
    assert JUDGES["iv"](None) == observations.Finding(None, "why")


def test_every_observation_has_a_row_for_every_model_and_reasons_where_there_is_no_number():
    probes = [ModalityImportance(), CrossModalHeads()]
    results = sweep(tiny_model("lxmert"), tiny_examples(4), probes, controls="none", progress=False)
    board = scoreboard({"one": {}, "two": dict(results)})
    assert tuple(board.columns) == COLUMNS
    assert list(zip(board["observation"], board["model"], strict=True)) == [
        (one.key, model) for one in OBSERVATIONS for model in ("one", "two")
    ]
    assert set(board["verdict"]) == {"cannot be tested"} and board["value"].isna().all()
    two = board[board["model"] == "two"].set_index("observation")["number"]
    assert two["i, raw"] == results["modality_importance"].reason and two["iv"] == NOT_MEASURED
    assert set(board.loc[board["model"] == "one", "number"]) == {NOT_MEASURED}


def board_of_three() -> pd.DataFrame:
    return scoreboard(
        {
            "a": {"fusion_degree": change(-0.2, -0.3, -0.1)},
            "b": {
                "fusion_degree": Result(
                    "fusion_degree", change(0.1, 0, 0.2).frame, META | {"gate_met": False}
                )
            },
            "c": {},
        }
    )


def test_sentences_name_every_model_under_its_verdict_and_a_missed_gate():
    said = sentences(board_of_three())
    assert len(said) == len(OBSERVATIONS)
    assert said[0] == (
        "(fusion) “deeper layers fuse more (said of the single-stream model)” holds for a (AMI of the last "
        "minus the first layer -0.20 (-0.30 to -0.10)); does not hold for b (AMI of the last minus the first "
        "layer +0.10 (+0.00 to +0.20), quality gate not met); cannot be tested for c."
    )


def test_the_figure_says_what_the_board_says():
    board = board_of_three()
    ax = plot_scoreboard(board)
    written_texts = [text.get_text() for text in ax.texts]
    assert written_texts.count("holds") == 1 and written_texts.count("does not hold") == 1
    assert written_texts.count("cannot be tested") == len(board) - 2
    assert "-0.20 [-0.30, -0.10] vs 0.00" in written_texts and "0.10 [0.00, 0.20] vs 0.00" in written_texts
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b\ngate not met", "c"]


def curve(*values: float) -> Result:
    """A fusion result with an NMI by layer."""
    rows = [
        {"layer": layer, "value": value, "lo": value - 0.1, "hi": value + 0.1}
        for layer, value in enumerate(values, start=1)
    ]
    same = {
        "stack": "joint",
        "control": "none",
        "specials": "paper",
        "measure": "nmi",
        "n": 10,
        "n_images": 5,
    }
    return Result("fusion_degree", pd.DataFrame([row | same for row in rows]), META)


def test_ours_stand_at_the_places_of_the_papers_numbers_and_nothing_is_filled_in():
    table = beside_paper({"a": {"fusion_degree": curve(0.5, 0.4, 0.3), "linguistic_probe": {}}, "b": {}})
    assert table["said"].tolist() == ["0.36 at the first layer", "0.20 at the last layer"]
    assert table["published"].tolist() == [0.36, 0.20]
    assert table["a"].tolist() == ["0.50 (0.40 to 0.60)", "0.30 (0.20 to 0.40)"] and "b" not in table
    assert beside_paper({"b": {}}).empty and beside_paper({"c": {"fusion_degree": change(0, 0, 0)}}).empty


def test_linguistic_tasks_are_counted(monkeypatch):
    rivals = {"random weights": 0.5, "bag of words": 0.6, "length": 0.4}
    won = linguistic_scores.Verdict(0.9, 0.8, 1.0, rivals)
    lost = linguistic_scores.Verdict(0.7, 0.55, 0.8, rivals)
    unasked = linguistic_scores.Verdict(0.7, 0.65, 0.8, {"length": 1.0})
    for tasks, verdict, said in (
        ({"a b": won, "c": won, "d": lost}, "holds", "2 of 3 tasks: a b, c"),
        ({"a b": won, "c": lost, "d": unasked}, "does not hold", "1 of 2 tasks: a b"),
        ({"c": lost}, "does not hold", "0 of 1 tasks"),
    ):
        given = linguistic_scores.Verdicts(tasks, {})
        monkeypatch.setattr(observations.linguistic_scores, "verdict_all", lambda r, view, given=given: given)
        found = JUDGES["v, attention"]({})
        assert (found.verdict, found.said) == (verdict, said)
    monkeypatch.undo()
    assert JUDGES["v, embedding"]({}) == observations.Finding(None, observations.NO_TASKS)
