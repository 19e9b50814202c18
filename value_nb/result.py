"""Results: frozen tables that know where they come from, and how they are saved and read again."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from value_nb import quality_gate
from value_nb.export import atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {
    "model": "str", "weights": "str", "control": "str", "data": "str", "split": "str", "stack": "str",
    "layer": "Int64", "head": "Int64", "direction": "str", "measure": "str", "group": "str",
    "specials": "str", "size": "Int64", "draw": "Int64", "value": "float64", "lo": "float64",
    "hi": "float64", "n": "Int64", "n_images": "Int64", "unit": "str", "note": "str", "seed": "Int64",
}  # fmt: skip
"""Columns of a result's frame, in order, and their types; a column that applies to no row is absent."""

ALWAYS = ("value", "lo", "hi")
"""Columns that stay in a frame even where no row has a number in them."""

FORMAT, VERSION = "value_nb-result", 1
TABLE, NOTE = "result.csv", "result.json"


class Result:
    """What one probe found: a tidy table and where it comes from. It does not change once made.

    Parameters
    ----------
    probe
        Name of the probe.
    frame
        One row for each value, columns among `COLUMNS`.
    meta
        Plain values (they are saved as JSON): model, data, split, n, n_images, seed, settings, ...
    reason
        Why the probe is not defined for this model; None when it is.
    """

    __slots__ = ("_frame", "_meta", "_probe", "_reason")

    def __init__(
        self, probe: str, frame: pd.DataFrame, meta: Mapping[str, Any], reason: str | None = None
    ) -> None:
        self._probe, self._reason = probe, reason
        self._frame = tidy(frame)
        self._meta = json.loads(json.dumps(dict(meta)))

    @property
    def probe(self) -> str:
        """Name of the probe."""
        return self._probe

    @property
    def frame(self) -> pd.DataFrame:
        """The table (a copy: changing it does not change the result)."""
        return self._frame.copy()

    @property
    def meta(self) -> dict[str, Any]:
        """Where it comes from (a copy)."""
        return copy.deepcopy(self._meta)

    @property
    def reason(self) -> str | None:
        """Why the probe is not defined for this model; None when it is."""
        return self._reason

    def select(self, **wanted: Any) -> pd.DataFrame:
        """Rows whose columns have the wanted values, for instance `select(measure="ami", control="none")`.

        Raises
        ------
        KeyError
            For a column that the frame does not have.
        ValueError
            For a value that the column does not have; the message lists those it has.
        """
        frame = self.frame
        for column, value in wanted.items():
            if column not in frame:
                raise KeyError(f"no column {column!r} in {self.probe}; columns: {', '.join(frame.columns)}")
            if not (frame[column] == value).any():
                there = ", ".join(map(repr, frame[column].dropna().unique()))
                raise ValueError(f"no row with {column}={value!r} in {self.probe}; there are: {there}")
            frame = frame[frame[column] == value]
        return frame.reset_index(drop=True)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw it in the form that its probe has in the paper.

        Parameters
        ----------
        ax
            Where to draw; None makes a new figure.
        options
            Handed to the probe's plot function (`value_nb.plots`), which rejects what it does not know,
            and either raises or draws the reason where the probe is not defined for the model.
        """
        from value_nb.plots import plotter

        return plotter(self.probe)(self, ax=ax, **options)

    def compare(self) -> pd.DataFrame:
        """The paper's numbers beside ours.

        Returns
        -------
        One row for each published number of this probe and each value of ours that has a counterpart's
        place but no number: measure, stack, layer, value, lo, hi, published, difference (ours minus
        published), note ("not published here" where there is no number). Where the probe is not defined
        for the model, the published numbers alone, with the reason as their note.
        """
        from value_nb.paper import compare

        return compare(self)

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write FOLDER/result.csv and FOLDER/result.json; `value_nb.load_result(FOLDER)` reads them.

        Raises
        ------
        FileExistsError
            When the folder holds another result and `overwrite` is False.
        """
        folder = Path(folder)
        table = self._frame.to_csv(index=False, lineterminator="\n")
        note = json.dumps(self._note(table), indent=1, sort_keys=True) + "\n"
        old = folder / NOTE
        if old.exists() and not overwrite and old.read_text(encoding="utf-8") != note:
            raise FileExistsError(
                f"{folder} holds another result; save to a new folder, or pass overwrite=True to replace it"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((TABLE, table), (NOTE, note)):
            atomically(folder / name, lambda path, text=text: path.write_bytes(text.encode()))  # type: ignore[misc]
        return folder

    def check_defined(self) -> None:
        """Raise ValueError, with the reason, when the probe is not defined for this model."""
        if self._reason is not None:
            raise ValueError(f"{self._probe} is not defined for {self._meta.get('model')}: {self._reason}")

    def _note(self, table: str) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "probe": self._probe,
            "reason": self._reason,
            "meta": self._meta,
            "sha256": hashlib.sha256(table.encode()).hexdigest(),
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        mine, theirs = ((r._probe, r._reason, r._meta) for r in (self, other))
        return mine == theirs and self._frame.equals(other._frame)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        head = f"{self._probe} on {self._meta.get('model')}"
        if self._reason is not None:
            return f"{head}: not defined ({self._reason})"
        return f"{head}, {describe(self)}"


class Results(Mapping[str, Result]):
    """What a sweep found: results by the name of their probe."""

    def __init__(self, results: Mapping[str, Result]) -> None:
        self._results = dict(results)

    def __getitem__(self, name: str) -> Result:
        if name not in self._results:
            raise KeyError(f"no result {name!r}; there are: {', '.join(self._results) or 'none'}")
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def frame(self) -> pd.DataFrame:
        """All tables, one under the other, with a first column `probe`."""
        frames = [r.frame.assign(probe=name) for name, r in self.items() if r.reason is None]
        if not frames:
            return pd.DataFrame({"probe": []})
        joined = pd.concat(frames, ignore_index=True)
        return joined[["probe", *(c for c in COLUMNS if c in joined)]]

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write each result to FOLDER/NAME; see `Result.save`."""
        for name, result in self.items():
            result.save(Path(folder) / name, overwrite)
        return Path(folder)

    def __repr__(self) -> str:
        lines = [f"  {result!r}" for result in self.values()]
        return "\n".join([f"Results of {len(self)} probe{'s' * (len(self) != 1)}:", *lines])


def load_result(folder: str | Path) -> Result:
    """Read a result that `Result.save` wrote; it equals the one saved.

    Raises
    ------
    FileNotFoundError
        When the folder holds none.
    ValueError
        When the files are of another format or version, or do not belong together.
    """
    folder = Path(folder)
    missing = [name for name in (TABLE, NOTE) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"no result in {folder}: {' and '.join(missing)} missing; expected what save() wrote"
        )
    note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    if (note.get("format"), note.get("version")) != (FORMAT, VERSION):
        raise ValueError(
            f"{folder / NOTE} says format {note.get('format')!r}, version {note.get('version')!r}; "
            f"expected {FORMAT!r}, version {VERSION}"
        )
    table = (folder / TABLE).read_bytes()
    if hashlib.sha256(table).hexdigest() != note["sha256"]:
        raise ValueError(f"{folder / TABLE} was changed after it was saved; save the result again")
    return Result(note["probe"], _read(table.decode()), note["meta"], note["reason"])


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns in the order and of the types of `COLUMNS`, those that apply nowhere left out; a new frame.

    Columns of `ALWAYS` stay as they came: one image alone gives no interval, which is then nan everywhere.

    Raises
    ------
    ValueError
        For a column of another name.
    """
    unknown = [column for column in frame.columns if column not in COLUMNS]
    if unknown:
        raise ValueError(f"unknown columns {unknown}; a result's frame has: {', '.join(COLUMNS)}")
    kept = [
        column for column in COLUMNS if column in frame and (column in ALWAYS or frame[column].notna().any())
    ]
    return frame[kept].astype({column: COLUMNS[column] for column in kept}).reset_index(drop=True)


def describe(result: Result) -> str:
    """Data, numbers, interval and gate of a result in one line."""
    frame, meta = result.frame, result.meta
    parts = [
        f"{meta.get('data')}/{meta.get('split')}: {meta.get('n')} examples of {meta.get('n_images')} images"
    ]
    parts.append(str(meta.get("interval", "no interval")))
    if "measure" in frame:
        parts.append(f"measures {', '.join(frame['measure'].unique())}")
    controls = [c for c in frame["control"].unique() if c != "none"] if "control" in frame else []
    parts.append(f"controls: {', '.join(controls) or 'none'}")
    parts += quality_gate.note(meta).splitlines()
    return "; ".join([*parts, f"{len(frame)} rows in .frame"])


def _read(text: str) -> pd.DataFrame:
    header = text.split("\n", 1)[0].split(",") if text.strip() else []
    if not header:
        return pd.DataFrame({"value": np.zeros(0)})
    words = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False, na_values=[""])
    numbers = {c: "float64" for c in header if COLUMNS.get(c) == "float64"}
    whole = {c: "Int64" for c in header if COLUMNS.get(c) == "Int64"}
    return words.astype({**numbers, **whole})
