"""What is here, what is missing, how large it is, and the exact next step. Never touches the network."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from value_nb.data.paths import bundled_root
from value_nb.getting.checksums import Book, Kept
from value_nb.getting.manifest import BY_HAND, Item, Manifest, in_words, load_manifest, sizes_in_words
from value_nb.getting.offline import offline_by
from value_nb.getting.presence import MISSING, THERE, Presence, look, state_of, unfinished

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("item", "kind", "state", "bytes on disk", "to download", "next step", "note")
MACHINE = "machine"
PACKAGES = ("torch", "transformers", "huggingface_hub")

Row = tuple[str, str, str, int, str, str, str]


def doctor(
    root: Path | str | None = None, verify: bool = False, *, manifest: Manifest | None = None
) -> pd.DataFrame:
    """Say what of the real weights and data is here, and how to get the rest. Never touches the network.

    Parameters
    ----------
    root
        Folder under which items lie. None: the folder of the bundled data, or what VALUE_NB_DATA names.
    verify
        Read every file whose checksum is known and hold it against that; takes as long as reading does.
        Otherwise only sizes are looked at.
    manifest
        Another list of what can be had. None: the kit's.

    Returns
    -------
    One row an item of the manifest: item; kind (model, data, features); state (there, partly, missing,
    damaged); bytes on disk; to download (in words, "" where it is there); next step (what to type or do, ""
    for none); note (what is known about it). Then rows of kind "machine": Python, packages, free space, and
    whether the network is forbidden.

    Raises
    ------
    FileNotFoundError
        VALUE_NB_DATA names no folder.
    FetchError
        `checksums.json` in the root cannot be read.
    """
    import pandas as pd

    base = bundled_root() if root is None else Path(root).expanduser()
    rows = list(_rows(base, verify, manifest or load_manifest()))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def doctor_text(
    root: Path | str | None = None, verify: bool = False, *, manifest: Manifest | None = None
) -> str:
    """The same in lines of text: the machine, then the items, those that are here first."""
    base = bundled_root() if root is None else Path(root).expanduser()
    rows = list(_rows(base, verify, manifest or load_manifest()))
    items = sorted((row for row in rows if row[1] != MACHINE), key=lambda row: row[2] == MISSING)
    lines = [f"In {base}:"]
    lines += [f"  {name}: {state}" for name, kind, state, *_ in rows if kind == MACHINE]
    width = max((len(row[0]) for row in items), default=0)
    for name, _, state, size, download, step, note in items:
        lines.append(f"  {name:<{width}}  {state:<7}  {_sizes(size, download)}")
        lines += [f"  {'':<{width}}  -> {step}"] if step else []
        lines += [f"  {'':<{width}}  {note}"] if note else []
    return "\n".join(lines)


def _sizes(size: int, download: str) -> str:
    here = f"{in_words(size)} here" if size else ""
    return ", ".join(filter(None, (here, f"to download: {download}" if download else "")))


def _rows(base: Path, verify: bool, manifest: Manifest) -> Iterator[Row]:
    kept = Book(base).read()
    for item in manifest.items.values():
        yield _item_row(item, base, kept, verify)
    yield from _machine_rows(base)


def _item_row(item: Item, base: Path, kept: dict[str, Kept], verify: bool) -> Row:
    parts = [look(item, part, base, kept, verify) for part in item.parts]
    state = state_of(parts)
    size = sum(presence.size for presence in parts)
    if state == THERE:
        return item.name, item.kind, state, size, "", "", item.status
    wanted = [presence for presence in parts if presence.state != THERE]
    download = sizes_in_words([presence.part for presence in wanted])
    return item.name, item.kind, state, size, download, _next_step(item, base, wanted), item.status


def _next_step(item: Item, base: Path, wanted: list[Presence]) -> str:
    """What to type, or, where a program cannot get it, what to do."""
    where = "" if base == _usual() else f", root={str(base)!r}"
    steps = []
    if any(presence.part.dead for presence in wanted) and item.instead:
        steps.append(f"{item.instead} What is known to be dead is tried all the same by:")
    if cut := unfinished(item, base):
        steps.append(f"{in_words(cut)} came before it was cut; the next call goes on.")
    if damaged := [str(path) for presence in wanted for path in presence.damaged]:
        steps.append(f"Not what was fetched: {', '.join(damaged)}. Delete it, then:")
    names = [item.name]
    if any(presence.part.by_hand for presence in wanted):
        names = [f"{item.name}/{presence.part.name}" for presence in wanted if not presence.part.by_hand]
    steps += [f'vnb.fetch("{name}"{where})' for name in names]
    steps += [_hand_step(item, presence, base) for presence in wanted if presence.part.by_hand]
    return " ".join(steps)


def _hand_step(item: Item, presence: Presence, base: Path) -> str:
    hand = next(at for at in presence.part.locations if at.kind in BY_HAND)
    goes = " and ".join(str(base / item.folder / group[0]) for group in presence.part.targets)
    return f"{hand.url}: {hand.steps} It goes to {goes}."


def _usual() -> Path | None:
    try:
        return bundled_root()
    except FileNotFoundError:
        return None


def _machine_rows(base: Path) -> Iterator[Row]:
    yield "python", MACHINE, platform.python_version(), 0, "", "", ""
    for package in PACKAGES:
        try:
            found, step = version(package), ""
        except PackageNotFoundError:
            found, step = "not installed", f"pip install {package}"
        yield package, MACHINE, found, 0, "", step, ""
    folder = next(folder for folder in (base, *base.absolute().parents) if folder.is_dir())
    yield "free space", MACHINE, in_words(shutil.disk_usage(folder).free), 0, "", "", ""
    name = offline_by()
    state = f"forbidden by {name}" if name else "used only when vnb.fetch is called"
    yield "network", MACHINE, state, 0, "", f"unset {name} before vnb.fetch" if name else "", ""
