"""Why the paper's share of heads depends on token counts: the same captions with fewer and fewer regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from value_nb import crossmodal, reasons
from value_nb.cache.codecs import PLAIN, TABLE, side_by_side
from value_nb.cache.remember import kept
from value_nb.controls import RandomWeights
from value_nb.curves import title
from value_nb.data.example import Example, Regions
from value_nb.layout import PositionClass
from value_nb.probes.crossmodal import EXCESS, EXPECTED, CrossModalHeads
from value_nb.progress import bar
from value_nb.sanity import with_measured_gate
from value_nb.sweep import sweep

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from value_nb.models.base import VLModel
    from value_nb.result import Result

STEPS = 6  # region counts, evenly spaced up to the most that a picture has
DIRECTION = "image->text"


def with_regions(example: Example, most: int) -> Example:
    """The example with its first `most` regions; links and relations of the others are gone.

    Raises
    ------
    ValueError
        For fewer than one region.
    """
    if most < 1:
        raise ValueError(f"most={most}; expected at least 1 region")
    found = example.regions
    if found is None or len(found) <= most:
        return example
    kept = Regions(
        boxes=found.boxes[:most],
        features=None if found.features is None else found.features[:most],
        names=found.names[:most],
        sources=found.sources[:most],
        confidence=None if found.confidence is None else found.confidence[:most],
    )
    phrases = tuple(
        replace(phrase, regions=tuple(r for r in phrase.regions if r < most)) for phrase in example.phrases
    )
    relations = tuple(one for one in example.relations if max(one.subject, one.object) < most)
    return replace(example, regions=kept, phrases=phrases, relations=relations)


@dataclass(frozen=True, slots=True)
class RegionCounts:
    """The same captions with fewer and fewer regions: what becomes of the paper's share.

    Attributes
    ----------
    table
        Index `regions`: at most so many of each picture. Columns (who, what): ("text", "share of positions");
        ("an even spread", "share of pairs") in which spreading attention evenly would count; and for the
        model, by its name, and "random weights" "share of heads" (above 0.5 in the paper's sense) with its
        95 % interval "lo" to "hi" over pictures, and "mean beyond positions", the mean over heads of
        `mass_minus_expected`. Specials count as in the paper. One cell with the reason without a number.
    model
        Its name.
    title
        What figures carry.
    reason
        Why there is no number; "" when there is.
    """

    table: pd.DataFrame
    model: str
    title: str
    reason: str = ""

    def plot(self) -> np.ndarray:
        """The table as a figure: see `plot_region_counts`."""
        from value_nb.crossmodal_plots import plot_region_counts

        return plot_region_counts(self)


def _apart(found: RegionCounts) -> dict[str, Any]:
    said = {"model": found.model, "title": found.title, "reason": found.reason}
    return {"table": found.table, "said": said}


CODEC = side_by_side(table=TABLE, said=PLAIN).around(
    _apart, lambda parts: RegionCounts(parts["table"], **parts["said"])
)
"""How it is kept."""


@kept("region counts", CODEC)
def share_by_regions(
    model: VLModel,
    examples: Sequence[Example],
    counts: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
    cache: bool = True,
) -> RegionCounts:
    """Measure the share of image-to-text heads for the same captions with fewer and fewer regions.

    Parameters
    ----------
    model
        Trained; a copy of it with random weights is measured beside it.
    examples
        A few captions with pictures.
    counts
        At most so many regions of each picture; None: six numbers, evenly spaced up to the most there are.
    seed
        Of the random weights and of the intervals.
    progress
        Show a bar.
    cache
        Look the result up among kept ones, and keep it (`value_nb.cache_info`); False: compute it anew.

    Raises
    ------
    ValueError
        For counts below 1, or none.
    """
    import pandas as pd

    given, rows = list(examples), dict[int, dict[tuple[str, str], float]]()
    chosen = _counts(given) if counts is None else sorted(set(counts))
    if not chosen:
        raise ValueError("counts is empty; expected numbers of regions, or None for six of them")
    if getattr(model, "picture_input", "regions") == "pixels":
        why = f"{model.name} reads the picture's pixels: it has as many positions, whatever the regions"
        cell = pd.DataFrame({"not defined": [why]}, index=pd.Index([model.name], name="model"))
        return RegionCounts(cell, model.name, model.name, why)
    model = with_measured_gate(model, given, seed, cache=cache)  # once, with all regions
    how: dict[str, Any] = {"progress": False, "seed": seed, "cache": False}  # kept as one
    for count in bar(chosen, f"{model.name} (region counts)", progress=progress):
        shorter = [with_regions(example, count) for example in given]
        controls = [RandomWeights((seed,))]
        found = sweep(model, shorter, [CrossModalHeads()], controls=controls, **how)
        result = found[crossmodal.PROBE]
        if why := crossmodal.nothing(result):
            return RegionCounts(reasons.reason_table(result, why), model.name, model.name, why)
        rows[count] = _row(result) | {("an even spread", "share of pairs"): _even(model, shorter)}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(index="regions")
    table.columns = pd.MultiIndex.from_tuples([*rows[chosen[0]]])
    return RegionCounts(table, model.name, title(result))


def _counts(examples: Sequence[Example]) -> list[int]:
    """Evenly spaced numbers of regions up to the most that a picture has."""
    most = max((len(one.regions or ()) for one in examples), default=0)
    return sorted({max(1, round(most * step / STEPS)) for step in range(1, STEPS + 1)})


def _row(result: Result) -> dict[tuple[str, str], float]:
    whose = {"none": str(result.meta["model"]), "random weights": "random weights"}
    where = {"direction": DIRECTION, "specials": "paper"}
    expected = result.select(measure=EXPECTED, control="none", **where)["value"].iloc[0]
    row = {("text", "share of positions"): float(expected)}
    for control, name in whose.items():
        share = result.select(measure="share_of_heads", control=control, **where).iloc[0]
        beyond = result.select(measure=EXCESS, control=control, **where)["value"]
        row |= {
            (name, "share of heads"): share["value"],
            (name, "lo"): share["lo"],
            (name, "hi"): share["hi"],
        }
        row[name, "mean beyond positions"] = float(beyond.mean())
    return row


def _even(model: VLModel, examples: Sequence[Example]) -> float:
    """Share of pairs in which text has more than half of the positions, specials counted."""
    streams = model.prepare(examples).layout.streams
    text, image = ((streams[s].position_class != PositionClass.PAD).sum(dim=1) for s in ("text", "image"))
    return float((text > image).double().mean())
