"""From a checkpoint file to a model: families, prefixes, precision, heads, configs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LxmertForPreTraining, LxmertForQuestionAnswering, LxmertModel

from tests.models import test_lxmert
from tests.models.official_files import (
    PIECES,
    POSITIONS,
    SPREAD,
    UNITER_CONFIG,
    WIDTH,
    key_list,
    renamed,
    small_state,
    write_json,
    write_vocabulary,
)
from tests.models.samples import FILES, Sample
from tests.tiny import save_tiny, tiny_examples
from value_nb.models import registry
from value_nb.models.base import VLModel
from value_nb.models.gated import GatedVL
from value_nb.models.keys import from_engine

UNITER = "uniter_base"
HALF = 1e-3


def save(path: Path, state: dict[str, Tensor], rows: int = len(PIECES)) -> Path:
    """A checkpoint with a vocabulary beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    write_vocabulary(path.parent / "vocab.txt", rows)
    return path


def load_model(*arguments: Any, **options: Any) -> GatedVL:
    model = registry.load_model(*arguments, **options)
    assert isinstance(model, GatedVL)
    return model


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_json(tmp_path / "uniter-tiny.json", UNITER_CONFIG)


def logits(model: VLModel, n: int = 3) -> Tensor:
    return model._matching_logits(model.run(model.prepare(tiny_examples(n))))


def equal(one: VLModel, other: VLModel) -> bool:
    a, b = one.module.state_dict(), other.module.state_dict()
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


# --- UNITER -----------------------------------------------------------------------------------------------


def test_a_uniter_file_becomes_a_model(tmp_path: Path, config: Path) -> None:
    path = save(tmp_path / "uniter-tiny.pt", small_state(UNITER))
    model = load_model("uniter", checkpoint=path, config=config)
    assert (model.name, model.family, model.weights, model.card) == ("uniter-tiny", "uniter", "trained", {})
    assert (model.stacks, model.config.location_size, model.config.match_index) == ({"joint": 2}, 7, 1)
    assert model.config.pooler_act == "tanh" and model.config.global_row == "none"
    examples = tiny_examples(3)
    assert ((model.matching(examples) > 0) & (model.matching(examples) < 1)).all()
    assert np.isfinite(model.masked_words(examples, [0, 0, 0]).log_probability).all()
    assert {"matching score: itm_output, index 1 means match", f"config from {config}"} <= set(model.notes)
    assert model.config.feature_source.startswith("bottom-up attention, ResNet-101")


OLD = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for new, old in OLD.items():
        state = {key.replace(new, old): tensor for key, tensor in state.items()}
    return state


SHAPES_OF_FILES = {
    "as published": lambda s: s,
    "bert.": lambda s: renamed(s, "uniter.", "bert."),
    "no prefix": lambda s: renamed(s, "uniter.", ""),
    "module.": lambda s: {f"module.{key}": tensor for key, tensor in s.items()},
    "gamma and beta": old_names,
    "in a wrapper": lambda s: {"model": s, "step": 7},
}


@pytest.mark.parametrize("form", SHAPES_OF_FILES)
def test_every_way_of_writing_it_gives_the_same_model(form: str, tmp_path: Path, config: Path) -> None:
    state = small_state(UNITER)
    plain = load_model("uniter", checkpoint=save(tmp_path / "a.pt", state), config=config)
    other = load_model(
        "uniter", checkpoint=save(tmp_path / "b.pt", SHAPES_OF_FILES[form](state)), config=config
    )
    assert equal(plain, other)
    word = plain.module.state_dict()["text_embedding.word.weight"]
    assert torch.equal(word, state["uniter.embeddings.word_embeddings.weight"])


def test_half_precision_becomes_float32(tmp_path: Path, config: Path) -> None:
    state = {key: tensor.half() for key, tensor in small_state(UNITER).items()}
    model = load_model("uniter", checkpoint=save(tmp_path / "a.pt", state), config=config)
    assert {p.dtype for p in model.module.parameters()} == {torch.float32}
    wanted = {key: tensor.float() for key, tensor in state.items()}
    assert equal(model, load_model("uniter", checkpoint=save(tmp_path / "b.pt", wanted), config=config))


