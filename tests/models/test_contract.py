"""What every family owes to whoever looks into it."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.tiny import FAMILIES, GATED, tiny_examples, tiny_model, tiny_regions
from value_nb.data.example import Example
from value_nb.layout import LayerBatch, PositionClass
from value_nb.models.base import VLModel
from value_nb.models.gates import STREAMS, key_of, query_of

CLOSE = 2e-5
TWO_STREAM = ("lxmert", "vilbert")


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> VLModel:
    """Odd sizes: 5 layers of 3 heads; ViLBERT's image stream has 2 and its co-attention 4."""
    return tiny_model(request.param, seed=1, layers=5, heads=3)


@pytest.fixture(scope="module", params=GATED)
def gated(request: pytest.FixtureRequest) -> VLModel:
    return tiny_model(request.param, seed=1)


@pytest.fixture
def examples() -> list[Example]:
    return tiny_examples(4, seed=2)


def layers(model: VLModel, examples: list[Example] | Example, **kwargs: object) -> list[LayerBatch]:
    found: list[LayerBatch] = []
    model.run(model.prepare(examples), found.append, **kwargs)  # type: ignore[arg-type]
    return found


def other_pictures(examples: list[Example], seed: int = 9) -> list[Example]:
    rng = np.random.default_rng(seed)
    return [replace(e, regions=tiny_regions(rng, len(e.regions or ()))) for e in examples]


def test_layers_come_in_order_with_as_many_maps_as_the_config_says(
    model: VLModel, examples: list[Example]
) -> None:
    seen = layers(model, examples)
    for stack, count in model.stacks.items():
        own = [batch for batch in seen if batch.stack == stack]
        assert [batch.layer for batch in own] == list(range(count + 1))
        assert own[0].attention == {}
        assert all(tuple(batch.attention) == model.directions[stack] for batch in own[1:])
        assert all(batch.joint == model.joint for batch in own)
    assert len(seen) == sum(model.stacks.values()) + len(model.stacks)


def test_shapes_are_those_announced(model: VLModel, examples: list[Example]) -> None:
    for batch in layers(model, examples):
        for stream, states in batch.hidden.items():
            assert states.shape == (*batch.layout.streams[stream].valid.shape, model.widths[stream])
        for direction, block in batch.attention.items():
            queries, keys = batch.layout.streams[query_of(direction)], batch.layout.streams[key_of(direction)]
            heads = model.heads(batch.stack, direction)
            assert block.shape == (4, heads, queries.valid.shape[1], keys.valid.shape[1])


def test_valid_rows_sum_to_one_and_padding_gets_nothing(model: VLModel, examples: list[Example]) -> None:
    for batch in layers(model, examples):
        for query in STREAMS:
            own = {d: block for d, block in batch.attention.items() if query_of(d) == query}
            sums = {d: block.sum(-1).transpose(1, 2) for d, block in own.items()}
            totals = [sum(sums.values())] if model.joint and sums else list(sums.values())
            for total in totals:
                rows = total[batch.layout.streams[query].valid]
                torch.testing.assert_close(rows, torch.ones_like(rows), atol=1e-5, rtol=0)
            for direction, block in own.items():
                padded = ~batch.layout.streams[key_of(direction)].valid
                assert padded.any()
                assert (block.permute(0, 3, 1, 2)[padded] == 0).all()


def test_alone_or_among_others_is_the_same(model: VLModel, examples: list[Example]) -> None:
    together = model.run(model.prepare(examples))
    for index, example in enumerate(examples):
        alone = model.run(model.prepare(example))
        for stream, states in alone.hidden.items():
            valid = together.layout.streams[stream].valid[index]
            torch.testing.assert_close(together.hidden[stream][index][valid], states[0], atol=CLOSE, rtol=0)
        for name, pooled in alone.pooled.items():
            torch.testing.assert_close(together.pooled[name][index], pooled[0], atol=CLOSE, rtol=0)


def test_the_layout_counts_words_regions_and_specials(model: VLModel, examples: list[Example]) -> None:
    layout = model.prepare(examples).layout
    text = layout.streams["text"]
    for index, example in enumerate(examples):
        classes, unit = text.position_class[index], text.unit[index]
        assert (classes == PositionClass.SPECIAL).sum() == 2
        assert unit[classes == PositionClass.TEXT].unique().tolist() == list(range(len(example.words)))
        assert len(text.tokens[index]) == int(text.valid[index].sum())
        if "image" in layout.streams:
            image, count = layout.streams["image"], len(example.regions or ())
            assert image.unit[index][image.unit[index] >= 0].tolist() == list(range(count))
            special = int((image.position_class[index] == PositionClass.SPECIAL).sum())
            assert special == (0 if model.config.global_row == "none" else 1)
            assert len(image.tokens[index]) == count + special


