"""VOLTA's nine models, small, against an implementation that shares nothing with the kit, in float64.

Each trap of the reference that concerns these models has a test of its own name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models import volta_reference as reference
from tests.models.samples import SHORT
from tests.models.volta_configs import LXMERT, NAMES, SINGLE, VILBERT, volta_config
from tests.models.volta_runs import LENGTHS, REGIONS, checkpoint, engine, engine_of, examples, run
from value_nb.layout import LayerBatch, Layout
from value_nb.models import volta
from value_nb.models.files import build_from, read_model, save_model
from value_nb.models.gated_encoder import GatedModel
from value_nb.models.publish import Publisher

EXACT = 1e-9
pytestmark = pytest.mark.filterwarnings("ignore:this config is that of the converted official LXMERT")


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=EXACT, rtol=0)


def compare(model: GatedModel, values: dict[str, Any], pad: int = 0) -> None:
    """A padded batch of three against three single runs: every state, map and output."""
    state, batch = reference.random_state(values), examples(values)
    got = run(model, batch, pad)
    heard = got["heard"]
    for i, example in enumerate(batch):
        want = reference.run(values, state, example.ids, example.features, example.locations)
        t, r = len(example.ids), len(example.features)
        assert set(heard.states) == set(want["states"])
        for index, (text, image) in want["states"].items():
            close(heard.states[index]["text"][i, :t], text)
            close(heard.states[index]["image"][i, :r], image)
        seen = {(index, SHORT[d]) for index, maps in heard.maps.items() for d in maps}
        assert seen == set(want["maps"])
        for index, maps in heard.maps.items():
            for direction, block in maps.items():
                rows, columns = ({"t": t, "v": r}[letter] for letter in SHORT[direction])
                close(block[i, :, :rows, :columns], want["maps"][index, SHORT[direction]])
        if want["pooled"]:
            close(got["pooled"]["fused"][i], want["pooled"]["pooled"])
            close(model.matching_logits(got["pooled"])[i], want["pooled"]["itm"])
        close(model.masked_word_logits(got["text"])[i, :t], want["mlm"])
        regions = model.masked_region_outputs(got["image"])
        assert set(regions) == set(want["regions"])
        for target, out in regions.items():
            close(out[i, :r], want["regions"][target])


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_everything_equals_the_reference(name: str) -> None:
    compare(engine(name), volta_config(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_survives_its_directory(name: str, tmp_path: Path) -> None:
    model = build_from(volta.read_config(volta_config(name)), checkpoint(name))
    again = read_model(save_model(tmp_path, model, torch.float32))
    assert again.config == model.config
    assert all(torch.equal(t, again.state_dict()[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize("fusion", ["sum", "text", "none"])
@torch.no_grad()
def test_other_fusions_equal_the_reference(fusion: str) -> None:
    values = volta_config("ctrl_vilbert_base", fusion_method=fusion)
    compare(engine_of(values), values)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_alone_or_in_a_padded_batch_is_the_same(name: str) -> None:
    model, batch = engine(name), examples(volta_config(name))
    together = run(model, batch, pad=2)
    for i, example in enumerate(batch):
        alone = run(model, [example])
        close(together["text"][i, : LENGTHS[i]], alone["text"][0])
        close(together["image"][i, : REGIONS[i]], alone["image"][0])


@torch.no_grad()
def test_trap_1_joint_softmax_where_both_blocks_are_open_and_separate_ones_in_co_attention() -> None:
    for name in ("ctrl_uniter_base", "ctrl_vilbert_base", "ctrl_lxmert"):
        for maps in run(engine(name), examples(volta_config(name))[:1])["heard"].maps.values():
            sums = {SHORT[d]: block.sum(-1) for d, block in maps.items()}
            joint = name in SINGLE
            for pair in (("tt", "tv"), ("vt", "vv")):
                here = [sums[d] for d in pair if d in sums]
                for total in [sum(here)] if joint and here else here:
                    close(total, torch.ones_like(total))
                assert not joint or all((s < 1 - 1e-6).any() for s in here)


@pytest.mark.parametrize("name", [*VILBERT, *LXMERT])
@torch.no_grad()
def test_trap_2_a_stream_without_a_gate_is_unchanged(name: str) -> None:
    values = volta_config(name)
    states = run(engine(name), examples(values))["heard"].states
    for index in range(reference.number_of_sublayers(values)):
        for stream, lists in (
            ("text", ("tt_attn", "tv_attn", "t_ff")),
            ("image", ("vv_attn", "vt_attn", "v_ff")),
        ):
            active = any(index in values[f"{name}_sublayers"] for name in lists)
            assert torch.equal(states[index][stream], states[index - 1][stream]) == (not active)


def last_sublayers(name: str) -> dict[tuple[str, int], dict[str, int]]:
    """Published layer of a small model -> stream -> sublayer that ends it, in VOLTA's numbers, by hand."""
    if name in SINGLE:
        return {("joint", k): {"text": 2 * k - 1, "image": 2 * k - 1} for k in (1, 2, 3)}
    if name in VILBERT:
        cross = {("cross", k): {"text": 3 + 4 * k, "image": 3 + 4 * k} for k in (1, 2, 3)}
        return {("text", 1): {"text": 1}, ("text", 2): {"text": 3}, **cross}
    text = {("text", k): {"text": 2 * k - 1} for k in (1, 2, 3)}
    image = {("image", k): {"image": 2 * k - 1} for k in (1, 2)}
    return {**text, **image, ("cross", 1): {"text": 8, "image": 8}, ("cross", 2): {"text": 11, "image": 11}}


