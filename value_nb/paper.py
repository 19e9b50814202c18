"""The numbers that the VALUE paper reports, as data, and ours put beside them.

All are transcribed at second hand, from a published review that read the paper's tables. A cell that
the review does not give is not known and is absent here; nothing is filled in or read off a curve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from value_nb.best_layer import best_layer

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.result import Result

CITATION = (
    "Cao, Gan, Cheng, Yu, Chen, Liu: Behind the Scene: Revealing the Secrets of Pre-trained "
    "Vision-and-Language Models. ECCV 2020, arXiv 2005.07310v2"
)
TRANSCRIBED = "at second hand from a published review"
FIRST = "the review says 'first layer'; whether that is layer 1 or the embedding output (0) is not known"
LXMERT_CROSS = 5
MISSING = "not published here"
PLACE = ("measure", "group", "stack", "layer", "direction")
COMPARED = (
    "published_model", "published_data", "value", "lo", "hi", "published", "difference", "unit", "said",
    "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Published:
    """One number, or one statement without a number, of the paper.

    Attributes
    ----------
    probe, measure, group
        Which of our results it belongs beside; group tells tasks of one probe apart.
    model, data
        As the paper has them.
    said
        As the review prints it.
    value, unit
        The number, None for a statement; "%" or "" (a share between 0 and 1, or a score).
    bound
        "=" for the number itself, ">" where only "above" is said.
    stack, layer, layers
        Where; `layer` is None for a number of the whole model, the best layer, or a place that is known
        only as first or last. `layers`: of how many, None where that does not matter.
    depth
        Relative depth, 0 for the first published layer and 1 for the last; None where it has none.
    direction
        Direction of attention, where it is about one.
    best_layer
        It is the value of the best layer.
    chance
        What guessing gives, in the same unit; None where the table has none.
    place
        Where in the paper. The review gives no table or figure numbers.
    transcribed
        How it came here.
    note
        What a reader must know.
    """

    probe: str
    measure: str
    model: str
    said: str
    place: str
    value: float | None = None
    unit: str = ""
    bound: str = "="
    data: str | None = None
    group: str | None = None
    stack: str | None = None
    layer: int | None = None
    layers: int | None = None
    depth: float | None = None
    direction: str | None = None
    best_layer: bool = False
    chance: float | None = None
    transcribed: str = TRANSCRIBED
    note: str = ""


def _fusion() -> Iterator[Published]:
    place = "multimodal fusion degree"
    ends = {"Flickr30k": (0.36, 0.20), "Visual Genome": (0.25, 0.16)}
    crosses: dict[str, tuple[float, ...]] = {
        "Flickr30k": (0.42, 0.48, 0.67, 0.75, 0.43),
        "Visual Genome": (0.43, 0.56, 0.68, 0.78, 0.57),
    }
    for data, pair in ends.items():
        for value, depth, end in zip(pair, (0.0, 1.0), ("first", "last"), strict=True):
            yield Published(
                "fusion_degree", "nmi", "UNITER-base", f"{value:.2f} at the {end} layer", place, value,
                data=data, stack="joint", layers=12, depth=depth, note=FIRST if end == "first" else "",
            )  # fmt: skip
    for data, values in crosses.items():
        for layer, value in enumerate(values, start=1):
            yield Published(
                "fusion_degree", "nmi", "LXMERT", f"{value:.2f} at cross layer {layer}", place, value,
                data=data, stack="cross", layer=layer, layers=LXMERT_CROSS,
                depth=(layer - 1) / (LXMERT_CROSS - 1),
            )  # fmt: skip


def _attention() -> Iterator[Published]:
    place = "modality importance"
    said = "[CLS] gives more mass to text than to image, most in the middle layers"
    yield Published("modality_importance", "cls_mass", "UNITER-base", said, place)
    place = "cross-modal heads"
    heads = {
        "share_of_heads": (15.0, "%", "15 % of 144 heads above 0.5"),
        "largest_head": (0.92, "", "largest 0.92"),
        "smallest_head": (0.0, "", "smallest 0"),
    }
    for measure, (value, unit, said) in heads.items():
        yield Published(
            "cross_modal_heads", measure, "UNITER-base", said, place, value, unit, direction="image->text"
        )


def _coreference() -> Iterator[Published]:
    probe, place = "coreference_probe", "visual coreference"
    said = "attention shows patterns coherent with the alignment of regions and words"
    note = "the numbers of the paper's table of best heads are not known"
    for model in ("UNITER-base", "LXMERT"):
        yield Published("coreference_attention", "chosen_hit_rate", model, said, "attention trace", note=note)
    for model, value in (("UNITER-base", 75.10), ("LXMERT", 54.47)):
        yield Published(
            probe, "accuracy", model, f"{value:.2f} %", place, value, "%", group="VCC, attention probe"
        )
        note = "stated for 'layer-wise embedding probes'" if model == "LXMERT" else ""
        yield Published(
            probe,
            "accuracy",
            model,
            "above 93 %",
            place,
            93.0,
            "%",
            ">",
            group="VCC, embedding probe",
            best_layer=True,
            note=note,
        )
        yield Published(
            probe, "accuracy", model, '"weak"', place, unit="%", group="VCD, attention probe", chance=50.0
        )


def _relations() -> Iterator[Published]:
    probe, place = "relation_probe", "visual relations"
    attention = {"VRI": ((69.81, 67.53), 50.0), "VRC": ((24.67, 18.89), 3.33)}
    for kind, (values, chance) in attention.items():
        for model, value in zip(("UNITER-base", "LXMERT"), values, strict=True):
            yield Published(
                probe, "accuracy", model, f"{value:.2f} %", place, value, "%", data="Visual Genome",
                group=f"{kind}, attention probe", chance=chance,
            )  # fmt: skip
    for kind, value, chance in (("VRI", 86.35, 50.0), ("VRC", 56.64, 3.33)):
        yield Published(
            probe, "accuracy", "UNITER-base", f"{value:.2f} %", place, value, "%", data="Visual Genome",
            group=f"{kind}, embedding probe", best_layer=True, chance=chance,
        )  # fmt: skip


def _language() -> Iterator[Published]:
    said = {
        "UNITER-base": "best layer above LXMERT on all nine tasks, below BERT-base",
        "LXMERT": "best layer below UNITER on all nine tasks",
    }
    for model, statement in said.items():
        yield Published(
            "linguistic_probe", "accuracy", model, statement, "linguistic tasks", unit="%",
            group="all nine tasks", best_layer=True,
        )  # fmt: skip


PUBLISHED: tuple[Published, ...] = (
    *_fusion(), *_attention(), *_coreference(), *_relations(), *_language(),
)  # fmt: skip
"""Everything that is known of the paper's numbers."""

