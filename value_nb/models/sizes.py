"""Sizes of a model told by the shapes of its tensors, where a checkpoint comes without a config."""

from __future__ import annotations

import re

from value_nb.models.keys import Shapes

HEAD_WIDTH = 64
"""Width of a head in every BERT that Google published, and in UNITER and LXMERT, which start from them."""
BERT_VALUES = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02}
"""What no shape can tell, as in all official configs; without effect on a trained model in use."""


def size(shapes: Shapes, name: str, axis: int = 0) -> int:
    """Length of one axis of a tensor; ValueError where the file lacks the tensor."""
    if name not in shapes or len(shapes[name]) <= axis:
        raise ValueError(f"missing: {name}. Sizes are told from it, or else by config=")
    return shapes[name][axis]


def count_layers(shapes: Shapes, prefix: str) -> int:
    """Number of layers whose names begin with `prefix` and a number: the highest number and one."""
    numbers = [re.match(re.escape(prefix) + r"(\d+)\.", name) for name in shapes]
    return max((int(found[1]) + 1 for found in numbers if found), default=0)


def heads_of(width: int, family: str, example: str) -> int:
    """Heads of an official model of this width; ValueError where the width is no multiple of 64."""
    if width % HEAD_WIDTH:
        raise ValueError(
            f"a {family} of width {width} is none of the official ones, and shapes do not tell its heads: "
            f"give its config, config=PATH (a file like {example})"
        )
    return width // HEAD_WIDTH


def bert_sizes(shapes: Shapes, family: str, example: str) -> dict[str, object]:
    """Entries of a BERT-like config.json: widths, vocabulary, positions, token types; heads = width // 64."""
    width = size(shapes, "embeddings.word_embeddings.weight", 1)
    return {
        **BERT_VALUES,
        "hidden_size": width,
        "num_attention_heads": heads_of(width, family, example),
        "intermediate_size": size(shapes, "encoder.layer.0.intermediate.dense.weight"),
        "vocab_size": size(shapes, "embeddings.word_embeddings.weight"),
        "max_position_embeddings": size(shapes, "embeddings.position_embeddings.weight"),
        "type_vocab_size": size(shapes, "embeddings.token_type_embeddings.weight"),
    }
