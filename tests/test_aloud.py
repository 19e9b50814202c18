import pandas as pd
import pytest

from tests.fakes import FakeModel, fake_examples
from value_nb.aloud import read_aloud, verdict
from value_nb.probes.fusion import FusionDegree
from value_nb.result import Result
from value_nb.sweep import sweep


def result(gap: tuple[float, ...], gate: bool = True, controls: str = "default") -> Result:
    model = FakeModel(gap=gap, gate_met=gate)
    found = sweep(model, fake_examples(8), [FusionDegree(restarts=2)], controls=controls, progress=False)
    return found["fusion_degree"]


def test_the_sentences_say_the_numbers_of_the_result():
    r = result((9.0, 9.0, 4.0, 0.0))
    rows = r.select(measure="ami", specials="paper", control="none").set_index("layer")["value"]
    said = read_aloud(r)
    assert said.startswith("fake on fake-flickr30k, 16 pairs of 8 pictures.")
    assert f"{rows[1]:.2f} (" in said
    assert f"{rows[3]:.2f} (" in said
    assert "so here the last layer is more fused than the first" in said
    random = r.select(measure="ami", specials="paper", control="random weights", layer=3)["value"]
    assert f"reach {random.min():.2f} to {random.max():.2f}." in said
    assert "quality gate" not in said


def test_the_other_way_round():
    assert "is less fused than the first" in read_aloud(result((0.0, 0.0, 9.0), controls="none"))


def test_no_change_is_not_called_one():
    assert "cannot tell" in read_aloud(result((0.0, 2.0, 2.0), controls="none"))


def test_a_missed_gate_is_said():
    assert read_aloud(result((0.0, 1.0, 2.0), gate=False)).endswith(
        "none of this is evidence about trained models."
    )


def test_without_controls_or_with_one_layer_there_are_fewer_sentences():
    said = read_aloud(result((3.0, 1.0), controls="none"))
    assert "random weights" not in said
    assert "The change" not in said


def test_a_result_that_is_not_defined_says_why():
    r = Result("fusion_degree", pd.DataFrame({"value": []}), {"model": "m"}, "widths differ")
    assert read_aloud(r) == "There is no number for m: widths differ."


@pytest.mark.parametrize(
    ("lo", "hi", "word"), [(-2, -1, "b"), (1, 2, "a"), (-1, 1, "n"), (0, 1, "n"), (-1, 0, "n")]
)
def test_verdicts_need_the_whole_interval(lo, hi, word):
    assert verdict(lo, hi, "b", "a", "n") == word