def test_safetensors_and_the_path_alone_are_enough(tmp_path: Path, config: Path) -> None:
    state = small_state(UNITER)
    pt = save(tmp_path / "a.pt", state)
    tied = ("cls.predictions.decoder.weight", "feat_regress.weight")
    save_file({key: tensor for key, tensor in state.items() if key not in tied}, tmp_path / "a.safetensors")
    one = load_model("uniter", checkpoint=pt, config=config)
    assert equal(one, load_model(tmp_path / "a.safetensors", config=config))
    assert equal(one, load_model(str(pt), config=config))


def test_three_rows_of_token_types_are_kept_and_a_picture_takes_row_1(tmp_path: Path, config: Path) -> None:
    """Files fine-tuned on NLVR2; the third row is the second picture's."""
    state = small_state(UNITER)
    two = load_model("uniter", checkpoint=save(tmp_path / "a.pt", state), config=config)
    types = "uniter.embeddings.token_type_embeddings.weight"
    state[types] = torch.cat([state[types], torch.full((1, WIDTH), 9.0)])
    three = load_model("uniter", checkpoint=save(tmp_path / "b.pt", state), config=config)
    assert three.config.type_vocab_size == 3 and torch.equal(logits(two), logits(three))


def nlvr2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A fine-tuned file: no heads of pre-training, one of its own."""
    backbone = {key: tensor for key, tensor in state.items() if key.startswith("uniter.")}
    return backbone | {"nlvr2_output.weight": torch.ones(2, 2 * WIDTH), "nlvr2_output.bias": torch.ones(2)}


def test_heads_that_are_not_used_and_those_that_lack_are_told(tmp_path: Path, config: Path) -> None:
    model = load_model(
        "uniter", checkpoint=save(tmp_path / "a.pt", nlvr2(small_state(UNITER))), config=config
    )
    assert {
        "in the file, and not used: nlvr2_output (2 tensors)", "not in the file: a masked-word head",
        "not in the file: a matching head",
        "no matching score: the file has neither itm_output nor rank_output",
    } <= set(model.notes)  # fmt: skip
    assert model.config.region_targets == () and model.run(model.prepare(tiny_examples(2))).hidden
    with pytest.raises(ValueError, match="no such head"):
        model.matching(tiny_examples(2))


def test_the_ranking_head_scores_where_it_is_alone_or_asked_for(tmp_path: Path, config: Path) -> None:
    state = small_state(UNITER)
    rank = {"rank_output.weight": torch.linspace(-1, 1, WIDTH)[None], "rank_output.bias": torch.tensor([0.5])}
    both = save(tmp_path / "both.pt", state | rank)
    alone = save(tmp_path / "alone.pt", {k: v for k, v in state.items() if "itm_" not in k} | rank)
    plain = load_model("uniter", checkpoint=both, config=config)
    pooled = plain.run(plain.prepare(tiny_examples(3))).pooled["fused"]
    wanted = pooled @ rank["rank_output.weight"][0] + 0.5
    for model in (
        load_model("uniter", checkpoint=alone, config=config),
        load_model("uniter", checkpoint=both, config=config, matching="rank_output"),
    ):
        torch.testing.assert_close(logits(model), wanted, atol=1e-6, rtol=0)
        assert "matching score: rank_output, a single logit" in model.notes
    itm = torch.nn.functional.linear(pooled, state["itm_output.weight"], state["itm_output.bias"])
    torch.testing.assert_close(logits(plain), itm[:, 1] - itm[:, 0], atol=1e-6, rtol=0)
    assert "in the file, and not used: rank_output (2 tensors)" in plain.notes
    with pytest.raises(ValueError, match="matching is 'itm_output'; this file has 'rank_output'"):
        load_model("uniter", checkpoint=alone, config=config, matching="itm_output")
    with pytest.raises(ValueError, match="matching is 'cls'; this file has 'itm_output' and 'rank_output'"):
        load_model("uniter", checkpoint=both, config=config, matching="cls")


def test_missing_and_left_over_tensors_are_listed_with_the_file(tmp_path: Path, config: Path) -> None:
    state = small_state(UNITER)
    gone = state.pop("uniter.img_embeddings.pos_linear.bias")
    path = save(tmp_path / "a.pt", state | {"uniter.encoder.layer.1.extra.weight": gone})
    with pytest.raises(
        ValueError,
        match=r"a\.pt: .*missing: img_embeddings\.pos_linear\.bias; "
        r"left over: encoder\.layer\.1\.extra\.weight",
    ):
        load_model("uniter", checkpoint=path, config=config)


def test_tied_tensors_that_differ_are_refused(tmp_path: Path, config: Path) -> None:
    state = small_state(UNITER)
    state["feat_regress.weight"] = state["feat_regress.weight"] + 1
    with pytest.raises(
        ValueError, match=r"'feat_regress\.weight' must be the same tensor as 'img_embeddings"
    ):
        load_model("uniter", checkpoint=save(tmp_path / "a.pt", state), config=config)
    state = small_state(UNITER)
    state["cls.predictions.decoder.bias"] = state["cls.predictions.bias"] + 1
    with pytest.raises(ValueError, match=r"'cls\.predictions\.decoder\.bias' must be the same tensor"):
        load_model("uniter", checkpoint=save(tmp_path / "b.pt", state), config=config)


def test_a_text_only_start_is_told_from_a_uniter(tmp_path: Path) -> None:
    """uniter-base-init.pt is a BERT whose names say uniter."""
    state = {k: v for k, v in small_state(UNITER).items() if "img_" not in k and k.startswith("uniter.")}
    with pytest.raises(ValueError, match="looks like a text-only BERT"):
        load_model("uniter", checkpoint=save(tmp_path / "a.pt", state))


def test_widths_that_are_not_official_need_a_config(tmp_path: Path, config: Path) -> None:
    path = save(tmp_path / "a.pt", small_state(UNITER))
    with pytest.raises(ValueError, match=r"UNITER of width 24 .* give its config, config=PATH .*uniter-base"):
        load_model("uniter", checkpoint=path)


def test_sizes_are_told_by_shapes_of_heads_64_wide(tmp_path: Path, config: Path) -> None:
    """The same file, 128 wide: two heads, with the config and without."""
    state = {}
    for index, (key, tensor) in enumerate(small_state(UNITER).items()):
        shape = [128 if n == WIDTH else n for n in tensor.shape]
        state[key] = torch.randn(shape, generator=torch.Generator().manual_seed(index)) * SPREAD
    state["cls.predictions.decoder.weight"] = state["uniter.embeddings.word_embeddings.weight"]
    state["feat_regress.weight"] = state["uniter.img_embeddings.img_linear.weight"]
    path = save(tmp_path / "a.pt", state)
    wide = write_json(tmp_path / "w.json", {**UNITER_CONFIG, "hidden_size": 128, "num_attention_heads": 2})
    told, said = load_model("uniter", checkpoint=path), load_model("uniter", checkpoint=path, config=wide)
    assert told.config == said.config and equal(told, said)
    assert "sizes told by the tensors' shapes, heads by their width" in told.notes


# --- LXMERT -----------------------------------------------------------------------------------------------


@pytest.fixture
def reference() -> LxmertForPreTraining:
    """A LXMERT of transformers whose weights are those of a half-precision file."""
    return test_lxmert.theirs().half().float().eval()


def official(reference: LxmertForPreTraining, prefix: str) -> dict[str, Tensor]:
    """The state under the names of the authors' .pth."""
    return renamed({k: v.half() for k, v in reference.state_dict().items()}, "lxmert.", prefix)


