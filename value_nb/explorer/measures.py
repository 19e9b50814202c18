"""What the map of heads can show: measures of the present example, and numbers of finished sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from value_nb.explorer.trace_batches import as_batches
from value_nb.layout import PositionClass
from value_nb.models.gates import query_of
from value_nb.probes import crossmodal
from value_nb.probes.coreference_looks import reduced
from value_nb.probes.mentions import DIRECTIONS, place, pooled
from value_nb.probes.modality import SHARE, ModalityImportance
from value_nb.result import Result

if TYPE_CHECKING:
    from value_nb.probes.base import Probe
    from value_nb.trace import Trace

OWN = {"text": PositionClass.TEXT, "image": PositionClass.IMAGE}
NOT_ACROSS = "{} does not go from one modality to the other; choose another direction"
NO_PICTURE = "there is no picture with this sentence"
SEPARATE = (
    "each direction has a softmax of its own here, so that all of a token's attention goes to the other "
    "modality by construction"
)


@dataclass(frozen=True, slots=True)
class HeadMap:
    """One number for each head of a stack.

    Attributes
    ----------
    title
        What the numbers are, in words, with their n.
    table
        Rows: heads from 0, columns: layers from 1; nan where a head has no number. None with a reason.
    reason
        Why there are no numbers; "" when there are.
    zero
        Zero is a meaningful middle: the colours then diverge around it.
    """

    title: str
    table: pd.DataFrame | None
    reason: str = ""
    zero: bool = False


Measure = Callable[["Trace", str, str], HeadMap]
"""(trace, stack, direction) -> map."""


def across(trace: Trace, stack: str, direction: str) -> HeadMap:
    """What a token gives to the other modality, mean over the looking modality's tokens; 0 to 1.

    [CLS] and [SEP] are left out (`mass` of `CrossModalHeads`, specials excluded).
    """
    title = "attention to the other modality, this example"
    return _cross_modal(trace, stack, direction, crossmodal.MASS, title, zero=False)


def beyond(trace: Trace, stack: str, direction: str) -> HeadMap:
    """The same minus the other modality's share of positions: 0 is an even spread; -1 to 1."""
    title = "attention across minus its share of positions, this example"
    return _cross_modal(trace, stack, direction, crossmodal.EXCESS, title, zero=True)


def text_share(trace: Trace, stack: str, direction: str) -> HeadMap:
    """What [CLS] gives to text / what it gives to text and image; 0 to 1. Specials count as text.

    `text_share` of `ModalityImportance`, as in the paper.
    """
    title = "share of text in what [CLS] gives to text and image, this example"
    if not trace.joint or stack != "joint":
        return HeadMap(title, None, "no one softmax covers both modalities, so [CLS] gives no shares")
    if not _pictured(trace):
        return HeadMap(title, None, NO_PICTURE)
    rows = _of_stack(_rows(ModalityImportance(), trace), stack)
    kept = rows[(rows["measure"] == SHARE) & (rows["specials"] == "paper") & (rows["group"] == "text")]
    return HeadMap(title, _table(kept, trace, stack, direction))


def entropy(trace: Trace, stack: str, direction: str) -> HeadMap:
    """How evenly the tokens of the looking modality spread their attention: entropy / log of positions.

    0: all on one position; 1: even. Mean over words (or regions), over the whole of their softmax: both
    modalities and the specials where one softmax covers them.
    """
    query = query_of(direction)
    title = f"spread of what {'words' if query == 'text' else 'regions'} give (entropy, 0 to 1), this example"
    if query == "image" and not _pictured(trace):
        return HeadMap(title, None, NO_PICTURE)
    found = {}
    for layer in range(1, trace.stacks[stack] + 1):
        maps = trace.maps[stack, layer]
        keys = [d for d in maps if query_of(d) == query] if trace.joint else [direction]
        if all(key in maps for key in keys):
            rows = np.concatenate([maps[key] for key in keys], axis=-1)
            own = trace.streams[query].position_class == OWN[query]
            found[layer] = _evenness(rows[:, own]).mean(axis=1)
    return HeadMap(title, pd.DataFrame(found).rename_axis("head").rename_axis(columns="layer"))


