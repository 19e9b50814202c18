"""Where a result comes from: what stands in its meta, whoever made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from value_nb import quality_gate
from value_nb.stats import LEVEL, REPLICATES

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

INTERVAL = "intervals over images by Poisson bootstrap"


def provenance(
    model: VLModel, examples: Iterable[Example], seed: int, replicates: int = REPLICATES
) -> dict[str, Any]:
    """Model, data, numbers and interval, as in the `meta` of a sweep's results.

    Parameters
    ----------
    model
        As it is, before anything is taken away from it.
    examples
        What it was measured on; gone through once, features are not needed.
    seed, replicates
        Of the intervals.
    """
    seen = [(example.image_id, example.dataset, example.split) for example in examples]
    images, data, splits = ({row[k] for row in seen} for k in range(3))
    joined = {"data": "+".join(sorted(data)), "split": "+".join(sorted(splits))}
    return record(model, joined | {"n": len(seen), "n_images": len(images)}, seed, replicates)


def record(
    model: VLModel,
    seen: Mapping[str, Any],
    seed: int,
    replicates: int = REPLICATES,
    gate: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The same where what was seen (data, split, n, n_images) is known already.

    `gate` is what a sanity gate found (`value_nb.sanity.settled`); None: what the model's card knows.
    """
    found = quality_gate.of_model(model) if gate is None else dict(gate)
    return {
        "model": model.name,
        "family": model.family,
        "weights": model.weights,
        "changes": list(getattr(model, "changes", ())),
        "gate_met": quality_gate.both(model.gate_met, found),
        "gate": found,
        **seen,
        "seed": seed,
        "interval": f"{LEVEL:.0%} {INTERVAL}, {replicates} replicates, seed {seed}",
        "layers": dict(model.stacks),
        "value_nb": version(),
    }


def shared_columns(meta: dict[str, Any], model: VLModel) -> dict[str, Any]:
    """What stands in every row of a result's frame that is of `model`, the one in `meta` or its control."""
    named = {name: meta[name] for name in ("model", "data", "split")}
    return named | {"weights": model.weights, "seed": training_seed(model)}


def training_seed(model: VLModel) -> int | None:
    """The seed that the weights come from: of a random model, or of pre-training where the card knows it."""
    return seed_of(model.weights, model.card)


def seed_of(weights: str, card: Mapping[str, Any]) -> int | None:
    """The same from what a model's weights are, "trained" or "random:SEED", and its card."""
    kind, _, number = weights.partition(":")
    return int(number) if kind == "random" and number else card.get("seed")


def version() -> str:
    """Of this package."""
    import value_nb

    return value_nb.__version__


def light(examples: Sequence[Example]) -> Sequence[Example]:
    """The examples without their region features, where the data set can leave them unread."""
    found: Sequence[Example] = getattr(examples, "without_features", lambda: examples)()
    return found