LXMERT_ROWS = 50


def lxmert_config(reference: LxmertForPreTraining, path: Path) -> Path:
    return write_json(path, reference.config.to_dict())


@pytest.mark.parametrize("prefix", ["bert.", "module.bert.", "lxmert."])
def test_the_authors_lxmert_file_equals_transformers(
    prefix: str, tmp_path: Path, reference: LxmertForPreTraining
) -> None:
    path = save(tmp_path / "Epoch20_LXRT.pth", official(reference, prefix), LXMERT_ROWS)
    config = lxmert_config(reference, tmp_path / "c.json")
    model = load_model("lxmert", checkpoint=path, config=config, dtype="float64")
    test_lxmert.compare_layers(model.module, reference.double(), test_lxmert.inputs(4))
    assert any(note.startswith("in the file, and not used: answer_head") for note in model.notes)
    assert model.config.match_index == 1 and model.config.pooler_act == "tanh"


@torch.no_grad()
def heads_equal(model: GatedVL, reference: LxmertForPreTraining) -> None:
    given = test_lxmert.inputs(4)
    _, text, image, pooled = test_lxmert.ours(model.module, given)
    words, matching = reference.cls(text, pooled["fused"])
    test_lxmert.close(model.module.masked_word_logits(text), words)
    test_lxmert.close(model.module.matching_logits(pooled), matching)
    regions = reference.obj_predict_head(image)
    for name, theirs in {"class": "obj", "attribute": "attr", "feature": "feat"}.items():
        test_lxmert.close(model.module.masked_region_outputs(image)[name], regions[theirs])


