"""Watch it grow: what heads do at the checkpoints kept along a training, beside its curves of all steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from value_nb import coreference_heads
from value_nb.cache.codecs import RESULTS, TABLE, Codec, side_by_side
from value_nb.cache.remember import kept
from value_nb.models.registry import load_model, models, training_curve
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.sweep import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from value_nb.data.example import Example
    from value_nb.result import Result

START = 0
"""The step at which weights are random."""
TURN, HALF = "object words", 0.5
"""A training has turned when so many of these are right."""


@dataclass(frozen=True)
class Growth:
    """A training, looked at from its start to its end.

    Attributes
    ----------
    model
        Name.
    curve
        Measures on the pictures kept for watching, at many steps: columns step, split, measure, value.
    results
        Step -> result of `CoreferenceAttention` at that checkpoint; 0 is random weights, the last one the
        model itself.
    """

    model: str
    curve: pd.DataFrame
    results: dict[int, Result]

    def maps(self, direction: str = "text->image") -> dict[int, pd.DataFrame]:
        """Step -> hit rate of every head, `head` as rows, `layer` as columns; 0 to 1, higher: links more."""
        return {
            step: coreference_heads.head_map(result, "hit_rate", direction)
            for step, result in self.results.items()
        }

    def best(self) -> pd.DataFrame:
        """The best head of each direction at each checkpoint, chosen on validation pictures.

        Returns
        -------
        Columns step, direction, stack, layer, head, hit_rate, lo, hi, mentions, chance, best_guess.
        """
        rows = [
            dict(coreference_heads.best_heads(result, direction).loc[coreference_heads.ALL])
            | {"step": step, "direction": direction}
            for step, result in self.results.items()
            for direction in coreference_heads.DIRECTIONS
            if direction in set(coreference_heads.chosen(result)["direction"])
        ]
        columns = ["step", "direction", "stack", "layer", "head", "hit_rate", "lo", "hi", "mentions",
                   "chance", "best_guess"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)


def _apart(grown: Growth) -> dict[str, Any]:
    results = {str(step): result for step, result in grown.results.items()}
    return {"curve": grown.curve, "results": {grown.model: results}}


def _together(parts: Mapping[str, Any]) -> Growth:
    ((name, results),) = parts["results"].items()
    return Growth(name, parts["curve"], {int(step): result for step, result in results.items()})


CODEC: Codec[Growth] = side_by_side(curve=TABLE, results=RESULTS).around(_apart, _together)
"""How it is kept."""


def _files(name: str, **_: Any) -> list[str]:
    """What the files of all checkpoints hold."""
    from value_nb.cache.keys import NotKeyable, of_files
    from value_nb.models.locating import own_folder

    folder = own_folder(name)
    if folder is None:
        raise NotKeyable(f"{name} has no folder of checkpoints")
    return [of_files(folder)]


@kept("growth", CODEC, _files)
def watch_growth(
    name: str,
    data: Sequence[Example],
    progress: bool = False,
    seed: int = 0,
    start: int = 0,
    cache: bool = True,
) -> Growth:
    """Put `CoreferenceAttention` to every checkpoint of a training, to its end, and to random weights.

    Parameters
    ----------
    name
        A model whose checkpoints are here (`vnb.models()` lists them under "steps").
    data
        Captions of validation and test pictures, from `load_splits(..., splits=("val", "test"))`.
    progress, seed
        As in `sweep`.
    start
        Seed of the random weights at step 0.
    cache
        Look the result up among kept ones, and keep it (`value_nb.cache_info`); False: compute it anew.

    Raises
    ------
    ValueError
        For a model that is not here or has no curve.
    """
    curve = training_curve(name)
    last = int(curve["step"].max())
    found = {START: load_model(name, random_weights=start)}
    found |= {step: load_model(name, step=step) for step in _steps(name)}
    found[last] = load_model(name)
    probe = CoreferenceAttention()
    # no gate: checkpoints are looked at while they learn to read the picture
    how: Any = {"controls": "none", "progress": progress, "seed": seed, "gate": False, "cache": cache}
    results = {step: sweep(model, data, [probe], **how)[probe.name] for step, model in found.items()}
    return Growth(name, curve, results)


def trainings(name: str) -> pd.DataFrame:
    """The trainings of a model, from different seeds, side by side: how far one differs from another.

    Parameters
    ----------
    name
        A model with a training curve (`vnb.models()` lists its seeds).

    Returns
    -------
    One row for each seed: steps of the training; "half of the object words at", the first step at which half
    of the covered object words on the pictures kept for watching are right (missing: never); then those
    measures at the end of the training, 0 to 1, higher is better. Trainings of different length also differ
    in how long the learning rate stays high.

    Raises
    ------
    ValueError
        For a model that is not here or has no curve.
    """
    rows = {seed: _training(training_curve(name, seed)) for seed in _column(name, "seeds")}
    return pd.DataFrame(rows).T.rename_axis("seed").astype({"steps": int}).convert_dtypes()


def _training(curve: pd.DataFrame) -> dict[str, Any]:
    watched = curve[curve["split"] == "dev"].pivot(index="step", columns="measure", values="value")
    read = watched.index[watched[TURN] >= HALF]
    end = {f"{measure}, end": value for measure, value in watched.iloc[-1].items()}
    return {"steps": curve["step"].max(), f"half of the {TURN} at": read[0] if len(read) else pd.NA} | end


def _steps(name: str) -> Iterable[int]:
    return _column(name, "steps")


def _column(name: str, column: str) -> tuple[int, ...]:
    """What the table of models has of a model."""
    table = models().set_index("name")
    if name not in table.index:
        raise ValueError(f"no model {name!r}; there are: {', '.join(table.index)}")
    return cast("tuple[int, ...]", table.loc[name, column])