@pytest.mark.parametrize("name", NAMES)
def test_trap_3_layers_are_the_published_ones_and_no_state_comes_twice(name: str) -> None:
    model = engine(name)
    heard = run(model, examples(volta_config(name))[:1])["heard"]
    found: dict[tuple[str, int], LayerBatch] = {}
    publisher = Publisher(
        model.gates, Layout((), {}), lambda b: found.update({(b.stack, b.layer): b}), joint=name in SINGLE
    )
    for index in sorted(heard.states):
        publisher(index, heard.states[index], heard.maps[index])
    want = last_sublayers(name)
    assert {place for place in found if place[1]} == set(want)
    for place, ends in want.items():
        before = found[place[0], place[1] - 1].hidden
        assert set(found[place].hidden) == set(ends)
        for stream, index in ends.items():
            assert torch.equal(found[place].hidden[stream], heard.states[index][stream])
            assert not torch.equal(found[place].hidden[stream], before[stream])


@pytest.mark.parametrize("name", NAMES)
def test_trap_5_index_0_means_match_unless_the_config_says_otherwise(name: str) -> None:
    assert volta.read_config(volta_config(name)).match_index == 0
    assert volta.read_config(volta_config(name, match_index=1)).match_index == 1


@torch.no_grad()
def test_trap_6_relu_poolers_by_default_and_tanh_where_the_config_says_so() -> None:
    for act in (None, "relu", "tanh"):
        values = volta_config("ctrl_uniter_base", **({} if act is None else {"fusion_act": act}))
        compare(engine_of(values), values)
    assert volta.read_config(volta_config("ctrl_lxmert")).pooler_act == "relu"


def test_trap_6_the_converted_official_lxmert_asks_for_tanh() -> None:
    values = volta_config("original_lxmert")
    with pytest.warns(UserWarning, match="add fusion_act 'tanh' and match_index 1"):
        assert volta.read_config(values).pooler_act == "relu"
    official = volta.read_config({**values, "fusion_act": "tanh", "match_index": 1})
    assert (official.pooler_act, official.match_index) == ("tanh", 1)


def test_trap_7_ctrl_uniter_is_not_the_official_uniter() -> None:
    config = volta.read_config(volta_config("ctrl_uniter_base", small=False))
    assert (config.vocab_size, config.location_size, config.global_row) == (30522, 5, "first")
    assert (config.pooler_width, config.pooler_act, config.fusion) == (1024, "relu", "mul")
    assert config.mask_embedding is False and config.key_layout == "volta"


@pytest.mark.parametrize(
    ("name", "row"), [("ctrl_vl-bert_base", "first"), ("vl-bert_base", "last"), ("lxmert", "none")]
)
def test_trap_8_the_global_row_is_where_the_config_says(name: str, row: str) -> None:
    assert volta.read_config(volta_config(name)).global_row == row


@torch.no_grad()
def test_trap_8_the_image_pooler_reads_the_global_row() -> None:
    model, values = engine("ctrl_uniter_base"), volta_config("ctrl_uniter_base")
    got = run(model, examples(values))
    want = torch.relu(model.image_pooler(got["image"][:, 0]))
    close(got["pooled"]["image"], want)
    with pytest.raises(ValueError, match="set global_row='first'"):
        volta.read_config({**values, "add_global_imgfeat": "last"})


@torch.no_grad()
def test_trap_9_the_last_row_goes_into_every_word_piece() -> None:
    """Only VL-BERT's text embeddings know the picture: the last row of it, and of it alone."""
    for name in SINGLE:
        model, (example, *_) = engine(name), examples(volta_config(name), hide=False)
        before = run(model, [example])["heard"].states[-1]["text"]
        for row, changes in ((-1, "vl-bert" in name), (0, False), (2, False)):
            other = examples(volta_config(name), hide=False)[0]
            other.features[row] += 1
            after = run(model, [other])["heard"].states[-1]["text"]
            assert torch.equal(before, after) != changes
            assert not changes or ((before - after).abs().amax(dim=-1) > 1e-3).all()