@pytest.mark.parametrize("shards", [False, True])
def test_a_hub_folder_of_lxmert_equals_transformers(shards: bool, tmp_path: Path) -> None:
    reference = test_lxmert.theirs().float()
    reference.save_pretrained(tmp_path / "hub", max_shard_size="20KB" if shards else "5GB")
    assert (tmp_path / "hub" / "model.safetensors.index.json").is_file() == shards
    write_vocabulary(tmp_path / "hub" / "vocab.txt", LXMERT_ROWS)
    model = load_model(tmp_path / "hub", dtype="float64")
    assert (model.name, model.family) == ("hub", "lxmert")
    test_lxmert.compare_layers(model.module, reference.double(), test_lxmert.inputs(6))
    heads_equal(model, reference)


@pytest.mark.parametrize("kind", [LxmertModel, LxmertForQuestionAnswering])
def test_hub_folders_without_heads_are_read(kind: type, tmp_path: Path) -> None:
    whole = test_lxmert.theirs().float()
    other = kind(whole.config)
    backbone = other if kind is LxmertModel else other.lxmert
    backbone.load_state_dict(whole.lxmert.state_dict())
    other.save_pretrained(tmp_path / "hub")
    write_vocabulary(tmp_path / "hub" / "vocab.txt", LXMERT_ROWS)
    model = load_model(tmp_path / "hub", dtype="float64")
    test_lxmert.compare_layers(model.module, whole.double(), test_lxmert.inputs(4))
    config = model.config
    assert (config.word_head, config.matching_head, config.region_targets) == (False, False, ())
    answers = "in the file, and not used: answer_head (6 tensors)"
    assert (answers in model.notes) == (kind is LxmertForQuestionAnswering)


def test_a_region_target_that_the_file_lacks_is_left_out(
    tmp_path: Path, reference: LxmertForPreTraining
) -> None:
    state = {k: v for k, v in official(reference, "bert.").items() if "decoder_dict.attr" not in k}
    config = lxmert_config(reference, tmp_path / "c.json")
    model = load_model("lxmert", checkpoint=save(tmp_path / "a.pth", state, LXMERT_ROWS), config=config)
    assert [name for name, _ in model.config.region_targets] == ["class", "feature"]


# --- ViLBERT ----------------------------------------------------------------------------------------------

VILBERT = FILES / "vilbert_pretrain"


@pytest.fixture
def vilbert(tmp_path: Path) -> Path:
    """The sample of the original code, as a file of torch.save."""
    sample = Sample("vilbert_pretrain")
    return save(tmp_path / "pytorch_model_9.bin", sample.weights, sample.config["vocab_size"])


def test_the_original_vilbert_sample_goes_through(vilbert: Path) -> None:
    sample = Sample("vilbert_pretrain")
    model = load_model("vilbert", checkpoint=vilbert, config=VILBERT / "config.json")
    text, image, pooled, _ = sample.run(model.module)
    for stream, name in (("text", "pooled_t"), ("image", "pooled_v"), ("fused", "pooled")):
        sample.check(pooled[stream], name)
    sample.check(model.module.masked_word_logits(text), "mlm_logits")
    sample.check(model.module.matching_logits(pooled), "itm_logits")
    sample.check(model.module.masked_region_outputs(image)["class"], "img_logits")
    config = model.config
    assert (config.match_index, config.pooler_act, config.global_row, config.location_size) == (
        0,
        "relu",
        "first",
        5,
    )
    assert any("biOutput.q_dense1" in note for note in model.notes), "unused by the original, and told"