def coreference(trace: Trace, stack: str, direction: str) -> HeadMap:
    """Share of the caption's linked phrases whose largest weight falls on a region that shows them; 0 to 1.

    A region that overlaps a linked one by half or more counts, as in `CoreferenceAttention`.
    """
    title = "phrases that find their region"
    if direction not in DIRECTIONS:
        return HeadMap(title, None, NOT_ACROSS.format(direction))
    found, n = {}, 0
    for batch in as_batches(trace):
        placed = place(batch.layout, 0) if batch.stack == stack and direction in batch.attention else None
        if placed is not None:
            top = reduced(pooled(batch.attention[direction], placed, direction), placed)[0].tolist()
            hits = [
                [head in mention.hits for head in row]
                for row, mention in zip(top, placed.mentions, strict=True)
            ]
            found[batch.layer], n = np.mean(hits, axis=0), len(placed.mentions)
    if not found:
        return HeadMap(title, None, "no region of this example is linked to a phrase of its caption")
    table = pd.DataFrame(found).rename_axis("head").rename_axis(columns="layer")
    if n == 1:
        return HeadMap("whether the caption's one linked phrase finds its region (1) or not (0)", table)
    return HeadMap(f"share of the caption's {n} linked phrases that find their region", table)


OF_EXAMPLE: dict[str, Measure] = {
    "across, this example": across,
    "beyond positions, this example": beyond,
    "coreference, this example": coreference,
    "spread, this example": entropy,
    "[CLS] text share, this example": text_share,
}
"""What the control says -> the measure."""


def of_results(results: Result | Mapping[str, Result] | Iterable[Result]) -> dict[str, Measure]:
    """Every number that sweeps found head by head, as measures: what the control says -> the measure.

    Parameters
    ----------
    results
        One result, what `sweep` returned, or a list of results; rows without control that have a layer and
        a head are taken, of measures that cover most heads and are no p values.

    Raises
    ------
    ValueError
        When none of the results has numbers of single heads. A result that is not defined for its model is
        offered, with its reason.
    """
    listed = [results] if isinstance(results, Result) else list(
        results.values() if isinstance(results, Mapping) else results
    )  # fmt: skip
    found = {label: measure for result in listed for label, measure in _of_result(result)}
    if not found:
        came = ", ".join(one.probe for one in listed) or "none came"
        raise ValueError(f"no result has numbers of single heads (results: {came})")
    return found


VARY, MAY_VARY = ("measure", "group", "specials"), ("split", "seed", "weights")
SAID = {"paper": "specials counted", "excluded": "specials excluded"}
P_VALUE = "p-value"
MODEL = ("model", "weights")


def _of_result(result: Result) -> Iterable[tuple[str, Measure]]:
    """The result's measures that have numbers of most heads: a map of one chosen head shows nothing.

    P values are not offered: as colours they would read as sizes of an effect.
    """
    if result.reason is not None:
        yield str(result.meta.get("title", result.probe)), _not_defined(result)
    frame = result.frame
    if not {"layer", "head"} <= set(frame):
        return
    wanted = frame["head"].notna() & frame["layer"].notna()
    if "control" in frame:
        wanted &= frame["control"] == "none"
    if "unit" in frame:
        wanted &= frame["unit"] != P_VALUE
    heads = frame[wanted]
    more = [name for name in MAY_VARY if name in heads and heads[name].nunique(dropna=False) > 1]
    parts = list(heads.groupby([*(n for n in VARY if n in heads), *more], dropna=False, sort=False))
    widest = max((_cells(part) for _, part in parts), default=0)
    for values, part in parts:
        if 2 * _cells(part) > widest:
            label = _label(values, part, result)
            yield label, _kept(part, label, result)


def _cells(part: pd.DataFrame) -> int:
    """Of how many heads there are numbers; of each direction."""
    names = [name for name in ("stack", "direction", "layer", "head") if name in part]
    return len(part.drop_duplicates(names))


def _label(values: Iterable[object], part: pd.DataFrame, result: Result) -> str:
    """ "hit rate · people (mini-flickr30k, n = 39)"."""
    said = [SAID.get(str(value), str(value).replace("_", " ")) for value in values if not _absent(value)]
    return f"{' · '.join(said)} ({result.meta.get('data', 'data')}, n = {int(part['n'].max())})"


