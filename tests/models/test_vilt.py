"""ViLT owes what every family owes (test_contract.py), and the numbers of transformers' own model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ViltForImageAndTextRetrieval, ViltForMaskedLM, ViltModel

from tests.models import test_contract as contract
from tests.tiny import tiny_tokenizer, tiny_words
from tests.tiny_vilt import draw, pictured, tiny_vilt, tiny_vilt_config
from value_nb.ablation import ablate_heads, without_image
from value_nb.data.example import Example
from value_nb.layout import LayerBatch, PositionClass
from value_nb.models import vilt
from value_nb.models.registry import load_model

OWED: dict[str, Callable[..., None]] = {
    check.__name__: check
    for check in (
        contract.test_layers_come_in_order_with_as_many_maps_as_the_config_says,
        contract.test_shapes_are_those_announced,
        contract.test_valid_rows_sum_to_one_and_padding_gets_nothing,
        contract.test_alone_or_among_others_is_the_same,
        contract.test_a_map_is_freed_when_its_layer_is_over,
        contract.test_ablating_nothing_changes_nothing,
        contract.test_ablating_a_head_changes_its_stream_in_its_layer,
        contract.test_a_head_mask_without_direction_means_all_blocks,
        contract.test_unknown_gates_are_refused,
        contract.test_a_caption_is_never_cut,
        contract.test_maps_beside_a_closed_gate,
        contract.test_the_other_gate_removes_exactly_the_sentence,
        contract.test_masked_words_check_their_indices,
        contract.test_fresh_weights_are_a_control,
        contract.test_nothing_is_written_into,
    )
}
ARCHITECTURES = ("ViltForMaskedLM", "ViltForImageAndTextRetrieval", "ViltModel")


@pytest.fixture(scope="module")
def model() -> vilt.ViltVL:
    return tiny_vilt(seed=1)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return pictured(tmp_path_factory.mktemp("pictures"), seed=2)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """The same captions with other pictures of the same shapes."""
    return pictured(tmp_path_factory.mktemp("others"), seed=2, pictures=1)


def save(directory: Path, config: object, seed: int = 3) -> Path:
    vilt.build(config, seed).save_pretrained(directory)  # type: ignore[arg-type]
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    return directory


@pytest.mark.parametrize("name", OWED)
def test_the_contract_of_every_family(name: str, model: vilt.ViltVL, examples: list[Example]) -> None:
    OWED[name](model, examples)


def test_the_tests_of_the_contract_can_fail(model: vilt.ViltVL, examples: list[Example]) -> None:
    """Pictures of different shapes: there is padding in both streams, which those tests look for."""
    layout = model.prepare(examples).layout
    assert not layout.streams["text"].valid.all() and not layout.streams["image"].valid.all()


# -- parity with transformers --------------------------------------------------------------------------------


def theirs(model: vilt.ViltVL, examples: list[Example]) -> tuple[object, torch.Tensor]:
    """transformers' own forward, pixels in, and the (row, column) of each of its shuffled patches."""
    inputs, embeddings = model.prepare(examples).inputs, model.backbone.embeddings
    own, seen = embeddings.visual_embed, []

    def keep(*args: object, **kwargs: object) -> object:
        seen.append(own(*args, **kwargs))
        return seen[-1]

    embeddings.visual_embed = keep
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            out = model.backbone(
                input_ids=inputs["input_ids"], attention_mask=inputs["text_mask"],
                pixel_values=inputs["pixel_values"], pixel_mask=inputs["pixel_mask"],
                output_attentions=True, output_hidden_states=True,
            )  # fmt: skip
    finally:
        del embeddings.visual_embed
    return out, seen[0][2][0]


