from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fakes import FakeModel, fake_example, fake_examples
from tests.tiny import tiny_examples, tiny_model
from value_nb import __version__, shards
from value_nb.cache.listing import cache_info
from value_nb.cache.store import Store
from value_nb.collecting import collect
from value_nb.controls import Mismatched, RandomWeights
from value_nb.kmeans import RESTARTS
from value_nb.probes.base import Needs, Probe
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.fusion import FusionDegree
from value_nb.probes.modality import ModalityImportance
from value_nb.sweep import sweep


class Watcher(Probe):
    """Notes what it is handed."""

    title, question = "Watcher", "What arrives?"

    def __init__(self, name: str = "watcher", hidden: bool = False, directions: tuple[str, ...] = ()) -> None:
        self.name, self.hidden, self.directions = name, hidden, directions
        self._start()

    def _start(self) -> None:
        self._seen: list[tuple] = []

    def _absorb(self, other: "Watcher") -> None:
        self._seen += other._seen

    def needs(self, model: Any) -> Needs:
        return Needs(frozenset({"joint"}), self.hidden, frozenset(self.directions))

    def update(self, batch: Any) -> None:
        self._seen.append(
            (batch.layer, tuple(batch.hidden), tuple(batch.attention), len(batch.layout.examples))
        )

    def rows(self, *, replicates: int) -> list[dict[str, Any]]:
        return [
            {"measure": "seen", "value": n, "layer": layer, "group": "+".join((*hidden, *maps))}
            for layer, hidden, maps, n in self._seen
        ]


class Fussy(Watcher):
    controls = frozenset({"mismatched"})


def quiet(*args: Any, **kwargs: Any) -> Any:
    return sweep(*args, progress=False, **kwargs)


def assert_close(one: pd.DataFrame, two: pd.DataFrame, tolerance: float = 1e-12) -> None:
    pd.testing.assert_frame_equal(one, two, check_exact=False, rtol=0, atol=tolerance)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_batch_size_does_not_matter(batch_size):
    """Sums per image are float64: another order of an image's captions may move them by rounding."""
    examples = fake_examples(12)
    base = quiet(FakeModel(), examples, [FusionDegree()], controls="none")["fusion_degree"].frame
    other = quiet(FakeModel(), examples, [FusionDegree()], controls="none", batch_size=batch_size)
    assert_close(base, other["fusion_degree"].frame)


def test_order_does_not_matter():
    examples = fake_examples(12)
    mixed = [examples[k] for k in np.random.default_rng(0).permutation(len(examples))]
    one, two = (
        quiet(FakeModel(), e, [FusionDegree()], controls="none")["fusion_degree"] for e in (examples, mixed)
    )
    assert_close(one.frame, two.frame)


@pytest.mark.parametrize("pooled", [False, True])
def test_sharding_does_not_matter(pooled):
    examples, probe = fake_examples(12), FusionDegree(pooled=pooled, sample_size=100)
    whole = collect(FakeModel(), examples, [probe.fresh(0)]).probes[0]
    parts = [collect(FakeModel(), examples[k::3], [probe.fresh(0)]).probes[0] for k in range(3)]
    expected = pd.DataFrame(whole.rows(replicates=50))
    for merged in (
        parts[0].merge(parts[1]).merge(parts[2]),
        parts[0].merge(parts[1].merge(parts[2])),
        parts[2].merge(parts[0]).merge(parts[1]),
    ):
        assert_close(expected, pd.DataFrame(merged.rows(replicates=50)))


@pytest.mark.parametrize("family", ["uniter", "lxmert"])
def test_a_real_engine_gives_the_same_numbers_in_other_batches(family):
    model, examples = tiny_model(family), tiny_examples(12)
    one, two = (
        quiet(model, examples, [FusionDegree()], controls="none", batch_size=size)["fusion_degree"].frame
        for size in (1, 12)
    )
    assert_close(one, two, tolerance=1e-4)  # the model itself rounds to float32 in another order
    assert one["layer"].max() == model.stacks["joint" if family == "uniter" else "cross"]