def test_vilbert_of_other_sizes_needs_its_config(vilbert: Path) -> None:
    with pytest.raises(ValueError, match=r"ViLBERT of widths .* is none of the official ones.*config=PATH"):
        load_model("vilbert", checkpoint=vilbert)
    with pytest.raises(ValueError, match="task is 8, and this model has no task tokens"):
        load_model("vilbert", checkpoint=vilbert, config=VILBERT / "config.json", task=8)


@pytest.fixture
def multi_task(tmp_path: Path) -> Path:
    sample = Sample("vilbert_pretrain")
    rows = torch.randn(20, sample.config["hidden_size"], generator=torch.Generator().manual_seed(3))
    state = sample.weights | {
        "bert.embeddings.task_embeddings.weight": rows, "vil_logit.weight": torch.ones(1, 3),
        "linguisic_logit.bias": torch.ones(1),
    }  # fmt: skip
    return save(tmp_path / "multi_task_model.bin", state, sample.config["vocab_size"])


def test_the_multi_task_vilbert_is_told_its_task(multi_task: Path) -> None:
    options = {"checkpoint": multi_task, "config": VILBERT / "config.json"}
    with pytest.raises(ValueError, match=r"task is None; .*7 COCO retrieval, 8 Flickr30k retrieval"):
        load_model("vilbert", **options)
    with pytest.raises(ValueError, match="task is 20"):
        load_model("vilbert", **options, task=20)
    seven, eight = (load_model("vilbert", **options, task=task) for task in (7, 8))
    assert eight.name == "multi_task_model [task 8]" and eight.config.task_rows == 20
    assert eight.config.feature_source.startswith("ResNeXt-152")
    assert {"task 8: Flickr30k retrieval", "in the file, and not used: vil_logit (1 tensors)"} <= set(
        eight.notes
    )
    width = eight.config.feature_size
    examples = [e for e in tiny_examples(2) if _widen(e, width)]
    a, b = (model.run(model.prepare(examples)).pooled["fused"] for model in (seven, eight))
    assert not torch.equal(a, b)
    with pytest.warns(UserWarning, match="none of those that the released multi-task model was trained on"):
        load_model("vilbert", **options, task=3)


def _widen(example: Any, width: int) -> bool:
    regions = example.regions
    object.__setattr__(regions, "features", np.ones((len(regions), width), dtype=np.float32))
    return True


# --- VOLTA ------------------------------------------------------------------------------------------------


def test_voltas_sample_goes_through(tmp_path: Path) -> None:
    sample = Sample("volta_uniter")
    path = save(tmp_path / "pytorch_model_9.bin", sample.weights, sample.config["vocab_size"])
    with pytest.raises(ValueError, match=r"a VOLTA checkpoint needs its config, config=PATH"):
        load_model("volta", checkpoint=path)
    model = load_model("volta", checkpoint=path, config=FILES / "volta_uniter" / "config.json")
    assert model.family == "uniter" and model.config.key_layout == "volta" and model.config.match_index == 0
    text, _, pooled, _ = sample.run(model.module)
    sample.check(pooled["fused"], "pooled")
    sample.check(model.module.masked_word_logits(text), "mlm_logits")


# --- what is refused --------------------------------------------------------------------------------------


def test_a_file_of_another_family_is_named(tmp_path: Path, vilbert: Path, config: Path) -> None:
    with pytest.raises(
        ValueError, match=r'has the tensors of ViLBERT, and was to be read as UNITER: load_model\("vilbert"'
    ):
        load_model("uniter", checkpoint=vilbert, config=config)
    with pytest.raises(ValueError, match=r"is no checkpoint of uniter, .*tensors are called a, b, \.\.\."):
        load_model(save(tmp_path / "x.pt", {"a": torch.ones(2), "b": torch.ones(2)}))


