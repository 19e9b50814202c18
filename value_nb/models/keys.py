"""Between the names of tensors in a family's checkpoints and the names in the engine, strictly.

A family says, for each module of the engine, where that module stands in its files (`Family.names`). Reading
raises on every backbone tensor that is missing or left over, and on tied tensors that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from value_nb.models.config import EncoderConfig
from value_nb.models.gated_encoder import GatedModel

State = dict[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor without prefix -> its shape."""
Names = dict[str, str | tuple[str, ...]]
"""Engine module or tensor -> name in the file; more than one where the file holds tied copies."""

BERT_ATTENTION = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "norm": "attention.output.LayerNorm",
}
BERT_FEED_FORWARD = {"up": "intermediate.dense", "down": "output.dense", "norm": "output.LayerNorm"}
TEXT_EMBEDDING: Names = {
    "text_embedding.word": ("embeddings.word_embeddings", "cls.predictions.decoder"),
    "text_embedding.position": "embeddings.position_embeddings",
    "text_embedding.token_type": "embeddings.token_type_embeddings",
    "text_embedding.norm": "embeddings.LayerNorm",
}
WORD_HEAD: Names = {
    "word_head": "cls.predictions",
    "word_head.dense": "cls.predictions.transform.dense",
    "word_head.norm": "cls.predictions.transform.LayerNorm",
}
BACKBONE = (
    "embeddings.",
    "img_embeddings.",
    "v_embeddings.",
    "encoder.",
    "pooler.",
    "t_pooler.",
    "v_pooler.",
)
LEFTOVERS = ("embeddings.position_ids",)  # a counter that old versions of transformers stored
HEADS = {"word_head": "word_head.", "matching_head": "matching_head.", "region_targets": "region_head."}
"""Field of the config that says whether a head exists -> prefix of its tensors in the engine."""
COPIES = {"cls.predictions.decoder.bias": "cls.predictions.bias"}
"""A second name that some versions of transformers store -> the name that is read."""


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of checkpoints names its tensors.

    Attributes
    ----------
    name
        For messages.
    prefix
        Written before every backbone name when saving; `prefixes` are those accepted when reading.
    names
        Config -> engine module (or single tensor) -> name without prefix.
    ignored
        Beginnings of names that files of this family are known to hold and the kit does not use (heads of
        fine-tuning). Heads that nobody has heard of are no error either: `set_aside` lists them all.
    unused
        Parts of backbone names that stand in the files and are used by nobody, not even the original code.
    """

    name: str
    prefix: str
    names: Callable[[EncoderConfig], Names]
    prefixes: tuple[str, ...] = ("uniter.", "bert.", "lxmert.")
    ignored: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def may_hold(self, name: str) -> bool:
        """Whether a file may hold a tensor that the model does not ask for: a head, or a known leftover."""
        if not name.startswith(BACKBONE):
            return True
        return name in LEFTOVERS or any(part in name for part in self.unused)


def bert_layer(prefix: str, attention: str, feed_forward: str) -> Names:
    """Names of a layer as BERT writes it: `prefix` in the file, two modules in the engine."""
    found: Names = {f"{attention}.{ours}": f"{prefix}.{theirs}" for ours, theirs in BERT_ATTENTION.items()}
    return found | {
        f"{feed_forward}.{ours}": f"{prefix}.{theirs}" for ours, theirs in BERT_FEED_FORWARD.items()
    }


def sublayers_with(config: EncoderConfig, direction: str, cross: bool = False) -> list[int]:
    """Numbers of the attention sublayers in which a block is open, in order."""
    plan = config.build_gates().sublayers
    return [i for i, step in enumerate(plan) if direction in step.directions and step.cross == cross]


def tensor_names(family: Family, config: EncoderConfig) -> dict[str, tuple[str, ...]]:
    """Engine tensor -> its names in the file, without prefix; the first one is always there."""
    names = family.names(config)
    with torch.device("meta"):
        tensors = list(GatedModel(config).state_dict())
    found = {}
    for tensor in tensors:
        module, _, kind = tensor.rpartition(".")
        if tensor in names:
            found[tensor] = _as_tuple(names[tensor])
        elif module in names:
            found[tensor] = tuple(f"{name}.{kind}" for name in _as_tuple(names[module]))
        else:
            raise KeyError(f"{family.name} has no name for the engine's tensor {tensor!r}")
    return found


def to_engine(family: Family, config: EncoderConfig, state: State) -> tuple[EncoderConfig, State]:
    """Rename a checkpoint's tensors for the engine, in float32.

    Returns the config, without the heads that the file does not hold, and the engine's tensors.
    ValueError names every backbone tensor that is missing, left over, of another shape, or tied and unequal.
    """
    given = plain_names(family, state)
    config = _drop_absent_heads(family, config, given)
    expected = tensor_names(family, config)
    known = {name for names in expected.values() for name in names}
    missing = [names[0] for names in expected.values() if names[0] not in given]
    left_over = [n for n in given if n not in known and not family.may_hold(n)]
    if missing or left_over:
        raise ValueError(
            f"the weights do not fit a {family.name} model of this config; "
            f"missing: {_listed(missing)}; "
            f"left over: {_listed(left_over)}. Check the config's family and sizes."
        )
    _check_ties([*expected.values(), *((first, copy) for copy, first in COPIES.items())], given)
    tensors = {ours: given[names[0]].to(torch.float32) for ours, names in expected.items()}
    _check_shapes(config, expected, tensors)
    return config, tensors


def from_engine(family: Family, config: EncoderConfig, state: State) -> State:
    """Name the engine's tensors as the family's files do; tied tensors are written once."""
    names = tensor_names(family, config)
    if lost := sorted(set(names) ^ set(state)):
        raise ValueError(f"these tensors and the config do not belong together: {_listed(lost)}")
    return {_with_prefix(family, names[ours][0]): tensor for ours, tensor in state.items()}


def canonical(key: str, prefixes: Iterable[str] = ()) -> str:
    """A name without `module.` and the backbone's prefix; old gamma and beta become weight and bias."""
    key = key.removeprefix("module.")
    for prefix in prefixes:
        if key.startswith(prefix):
            key = key.removeprefix(prefix)
            break
    stem, _, kind = key.rpartition(".")
    kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)
    return f"{stem}.{kind}" if stem else kind


