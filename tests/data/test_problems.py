from __future__ import annotations

import pickle

import pytest

from value_nb.data.problems import KEPT_PER_KIND, DataFormatError, ProblemReport


def test_counts_skipped_and_changed_apart() -> None:
    report = ProblemReport()
    spot = report.at("a.txt", "line 3")
    spot.skip("bad", "x came; expected y.", "Fix x.")
    spot.inside("word 2").skip("bad", "z came; expected y.", "Fix z.")
    spot.change("cut", "too long.", "Nothing to do.")
    assert len(report) == 2
    assert report.skipped == {"bad": 2}
    assert report.changed == {"cut": 1}
    assert [p.place for p in report] == ["line 3", "line 3, word 2", "line 3"]


def test_repr_says_file_place_expectation_and_remedy() -> None:
    report = ProblemReport()
    assert repr(report) == "ProblemReport: 0 records skipped, 0 records changed"
    assert not report
    report.at("a.txt", "line 3").skip("bad", "x came; expected y.", "Fix x.")
    text = repr(report)
    assert "1 record skipped" in text
    assert "skipped 1 x bad; the first: a.txt, line 3: x came; expected y. Fix x." in text


def test_all_are_counted_but_not_all_are_kept() -> None:
    report = ProblemReport()
    for _ in range(KEPT_PER_KIND + 5):
        report.at("a.txt", "line 1").skip("bad", "x.", "y.")
    assert len(report) == KEPT_PER_KIND + 5
    assert len(report.frame()) == len(list(report)) == KEPT_PER_KIND


def test_frame_has_a_row_per_problem_and_its_columns_when_empty() -> None:
    report = ProblemReport()
    columns = ["kind", "file", "place", "message", "remedy", "skipped"]
    assert list(report.frame().columns) == columns
    report.at("a.txt", "line 3").change("cut", "too long.", "Nothing.")
    assert report.frame().iloc[0].tolist() == ["cut", "a.txt", "line 3", "too long.", "Nothing.", False]


def test_strict_raises_at_the_first_skipped_record_and_not_at_a_changed_one() -> None:
    report = ProblemReport(strict=True)
    report.at("a.txt", "line 1").change("cut", "too long.", "Nothing to do.")
    with pytest.raises(DataFormatError) as caught:
        report.at("a.txt", "line 3").skip("bad", "x came; expected y.", "Fix x.")
    assert str(caught.value) == "a.txt, line 3: x came; expected y. Fix x. (strict=True stops here.)"
    assert (caught.value.file, caught.value.place) == ("a.txt", "line 3")


def test_format_error_is_a_value_error_and_survives_pickling() -> None:
    error = DataFormatError("a.txt", "", "nothing in it.")
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "a.txt: nothing in it."
