"""What lies in the cache, and taking it away."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

import value_nb as vnb
from value_nb.cache import store as stores
from value_nb.cache.store import MANIFEST, Store, _own_sum

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
DAY = 24 * 3600.0


def put(store: Store, key: str, kind: str, age: float = 0.0, size: int = 10) -> None:
    about = {"kind": kind, "model": "m", "data": "toy (test)", "n": 3, "probe": "p", "version": "1"}
    store.put(key, lambda folder: (folder / "x").write_bytes(bytes(size)), {**about, "seconds": 1.5})
    path = store.entries / key / MANIFEST
    body = json.loads(path.read_text())["body"]
    body["created"] -= age
    path.write_text(json.dumps({"body": body, "sha256": _own_sum(body)}))


@pytest.fixture
def filled(store: Store) -> Store:
    """Two entries, something unfinished, and what a killed writer left."""
    put(store, A, "sweep", age=3 * DAY, size=100)
    put(store, B, "head ablation")
    work = store.work(C, {"kind": "sweep", "model": "other", "n": 5})
    (work / "part").write_bytes(bytes(7))
    left = store.entries / f".{B}.1234{stores.PART}"
    left.mkdir()
    (left / "half").write_bytes(bytes(5))
    return store


def test_an_empty_cache_has_no_rows(store: Store) -> None:
    table = vnb.cache_info()
    assert len(table) == 0 and {"kind", "model", "data", "n", "created", "bytes"} <= set(table)
    assert table.attrs == {"folder": str(store.folder), "bytes": 0}
    assert not store.folder.exists()


def test_it_lists_entries_unfinished_work_and_leftovers(filled: Store) -> None:
    table = vnb.cache_info().set_index("key")
    assert len(table) == 4 and table.attrs["bytes"] == table["bytes"].sum()
    states = dict(zip(zip(table.index, table["state"], strict=True), table["kind"], strict=True))
    assert states[A, "kept"] == "sweep" and states[B, "kept"] == "head ablation"
    assert states[C, "unfinished"] == "sweep" and states[B, "left over"] == ""
    one = table.loc[A]
    assert (one["model"], one["data"], one["n"], one["probe"], one["seconds"]) == (
        "m",
        "toy (test)",
        3,
        "p",
        1.5,
    )
    assert one["bytes"] == 100 and abs(one["created"].timestamp() - (time.time() - 3 * DAY)) < 60
    assert table["created"].is_monotonic_decreasing
    assert table.loc[C, "bytes"] >= 7


def test_all_is_removed_and_said(filled: Store) -> None:
    before = vnb.cache_info()
    gone = vnb.clear_cache()
    assert set(gone["key"]) == {A, B, C} and len(gone) == 4
    assert gone.attrs["bytes"] == before.attrs["bytes"] > 0
    assert len(vnb.cache_info()) == 0 and len(vnb.clear_cache()) == 0


@pytest.mark.parametrize("age", [2, 2.0, timedelta(days=2)])
def test_only_what_is_old(filled: Store, age: float | timedelta) -> None:
    assert list(vnb.clear_cache(older_than=age)["key"]) == [A]
    assert set(vnb.cache_info()["key"]) == {B, C}


def test_only_one_kind(filled: Store) -> None:
    gone = vnb.clear_cache(kind="sweep")
    assert dict(zip(gone["key"], gone["state"], strict=True)) == {A: "kept", C: "unfinished"}
    assert set(vnb.cache_info()["key"]) == {B}


def test_wrong_choices_are_said(filled: Store) -> None:
    with pytest.raises(ValueError, match=r"kind='sweeps'; the cache in .* has: head ablation, sweep"):
        vnb.clear_cache(kind="sweeps")
    with pytest.raises(ValueError, match="older_than=-1; expected days, or a timedelta, of at least 0"):
        vnb.clear_cache(older_than=-1)
    assert len(vnb.cache_info()) == 4


def test_without_a_cache_there_is_nothing(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stores.VARIABLE, "off")
    assert len(vnb.cache_info()) == 0 and len(vnb.clear_cache()) == 0
    assert vnb.cache_info().attrs["folder"] is None
    assert (filled.entries / A).is_dir()


def test_a_damaged_manifest_is_listed_as_left_over(filled: Store) -> None:
    (filled.entries / A / MANIFEST).write_text("{")
    table = vnb.cache_info()
    assert list(table.loc[table["key"] == A, "state"]) == ["left over"]
    vnb.clear_cache()
    assert not (filled.entries / A).exists()


def test_what_others_keep_in_the_folder_stays(filled: Store, tmp_path: Path) -> None:
    (filled.folder / "mine.txt").write_text("x")
    vnb.clear_cache()
    assert (filled.folder / "mine.txt").exists() and os.listdir(filled.entries) == []