def test_states_and_maps_are_those_of_transformers_in_order(
    model: vilt.ViltVL, examples: list[Example]
) -> None:
    batch, found = model.prepare(examples), list[LayerBatch]()
    outputs = model.run(batch, found.append)
    theirs_out, places = theirs(model, examples)
    torch.testing.assert_close(outputs.pooled["fused"], theirs_out.pooler_output, atol=1e-6, rtol=0)
    n_text, moved = batch.inputs["input_ids"].shape[1], False
    for row in range(len(examples)):
        count = int((batch.layout.streams["image"].position_class[row] == PositionClass.IMAGE).sum())
        n_words = int(batch.layout.streams["text"].valid[row].sum())
        boxes = batch.layout.streams["image"].boxes[row, 1 : 1 + count]
        columns = round(1 / float(boxes[0, 2] - boxes[0, 0]))
        where = (places[row, :, 0] * columns + places[row, :, 1])[:count]
        order = where.argsort()
        moved |= bool((order != torch.arange(count)).any())
        mine = [*range(n_words), *(n_text + k for k in range(1 + count))]
        shuffled = [*range(n_words), n_text, *(n_text + 1 + order).tolist()]
        for layer, state in zip(found, theirs_out.hidden_states, strict=True):
            joined = torch.cat([layer.hidden["text"], layer.hidden["image"]], dim=1)[row]
            torch.testing.assert_close(joined[mine], state[row][shuffled], atol=2e-6, rtol=1e-5)
        for layer, weights in zip(found[1:], theirs_out.attentions, strict=True):
            rows = [
                torch.cat([layer.attention[f"{q}->{k}"][row] for k in ("text", "image")], dim=-1)
                for q in ("text", "image")
            ]
            whole = torch.cat(rows, dim=-2)
            torch.testing.assert_close(
                whole[:, mine][:, :, mine], weights[row][:, shuffled][:, :, shuffled], atol=1e-6, rtol=0
            )
    assert moved, "transformers shuffled nothing: this test would see no wrong order"


def test_no_hook_stays_and_two_runs_are_equal(model: vilt.ViltVL, examples: list[Example]) -> None:
    def hooks() -> int:
        return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.module.modules())

    batch, before = model.prepare(examples), hooks()
    one = model.run(batch, lambda _: None, closed=("text->image",))
    two = model.run(batch, closed=("text->image",))
    assert hooks() == before == 0
    assert all(torch.equal(one.hidden[s], two.hidden[s]) for s in one.hidden)

    def fail(_: LayerBatch) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        model.run(batch, fail)
    assert hooks() == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_directory_of_the_hub(architecture: str, tmp_path: Path, examples: list[Example]) -> None:
    directory = save(tmp_path / "it", tiny_vilt_config(architecture=architecture))
    module = vilt.read(directory)
    model = vilt.ViltVL(module, tiny_words(), "it", "trained")
    assert type(module).__name__ == architecture
    own = {"ViltForMaskedLM": ViltForMaskedLM, "ViltModel": ViltModel}.get(
        architecture, ViltForImageAndTextRetrieval
    )
    reference = own.from_pretrained(directory).eval()
    for name, tensor in reference.state_dict().items():
        assert torch.equal(tensor, module.state_dict()[name]), name
    inputs = model.prepare(examples).inputs
    asked = {
        "input_ids": inputs["input_ids"], "attention_mask": inputs["text_mask"],
        "pixel_values": inputs["pixel_values"], "pixel_mask": inputs["pixel_mask"],
    }  # fmt: skip
    with torch.no_grad():
        if architecture == "ViltForImageAndTextRetrieval":
            logits = reference(**asked).logits[:, 0]
            np.testing.assert_allclose(model.matching(examples), logits.sigmoid().numpy(), atol=1e-6)
        else:
            with pytest.raises(ValueError, match=r"no matching head.*ViltForImageAndTextRetrieval"):
                model.matching(examples)
        if architecture == "ViltForMaskedLM":
            hidden = model.prepare(examples).layout.streams["text"].unit == 0
            asked["input_ids"] = asked["input_ids"].masked_fill(hidden, model.words.mask)
            scores = reference(**asked).logits.log_softmax(-1)
            said = model.masked_words(examples, [0] * len(examples))
            for row in range(len(examples)):
                true = inputs["input_ids"][row, hidden[row]]
                want = scores[row, hidden[row]].gather(-1, true[:, None]).sum().item()
                assert said.log_probability[row] == pytest.approx(want, abs=2e-6)
        else:
            with pytest.raises(ValueError, match=r"no word head.*ViltForMaskedLM"):
                model.masked_words(examples, [0] * len(examples))


def test_a_checkpoint_with_another_head_lends_its_body(tmp_path: Path) -> None:
    directory = save(tmp_path / "vqa", tiny_vilt_config())
    values = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(
        json.dumps(values | {"architectures": ["ViltForQuestionAnswering"]})
    )
    module = vilt.read(directory)
    assert type(module).__name__ == "ViltModel"
    want = load_file(directory / "model.safetensors")["vilt.encoder.layer.1.output.dense.weight"]
    assert torch.equal(module.encoder.layer[1].output.dense.weight, want)


def test_tensors_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    directory = save(tmp_path / "it", tiny_vilt_config())
    state = load_file(directory / "model.safetensors")
    state["vilt.encoder.layer.7.output.dense.bias"] = state.pop("vilt.encoder.layer.0.output.dense.bias")
    save_file(state, directory / "model.safetensors")
    with pytest.raises(ValueError, match=r"missing: vilt\.encoder.*0.*left over: vilt\.encoder\.layer\.7"):
        vilt.read(directory)


