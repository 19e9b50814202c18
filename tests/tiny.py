"""Small models, examples and a tokenizer for tests: random weights, odd sizes, no files.

model = tiny_model("uniter", seed=0)          # also "lxmert", "vilbert", "bert"
examples = tiny_examples(4, seed=0)           # captions of different lengths, pictures of different counts
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from value_nb.data.example import Example, Phrase, Regions
from value_nb.models.base import VLModel
from value_nb.models.config import EncoderConfig
from value_nb.models.files import build
from value_nb.models.gated import GatedVL
from value_nb.models.words import WordPieces

FAMILIES = ("uniter", "lxmert", "vilbert", "bert")
GATED = ("uniter", "lxmert", "vilbert")
FEATURE_SIZE = 10
WORDS = ("a", "man", "dog", "hat", "red", "holds", "near", "umbrella", "trombonist", "big")
PIECES = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    "a", "man", "dog", "hat", "red", "holds", "near", "um", "##brel", "##la", "trom", "##bonist", "big", ".",
)  # fmt: skip
CLASSES = ("man", "dog", "hat", "tree")
SPREAD = 0.2  # large enough that every part of a tiny model matters


def tiny_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer in which "umbrella" takes three pieces and "trombonist" two."""
    vocabulary = {piece: index for index, piece in enumerate(PIECES)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def tiny_words() -> WordPieces:
    return WordPieces(tiny_tokenizer())


def tiny_config(family: str, layers: int = 3, heads: int = 3, **changes: Any) -> EncoderConfig:
    """A gated config with odd sizes. `layers`: joint, or text and cross layers (image: one less)."""
    width = 8 * heads
    sizes = {
        f"{part}_{what}": size
        for part in ("text", "image")
        for what, size in (("width", width), ("heads", heads), ("ffn", 28))
    }
    common: dict[str, Any] = {
        "family": family, "gates": family if family != "uniter" else "single", "image_embedding": family,
        "vocab_size": len(PIECES), "feature_size": FEATURE_SIZE, "max_positions": 24, **sizes,
        "cross_width": width, "cross_heads": heads, "pooler_width": width, "initializer_range": SPREAD,
        "region_targets": (("class", len(CLASSES)), ("feature", FEATURE_SIZE)),
    }  # fmt: skip
    own: dict[str, dict[str, Any]] = {
        "uniter": {
            "location_size": 7, "joint_layers": layers, "mask_embedding": True, "region_head": "separate",
        },
        "lxmert": {
            "location_size": 4, "text_layers": layers, "image_layers": max(1, layers - 1),
            "cross_layers": layers,
        },
        "vilbert": {
            "location_size": 5, "text_layers": layers + 2, "image_layers": layers, "cross_layers": layers,
            "text_ids": tuple(range(2, layers + 2)), "image_ids": tuple(range(layers)),
            "image_width": 10 * (heads - 1), "image_heads": heads - 1, "image_ffn": 18,
            "cross_width": 6 * (heads + 1), "cross_heads": heads + 1, "global_row": "first", "fusion": "mul",
            "pooler_act": "relu", "match_index": 0, "region_targets": (("class", len(CLASSES)),),
        },
    }  # fmt: skip
    return EncoderConfig(**{**common, **own[family], **changes})


def tiny_bert_config(layers: int = 3, heads: int = 3) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(PIECES), hidden_size=8 * heads, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=28, max_position_embeddings=24, initializer_range=SPREAD,
    )  # fmt: skip


def tiny_model(family: str, seed: int = 0, layers: int = 3, heads: int = 3, **changes: Any) -> VLModel:
    """A model with random weights; `changes` go to the gated config."""
    name, weights = f"tiny-{family}", f"random:{seed}"
    if family == "bert":
        from value_nb.models import bert

        return bert.BertText(bert.build(tiny_bert_config(layers, heads), seed), tiny_words(), name, weights)
    return GatedVL(build(tiny_config(family, layers, heads, **changes), seed), tiny_words(), name, weights)


def tiny_examples(
    n: int, seed: int = 0, words: tuple[int, int] = (2, 7), regions: tuple[int, int] = (2, 6)
) -> list[Example]:
    """Examples with random captions and pictures; numbers of words and of regions lie in the given ranges."""
    rng = np.random.default_rng(seed)
    return [_example(index, rng, words, regions) for index in range(n)]


def _example(
    index: int, rng: np.random.Generator, words: tuple[int, int], regions: tuple[int, int]
) -> Example:
    caption = tuple(rng.choice(WORDS, size=rng.integers(*words, endpoint=True)).tolist())
    count = int(rng.integers(*regions, endpoint=True))
    return Example(
        id=f"{index}#0",
        image_id=str(index),
        caption=" ".join(caption),
        words=caption,
        size=(320, 240),
        regions=tiny_regions(rng, count),
        phrases=(Phrase(0, 0, "1", ("people",), (0,)),),
        dataset="tiny",
        split="test",
    )


def tiny_regions(rng: np.random.Generator, count: int) -> Regions:
    corners = np.sort(rng.random((count, 2, 2)), axis=1)
    return Regions(
        boxes=corners.reshape(count, 4).astype(np.float32),
        features=rng.normal(size=(count, FEATURE_SIZE)).astype(np.float32),
        names=tuple(rng.choice(CLASSES, size=count).tolist()),
        sources=("annotated",) * count,
        confidence=np.ones(count, dtype=np.float32),
    )


def save_tiny(directory: Path, family: str, seed: int = 0, **changes: Any) -> Path:
    """A model directory as `load_model` reads it, in float16."""
    import torch

    from value_nb.models.files import save_model

    directory.mkdir(parents=True, exist_ok=True)
    if family == "bert":
        from value_nb.models import bert

        bert.build(tiny_bert_config(), seed).to(torch.float16).save_pretrained(directory)
    else:
        save_model(directory, build(tiny_config(family, **changes), seed))
    tiny_tokenizer().save(str(directory / "tokenizer.json"))
    return directory
