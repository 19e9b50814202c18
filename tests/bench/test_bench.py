"""The parts of the benchmark that can be wrong; its times are asserted nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench import __main__ as command
from tests.bench import classifiers, growth, meter, passes, report, senteval, series, subjects
from tests.bench.renew import renewed
from tests.browser import chromium
from tests.browser.latency import LARGE
from tests.tiny import tiny_examples, tiny_model
from value_nb.probes.task import Task


def separable(n: int, seed: int, noise: float = 0.1) -> senteval.Split:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    means = 10 * np.eye(3, 6)
    return (means[labels] + rng.normal(scale=noise, size=(n, 6))).astype(np.float32), labels


# -- SentEval's protocol -------------------------------------------------------------------------------------


def test_the_protocol_learns_what_can_be_learnt_and_nothing_else() -> None:
    train, validation, test = (separable(n, seed) for seed, n in enumerate((640, 60, 60)))
    right, l2 = senteval.score(train, validation, test)
    assert right.shape == (60,) and right.all()
    assert l2 == senteval.L2[0], "of penalties that do equally well the first is taken"
    shuffled = tuple((x, np.random.default_rng(9).permutation(y)) for x, y in (train, validation, test))
    assert senteval.score(*shuffled)[0].mean() < 0.6


def test_training_stops_at_the_sixth_failure_in_all() -> None:
    """The count is never set back by a success: better scores in between do not lengthen it."""
    patience = senteval.Patience()
    scores = [0.5, 0.4, 0.4, 0.6, 0.5, 0.7, 0.7, 0.1, 0.1]
    stopped = []
    for score in scores:
        patience.better(score)
        stopped.append(patience.stopped)
    assert stopped == [False] * 8 + [True] and patience.best == 0.7


def test_an_equal_score_is_no_better() -> None:
    patience = senteval.Patience()
    assert [patience.better(x) for x in (0.5, 0.5, 0.6)] == [True, False, True]


def test_training_has_an_end_without_a_plateau(monkeypatch: pytest.MonkeyPatch) -> None:
    """With scores that always rise, passes go on while at most 200 were made: 204 with four at a time."""
    rising = iter(range(10_000))
    monkeypatch.setattr(senteval, "accuracy", lambda model, split: float(next(rising)))
    small = separable(4, 0)
    assert senteval.train(small, small, 1e-5, 3)[2] == 204


def test_every_penalty_is_tried_and_the_best_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []
    scores = {1e-5: 0.5, 1e-4: 0.70001, 1e-3: 0.70002, 1e-2: 0.6}

    def train(training: Any, validation: Any, l2: float, classes: int) -> Any:
        tried.append(l2)
        return None, scores[l2], 4

    monkeypatch.setattr(senteval, "train", train)
    monkeypatch.setattr(senteval, "right", lambda model, split: "of the last one")
    split = separable(5, 0)
    assert senteval.score(split, split, split) == ("of the last one", 1e-4), "equal when rounded: the first"
    assert tried == [*senteval.L2, 1e-4]


def test_the_best_weights_are_those_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = separable(640, 0), separable(60, 1)
    first, _, _ = senteval.train(train, validation, 1e-5, 3)
    plain, calls = senteval.accuracy, [0]

    def falling(model: Any, split: Any) -> float:
        calls[0] += 1
        return 1.0 / calls[0]

    monkeypatch.setattr(senteval, "accuracy", falling)
    early, best, passes_made = senteval.train(train, validation, 1e-5, 3)
    assert (best, passes_made) == (1.0, 4 * 7), "one success, six failures"
    assert not np.allclose(early.weight.detach(), first.weight.detach())
    assert plain(first, validation) == 1.0


def test_two_ways_are_compared_on_each_layer_and_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers, four test sentences: 0, 0, 0 and 1 gained for each over the layers."""
    answers = {
        1: classifiers.Compared(6.0, 0.5, np.array([1, 1, 0, 0], bool), np.array([1, 1, 1, 1], bool)),
        2: classifiers.Compared(8.0, 0.5, np.array([1, 1, 1, 0], bool), np.array([1, 1, 0, 1], bool)),
    }
    monkeypatch.setattr(classifiers, "compared", lambda states, task: answers[states.shape[0]])
    splits = np.array(["train"] * 2 + ["val"] * 2 + ["test"] * 4)
    task = Task(labels=np.array(list("abababab")), images=np.array(list("12345678")), splits=splits)
    found = classifiers.over_layers({1: np.zeros((1, 3)), 2: np.zeros((2, 3))}, task)
    assert (found["senteval_s"], found["ours_s"], found["faster"]) == (7.0, 0.5, 14.0)
    assert (found["senteval_accuracy"], found["ours_accuracy"]) == (5 / 8, 7 / 8)
    assert found["error"] == pytest.approx(0.5 / 4**0.5), "of the gains 0, 0, 0, 1 of the sentences"
    assert (found["layers"], found["train"], found["width"]) == (2, 2, 3)


