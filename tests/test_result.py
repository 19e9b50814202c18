import json

import numpy as np
import pandas as pd
import pytest

from tests.fakes import FakeModel, fake_examples
from value_nb.probes.fusion import FusionDegree
from value_nb.result import Result, Results, load_result
from value_nb.sweep import sweep


@pytest.fixture(scope="module")
def result() -> Result:
    return sweep(FakeModel(), fake_examples(8), [FusionDegree()], progress=False)["fusion_degree"]


def small(**changes) -> Result:
    row = {"model": "m", "control": "none", "measure": "nmi", "layer": 1, "value": 0.1 + 0.2, "group": "None"}
    return Result("p", pd.DataFrame([row | changes, row | {"layer": None}]), {"model": "m", "n": 2})


def test_round_trip_is_equal(result, tmp_path):
    again = load_result(result.save(tmp_path / "r"))
    assert again == result
    pd.testing.assert_frame_equal(again.frame, result.frame, check_exact=True)
    assert again.meta == result.meta


def test_round_trip_keeps_words_that_look_like_nothing(tmp_path):
    again = load_result(small().save(tmp_path))
    assert again == small() and again.frame["group"].tolist() == ["None", "None"]
    assert again.frame["value"].tolist() == [0.1 + 0.2] * 2


def test_round_trip_of_a_result_that_is_not_defined(tmp_path):
    nothing = Result("p", pd.DataFrame({"value": []}), {"model": "m"}, reason="widths differ")
    assert load_result(nothing.save(tmp_path)) == nothing


def test_another_result_is_never_overwritten_silently(tmp_path):
    small().save(tmp_path)
    small().save(tmp_path)  # the same again: nothing is lost
    with pytest.raises(FileExistsError, match="overwrite=True"):
        small(value=0.5).save(tmp_path)
    assert load_result(tmp_path) == small()
    small(value=0.5).save(tmp_path, overwrite=True)
    assert load_result(tmp_path) == small(value=0.5)


def test_a_table_that_was_changed_by_hand_is_refused(tmp_path):
    small().save(tmp_path)
    table = tmp_path / "result.csv"
    table.write_text(table.read_text().replace("nmi", "ami"))
    with pytest.raises(ValueError, match="was changed after it was saved"):
        load_result(tmp_path)


def test_loading_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"result\.csv and result\.json missing"):
        load_result(tmp_path)
    small().save(tmp_path)
    note = tmp_path / "result.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"version": 99}))
    with pytest.raises(ValueError, match="version 99; expected 'value_nb-result', version 1"):
        load_result(tmp_path)


def test_a_result_does_not_change(result):
    frame, meta = result.frame, result.meta
    frame.loc[0, "value"] = 99.0
    meta["settings"]["restarts"] = 99
    assert result.frame.loc[0, "value"] != 99.0 and result.meta["settings"]["restarts"] != 99
    with pytest.raises(AttributeError):
        result.frame = frame


def test_an_interval_that_could_not_be_formed_is_nan_and_not_absent(tmp_path):
    frame = pd.DataFrame({"measure": ["m"], "value": [0.5], "lo": [np.nan], "hi": [np.nan], "n": [1]})
    found = Result("p", frame, {"model": "m"})
    again = load_result(found.save(tmp_path / "r"))
    for result in (found, again):
        assert list(result.frame.columns) == ["measure", "value", "lo", "hi", "n"]
        assert result.frame[["lo", "hi"]].isna().all(axis=None)


def test_columns_are_in_order_and_those_that_apply_nowhere_are_absent(result):
    columns = list(result.frame.columns)
    assert columns[:6] == ["model", "weights", "control", "data", "split", "stack"]
    assert "head" not in columns and "direction" not in columns and "group" not in columns
    with pytest.raises(ValueError, match=r"unknown columns \['colour'\]"):
        Result("p", pd.DataFrame({"value": [1.0], "colour": ["red"]}), {})


def test_repr_says_model_data_n_and_interval(result):
    said = repr(result)
    for part in ("fusion_degree on fake", "fake-flickr30k/test", "16 examples of 8 images", "95%", "nmi"):
        assert part in said


def test_select_lists_what_there_is(result):
    assert set(result.select(measure="ami", control="none")["measure"]) == {"ami"}
    with pytest.raises(
        ValueError, match="no row with measure='nim' in fusion_degree; there are: 'nmi', 'ami'"
    ):
        result.select(measure="nim")
    with pytest.raises(KeyError, match="no column 'colour'"):
        result.select(colour="red")


def test_results_are_a_mapping_with_a_helpful_error(result, tmp_path):
    results = Results({"fusion_degree": result})
    assert list(results) == ["fusion_degree"] and "fusion_degree on fake" in repr(results)
    with pytest.raises(KeyError, match="no result 'fusion'; there are: fusion_degree"):
        results["fusion"]
    results.save(tmp_path)
    assert load_result(tmp_path / "fusion_degree") == result
    assert results.frame.columns[0] == "probe" and len(results.frame) == len(result.frame)


def test_meta_is_plain(result):
    assert json.loads(json.dumps(result.meta)) == result.meta
    assert not np.isnan(result.meta["n"])
