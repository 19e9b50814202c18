"""The same numbers on a GPU as on the CPU, for every probe and every way to run a model."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import value_nb as vnb
from tests.tiny import tiny_examples
from tests.tiny_vilt import pictured, tiny_vilt
from value_nb import batches, cost
from value_nb.collecting import Dispatcher
from value_nb.layout import LayerBatch
from value_nb.models.base import VLModel

GPU = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU on this machine")
MODELS = ("mini-uniter", "mini-lxmert", "mini-vilbert")
PLACE = ["control", "stack", "layer", "head", "direction", "measure", "specials", "group", "modality", "task"]
ROUNDING = 1e-4  # float32 sums in another order, through six layers
HALF = {"bfloat16": 0.1, "float16": 0.02}


def data(n: int = 24) -> Any:
    return vnb.load_dataset("mini-flickr30k", split="test", limit=n)


def attention_probes() -> list[Any]:
    return [vnb.ModalityImportance(), vnb.CrossModalHeads(), vnb.CoreferenceAttention(permutations=100)]


def swept(model: VLModel, examples: Any, probes: Any, **more: Any) -> pd.DataFrame:
    settings = {"controls": "none", "gate": False, "cache": False, "progress": False} | more
    found = vnb.sweep(model, examples, probes, **settings)
    return pd.concat([result.frame.assign(probe=name) for name, result in found.items()])


def difference(one: pd.DataFrame, two: pd.DataFrame, column: str = "value") -> pd.Series:
    """Absolute differences of all rows, which have to be the same otherwise."""
    names = ["probe", *(name for name in PLACE if name in one)]
    pd.testing.assert_frame_equal(one[names].reset_index(drop=True), two[names].reset_index(drop=True))
    return (one[column].reset_index(drop=True) - two[column].reset_index(drop=True)).abs()


@pytest.mark.parametrize("name", MODELS)
def test_attention_probes_have_the_numbers_of_the_cpu(name: str) -> None:
    pairs = [swept(vnb.load_model(name, device=d), data(), attention_probes()) for d in ("cpu", GPU)]
    assert len(pairs[0]) > 100
    counted = pairs[0]["measure"].isin(["share_of_pairs", "hit_rate"]).to_numpy()
    off = difference(*pairs)
    assert off[~counted].max() < 20 * ROUNDING  # ranks of hit rates and their p-values among them
    assert (off[counted] > 0).mean() < 0.01  # a near tie may fall to the other side
    for bound in ("lo", "hi"):
        assert difference(*pairs, bound)[~counted].max() < 100 * ROUNDING


@pytest.mark.parametrize("name", ["mini-uniter", "mini-lxmert"])
def test_fusion_has_the_numbers_of_the_cpu(name: str) -> None:
    pairs = [swept(vnb.load_model(name, device=d), data(), [vnb.FusionDegree()]) for d in ("cpu", GPU)]
    off = difference(*pairs)
    rank = (pairs[0]["measure"] == "effective_rank").to_numpy()
    assert off[rank].max() < 0.01
    assert off[~rank].max() < 0.01


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", ["mini-uniter", "mini-lxmert"])
def test_half_precision_changes_numbers_little(name: str, dtype: str) -> None:
    probes = [vnb.FusionDegree(), *attention_probes()[:2]]
    one = swept(vnb.load_model(name, device="cpu"), data(), probes)
    two = swept(vnb.load_model(name, device=GPU, dtype=dtype), data(), probes)
    shares = (one["unit"] == "fraction").to_numpy() & (one["measure"] != "share_of_pairs").to_numpy()
    off = difference(one, two)
    assert two["value"].notna().equals(one["value"].notna())
    assert off[shares].median() < HALF[dtype] / 10
    assert off[shares].quantile(0.99) < HALF[dtype]


def test_the_same_twice() -> None:
    model = vnb.load_model("mini-uniter", device=GPU)
    probes = [vnb.FusionDegree(), *attention_probes()]
    one, two = (swept(model, data(), probes) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


def test_classifier_probes_and_controls_have_the_numbers_of_the_cpu() -> None:
    for probe, name in ((vnb.CoreferenceProbe(), "mini-flickr30k"), (vnb.RelationProbe(), "mini-vg")):
        examples = vnb.load_splits(name, limit={"train": 100, "val": 30, "test": 60})
        pairs = [
            swept(vnb.load_model("mini-uniter", device=d), examples, [probe], controls="default")
            for d in ("cpu", GPU)
        ]
        assert pairs[0]["control"].nunique() > 1
        off = difference(*pairs)
        assert off.median() < ROUNDING
        assert off.quantile(0.9) < 0.05  # few items: each that falls to the other side counts much


@pytest.mark.parametrize("name", ["mini-bert", "mini-uniter", "mini-lxmert"])
def test_language_has_the_numbers_of_the_cpu(name: str) -> None:
    tasks = ["mini-senteval/subj_number"]
    found = [
        vnb.probe_linguistics(
            vnb.load_model(name, device=d), tasks, limit=200, controls="none", progress=False, cache=False
        ).frame
        for d in ("cpu", GPU)
    ]
    assert (found[0]["value"] - found[1]["value"]).abs().median() < 0.02


def test_trained_heads_answer_as_on_the_cpu() -> None:
    examples = list(data(16))
    for name in MODELS:
        cpu, gpu = (vnb.load_model(name, device=d) for d in ("cpu", GPU))
        np.testing.assert_allclose(gpu.matching(examples), cpu.matching(examples), atol=10 * ROUNDING)
        words = [1] * len(examples)
        one, two = (model.masked_words(examples, words) for model in (cpu, gpu))
        np.testing.assert_allclose(one.log_probability, two.log_probability, atol=0.02)


def test_traces_and_every_view_of_them() -> None:
    """On the device, in half precision too: what is drawn lies on the CPU."""
    example = data()[1]
    for name in MODELS:
        one = vnb.load_model(name, device="cpu").trace(example)
        two = vnb.load_model(name, device=GPU).trace(example)
        half = vnb.load_model(name, device=GPU, dtype="bfloat16").trace(example)
        maps = [trace.attention("text->image", 2, 0).to_numpy() for trace in (one, two, half)]
        np.testing.assert_allclose(maps[1], maps[0], atol=ROUNDING)
        np.testing.assert_allclose(maps[2], maps[0], atol=0.1)
    model = vnb.load_model("mini-uniter", device=GPU, dtype="bfloat16")
    explorer = vnb.Explorer(model, data(4))
    explorer.selection = ("word", 1)
    assert np.isfinite(explorer.weights["weight"]).all()
    flow = vnb.AttentionFlow(model, data(4))
    assert len(flow.table)
    assert vnb.head_view(model.trace(example)) is not None


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_heads_are_switched_off_as_on_the_cpu(how: str) -> None:
    examples = list(data(16))
    found = []
    for device in ("cpu", GPU):
        model = vnb.load_model("mini-uniter", device=device)
        more: dict[str, Any] = {"reference": examples[:8]} if how == "mean" else {}
        with vnb.ablate_heads(model, [("joint", 2, 1), ("joint", 4, 0)], how=how, **more) as cut:
            found.append(cut.matching(examples))
    np.testing.assert_allclose(*found, atol=10 * ROUNDING)


@pytest.mark.parametrize("name", MODELS)
def test_the_picture_is_taken_away_as_on_the_cpu(name: str) -> None:
    found = []
    for device in ("cpu", GPU):
        with vnb.without_image(vnb.load_model(name, device=device)) as blind:
            found.append(blind.trace(data()[1]).attention("text->text", 2, 0).to_numpy())
    np.testing.assert_allclose(*found, atol=ROUNDING)


def test_random_weights_are_those_of_the_cpu() -> None:
    models = [vnb.load_model("mini-uniter", device=d).with_random_weights(3) for d in ("cpu", GPU)]
    assert models[1].device.type == GPU
    for one, two in zip(*(m.module.parameters() for m in models), strict=True):
        assert torch.equal(one, two.cpu())


def test_patches_have_the_numbers_of_the_cpu(tmp_path: Path) -> None:
    examples = pictured(tmp_path)
    found = []
    for device in ("cpu", GPU):
        model = tiny_vilt()
        model.module.to(device)
        found.append(swept(model, examples, attention_probes()[:2]))
    assert difference(*found).max() < 20 * ROUNDING


def test_a_batch_size_is_found() -> None:
    model = vnb.load_model("mini-uniter", device=GPU)
    size, _ = batches.settled(model, data(), "auto")
    assert size == batches.MOST["cuda"]


def test_memory_that_does_not_do_halves_the_batch() -> None:
    model = vnb.load_model("mini-uniter", device=GPU)
    example = data()[0]
    torch.cuda.empty_cache()
    one = cost.live_bytes(partial(batches._run, model, example, 64)) / 64
    torch.cuda.empty_cache()
    room = torch.cuda.memory_allocated() + 200 * one  # the rest is out of bounds
    torch.cuda.set_per_process_memory_fraction(min(1.0, room / torch.cuda.mem_get_info()[1]))
    try:
        size = batches.tried(model, example, 512)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert 1 <= size < 512
    assert size == 2 ** int(math.log2(size))


def test_live_bytes_are_what_the_allocator_counts() -> None:
    model = vnb.load_model("mini-uniter", device=GPU)
    batch = model.prepare(list(data(32)))
    model.run(batch)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    model.run(batch)
    torch.cuda.synchronize()
    allocated = torch.cuda.max_memory_allocated() - before
    counted = cost.live_bytes(lambda: model.run(batch))
    assert counted == pytest.approx(allocated, rel=0.25)  # it rounds, and operations take room


def test_results_are_kept_for_each_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUE_NB_CACHE", str(tmp_path))
    for device in ("cpu", GPU, GPU):
        swept(vnb.load_model("mini-uniter", device=device), data(), [vnb.CrossModalHeads()], cache=True)
    assert len(vnb.cache_info()) == 2


def test_a_worker_takes_the_gpu() -> None:
    distributed = pytest.importorskip("distributed")
    model = vnb.load_model("mini-uniter", device=GPU)
    alone = swept(model, data(), attention_probes())
    settings = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    with (
        distributed.LocalCluster(dashboard_address="127.0.0.1:0", silence_logs=50, **settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        shared = swept(model, data(), attention_probes(), client=client)
    assert difference(alone, shared).max() < ROUNDING


def test_tiny_examples_of_odd_sizes() -> None:
    from tests.tiny import tiny_model

    for family in ("uniter", "lxmert", "vilbert"):
        found = []
        for device in ("cpu", GPU):
            model = tiny_model(family)
            model.module.to(device)
            probe = vnb.CoreferenceAttention(permutations=20)
            found.append(swept(model, tiny_examples(7), [probe], batch_size=3))
        assert difference(*found).max() < 0.01


def test_layers_do_not_wait_for_the_device() -> None:
    """What attention probes do in a layer is not fetched there, which would wait for all before it."""
    model = vnb.load_model("mini-uniter", device=GPU)
    batch = model.prepare(list(data()))
    for probe in (one.fresh() for one in attention_probes()):
        seen = Dispatcher(model, [probe])

        def quietly(layer: LayerBatch, seen: Dispatcher = seen) -> None:
            if layer.layer < 2:  # looks over the batch
                seen(layer)
                return
            torch.cuda.set_sync_debug_mode("error")
            try:
                seen(layer)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        model.run(batch, on_layer=quietly)
        assert probe.rows(replicates=5)
