"""The one bar: what it goes through, when it is silent."""

from __future__ import annotations

from typing import Any

import pytest
import tqdm.auto

from tests.probes.planted import PhraseType, TypedModel, planted_examples
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.progress import bar, quiet
from value_nb.sweep import sweep


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_it_goes_through_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(bar(range(3), "parts", progress=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_it_says_what_is_done_with_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(label="mini (sweep)", total=4, delay=0, mininterval=0) as moved:
        moved.update(2)
    said = capsys.readouterr().err
    assert "mini (sweep)" in said and "2/4" in said and "it/s" in said and "<" in said


def test_what_is_done_soon_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    list(bar(range(3), "parts"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("value", "silent"), [("true", True), ("1", True), ("", False), ("0", False)])
def test_a_build_server_sees_none(
    value: str, silent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", value)
    assert quiet() is silent
    with bar(label="parts", total=2, delay=0, mininterval=0) as moved:
        moved.update(1)
    assert (capsys.readouterr().err == "") is silent


@pytest.mark.parametrize("shown", [True, False])
def test_results_that_take_a_while_have_bars_of_their_own(
    shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one reaches its total, which the time left is worked out from."""
    made = []

    class Seen(tqdm.auto.tqdm):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            self.label, self.shown = options["desc"], not self.disable  # closing a bar disables it
            made.append(self)

    monkeypatch.setattr(tqdm.auto, "tqdm", Seen)
    probes = [PhraseType(description_length=True), CoreferenceAttention(permutations=20)]
    sweep(TypedModel(), planted_examples(36), probes, controls="none", progress=shown, cache=False)
    labels = {one.label for one in made}
    assert {"planted (results)", "classifiers (embedding)", "classifiers (attention)"} <= labels
    assert {"classifiers (head word)", "coreference (intervals, permutations)"} <= labels
    assert {one.shown for one in made} == {shown}
    ends = {one.label: (one.n, one.total) for one in made}
    assert not shown or all(n == total > 0 for n, total in ends.values()), ends
