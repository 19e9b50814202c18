"""One file from one location: goes on where it was cut, checks the size, and never looks whole before it is.

Own code, because the libraries at hand leave out what files of a gigabyte need: pooch starts afresh after
every cut and takes one address a file; requests leaves ranges to its caller.

How it goes on: the bytes lie in `<name>.<tag>.part` beside a note of the file's ETag, Last-Modified and size.
The next request asks for the rest of *that* file (Range with If-Range). Where the server sends the whole, or
says anything that differs from the note, what is here is thrown away and the file is brought from its
beginning. Where it gives neither ETag nor Last-Modified, nothing could tell a changed file from the old one;
then only a published SHA-256 allows to go on.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.getting.errors import ChecksumError, DiskFullError, LocationError
from value_nb.getting.manifest import in_words
from value_nb.getting.partial import Note, Partial
from value_nb.getting.room import disk_room
from value_nb.getting.wire import Wire, answer, check_scheme

if TYPE_CHECKING:
    import requests

BLOCK = 1 << 16
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which the same location is asked again."""
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file beforehand: size in bytes, SHA-256, each None where nobody says."""

    size: int | None = None
    sha256: str | None = None


class _Cut(Exception):
    """The transfer ended early or the server was busy; another attempt may go on."""


class _Changed(Exception):
    """The server's file is no longer the one that the bytes here are of."""


def download(partial: Partial, expected: Expected, wire: Wire, progress: bool = True) -> Path:
    """Bring a file whole, and return the path of its bytes, which is still that of the partial file.

    Parameters
    ----------
    partial
        What is here of it already, and its address.
    expected
        What is known of it beforehand.
    wire
        How patient to be.
    progress
        Show a progress bar.

    Raises
    ------
    LocationError
        The location does not give the file; the message says what it answered.
    DiskFullError
        There is no room. What was brought stays.
    """
    check_scheme(partial.url, "the address is")
    idle, best = 0, partial.size
    while True:
        try:
            _go_on(partial, expected, wire, progress)
            return partial.path
        except _Changed:
            partial.discard()
            idle, best = idle + 1, 0
            reason = "its file changed between two parts"
        except _Cut as cut:
            idle = 1 if partial.size > best else idle + 1
            best, reason = max(best, partial.size), str(cut)
        if idle >= wire.attempts:
            raise LocationError(f"{reason} ({idle} attempts)") from None
        time.sleep(wire.pause * 2 ** (idle - 1))


def _go_on(partial: Partial, expected: Expected, wire: Wire, progress: bool) -> None:
    """Ask once, for the rest where there is a beginning that can be used, and write what comes."""
    import requests
    import urllib3

    note = _usable(partial, expected)
    if note is not None and note.total == partial.size:
        return
    try:
        with answer(partial.url, _headers(partial, note), wire) as response:
            now = _read_answer(response, partial, note)
            if response.status_code == 200:
                partial.begin(now)
            _check_size(now, expected)
            _check_room(partial, now)
            _write(response, partial, now, wire, progress)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            raise LocationError(f"cannot be asked: {error}") from error
        raise _Cut(_plainly(error, wire)) from error
    if now.total is not None and partial.size < now.total:
        raise _Cut(f"ended after {partial.size} of {now.total} bytes")
    _check_size(Note(partial.url, total=partial.size), expected)


def _usable(partial: Partial, expected: Expected) -> Note | None:
    """The note of a beginning that can be gone on with, else None."""
    note = partial.note()
    if note is None or not partial.size or (note.total is not None and partial.size > note.total):
        return None
    return note if note.validator or expected.sha256 else None


def _headers(partial: Partial, note: Note | None) -> dict[str, str]:
    from value_nb import __version__

    # Compressed on the way, sizes and ranges would be those of the compressed bytes.
    headers = {"Accept-Encoding": "identity", "User-Agent": f"value_nb/{__version__}"}
    if note is not None:
        headers["Range"] = f"bytes={partial.size}-"
        if note.validator:
            headers["If-Range"] = note.validator
    return headers


def _read_answer(response: requests.Response, partial: Partial, note: Note | None) -> Note:
    """What the answer says of the file, if it is one that bytes can be taken from."""
    status, said = response.status_code, response.headers
    if status == 416 and note is not None:
        raise _Changed
    if status in BUSY:
        raise _Cut(f"answered {_status(response)}")
    if status not in (200, 206) or (status == 206 and note is None):
        raise LocationError(f"answered {_status(response)}")
    if said.get("Content-Encoding", "identity") != "identity":
        raise LocationError(f"sends the file compressed ({said['Content-Encoding']}), though asked not to")
    if "text/html" in said.get("Content-Type", ""):
        raise LocationError("answered with a web page instead of the file: it was moved, or wants a person")
    total = int(said["Content-Length"]) if said.get("Content-Length", "").isdigit() else None
    now = Note(partial.url, said.get("ETag", ""), said.get("Last-Modified", ""), total)
    if status == 200 or note is None:
        return now
    return _rest(said.get("Content-Range", ""), partial, note, now)


def _rest(span: str, partial: Partial, note: Note, now: Note) -> Note:
    """What answer 206 says of the whole file, if it is the rest of the one that is here."""
    found = RANGE.fullmatch(span)
    if found is None or int(found[1]) != partial.size:
        raise _Changed
    total = None if found[2] == "*" else int(found[2])
    now = Note(now.url, now.etag, now.modified, total)
    if not note.same_file(now):
        raise _Changed
    return note if total is None else now


def _check_size(now: Note, expected: Expected) -> None:
    if expected.size is not None and now.total is not None and now.total != expected.size:
        raise ChecksumError(f"has a file of {now.total} bytes, expected are {expected.size}")


def _check_room(partial: Partial, now: Note) -> None:
    """Say before the first byte that there is no room, rather than after gigabytes."""
    missing = (now.total or 0) - partial.size
    free = shutil.disk_usage(partial.folder).free
    if missing > free:
        raise DiskFullError(
            f"{partial.name} needs {in_words(missing)} more, and {partial.folder} has {in_words(free)} free. "
            "Make room, or give another root=; what was brought so far stays, and the next call goes on."
        )


def _write(response: requests.Response, partial: Partial, now: Note, wire: Wire, progress: bool) -> None:
    """Append what comes to the partial file."""
    limit = wire.limit if now.total is None else now.total
    with disk_room(partial.folder), partial.path.open("ab") as file, _bar(partial, now, progress) as bar:
        while block := response.raw.read1(BLOCK, decode_content=False):
            if file.tell() + len(block) > limit:
                partial.discard()
                raise LocationError(f"sends more than {limit} bytes: stopped")
            file.write(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())


def _bar(partial: Partial, now: Note, progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(
        total=now.total,
        initial=partial.size,
        desc=partial.name,
        unit="B",
        unit_scale=True,
        disable=not progress,
        leave=False,
    )


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def _plainly(error: Exception, wire: Wire) -> str:
    """What happened on the wire, in words."""
    text = f"{type(error).__name__} {error}".lower()
    if "timeout" in text or "timed out" in text:
        return f"sent nothing for {wire.timeout:g} seconds"
    if "incompleteread" in text or "incomplete" in text or "broken" in text or "reset" in text:
        return "cut the transfer"
    if "resolve" in text or "name or service" in text:
        return "was not found: is this machine connected to the network?"
    return f"could not be reached ({type(error).__name__})"