def test_nothing_is_written_into(model: VLModel, examples: list[Example]) -> None:
    batch = model.prepare(examples)
    before = {name: tensor.clone() for name, tensor in batch.inputs.items()}
    features = [e.regions.features.copy() for e in examples if e.regions and e.regions.features is not None]
    weights = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    stack, random = next(iter(model.stacks)), torch.get_rng_state()
    direction = model.directions[stack][0]
    mask = {(stack, 1, direction): torch.zeros(model.heads(stack, direction))}
    closed = () if model.family == "bert" else ("image->text",)
    model.run(batch, lambda _: None, head_mask=mask, closed=closed)
    model.masked_words(examples, [0] * 4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in batch.inputs.items())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.module.state_dict().items())
    after = [e.regions.features for e in examples if e.regions]
    assert all(np.array_equal(a, b) for a, b in zip(features, after, strict=True))
    assert torch.equal(mask[stack, 1, direction], torch.zeros(model.heads(stack, direction)))
    assert torch.equal(random, torch.get_rng_state())


def test_a_map_is_freed_when_its_layer_is_over(model: VLModel, examples: list[Example]) -> None:
    living: list[weakref.ref] = []

    def hear(batch: LayerBatch) -> None:
        assert not any(block() is not None for block in living)
        living[:] = [weakref.ref(block) for block in batch.attention.values()]

    model.run(model.prepare(examples), hear)
    assert living and not any(block() is not None for block in living)


def test_ablating_nothing_changes_nothing(model: VLModel, examples: list[Example]) -> None:
    batch = model.prepare(examples)
    mask = {
        (stack, layer, direction): torch.ones(model.heads(stack, direction))
        for stack, n in model.stacks.items()
        for layer in range(1, n + 1)
        for direction in model.directions[stack]
    }
    plain, masked = model.run(batch), model.run(batch, head_mask=mask)
    assert all(torch.equal(plain.hidden[s], masked.hidden[s]) for s in plain.hidden)


def test_ablating_a_head_changes_its_stream_in_its_layer(model: VLModel, examples: list[Example]) -> None:
    """And nothing before it; the maps of that layer are those before masking."""
    for stack in model.stacks:
        for direction in model.directions[stack]:
            factors = torch.ones(model.heads(stack, direction))
            factors[-1] = 0
            before = {(b.stack, b.layer): b for b in layers(model, examples)}
            after = {
                (b.stack, b.layer): b
                for b in layers(model, examples, head_mask={(stack, 1, direction): factors})
            }
            changed, plain = after[stack, 1], before[stack, 1]
            query = query_of(direction)
            for stream in plain.hidden:
                same = torch.equal(plain.hidden[stream], changed.hidden[stream])
                assert same == (stream != query)
            torch.testing.assert_close(after[stack, 0].hidden, before[stack, 0].hidden, atol=0, rtol=0)
            assert torch.equal(changed.attention[direction], plain.attention[direction])


def test_a_head_mask_without_direction_means_all_blocks(model: VLModel, examples: list[Example]) -> None:
    stack = next(iter(model.stacks))
    factors = torch.tensor([0.0, 1.0, 0.5])
    batch = model.prepare(examples)
    short = model.run(batch, head_mask={(stack, -1): factors})
    layer = model.stacks[stack]
    spelled = model.run(batch, head_mask={(stack, layer, d): factors for d in model.directions[stack]})
    assert all(torch.equal(short.hidden[s], spelled.hidden[s]) for s in short.hidden)
    plain = model.run(batch)
    assert not all(torch.equal(short.hidden[s], plain.hidden[s]) for s in plain.hidden)


@pytest.mark.parametrize(
    ("key", "heads", "message"),
    [
        (("elsewhere", 1), 3, "stack is 'elsewhere'; this model has"),
        ((None, 0), 3, "layer 0, which has no attention"),
        ((None, 9), 3, "layer is 9; stack .* has layers 0 to 5"),
        ((None, 1, "text->sound"), 3, "direction is 'text->sound'; here there are"),
        ((None, 1), 4, r"shape \(4,\); .* has 3 heads"),
    ],
)
def test_a_wrong_head_mask_is_refused(
    model: VLModel, examples: list[Example], key: tuple, heads: int, message: str
) -> None:
    first = next(s for s, n in model.stacks.items() if n == 5) if key[0] is None else key[0]
    if model.family == "vilbert" and heads == 4:
        message = "name the direction in the key"
    with pytest.raises(ValueError, match=message):
        model.run(model.prepare(examples), head_mask={(first, *key[1:]): torch.ones(heads)})


