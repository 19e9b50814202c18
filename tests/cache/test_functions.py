"""The functions that notebooks call: the kept answer equals the computed one, and nothing runs for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import value_nb as vnb
from value_nb import measure
from value_nb.cache.store import Store
from value_nb.data.dataset import Dataset
from value_nb.models.base import VLModel
from value_nb.models.gated import GatedVL
from value_nb.position_counts import share_by_regions
from value_nb.relation_heads import relation_heads
from value_nb.result import Result, Results

HOW = {"progress": False}


@pytest.fixture(scope="module")
def model() -> VLModel:
    return vnb.load_model("mini-uniter")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return vnb.load_dataset("mini-flickr30k", limit=6)


@pytest.fixture(scope="module")
def relations() -> Any:
    return vnb.load_splits("mini-vg", limit=40, splits=("val", "test"))


def _ablation(model: VLModel, data: Any, _: Any, cache: bool) -> Any:
    heads = [("joint", 1, 0), ("joint", 2, 1)]
    return vnb.ablation_curve(model, data, heads, sizes=[1], draws=1, replicates=20, cache=cache, **HOW)


def _cross(model: VLModel, data: Any, _: Any, cache: bool) -> Any:
    return vnb.cross_modal_ablation(model, data, per_caption=1, replicates=20, cache=cache, **HOW)


def _regions(model: VLModel, data: Any, _: Any, cache: bool) -> Any:
    found = share_by_regions(model, data, counts=[2, 5], cache=cache, **HOW)
    return [found.table, found.model, found.title, found.reason]


def _heads(model: VLModel, _: Any, relations: Any, cache: bool) -> Any:
    return relation_heads(model, relations, k=2, cache=cache, **HOW)


def _gate(model: VLModel, data: Any, _: Any, cache: bool) -> Any:
    return vnb.sanity_gate(model, data, cache=cache).record


def _tasks(model: VLModel, _: Any, __: Any, cache: bool) -> Any:
    probe = vnb.LinguisticProbe(grid=(0.01,))
    how: dict[str, Any] = {"limit": 30, "controls": "none", "cache": cache, **HOW}
    return vnb.probe_linguistics(model, ["mini-senteval/subj_number"], probe, **how)


CALLS: dict[str, tuple[Callable[..., Any], str]] = {
    "head ablation": (_ablation, "head ablation"),
    "cross-modal ablation": (_cross, "cross-modal ablation"),
    "region counts": (_regions, "region counts"),
    "relation heads": (_heads, "relation heads"),
    "sanity gate": (_gate, "sanity gate"),
    "linguistic tasks": (_tasks, "sweep"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_kept_answer_is_the_computed_one(
    name: str, store: Store, model: VLModel, data: Dataset, relations: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, kind = CALLS[name]
    anew = call(model, data, relations, False)
    assert not store.folder.exists()
    first = call(model, data, relations, True)
    assert [note["about"]["kind"] for _, note in store.manifests()] == [kind]

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("the model is asked")

    monkeypatch.setattr(GatedVL, "run", refuse)
    second = call(model, data, relations, True)
    assert same(anew, first) and same(first, second)
    with pytest.raises(RuntimeError, match="the model is asked"):
        call(model, data, relations, False)


def same(a: Any, b: Any) -> bool:
    """Equal, types and order included; nan equals nan."""
    if type(a) is not type(b):
        return False
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
        return a.attrs == b.attrs
    if isinstance(a, Result):
        return a == b and a.meta == b.meta and same(a.frame, b.frame)
    if isinstance(a, dict | Results):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def test_growth_is_kept_with_its_curve_and_all_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from value_nb import growth

    steps: list[Any] = []

    def swept(model: VLModel, data: Any, probes: Any, **_: Any) -> dict[str, Result]:
        steps.append(model.name)
        frame = pd.DataFrame({"value": [len(steps) / 3]})
        return {probes[0].name: Result(probes[0].name, frame, {"model": model.name})}

    monkeypatch.setattr(growth, "sweep", swept)
    pictures = vnb.load_splits("mini-flickr30k", limit=2, splits=("val", "test"))
    first = vnb.watch_growth("mini-uniter", pictures)
    ran = len(steps)
    second = vnb.watch_growth("mini-uniter", pictures)
    assert len(steps) == ran > 2
    assert same(first.curve, second.curve) and same(first.results, second.results)
    assert (first.model, list(first.results)) == (second.model, list(second.results))
    vnb.watch_growth("mini-uniter", pictures, start=1)
    assert len(steps) == 2 * ran


def test_the_scoreboards_measures_are_kept_by_what_the_files_hold(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measured(name: str, setting: Any, seed: int, cache: bool) -> dict[str, Any]:
        asked.append(name)
        one = Result("toy", pd.DataFrame({"value": [0.1 * len(asked)]}), {"model": name})
        return {"toy": one, "linguistic_probe": {"tree_depth": one}}

    monkeypatch.setattr(measure, "measure_observations", measured)
    setting = measure.Setting(pairs=3)
    first = vnb.measure_models(["mini-uniter", "mini-bert"], setting, n_jobs=1, progress=False)
    second = vnb.measure_models(["mini-uniter", "mini-bert"], setting, n_jobs=1, progress=False)
    assert same(first, second) and asked == ["mini-uniter", "mini-bert"]
    vnb.measure_models(["mini-bert"], setting, n_jobs=1, progress=False)
    vnb.measure_models(["mini-bert"], measure.Setting(pairs=4), n_jobs=1, progress=False)
    assert len(asked) == 4
    monkeypatch.setattr("value_nb.cache.keys.of_files", lambda *_, **__: "other files")
    vnb.measure_models(["mini-bert"], setting, n_jobs=1, progress=False)
    assert len(asked) == 5


def test_data_of_ones_own_is_measured_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(measure, "measure_observations", lambda name, *_, **__: asked.append(name) or {})
    for _ in range(2):
        vnb.measure_models(["mini-bert"], measure.Setting(captions="own"), n_jobs=1, progress=False)
    assert asked == ["mini-bert"] * 2 and not store.folder.exists()
