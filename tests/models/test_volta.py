from __future__ import annotations

import pytest
import torch

from tests.models.samples import SHORT, Sample
from value_nb.models import volta
from value_nb.models.files import build_from


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample("volta_uniter")


def test_every_state_and_map_equals_the_original_code(sample: Sample) -> None:
    config = volta.read_config(sample.config, {"0": 7})
    model = build_from(config, sample.weights)
    text, image, pooled, heard = sample.run(model)
    sample.check(heard.states[-1]["text"], "txt_emb")
    sample.check(heard.states[-1]["image"], "img_emb")
    for index in range(len(model.sublayers)):
        sample.check(heard.states[index]["text"], f"t_hidden_{index}")
        sample.check(heard.states[index]["image"], f"v_hidden_{index}")
        for direction, block in heard.maps[index].items():
            sample.check(block, f"attn_{index}_{SHORT[direction]}")
    seen = {f"attn_{i}_{SHORT[d]}" for i, maps in heard.maps.items() for d in maps}
    assert seen == {name for name in sample.expected if name.startswith("attn_")}
    sample.check(pooled["text"], "pooled_t")
    sample.check(pooled["image"], "pooled_v")
    sample.check(pooled["fused"], "pooled")
    sample.check(model.masked_word_logits(text), "mlm_logits")
    sample.check(model.matching_logits(pooled), "itm_logits")
    assert image.shape[-1] == config.image_width


def test_conventions_are_read_from_the_config(sample: Sample) -> None:
    config = volta.read_config(sample.config, {"0": 7})
    assert (config.match_index, config.pooler_act, config.fusion, config.global_row) == (
        0,
        "relu",
        "mul",
        "first",
    )
    assert (config.joint_layers, config.location_size, config.pooler_width) == (3, 5, 40)


def test_copies_of_a_shared_tensor_must_be_equal(sample: Sample) -> None:
    copy = "bert.encoder.layer.2.attention_self.v_key.weight"
    weights = {**sample.weights, copy: sample.weights[copy] + 1e-6}
    with pytest.raises(ValueError, match=r"attention_self\.v_key\.weight.*same tensor"):
        build_from(volta.read_config(sample.config, {"0": 7}), weights)


def test_heads_that_the_file_lacks_are_dropped(sample: Sample) -> None:
    model = build_from(volta.read_config(sample.config, {"0": 7}), sample.weights)
    assert model.config.region_targets == ()
    with pytest.raises(ValueError, match="no such head"):
        model.masked_region_outputs(torch.zeros(1, model.config.image_width))


def test_other_models_of_volta_are_refused(sample: Sample) -> None:
    with pytest.raises(ValueError, match="image_embeddings is 'm3p'; this kit reads 'uniter'"):
        volta.read_config({**sample.config, "image_embeddings": "m3p"}, {})