def test_unequal_widths_and_text_models_get_a_reason():
    for family in ("vilbert", "bert"):
        result = quiet(tiny_model(family), tiny_examples(3), [FusionDegree()])["fusion_degree"]
        assert result.reason and result.frame.empty


def test_templates_are_left_as_they_are():
    probe = FusionDegree()
    collect(FakeModel(), fake_examples(2), [probe])
    before = repr(probe.rows(replicates=10))
    quiet(FakeModel(), fake_examples(5), [probe], controls="none", seed=3)
    assert repr(probe.rows(replicates=10)) == before and probe.seed == 0


def test_probes_get_what_they_need_and_nothing_else():
    watchers = [
        Watcher("states", hidden=True),
        Watcher("maps", directions=("text->image",)),
        Watcher("nothing"),
    ]
    found = quiet(FakeModel(), fake_examples(3), watchers, controls="none")
    assert set(found["states"].frame["group"]) == {"text+image"}
    assert found["states"].frame["layer"].tolist() == [0, 1, 2]
    assert set(found["maps"].frame["group"]) == {"text->image"} and found["maps"].frame["layer"].tolist() == [
        1,
        2,
    ]
    assert found["nothing"].frame.empty


def test_one_pass_serves_all_probes_and_conditions_are_shared():
    model = FakeModel()
    quiet(model, fake_examples(4), [Watcher("a", True), Watcher("b", True)], controls="none")
    assert len(model.calls) == 1
    model = FakeModel()
    quiet(model, fake_examples(4), [Watcher("a", True), Watcher("b", True)], controls=[Mismatched()])
    assert len(model.calls) == 2


def test_default_controls_stand_beside_the_result():
    result = quiet(FakeModel(), fake_examples(6), [FusionDegree()])["fusion_degree"]
    frame = result.frame
    assert set(frame["control"]) == {"none", "random weights", "mismatched"}
    random = frame[frame["control"] == "random weights"]
    assert sorted(set(random["weights"])) == [f"random:{k}" for k in range(5)]
    assert sorted(set(random["seed"])) == [0, 1, 2, 3, 4]
    assert set(frame[frame["control"] == "none"]["seed"]) == {7}, "the seed of pre-training, from the card"
    assert "caption stays" in result.meta["control_notes"]["mismatched"]


def test_a_list_of_controls_is_followed():
    frame = quiet(FakeModel(), fake_examples(6), [FusionDegree()], controls=[RandomWeights(seeds=(3,))])
    frame = frame["fusion_degree"].frame
    assert set(frame["control"]) == {"none", "random weights"} and set(frame["weights"]) == {
        "trained",
        "random:3",
    }


def test_random_weights_of_a_real_engine():
    frame = quiet(tiny_model("uniter"), tiny_examples(5), [FusionDegree()], controls=[RandomWeights((1, 2))])
    assert set(frame["fusion_degree"].frame["weights"]) == {"random:0", "random:1", "random:2"}


def test_one_picture_cannot_be_swapped():
    examples = fake_examples(1)
    result = quiet(FakeModel(), examples, [FusionDegree()])["fusion_degree"]
    assert "mismatched" not in set(result.frame["control"])
    assert "need at least two" in result.meta["controls_left_out"][0]
    with pytest.raises(ValueError, match="mismatched pairs need at least two"):
        quiet(FakeModel(), examples, [FusionDegree()], controls=[Mismatched()])


def test_any_iterable_will_do():
    examples = fake_examples(6)
    streamed = quiet(FakeModel(), iter(examples), [FusionDegree()], controls=[Mismatched()])
    assert (
        streamed["fusion_degree"]
        == quiet(FakeModel(), examples, [FusionDegree()], controls=[Mismatched()])["fusion_degree"]
    )