def test_configs_that_do_not_fit_are_named(tmp_path: Path, vilbert: Path, config: Path) -> None:
    with pytest.raises(ValueError, match=r"uniter-tiny\.json: the config lacks .*; expected one of ViLBERT"):
        load_model("vilbert", checkpoint=vilbert, config=config)
    with pytest.raises(ValueError, match=r"there is no config .*nowhere\.json"):
        load_model("vilbert", checkpoint=vilbert, config=tmp_path / "nowhere.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match=r"broken\.json cannot be read as JSON"):
        load_model("vilbert", checkpoint=vilbert, config=tmp_path / "broken.json")
    path = save(tmp_path / "a.pt", small_state(UNITER))
    relu = write_json(tmp_path / "relu.json", {**UNITER_CONFIG, "hidden_act": "relu"})
    with pytest.raises(ValueError, match=r"relu\.json: hidden_act is 'relu'; only 'gelu'"):
        load_model("uniter", checkpoint=path, config=relu)
    wrong = write_json(tmp_path / "wrong.json", {**UNITER_CONFIG, "intermediate_size": 41})
    with pytest.raises(ValueError, match=r"a\.pt: sizes of the file and of the config differ"):
        load_model("uniter", checkpoint=path, config=wrong)
    own = json.loads((VILBERT / "config.json").read_text())
    summed = write_json(tmp_path / "sum.json", {**own, "fusion_method": "sum"})
    with pytest.raises(ValueError, match="fusion_method is 'sum'"):
        load_model("vilbert", checkpoint=vilbert, config=summed)


def test_the_vocabulary_of_the_other_case_is_refused(tmp_path: Path, config: Path) -> None:
    path = save(tmp_path / "a.pt", small_state(UNITER), rows=len(PIECES) + 2)
    with pytest.raises(ValueError, match=r"vocab\.txt has 21 pieces and the checkpoint 19 .*Cased/uncased\?"):
        load_model("uniter", checkpoint=path, config=config)
    right = write_vocabulary(tmp_path / "right" / "vocab.txt")
    model = load_model("uniter", checkpoint=path, config=config, tokenizer=right)
    assert f"word pieces from {right}" in model.notes
    assert model.words.pieces("Man") == (model.words.unknown,), "UNITER's pieces are cased"


def test_without_a_vocabulary_it_says_what_to_get(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path))
    path = tmp_path / "a.pt"
    torch.save(small_state(UNITER), path)
    with pytest.raises(ValueError, match=r'Run vnb\.fetch\("bert-base-cased"\), or give tokenizer=PATH'):
        load_model("uniter", checkpoint=path, config=config)


def test_options_without_meaning_are_refused(tmp_path: Path, config: Path, vilbert: Path) -> None:
    path = save(tmp_path / "a.pt", small_state(UNITER))
    for options, said in (
        ({"seed": 1}, "seed=1 chooses among the trainings"),
        ({"step": 5}, "step=5 chooses among the checkpoints"),
        ({"task": 8}, "task is 8, and this model has no task tokens"),
    ):
        with pytest.raises(ValueError, match=said):
            load_model("uniter", checkpoint=path, config=config, **options)
    with pytest.raises(ValueError, match="chooses between the two heads of a fine-tuned UNITER"):
        load_model("vilbert", checkpoint=vilbert, config=VILBERT / "config.json", matching="itm_output")
    with pytest.raises(ValueError, match="'uniter' is a family: say which file, checkpoint=PATH"):
        load_model("uniter")
    with pytest.raises(ValueError, match="'unitre' is none of uniter, lxmert"):
        load_model("unitre", checkpoint=path)
    with pytest.raises(ValueError, match=r"there is no checkpoint .*nowhere\.pt"):
        load_model("uniter", checkpoint=tmp_path / "nowhere.pt")


@pytest.mark.parametrize("family", ["uniter", "bert"])
def test_options_of_checkpoints_are_refused_for_other_folders(
    family: str, tmp_path: Path, config: Path
) -> None:
    directory = save_tiny(tmp_path / "here", family)
    for options in ({"config": config}, {"matching": "itm_output"}, {"task": 8}):
        with pytest.raises(
            ValueError, match=r"has no meaning for|task is 8, and this model has no task tokens"
        ):
            registry.load_model(directory, **options)
    given = write_vocabulary(tmp_path / "vocab.txt")
    (directory / "tokenizer.json").unlink()
    assert registry.load_model(directory, tokenizer=given).words.vocab_size == len(PIECES)
    with pytest.raises(ValueError, match=r"tokenizer='.*nowhere' is no tokenizer\.json or vocab\.txt"):
        registry.load_model(directory, tokenizer=tmp_path / "nowhere")


