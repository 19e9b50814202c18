"""The manifest: what can be fetched, from where, how large, on which terms, and what is known to be dead.

It is one data file, `manifest.json`, beside this one. An item has parts, a part has locations in the order in
which they are tried:

    http    a file at an address
    hub     files of a repository of the Hugging Face hub
    form    given only to those who fill in a form; nothing is downloaded, the steps are told
    page    a page or shared folder to be opened by hand; nothing is downloaded, the steps are told

A part is a plain file (`to`), an archive of which files or folders are taken (`unpack` and `take`), or files
of the hub (`files`).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from value_nb.getting.errors import ManifestError

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).with_name("manifest.json")
VERSION = 1
ITEM_KINDS = ("model", "data", "features")
LOCATION_KINDS = ("http", "hub", "form", "page")
BY_HAND = ("form", "page")
UNPACK = ("zip", "tar")
UNKNOWN = "unknown"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a part can be had.

    Attributes
    ----------
    kind
        http, hub, form or page.
    url
        Address of the file, the form or the page ("" for hub).
    repo, revision
        Of the hub: owner/name, and branch, tag or commit.
    note
        What is known about it: whether it was seen to be dead, or was put together from a layout.
    steps
        Of a form or page: what to do there, and with what comes.
    dead
        Whether it is known to give nothing; it is tried all the same.
    """

    kind: str
    url: str = ""
    repo: str = ""
    revision: str = "main"
    note: str = ""
    steps: str = ""
    dead: bool = False

    def __str__(self) -> str:
        return f"the hub's {self.repo}" if self.kind == "hub" else self.url


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that an item consists of.

    Attributes
    ----------
    name
        Within the item.
    locations
        In the order of preference; all give the same.
    to
        Where a plain file goes, or what is got by hand, relative to the item's folder.
    size, about
        In bytes where it is known, else None; and in words, with the source of the number.
    sha256
        The published one; None where nobody publishes any.
    unpack
        "zip" or "tar" for an archive.
    take
        What is taken from the archive: the last name of a file or folder in it, and where it goes.
    files
        Of the hub: groups of file names; of each group the first that the repository has.
    """

    name: str
    locations: tuple[Location, ...]
    to: str = ""
    size: int | None = None
    about: str = ""
    sha256: str | None = None
    unpack: str = ""
    take: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, ...], ...] = ()

    @property
    def by_hand(self) -> bool:
        """Whether no location can be downloaded from."""
        return all(location.kind in BY_HAND for location in self.locations)

    @property
    def dead(self) -> bool:
        """Whether all its locations are known to give nothing."""
        return all(location.dead for location in self.locations)

    @property
    def targets(self) -> tuple[tuple[str, ...], ...]:
        """What must be in the item's folder: groups of paths, of each at least one."""
        if self.files:
            return self.files
        return tuple((path,) for path in self.take.values()) or ((self.to,),)

    @property
    def size_words(self) -> str:
        """Its size in words: exact, about, or unknown."""
        return (
            in_words(self.size) if self.size is not None else f"about {self.about}" if self.about else UNKNOWN
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be fetched.

    Attributes
    ----------
    name, kind, title
        What to type; model, data or features; what it is.
    folder
        Where it lies under the root.
    source
        Page of those who made it.
    licence, citation
        As the source says; "see the source" where that could not be looked up.
    parts
        What it consists of.
    terms
        Conditions on using it, where there are any.
    status
        What is known about whether it can be had.
    instead
        What to do, or to use in its place, where it cannot be had.
    """

    name: str
    kind: str
    title: str
    folder: str
    source: str
    licence: str
    citation: str
    parts: tuple[Part, ...]
    terms: str = ""
    status: str = ""
    instead: str = ""

    @property
    def size_words(self) -> str:
        """The sizes of its parts in words."""
        return sizes_in_words(self.parts)


def sizes_in_words(parts: Sequence[Part]) -> str:
    """Return the size of parts together where it is known, else those that are known of, by name."""
    sizes = [part.size for part in parts]
    if len(parts) == 1:
        return parts[0].size_words
    if None not in sizes:
        return in_words(sum(size for size in sizes if size is not None))
    named = [f"{part.name} {part.size_words}" for part in parts if part.size_words != UNKNOWN]
    others = [f"others {UNKNOWN}" if named else UNKNOWN] if len(named) < len(parts) else []
    return "; ".join(named + others)


def in_words(size: int) -> str:
    """Return a number of bytes in decimal units: "870.0 MB"."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{size} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What can be fetched, by name."""

    items: Mapping[str, Item]

    def find(self, name: str) -> tuple[Item, tuple[Part, ...]]:
        """Return an item and the parts that a name means: all of "senteval", one of "senteval/tree_depth".

        Raises
        ------
        ValueError
            When there is none of that name; the message lists those there are.
        """
        if name in self.items:
            return self.items[name], self.items[name].parts
        head, _, tail = str(name).partition("/")
        if head in self.items:
            parts = {part.name: part for part in self.items[head].parts}
            if tail in parts:
                return self.items[head], (parts[tail],)
            raise ValueError(f"{head} has no part {tail!r}; it has: {', '.join(parts)}")
        near = difflib.get_close_matches(str(name), self.items, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"nothing called {name!r} can be fetched.{hint} There are: {', '.join(self.items)}")

    def table(self) -> pd.DataFrame:
        """Return one row an item: item, kind, what, size, licence, terms, where, goes to, status, instead."""
        import pandas as pd

        rows = [
            {
                "item": item.name,
                "kind": item.kind,
                "what": item.title,
                "size": item.size_words,
                "licence": item.licence,
                "terms": item.terms,
                "where": "; ".join(dict.fromkeys(str(at) for part in item.parts for at in part.locations)),
                "goes to": item.folder,
                "status": item.status,
                "instead": item.instead,
                "citation": item.citation,
            }
            for item in self.items.values()
        ]
        return pd.DataFrame(rows)


def load_manifest(path: Path | str | None = None) -> Manifest:
    """Read a manifest and check it.

    Parameters
    ----------
    path
        A file of the same form as the kit's, for instance with the addresses of a mirror at hand. None: the
        kit's.

    Raises
    ------
    ManifestError
        When it is not of that form; the message says where in it, what came and what was expected.
    """
    return _own() if path is None else _read(Path(path).expanduser())


@lru_cache(maxsize=1)
def _own() -> Manifest:
    return _read(FILE)


def _read(path: Path) -> Manifest:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(f"{path} cannot be read as a manifest: {error}") from error
    record = _Record(found, str(path))
    record.allow("version", "items")
    if found.get("version") != VERSION:
        raise record.error(f"version is {found.get('version')!r}, expected {VERSION}")
    items = record.mapping("items")
    return Manifest({name: _item(name, _Record(value, f"{path}, {name}")) for name, value in items.items()})


def _item(name: str, record: _Record) -> Item:
    if not NAME.fullmatch(name):
        raise record.error("an item's name is lower-case letters, digits, '.', '_' and '-'")
    texts = ("title", "source", "licence", "citation")
    record.allow("kind", "folder", *texts, "terms", "status", "instead", "parts")
    kind = record.one_of("kind", ITEM_KINDS)
    parts = tuple(_part(_Record(value, f"{record.place}, part")) for value in record.sequence("parts"))
    if not parts or len({part.name for part in parts}) < len(parts):
        raise record.error("expected at least one part, each with a name of its own")
    return Item(
        name=name,
        kind=kind,
        folder=record.path("folder"),
        parts=parts,
        **{key: record.text(key) for key in texts},
        **{key: record.text(key, needed=False) for key in ("terms", "status", "instead")},
    )


def _part(record: _Record) -> Part:
    record.allow("name", "from", "to", "size", "about", "sha256", "unpack", "take", "files")
    name = record.text("name")
    record = _Record(record.value, f"{record.place} {name}")
    if not NAME.fullmatch(name):
        raise record.error("a part's name is lower-case letters, digits, '.', '_' and '-'")
    locations = tuple(_location(_Record(value, record.place)) for value in record.sequence("from"))
    take = {inner: record.inside(to) for inner, to in record.mapping("take").items()}
    part = Part(
        name=name,
        locations=locations,
        to=record.path("to") if "to" in record.value else "",
        size=record.size(),
        about=record.text("about", needed=False),
        sha256=record.sha256(),
        unpack=record.one_of("unpack", ("", *UNPACK)),
        take=take,
        files=tuple(_group(record, group) for group in record.sequence("files")),
    )
    return _checked(part, record)


def _group(record: _Record, group: object) -> tuple[str, ...]:
    names = group if isinstance(group, list) else [group]
    if not names:
        raise record.error("a group of files is empty")
    return tuple(record.inside(name) for name in names)


def _checked(part: Part, record: _Record) -> Part:
    """Return the part when it is of exactly one of the three forms, with locations that fit it."""
    if sum((bool(part.to), bool(part.take), bool(part.files))) != 1:
        raise record.error("expected exactly one of 'to', 'take' and 'files'")
    if bool(part.take) != bool(part.unpack):
        raise record.error("'unpack' and 'take' belong together")
    if not part.locations:
        raise record.error("'from' is empty; expected at least one location")
    fits = ("hub", *BY_HAND) if part.files else ("http", *BY_HAND)
    for location in part.locations:
        if location.kind not in fits:
            raise record.error(f"a location of kind {location.kind!r} came; valid here: {', '.join(fits)}")
    return part


def _location(record: _Record) -> Location:
    record.allow("kind", "url", "repo", "revision", "note", "steps", "dead")
    kind = record.one_of("kind", LOCATION_KINDS)
    hub = kind == "hub"
    location = Location(
        kind=kind,
        url=record.text("url", needed=not hub),
        repo=record.text("repo", needed=hub),
        revision=record.text("revision", needed=False) or "main",
        note=record.text("note", needed=False),
        steps=record.text("steps", needed=kind in BY_HAND),
        dead=record.flag("dead"),
    )
    address = urlsplit(location.url)
    if not hub and (address.scheme not in ("http", "https") or not address.hostname):
        raise record.error(f"the url is {location.url!r}; expected one that begins with http:// or https://")
    if hub and not re.fullmatch(r"[\w.-]+/[\w.-]+", location.repo):
        raise record.error(f"the repo is {location.repo!r}; expected owner/name")
    return location


@dataclass(frozen=True, slots=True)
class _Record:
    """A JSON object, and where it stands."""

    value: Any
    place: str

    def __post_init__(self) -> None:
        if not isinstance(self.value, dict):
            raise self.error(f"{type(self.value).__name__} came, expected an object with keys")

    def error(self, message: str) -> ManifestError:
        return ManifestError(f"{self.place}: {message}")

    def allow(self, *keys: str) -> None:
        strange = sorted(set(self.value) - set(keys))
        if strange:
            raise self.error(f"unknown key {', '.join(map(repr, strange))}; valid: {', '.join(keys)}")

    def text(self, key: str, needed: bool = True) -> str:
        found = self.value.get(key, "")
        if not isinstance(found, str) or (needed and not found.strip()):
            raise self.error(f"{key!r} is {found!r}, expected text")
        return found

    def one_of(self, key: str, valid: tuple[str, ...]) -> str:
        found = self.value.get(key, "")
        if found not in valid:
            raise self.error(f"{key!r} is {found!r}; valid: {', '.join(map(repr, valid))}")
        return str(found)

    def mapping(self, key: str) -> Mapping[str, Any]:
        found = self.value.get(key, {})
        if not isinstance(found, dict):
            raise self.error(f"{key!r} is {type(found).__name__}, expected an object with keys")
        return found

    def sequence(self, key: str) -> list[Any]:
        found = self.value.get(key, [])
        if not isinstance(found, list):
            raise self.error(f"{key!r} is {type(found).__name__}, expected a list")
        return found

    def path(self, key: str) -> str:
        return self.inside(self.text(key))

    def inside(self, path: object) -> str:
        """A path that stays inside its folder."""
        if isinstance(path, str) and path and "\\" not in path and ":" not in path:
            pure = PurePosixPath(path)
            if not pure.is_absolute() and ".." not in pure.parts and pure.parts:
                return pure.as_posix()
        raise self.error(f"the path {path!r} came, expected a relative one with '/' and without '..'")

    def flag(self, key: str) -> bool:
        found = self.value.get(key, False)
        if not isinstance(found, bool):
            raise self.error(f"{key!r} is {found!r}, expected true or false")
        return found

    def size(self) -> int | None:
        found = self.value.get("size")
        if found is not None and (isinstance(found, bool) or not isinstance(found, int) or found <= 0):
            raise self.error(f"'size' is {found!r}, expected a positive number of bytes, or null")
        return found

    def sha256(self) -> str | None:
        found = self.value.get("sha256")
        if found is not None and (not isinstance(found, str) or not SHA256.fullmatch(found)):
            raise self.error(f"'sha256' is {found!r}, expected 64 lower-case hexadecimal digits, or null")
        return found
