"""Bringing an item here: locations in turn, checked, unpacked, and put into place only when whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from value_nb.data.paths import bundled_root
from value_nb.getting import hub
from value_nb.getting.checksums import LOCKS, Book, Kept, digest, today
from value_nb.getting.download import Expected, download
from value_nb.getting.errors import ArchiveError, ChecksumError, FetchError, FormNeeded, LocationError
from value_nb.getting.manifest import BY_HAND, Item, Location, Manifest, Part, load_manifest
from value_nb.getting.offline import refuse_offline
from value_nb.getting.partial import Partial
from value_nb.getting.presence import THERE, key, look, working_folder
from value_nb.getting.room import disk_room
from value_nb.getting.unpack import Limits, put, take, unpack
from value_nb.getting.wire import Wire


def fetch(
    name: str,
    root: Path | str | None = None,
    progress: bool = True,
    *,
    manifest: Manifest | None = None,
    wire: Wire | None = None,
    limits: Limits | None = None,
) -> Path:
    """Bring a model or data set of the manifest to this machine, if it is not here, and return where it lies.

    May be interrupted at any time: the next call goes on. Two calls for the same item wait for each other.
    Nothing has its final name before it is whole and checked: against the published SHA-256, or, where nobody
    publishes any, against that of the first download, which is kept in `checksums.json` in the root.

    Parameters
    ----------
    name
        An item that `vnb.doctor()` lists ("ctrl-uniter"), or a part of one ("senteval/tree_depth").
    root
        Folder under which items lie, each in its own folder. None: the folder of the bundled data, or the one
        that VALUE_NB_DATA names, which is where `load_model` and `load_dataset` look.
    progress
        Show progress bars, and say so when another call is waited for.
    manifest
        Another list of what can be had, as `load_manifest` reads it. None: the kit's.
    wire
        How long to wait and how often to try; None: 60 seconds without a byte, 4 attempts in a row.
    limits
        What may come out of an archive; None: 200 GB, a hundred times its size, a million members.

    Returns
    -------
    The item's folder; of a part that is one file or folder, its path.

    Raises
    ------
    ValueError
        For an unknown name; the message lists those there are.
    OfflineError
        It is not here, and VALUE_NB_OFFLINE or HF_HUB_OFFLINE forbids the network.
    FormNeeded
        It is given only to those who ask by hand; the message says where, and where to put it.
    DiskFullError
        There is no room; what was brought so far stays.
    FetchError
        No location gave it; the message lists what each answered, and what to use in its place.
    """
    item, parts = (manifest or load_manifest()).find(name)
    base = bundled_root() if root is None else Path(root).expanduser()
    job = _Job(item, base, Book(base), wire or Wire(), limits or Limits(), progress)
    if job.missing(parts):
        with job.lock():
            missing = job.missing(parts)
            for part in missing:
                job.refuse_by_hand(part)
            for part in missing:
                job.bring(part)
    return job.where(parts)


@dataclass(frozen=True, slots=True)
class _Job:
    """The fetching of one item."""

    item: Item
    root: Path
    book: Book
    wire: Wire
    limits: Limits
    progress: bool

    @property
    def folder(self) -> Path:
        return self.root / self.item.folder

    @property
    def working(self) -> Path:
        return working_folder(self.item, self.root)

    def missing(self, parts: tuple[Part, ...]) -> list[Part]:
        kept = self.book.read()
        return [part for part in parts if look(self.item, part, self.root, kept).state != THERE]

    def where(self, parts: tuple[Part, ...]) -> Path:
        one = len(parts) == 1 and len(self.item.parts) > 1 and len(parts[0].targets) == 1
        return self.folder / parts[0].targets[0][0] if one and not parts[0].files else self.folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        locks = self.root / LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{self.item.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if self.progress:
                print(f"{self.item.name} is being fetched by another call: waiting for it")
            lock.acquire()
        try:
            yield
            shutil.rmtree(self.working, ignore_errors=True)
        finally:
            with suppress(OSError):  # it holds something to go on from, or was never made
                self.working.rmdir()
            lock.release()

    def refuse_by_hand(self, part: Part) -> None:
        """Raise FormNeeded for a part that cannot be downloaded."""
        if part.by_hand:
            raise FormNeeded(
                f"{key(self.item, part)} cannot be downloaded by a program. {self.by_hand(part)}"
            )

    def by_hand(self, part: Part) -> str:
        """What a person can do to get a part, in words; "" where there is nothing."""
        steps = [f"{at.url}: {at.steps}" for at in part.locations if at.kind in BY_HAND]
        if not steps:
            return ""
        goes = " and ".join(str(self.folder / group[0]) for group in part.targets)
        terms = [f"Terms: {self.item.terms}"] if self.item.terms else []
        return " ".join(("By hand:", *steps, f"It goes to {goes}.", *terms))

    def bring(self, part: Part) -> None:
        """Try the locations of a part in turn."""
        if part.files and self._from_cache(part):
            return
        refuse_offline(key(self.item, part))
        answers: list[str] = []
        for location in part.locations:
            try:
                if location.kind == "hub":
                    return self._from_hub(part, location)
                if location.kind == "http":
                    return self._from_http(part, location)
            except LocationError as error:
                note = f" ({location.note})" if location.note else ""
                answers.append(f"  {len(answers) + 1}. {location}{note}: {error}")
        raise FetchError(
            "\n".join(
                (
                    f"{key(self.item, part)} could not be fetched. Tried:",
                    *answers,
                    *filter(None, (self.by_hand(part), self.item.status, self.item.instead)),
                )
            )
        )

    def _from_http(self, part: Part, location: Location) -> None:
        name = part.to or part.name
        partial = Partial(self.working, Path(name).name, location.url)
        self.working.mkdir(parents=True, exist_ok=True)
        try:
            file = download(partial, Expected(part.size, part.sha256), self.wire, self.progress)
            found = digest(file)
            self.book.check(key(self.item, part), part.sha256, found, location.url)
            if part.unpack:
                self._unpack(part, location, file, found)
            else:
                self._keep(part, Kept(found, file.stat().st_size, location.url, today()))
                put(file, self.folder / part.to)
        except (ChecksumError, ArchiveError):
            partial.discard()
            raise
        partial.discard()

    def _unpack(self, part: Part, location: Location, file: Path, found: str) -> None:
        """Unpack beside, take what is wanted, and put that into place."""
        beside = self.working / "unpacked"
        shutil.rmtree(beside, ignore_errors=True)
        try:
            with disk_room(self.folder):
                files = unpack(file, beside, part.unpack, self.limits)
            taken = take(beside, part.take)
            digests = {
                to: digest_of(files, path.relative_to(beside).as_posix()) for to, path in taken.items()
            }
            self._keep(part, Kept(found, file.stat().st_size, location.url, today(), digests))
            for to, path in taken.items():
                put(path, self.folder / to)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _keep(self, part: Part, kept: Kept, file: str = "") -> None:
        self.book.write(key(self.item, part, file), kept)

    def _from_cache(self, part: Part) -> bool:
        """Take files of the hub from its own cache, where it has them all."""
        beside = self.working / "cached"
        for location in part.locations:
            if location.kind == "hub":
                brought = hub.from_cache(location, part.files, beside)
                if brought is not None:
                    self._place(part, location, brought)
                    return True
        return False

    def _from_hub(self, part: Part, location: Location) -> None:
        beside = self.working / f"hub-{location.repo.replace('/', '--')}"
        try:
            brought = hub.from_hub(location, part.files, beside, self.wire.timeout, self.progress)
            self._place(part, location, brought)
        except ChecksumError:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def _place(self, part: Part, location: Location, brought: hub.Brought) -> None:
        source = f"{location.repo}@{brought.commit}"
        for name, path in brought.files.items():
            found = digest(path)
            self.book.check(key(self.item, part, name), None, found, source)
            self._keep(part, Kept(found, path.stat().st_size, source, today()), name)
        for name, path in brought.files.items():
            put(path, self.folder / name)


def digest_of(files: dict[str, str], inner: str) -> str:
    """The digest that `tree_digest` gives for a file or folder, from the digests of the files of a tree."""
    import hashlib

    if inner in files:
        return files[inner]
    start = f"{inner}/"
    lines = sorted((name[len(start) :], found) for name, found in files.items() if name.startswith(start))
    return hashlib.sha256("".join(f"{found}  {name}\n" for name, found in lines).encode()).hexdigest()