# -- times and memory ----------------------------------------------------------------------------------------


def test_ratios_are_of_neighbours() -> None:
    """A machine that gets slower hits both sides of a round: the ratio stays, the seconds do not."""
    found = meter.summed_up({"bare": [1.0, 2.0, 4.0], "probe": [1.5, 3.0, 6.0]}, "bare")
    assert found["probe"]["ratio"] == [1.5, 1.5, 1.5]
    assert found["probe"]["seconds"] == [3.0, 1.5, 6.0] and found["bare"]["ratio"] == [1.0, 1.0, 1.0]


def test_runs_take_turns() -> None:
    said: list[str] = []
    found = meter.in_turns({"a": lambda: said.append("a"), "b": lambda: said.append("b")}, 2, "a")
    assert said == ["a", "b"] * 3 and set(found) == {"a", "b"}


def test_a_table_of_a_small_model_has_every_run_and_memory() -> None:
    model = tiny_model("uniter")
    batch = model.prepare(tiny_examples(4))
    found = passes.measured(model, batch, repeats=1)
    probes = {"Modality importance", "Cross-modal heads", "Visual coreference: attention trace"}
    assert set(found["rows"]) == {passes.BARE, passes.ALL, "Multimodal fusion degree", *probes}
    assert found["rows"][passes.BARE]["peak_ratio"] == 1.0
    assert found["rows"][passes.ALL]["peak"] >= found["rows"][passes.BARE]["peak"] > 0


def test_memory_of_a_pass_and_of_its_results_is_counted() -> None:
    model = subjects.gated("uniter", hidden_size=12, intermediate_size=8, num_hidden_layers=1)
    few, many = (growth._memory(model, n) for n in (32, 320))
    assert set(few) == {"pairs", "held", "arrays", "results"}
    assert few["arrays"] >= few["held"] > 0 and few["results"] > 0
    kept = 3 * 2 * 12 * 10 + 2 * 8 * 12  # bytes of a pair: mentions x directions x heads, sums by image
    assert many["held"] - few["held"] > 288 * kept
    assert growth._tensors(model) > 32 * 20 * 12 * 4


def test_pairs_have_the_positions_asked_for() -> None:
    model = subjects.gated("uniter", hidden_size=24, intermediate_size=8, num_hidden_layers=1)
    layout = model.prepare(subjects.pairs(2, positions=20, regions=36)).layout
    assert [layout.streams[s].valid.shape for s in ("text", "image")] == [(2, 20), (2, 36)]
    assert all(len(e.phrases) == 3 for e in layout.examples)


# -- the page ------------------------------------------------------------------------------------------------


def rows(time: float, peak: float) -> dict[str, Any]:
    one = {"seconds": [2.0, 1.0, 3.0], "ratio": [1.0, 1.0, 1.0], "peak": 1e6, "peak_ratio": 1.0}
    probes = one | {"ratio": [time, time, time], "peak_ratio": peak}
    return {"pairs": 16, "positions": "20 + 36", "model": "m", "rows": {"bare": one, passes.ALL: probes}}


def found(time: float = 1.1, peak: float = 1.2) -> dict[str, Any]:
    return {
        "region_models": {report.CPU: rows(time, peak), report.LONG: rows(1.0, 1.0)},
        "importing": {"value_nb": [0.2, 0.1, 0.3]},
        "classifiers": {
            "tense": {"faster": 12.0, "ours_accuracy": 0.9, "senteval_accuracy": 0.91, "train": 10,
                      "width": 4, "senteval_s": 12.0, "ours_s": 1.0, "error": 0.02, "layers": 2},
        },
    }  # fmt: skip


def test_budgets_say_what_was_met_missed_and_not_measured() -> None:
    said = {row[0]: row[2:] for row in report.budgets(found())}
    assert said["All attention probes in one sweep, time, 20 + 36 positions"] == ("1.100x", "met")
    assert said["The same, memory"] == ("1.200x", "**missed**")
    assert said["`import value_nb`"][1] == "met"
    accuracy = said["Their test accuracy less SentEval's, mean of the tasks"]
    assert accuracy[1] == "**missed**" and accuracy[0].startswith("-1.00")
    assert said["Key to new pixels, the miniature, slowest panel's median"] == (report.MISSING, "")


def test_memory_of_ten_times_as_many_pairs_counts_the_worst_moment() -> None:
    found = [
        {"pairs": n, "tensors": 40e6, "arrays": 60e6, "held": 1.0, "results": r}
        for n, r in ((10, 50e6), (100, 150e6))
    ]
    (said,) = (row for row in report.budgets({"memory": found}) if "ten times" in row[0])
    assert said[2].startswith("1.50x, 100.0 to 150.0 MB (10 to 100 pairs)") and said[3] == "**missed**"