def test_a_stream_is_read_one_window_at_a_time():
    taken = []

    def stream():
        for k in range(1000):
            taken.append(k)
            yield fake_example(f"i{k}", 0, ("a", "b"), 3)

    class Stop(Exception):
        pass

    class Once(Watcher):
        def update(self, batch):
            raise Stop

    with pytest.raises(Stop):
        quiet(FakeModel(), stream(), [Once(hidden=True)], controls="none", batch_size=2)
    assert len(taken) <= 20


def test_rows_say_where_they_come_from():
    result = quiet(FakeModel(), islice(fake_examples(50), 10), [FusionDegree()], controls="none", seed=4)
    row = result["fusion_degree"].frame.iloc[0]
    assert (row["model"], row["data"], row["split"], row["n"], row["n_images"]) == (
        "fake",
        "fake-flickr30k",
        "test",
        10,
        5,
    )
    meta = result["fusion_degree"].meta
    assert meta["seed"] == 4 and meta["n"] == 10 and meta["settings"]["restarts"] == RESTARTS


def test_seed_changes_the_interval_and_the_same_seed_does_not():
    frames = [
        quiet(FakeModel(), fake_examples(8), [FusionDegree()], controls="none", seed=s)["fusion_degree"]
        for s in (0, 0, 1)
    ]
    assert frames[0] == frames[1]
    assert not frames[0].frame["lo"].equals(frames[2].frame["lo"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"controls": "all"}, "controls='all'; expected 'default', 'none' or a list"),
        ({"controls": [RandomWeights]}, "is no control; expected instances"),
        ({"probes": []}, "no probes came"),
        ({"probes": [FusionDegree]}, "is no probe; pass instances"),
        ({"probes": [FusionDegree(), FusionDegree(restarts=2)]}, "two probes are named fusion_degree"),
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"data": []}, "no examples came"),
        ({"probes": [Fussy(hidden=True)], "controls": [RandomWeights()]}, "no probe here supports"),
        ({"probes": [Watcher(directions=("text->sound",))]}, r"needs directions \['text->sound'\], which"),
    ],
)  # fmt: skip
def test_errors_say_what_came(change, message):
    arguments = {
        "model": FakeModel(),
        "data": fake_examples(2),
        "probes": [FusionDegree()],
        "controls": "none",
    } | change
    with pytest.raises(ValueError, match=message):
        quiet(**arguments)


def test_a_control_that_one_probe_does_not_support_is_noted():
    found = quiet(
        FakeModel(),
        fake_examples(4),
        [Fussy("fussy", True), Watcher("w", True)],
        controls=[RandomWeights((0,))],
    )
    assert found["fussy"].meta["controls_left_out"] == ["random weights makes no sense for this probe"]
    assert set(found["w"].frame["control"]) == {"none", "random weights"}


