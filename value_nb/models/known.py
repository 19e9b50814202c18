"""The table of models that have a name: whose they are, where their weights come from, what fits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUNDLED = "shipped in data/mini/models"
BUILD = "run `make mini` in the checkout"
ERDA = "sid.erda.dk"
VOLTA = f"github.com/e-bug/volta, files at {ERDA} (Bugliarello et al. 2021)"
TEN_SEEDS = "ten trainings, seeds 0 to 9: github.com/e-bug/volta"
UNCASED, CASED = "bert-base-uncased", "bert-base-cased"
BUTD_36 = "bottom-up attention, ResNet-101 (Caffe, resnet101_faster_rcnn_final_iter_320000), 36 regions"
VOLTA_36 = "bottom-up attention, ResNet-101 (as airsplay/bottom-up-attention takes them), 36 regions"
BUTD_100 = "bottom-up attention, ResNet-101 (Caffe, resnet101_faster_rcnn_final), 10 to 100 regions"
RESNEXT = "ResNeXt-152 FPN detector (vqa-maskrcnn-benchmark), fc6, up to 100 regions"
STREAM_WORDS = {
    "uniter": "single-stream", "visualbert": "single-stream", "vl-bert": "single-stream",
    "lxmert": "two-stream", "vilbert": "two-stream", "vilt": "single-stream", "bert": "text",
    "visual_bert": "single-stream",
}  # fmt: skip
"""Family, or model_type of a config.json -> streams."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table of models.

    Attributes
    ----------
    name, family, streams
        What to type, whose recipe, and "text", "single-stream" or "two-stream".
    source
        Where the weights come from.
    get
        What to do where they are not here.
    hub
        Repositories of the hub in whose layout the model may lie in the hub's cache, tried in order.
    tokenizer
        Whose word pieces the checkpoint was trained with, where it brings none.
    features
        Which detector's features fit; "" where the checkpoint's family says it.
    recipe
        Name of VOLTA's config for this checkpoint, used where no config lies beside it.
    settings
        Entries of VOLTA's config that hold for this checkpoint whatever the config beside it says.
    """

    name: str
    family: str
    streams: str
    source: str
    get: str
    hub: tuple[str, ...] = ()
    tokenizer: str = UNCASED
    features: str = ""
    recipe: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def _entry(name: str, family: str, source: str, get: str = "", **more: Any) -> Entry:
    return Entry(name, family, STREAM_WORDS[family], source, get or f'run vnb.fetch("{name}")', **more)


def _controlled(name: str, family: str, recipe: str) -> Entry:
    """One of VOLTA's five: the same data, 36 regions and a global row, ten seeds each."""
    return _entry(name, family, f"{VOLTA}; {TEN_SEEDS}", features=VOLTA_36, recipe=recipe)


def _original(name: str, family: str, recipe: str, source: str = "") -> Entry:
    return _entry(name, family, source or f"{VOLTA}, original recipe", features=VOLTA_36, recipe=recipe)


DEAD_UNITER = (
    "the official address has answered 409 since 2024: take VOLTA's `ctrl-uniter` in its place, or give a "
    'file that you have, load_model("uniter", checkpoint=PATH)'
)
UNITER = "github.com/ChenRocks/UNITER (Chen et al. 2020)"
MULTI_TASK = "github.com/facebookresearch/vilbert-multi-task (Lu et al. 2020)"
BETA = "github.com/jiasenlu/vilbert_beta (Lu et al. 2019)"
EPOCH20 = "nlp.cs.unc.edu/data/github_pretrain/lxmert20/Epoch20_LXRT.pth (Tan and Bansal 2019)"
BETA_FILES = (
    "its README links folders that can only be opened by hand; then "
    'load_model("vilbert-beta", checkpoint=PATH)'
)

KNOWN = (
    _entry("mini-bert", "bert", BUNDLED, BUILD),
    _entry("mini-uniter", "uniter", BUNDLED, BUILD),
    _entry("mini-lxmert", "lxmert", BUNDLED, BUILD),
    _entry("mini-vilbert", "vilbert", BUNDLED, BUILD),
    _entry("uniter-base", "uniter", UNITER, DEAD_UNITER, tokenizer=CASED),
    _entry("uniter-large", "uniter", UNITER, DEAD_UNITER, tokenizer=CASED),
    _entry(
        "lxmert-base", "lxmert", "huggingface.co/unc-nlp/lxmert-base-uncased (Tan and Bansal 2019)",
        hub=("unc-nlp/lxmert-base-uncased",),
    ),
    # VOLTA's copy of this file has a ReLU pooler by its config; the official code has tanh, and match is 1.
    _entry("lxmert-official", "lxmert", EPOCH20, recipe="original_lxmert",
           settings={"fusion_act": "tanh", "match_index": 1}),
    _entry("vilbert-base", "vilbert", f"{MULTI_TASK}, pretrained_model.bin", features=RESNEXT),
    _entry("vilbert-multi-task", "vilbert", f"{MULTI_TASK}, multi_task_model.bin", features=RESNEXT),
    _entry("vilbert-beta", "vilbert", BETA, BETA_FILES, features=BUTD_100),
    _controlled("ctrl-uniter", "uniter", "ctrl_uniter_base"),
    _controlled("ctrl-lxmert", "lxmert", "ctrl_lxmert"),
    _controlled("ctrl-vilbert", "vilbert", "ctrl_vilbert_base"),
    _controlled("ctrl-visualbert", "visualbert", "ctrl_visualbert_base"),
    _controlled("ctrl-vl-bert", "vl-bert", "ctrl_vl-bert_base"),
    _original("volta-vilbert", "vilbert", "vilbert_base"),
    _original("volta-lxmert", "lxmert", "lxmert"),
    _original("volta-vl-bert", "vl-bert", "vl-bert_base"),
    _entry(
        "visualbert", "visualbert", "huggingface.co/uclanlp/visualbert-vqa-coco-pre (Li et al. 2019)",
        hub=("uclanlp/visualbert-vqa-coco-pre",),
    ),
    _entry(
        "vilt", "vilt", "huggingface.co/dandelin/vilt-b32-mlm (Kim et al. 2021)",
        hub=("dandelin/vilt-b32-mlm",),
    ),
    _entry(
        UNCASED, "bert", "huggingface.co/google-bert/bert-base-uncased (Devlin et al. 2019)",
        hub=("google-bert/bert-base-uncased", "bert-base-uncased"),
    ),
    _entry(
        CASED, "bert", "huggingface.co/google-bert/bert-base-cased (Devlin et al. 2019)",
        hub=("google-bert/bert-base-cased", "bert-base-cased"), tokenizer=CASED,
    ),
)  # fmt: skip
ENTRIES = {entry.name: entry for entry in KNOWN}
