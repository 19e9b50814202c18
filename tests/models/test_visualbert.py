"""VisualBERT in the hub's layout, against transformers itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import VisualBertConfig, VisualBertForPreTraining, VisualBertModel

from tests.tiny import tiny_examples, tiny_words
from value_nb.models import visualbert
from value_nb.models.files import build_from, read_model, save_model
from value_nb.models.gated import GatedVL
from value_nb.models.gated_encoder import GatedModel, initialise
from value_nb.models.keys import from_engine, to_engine

EXACT = 1e-9  # both run in float64


def theirs(kind: type = VisualBertForPreTraining, **changes: Any) -> Any:
    config = VisualBertConfig(
        vocab_size=50, hidden_size=24, visual_embedding_dim=10, num_hidden_layers=3, num_attention_heads=3,
        intermediate_size=28, max_position_embeddings=20, pad_token_id=0, **changes,
    )  # fmt: skip
    with torch.random.fork_rng():
        model = kind(config)
    initialise(model, 0.2, seed=4)
    return model.eval()


def ours(values: dict[str, Any], state: dict[str, Tensor]) -> GatedModel:
    """The engine with exactly these numbers."""
    config, tensors = to_engine(visualbert.FAMILY, visualbert.from_transformers(values), state)
    model = GatedModel(config)
    model.load_state_dict(tensors)
    return model.double().eval()


def inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    text_mask, image_mask = torch.ones(3, 6), torch.ones(3, 4)
    text_mask[0, 4:], image_mask[1, 2:] = 0, 0
    return {
        "input_ids": torch.randint(50, (3, 6), generator=generator),
        "attention_mask": text_mask,
        "visual_embeds": torch.randn(3, 4, 10, generator=generator, dtype=torch.float64),
        "visual_attention_mask": image_mask,
    }


@torch.no_grad()
def run(model: GatedModel, given: dict[str, Tensor]) -> tuple[Any, list[Tensor], list[Tensor]]:
    """Outputs, joint states and joint maps, text first, as transformers has them."""
    states: list[Tensor] = []
    maps: list[Tensor] = []

    def hear(index: int, now: dict[str, Tensor], blocks: dict[str, Tensor]) -> None:
        if index % 2:
            states.append(torch.cat([now["text"], now["image"]], dim=1))
        if blocks:
            rows = [
                torch.cat([blocks[f"{q}->{k}"] for k in ("text", "image")], -1) for q in ("text", "image")
            ]
            maps.append(torch.cat(rows, dim=-2))

    out = model(
        given["input_ids"], given["attention_mask"], given["visual_embeds"], torch.zeros(3, 4, 0),
        given["visual_attention_mask"], on_sublayer=hear,
    )  # fmt: skip
    return out, states, maps


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=EXACT, rtol=0)


@torch.no_grad()
def test_every_state_map_and_output_equals_transformers(tmp_path: Path) -> None:
    """Through its saved file; padding in both streams, both masks given."""
    reference = theirs()
    reference.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    model = ours(values, load_file(tmp_path / "model.safetensors"))
    (text, image, pooled), states, maps = run(model, inputs())
    out = reference.double()(**inputs(), output_attentions=True, output_hidden_states=True)
    assert len(states) == len(out.hidden_states) == 4 and len(maps) == len(out.attentions) == 3
    for a, b in zip((*states, *maps), (*out.hidden_states, *out.attentions), strict=True):
        close(a, b)
    joint = torch.cat([text, image], dim=1)
    close(model.masked_word_logits(joint), out.prediction_logits)
    close(model.matching_logits(pooled), out.seq_relationship_logits)
    close(pooled["fused"], reference.visual_bert(**inputs()).pooler_output)


def test_the_bare_model_is_read_without_heads() -> None:
    reference = theirs(VisualBertModel)
    model = ours(reference.config.to_dict(), reference.state_dict())
    assert not (model.config.word_head or model.config.matching_head or model.config.region_targets)
    with torch.no_grad():
        (_, _, pooled), _, _ = run(model, inputs())
        close(pooled["fused"], reference.double()(**inputs()).pooler_output)
    with pytest.raises(ValueError, match="config has no word_head"):
        model.masked_word_logits(torch.zeros(1, 24))


def test_conventions() -> None:
    config = visualbert.from_transformers(theirs().config.to_dict())
    assert (config.location_size, config.global_row, config.match_index) == (0, "none", 0)
    assert (config.pooler_act, config.fusion, config.feature_size) == ("tanh", "text", 10)


def test_old_files_hold_more() -> None:
    """A counter of positions, a second name of the word bias, heads of fine-tuned models."""
    reference = theirs()
    state = dict(reference.state_dict())
    state["visual_bert.embeddings.position_ids"] = torch.arange(20)[None]
    state["cls.weight"], state["attention.query.weight"] = torch.zeros(5, 24), torch.zeros(24, 24)
    ours(reference.config.to_dict(), state)
    state["visual_bert.encoder.layer.3.output.dense.weight"] = torch.zeros(24, 28)
    with pytest.raises(ValueError, match=r"left over: encoder\.layer\.3\.output\.dense\.weight"):
        ours(reference.config.to_dict(), state)


def test_a_model_survives_its_directory(tmp_path: Path) -> None:
    reference = theirs()
    model = build_from(visualbert.from_transformers(reference.config.to_dict()), reference.state_dict())
    again = read_model(save_model(tmp_path, model, torch.float32))
    assert again.config == model.config
    assert all(torch.equal(t, again.state_dict()[n]) for n, t in model.state_dict().items())


def test_a_written_file_loads_into_transformers() -> None:
    reference = theirs()
    model = ours(reference.config.to_dict(), reference.state_dict())
    state = from_engine(visualbert.FAMILY, model.config, model.float().state_dict())
    report = theirs().load_state_dict(state, strict=False)
    assert not report.unexpected_keys
    assert set(report.missing_keys) <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bypass_transformer": True}, "bypass_transformer is true"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"type_vocab_size": 1}, "needs type_vocab_size >= 2"),
    ],
)
def test_what_is_not_computed_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        visualbert.from_transformers({**VisualBertConfig().to_dict(), **changes})


def test_missing_keys_are_named() -> None:
    values = {k: v for k, v in VisualBertConfig().to_dict().items() if k != "visual_embedding_dim"}
    with pytest.raises(ValueError, match="lacks visual_embedding_dim"):
        visualbert.from_transformers(values)


def test_the_published_size() -> None:
    """Every key of a base model of transformers has its place; the size is that of transformers."""
    config = VisualBertConfig(visual_embedding_dim=2048)
    with torch.device("meta"):
        reference = VisualBertForPreTraining(config)
        model = GatedModel(visualbert.from_transformers(config.to_dict()))
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in reference.parameters())


def test_boxes_do_not_matter_to_the_common_face() -> None:
    reference = theirs()
    model = GatedVL(
        ours(reference.config.to_dict(), reference.state_dict()), tiny_words(), "tiny-visualbert", "trained"
    )
    batch = model.prepare(tiny_examples(3))
    assert batch.inputs["locations"].shape[-1] == 0
    assert model.matching(tiny_examples(3)).shape == (3,)
    assert model.stacks == {"joint": 3} and model.joint
