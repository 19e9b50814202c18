"""What lies in the cache, and taking it away."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.cache.store import ABOUT, Store, current, size_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("kind", "model", "data", "n", "probe", "state", "created", "seconds", "bytes", "version", "key")
KEPT, UNFINISHED, LEFT = "kept", "unfinished", "left over"


@dataclass(frozen=True, slots=True)
class _Item:
    """A folder of the cache."""

    path: Path
    key: str
    state: str
    created: float
    bytes: int
    about: dict[str, Any]


def cache_info() -> pd.DataFrame:
    """What the result cache holds, newest first.

    Returns
    -------
    A row for each entry: kind (what it is of), model, data, n (examples), probe; state ("kept", "unfinished":
    parts of a sweep that was cut off and goes on from there, "left over" by a process that was killed while
    it wrote), created (UTC), seconds that it took to compute, bytes, version of value_nb, key. `attrs` says
    the folder and the total bytes. Without a cache the table has no rows.
    """
    import pandas as pd

    store = current()
    items = [] if store is None else sorted(_items(store), key=lambda item: (-item.created, item.key))
    table = pd.DataFrame([_row(item) for item in items], columns=list(COLUMNS))
    table["created"] = pd.to_datetime(table["created"], unit="s", utc=True).dt.floor("s")
    texts = ["kind", "model", "data", "probe", "version"]
    table[texts] = table[texts].astype(object).fillna("")
    table = table.astype({"n": "Int64", "bytes": "int64", "seconds": "float64"})
    table.attrs |= {
        "folder": None if store is None else str(store.folder),
        "bytes": int(table["bytes"].sum()),
    }
    return table


def clear_cache(older_than: float | timedelta | None = None, kind: str | None = None) -> pd.DataFrame:
    """Remove entries of the result cache, finished and unfinished.

    Parameters
    ----------
    older_than
        Only what was made longer ago: a number of days, or a timedelta. None: whatever its age.
    kind
        Only what is of this kind (`cache_info()["kind"]`). None: every kind.

    Returns
    -------
    What was removed, as `cache_info` says it.

    Raises
    ------
    ValueError
        For a negative age, and for a kind that there is none of (the message lists those there are).
    """
    import pandas as pd

    store = current()
    if store is None:
        return cache_info()
    before, now = cache_info(), time.time()
    kinds = sorted(set(before["kind"]) - {""})
    if kind is not None and kind not in kinds:
        raise ValueError(f"kind={kind!r}; the cache in {store.folder} has: {', '.join(kinds) or 'nothing'}")
    age = _seconds(older_than)
    gone = [
        item
        for item in _items(store)
        if (kind is None or item.about.get("kind") == kind) and (age is None or now - item.created > age)
    ]
    for item in gone:
        shutil.rmtree(item.path, ignore_errors=True)
    keys = {(item.key, item.state) for item in gone if not item.path.exists()}
    removed = [pair in keys for pair in zip(before["key"], before["state"], strict=True)]
    table = before[pd.Series(removed, index=before.index, dtype=bool)].reset_index(drop=True)
    table.attrs |= {"folder": str(store.folder), "bytes": int(table["bytes"].sum())}
    return table


def _seconds(older_than: float | timedelta | None) -> float | None:
    if older_than is None:
        return None
    age = older_than if isinstance(older_than, timedelta) else timedelta(days=older_than)
    if age < timedelta(0):
        raise ValueError(f"older_than={older_than!r}; expected days, or a timedelta, of at least 0")
    return age.total_seconds()


def _items(store: Store) -> list[_Item]:
    found = [
        _Item(store.entries / key, key, KEPT, note["created"], note["bytes"], note["about"])
        for key, note in store.manifests()
    ]
    found += [_loose(path, UNFINISHED, path.name) for path in _folders(store.unfinished)]
    whole = {item.path for item in found}
    others = (path for path in _folders(store.entries) if path not in whole)
    return found + [_loose(path, LEFT, path.name.strip(".").partition(".")[0]) for path in others]


def _loose(path: Path, state: str, key: str) -> _Item:
    """A folder without a manifest."""
    about: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        about = dict(json.loads((path / ABOUT).read_text(encoding="utf-8")))
    created = time.time()
    with suppress(OSError):
        created = path.stat().st_mtime
    return _Item(path, key, state, created, size_of(path), about)


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _row(item: _Item) -> dict[str, Any]:
    own = {"key": item.key, "state": item.state, "created": item.created, "bytes": item.bytes}
    return {name: item.about.get(name) for name in COLUMNS} | own