MODELS = {"uniter": "UNITER-base", "lxmert": "LXMERT"}
"""Short names that plots and queries take."""


def published(
    probe: str | None = None, model: str | None = None, data: str | None = None, measure: str | None = None
) -> tuple[Published, ...]:
    """The published numbers of a probe, model, data set or measure.

    Parameters
    ----------
    probe, measure
        As in result frames; None for any.
    model
        "uniter" or "lxmert", or the paper's name; None for any.
    data
        "Flickr30k" or "Visual Genome"; None for any.

    Raises
    ------
    ValueError
        For a name that the paper's numbers do not know; the message lists those they do.
    """
    wanted = {"probe": probe, "model": MODELS.get(model or "", model), "data": data, "measure": measure}
    found = PUBLISHED
    for field, value in wanted.items():
        if value is None:
            continue
        known = list(dict.fromkeys(getattr(p, field) for p in PUBLISHED if getattr(p, field)))
        if value not in known:
            there = ", ".join(map(repr, known))
            raise ValueError(f"no published number with {field}={value!r}; there are: {there}")
        found = tuple(p for p in found if getattr(p, field) == value)
    return found


def table(probe: str | None = None) -> pd.DataFrame:
    """The published numbers as a table with one row each; columns as in `Published`."""
    import pandas as pd

    return pd.DataFrame([asdict(p) for p in published(probe)], columns=[f.name for f in fields(Published)])


def data_name(data: str) -> str | None:
    """The paper's data set that one of ours stands for: "mini-flickr30k" for "Flickr30k"; None for others."""
    lowered = data.lower()
    if "flickr" in lowered:
        return "Flickr30k"
    return "Visual Genome" if "vg" in lowered or "genome" in lowered else None


