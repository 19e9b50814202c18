"""Which format some features are in, told by their content, and the one call that opens any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from value_nb.data.features.butd_tsv import ButdTsv
from value_nb.data.features.lmdb_file import LmdbFile, find_data_file, is_lmdb
from value_nb.data.features.lxmert_tsv import LxmertTsv
from value_nb.data.features.npz import NpzFile, NpzFolder
from value_nb.data.features.source import MAX_BYTES, FeatureSource, Names
from value_nb.data.features.uniter_lmdb import KEYS as UNITER_KEYS
from value_nb.data.features.uniter_lmdb import RegionChoice, UniterLmdb
from value_nb.data.features.uniter_record import ZIP_MARK
from value_nb.data.features.uniter_text import LZ4_MARK
from value_nb.data.features.volta_h5 import VoltaH5
from value_nb.data.features.volta_lmdb import KEYS as VOLTA_KEYS
from value_nb.data.features.volta_lmdb import VoltaLmdb

SOURCES: dict[str, type[FeatureSource]] = {
    source.format: source
    for source in (UniterLmdb, LxmertTsv, ButdTsv, VoltaLmdb, VoltaH5, NpzFolder, NpzFile)
}
"""Every format by its name."""

HDF5_MARK = b"\x89HDF\r\n\x1a\n"


def open_features(
    path: Path | str,
    format: str | None = None,
    class_names: Names = None,
    choice: RegionChoice | None = None,
) -> FeatureSource:
    """Open region features in any known format; nothing is written beside them.

    Parameters
    ----------
    path
        An LMDB folder, a TSV file, an HDF5 file, an npz file, or a folder of npz files.
    format
        "uniter-lmdb", "lxmert-tsv", "butd-tsv", "volta-lmdb", "volta-h5", "npz-folder" or "npz-file". None:
        told by the content (never by the name); `source.format`, and its repr, say which it is.
    class_names
        What the class indices stand for: texts, or a text file with one a line (the detector's
        objects_vocab.txt). None: indices are kept, names are unknown.
    choice
        Which regions of a UNITER database named `all` are taken.

    Raises
    ------
    FileNotFoundError
        When nothing is at the path.
    ValueError
        An unknown format; content that is none of the formats (the message says what was tried); `choice` for
        features whose regions are chosen already; or (DataFormatError) a damaged file.
    """
    path = Path(path).expanduser()
    if format is not None and format not in SOURCES:
        raise ValueError(f"format={format!r} came; expected None or one of {', '.join(SOURCES)}.")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected a file or folder with region features.")
    name = detect_format(path) if format is None else format
    if choice is not None and name != UniterLmdb.format:
        raise ValueError(
            f"choice={choice} came for features in the format {name}; it is for UNITER databases named "
            "'all'. Leave it out."
        )
    more: dict[str, Any] = {"choice": choice} if name == UniterLmdb.format else {}
    return SOURCES[name](path, class_names, **more)


def detect_format(path: Path) -> str:
    """Return the name of the format that some features are in, by looking at their content.

    Raises
    ------
    ValueError
        When it is none of the known ones: says what was tried, and what was found instead.
    """
    if is_lmdb(path):
        return _lmdb_format(path)
    if path.is_dir():
        return _folder_format(path)
    with path.open("rb") as stream:
        head = stream.read(8)
        stream.seek(0)
        tabs = stream.readline(MAX_BYTES).count(b"\t")
    if head == HDF5_MARK:
        return _hdf5_format(path)
    if head.startswith(ZIP_MARK):
        return NpzFile.format
    for source in (LxmertTsv, ButdTsv):
        if tabs == len(source.fields) - 1:
            return source.format
    raise _unknown(
        path,
        f"LMDB (no mark at byte 16), HDF5 and npz (it begins with {head!r}), TSV ({tabs + 1} fields in line "
        f"1; LXMERT has {len(LxmertTsv.fields)}, bottom-up attention {len(ButdTsv.fields)})",
    )


def _unknown(path: Path, tried: str) -> ValueError:
    return ValueError(f"{path} is in no known format. Tried: {tried}. Known: {', '.join(SOURCES)}.")


def _folder_format(path: Path) -> str:
    if any(path.glob("*.npz")):
        return NpzFolder.format
    inside = sorted(file.name for file in path.iterdir() if is_lmdb(file))
    if inside:
        raise ValueError(
            f"{path} holds several databases: {', '.join(inside)}. Give the path of one of them."
        )
    has = find_data_file(path).is_file()
    lmdb = "data.mdb has no LMDB mark" if has else "no data.mdb"
    raise _unknown(path, f"LMDB ({lmdb}, nor in a folder below), a folder of npz files (no *.npz)")


def _lmdb_format(path: Path) -> str:
    """Tell the LMDB formats apart by their key lists and by how a value begins."""
    lmdb = LmdbFile(path)
    if UNITER_KEYS in lmdb:
        return UniterLmdb.format
    if VOLTA_KEYS in lmdb:
        return VoltaLmdb.format
    first = lmdb.get(next(iter(lmdb)))[:4] if len(lmdb) else b""
    if first == LZ4_MARK:
        raise ValueError(
            f"{path} is a UNITER text database: it holds captions, not regions. Open it with UniterText, and "
            "give the image database here."
        )
    if first == ZIP_MARK or first[:1] in (b"\x81", b"\x82", b"\x83", b"\x84", b"\x85"):
        return UniterLmdb.format
    if first[:1] == b"\x80":
        return VoltaLmdb.format
    raise _unknown(
        path, f"UNITER (no key __keys__), VOLTA (no key keys); the first value begins with {first!r}"
    )


def _hdf5_format(path: Path) -> str:
    import h5py

    from value_nb.data.problems import DataFormatError
    from value_nb.data.regions import FORMAT

    try:
        with h5py.File(path, "r") as file:
            ours = file.attrs.get("format") == FORMAT
            groups = all(file.get(name, getclass=True) is h5py.Group for name in list(file)[:1])
    except (OSError, RuntimeError) as error:
        raise DataFormatError(
            path, "", f"it cannot be opened as HDF5 ({error}); expected a whole file. Copy it again."
        ) from error
    if ours:
        raise ValueError(f"{path} is a region store already; open it with value_nb.data.RegionStore.")
    if not groups:
        raise _unknown(path, "HDF5 as VOLTA writes it (expected one group per picture)")
    return VoltaH5.format