@torch.no_grad()
def test_trap_9_a_hidden_row_of_vlbert_is_the_learned_one() -> None:
    """Zero features and a region mask mean the same; the row's box still counts."""
    for name in ("ctrl_vl-bert_base", "vl-bert_base"):
        model, (example, *_) = engine(name), examples(volta_config(name))
        zero = run(model, [example])["image"]
        filled = examples(volta_config(name), hide=False)[0]
        hide = torch.tensor([[False, True, False, False, False]])
        assert torch.equal(zero, run(model, [filled], region_mask=hide)["image"])
        assert not torch.equal(zero, run(model, [filled])["image"])
        filled.locations[1, :4] += 0.05
        assert not torch.equal(zero, run(model, [filled], region_mask=hide)["image"])


@torch.no_grad()
def test_trap_9_the_only_row_is_the_last_row() -> None:
    values = volta_config("ctrl_vl-bert_base")
    example = examples(values, hide=False)[0]
    example.features.resize_(1, values["v_feature_size"])
    example.locations.resize_(1, 5)
    got = run(engine("ctrl_vl-bert_base"), [example])
    want = reference.run(
        values, checkpoint("ctrl_vl-bert_base"), example.ids, example.features, example.locations
    )
    close(got["image"][0], want["states"][max(want["states"])][1])


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_trap_9_no_input_is_written_into(name: str) -> None:
    """The original writes VL-BERT's hidden rows into the caller's features."""
    model, given = engine(name), examples(volta_config(name))[0]
    copies = [t.clone() for t in (given.ids, given.features, given.locations)]
    ids, features, locations = given.ids[None], given.features[None], given.locations[None]
    model(ids, torch.ones(1, 6), features, locations[..., : model.config.location_size], torch.ones(1, 5))
    assert all(map(torch.equal, copies, (given.ids, given.features, given.locations)))
    assert not features[0, 1].any()


@torch.no_grad()
def test_trap_10_visualbert_knows_nothing_of_boxes() -> None:
    """Every region has position row 0 and type row 1 of the visual tables, and the text's norm."""
    model = engine_of(volta_config("ctrl_visualbert_base"))
    assert model.config.location_size == 0
    embedding = model.image_embedding
    embedding.position.weight[1:] += 1
    embedding.token_type.weight[0] += 1
    compare(model, volta_config("ctrl_visualbert_base"))
    example = examples(volta_config("ctrl_visualbert_base"), hide=False)[0]
    example.features[:] = example.features[0]
    image = run(model, [example])["heard"].states[-1]["image"][0]
    close(image, image[:1].expand_as(image))


@pytest.mark.parametrize("name", SINGLE)
@torch.no_grad()
def test_trap_11_masking_all_image_rows_is_exact_in_one_stream(name: str) -> None:
    model, example = engine(name), examples(volta_config(name), hide=False)[0]
    ids, text = example.ids[None], torch.ones(1, 6)
    size = model.config.location_size
    given = example.features[None], example.locations[None][..., :size]
    masked = model(ids, text, *given, torch.zeros(1, 5))[0]
    closed = model(ids, text, *given, torch.ones(1, 5), closed=("text->image",))[0]
    nothing = given[0][:, :0], given[1][:, :0]
    bare = model(ids, text, *nothing, torch.zeros(1, 0))[0]
    close(masked, closed)
    close(masked, bare)


@pytest.mark.parametrize("name", [*VILBERT, *LXMERT])
@torch.no_grad()
def test_trap_11_masking_all_image_rows_is_no_ablation_of_co_attention(name: str) -> None:
    """The text still looks at the masked picture; closing the gate takes it away exactly."""
    model = engine(name)

    def text(mask: int, closed: tuple[str, ...] = ()) -> list[Tensor]:
        states = []
        for more in (0.0, 1.0):
            example = examples(volta_config(name), hide=False)[0]
            given = example.features[None] + more, example.locations[None]
            image_mask = torch.full((1, 5), float(mask))
            out = model(example.ids[None], torch.ones(1, 6), *given, image_mask, closed=closed)
            states.append(out[0])
        return states

    assert not torch.allclose(*text(mask=0), atol=1e-3)
    assert torch.equal(*text(mask=1, closed=("text->image",)))