def compare(result: Result) -> pd.DataFrame:
    """Ours beside the paper's: see `Result.compare`."""
    import pandas as pd

    if result.reason is not None:
        return _published_alone(result)
    ours = _ours(result.frame)
    stacks = set(ours["stack"]) if "stack" in ours else set()
    wanted = [
        p
        for p in PUBLISHED
        if p.probe == result.probe
        and _same_data(p, result.meta.get("data"))
        and (p.stack is None or p.stack in stacks)
    ]
    pairs = [(p, _counterpart(p, ours)) for p in wanted]
    matched = {row.name for _, row in pairs if row is not None}
    rows = [_beside(p, row) for p, row in pairs]
    measures = {p.measure for p in wanted} or set(ours.get("measure", []))
    open_rows = [row for name, row in ours.iterrows() if name not in matched and row["measure"] in measures]
    rows += [_alone(row) for row in open_rows]
    frame = pd.DataFrame(rows, columns=[*PLACE, *COMPARED])
    order = [c for c in ("stack", "layer") if frame[c].notna().any()]
    frame = frame.sort_values(order, kind="stable", na_position="last") if order else frame
    return frame.drop(columns=[c for c in PLACE if frame[c].isna().all()]).reset_index(drop=True)


def _published_alone(result: Result) -> pd.DataFrame:
    """The paper's numbers of a probe that is not defined for our model, and why it is not."""
    import pandas as pd

    note = f"not defined for {result.meta['model']}: {result.reason}"
    rows = [_beside(p, None) | {"note": note} for p in PUBLISHED if p.probe == result.probe]
    frame = pd.DataFrame(rows, columns=[*PLACE, *COMPARED])
    return frame.drop(columns=[c for c in PLACE if frame[c].isna().all()])


def _ours(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that answer the paper's question in the paper's way: no control, specials as in the paper."""
    keep = frame["control"] == "none" if "control" in frame else frame.index == frame.index
    if "specials" in frame:
        keep &= frame["specials"].isna() | (frame["specials"] == "paper")
    if "head" in frame:
        keep &= frame["head"].isna()
    return frame[keep]


def _same_data(p: Published, data: str | None) -> bool:
    mine = data_name(data or "")
    return p.data is None or mine is None or p.data == mine


def _counterpart(p: Published, ours: pd.DataFrame) -> Any:
    """The row of ours that stands where a published number does, or None."""
    found = ours
    for column in ("measure", "group", "stack", "direction"):
        value = getattr(p, column)
        if value is not None:
            found = found[found[column] == value] if column in found else found.iloc[:0]
    if p.depth is not None and len(found):
        layers = int(found["layer"].max())
        depth = (found["layer"].astype(float) - 1) / max(layers - 1, 1)
        found = found[(depth - p.depth).abs() < 1e-9]
    if p.best_layer and len(found) and "layer" in found and found["layer"].notna().any():
        found = _best_on_validation(found, ours)
    return found.iloc[0] if len(found) == 1 else None


def _best_on_validation(rows: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """The row of the layer that is best on validation; none where there was no validation."""
    (group,) = rows["group"].unique()
    if not (ours["measure"].eq("validation_accuracy") & ours["group"].eq(group)).any():
        return rows.iloc[:0]
    stack, layer = best_layer(ours, group)
    return rows[(rows["stack"] == stack) & (rows["layer"] == layer)]


def _beside(p: Published, row: Any) -> dict[str, Any]:
    scale = 0.01 if p.unit == "%" else 1.0
    value = None if p.value is None else p.value * scale
    entry = {column: getattr(p, column) for column in PLACE}
    notes = [p.note] if p.note else []
    if row is None and value is not None:
        notes.append("no value of ours at this place")
    if row is not None:
        entry |= {c: row[c] for c in (*PLACE, "value", "lo", "hi", "unit") if c in row}
        if p.best_layer:
            notes.append("ours is of the layer that is best on validation")
        if p.layers and p.layer != row.get("layer"):
            notes.append(f"placed by relative depth ({p.layers} layers there)")
    if p.bound != "=":
        notes.append("the paper says 'above'")
    if value is None:
        notes.append("a statement, no number")
    difference = None if row is None or value is None or p.bound != "=" else float(row["value"]) - value
    return entry | {
        "published_model": p.model, "published_data": p.data, "published": value, "difference": difference,
        "said": p.said, "note": "; ".join(notes),
    }  # fmt: skip


def _alone(row: Any) -> dict[str, Any]:
    return {c: row[c] for c in (*PLACE, "value", "lo", "hi", "unit") if c in row} | {"note": MISSING}
