"""Keeps figures and tables of a run as files: SVG, PDF and PNG, CSV, and what is known about them (JSON).

`keep` writes only where the environment variable VALUE_NB_FIGURES names a folder, as `make figures`
does for every notebook; in a reader's own session it checks its arguments and writes nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb import __version__, quality_gate
from value_nb.provenance import training_seed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

FOLDER_VARIABLE = "VALUE_NB_FIGURES"
FACTS = ("model", "weights", "data", "split", "n", "n_images", "seed")  # what a caption says, in this order
SHOWN = 4  # so many different values of one fact are spelled out
PNG_DPI = 150
FORMATS: dict[str, dict[str, Any]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}
"""Format -> metadata without the hour, so that the same figure gives the same bytes."""


def keep(name: str, *items: Any, caption: str = "") -> tuple[Path, ...]:
    """Write a figure and the tables behind it into the folder that VALUE_NB_FIGURES names.

    Parameters
    ----------
    name
        Name of the files without an ending: letters, digits, "_" and "-", for instance
        "01_fusion_by_layer". Files of that name are replaced.
    items
        In any order: at most one figure (a matplotlib Figure or Axes, an array of Axes, a seaborn
        grid, or a panel of `value_nb.widgets`) and any number of tables (a result, or a DataFrame). The
        first table becomes NAME.csv, the next NAME-2.csv, and so on. A panel brings its figure as it is
        now, its table, its facts (model, data, what its controls say) and its sentence.
    caption
        A sentence of your own, by default that of the panel; model, data, split, n and seed of the
        results are added to it.

    Returns
    -------
    The files written: none when the variable is not set.

    Raises
    ------
    ValueError
        For a name that is no plain file name, two figures, nothing at all, or an item that is
        neither figure nor table.
    """
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z_-]*", name):
        raise ValueError(
            f"{name!r} is no plain name; use letters, digits, '_' and '-', as in '01_fusion_by_layer'"
        )
    panels = [item for item in items if _is_panel(item)]
    items = tuple(item for item in items if not _is_panel(item))
    figures = [found for found in map(_figure, items) if found is not None]
    _check(items, [*figures, *panels])
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return ()
    facts = describe(*items)
    for panel in panels:  # drawn only now: it takes a moment
        figures.append(panel.figure)
        items = (*([] if panel.table is None else [panel.table]), *items)
        facts, caption = {**panel.facts, **facts}, caption or panel.sentence
    settings = {name: value for panel in panels for name, value in panel.settings.items()}
    return _write_item(Path(folder) / name, figures, items, {"caption": caption, "facts": facts,
                                                             "controls": settings})  # fmt: skip


def _write_item(
    stem: Path, figures: list[Figure], items: tuple[Any, ...], about: dict[str, Any]
) -> tuple[Path, ...]:
    """The files of one kept item, and the note that names them."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    tables = [found for found in map(_table, items) if found is not None]
    paths = write_figure(figures[0], stem) if figures else []
    paths += [write_table(table, _numbered(stem, i)) for i, table in enumerate(tables)]
    elsewhere = ("version", *about["controls"])
    facts = {name: value for name, value in about["facts"].items() if name not in elsewhere}
    said = {"name": stem.name, **about, "facts": facts, "version": __version__,
            "files": [path.name for path in paths]}  # fmt: skip
    note = stem.parent / f"{stem.name}.json"
    _write(note, (json.dumps(said, indent=1) + "\n").encode("utf-8"))
    return (*paths, note)


def write_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write STEM.svg, STEM.pdf and STEM.png; the same figure gives the same bytes on every run.

    A file appears under its name only when it is complete.
    """
    contents = figure_bytes(figure)
    return [_write(stem.parent / f"{stem.name}.{ending}", content) for ending, content in contents.items()]


def write_table(table: pd.DataFrame, target: Path) -> Path:
    """Write a table as CSV (UTF-8, "\\n" line ends), with its index only where that has a name."""
    return _write(target, table_bytes(table))


def figure_bytes(figure: Figure, dpi: int = PNG_DPI) -> dict[str, bytes]:
    """The figure as "svg", "pdf" and "png"; the same figure gives the same bytes on every run.

    Text stays text in SVG and PDF: it can be searched, and set in another type.
    """
    import matplotlib as mpl

    settings: dict[str, Any] = {"svg.hashsalt": "value_nb", "svg.fonttype": "none", "pdf.fonttype": 42,
                                "savefig.bbox": "tight", "savefig.dpi": dpi}  # fmt: skip
    contents = {}
    with mpl.rc_context(settings):  # type: ignore[arg-type]
        for ending, metadata in FORMATS.items():
            buffer = BytesIO()
            figure.savefig(buffer, format=ending, metadata=metadata)
            contents[ending] = buffer.getvalue()
    return contents


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV (UTF-8, "\\n" line ends), with its index only where that has a name."""
    index = any(level is not None for level in table.index.names)
    return table.to_csv(index=index, lineterminator="\n").encode("utf-8")


