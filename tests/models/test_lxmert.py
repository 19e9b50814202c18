from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import LxmertConfig, LxmertForPreTraining

from value_nb.layout import LayerBatch, Layout
from value_nb.models import lxmert
from value_nb.models.files import build_from, family_of
from value_nb.models.gated_encoder import GatedModel, initialise
from value_nb.models.keys import from_engine
from value_nb.models.publish import Publisher

EXACT = 1e-9  # both run in float64
TEXT, IMAGE, CROSS = 3, 2, 2
Layers = dict[tuple[str, int], LayerBatch]


def theirs() -> LxmertForPreTraining:
    config = LxmertConfig(
        vocab_size=50, hidden_size=24, num_attention_heads=3, intermediate_size=40, visual_feat_dim=10,
        l_layers=TEXT, r_layers=IMAGE, x_layers=CROSS, num_qa_labels=5, num_object_labels=6,
        num_attr_labels=4, max_position_embeddings=16,
    )  # fmt: skip
    with torch.random.fork_rng():
        model = LxmertForPreTraining(config)
    initialise(model, 0.2, seed=0)
    return model.double().eval()


def inputs(regions: int) -> dict[str, Tensor]:
    """Six text positions; padding in both streams of the first and second example."""
    generator = torch.Generator().manual_seed(1)
    text_mask, image_mask = torch.ones(3, 6), torch.ones(3, regions)
    text_mask[0, 4:], image_mask[1, 2:] = 0, 0
    return {
        "input_ids": torch.randint(50, (3, 6), generator=generator),
        "text_mask": text_mask,
        "features": torch.randn(3, regions, 10, generator=generator, dtype=torch.float64),
        "locations": torch.rand(3, regions, 4, generator=generator, dtype=torch.float64),
        "image_mask": image_mask,
    }


@torch.no_grad()
def ours(model: GatedModel, given: dict[str, Tensor]) -> tuple[Layers, Tensor, Tensor, dict[str, Tensor]]:
    found: Layers = {}
    publisher = Publisher(
        model.gates,
        Layout((), {}),
        lambda batch: found.update({(batch.stack, batch.layer): batch}),
        joint=False,
    )
    return found, *model(**given, on_sublayer=publisher)


@torch.no_grad()
def run_theirs(model: LxmertForPreTraining, given: dict[str, Tensor]) -> tuple:
    """Outputs, and the probabilities of every attention dropout by module name, in order of the calls."""
    maps: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_hook(lambda m, a, out, name=name: maps.setdefault(name, []).append(out))
        for name, module in model.lxmert.named_modules()
        if isinstance(module, nn.Dropout) and name.endswith((".att.dropout", ".self.dropout"))
    ]
    names = {"input_ids": "input_ids", "text_mask": "attention_mask", "features": "visual_feats",
             "locations": "visual_pos", "image_mask": "visual_attention_mask"}  # fmt: skip
    arguments = {names[name]: value for name, value in given.items()}
    out = model.lxmert(**arguments, output_attentions=True, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    return out, maps


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=EXACT, rtol=0)


@pytest.mark.parametrize("regions", [6, 4], ids=["as many regions as pieces", "fewer regions"])
def test_every_state_and_map_equals_transformers(regions: int) -> None:
    reference, given = theirs(), inputs(regions)
    model = build_from(lxmert.read_config(reference.config.to_dict()), reference.state_dict()).double()
    assert (model.config.text_layers, model.config.image_layers) == (TEXT, IMAGE)
    compare_layers(model, reference, given)


def compare_layers(model: GatedModel, reference: LxmertForPreTraining, given: dict[str, Tensor]) -> None:
    """Every published state and map, last states and the pooled output."""
    layers, text, image, pooled = ours(model, given)
    out, maps = run_theirs(reference, given)
    text_layers, image_layers = model.config.text_layers, model.config.image_layers
    for i in range(text_layers):
        close(layers["text", i + 1].hidden["text"], out.language_hidden_states[i])
        close(layers["text", i + 1].attention["text->text"], out.language_attentions[i])
    for i in range(image_layers):
        close(layers["image", i + 1].hidden["image"], out.vision_hidden_states[i])
        close(layers["image", i + 1].attention["image->image"], out.vision_attentions[i])
    for i in range(model.config.cross_layers):
        batch, prefix = layers["cross", i + 1], f"encoder.x_layers.{i}"
        close(batch.hidden["text"], out.language_hidden_states[text_layers + i])
        close(batch.hidden["image"], out.vision_hidden_states[image_layers + i])
        close(batch.attention["text->image"], out.cross_encoder_attentions[i])
        to_image, to_text = maps[f"{prefix}.visual_attention.att.dropout"]
        close(batch.attention["text->image"], to_image)
        close(batch.attention["image->text"], to_text)
        close(batch.attention["text->text"], maps[f"{prefix}.lang_self_att.self.dropout"][0])
        close(batch.attention["image->image"], maps[f"{prefix}.visn_self_att.self.dropout"][0])
    close(text, out.language_output)
    close(image, out.vision_output)
    close(pooled["fused"], out.pooled_output)


@torch.no_grad()
def test_heads_equal_transformers() -> None:
    reference, given = theirs(), inputs(4)
    model = build_from(lxmert.read_config(reference.config.to_dict()), reference.state_dict()).double()
    _, text, image, pooled = ours(model, given)
    words, matching = reference.cls(text, pooled["fused"])
    close(model.masked_word_logits(text), words)
    close(model.matching_logits(pooled), matching)
    regions = reference.obj_predict_head(image)
    for name, official in lxmert.REGION_TARGETS.items():
        close(model.masked_region_outputs(image)[name], regions[official])


@pytest.mark.parametrize("prefix", ["bert.", "module.bert.", ""])
def test_official_prefixes_are_read(prefix: str) -> None:
    reference = theirs()
    state = {
        prefix + k.removeprefix("lxmert.") if k.startswith("lxmert.") else k: v
        for k, v in reference.state_dict().items()
    }
    model = build_from(lxmert.read_config(reference.config.to_dict()), state)
    close(model.text_pooler.weight.double(), reference.lxmert.pooler.dense.weight)


def test_a_written_file_loads_into_transformers() -> None:
    reference = theirs()
    model = build_from(lxmert.read_config(reference.config.to_dict()), reference.state_dict())
    state = from_engine(family_of(model.config), model.config, model.state_dict())
    report = reference.float().load_state_dict(state, strict=False)
    assert not report.unexpected_keys
    assert {k for k in report.missing_keys if "answer_head" not in k} <= {
        "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"
    }  # fmt: skip