def test_another_picture_changes_the_output(gated: VLModel, examples: list[Example]) -> None:
    one, other = (gated.run(gated.prepare(e)) for e in (examples, other_pictures(examples)))
    moved = (one.hidden["text"] - other.hidden["text"]).abs().amax(dim=(1, 2))
    assert (moved > 0.01).all()
    assert (np.abs(gated.matching(examples) - gated.matching(other_pictures(examples))) > 1e-4).all()


def test_bert_does_not_look_at_the_picture(examples: list[Example]) -> None:
    bert = tiny_model("bert")
    one, other = (bert.run(bert.prepare(e)) for e in (examples, other_pictures(examples)))
    assert torch.equal(one.hidden["text"], other.hidden["text"])


def test_boxes_matter(gated: VLModel, examples: list[Example]) -> None:
    def mirrored(example: Example) -> Example:
        assert example.regions is not None
        return replace(
            example, regions=replace(example.regions, boxes=1 - example.regions.boxes[:, [2, 3, 0, 1]])
        )

    one, other = (gated.run(gated.prepare(e)) for e in (examples, [mirrored(e) for e in examples]))
    assert (one.hidden["text"] - other.hidden["text"]).abs().max() > 0.01


def test_a_closed_gate_removes_exactly_the_picture(gated: VLModel, examples: list[Example]) -> None:
    closed = ("text->image",)
    one, other = (gated.run(gated.prepare(e), closed=closed) for e in (examples, other_pictures(examples)))
    assert torch.equal(one.hidden["text"], other.hidden["text"])
    assert not torch.equal(one.hidden["image"], other.hidden["image"])
    still = gated.run(gated.prepare(examples), closed=("image->text",)).hidden["text"]
    assert not torch.equal(one.hidden["text"], still)


def test_the_other_gate_removes_exactly_the_sentence(gated: VLModel, examples: list[Example]) -> None:
    words = [replace(e, words=tuple(reversed([*e.words[:-1], "hat"]))) for e in examples]
    one, other = (
        gated.run(gated.prepare(e), closed=("image->text",)).hidden["image"] for e in (examples, words)
    )
    assert torch.equal(one, other)


def test_maps_beside_a_closed_gate(gated: VLModel, examples: list[Example]) -> None:
    """In a joint softmax the closed block is zero, the rest sums to one; in co-attention it is not made."""
    stack = "joint" if gated.joint else "cross"
    batch = [b for b in layers(gated, examples, closed=("text->image",)) if b.stack == stack][-1]
    if gated.joint:
        assert (batch.attention["text->image"] == 0).all()
        rest = batch.attention["text->text"].sum(-1)
        torch.testing.assert_close(rest, torch.ones_like(rest), atol=1e-5, rtol=0)
    else:
        assert "text->image" not in batch.attention
        assert set(batch.attention) == {"text->text", "image->text", "image->image"}