@pytest.mark.parametrize("name", NAMES)
def test_trap_13_copies_of_a_tied_tensor_must_be_equal(name: str) -> None:
    values = volta_config(name)
    state, groups = reference.random_state(values), reference.tied(values)
    for group in (groups[0], groups[-1]):
        for copy in sorted(group)[1:]:
            changed = {**state, copy: state[copy] + 1e-6}
            with pytest.raises(ValueError, match="must be the same tensor as"):
                build_from(volta.read_config(values), changed)


@torch.no_grad()
def test_trap_14_sizes_of_sublayers_have_strings_as_keys() -> None:
    """JSON's keys are strings; the gates are numbers. Both forms are understood, and neither is ignored."""
    values = volta_config("vilbert_base")
    assert set(values["sublayer2attn_hidden_size"]) == {"4", "8", "12"}
    numbers = {k: {int(i): n for i, n in values[k].items()} for k in values if k.startswith("sublayer2")}
    assert volta.read_config({**values, **numbers}) == volta.read_config(values)
    with pytest.raises(ValueError, match="sublayer 2 has num_attention_heads 4, and 3 was expected"):
        volta.read_config({**values, "sublayer2num_attention_heads": {"2": 4, "4": 2, "8": 2, "12": 2}})
    with pytest.raises(ValueError, match="sublayer 8 has attn_hidden_size 24, and 20 was expected"):
        volta.read_config({**values, "sublayer2attn_hidden_size": {"4": 20, "12": 20}})
    with pytest.raises(ValueError, match="sublayer 4 has v_num_attention_heads 4, and 2 was expected"):
        volta.read_config({**values, "sublayer2v_num_attention_heads": {"4": 4}})
    with pytest.raises(ValueError, match="sublayer 1 has intermediate_size 30, and 28 was expected"):
        volta.read_config({**values, "sublayer2intermediate_size": {"1": 30}})


def test_trap_14_vilbert_base_has_12_heads_in_text_and_8_in_co_attention() -> None:
    config = volta.read_config(volta_config("vilbert_base", small=False))
    assert config.attention_size("text", cross=False) == (768, 12)
    assert config.attention_size("text", cross=True) == (1024, 8)
    assert (
        config.attention_size("image", cross=True) == config.attention_size("image", cross=False) == (1024, 8)
    )
    ctrl = volta.read_config(volta_config("ctrl_vilbert_base", small=False))
    assert ctrl.attention_size("text", cross=True) == (768, 12)


def test_the_heads_for_answers_and_for_fine_tuning_are_left_alone() -> None:
    values = volta_config("original_lxmert")
    state = reference.random_state(values)
    assert sum(key.startswith("cls.qaPredictions.") for key in state) == 6
    more = {"clfs_dict.TASK1.logit_fc.0.weight": torch.zeros(2, 2)}
    assert build_from(volta.read_config(values), {**state, **more}).config.region_targets[0] == ("3", 1600)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_embeddings": "uc2"}, "image_embeddings is 'uc2'; this kit reads 'uniter', 'lxmert'"),
        ({"model": "roberta"}, "model is 'roberta'; this kit reads 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; this kit reads 'gelu'"),
        ({"norm_embeddings": True}, "norm_embeddings is True"),
        ({"fusion_method": "vl-bert_vqa"}, "fusion_method is 'vl-bert_vqa'; this kit reads 'mul', 'sum'"),
        ({"fusion_act": "gelu"}, "fusion_act is 'gelu'; this kit reads 'relu', 'tanh'"),
        ({"v_pooler_size": 24}, "pooler_size is 20 and v_pooler_size 24"),
        ({"visual_target_weights": {"9": 1}}, "visual target '9' is unknown; known: 0, 1, 2, 3, 4, 5, 6"),
        ({"intermediate_size": 30}, "share weights"),
    ],
)
def test_what_the_kit_does_not_compute_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        volta.read_config(volta_config("ctrl_uniter_base", **changes))


def test_missing_keys_are_named() -> None:
    values = volta_config("ctrl_vl-bert_base")
    for lost in ("vocab_size", "v_coordinate_embeddings_dim", "tv_attn_sublayers"):
        with pytest.raises(ValueError, match=f"lacks {lost}$"):
            volta.read_config({k: v for k, v in values.items() if k != lost})


def test_defaults_of_absent_keys_are_voltas() -> None:
    absent = ("pooler_size", "v_pooler_size", "fusion_method", "num_locs", "add_global_imgfeat", "model")
    values = volta_config("ctrl_lxmert")
    config = volta.read_config(
        {**{k: v for k, v in values.items() if k not in absent}, "fusion_method": "text"}
    )
    assert (config.pooler_width, config.location_size, config.global_row) == (768, 5, "none")
    with pytest.raises(ValueError, match="pooler_size is 768 and v_pooler_size 1024"):
        volta.read_config({k: v for k, v in values.items() if k not in absent})
