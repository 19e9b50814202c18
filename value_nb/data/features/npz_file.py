"""Arrays of an npz file (a zip of npy files), read with their sizes checked before memory is set aside."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from value_nb.data.features.source import MAX_BYTES, NUMERIC, damaged
from value_nb.data.problems import DataFormatError

Header = tuple[tuple[int, ...], bool, "np.dtype[Any]"]
"""Shape, whether in column order, and type."""

BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError)
"""What a damaged zip or npy file raises (encrypted members and unknown packings too)."""


def open_npz(content: Path | bytes, path: Path | str, place: str) -> zipfile.ZipFile:
    """Open an npz file, or the bytes of one. Raises DataFormatError when it is no whole zip."""
    try:
        return zipfile.ZipFile(io.BytesIO(content) if isinstance(content, bytes) else content)
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise damaged(path, place, f"it is no whole npz file ({error})", "a zip of npy arrays") from error


def member_names(archive: zipfile.ZipFile) -> set[str]:
    """Return the names of the arrays."""
    return {name.removesuffix(".npy") for name in archive.namelist()}


def read_header(stream: IO[bytes], path: Path | str, place: str, text: bool = False) -> Header:
    """Read the head of an npy file. Raises DataFormatError unless it holds numbers (or text, where allowed).

    Arrays of objects would need unpickling; they are refused here, before anything of them is read.
    """
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read(stream)
    except Exception as error:  # a damaged head raises nearly anything
        raise damaged(path, place, f"it does not begin like an npy array ({error})", "one") from error
    if dtype.str not in NUMERIC and not (text and dtype.kind == "U"):
        raise damaged(path, place, f"an array of type {dtype} came", "numbers (nothing is unpickled)")
    if any(side < 0 for side in shape):
        raise damaged(path, place, f"the shape {shape} came", "sides of at least 0")
    return shape, by_columns, dtype


def read_member(
    archive: zipfile.ZipFile, name: str, path: Path | str, place: str, text: bool = False
) -> NDArray[Any]:
    """Return one array of an npz file.

    Raises
    ------
    DataFormatError
        When it is missing or damaged, holds objects, or is not as long as its head says.
    """
    place = f"{place}, {name}" if place else name
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        names = ", ".join(sorted(member_names(archive)))
        raise damaged(path, place, "it is missing", f"it beside {names or 'nothing'}") from None
    try:
        with archive.open(info) as stream:
            shape, by_columns, dtype = read_header(stream, path, place, text)
            size = dtype.itemsize * math.prod(shape)
            if size != info.file_size - stream.tell() or size > MAX_BYTES:
                found = f"{info.file_size} bytes for {dtype} {shape} came"
                raise damaged(path, place, found, f"as many as it takes, at most {MAX_BYTES}")
            data = stream.read(size + 1)  # the one more makes the checksum be compared
    except DataFormatError:
        raise
    except BROKEN as error:
        raise damaged(path, place, f"it cannot be unpacked ({error})", "a whole npz file") from error
    if len(data) != size:
        raise damaged(path, place, f"{len(data)} bytes came", f"{size}")
    array = np.frombuffer(bytearray(data), dtype) if size else np.zeros(math.prod(shape), dtype)
    return array.reshape(shape, order="F" if by_columns else "C")


def read_arrays(
    content: Path | bytes, wanted: Collection[str], path: Path | str, place: str
) -> dict[str, NDArray[Any]]:
    """Return the wanted arrays that an npz file has; whatever else it holds stays unread."""
    with open_npz(content, path, place) as archive:
        names = member_names(archive)
        return {name: read_member(archive, name, path, place) for name in wanted if name in names}
