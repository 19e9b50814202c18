from __future__ import annotations

import pytest
import torch

from tests.models.samples import Sample
from tests.tiny import tiny_config
from value_nb.layout import LayerBatch, Layout
from value_nb.models import vilbert
from value_nb.models.files import build, build_from
from value_nb.models.keys import tensor_names
from value_nb.models.publish import Publisher


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample("vilbert_pretrain")


@pytest.fixture(scope="module")
def layers(sample: Sample) -> dict[tuple[str, int], LayerBatch]:
    model = build_from(vilbert.read_config(sample.config), sample.weights)
    heard = sample.run(model)[3]
    found: dict[tuple[str, int], LayerBatch] = {}
    publisher = Publisher(
        model.gates,
        Layout((), {}),
        lambda batch: found.update({(batch.stack, batch.layer): batch}),
        joint=False,
    )
    for index in sorted(heard.states):
        publisher(index, heard.states[index], heard.maps[index])
    return found


def test_published_layers_equal_the_original_code(
    sample: Sample, layers: dict[tuple[str, int], LayerBatch]
) -> None:
    """Order of the original: t0 t1 c0 t2 v0 c1 v1 t3; cross layers end before the next co-attention."""
    sample.check(layers["text", 0].hidden["text"], "txt_emb")
    sample.check(layers["text", 1].hidden["text"], "t_hidden_0")
    sample.check(layers["text", 2].hidden["text"], "t_hidden_1")
    sample.check(layers["cross", 0].hidden["text"], "t_hidden_1")
    sample.check(layers["cross", 0].hidden["image"], "img_emb")
    for cross, text, image in ((1, 2, 0), (2, 3, 1)):
        batch = layers["cross", cross]
        sample.check(batch.hidden["text"], f"t_hidden_{text}")
        sample.check(batch.hidden["image"], f"v_hidden_{image}")
        sample.check(batch.attention["text->image"], f"attn_c{cross - 1}_tv")
        sample.check(batch.attention["image->text"], f"attn_c{cross - 1}_vt")
        sample.check(batch.attention["text->text"], f"attn_t{text}_tt")
        sample.check(batch.attention["image->image"], f"attn_v{image}_vv")
    assert set(layers) == {("text", 0), ("text", 1), ("text", 2), ("cross", 0), ("cross", 1), ("cross", 2)}


def test_co_attention_and_heads_equal_the_original_code(sample: Sample) -> None:
    model = build_from(vilbert.read_config(sample.config), sample.weights)
    text, image, pooled, heard = sample.run(model)
    co_attention = [i for i, plan in enumerate(model.gates.sublayers) if plan.cross]
    for number, index in enumerate(co_attention):
        sample.check(heard.states[index + 1]["text"], f"c_hidden_t_{number}")
        sample.check(heard.states[index + 1]["image"], f"c_hidden_v_{number}")
    for stream, name in (("text", "pooled_t"), ("image", "pooled_v"), ("fused", "pooled")):
        sample.check(pooled[stream], name)
    sample.check(model.masked_word_logits(text), "mlm_logits")
    sample.check(model.matching_logits(pooled), "itm_logits")
    sample.check(model.masked_region_outputs(image)["class"], "img_logits")


def test_the_multi_task_file_is_refused_for_its_task_tokens(sample: Sample) -> None:
    weights = {**sample.weights, "bert.embeddings.task_embeddings.weight": torch.zeros(20, 48)}
    with pytest.raises(ValueError, match=r"left over: embeddings\.task_embeddings\.weight"):
        build_from(vilbert.read_config(sample.config), weights)


def test_unused_dense_tensors_are_known_and_nothing_else() -> None:
    assert vilbert.FAMILY.may_hold("encoder.c_layer.0.biOutput.q_dense1.weight")
    assert not vilbert.FAMILY.may_hold("encoder.c_layer.0.biOutput.dense3.weight")


def test_a_second_region_target_has_no_official_name() -> None:
    config = tiny_config("vilbert", region_targets=(("class", 3), ("feature", 10)))
    with pytest.raises(ValueError, match="one masked-region target"):
        tensor_names(vilbert.FAMILY, config)


def test_layers_before_the_first_co_attention_of_the_image_are_a_stack() -> None:
    config = tiny_config("vilbert", image_layers=4, image_ids=(1, 2, 3))
    gates = build(config, 0).gates
    assert gates.stacks == {"text": 2, "image": 1, "cross": 3}
    assert gates.directions("image") == ("image->image",)
