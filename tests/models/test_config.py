from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.tiny import GATED, tiny_config
from value_nb.models.config import EncoderConfig


@pytest.mark.parametrize("family", GATED)
def test_a_config_survives_its_file(family: str, tmp_path: Path) -> None:
    config = tiny_config(family, feature_source="a small detector")
    assert config.save(tmp_path).read_text().startswith('{\n "model_type": "value_nb-gated"')
    assert EncoderConfig.load(tmp_path) == config


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (
            "uniter",
            {"family": "blip"},
            "family is 'blip'; valid: 'uniter', 'lxmert', 'vilbert', 'visualbert'",
        ),
        ("uniter", {"location_size": 6}, "location_size is 6; valid: 0, 4, 5, 7"),
        ("uniter", {"location_size": 0}, "it is 0 for 'visualbert'"),
        ("uniter", {"image_embedding": "visualbert"}, "location_size is 7 with image_embedding 'visualbert'"),
        ("uniter", {"image_embedding": "vl-bert"}, "coordinate_width is 0 with image_embedding 'vl-bert'"),
        ("uniter", {"coordinate_width": 2}, "at least 1 for 'vl-bert' and 0 for all others"),
        ("uniter", {"image_embedding": "vl-bert", "coordinate_width": 2}, "needs type_vocab_size >= 3"),
        (
            "uniter",
            {"image_embedding": "vl-bert", "coordinate_width": 2, "type_vocab_size": 3},
            "goes with key_layout 'volta'",
        ),
        ("vilbert", {"image_embedding": "visualbert", "location_size": 0}, "shares the norm with the text"),
        ("vilbert", {"global_row": "last"}, "set global_row='first'"),
        ("lxmert", {"fusion": "sum"}, "set global_row='first'"),
        ("lxmert", {"fusion": "none"}, "set matching_head=False"),
        ("lxmert", {"task_rows": -1}, "task_rows is -1"),
        ("uniter", {"pooler_act": "gelu"}, "pooler_act is 'gelu'; valid: 'tanh', 'relu'"),
        ("uniter", {"text_heads": 5}, "text_width 24 is not a multiple of text_heads 5"),
        ("uniter", {"image_ffn": 30}, "share weights"),
        ("uniter", {"text_layers": 1}, "joint_layers >= 1 and no text"),
        ("uniter", {"dropout": 1.0}, r"expected a number in \[0, 1\)"),
        ("uniter", {"region_targets": (("feature", 4),)}, "must equal feature_size 10"),
        ("uniter", {"fusion": "mul"}, "set global_row='first'"),
        ("lxmert", {"image_width": 48}, "text_width 24 and image_width 48 must be equal"),
        ("lxmert", {"cross_layers": 0}, "cross_layers >= 1"),
        ("lxmert", {"text_ids": (1,)}, "belong to gates 'vilbert'"),
        ("vilbert", {"text_ids": (2, 3)}, "expected 3 rising layer numbers between 0 and 4"),
        ("vilbert", {"image_ids": (0, 2, 1)}, r"image_ids is \[0, 2, 1\]"),
        ("vilbert", {"image_embedding": "uniter"}, "text_width must equal image_width"),
    ],
)
def test_what_does_not_go_together_is_refused(family: str, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncoderConfig(**{**asdict(tiny_config(family)), **changes})


def test_unknown_and_missing_fields_are_named() -> None:
    values = tiny_config("uniter").to_dict()
    with pytest.raises(ValueError, match=r"unknown fields \['layers'\]"):
        EncoderConfig.from_dict({**values, "layers": 3})
    with pytest.raises(ValueError, match=r"lacks the fields \['vocab_size'\]"):
        EncoderConfig.from_dict({k: v for k, v in values.items() if k != "vocab_size"})


def test_sizes_by_stream() -> None:
    config = tiny_config("vilbert")
    assert (config.width("text"), config.width("image")) == (24, 20)
    assert config.attention_size("text", cross=True) == config.attention_size("image", cross=True) == (24, 4)
    assert config.attention_size("image", cross=False) == (20, 2)
    assert (config.ffn("text"), config.ffn("image")) == (28, 18)