def test_the_bias_of_older_files(tmp_path: Path) -> None:
    directory = save(tmp_path / "it", tiny_vilt_config())
    state = load_file(directory / "model.safetensors")
    state["mlm_score.bias"] = state.pop("mlm_score.decoder.bias") + 1.0
    save_file({**state, "vilt.embeddings.text_embeddings.position_ids": torch.arange(24)[None]},
              directory / "model.safetensors")  # fmt: skip
    assert torch.equal(vilt.read(directory).mlm_score.decoder.bias, state["mlm_score.bias"])


def test_picture_settings_beside_the_weights(tmp_path: Path, examples: list[Example]) -> None:
    directory = save(tmp_path / "it", tiny_vilt_config())
    usual = vilt.ViltVL(vilt.read(directory), tiny_words(), "it", "trained")
    said = {
        "size": {"shortest_edge": 32},
        "size_divisor": 16,
        "image_mean": [0.0] * 3,
        "image_std": [1.0] * 3,
    }
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    model = vilt.ViltVL(vilt.read(directory), tiny_words(), "it", "trained")
    pixels = [m.prepare(examples[2]).inputs["pixel_values"] for m in (usual, model)]
    assert [tuple(p.shape[2:]) for p in pixels] == [(48, 48), (32, 32)]
    assert pixels[0].min() < -0.5 and pixels[1].min() >= 0.0
    again = model.with_random_weights(1)
    assert torch.equal(again.prepare(examples[2]).inputs["pixel_values"], pixels[1])
    drawn = vilt.ViltVL(vilt.build(vilt.read_config(directory), 4), tiny_words(), "it", "random:4")
    assert torch.equal(drawn.prepare(examples[2]).inputs["pixel_values"], pixels[1])
    (directory / "preprocessor_config.json").write_text(json.dumps(said | {"size_divisor": 24}))
    with pytest.raises(ValueError, match="multiples of 24 pixels"):
        vilt.ViltVL(vilt.read(directory), tiny_words(), "it", "trained")


# -- the picture ---------------------------------------------------------------------------------------------


def test_patches_lie_where_they_say(tmp_path: Path) -> None:
    """Change the pixels of one box: the embedding of that patch changes, and of no other."""
    model = tiny_vilt()
    path = draw(tmp_path / "it.png", (64, 48), seed=1)
    example = Example("1", "1", "a dog", ("a", "dog"), image=path, size=(64, 48))
    before = model.trace(example)
    for patch in (0, 5, 11):
        left, top, right, bottom = (before.boxes("patches")[patch] * [64, 48, 64, 48]).round().astype(int)
        pixels = np.array(Image.open(path))
        pixels[top:bottom, left:right] = 255 - pixels[top:bottom, left:right]
        changed = tmp_path / f"{patch}.png"
        Image.fromarray(pixels).save(changed)
        after = model.trace(replace(example, image=changed))
        start = [t.hidden["joint"]["image"][0] for t in (before, after)]
        moved = np.flatnonzero(np.abs(start[0] - start[1]).max(axis=1) > 1e-5)
        assert moved.tolist() == [1 + patch]


def test_another_picture_changes_the_output(
    model: vilt.ViltVL, examples: list[Example], others: list[Example]
) -> None:
    one, other = (model.run(model.prepare(e)).hidden["text"] for e in (examples, others))
    assert ((one - other).abs().amax(dim=(1, 2)) > 1e-3).all()


