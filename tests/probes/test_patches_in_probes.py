"""Every probe on a model that sees patches: pictures of the miniature, regions by area of overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import value_nb as vnb
from tests.tiny_vilt import tiny_vilt_config
from value_nb.cross_modal_ablation import cross_modal_ablation
from value_nb.data.example import Example
from value_nb.data.paths import bundled_root
from value_nb.layout import LayerBatch
from value_nb.models import vilt
from value_nb.models.words import WordPieces
from value_nb.position_counts import share_by_regions
from value_nb.probes import mentions, spans

SPLITS = ("train", "val", "test")
LIGHT: dict[str, Any] = {"description_length": False, "grid": (1.0,), "n_jobs": 1}


@pytest.fixture(scope="module")
def model() -> vilt.ViltVL:
    words = WordPieces.load(bundled_root() / "mini/models/mini-uniter")
    config = tiny_vilt_config(
        layers=2, heads=4, hidden_size=32, vocab_size=words.vocab_size, image_size=64, patch_size=16,
        max_position_embeddings=64,
    )  # fmt: skip
    return vilt.ViltVL(vilt.build(config, 0), words, "tiny-vilt", "random:0")


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Two captions each of two pictures."""
    data = vnb.load_dataset("mini-flickr30k", split="test").without_features()
    return [data[index] for index in (0, 1, 5, 6)]


@pytest.fixture(scope="module")
def layer(model: vilt.ViltVL, examples: list[Example]) -> LayerBatch:
    found: list[LayerBatch] = []
    model.run(model.prepare(examples), found.append)
    return found[-1]


