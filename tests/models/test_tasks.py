"""Task tokens of the multi-task ViLBERT on the gated encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.samples import Sample
from tests.tiny import tiny_config, tiny_examples, tiny_model, tiny_words
from value_nb.layout import LayerBatch, PositionClass
from value_nb.models import vilbert
from value_nb.models.files import build, build_from
from value_nb.models.gated import GatedVL
from value_nb.models.gated_encoder import GatedModel
from value_nb.models.tasks import NAMES, TRAINED

ROWS = 20


def model(task: int | None = 7, rows: int = ROWS) -> GatedVL:
    return GatedVL(
        build(tiny_config("vilbert", task_rows=rows), 2), tiny_words(), "tiny-tasks", "random:2", task=task
    )


def layers(vl: GatedVL, examples: Any) -> list[LayerBatch]:
    found: list[LayerBatch] = []
    vl.run(vl.prepare(examples), found.append)
    return found


@torch.no_grad()
def test_the_row_stands_behind_cls_without_position_or_type() -> None:
    """Against sums written out by hand: [CLS] position 0, the task alone, the pieces 1, 2, ..."""
    vl = model(task=7)
    example = replace(tiny_examples(1)[0], words=("man", "umbrella"))
    text = layers(vl, example)[0].hidden["text"][0]
    words, e = vl.words.sentence(example.words), vl.module.text_embedding
    rows = [
        e.word.weight[piece] + e.position.weight[n] + e.token_type.weight[0]
        for n, piece in enumerate(words.ids)
    ]
    rows.insert(1, e.task.weight[7])
    torch.testing.assert_close(text, e.norm(torch.stack(rows)), atol=1e-6, rtol=0)


def test_the_layout_has_one_more_special_position() -> None:
    vl, examples = model(task=7), tiny_examples(3)
    layout = vl.prepare(examples).layout.streams["text"]
    plain = tiny_model("vilbert").prepare(examples).layout.streams["text"]
    assert (layout.position_class[:, 1] == PositionClass.SPECIAL).all() and (layout.unit[:, 1] == -1).all()
    keep = [0, *range(2, layout.unit.shape[1])]
    assert torch.equal(layout.unit[:, keep], plain.unit)
    assert torch.equal(layout.position_class[:, keep], plain.position_class)
    for own, other in zip(layout.tokens, plain.tokens, strict=True):
        assert own == ("[CLS]", "[TASK 7]", *other[1:])


@pytest.mark.parametrize("task", [0, 7, 19])
def test_each_task_is_another_row(task: int) -> None:
    examples = tiny_examples(2)
    one, other = (model(t).run(model(t).prepare(examples)).hidden["text"] for t in (task, 12))
    assert not torch.equal(one, other)


def test_valid_rows_sum_to_one_with_the_task_among_the_keys() -> None:
    for batch in layers(model(), tiny_examples(3)):
        if "text->text" in batch.attention:
            rows = batch.attention["text->text"].sum(-1).transpose(1, 2)[batch.layout.streams["text"].valid]
            torch.testing.assert_close(rows, torch.ones_like(rows), atol=1e-5, rtol=0)
            assert (batch.attention["text->text"][..., 1] > 0).any()


def test_alone_or_among_others_is_the_same() -> None:
    vl, examples = model(), tiny_examples(4)
    together = vl.run(vl.prepare(examples))
    for index, example in enumerate(examples):
        alone = vl.run(vl.prepare(example)).hidden["text"][0]
        valid = together.layout.streams["text"].valid[index]
        torch.testing.assert_close(together.hidden["text"][index][valid], alone, atol=2e-5, rtol=0)


def test_masked_words_ask_at_the_words_own_positions() -> None:
    """The log-probabilities are those at the pieces' positions, one further than without a task."""
    vl = model()
    example = replace(tiny_examples(1)[0], words=("a", "umbrella", "near"))
    found = vl.masked_words(example, [1])
    batch = vl.prepare(example)
    pieces = batch.inputs["input_ids"][0, 3:6].clone()
    assert [vl.words.token(i) for i in pieces.tolist()] == ["um", "##brel", "##la"]
    batch.inputs["input_ids"][0, 3:6] = vl.words.mask
    states = vl.run(batch).hidden["text"][0, 3:6]
    with torch.no_grad():
        scores = vl._word_logits(states).log_softmax(-1)
    want = scores[range(3), pieces].sum().item()
    np.testing.assert_allclose(found.log_probability[0], want, atol=1e-5)
    assert found.pieces.tolist() == [3]


