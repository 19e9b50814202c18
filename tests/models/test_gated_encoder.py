from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tiny import GATED, tiny_config
from value_nb.models.files import build
from value_nb.models.gated_encoder import GatedModel


def inputs(model: GatedModel, regions: int = 4) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    text_mask, image_mask = torch.ones(3, 6), torch.ones(3, regions)
    text_mask[0, 4:], image_mask[1, 2:] = 0, 0
    config = model.config
    features = torch.randn(3, regions, config.feature_size, generator=generator)
    locations = torch.rand(3, regions, config.location_size, generator=generator)
    return torch.randint(19, (3, 6), generator=generator), text_mask, features, locations, image_mask


@pytest.fixture(params=GATED)
def model(request: pytest.FixtureRequest) -> GatedModel:
    return build(tiny_config(request.param, dropout=0.0, attention_dropout=0.0), 0)


def ignore(*_: Any) -> None:
    """A listener that keeps nothing."""


@pytest.mark.parametrize("closed", [(), ("text->image",), ("image->text", "text->text")])
def test_fused_attention_in_training_gives_the_same_states(
    model: GatedModel, closed: tuple[str, ...]
) -> None:
    given = inputs(model)
    with torch.no_grad():
        eager = model.eval()(*given, closed=closed)
        fused = model.train()(*given, closed=closed)
        listened = model.train()(*given, closed=closed, on_sublayer=ignore)
    for a, b, c in zip(eager[:2], fused[:2], listened[:2], strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
        torch.testing.assert_close(a, c, atol=0, rtol=0)


def test_gradients_of_fused_and_listened_training_agree(model: GatedModel) -> None:
    def gradients(**kwargs: Any) -> list[Tensor]:
        model.zero_grad()
        text, image, pooled = model.train()(*inputs(model), **kwargs)
        loss = model.masked_word_logits(text).square().mean() + model.matching_logits(pooled).square().mean()
        (loss + sum(out.square().mean() for out in model.masked_region_outputs(image).values())).backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    for a, b in zip(gradients(), gradients(on_sublayer=ignore), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_dropout_is_active_in_training_only() -> None:
    model = build(tiny_config("lxmert", dropout=0.3, attention_dropout=0.3), 0)
    given = inputs(model)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model.train()
        assert not torch.equal(model(*given)[0], model(*given)[0])
        model.eval()
        assert torch.equal(model(*given)[0], model(*given)[0])


@torch.no_grad()
def test_a_head_off_is_its_value_rows_zero(model: GatedModel) -> None:
    """Zero context of one head equals an output projection whose columns for that head are zero."""
    given = inputs(model)
    index = next(i for i, plan in enumerate(model.gates.sublayers) if "text->text" in plan.directions)
    step = model.sublayers[index]
    part = step.part("text")
    factors = torch.tensor([1.0, 0.0, 1.0])
    own = [d for d in step.plan.directions if d.startswith("text")]
    heard: dict[int, dict[str, Tensor]] = {}
    model(
        *given, head_mask={(index, d): factors for d in own}, on_sublayer=lambda i, s, m: heard.update({i: s})
    )
    masked = heard[index]["text"]
    size = part.output.weight.shape[1] // part.heads
    part.output.weight[:, size : 2 * size] = 0
    model(*given, on_sublayer=lambda i, s, m: heard.update({i: s}))
    torch.testing.assert_close(masked, heard[index]["text"], atol=1e-6, rtol=0)


@torch.no_grad()
def test_blocks_add_up_to_the_whole_head() -> None:
    """The context is linear in the blocks: full minus one block equals the other block alone."""
    model = build(tiny_config("uniter"), 0)
    given, seen = inputs(model), {}
    part = model.sublayers[0].part("text")
    part.norm = torch.nn.Identity()
    off = torch.zeros(3)
    for name, mask in {
        "both": {}, "no image": {(0, "text->image"): off}, "no text": {(0, "text->text"): off},
        "neither": {(0, "text->image"): off, (0, "text->text"): off},
    }.items():  # fmt: skip
        states: dict[int, Tensor] = {}
        model(
            *given, head_mask=mask, on_sublayer=lambda i, s, m, states=states: states.update({i: s["text"]})
        )
        seen[name] = states[0]
    torch.testing.assert_close(
        seen["both"] + seen["neither"], seen["no image"] + seen["no text"], atol=1e-5, rtol=0
    )
    assert (seen["both"] - seen["no image"]).abs().max() > 0.01


@torch.no_grad()
def test_a_stream_whose_gates_are_all_closed_passes_unchanged(model: GatedModel) -> None:
    before: dict[int, dict[str, Tensor]] = {}
    model(
        *inputs(model),
        closed=("text->text", "text->image"),
        on_sublayer=lambda i, s, m: before.update({i: s}),
    )
    for index, plan in enumerate(model.gates.sublayers):
        if plan.directions:
            assert torch.equal(before[index]["text"], before[index - 1]["text"])


@torch.no_grad()
def test_hidden_regions(model: GatedModel) -> None:
    """A hidden region's features do not matter, its location does; the argument is left as it is."""
    ids, text_mask, features, locations, image_mask = inputs(model)
    hide = torch.zeros(3, 4, dtype=torch.bool)
    hide[:, 1] = True
    copy = features.clone()
    one = model(ids, text_mask, features, locations, image_mask, region_mask=hide)[1]
    assert torch.equal(features, copy)
    other = features.clone()
    other[:, 1] += 5
    assert torch.equal(one, model(ids, text_mask, other, locations, image_mask, region_mask=hide)[1])
    moved = locations.clone()
    moved[:, 1] += 0.3
    assert not torch.equal(one, model(ids, text_mask, features, moved, image_mask, region_mask=hide)[1])
    zeroed = features.clone()
    zeroed[:, 1] = 0
    plain = model(ids, text_mask, zeroed, locations, image_mask)[1]
    assert torch.equal(one, plain) == (not model.config.mask_embedding)


@torch.no_grad()
def test_token_types_matter_and_default_to_zero(model: GatedModel) -> None:
    given = inputs(model)
    types = torch.zeros(3, 6, dtype=torch.long)
    assert torch.equal(model(*given)[0], model(*given, token_type_ids=types)[0])
    assert not torch.equal(model(*given)[0], model(*given, token_type_ids=types + 1)[0])


def test_missing_heads_say_so() -> None:
    model = build(tiny_config("uniter", word_head=False, region_targets=()), 0)
    with pytest.raises(ValueError, match="config has no word_head"):
        model.masked_word_logits(torch.zeros(1, 24))
    with pytest.raises(ValueError, match="config has no region_targets"):
        model.masked_region_outputs(torch.zeros(1, 24))


def test_too_many_positions_are_refused(model: GatedModel) -> None:
    _, _, features, locations, image_mask = inputs(model)
    with pytest.raises(ValueError, match="30 text positions; this model knows 24"):
        model(torch.zeros(3, 30, dtype=torch.long), torch.ones(3, 30), features, locations, image_mask)


def test_the_word_decoder_is_the_word_embedding() -> None:
    model = build(tiny_config("uniter"), 0)
    assert torch.equal(
        model.masked_word_logits(torch.zeros(1, 24)),
        torch.nn.functional.linear(
            model.word_head.norm(torch.nn.functional.gelu(model.word_head.dense(torch.zeros(1, 24)))),
            model.text_embedding.word.weight,
            model.word_head.bias,
        ),
    )
