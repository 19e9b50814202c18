"""What of an item is here: looked up on the disk, without the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from value_nb.getting.checksums import Kept, digest, tree_digest
from value_nb.getting.manifest import Item, Part

THERE, PARTLY, MISSING, DAMAGED = STATES = ("there", "partly", "missing", "damaged")


@dataclass(frozen=True, slots=True)
class Presence:
    """What of a part is here.

    Attributes
    ----------
    part
        Which.
    state
        there, partly (some of its files), missing, or damaged: another size, or, when that was looked at,
        other bytes than those that were fetched.
    size
        Bytes on the disk.
    damaged
        The paths that are.
    """

    part: Part
    state: str
    size: int
    damaged: tuple[Path, ...] = ()


def working_folder(item: Item, root: Path) -> Path:
    """Where an item's unfinished files lie: beside the finished ones, on the same disk."""
    return root / item.folder / f".fetching-{item.name}"


def key(item: Item, part: Part, file: str = "") -> str:
    """Name of a part, or of a file of the hub, in the book of checksums."""
    return "/".join((item.name, part.name, file)) if file else f"{item.name}/{part.name}"


def look(item: Item, part: Part, root: Path, kept: Mapping[str, Kept], verify: bool = False) -> Presence:
    """Return what of a part is here.

    Parameters
    ----------
    item, part
        What is looked for.
    root
        Folder under which items lie.
    kept
        The book of checksums.
    verify
        Read everything and hold its digest against the book.
    """
    found = [_first(root / item.folder, group) for group in part.targets]
    here = [name for name in found if name is not None]
    bad = [name for name in here if not _whole(item, part, name, root, kept, verify)]
    state = DAMAGED if bad else MISSING if not here else THERE if len(here) == len(found) else PARTLY
    folder = root / item.folder
    size = sum(_size(folder / name) for name in here)
    return Presence(part, state, size, tuple(folder / name for name in bad))


def state_of(parts: list[Presence]) -> str:
    """The state of an item, from those of its parts."""
    states = {presence.state for presence in parts}
    if DAMAGED in states:
        return DAMAGED
    return states.pop() if len(states) == 1 else PARTLY


def unfinished(item: Item, root: Path) -> int:
    """Bytes of downloads that were cut, from which the next call goes on."""
    return sum(path.stat().st_size for path in working_folder(item, root).glob("*.part"))


def _first(folder: Path, group: tuple[str, ...]) -> str | None:
    return next((name for name in group if _exists(folder / name)), None)


def _exists(path: Path) -> bool:
    """Whether a file, or a folder with something in it that shows, is there."""
    if path.is_dir():
        return any(not inner.name.startswith(".") for inner in path.iterdir())
    return path.is_file()


def _whole(item: Item, part: Part, name: str, root: Path, kept: Mapping[str, Kept], verify: bool) -> bool:
    """Whether what is here is what was fetched, as far as that is known."""
    path = root / item.folder / name
    entry = kept.get(key(item, part, name if part.files else ""))
    if part.take:
        unpacked = (entry.unpacked or {}).get(name) if entry else None
        return not verify or unpacked is None or tree_digest(path) == unpacked
    if path.is_dir():
        return True
    size = part.size if part.size is not None else entry.size if entry else None
    if size is not None and path.stat().st_size != size:
        return False
    sha256 = part.sha256 or (entry.sha256 if entry else None)
    return not verify or sha256 is None or digest(path) == sha256


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (inner for inner in path.rglob("*") if inner.is_file())