def describe(*items: Any) -> dict[str, str]:
    """What the results among `items` say of themselves, in words: model, data, split, n, seed, ...

    Columns of the results' frames come first, then entries of their `meta` that hold one plain value.
    Several values are listed up to four; several numbers n become a range "17 to 204". What its
    quality card or sanity gate says of a model comes last.
    """
    facts: dict[str, str] = {}
    metas = [getattr(item, "meta", None) or {} for item in items]
    tables = [table for table in map(_table, items) if table is not None]
    for fact in FACTS:
        values = [value for table in tables if fact in table for value in table[fact].dropna().unique()]
        values = values or [meta[fact] for meta in metas if isinstance(meta.get(fact), str | int | float)]
        if values:
            facts[fact] = _spell(fact, list(dict.fromkeys(values)))
    gates = [said for said in dict.fromkeys(map(quality_gate.fact, metas)) if said]
    if gates:
        facts["quality gate"] = "; ".join(gates)
    return facts


def describe_example(example: Example, model: VLModel | None = None) -> dict[str, str]:
    """What a figure of one example says of it, in words, and what the model's card or gate says."""
    seen = {} if model is None else {"model": model.name, "weights": model.weights}
    of = {"data": example.dataset, "split": example.split, "example id": example.id, "n": "1"}
    facts = {name: str(value) for name, value in {**seen, **of}.items() if value}
    seed = None if model is None else training_seed(model)
    facts |= {} if seed is None else {"seed": str(seed)}
    if model is not None:
        meta = {"model": model.name, "gate_met": model.gate_met, "gate": quality_gate.of_model(model)}
        gate = quality_gate.fact(meta)
        facts |= {"quality gate": gate} if gate else {}
    return facts


def atomically(target: Path, write: Callable[[Path], Any]) -> Path:
    """Call `write` on a hidden neighbour of `target` and give that the final name when it is complete."""
    partial = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        write(partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _write(target: Path, content: bytes) -> Path:
    return atomically(target, lambda path: path.write_bytes(content))


def _numbered(stem: Path, index: int) -> Path:
    return stem.parent / (f"{stem.name}.csv" if index == 0 else f"{stem.name}-{index + 1}.csv")


def _spell(fact: str, values: list[Any]) -> str:
    if fact in {"n", "n_images"} and len(values) > 1:
        return f"{min(values)} to {max(values)}"
    shown = ", ".join(str(value) for value in values[:SHOWN])
    return shown if len(values) <= SHOWN else f"{shown} and {len(values) - SHOWN} more"


def _figure(item: Any) -> Figure | None:
    """The figure of a Figure, an Axes, a seaborn grid or an array of Axes; None for anything else."""
    if hasattr(item, "savefig") and hasattr(item, "add_subplot"):
        return item
    owner = getattr(item, "figure", None)  # Axes and seaborn grids
    if hasattr(owner, "savefig"):
        return owner
    parts = getattr(item, "flat", item)  # an array, or a plain list
    if isinstance(parts, Iterable) and not isinstance(item, str | dict) and _table(item) is None:
        return next((found for found in map(_figure, parts) if found is not None), None)
    return None


def _table(item: Any) -> pd.DataFrame | None:
    """The table of a result, or of a DataFrame itself; None for anything else."""
    frame = getattr(item, "frame", item)
    return frame if hasattr(frame, "to_csv") and hasattr(frame, "columns") else None


def _check(items: tuple[Any, ...], figures: list[Any]) -> None:
    if not items and not figures:
        raise ValueError("nothing to keep; pass a panel, a figure or axes, a result or a table, or several")
    for item in items:
        if _figure(item) is None and _table(item) is None:
            wanted = "a matplotlib Figure or Axes, a seaborn grid, a panel, a result or a DataFrame"
            raise ValueError(f"cannot keep a {type(item).__name__}; expected {wanted}")
    if len({id(figure) for figure in figures}) > 1:
        raise ValueError(f"{len(figures)} figures under one name; call keep once for each figure")


def _is_panel(item: Any) -> bool:
    """Whether this is a panel, without importing those: it says what it shows, in words and as facts."""
    return all(hasattr(type(item), name) for name in ("figure", "table", "facts", "settings", "sentence"))