def test_the_page_has_a_table_for_each_section_and_names_the_rest() -> None:
    text = report.page(found(), {"importing": 60.0}, quick=True)
    assert "| bare | 8.0 | 1.00 | 1.00 - 1.00 | 1.0 | 1.00 |" in text
    assert "## Import" in text and "## More processes" not in text
    assert "Not measured: " in text and "More processes" in text and "smoke test" in text
    tables = [part for part in text.split("\n\n") if part.startswith("| ")]
    for part in tables:
        assert len({line.count("|") - line.count("\\|") for line in part.strip().splitlines()}) == 1, part


def test_a_section_measured_again_takes_its_place_in_the_page() -> None:
    """Its table and its budgets are new, all else stands as it was, and the page says so."""
    importing = {"importing": {"value_nb": [0.2, 0.1, 0.3]}}
    shape = {"bare": {"seconds": [1.0], "peak": 1e6}, "all": {"seconds": [2.0], "ratio": [2.0], "peak": 1e6}}
    shapes = {"shapes": [{"layers": 3, "heads": 2, "regions": 36, **shape}]}
    old = report.page(importing | shapes, {"importing": 60.0, "shapes": 60.0}, False)
    new = report.page({"importing": {"value_nb": [0.4, 0.3, 0.5]}}, {"importing": 60.0}, False)
    for _ in range(2):
        old = renewed(old, new)
        assert "| value_nb | 0.400 | 0.300 | 0.500 |" in old and "0.200" not in old
        assert "| `import value_nb` | 0.3 s | 0.400 s (0.300 to 0.500) | **missed** |" in old
        assert old.count("3 layers, 2 heads") == 1
        assert old.count("Measured in 2.0 minutes; again, by themselves: Import.\n") == 1
    assert report.page(shapes, {"shapes": 60.0}, False).count("not measured") == 9
    with pytest.raises(ValueError, match="measure the whole page"):
        renewed(old, new.replace("GPU: ", "GPU: another "))


def test_cells_cannot_break_a_table() -> None:
    assert "a\\|b" in report.table(("x",), [("a|b",)])


def test_the_slowest_panel_counts_and_the_large_model_for_itself() -> None:
    times = {"explorer": [90.0, 80.0, 99.0], "flow": [210.0, 9.0, 300.0], LARGE: [390.0, 1.0, 500.0]}
    said = [row[1:] for row in report.budgets({"latency": times}) if "ms" in row[1]]
    assert said == [
        ("200 ms", "210 ms (9 to 300), flow", "**missed**"),
        ("400 ms", f"390 ms (1 to 500), {LARGE}", "met"),
    ]


def test_without_a_browser_there_are_no_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "find", lambda: None)
    assert series.latency(quick=True) == {}


# -- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def sections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two sections, run in this process; the list says which were run. The second fails at first."""
    ran: list[str] = []

    def run(folder: Path, name: str, quick: bool) -> bool:
        ran.append(name)
        if ran.count("results") == 1 and name == "results":
            return False
        command._leave(folder, name, quick)
        return True

    given = {"pairs": 3, "rows": {"Fusion": {"seconds": 1.0, "values": 2}}}
    monkeypatch.setattr(
        command,
        "sections",
        lambda: {"importing": lambda quick: {"value_nb": [0.1, 0.1, 0.1]}, "results": lambda quick: given},
    )
    monkeypatch.setattr(command, "_run", run)
    return ran


def test_a_run_that_was_cut_off_goes_on(sections: list[str], tmp_path: Path) -> None:
    page = tmp_path / "docs" / "PAGE.md"
    call = ["--out", str(page), "--folder", str(tmp_path / "bench")]
    assert command.main(call) == 1 and "Permutation tests" in page.read_text().split("Not measured")[1]
    assert command.main(call) == 0 and sections == ["importing", "results", "results"]
    assert "| Fusion | 1.00 | 2 |" in page.read_text()
    assert command.main(call) == 0 and sections[3:] == ["importing", "results"], "a finished run starts anew"


@pytest.mark.bench
def test_the_smoke_test_measures_every_section(tmp_path: Path) -> None:
    page = tmp_path / "PAGE.md"
    call = [sys.executable, "-m", "tests.bench", "--quick", "--out", str(page), "--folder", str(tmp_path)]
    subprocess.run(call, check=True, cwd=command.ROOT)
    for name in command.sections():
        if name == "latency" and chromium.find() is None:
            continue
        assert f"## {report.SECTIONS[name][0]}" in page.read_text(), name
