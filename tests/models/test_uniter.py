from __future__ import annotations

import pytest
import torch
from transformers import BertModel

from tests.tiny import tiny_bert_config, tiny_config
from value_nb.models import bert
from value_nb.models.files import build, start_from_bert
from value_nb.models.uniter import read_config


def plain_bert() -> BertModel:
    config = tiny_bert_config()
    config._attn_implementation = "eager"
    with torch.random.fork_rng():
        model = BertModel(config)
    for parameter, seed in zip(model.parameters(), range(1000), strict=False):
        torch.nn.init.normal_(parameter, 0, 0.2, generator=torch.Generator().manual_seed(seed))
    return model.eval()


@torch.no_grad()
def test_the_text_path_is_berts() -> None:
    """Started from BERT and given no picture, states, maps and pooled output are those of BertModel."""
    reference, model = plain_bert(), build(tiny_config("uniter"), 0)
    start_from_bert(model, reference.state_dict())
    reference, model = reference.double(), model.double()
    ids, mask = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]]), torch.tensor([[1] * 5, [1, 1, 1, 0, 0]])
    maps: list[torch.Tensor] = []
    states: list[torch.Tensor] = []

    def hear(index: int, now: dict, blocks: dict) -> None:
        maps.extend([blocks["text->text"]] if blocks else [])
        states.extend([now["text"]] if index % 2 else [])

    empty = torch.zeros(2, 0, 10, dtype=torch.float64), torch.zeros(2, 0, 7, dtype=torch.float64)
    text, image, pooled = model(ids, mask, *empty, torch.zeros(2, 0), on_sublayer=hear)
    out = reference(ids, attention_mask=mask, output_attentions=True, output_hidden_states=True)
    assert len(maps) == len(out.attentions) == 3
    for ours, theirs in zip((*maps, *states), (*out.attentions, *out.hidden_states), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=0)
    torch.testing.assert_close(text, out.last_hidden_state, atol=1e-9, rtol=0)
    torch.testing.assert_close(pooled["fused"], out.pooler_output, atol=1e-9, rtol=0)
    assert image.shape == (2, 0, model.config.image_width)


def test_starting_from_bert_sets_words_layers_and_word_head() -> None:
    model = build(tiny_config("uniter"), 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    done = start_from_bert(model, bert.build(tiny_bert_config(), 5).state_dict())
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed <= set(done)
    assert {
        "text_embedding.word.weight",
        "sublayers.4.shared.key.weight",
        "word_head.dense.weight",
    } <= changed
    assert not any(name.startswith(("image_embedding", "matching", "region")) for name in done)


def test_a_bert_of_other_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        start_from_bert(
            build(tiny_config("uniter"), 0), bert.build(tiny_bert_config(heads=2), 0).state_dict()
        )
    with pytest.raises(ValueError, match="no tensor has a known name"):
        start_from_bert(build(tiny_config("uniter"), 0), {"something.weight": torch.zeros(1)})


def test_the_official_config_is_read() -> None:
    values = {
        "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "hidden_size": 1024,
        "initializer_range": 0.02, "intermediate_size": 4096, "max_position_embeddings": 512,
        "num_attention_heads": 16, "num_hidden_layers": 24, "type_vocab_size": 2, "vocab_size": 28996,
    }  # fmt: skip
    config = read_config(values)
    assert (config.joint_layers, config.text_heads, config.image_width) == (24, 16, 1024)
    assert (config.location_size, config.match_index, config.pooler_act) == (7, 1, "tanh")
