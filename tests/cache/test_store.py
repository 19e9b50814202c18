"""Entries that are whole or not there: damage, half-written ones, two writers, a full disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from value_nb.cache import store as stores
from value_nb.cache.store import MANIFEST, Store, StoreFull, current

KEY, OTHER = "a1" * 32, "b2" * 32
ABOUT = {"kind": "test", "model": "m", "n": 3}


def two_files(folder: Path) -> None:
    (folder / "a.txt").write_text("one")
    (folder / "deep").mkdir()
    (folder / "deep" / "b.bin").write_bytes(bytes(range(256)))


def read(folder: Path) -> tuple[str, bytes]:
    return (folder / "a.txt").read_text(), (folder / "deep" / "b.bin").read_bytes()


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def hidden(store: Store) -> list[str]:
    return [path.name for path in store.entries.iterdir() if path.name.startswith(".")]


@pytest.fixture
def entry(store: Store) -> Path:
    store.put(KEY, two_files, ABOUT)
    return store.entries / KEY


def test_what_was_put_is_got_and_nothing_hidden_is_left(store: Store) -> None:
    assert store.get(KEY, read) is None and not store.folder.exists()
    assert store.put(KEY, two_files, ABOUT) is True
    assert store.get(KEY, read) == ("one", bytes(range(256)))
    assert store.get(OTHER, read) is None
    assert hidden(store) == []


def test_the_manifest_says_what_it_is(store: Store, entry: Path) -> None:
    ((key, note),) = store.manifests()
    assert key == KEY and note["about"] == ABOUT
    assert set(note["files"]) == {"a.txt", "deep/b.bin"} and note["bytes"] == 259


def flip(entry: Path) -> None:
    content = bytearray((entry / "deep" / "b.bin").read_bytes())
    content[100] ^= 1
    (entry / "deep" / "b.bin").write_bytes(content)


def cut(entry: Path) -> None:
    text = (entry / MANIFEST).read_text()
    (entry / MANIFEST).write_text(text[: len(text) // 2])


def retell(entry: Path) -> None:
    note = json.loads((entry / MANIFEST).read_text())
    note["body"]["about"]["n"] = 4
    (entry / MANIFEST).write_text(json.dumps(note))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit": (flip, "deep/b.bin was changed"),
    "a file is missing": (lambda entry: (entry / "a.txt").unlink(), "files differ: a.txt"),
    "a file too many": (lambda entry: (entry / "c").write_text(""), "files differ: c"),
    "half a manifest": (cut, "its manifest cannot be read"),
    "another manifest": (retell, "its manifest was changed"),
    "no manifest": (lambda entry: (entry / MANIFEST).unlink(), "it has no manifest"),
    "an empty file": (lambda entry: (entry / "a.txt").write_text(""), "a.txt was changed"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_reported_removed_and_can_be_put_again(
    name: str, store: Store, entry: Path
) -> None:
    store.put(OTHER, two_files, ABOUT)
    damage, said = DAMAGE[name]
    damage(entry)
    with pytest.warns(UserWarning, match=said):
        assert store.get(KEY, read) is None
    assert not entry.exists() and hidden(store) == []
    assert store.put(KEY, two_files, ABOUT) is True
    assert store.get(KEY, read) is not None and store.get(OTHER, read) is not None


def test_an_entry_of_another_key_is_not_taken(store: Store, entry: Path) -> None:
    os.rename(entry, store.entries / OTHER)
    with pytest.warns(UserWarning, match=f"the manifest is of {KEY}"):
        assert store.get(OTHER, read) is None


def test_what_cannot_be_read_is_removed_too(store: Store, entry: Path) -> None:
    def refuse(_: Path) -> str:
        raise ValueError("of another format")

    with pytest.warns(UserWarning, match="of another format"):
        assert store.get(KEY, refuse) is None
    assert not entry.exists()


def test_a_mended_entry_is_left_alone(store: Store, entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process put it in order between the look and the removal."""
    seen: list[str] = []
    whole = stores.verify

    def first_bad(folder: Path, key: str) -> object:
        seen.append(key)
        if len(seen) == 1:
            raise stores.Broken("a.txt was changed")
        return whole(folder, key)

    monkeypatch.setattr(stores, "verify", first_bad)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.get(KEY, read) is None
    assert entry.exists() and store.get(KEY, read) is not None


@pytest.mark.parametrize("key", ["", "../up", "A1", "xyz"])
def test_a_key_is_hexadecimal(key: str, store: Store) -> None:
    for use in (lambda: store.get(key, read), lambda: store.put(key, two_files, {}), lambda: store.work(key)):
        with pytest.raises(ValueError, match="expected hexadecimal digits"):
            use()
    assert not store.folder.exists()


def test_the_first_of_two_writers_wins(store: Store, entry: Path) -> None:
    assert store.put(KEY, lambda folder: (folder / "a.txt").write_text("late"), ABOUT) is False
    assert store.get(KEY, read) == ("one", bytes(range(256))) and hidden(store) == []


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    def fail(folder: Path) -> None:
        two_files(folder)
        raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        store.put(KEY, fail, ABOUT)
    assert list(store.entries.iterdir()) == []


