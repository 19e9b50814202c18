"""Keeps figures and tables of a run as files: SVG and PNG, CSV, and what is known about them (JSON).

`keep` writes only where the environment variable VALUE_NB_FIGURES names a folder, as `make figures`
does for every notebook; in a reader's own session it checks its arguments and writes nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb import __version__, quality_gate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FOLDER_VARIABLE = "VALUE_NB_FIGURES"
FACTS = ("model", "weights", "data", "split", "n", "n_images", "seed")  # what a caption says, in this order
SHOWN = 4  # so many different values of one fact are spelled out
PNG_DPI = 150


def keep(name: str, *items: Any, caption: str = "") -> tuple[Path, ...]:
    """Write a figure and the tables behind it into the folder that VALUE_NB_FIGURES names.

    Parameters
    ----------
    name
        Name of the files without an ending: letters, digits, "_" and "-", for instance
        "01_fusion_by_layer". Files of that name are replaced.
    items
        In any order: at most one figure (a matplotlib Figure or Axes, an array of Axes, a seaborn
        grid) and any number of tables (a result, or a DataFrame). The first table becomes NAME.csv,
        the next NAME-2.csv, and so on.
    caption
        A sentence of your own; model, data, split, n and seed of the results are added to it.

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
    figures = [found for found in map(_figure, items) if found is not None]
    tables = [found for found in map(_table, items) if found is not None]
    _check(items, figures, tables)
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return ()
    stem = Path(folder) / name
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = write_figure(figures[0], stem) if figures else []
    paths += [write_table(table, _numbered(stem, i)) for i, table in enumerate(tables)]
    facts = {"name": name, "caption": caption, "facts": describe(*items), "version": __version__,
             "files": [path.name for path in paths]}  # fmt: skip
    note = stem.parent / f"{name}.json"
    atomically(note, lambda path: path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8"))
    return (*paths, note)


def write_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write STEM.svg and STEM.png; the same figure gives the same bytes on every run.

    A file appears under its name only when it is complete.
    """
    import matplotlib as mpl

    formats: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "png": {"Software": None}}
    written = []
    with mpl.rc_context({"svg.hashsalt": "value_nb", "savefig.bbox": "tight", "savefig.dpi": PNG_DPI}):
        for ending, metadata in formats.items():
            target = stem.parent / f"{stem.name}.{ending}"
            save = _saver(figure, ending, metadata)
            written.append(atomically(target, save))
    return written


def write_table(table: pd.DataFrame, target: Path) -> Path:
    """Write a table as CSV (UTF-8, "\\n" line ends), with its index only where that has a name."""
    index = any(level is not None for level in table.index.names)
    return atomically(target, lambda path: table.to_csv(path, index=index, lineterminator="\n"))


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


def atomically(target: Path, write: Callable[[Path], Any]) -> Path:
    """Call `write` on a hidden neighbour of `target` and give that the final name when it is complete."""
    partial = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        write(partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _saver(figure: Figure, ending: str, metadata: dict[str, Any]) -> Callable[[Path], None]:
    return lambda path: figure.savefig(path, format=ending, metadata=metadata)


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


def _check(items: tuple[Any, ...], figures: list[Figure], tables: list[pd.DataFrame]) -> None:
    if not items:
        raise ValueError("nothing to keep; pass a figure or axes, a result or a table, or both")
    for item in items:
        if _figure(item) is None and _table(item) is None:
            wanted = "a matplotlib Figure or Axes, a seaborn grid, a result or a DataFrame"
            raise ValueError(f"cannot keep a {type(item).__name__}; expected {wanted}")
    if len({id(figure) for figure in figures}) > 1:
        raise ValueError(f"{len(figures)} figures under one name; call keep once for each figure")