def _not_defined(result: Result) -> Measure:
    """A measure that has the result's reason in place of numbers."""
    title, reason = str(result.meta.get("title", result.probe)), str(result.reason)
    return lambda trace, stack, direction: HeadMap(title, None, reason)


def _absent(value: object) -> bool:
    return value is pd.NA or value != value


def _kept(part: pd.DataFrame, title: str, result: Result) -> Measure:
    """A measure that looks its numbers up."""
    model = tuple(str(part[name].iloc[0] if name in part else result.meta.get(name)) for name in MODEL)

    def look(trace: Trace, stack: str, direction: str) -> HeadMap:
        if (trace.model, trace.weights) != model:
            came, there = (f"{name} ({weights})" for name, weights in (model, (trace.model, trace.weights)))
            return HeadMap(title, None, f"the result is of {came}, and this is {there}")
        rows = _of_stack(part, stack)
        if "direction" in rows and rows["direction"].notna().any():
            rows = rows[rows["direction"] == direction]
        if not len(rows):
            return HeadMap(title, None, f"the result has no numbers for {direction} in the {stack} stack")
        signed = bool((rows["value"] < 0).any())
        return HeadMap(title, _table(rows, trace, stack, direction), zero=signed)

    return look


def _cross_modal(trace: Trace, stack: str, direction: str, measure: str, title: str, zero: bool) -> HeadMap:
    if direction not in DIRECTIONS:
        return HeadMap(title, None, NOT_ACROSS.format(direction))
    if not trace.joint:
        return HeadMap(title, None, SEPARATE)
    if not _pictured(trace):
        return HeadMap(title, None, NO_PICTURE)
    cell = (slice(None), crossmodal.SPECIALS.index("excluded"), crossmodal.MEASURES.index(measure))
    found = {}
    for batch in as_batches(trace):
        if batch.stack == stack and direction in batch.attention:
            kinds = {name: stream.position_class for name, stream in batch.layout.streams.items()}
            found[batch.layer] = crossmodal.measures(batch.attention, kinds, direction)[0][0][cell]
    return HeadMap(title, pd.DataFrame(found).rename_axis("head").rename_axis(columns="layer"), zero=zero)


def _pictured(trace: Trace) -> bool:
    """Whether there is anything of a picture among the positions."""
    image = trace.streams.get("image")
    return image is not None and bool((image.position_class == PositionClass.IMAGE).any())


def _rows(probe: Probe, trace: Trace) -> pd.DataFrame:
    """A probe's own numbers for one example; one example has no interval."""
    fresh = probe.fresh(0)
    for batch in as_batches(trace):
        if "text" in batch.layout.streams and "image" in batch.layout.streams:
            fresh.update(batch)
    return pd.DataFrame(fresh.rows(replicates=2))


def _of_stack(rows: pd.DataFrame, stack: str) -> pd.DataFrame:
    return rows[rows["stack"] == stack] if "stack" in rows else rows


def _table(rows: pd.DataFrame, trace: Trace, stack: str, direction: str) -> pd.DataFrame:
    """Heads as rows and layers as columns, all of them, nan where there is no number."""
    known = rows[rows["head"].notna() & rows["layer"].notna()]
    table = known.astype({"head": int, "layer": int}).pivot_table(
        index="head", columns="layer", values="value", aggfunc="first", dropna=False
    )
    layers = range(1, trace.stacks[stack] + 1)
    heads = max(
        (len(trace.maps[stack, n][direction]) for n in layers if direction in trace.maps[stack, n]), default=1
    )
    whole = table.reindex(index=range(heads), columns=layers).astype(float)
    return whole.rename_axis("head").rename_axis(columns="layer")


def _evenness(rows: np.ndarray) -> np.ndarray:
    """`(..., key)` attention -> `(...)` entropy / log(number of keys); 1 where there is a single key."""
    n = rows.shape[-1]
    if n < 2:
        return np.ones(rows.shape[:-1])
    total = np.clip(rows.sum(axis=-1, keepdims=True), 1e-30, None)
    p = np.asarray(rows / total, dtype=float)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return -(p * logs).sum(axis=-1) / np.log(n)