def test_the_trace_names_the_task() -> None:
    trace = model().trace(replace(tiny_examples(1)[0], words=("a", "umbrella")))
    assert trace.streams["text"].tokens == ("[CLS]", "[TASK 7]", "a", "um", "##brel", "##la", "[SEP]")
    matrix = trace.attention("text->text", layer=1, stack="text")
    assert list(matrix.index) == ["a", "umbrella"]
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)


def test_the_id_at_the_tasks_place_is_not_read() -> None:
    vl = model()
    batch = vl.prepare(tiny_examples(2))
    before = vl.run(batch).hidden["text"]
    batch.inputs["input_ids"][:, 1] = 9
    assert torch.equal(before, vl.run(batch).hidden["text"])


def test_a_caption_may_be_as_long_as_without_a_task() -> None:
    vl = model()
    fits = replace(tiny_examples(1)[0], words=("a",) * (vl.max_positions - 2))
    assert vl.run(vl.prepare(fits)).hidden["text"].shape[1] == vl.max_positions + 1
    with pytest.raises(ValueError, match=f"this model takes {vl.max_positions}"):
        vl.prepare(replace(fits, words=("a",) * (vl.max_positions - 1)))


@pytest.mark.parametrize("task", [None, -1, 20, 7.0, True, "VQA"])
def test_a_model_with_tasks_needs_one_of_them(task: Any) -> None:
    with pytest.raises(ValueError, match=r"0 to 19; trained are 1 VQA, 2 GenomeQA, .* 17 GuessWhat pointing"):
        model(task)
    with pytest.raises(ValueError, match=r"for a task, 0 to 4$"):
        model(None, rows=5)


def test_a_model_without_tasks_takes_none() -> None:
    with pytest.raises(ValueError, match="task is 7, and this model has no task tokens"):
        model(task=7, rows=0)
    assert model(task=None, rows=0).task is None


def test_the_engine_insists_too() -> None:
    def run(config: Any, **more: Any) -> Any:
        vl = tiny_model("vilbert")
        return GatedModel(config)(**vl.prepare(tiny_examples(2)).inputs, **more)

    with pytest.raises(ValueError, match="20 task rows: pass task_ids"):
        run(tiny_config("vilbert", task_rows=ROWS))
    with pytest.raises(ValueError, match="this model has no task rows"):
        run(tiny_config("vilbert"), task_ids=torch.tensor([7, 7]))
    with pytest.raises(ValueError, match="task_rows is -1"):
        tiny_config("vilbert", task_rows=-1)


def test_fresh_weights_keep_the_task() -> None:
    assert model(task=3).with_random_weights(1).task == 3


@torch.no_grad()
def test_the_multi_task_file_is_read(tmp_path: Any) -> None:
    """The original's sample with task rows on top; without the row the states are the sample's own."""
    sample = Sample("vilbert_pretrain")
    rows = torch.randn(ROWS, 48, generator=torch.Generator().manual_seed(0))
    weights = {**sample.weights, "bert.embeddings.task_embeddings.weight": rows}
    config = vilbert.read_config(sample.config).replace(task_rows=ROWS)
    engine = build_from(config, weights)
    assert torch.equal(engine.text_embedding.task.weight, rows)
    plain = build_from(vilbert.read_config(sample.config), sample.weights)
    ids, mask, features, locations, image_mask = (
        sample.inputs[n]
        for n in ("input_ids", "attention_mask", "image_feat", "image_loc", "image_attention_mask")
    )

    def with_place(rows: Tensor, value: int) -> Tensor:
        return torch.cat([rows[:, :1], torch.full_like(rows[:, :1], value), rows[:, 1:]], dim=1)

    # masked as a key, the row has no effect on the others
    hidden = engine(
        with_place(ids, 0), with_place(mask, 0), features, locations, image_mask,
        task_ids=torch.tensor([1, 7, 12]),
    )[0]  # fmt: skip
    sample_text = plain(ids, mask, features, locations, image_mask)[0]
    keep = [0, *range(2, ids.shape[1] + 1)]
    torch.testing.assert_close(hidden[:, keep], sample_text, atol=1e-5, rtol=0)
    seen = engine(
        with_place(ids, 0), with_place(mask, 1), features, locations, image_mask,
        task_ids=torch.tensor([1, 7, 12]),
    )[0]  # fmt: skip
    assert not torch.allclose(seen[:, keep], sample_text, atol=1e-3)


def test_trained_tasks_have_names() -> None:
    assert set(TRAINED) < set(NAMES) and len(TRAINED) == 12