def test_a_closed_gate_equals_no_regions_at_all() -> None:
    model, examples = tiny_model("uniter", seed=1), tiny_examples(4, seed=2)
    closed = model.run(model.prepare(examples), closed=("text->image",)).hidden["text"]
    bare = model.run(model.prepare([replace(e, regions=None) for e in examples])).hidden["text"]
    torch.testing.assert_close(closed, bare, atol=1e-6, rtol=0)
    mixed = model.run(model.prepare([replace(examples[0], regions=None), *examples[1:]])).hidden["text"]
    torch.testing.assert_close(mixed[0], bare[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", TWO_STREAM)
def test_two_streams_want_regions_or_a_closed_gate(family: str) -> None:
    model, examples = tiny_model(family), tiny_examples(3)
    bare = [examples[0], replace(examples[1], regions=None), examples[2]]
    with pytest.raises(ValueError, match=r"example '1#0' has no regions.*closed=\('text->image',\)"):
        model.run(model.prepare(bare))
    closed = model.run(model.prepare(bare), closed=("text->image",)).hidden["text"]
    whole = model.run(model.prepare(examples), closed=("text->image",)).hidden["text"]
    torch.testing.assert_close(closed, whole, atol=1e-6, rtol=0)
    nobody = [replace(e, regions=None) for e in examples]
    torch.testing.assert_close(
        model.run(model.prepare(nobody), closed=("text->image",)).hidden["text"], whole, atol=1e-6, rtol=0
    )


def test_unknown_gates_are_refused(model: VLModel, examples: list[Example]) -> None:
    message = (
        "BERT has no gates"
        if model.family == "bert"
        else "direction is 'text->sound'; here there are 'text->text'"
    )
    with pytest.raises(ValueError, match=message):
        model.run(model.prepare(examples), closed=("text->sound",))


def test_a_caption_is_never_cut(model: VLModel, examples: list[Example]) -> None:
    fits = replace(examples[0], words=("a",) * (model.max_positions - 2))
    model.run(model.prepare(fits))
    with pytest.raises(
        ValueError, match=f"takes {model.max_positions + 1} positions.*this model takes {model.max_positions}"
    ):
        model.prepare(replace(examples[0], words=("a",) * (model.max_positions - 1)))


def test_regions_need_features_of_the_right_width(gated: VLModel, examples: list[Example]) -> None:
    regions = examples[0].regions
    assert regions is not None and regions.features is not None
    with pytest.raises(ValueError, match="'0#0' have no features"):
        gated.prepare(replace(examples[0], regions=replace(regions, features=None)))
    wrong = replace(regions, features=regions.features[:, :7])
    with pytest.raises(ValueError, match=r"takes \(\d, 10\)"):
        gated.prepare(replace(examples[0], regions=wrong))


def test_nothing_and_something_else_are_refused(model: VLModel) -> None:
    with pytest.raises(ValueError, match="at least one example"):
        model.prepare([])
    with pytest.raises(ValueError, match="expected examples of a data set, got str"):
        model.prepare(["a man"])  # type: ignore[list-item]


def test_matching_is_the_softmax_of_the_match_index(gated: VLModel, examples: list[Example]) -> None:
    outputs = gated.run(gated.prepare(examples))
    index = 0 if gated.family == "vilbert" else 1
    with torch.no_grad():
        want = gated.module.matching_logits(outputs.pooled).softmax(-1)[:, index]
    np.testing.assert_allclose(gated.matching(examples, batch_size=3), want, atol=1e-5)
    assert gated.matching(examples[0]).shape == (1,)


def test_matching_is_refused_where_it_means_nothing(gated: VLModel, examples: list[Example]) -> None:
    with pytest.raises(ValueError, match="have no regions: 0#0"):
        gated.matching(replace(examples[0], regions=None))
    headless = tiny_model(gated.family, matching_head=False)
    with pytest.raises(ValueError, match="no such head"):
        headless.matching(examples)
    with pytest.raises(ValueError, match="no matching head"):
        tiny_model("bert").matching(examples)


def test_masked_words_hide_all_pieces(model: VLModel) -> None:
    example = replace(tiny_examples(1, seed=3)[0], words=("a", "big", "umbrella", "near", "umbrella"))
    batch = model.prepare(example)
    hidden = batch.layout.streams["text"].unit == 2
    batch.inputs["input_ids"][hidden] = model.words.mask
    with torch.no_grad():
        scores = model._word_logits(model.run(batch).hidden["text"][hidden]).log_softmax(-1)
    pieces = [model.words.tokenizer.token_to_id(t) for t in ("um", "##brel", "##la")]
    found = model.masked_words([example, example], [2, 1])
    np.testing.assert_allclose(found.log_probability[0], scores[range(3), pieces].sum().item(), atol=1e-4)
    assert found.pieces.tolist() == [3, 1]
    assert found.predicted[0] == tuple(model.words.token(i) for i in scores.argmax(-1).tolist())
    assert found.correct[0] == (scores.argmax(-1).tolist() == pieces)


def test_masked_words_check_their_indices(model: VLModel, examples: list[Example]) -> None:
    with pytest.raises(ValueError, match="4 examples and 1 word indices"):
        model.masked_words(examples, [0])
    with pytest.raises(ValueError, match="word index 40 in example '0#0', which has"):
        model.masked_words(examples, [40, 0, 0, 0])


def test_fresh_weights_are_a_control(model: VLModel, examples: list[Example]) -> None:
    random = torch.get_rng_state()
    one, same, other = (model.with_random_weights(seed) for seed in (5, 5, 6))
    assert torch.equal(random, torch.get_rng_state())
    assert (
        one.weights == "random:5" and one.stacks == model.stacks and one.card == {} and one.gate_met is None
    )
    states = [m.run(m.prepare(examples)).hidden["text"] for m in (one, same, other, model)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2]) and not torch.equal(states[0], states[3])
    assert one.n_parameters == model.n_parameters


def test_heads_of_unequal_blocks_need_the_direction() -> None:
    model = tiny_model("vilbert")
    assert [model.heads("cross", d) for d in model.directions["cross"]] == [3, 4, 4, 2]
    assert model.heads("text") == 3
    with pytest.raises(ValueError, match="differ in heads, name a direction"):
        model.heads("cross")
    with pytest.raises(ValueError, match="stack is 'joint'; this model has 'text', 'cross'"):
        model.heads("joint")
    with pytest.raises(ValueError, match=r"here there are 'text->text'$"):
        model.heads("text", "text->image")


def test_parameters_are_counted_once() -> None:
    model = tiny_model("uniter")
    distinct = {p.data_ptr(): p.numel() for p in model.module.parameters()}
    assert model.n_parameters == sum(distinct.values())
    assert "uniter" in repr(model) and "3 joint layers" in repr(model)