def test_a_closed_gate_removes_exactly_the_picture(
    model: vilt.ViltVL, examples: list[Example], others: list[Example]
) -> None:
    one, other = (model.run(model.prepare(e), closed=("text->image",)) for e in (examples, others))
    assert torch.equal(one.hidden["text"], other.hidden["text"])
    assert not torch.equal(one.hidden["image"], other.hidden["image"])
    bare = [replace(e, image=None, regions=None) for e in examples]
    alone = model.run(model.prepare(bare)).hidden["text"]
    torch.testing.assert_close(one.hidden["text"], alone, atol=2e-6, rtol=1e-5)
    mixed = model.run(model.prepare([bare[0], *examples[1:]])).hidden["text"]
    whole = model.run(model.prepare(examples)).hidden["text"]
    torch.testing.assert_close(mixed[0], alone[0], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(mixed[1:], whole[1:], atol=2e-6, rtol=1e-5)
    with without_image(model) as blind:
        said = blind.run(blind.prepare(examples)).hidden["text"]
    assert torch.equal(said, one.hidden["text"])


def test_text_only_is_transformers_without_image_embeddings(
    model: vilt.ViltVL, examples: list[Example]
) -> None:
    bare = [replace(e, image=None, regions=None) for e in examples]
    batch = model.prepare(bare)
    assert batch.layout.streams["image"].position_class.shape == (4, 0)
    assert batch.layout.streams["image"].tokens == ((),) * 4
    found: list[LayerBatch] = []
    model.run(batch, found.append)
    with torch.no_grad():
        out = model.backbone(
            input_ids=batch.inputs["input_ids"], attention_mask=batch.inputs["text_mask"],
            image_embeds=torch.zeros(4, 0, 24), pixel_mask=torch.zeros(4, 0, dtype=torch.long),
            output_hidden_states=True, output_attentions=True,
        )  # fmt: skip
    for layer, state in zip(found, out.hidden_states, strict=True):
        valid = batch.layout.streams["text"].valid
        torch.testing.assert_close(layer.hidden["text"][valid], state[valid], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(found[-1].attention["text->text"], out.attentions[-1], atol=1e-6, rtol=0)


def test_a_stream_with_all_gates_closed_gets_nothing_from_attention(
    model: vilt.ViltVL, examples: list[Example], others: list[Example]
) -> None:
    """As in the gated encoder: the states pass, and no map is published."""
    closed = ("text->text", "text->image")
    found: list[LayerBatch] = []
    one = model.run(model.prepare(examples), found.append, closed=closed)
    assert set(found[1].attention) == {"image->text", "image->image"}
    first = model.backbone.encoder.layer[0]
    start = found[0].hidden["text"]
    with torch.no_grad():
        want = first.output(first.intermediate(first.layernorm_after(start)), start)
    torch.testing.assert_close(found[1].hidden["text"], want, atol=2e-6, rtol=1e-5)
    other = model.run(model.prepare(others), closed=closed)
    assert torch.equal(one.hidden["text"], other.hidden["text"])


def test_a_missing_picture_names_its_file(
    model: vilt.ViltVL, examples: list[Example], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*gone\.png"):
        model.prepare(replace(examples[0], image=tmp_path / "gone.png"))
    with pytest.raises(ValueError, match=r"example '0#0' \(image '0'\) is not .*'val' and 'test'"):
        model.prepare(replace(examples[0], image=None))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"text\.png is no picture"):
        model.prepare(replace(examples[0], image=tmp_path / "text.png"))
    narrow = draw(tmp_path / "narrow.png", (400, 2), seed=0)
    with pytest.raises(ValueError, match=r"narrow\.png \(400 x 2 pixels\) cannot be cut into patches"):
        model.prepare([examples[1], replace(examples[0], image=narrow)])
    with pytest.raises(ValueError, match=r"needs a picture.*0#0"):
        model.matching(replace(examples[0], image=None))


def test_grey_and_tiny_pictures(model: vilt.ViltVL, examples: list[Example], tmp_path: Path) -> None:
    """Three rows of pixels are not three colours."""
    for name, mode, size in (("dot", "RGB", (1, 1)), ("rows", "RGB", (3, 3)), ("grey", "L", (30, 40))):
        path = tmp_path / f"{name}.png"
        Image.new(mode, size, 128).save(path)
        batch = model.prepare(replace(examples[0], image=path))
        assert batch.inputs["pixel_values"].shape[1] == 3
        rows, columns = (side // 16 for side in batch.inputs["pixel_values"].shape[2:])
        assert batch.layout.streams["image"].position_class.shape == (1, 1 + rows * columns)


def test_at_most_so_many_patches_are_a_sample_by_picture(examples: list[Example]) -> None:
    model = tiny_vilt(seed=1, max_image_length=5)
    first, second = (model.run(model.prepare(examples)) for _ in range(2))
    assert torch.equal(first.hidden["image"], second.hidden["image"])
    layout = first.layout.streams["image"]
    assert layout.position_class.shape[1] == 6 and layout.boxes is not None
    alone = model.run(model.prepare(examples[1])).hidden["image"]
    torch.testing.assert_close(first.hidden["image"][1], alone[0], atol=2e-5, rtol=0)
    assert not torch.equal(layout.boxes[0], layout.boxes[3]), "not just the first patches"
    assert layout.tokens[0][0] == "[IMG]" and len(layout.tokens[0]) == 6
    membership = layout.membership()
    for row, example in enumerate(examples):
        assert (membership[row].sum(dim=0)[: len(example.regions or ())] > 0).all()
    full = tiny_vilt(seed=1)
    patches = {tuple(b) for b in full.prepare(examples[1]).layout.streams["image"].boxes[0, 1:].tolist()}
    assert {tuple(b) for b in layout.boxes[1, 1:].tolist()} < patches


# -- moves, controls, ablation -------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-5), (torch.bfloat16, 0.3)])
def test_other_dtypes(dtype: torch.dtype, close: float, model: vilt.ViltVL, examples: list[Example]) -> None:
    moved = tiny_vilt(seed=1)
    moved.module.to(dtype=dtype)
    found: list[LayerBatch] = []
    out = moved.run(moved.prepare(examples), found.append, closed=("image->text",))
    assert out.hidden["text"].dtype == found[1].attention["text->text"].dtype == dtype
    plain = model.run(model.prepare(examples), closed=("image->text",)).hidden["text"]
    assert (out.hidden["text"].float() - plain).abs().mean() < close
    assert moved.with_random_weights(2).dtype == dtype
    assert (found[1].attention["image->text"] == 0).all()


def test_fresh_weights_draw_the_patches_too() -> None:
    one, same, other = (vilt.build(tiny_vilt_config(), seed) for seed in (1, 1, 2))
    for name, tensor in one.named_parameters():
        assert torch.equal(tensor, same.get_parameter(name))
    for name in ("cls_token", "position_embeddings", "patch_embeddings.projection.weight"):
        mine, theirs_ = (m.vilt.embeddings.get_parameter(name) for m in (one, other))
        assert not torch.equal(mine, theirs_) and float(mine.detach().std()) == pytest.approx(0.2, rel=0.5)
    assert (one.vilt.embeddings.patch_embeddings.projection.bias == 0).all()


def test_ablated_heads(model: vilt.ViltVL, examples: list[Example]) -> None:
    """Zeroing a head is zeroing its columns before the output projection, as anywhere."""
    layer = model.backbone.encoder.layer[1]

    def silence(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        cut = args[0].clone()
        cut[..., 8:16] = 0.0
        return (cut, *args[1:])

    handle = layer.attention.output.dense.register_forward_pre_hook(silence)
    want = model.run(model.prepare(examples)).hidden["text"]
    handle.remove()
    with ablate_heads(model, [("joint", 2, 1)]) as ablated:
        assert torch.equal(ablated.run(ablated.prepare(examples)).hidden["text"], want)
    with ablate_heads(model, [("joint", 2, 1)], how="mean", reference=examples) as mean:
        assert not torch.equal(mean.run(mean.prepare(examples)).hidden["text"], want)
    retrieval = tiny_vilt(architecture="ViltForImageAndTextRetrieval")
    with without_image(retrieval) as blind:
        assert blind.matching(examples).shape == (4,)


def test_on_context_hears_every_block(model: vilt.ViltVL, examples: list[Example]) -> None:
    heard: list[tuple[str, int, str]] = []
    found: list[LayerBatch] = []

    def hear(block: object, product: torch.Tensor) -> torch.Tensor:
        heard.append((block.stack, block.layer, block.direction))  # type: ignore[attr-defined]
        return product

    batch = model.prepare(examples)
    same = model.run(batch, found.append, on_context=hear)
    assert sorted(heard) == sorted(("joint", n, d) for n in (1, 2, 3) for d in model.directions["joint"])
    assert torch.equal(same.hidden["text"], model.run(batch).hidden["text"])
    nothing = model.run(batch, on_context=lambda _, product: torch.zeros_like(product))
    closed = model.run(batch, head_mask={("joint", n): torch.zeros(3) for n in (1, 2, 3)})
    assert torch.equal(nothing.hidden["image"], closed.hidden["image"])


def test_a_tokenizer_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="the model 7 rows"):
        tiny_vilt(vocab_size=7)
    with pytest.raises(ValueError, match="expected a single number each"):
        tiny_vilt(image_size=[48, 48])
    with pytest.raises(ValueError, match="stack is 'text'; this model has 'joint'"):
        tiny_vilt().heads("text")


def test_a_directory_is_read_through_load_model(tmp_path: Path, examples: list[Example]) -> None:
    directory = save(tmp_path / "my-vilt", tiny_vilt_config())
    model = load_model(directory, device="cpu")
    assert (model.family, model.weights, model.name) == ("vilt", "trained", "my-vilt")
    random = load_model(directory, device="cpu", random_weights=3)
    assert random.weights == "random:3"
    want = random.run(random.prepare(examples)).hidden["text"]
    assert torch.equal(model.run(model.prepare(examples)).hidden["text"], want), "saved from the same seed"