def test_a_pickled_payload_is_refused_by_load_model(tmp_path: Path) -> None:
    from tests.models.test_checkpoint import Payload

    torch.save({**small_state(UNITER), "x": Payload(tmp_path / "ran")}, tmp_path / "evil.pt")
    for arguments in ({"name_or_path": tmp_path / "evil.pt"},
                      {"name_or_path": "uniter", "checkpoint": tmp_path / "evil.pt"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"evil\.pt is refused"):
            load_model(**arguments)
    assert not (tmp_path / "ran").exists()


# --- and then -----------------------------------------------------------------------------------------------


def test_random_weights_have_the_files_architecture(tmp_path: Path, config: Path) -> None:
    path = save(tmp_path / "a.pt", nlvr2(small_state(UNITER)))
    trained = load_model("uniter", checkpoint=path, config=config)
    fresh = load_model("uniter", checkpoint=path, config=config, random_weights=4)
    assert fresh.config == trained.config and fresh.weights == "random:4" and not equal(fresh, trained)
    assert equal(fresh, trained.with_random_weights(4))


def test_a_reader_of_ones_own(tmp_path: Path) -> None:
    found = registry.load_model("tests.models.test_official:my_reader", checkpoint=tmp_path, random_weights=3)
    assert (found.name, found.weights) == ("mine", "random:3")
    with pytest.raises(ValueError, match=r"returned PosixPath; expected a VLModel"):
        registry.load_model("tests.models.test_official:not_a_reader", checkpoint=tmp_path)
    with pytest.raises(ValueError, match="task=8 has no meaning for a reader of your own"):
        registry.load_model("tests.models.test_official:my_reader", checkpoint=tmp_path, task=8)


def my_reader(path: Path, random_weights: int | None = None) -> VLModel:
    from tests.tiny import tiny_model

    model = tiny_model("uniter", seed=random_weights or 0)
    model.name = "mine"
    return model


def not_a_reader(path: Path, random_weights: int | None = None) -> Path:
    return path


CASES = ("uniter", "lxmert", "vilbert", "volta")


@pytest.mark.parametrize("family", CASES)
def test_a_traced_run_is_the_untraced_run(family: str, tmp_path: Path, config: Path, vilbert: Path) -> None:
    """To the last bit: listening changes nothing."""
    if family == "uniter":
        model = load_model(
            "uniter", checkpoint=save(tmp_path / "a" / "a.pt", small_state(UNITER)), config=config
        )
    elif family == "lxmert":
        reference = test_lxmert.theirs().float()
        path = save(tmp_path / "l" / "a.pth", official(reference, "bert."), LXMERT_ROWS)
        model = load_model("lxmert", checkpoint=path, config=lxmert_config(reference, tmp_path / "c.json"))
    elif family == "vilbert":
        model = load_model("vilbert", checkpoint=vilbert, config=VILBERT / "config.json")
    else:
        sample = Sample("volta_uniter")
        path = save(tmp_path / "v" / "a.bin", sample.weights, sample.config["vocab_size"])
        model = load_model("volta", checkpoint=path, config=FILES / "volta_uniter" / "config.json")
    examples = [e for e in tiny_examples(4) if _widen(e, model.config.feature_size)]
    batch, heard = model.prepare(examples), []
    plain, traced = model.run(batch), model.run(batch, heard.append)
    assert len(heard) == sum(model.stacks.values()) + len(model.stacks)
    for part in ("hidden", "pooled"):
        one, other = getattr(plain, part), getattr(traced, part)
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(model._matching_logits(plain), model._matching_logits(traced))


def test_the_small_files_have_every_official_name() -> None:
    """The stand-ins of these tests are the published lists, scaled down."""
    state = small_state(UNITER)
    assert set(state) == {
        key for key in key_list(UNITER) if not any(f"layer.{n}." in key for n in range(2, 12))
    }
    assert state["uniter.embeddings.position_embeddings.weight"].shape == (POSITIONS, WIDTH)


def test_a_written_file_has_the_names_that_were_read(tmp_path: Path, config: Path) -> None:
    state = small_state(UNITER)
    model = load_model("uniter", checkpoint=save(tmp_path / "a.pt", state), config=config)
    from value_nb.models.files import family_of

    written = from_engine(family_of(model.config), model.config, model.module.state_dict())
    tied = {"cls.predictions.decoder.weight", "feat_regress.weight"}
    assert set(written) == set(state) - tied
    assert all(torch.equal(written[name], state[name]) for name in written)