def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes every shard that is collected from here on."""
    seen: list[int] = []
    monkeypatch.setattr(shards, "collect", lambda *a, **k: (seen.append(1), collect(*a, **k))[1])
    return seen


def small(model: Any = None, data: Any = None, **changes: Any) -> Any:
    asked = {"probes": [ModalityImportance()], "controls": [RandomWeights((1,))]} | changes
    return quiet(model or tiny_model("uniter"), tiny_examples(6) if data is None else data, **asked)


def test_results_are_kept_and_found_again(store, monkeypatch):
    seen = passes(monkeypatch)
    first = small()
    assert len(seen) == 2
    again = small()
    assert len(seen) == 2 and again == first and list(again) == list(first)
    assert again["modality_importance"].meta == first["modality_importance"].meta
    anew = small(cache=False)
    assert len(seen) == 4 and anew == first
    assert [m["about"]["kind"] for _, m in store.manifests()] == ["sweep"]


def test_without_the_cache_nothing_is_kept_the_gate_neither(store):
    small(gate=True, controls="none", cache=False)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"batch_size": 3}, {"controls": "none"}, {"controls": [RandomWeights((2,))]},
        {"probes": [CrossModalHeads()]}, {"data": tiny_examples(5)}, {"data": tiny_examples(6, seed=1)},
        {"model": tiny_model("uniter", seed=1)}, {"gate": False},
    ],
    ids="+".join,
)  # fmt: skip
def test_whatever_decides_the_numbers_is_looked_at(store, monkeypatch, change):
    small()
    seen = passes(monkeypatch)
    small(**change)
    assert seen


def test_a_result_that_is_damaged_is_computed_again(store, monkeypatch):
    first = small()
    (table,) = store.entries.rglob("result.csv")
    table.write_bytes(table.read_bytes()[:-20])
    seen = passes(monkeypatch)
    with pytest.warns(UserWarning, match="damaged"):
        assert small() == first
    assert seen


def test_what_cache_info_says_of_a_sweep(store):
    small()
    (row,) = cache_info().to_dict("records")
    assert (row["kind"], row["n"], row["state"], row["version"]) == ("sweep", 6, "kept", __version__)
    assert row["seconds"] > 0


def test_finished_parts_stay_where_the_result_could_not_be_kept(store, monkeypatch):
    """A full disk: the next run need not collect everything again."""
    monkeypatch.setattr(shards, "EVERY", 0.0)

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="was not kept"):
        patch.setattr(Store, "put", full)
        first = small()
    assert [*store.unfinished.rglob("*.state")]
    seen = passes(monkeypatch)
    assert small() == first and not seen
    assert not [*store.unfinished.iterdir()]


def test_a_setting_that_no_file_can_hold_is_said_before_anything_is_run(monkeypatch):
    seen = passes(monkeypatch)
    probe = ModalityImportance()
    probe.power = np.float32(0.5)
    with pytest.raises(ValueError, match=r"setting power=.* of modality_importance cannot be written"):
        small(probes=[probe])
    assert not seen


def test_streams_and_models_of_no_known_kind_are_not_kept(store):
    quiet(tiny_model("uniter"), iter(tiny_examples(6)), [ModalityImportance()], controls="none")
    quiet(FakeModel(), fake_examples(3), [ModalityImportance()], controls="none")
    assert not store.folder.exists()


def test_a_sweep_that_was_cut_off_goes_on(store, monkeypatch):
    """In the control's pass, by an error in the middle of a shard: the first pass is not done again."""

    monkeypatch.setattr(shards, "SHARD", 2)
    monkeypatch.setattr(shards, "EVERY", 0.0)
    expected = small(cache=False)
    seen = passes(monkeypatch)
    working = shards.collect

    def fails(*args: Any, **kwargs: Any) -> Any:
        if len(seen) == 4:
            raise KeyboardInterrupt
        return working(*args, **kwargs)

    monkeypatch.setattr(shards, "collect", fails)
    with pytest.raises(KeyboardInterrupt):
        small()
    (work,) = store.unfinished.iterdir()
    assert sorted(path.name for path in work.glob("*.state")) == [
        "000.state",
        "001-000000.state",
        "gate.state",
    ]
    monkeypatch.setattr(shards, "collect", working)
    assert small() == expected
    assert len(seen) == 6, "three shards for each of two passes, each once"
    assert not [*store.unfinished.iterdir()]


def test_a_bar_tells_passes_and_is_quiet_in_ci(monkeypatch, capsys):
    from value_nb import progress

    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.delenv("CI", raising=False)
    sweep(
        tiny_model("uniter"),
        tiny_examples(6),
        [ModalityImportance()],
        controls=[RandomWeights((1,))],
        cache=False,
    )
    shown = capsys.readouterr().err
    assert "tiny-uniter (random weights, pass 2 of 2)" in shown and "pairs/s" in shown
    monkeypatch.setenv("CI", "true")
    sweep(tiny_model("uniter"), tiny_examples(6), [ModalityImportance()], controls="none", cache=False)
    assert not capsys.readouterr().err
