"""Heads switched off, and the picture taken away, against the same done by hand in weights or inputs."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import value_nb as vnb
from tests.tiny import FAMILIES, GATED, tiny_examples, tiny_model, tiny_regions
from value_nb.ablation import ablate_heads, without_image
from value_nb.data.example import Example
from value_nb.layout import LayerBatch
from value_nb.models.base import VLModel
from value_nb.models.gates import query_of
from value_nb.models.publish import Block
from value_nb.probes.fusion import FusionDegree

CLOSE = 2e-5
TWO_STREAM = ("lxmert", "vilbert")
EVERY_BLOCK = [
    (family, stack, direction)
    for family, blocks in {
        "uniter": {"joint": ("text->text", "text->image", "image->text", "image->image")},
        "lxmert": {"text": ("text->text",), "image": ("image->image",),
                   "cross": ("text->text", "text->image", "image->text", "image->image")},
        "vilbert": {"text": ("text->text",),
                    "cross": ("text->text", "text->image", "image->text", "image->image")},
        "bert": {"text": ("text->text",)},
    }.items()
    for stack, directions in blocks.items()
    for direction in directions
]  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> VLModel:
    return tiny_model(request.param, seed=1)


@pytest.fixture(scope="module", params=GATED)
def gated(request: pytest.FixtureRequest) -> VLModel:
    return tiny_model(request.param, seed=1)


@pytest.fixture
def examples() -> list[Example]:
    return tiny_examples(4, seed=2)


def layers(model: VLModel, examples: list[Example], **kwargs: Any) -> dict[tuple[str, int], LayerBatch]:
    found: dict[tuple[str, int], LayerBatch] = {}
    model.run(model.prepare(examples), lambda b: found.update({(b.stack, b.layer): b}), **kwargs)
    return found


def states(model: VLModel, examples: list[Example], **kwargs: Any) -> dict[str, torch.Tensor]:
    return model.run(model.prepare(examples), **kwargs).hidden


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def only_direction(model: VLModel, stack: str) -> str | None:
    """A direction where it must be named."""
    return "image->text" if model.family == "vilbert" and stack == "cross" else None


def contexts(model: VLModel, examples: list[Example], **kwargs: Any) -> dict[Block, torch.Tensor]:
    found: dict[Block, torch.Tensor] = {}

    def hear(block: Block, product: torch.Tensor) -> torch.Tensor:
        found[block] = product.clone()
        return product

    model.run(model.prepare(examples), on_context=hear, **kwargs)
    return found


# ---- heads, zero ----


@pytest.mark.parametrize(("family", "stack", "direction"), EVERY_BLOCK)
def test_one_block_of_a_head_is_off_and_nothing_else(
    family: str, stack: str, direction: str, examples: list[Example]
) -> None:
    model = tiny_model(family, seed=1)
    place = (stack, 1)
    before, brought = layers(model, examples), contexts(model, examples)
    with ablate_heads(model, [(stack, 1, 1)], direction=direction) as ablated:
        after, heard = layers(ablated, examples), contexts(ablated, examples)
    query = query_of(direction)
    for stream in before[place].hidden:
        assert torch.equal(before[place].hidden[stream], after[place].hidden[stream]) == (stream != query)
    assert torch.equal(before[place].attention[direction], after[place].attention[direction])
    block = Block(stack, 1, direction)
    assert torch.equal(heard[block], brought[block]), "what goes in is what the layers below gave"


def test_off_means_that_the_columns_of_the_projection_get_nothing(examples: list[Example]) -> None:
    """The same in the weights: with the value map of a head at zero its context is zero."""
    model = tiny_model("uniter", seed=1)
    twin = copy.deepcopy(model)
    part = twin.module.get_submodule("sublayers.2.shared")
    width = part.value.weight.shape[0] // 3
    with torch.no_grad():
        part.value.weight[width : 2 * width] = 0
        part.value.bias[width : 2 * width] = 0
    with ablate_heads(model, [("joint", 2, 1)]) as ablated:
        torch.testing.assert_close(states(ablated, examples), states(twin, examples), atol=1e-6, rtol=0)


def test_the_same_in_berts_weights(examples: list[Example]) -> None:
    model = tiny_model("bert", seed=1)
    twin = copy.deepcopy(model)
    value = twin.module.get_submodule("bert.encoder.layer.2.attention.self.value")
    with torch.no_grad():
        value.weight[:8] = 0
        value.bias[:8] = 0
    with ablate_heads(model, [("text", -1, 0)]) as ablated:
        torch.testing.assert_close(states(ablated, examples), states(twin, examples), atol=1e-6, rtol=0)


def test_a_mask_of_the_callers_is_multiplied(model: VLModel, examples: list[Example]) -> None:
    stack = next(iter(model.stacks))
    direction = model.directions[stack][0]
    many = model.heads(stack, direction)
    half = {(stack, -1, direction): torch.full((many,), 0.5), (stack, 1, direction): torch.full((many,), 2.0)}
    factors = torch.ones(many)
    factors[1] = 0
    by_hand = {**half, (stack, 1, direction): 2.0 * factors}
    with ablate_heads(model, [(stack, 1, 1)], direction=direction) as ablated:
        got = states(ablated, examples, head_mask=half)
    assert same(got, states(model, examples, head_mask=by_hand))
    assert not same(got, states(model, examples, head_mask=half))
    assert half[stack, 1, direction].tolist() == [2.0] * many, "the caller's mask is left as it is"


def test_blocks_stand_inside_each_other(model: VLModel, examples: list[Example]) -> None:
    stack = next(iter(model.stacks))
    plain = states(model, examples)
    with ablate_heads(model, [(stack, 1, 0)]) as one:
        with ablate_heads(one, [(stack, 2, 1)]) as two:
            nested = states(two, examples)
        assert two.name == f"{model.name} [off {stack} 1:0] [off {stack} 2:1]"
        once = states(one, examples)
    with ablate_heads(model, [(stack, 1, 0), (stack, 2, 1)]) as both:
        assert same(states(both, examples), nested)
    assert not same(once, nested) and not same(once, plain)
    assert same(states(model, examples), plain)


def test_nothing_is_left_behind_even_after_an_exception(model: VLModel, examples: list[Example]) -> None:
    stack = next(iter(model.stacks))
    plain = states(model, examples)
    weights = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    attributes = {name: copy.copy(value) for name, value in vars(model).items()}
    hooks = {id(m): (len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.module.modules()}
    with pytest.raises(KeyError, match="mine"), ablate_heads(model, [(stack, 1, 0)]) as ablated:
        states(ablated, examples)
        ablated.run(ablated.prepare(examples), on_layer=_fail)
    assert same(states(model, examples), plain)
    assert all(torch.equal(t, weights[n]) for n, t in model.module.state_dict().items())
    assert {k: v for k, v in vars(model).items() if k != "words"}.keys() == attributes.keys() - {"words"}
    assert model.name == attributes["name"] and model.directions == attributes["directions"]
    assert hooks == {
        id(m): (len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.module.modules()
    }
    with pytest.raises(ValueError, match=r"with-block of .* is over; go on with the model that was passed"):
        states(ablated, examples)


def _fail(batch: LayerBatch) -> None:
    raise KeyError("mine")


def test_run_trace_matching_and_masked_words_all_go_without(gated: VLModel, examples: list[Example]) -> None:
    stack = "joint" if gated.joint else "cross"
    direction = "image->text" if gated.family == "vilbert" else "text->image"
    many = gated.heads(stack, direction)
    chosen = [(stack, layer, head) for layer in range(1, 4) for head in range(many)]
    mask = {(stack, layer, direction): torch.zeros(many) for layer in range(1, 4)}
    with ablate_heads(gated, chosen, direction=direction) as ablated:
        trace, words = ablated.trace(examples[0]), ablated.masked_words(examples, [0] * 4)
        several, matching = ablated.trace(examples[:2]), ablated.matching(examples)
        assert same(states(ablated, examples), states(gated, examples, head_mask=mask))
    by_hand = gated.trace(examples[0], head_mask=mask)
    for stream, found in trace.hidden[stack].items():
        assert all(np.array_equal(a, b) for a, b in zip(found, by_hand.hidden[stack][stream], strict=True))
    assert trace.model == several[1].model == ablated.name != gated.name
    assert np.abs(matching - gated.matching(examples)).max() > 1e-6
    if direction == "text->image":
        assert (
            np.abs(words.log_probability - gated.masked_words(examples, [0] * 4).log_probability).max() > 1e-5
        )


def test_layers_count_from_one_and_from_the_end(model: VLModel, examples: list[Example]) -> None:
    stack = next(iter(model.stacks))
    last = model.stacks[stack]
    with (
        ablate_heads(model, [(stack, -1, 1)]) as one,
        ablate_heads(model, [(stack, np.int64(last), 1)]) as two,
    ):
        assert one.name == two.name == f"{model.name} [off {stack} {last}:1]"
        assert same(states(one, examples), states(two, examples))


def test_no_head_at_all_is_the_start_of_a_curve(model: VLModel, examples: list[Example]) -> None:
    with ablate_heads(model, []) as ablated:
        assert same(states(ablated, examples), states(model, examples))
        assert ablated.name == f"{model.name} [off nothing]"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (("elsewhere", 1, 0), r"stack is 'elsewhere'; this model has 'text', 'image', 'cross'"),
        (("cross", 4, 0), r"layer is 4; stack 'cross' has layers 0 to 3"),
        (("cross", 0, 0), r"layer 0 has no heads; stack 'cross' has 1 to 3"),
        (("cross", -4, 0), r"layer 0 has no heads"),
        (("cross", 1, 3), r"head is 3; a layer of stack 'cross' has 0 to 2"),
        (("cross", 1, -1), r"head is -1; a layer of stack 'cross' has 0 to 2"),
        (("cross", 1.0, 1), r"not both whole numbers"),
        (("cross", 1), r"is no head; expected \(stack, layer, head\)"),
        ("cross", r"'cross' is no head"),
    ],
)
def test_heads_that_there_are_not(head: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ablate_heads(tiny_model("lxmert"), [head])


def test_directions_and_ways_that_there_are_not(examples: list[Example]) -> None:
    with pytest.raises(ValueError, match="direction is 'text->sound'; here there are 'text->text'"):
        ablate_heads(tiny_model("uniter"), [("joint", 1, 0)], direction="text->sound")
    with pytest.raises(ValueError, match=r"direction is 'text->image'; here there are 'text->text'$"):
        ablate_heads(tiny_model("lxmert"), [("text", 1, 0)], direction="text->image")
    with pytest.raises(ValueError, match=r"direction is 'text->image'; here there are 'text->text'$"):
        ablate_heads(tiny_model("bert"), [("text", 1, 0)], direction="text->image")
    with pytest.raises(ValueError, match="differ in heads, name a direction"):
        ablate_heads(tiny_model("vilbert"), [("cross", 1, 0)])
    with pytest.raises(ValueError, match="how is 'half'; valid: 'zero', 'mean'"):
        ablate_heads(tiny_model("bert"), [("text", 1, 0)], how="half")
    with pytest.raises(ValueError, match="how='mean' needs reference examples"):
        ablate_heads(tiny_model("bert"), [("text", 1, 0)], how="mean")
    with pytest.raises(ValueError, match="with how='zero' they would not be used"):
        ablate_heads(tiny_model("bert"), [("text", 1, 0)], reference=examples)
    with pytest.raises(ValueError, match="at least one example"):
        ablate_heads(tiny_model("bert"), [("text", 1, 0)], how="mean", reference=[])


def test_names_tell_ablations_apart() -> None:
    model = tiny_model("uniter", heads=9, layers=6)
    many = [("joint", layer, head) for layer in range(1, 7) for head in range(9)]
    with (
        ablate_heads(model, many) as all_of_them,
        ablate_heads(model, many[1:]) as all_but_one,
        ablate_heads(model, [many[3], many[2], many[3]]) as few,
        ablate_heads(model, many[:2], direction="text->image") as block,
    ):
        assert few.name == "tiny-uniter [off joint 1:2,3]"
        assert block.name == "tiny-uniter [off joint 1:0,1 text->image]"
        assert all_of_them.name.startswith("tiny-uniter [off 54 heads #")
        assert all_but_one.name.startswith("tiny-uniter [off 53 heads #")
        assert "6:0,1,2,3,4,5,6,7,8" in all_of_them.changes[0]
        assert len(all_of_them.name) < 100
        others = [h for h in many if h != many[4]]
        with ablate_heads(model, others) as all_but_another:
            assert all_but_another.name != all_but_one.name


# ---- heads, mean ----


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mean_is_that_of_valid_positions_of_the_reference(family: str, examples: list[Example]) -> None:
    """In float64, against the contexts of each reference example alone, without any padding."""
    model = tiny_model(family, seed=1)
    model.module.double()
    reference = tiny_examples(35, seed=7)  # more than one batch
    stack = "cross" if family in TWO_STREAM else next(iter(model.stacks))
    direction = "text->text" if family == "bert" else "image->text"
    rows = [contexts(model, [e])[Block(stack, 2, direction)][0, 1] for e in reference]
    mean = torch.cat(rows).mean(dim=0)
    with ablate_heads(model, [(stack, 2, 1)], direction, "mean", reference) as ablated:
        found = contexts(ablated, examples)[Block(stack, 2, direction)]
        plain = contexts(model, examples)[Block(stack, 2, direction)]
        torch.testing.assert_close(found[:, 1], mean.expand_as(found[:, 1]), atol=1e-10, rtol=0)
        assert torch.equal(found[:, [0, 2]], plain[:, [0, 2]]), "other heads stay"
        changed = states(ablated, examples)
        doubled = states(
            ablated,
            examples,
            head_mask={
                (stack, 2, direction): torch.tensor(
                    [1.0, 2.0, 1.0] + [1.0] * (model.heads(stack, direction) - 3)
                )
            },
        )
        silent = states(
            ablated,
            examples,
            head_mask={
                (stack, 2, direction): torch.tensor(
                    [1.0, 0.0, 1.0] + [1.0] * (model.heads(stack, direction) - 3)
                )
            },
        )
    assert not same(changed, states(model, examples)) and not same(changed, doubled)
    with ablate_heads(model, [(stack, 2, 1)], direction) as zero:
        assert same(silent, states(zero, examples)), "a caller's zero applies to the mean, too"


def test_each_stream_gets_its_own_mean(examples: list[Example]) -> None:
    model = tiny_model("uniter", seed=1)
    with ablate_heads(model, [("joint", 1, 0)], how="mean", reference=examples) as ablated:
        found = contexts(ablated, examples)
    text = found[Block("joint", 1, "text->text")][:, 0]
    image = found[Block("joint", 1, "image->text")][:, 0]
    assert torch.equal(text, text[0, 0].expand_as(text)) and torch.equal(image, image[0, 0].expand_as(image))
    assert (text[0, 0] - image[0, 0]).abs().max() > 1e-3


def test_a_mean_inside_a_zero_is_zero_and_a_mean_of_a_mean_is_the_mean(examples: list[Example]) -> None:
    model, head = tiny_model("lxmert", seed=1), [("cross", 1, 0)]
    with ablate_heads(model, head) as zero:
        silent = states(zero, examples)
        with ablate_heads(zero, head, how="mean", reference=examples) as both:
            assert same(states(both, examples), silent)
    with ablate_heads(model, head, how="mean", reference=examples) as mean:
        averaged = states(mean, examples)
        with ablate_heads(mean, head) as both:
            assert same(states(both, examples), silent)
        with ablate_heads(mean, head, how="mean", reference=examples) as twice:
            torch.testing.assert_close(states(twice, examples), averaged, atol=1e-6, rtol=0)
    assert not same(averaged, silent)


def test_the_name_says_over_which_examples(examples: list[Example]) -> None:
    model = tiny_model("bert")
    with (
        ablate_heads(model, [("text", 1, 0)], how="mean", reference=examples) as one,
        ablate_heads(model, [("text", 1, 0)], how="mean", reference=examples[:2]) as two,
        ablate_heads(model, [("text", 1, 0)], how="mean", reference=examples[2:]) as three,
    ):
        assert len({one.name, two.name, three.name}) == 3
        assert two.name.startswith("tiny-bert [mean text 1:0 over 2 examples #")


def test_a_block_that_the_reference_does_not_have_has_no_mean(examples: list[Example]) -> None:
    model = tiny_model("uniter")
    bare = [replace(e, regions=None) for e in examples]
    with pytest.raises(ValueError, match=r"image->text of layer 1 .* was not computed"):
        ablate_heads(model, [("joint", 1, 0)], "image->text", "mean", bare)
    with without_image(model) as blind, pytest.raises(ValueError, match="text->image of layer 1"):
        ablate_heads(blind, [("joint", 1, 0)], "text->image", "mean", examples)


# ---- fresh weights, sweeps ----


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_fresh_weights_go_without_the_same_heads(how: str, model: VLModel, examples: list[Example]) -> None:
    stack = next(iter(model.stacks))
    reference = examples if how == "mean" else None
    random = model.with_random_weights(3)
    with (
        ablate_heads(model, [(stack, 1, 0)], how=how, reference=reference) as ablated,
        ablate_heads(random, [(stack, 1, 0)], how=how, reference=reference) as by_hand,
    ):
        fresh = ablated.with_random_weights(3)
        assert (fresh.name, fresh.weights) == (ablated.name, "random:3")
        assert same(states(fresh, examples), states(by_hand, examples))
        assert not same(states(fresh, examples), states(random, examples))
    with pytest.raises(ValueError, match="is over"):
        states(fresh, examples)


@pytest.mark.parametrize("family", ["uniter", "lxmert"])
def test_sweeps_and_their_controls_say_what_was_taken_away(family: str, examples: list[Example]) -> None:
    model = tiny_model(family)
    stack = "joint" if model.joint else "cross"
    controls = [vnb.RandomWeights(seeds=(1,)), vnb.Mismatched()]
    frames = [
        vnb.sweep(model, examples, [FusionDegree()], controls=controls, progress=False)["fusion_degree"].frame
    ]
    with ablate_heads(model, [(stack, 1, 0), (stack, 2, 1)]) as ablated, without_image(ablated) as blind:
        for changed in (ablated, blind):
            result = vnb.sweep(changed, examples, [FusionDegree()], controls=controls, progress=False)[
                "fusion_degree"
            ]
            frames.append(result.frame)
            assert result.meta["changes"] == list(changed.changes)
            assert set(result.frame["control"]) == {"none", "random weights", "mismatched"}
            assert set(result.frame["weights"]) == {"random:0", "random:1"}
    names = [set(frame["model"]) for frame in frames]
    assert names == [
        {f"tiny-{family}"},
        {f"tiny-{family} [off {stack} 1:0 2:1]"},
        {f"tiny-{family} [off {stack} 1:0 2:1] [no image]"},
    ]
    values = [frame.loc[frame["layer"] > 0, "value"].to_numpy() for frame in frames]
    assert not np.array_equal(values[0], values[1])


# ---- without picture ----


def other_pictures(examples: list[Example]) -> list[Example]:
    """Other features, other boxes, another number of regions."""
    rng = np.random.default_rng(9)
    return [
        replace(e, regions=tiny_regions(rng, len(e.regions or ()) + 1 + i % 2))
        for i, e in enumerate(examples)
    ]


def test_text_is_exactly_independent_of_the_regions(gated: VLModel, examples: list[Example]) -> None:
    others, one_by_one = other_pictures(examples), [0] * len(examples)
    with without_image(gated) as blind:
        here, there = layers(blind, examples), layers(blind, others)
        words = [blind.masked_words(e, one_by_one) for e in (examples, others)]
        traces = [blind.trace(e[0]) for e in (examples, others)]
    assert here.keys() == there.keys()
    for place, batch in here.items():
        if "text" in batch.hidden:
            assert torch.equal(batch.hidden["text"], there[place].hidden["text"])
        if "text->text" in batch.attention:
            assert torch.equal(batch.attention["text->text"], there[place].attention["text->text"])
    assert np.array_equal(words[0].log_probability, words[1].log_probability)
    assert words[0].predicted == words[1].predicted
    stack = "joint" if gated.joint else "cross"
    maps = [t.attention("text->text", -1, stack=stack, head=0) for t in traces]
    assert maps[0].equals(maps[1])


def test_it_equals_a_run_without_regions(gated: VLModel, examples: list[Example]) -> None:
    bare = [replace(e, regions=None) for e in examples]
    with without_image(gated) as blind:
        full, empty = states(blind, examples)["text"], states(blind, bare)["text"]
        words = [blind.masked_words(e, [0] * 4).log_probability for e in (examples, bare)]
    assert torch.equal(full, empty) and np.array_equal(words[0], words[1])
    if gated.joint:
        assert torch.equal(full, states(gated, bare)["text"]), "the model's own run of a bare sentence"
    assert (full - states(gated, examples)["text"]).abs().max() > 0.01


def test_regions_still_see_the_sentence(gated: VLModel, examples: list[Example]) -> None:
    stack = "joint" if gated.joint else "cross"
    reworded = [replace(e, words=tuple(reversed([*e.words[:-1], "hat"]))) for e in examples]
    with without_image(gated) as blind:
        one, other = states(blind, examples)["image"], states(blind, reworded)["image"]
        found, plain = layers(blind, examples)[stack, 1], layers(gated, examples)[stack, 1]
    assert (one - other).abs().max() > 0.01
    assert torch.equal(found.attention["image->text"], plain.attention["image->text"])
    assert torch.equal(found.attention["image->image"], plain.attention["image->image"])


def test_the_direction_is_gone_or_empty(gated: VLModel, examples: list[Example]) -> None:
    with without_image(gated) as blind:
        trace = blind.trace(examples[0])
        if gated.joint:
            assert blind.directions == gated.directions
            assert (trace.attention("text->image", 1).iloc[:, :-1].to_numpy() == 0).all()
            rows = trace.attention("text->text", 1, unit="position").sum(axis=1)
            np.testing.assert_allclose(rows, 1, atol=1e-6)
            return
        assert blind.directions["cross"] == ("text->text", "image->text", "image->image")
        with pytest.raises(ValueError, match="direction is 'text->image'; here there are 'text->text'"):
            trace.attention("text->image", 1)
        mask = {("cross", 1, "text->image"): torch.ones(blind.heads("cross", "image->text"))}
        with pytest.raises(ValueError, match="direction is 'text->image'"):
            states(blind, examples, head_mask=mask)
        with pytest.raises(ValueError, match="direction is 'text->image'"):
            ablate_heads(blind, [("cross", 1, 0)], direction="text->image")
    assert "text->image" in gated.directions["cross"]


def test_matching_without_picture(gated: VLModel, examples: list[Example]) -> None:
    with without_image(gated) as blind:
        one, other = blind.matching(examples), blind.matching(other_pictures(examples))
    assert np.array_equal(one, other) == (gated.family != "vilbert")


def test_the_gate_of_the_callers_is_closed_as_well(gated: VLModel, examples: list[Example]) -> None:
    with without_image(gated) as blind:
        got = states(blind, examples, closed=("image->text", "text->image"))
    assert same(got, states(gated, examples, closed=("image->text", "text->image")))


def test_it_ends_with_its_block(gated: VLModel, examples: list[Example]) -> None:
    plain = states(gated, examples)
    with pytest.raises(KeyError), without_image(gated) as blind:
        assert blind.name == f"{gated.name} [no image]" and blind.changes == ("no image",)
        assert not same(states(blind, examples), plain)
        raise KeyError
    assert same(states(gated, examples), plain)
    with pytest.raises(ValueError, match=r"\[no image\]' is over"):
        states(blind, examples)


def test_a_text_only_model_has_no_picture_to_lose() -> None:
    bert = tiny_model("bert")
    with without_image(bert) as blind:
        assert blind is bert
    states(bert, tiny_examples(1))


def test_both_in_either_order(gated: VLModel, examples: list[Example]) -> None:
    stack = next(iter(gated.stacks))
    with ablate_heads(gated, [(stack, 1, 0)]) as ablated, without_image(ablated) as one:
        first = states(one, examples)
    with without_image(gated) as blind, ablate_heads(blind, [(stack, 1, 0)]) as two:
        assert same(states(two, examples), first)
