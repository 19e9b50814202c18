"""The answers of classifier probes as tables, figures, sentences, and beside the paper's numbers."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

import value_nb as vnb
from tests.probes.planted import planted_examples
from tests.probes.planted_pairs import PairModel
from tests.probes.relation_scenes import RelationModel, relation_examples
from value_nb import answers, plots
from value_nb.aloud import read_aloud
from value_nb.result import Result, load_result

mpl.use("Agg")
SETTINGS = {"n_jobs": 1, "grid": (0.1,)}


def swept(model, examples, probe, controls="default"):
    return vnb.sweep(model, examples, [probe], progress=False, controls=controls)[probe.name]


@pytest.fixture(scope="module")
def coreference():
    model = PairModel(signal={2: 8.0}, pairs={2: 10.0}, links=0.5, gate_met=False)
    apart = [
        replace(e, regions=replace(e.regions, names=("man", "dog")), dataset="planted-flickr30k")
        for e in planted_examples(48)
    ]
    return swept(model, apart, vnb.CoreferenceProbe(**SETTINGS))


@pytest.fixture(scope="module")
def relation():
    model = RelationModel(shows=8.0, points=0.5, needs_caption=True)
    return swept(model, relation_examples(48), vnb.RelationProbe(**SETTINGS))


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_results_are_saved_with_their_notes(coreference, tmp_path):
    again = load_result(coreference.save(tmp_path / "r"))
    assert again == coreference
    assert answers.why_not(again, "VCD of one class") == "no example has anything to ask"


def test_what_a_result_holds(coreference, relation):
    assert answers.questions(coreference) == ["VCD", "VCD of one class", "VCC"]
    assert answers.view(coreference, "VCD") == "bilinear embedding probe"
    assert answers.view(coreference, "VCC") == "embedding probe"
    curve = answers.curve(coreference, "VCC", "none")
    assert curve["layer"].tolist() == [0, 1, 2] and set(curve["split"]) == {"test"}
    found = answers.best(coreference, "VCC")
    assert (found.stack, found.layer) == ("joint", 2) and found.row["value"] == curve["value"].iloc[2]
    assert list(answers.sides(coreference, "VCD")) == ["phrase only", "region only"]
    assert list(answers.sides(relation, "VRI")) == ["subject only", "object only"]
    assert answers.baselines(coreference, "VCC") == []
    assert answers.baselines(relation, "VRC") == [
        "class pair only", "geometry only", "class pair + geometry",
    ]  # fmt: skip
    assert answers.floor(relation, "VRI").value == 0.5
    majority = relation.select(group="VRC, majority", control="none")["value"].iloc[0]
    assert answers.floor(relation, "VRC").value == max(majority, 1 / 3)


def test_the_figure_has_every_control(coreference, relation):
    ax = coreference.plot()
    said = legend(ax)
    parts = (
        "planted: bilinear embedding probe", "mismatched pairs", "random weights", "attention probe, all",
        "control task", "phrase only (best layer): 0.50", "region only", "majority: 0.50",
    )  # fmt: skip
    for part in parts:
        assert any(part in label for label in said), part
    assert "quality gate not met" in ax.get_title("left") and "VCD" in ax.get_title("left")
    assert "(32 test pairs, 8 images)" in ax.get_ylabel()
    said = legend(relation.plot(question="VRC", paper="uniter"))
    for part in ("class pair only", "geometry only", "class pair + geometry", "24.67 %", "56.64 %"):
        assert any(part in label for label in said), part


def test_the_curve_drawn_is_the_result(relation):
    ax = relation.plot()
    line = next(line for line in ax.get_lines() if str(line.get_label()).startswith("planted"))
    assert np.array_equal(line.get_ydata(), answers.curve(relation, "VRI", "none")["value"])
    subset = relation.plot(subset="pair mentioned")
    line = next(line for line in subset.get_lines() if str(line.get_label()).startswith("planted"))
    wanted = answers.curve(relation, "VRI", "none", "pair mentioned")
    assert np.array_equal(line.get_ydata(), wanted["value"])
    assert "pair mentioned" in subset.get_title("left") and not any("only (best" in x for x in legend(subset))


def test_stacks_stand_side_by_side(relation):
    frame = relation.frame
    image = frame[frame["stack"].notna()].assign(stack="image")
    import pandas as pd

    both = Result("relation_probe", pd.concat([image, frame.assign(stack=frame["stack"].where(
        frame["stack"].isna(), "cross"))]), relation.meta)  # fmt: skip
    ax = both.plot()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "2"] * 2
    assert "image stack, then cross stack" in ax.get_xlabel()
    assert len(set(ax.get_xticks())) == 6


def test_reasons_are_drawn(coreference):
    ax = coreference.plot(question="VCD of one class")
    assert not ax.axison and "No example has anything to ask" in ax.texts[0].get_text()
    result = swept(PairModel(stack="text"), planted_examples(6), vnb.CoreferenceProbe(**SETTINGS))
    assert "No stack of planted has" in result.plot().texts[0].get_text()
    assert len(plots.plot_question_panels(result)) == 1
    assert read_aloud(result).startswith("There is no number for planted: no stack of planted")


def test_all_questions_in_panels(coreference):
    axes = plots.plot_question_panels(coreference)
    assert len(axes) == 3 and [ax.axison for ax in axes] == [True, False, True]


def test_unknown_choices_list_the_known(coreference, relation):
    with pytest.raises(ValueError, match="question='VRI' came; coreference_probe was asked: 'VCD', "):
        coreference.plot(question="VRI")
    with pytest.raises(ValueError, match="subset='x' came; VRI has: 'pair mentioned', 'pair not mentioned'"):
        relation.plot(subset="x")
    with pytest.raises(ValueError, match="no published number with model='bert'"):
        relation.plot(paper="bert")


def test_read_aloud_says_the_numbers(coreference, relation):
    said = read_aloud(relation)
    best = answers.best(relation, "VRI").row
    assert (
        f"{best['value']:.2f} ({best['lo']:.2f} to {best['hi']:.2f}) of {int(best['n'])} test pairs" in said
    )
    assert "in joint layer 2 (chosen on validation), above the majority's 0.50" in said
    assert "class pair only reaches 0.50 (0.50 to 0.50)" in said and "mismatched pairs reach" in said
    said = read_aloud(coreference)
    assert "VCD of one class cannot be asked of these data: no example has anything to ask." in said
    assert "phrase only reaches 0.50 (0.50 to 0.50)" in said and said.endswith("about trained models.")


def test_beside_the_paper(coreference, relation):
    table = relation.compare().set_index(["published_model", "group"])
    own = answers.level(relation, "VRI", "attention probe")["value"]
    row = table.loc["UNITER-base", "VRI, attention probe"]
    assert row["published"] == pytest.approx(0.6981) and row["difference"] == pytest.approx(own - 0.6981)
    row = table.loc["UNITER-base", "VRC, embedding probe"]
    assert row["value"] == answers.best(relation, "VRC").row["value"]
    assert "best on validation" in row["note"]
    table = coreference.compare().set_index(["published_model", "group"])
    row = table.loc["LXMERT", "VCC, embedding probe"]
    assert (
        row["published"] == 0.93 and np.isnan(row["difference"]) and "the paper says 'above'" in row["note"]
    )
    assert row["value"] == answers.best(coreference, "VCC").row["value"]
    assert "a statement, no number" in table.loc["UNITER-base", "VCD, attention probe"]["note"]


def test_the_layer_is_chosen_on_validation_and_not_on_test(relation):
    frame = relation.frame
    rows = frame["group"].eq("VRI, embedding probe") & frame["control"].eq("none")
    frame.loc[rows & frame["measure"].eq("validation_accuracy"), "value"] = [0.9, 0.1, 0.2]
    changed = Result("relation_probe", frame, relation.meta)
    assert answers.best(changed, "VRI").layer == 0
    row = changed.compare().set_index(["published_model", "group"]).loc["UNITER-base", "VRI, embedding probe"]
    assert row["layer"] == 0


def test_the_control_task_is_said_with_its_number_or_why_there_is_none(coreference):
    row = answers.control_task(coreference, "VCC")
    best = answers.best(coreference, "VCC")
    assert (row["stack"], row["layer"]) == (best.stack, best.layer)
    gap = answers.control_task(coreference, "VCC", "selectivity")["value"]
    assert f"reaches {row['value']:.2f}" in read_aloud(coreference)
    assert f"so the selectivity is {gap:+.2f}" in read_aloud(coreference)
    frame = coreference.frame
    gone = frame["measure"].isin(["control_task_accuracy", "selectivity"])
    frame.loc[gone, ["value", "lo", "hi"]] = np.nan
    frame["note"] = frame["note"].astype(object) if "note" in frame else None
    frame.loc[gone, "note"] = "31% of the types in test occur in training, and 80% are needed"
    without = Result(coreference.probe, frame, coreference.meta)
    assert "Its control task is not defined: 31% of the types" in read_aloud(without)
    said = " ".join(" ".join(legend(without.plot(question="VCC"))).split())
    assert "control task not defined: 31% of the types in test occur in training" in said
    assert answers.control_task(coreference, "VCD") is not None