def in_splits(examples: Sequence[Example], each: int) -> list[Example]:
    """The examples as if some were of each split."""
    return [
        replace(e, split=split, image_id=f"{split}/{e.image_id}", id=f"{split}/{e.id}")
        for index, e in enumerate(examples)
        for split in [SPLITS[index // each]]
    ]


def test_descriptive_probes_say_something(model: vilt.ViltVL, examples: list[Example]) -> None:
    probes = [
        vnb.FusionDegree(), vnb.ModalityImportance(), vnb.CrossModalHeads(),
        vnb.CoreferenceAttention(permutations=20),
    ]  # fmt: skip
    pairs = [replace(e, split="val" if index < 2 else "test") for index, e in enumerate(examples)]
    results = vnb.sweep(model, pairs, probes, progress=False, controls="none")
    for probe in probes:
        frame = results[probe.name].frame
        assert results[probe.name].reason is None and len(frame), probe.name
        assert frame["value"].notna().all() or "note" in frame, probe.name
    even = results["modality_importance"].select(measure="position_share", specials="excluded", group="image")
    shapes = [model.prepare(e).layout.streams for e in examples]
    want = [np.mean([int((s["image"].position_class == 2).sum()) /
                     sum(int(s[k].valid.sum()) for k in s) for s in shapes])]  # fmt: skip
    assert even["value"].iloc[0] == pytest.approx(want[0], rel=1e-6)


def test_the_controls_run(model: vilt.ViltVL, examples: list[Example]) -> None:
    probes = [vnb.FusionDegree(), vnb.CoreferenceAttention(permutations=5)]
    controls = [vnb.RandomWeights((1,)), vnb.Mismatched(0)]
    results = vnb.sweep(model, examples, probes, progress=False, controls=controls)
    found = set(results["fusion_degree"].frame["control"])
    assert found == {"none", "random weights", "mismatched"}


def test_classifiers_on_patches(model: vilt.ViltVL) -> None:
    data = vnb.load_dataset("mini-flickr30k", split="test").without_features()
    pairs = in_splits([data[index] for index in range(0, 36, 4)], each=3)
    probe = vnb.CoreferenceProbe(**LIGHT)
    results = vnb.sweep(model, pairs, [probe], progress=False, controls="none")
    frame = results["coreference_probe"].frame
    assert {"VCD, attention probe", "VCC, embedding probe"} <= set(frame["group"].dropna())


def test_relations_on_patches(model: vilt.ViltVL) -> None:
    data = vnb.load_dataset("mini-vg", split="test").without_features()
    asked = [e for e in (data[index] for index in range(60)) if e.relations][:15]
    results = vnb.sweep(
        model,
        in_splits(asked, each=5),
        [vnb.RelationProbe(("VRC",), **LIGHT)],
        progress=False,
        controls="none",
    )
    assert len(results["relation_probe"].frame)


def test_linguistic_knowledge_needs_no_picture(model: vilt.ViltVL) -> None:
    found = vnb.probe_linguistics(
        model, ["mini-senteval/subj_number"], limit=12, progress=False, controls="none"
    )
    frame = next(iter(dict(found).values())).frame
    assert {"[CLS]", "mean", "heads"} <= set(frame["group"])


# -- pooling in probes is pooling in traces ------------------------------------------------------------------


def test_spans_pool_as_the_trace_does(model: vilt.ViltVL, examples: list[Example], layer: LayerBatch) -> None:
    """Attention between each region and a word, both ways; states of a region, by hand."""
    row, example = 2, examples[2]
    trace = model.trace(example)
    n = len(example.regions or ())
    where = spans.place([spans.regions(r) for r in range(n)], [row] * n, layer.layout)
    word = spans.place([spans.words([1])] * n, [row] * n, layer.layout)
    word_name = f"{example.words[1]}"
    assert list(example.words).count(word_name) == 1
    to = spans.pool_attention(layer.attention["text->image"], word, where).numpy()
    back = spans.pool_attention(layer.attention["image->text"], where, word).numpy()
    for head in range(4):
        want = trace.attention("text->image", 2, head).loc[word_name].to_numpy()[:-1]
        np.testing.assert_allclose(to[:, head], want, atol=1e-6)
        np.testing.assert_allclose(
            back[:, head], trace.attention("image->text", 2, head)[word_name], atol=1e-6
        )
    shares = trace.streams["image"].membership
    states = trace.hidden["joint"]["image"][2]
    want = (shares / shares.sum(axis=1, keepdims=True)) @ states
    np.testing.assert_allclose(spans.pool_states(layer.hidden["image"], where).numpy(), want, atol=2e-5)


def test_mentions_pool_as_the_trace_does(
    model: vilt.ViltVL, examples: list[Example], layer: LayerBatch
) -> None:
    placed = mentions.place(layer.layout, seed=0)
    assert placed is not None and {0, 2} <= set(placed.example.tolist())
    to = mentions.pooled(layer.attention["text->image"], placed, "text->image")
    back = mentions.pooled(layer.attention["image->text"], placed, "image->text")
    for k, (mention, row) in enumerate(zip(placed.mentions, placed.example, strict=True)):
        example = examples[row]
        phrase = example.phrases[mention.number]
        trace, n = model.trace(example), mention.regions
        words = [*phrase.words]
        forth = trace.attention("text->image", 2, 0).to_numpy()[words].mean(axis=0)
        there = trace.attention("image->text", 2, 0).to_numpy()[:, words].sum(axis=1)
        np.testing.assert_allclose(to[k, 0, :n], forth[:n], atol=1e-6)
        np.testing.assert_allclose(back[k, 0, :n], there, atol=1e-6)


def test_a_span_of_overlapping_regions_counts_a_patch_once(layer: LayerBatch) -> None:
    whole = spans.place(
        [spans.regions(*range(len(layer.layout.examples[0].regions or ())))], [0], layer.layout
    )
    word = spans.place([spans.words([0])], [0], layer.layout)
    given = spans.pool_attention(layer.attention["text->image"], word, whole)
    text = layer.layout.streams["text"].unit[0].tolist().index(0)
    most = layer.attention["text->image"][0, :, text].sum(-1)
    assert (given[0] <= most + 1e-6).all() and whole.share.sum() == pytest.approx(1.0, rel=1e-5)


def test_many_rows_are_pooled_in_pieces(layer: LayerBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(row, r) for row, r in product((0, 3), range(4))]
    where = spans.place([spans.regions(r) for _, r in asked], [row for row, _ in asked], layer.layout)
    at_once = spans.pool_attention(layer.attention["image->image"], where, where)
    monkeypatch.setattr(spans, "ROWS", 1)
    torch.testing.assert_close(spans.pool_attention(layer.attention["image->image"], where, where), at_once)


# -- what takes regions away is not defined ------------------------------------------------------------------


def test_regions_cannot_be_taken_from_a_picture(model: vilt.ViltVL, examples: list[Example]) -> None:
    result = cross_modal_ablation(model, examples, progress=False)
    assert "reads the picture's pixels" in str(result.reason)
    counts = share_by_regions(model, examples)
    assert "reads the picture's pixels" in counts.reason