@pytest.mark.parametrize("what", ["write", "seal", "rename"])
def test_a_full_disk_is_said_and_the_old_entries_stay(
    what: str, store: Store, entry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[[Path], object] = two_files
    if what == "write":
        write = lambda folder: (two_files(folder), full_disk())  # noqa: E731
    elif what == "seal":
        monkeypatch.setattr(stores, "seal", full_disk)
    else:
        monkeypatch.setattr(stores.os, "rename", full_disk)
    with pytest.raises(StoreFull, match=r"the disk of the cache, .* is full .*clear_cache\(\)"):
        store.put(OTHER, write, ABOUT)
    monkeypatch.undo()
    again = Store(entry.parents[1])
    assert again.get(OTHER, read) is None and again.get(KEY, read) is not None
    assert hidden(again) == []


def test_a_full_disk_does_not_take_a_result_that_is_there(store: Store) -> None:
    with pytest.warns(UserWarning, match=r"was not kept for the next run: .*is full"):
        assert store.keep(KEY, full_disk, ABOUT) is False
    assert store.keep(KEY, two_files, ABOUT) is True


def test_a_real_limit_of_the_system_is_met(store: Store, entry: Path) -> None:
    """A process that may write files of 1 KB only, which the system says as it says a full disk."""
    code = """
        import resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        from value_nb.cache.store import Store, StoreFull
        try:
            Store(sys.argv[1]).put(sys.argv[2], lambda folder: (folder / "big").write_bytes(bytes(9999)), {})
        except StoreFull as problem:
            print(problem)
    """
    said = run(code, str(store.folder), OTHER)
    assert "is full (File too large); make room" in said
    assert store.get(OTHER, read) is None and store.get(KEY, read) is not None and hidden(store) == []


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


WRITER = """
    import sys, time
    from pathlib import Path
    from value_nb.cache.store import Store

    folder, mine, me = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    store, shared = Store(folder), "cc" * 32

    def write(inside):
        for number in range(20):
            (inside / f"{number}.txt").write_text(f"{me} {number}")
        (folder.parent / f"ready-{me}").write_text("")
        while len(list(folder.parent.glob("ready-*"))) < 2:  # both are in the middle of the same entry
            time.sleep(0.001)

    first = store.put(shared, write, {"kind": me})
    store.put(mine, lambda inside: (inside / "own.txt").write_text(me), {"kind": me})
    print(first, store.get(shared, lambda inside: sorted(p.read_text() for p in inside.glob("*.txt"))))
"""


def test_two_processes_that_write_one_entry_lose_nothing(store: Store) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(store.folder)]
    both = [
        subprocess.Popen([*command, key, me], stdout=subprocess.PIPE, text=True)
        for key, me in ((KEY, "one"), (OTHER, "two"))
    ]
    said = [process.communicate(timeout=60)[0].split(" ", 1) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(first for first, _ in said) == ["False", "True"]
    assert said[0][1] == said[1][1]  # both read one entry, of one writer
    whole = store.get("cc" * 32, lambda inside: {p.read_text().split()[0] for p in inside.glob("*.txt")})
    assert whole is not None and len(whole) == 1
    assert {note["about"]["kind"] for _, note in store.manifests()} == {"one", "two"}
    assert len(list(store.manifests())) == 3 and hidden(store) == []


def test_a_writer_that_is_killed_leaves_no_entry_and_is_swept_up_later(store: Store) -> None:
    code = """
        import os, signal, sys
        from value_nb.cache.store import Store

        def die(folder):
            (folder / "a.txt").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        Store(sys.argv[1]).put(sys.argv[2], die, {})
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(store.folder), KEY]
    assert subprocess.run(command, check=False).returncode == -9
    (left,) = hidden(store)
    assert store.get(KEY, read) is None
    assert store.put(KEY, two_files, ABOUT) and hidden(store) == [left]  # somebody may still be at it
    old = time.time() - 2 * stores.ABANDONED
    os.utime(store.entries / left, (old, old))
    store.put(KEY, two_files, ABOUT)
    assert hidden(store) == [] and store.get(KEY, read) is not None


def test_work_waits_for_whoever_goes_on(store: Store) -> None:
    folder = store.work(KEY, ABOUT)
    (folder / "part-0").write_text("half")
    assert store.work(KEY, {"kind": "another"}) == folder
    assert json.loads((folder / stores.ABOUT).read_text()) == ABOUT
    store.done(KEY)
    assert not folder.exists()
    store.done(KEY)  # nothing to do


def test_a_lock_is_held_by_one(store: Store) -> None:
    from filelock import Timeout

    with store.lock(KEY):
        with pytest.raises(Timeout), store.lock(KEY, timeout=0):
            pass
        with store.lock(OTHER, timeout=0):
            pass
    with store.lock(KEY, timeout=0):
        pass


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def folder(named: str | None, xdg: str | None) -> Path | None:
        for variable, value in ((stores.VARIABLE, named), ("XDG_CACHE_HOME", xdg)):
            if value is None:
                monkeypatch.delenv(variable, raising=False)
            else:
                monkeypatch.setenv(variable, value)
        found = current()
        return None if found is None else found.folder

    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder("off", None) is None and folder("OFF", "/x") is None
    assert folder(str(tmp_path / "here"), "/x") == tmp_path / "here"
    assert folder("~/here", None) == tmp_path / "here"
    assert folder(None, "/x") == Path("/x/value_nb")
    assert folder("", None) == tmp_path / ".cache" / "value_nb"
    assert not (tmp_path / ".cache").exists()
