"""Read a large JSON file that is one list of objects, element by element, plain or in the zip it came in."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from value_nb.data.problems import DataFormatError

CHUNK = 1 << 20
LARGEST_ELEMENT = 1 << 26
"""Most characters that one element of the list may have."""
LOOK_BACK = 16
"""A syntax error this near to the end of the text read so far may only mean that more text is needed."""


def stream_objects(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the elements of a JSON list of objects, holding one at a time in memory.

    `objects.json.zip` is read in place: its single .json member is decompressed as it is consumed, nothing is
    written to disk and member paths are not used.

    Raises
    ------
    DataFormatError
        When the file is not a list of JSON objects in UTF-8, is cut short, or its zip is damaged, encrypted
        or does not hold exactly one .json member.
    """
    try:
        with _text(path) as stream:
            yield from _Elements(path, stream)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataFormatError(
            path, "", f"the zip archive is damaged ({error}). Download it again."
        ) from error
    except UnicodeDecodeError as error:
        raise DataFormatError(
            path, "", f"it is not UTF-8 ({error.reason}); expected JSON. Download it again."
        ) from error


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".zip":
        with path.open(encoding="utf-8-sig") as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive, archive.open(_member(archive, path)) as raw:
        yield TextIOWrapper(raw, encoding="utf-8-sig")


def _member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [
        info
        for info in archive.infolist()
        if info.filename.endswith(".json") and "__MACOSX" not in info.filename
    ]
    if len(members) != 1 or members[0].flag_bits & 1:
        shown = [info.filename for info in archive.infolist()][:5]
        raise DataFormatError(
            path,
            "",
            f"the members {shown} came; expected exactly one .json member, not encrypted. Download it again.",
        )
    return members[0]


class _Elements:
    """The elements of the list in a text stream."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self.path, self.stream = path, stream
        self.buffer, self.at, self.number = "", 0, 0
        self.decoder = json.JSONDecoder()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._next_character() != "[":
            raise self._error("expected a JSON list, which begins with '['")
        self.at += 1
        following = self._next_character()
        while following != "]":
            self.number += 1
            yield self._element()
            following = self._next_character()
            if following == ",":
                self.at += 1
                following = self._next_character()
                if following == "]":
                    raise self._error("expected another object after the ',' behind it")
            elif following != "]":
                raise self._error("expected ',' or ']' after it")
        self.at += 1
        if self._next_character():
            raise self._error("expected nothing after the list's closing ']'")

    def _next_character(self) -> str:
        """Pass over white space and return the character after it, "" at the end of the file."""
        while True:
            while self.at < len(self.buffer) and self.buffer[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.buffer) or not self._more():
                return self.buffer[self.at : self.at + 1]

    def _more(self) -> bool:
        """Read on, at least as much again as is waiting, so that a large element costs few attempts."""
        self.buffer = self.buffer[self.at :]
        self.at = 0
        text = self.stream.read(max(CHUNK, len(self.buffer)))
        self.buffer += text
        return bool(text)

    def _element(self) -> dict[str, Any]:
        if self._next_character() != "{":
            raise self._error("expected an object, which begins with '{'")
        while True:
            try:
                element, self.at = self.decoder.raw_decode(self.buffer, self.at)
                return dict(element)
            except RecursionError:
                raise self._error("it is nested too deeply") from None
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos > len(self.buffer) - LOOK_BACK
                if len(self.buffer) - self.at > LARGEST_ELEMENT:
                    raise self._error(f"it is longer than {LARGEST_ELEMENT} characters") from None
                if not cut or not self._more():
                    raise self._error(f"it is not valid JSON, or cut short ({error.msg})") from None
            except ValueError:  # a number of more digits than Python takes
                raise self._error("it holds a number of thousands of digits") from None

    def _error(self, message: str) -> DataFormatError:
        return DataFormatError(self.path, f"element {self.number}", f"{message}. Download the file again.")