def plain_names(family: Family, state: State) -> State:
    """A checkpoint's tensors under their names without prefix; ValueError where two get the same name."""
    given: State = {}
    for key, tensor in state.items():
        name = canonical(key, family.prefixes)
        if name in given:
            raise ValueError(f"two tensors of the file are both called {name!r} without their prefix")
        given[name] = tensor
    return given


def set_aside(family: Family, config: EncoderConfig, names: Iterable[str]) -> list[str]:
    """Names of a file, without prefix, of which a model of this config makes no use; the file's order."""
    used = {name for names in tensor_names(family, config).values() for name in names}
    return [name for name in names if name not in used | set(COPIES)]


def _drop_absent_heads(family: Family, config: EncoderConfig, given: State) -> EncoderConfig:
    """A head of which the file holds nothing is taken out of the config, and so is a masked-region target."""
    names = tensor_names(family, config)

    def absent(*prefixes: str) -> bool:
        wanted = [name for ours, found in names.items() if ours.startswith(prefixes) for name in found]
        return bool(wanted) and not any(name in given for name in wanted)

    gone = {field: False for field, prefix in HEADS.items() if absent(prefix)}
    targets = config.region_targets if "region_targets" not in gone else ()
    kept = tuple(
        (target, size)
        for target, size in targets
        if not absent(f"region_head.decoder.{target}.", f"region_head.transform.{target}.")
    )
    return config.replace(**{**gone, "region_targets": kept})


def _check_ties(tied: Iterable[tuple[str, ...]], given: State) -> None:
    for first, *copies in tied:
        for copy in copies:
            if {first, copy} <= given.keys() and not torch.equal(given[first], given[copy]):
                raise ValueError(
                    f"{copy!r} must be the same tensor as {first!r}; the file holds different values"
                )


def _check_shapes(config: EncoderConfig, expected: dict[str, tuple[str, ...]], tensors: State) -> None:
    with torch.device("meta"):
        wanted = GatedModel(config).state_dict()
    wrong = [
        f"{expected[name][0]} is {tuple(tensors[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in wanted
        if wanted[name].shape != tensors[name].shape
    ]
    if wrong:
        raise ValueError(f"sizes of the file and of the config differ: {'; '.join(wrong[:8])}")


def _with_prefix(family: Family, name: str) -> str:
    return family.prefix + name if name.startswith(BACKBONE) else name


def _as_tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none"
