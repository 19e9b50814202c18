"""Archives: honest ones come out as they went in, the others are refused, and nothing escapes."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from value_nb.getting.checksums import tree_digest
from value_nb.getting.errors import ArchiveError
from value_nb.getting.fetch import digest_of
from value_nb.getting.unpack import Limits, put, safe_path, take, unpack

FILES = {"Annotations/1.xml": b"<annotation/>", "Annotations/2.xml": b"", "Sentences/1.txt": "schön".encode()}
Maker = Callable[[Path, Mapping[str, bytes]], Path]


def make_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_tar_gz(path: Path, files: Mapping[str, bytes]) -> Path:
    return make_tar(path, files, "w:gz")


KINDS = pytest.mark.parametrize(
    ("make", "kind"),
    [(make_zip, "zip"), (make_tar, "tar"), (make_tar_gz, "tar")],
    ids=["zip", "tar", "tar.gz"],
)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


@KINDS
def test_what_went_in_comes_out(tmp_path: Path, make: Maker, kind: str) -> None:
    digests = unpack(make(tmp_path / "a", FILES), tmp_path / "out", kind)
    assert tree(tmp_path / "out") == FILES
    assert digests == {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    for inner in ("Annotations", "Sentences", "Annotations/1.xml"):
        assert digest_of(digests, inner) == tree_digest(tmp_path / "out" / inner)
    assert len({digest_of(digests, inner) for inner in ("Annotations", "Sentences")}) == 2


NAMES = [
    *(
        "/etc/x",
        "../x",
        "a/../../x",
        "a/..",
        "..",
        "a/../b",
        "C:/x",
        "C:x",
        "a\\..\\x",
        "\\\\host\\x",
        "..\\x",
    ),
    *("a/.. /x", "...", " ", "a\nb", "a\u202eb", "~/../x", "//host/x"),
]


@KINDS
@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, make: Maker, kind: str, name: str) -> None:
    archive = make(tmp_path / "a", {"good.txt": b"good", name: b"bad"})
    with pytest.raises(ArchiveError, match=r"a member called .* outside its folder: refused"):
        unpack(archive, tmp_path / "inner" / "out", kind)
    assert set(tree(tmp_path)) == {"a", "inner/out/good.txt"}


def test_a_null_byte_in_a_name_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a", {"good.txt#evil": b"x"})
    archive.write_bytes(archive.read_bytes().replace(b"good.txt#evil", b"good.txt\0evil"))
    with pytest.raises(ArchiveError, match="a member called"):
        unpack(archive, tmp_path / "out", "zip")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link or device, 'link'"):
        unpack(tmp_path / "a", tmp_path / "out", "zip")
    assert not tree(tmp_path / "out")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "../../etc/passwd"
    with tarfile.open(tmp_path / "a", "w") as archive:
        archive.addfile(info)
    with pytest.raises(ArchiveError, match="link or device, 'link'"):
        unpack(tmp_path / "a", tmp_path / "out", "tar")
    assert not tree(tmp_path / "out")


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a", {"secret": b"x"})
    with zipfile.ZipFile(archive) as opened:
        start = opened.start_dir
    data = bytearray(archive.read_bytes())
    data[start + 8] |= 1  # the flags in the directory at the end
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match="encrypted member, 'secret'"):
        unpack(archive, tmp_path / "out", "zip")


@KINDS
def test_bombs_are_stopped(tmp_path: Path, make: Maker, kind: str) -> None:
    archive = make(tmp_path / "a", {f"{k}": bytes(1 << 20) for k in range(4)})
    with pytest.raises(ArchiveError, match=r"unpacks to more than 3\.0 MB"):
        unpack(archive, tmp_path / "size", kind, Limits(size=3_000_000))
    with pytest.raises(ArchiveError, match="has more than 3 members"):
        unpack(archive, tmp_path / "members", kind, Limits(members=3))
    if archive.stat().st_size < 1 << 20:
        with pytest.raises(ArchiveError, match="unpacks to more than 3 times its"):
            unpack(archive, tmp_path / "ratio", kind, Limits(ratio=3))
    assert sum(map(len, tree(tmp_path / "size").values())) <= 3_000_000
    assert len(unpack(archive, tmp_path / "fits", kind)) == 4


def test_what_a_bomb_says_of_itself_is_not_believed(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a", {"0": bytes(4 << 20)})
    with zipfile.ZipFile(archive) as opened:
        start = opened.start_dir
    data = bytearray(archive.read_bytes())
    data[start + 24 : start + 28] = (10).to_bytes(4, "little")  # the size in the directory
    archive.write_bytes(data)
    with pytest.raises(ArchiveError):
        unpack(archive, tmp_path / "out", "zip", Limits(size=1_000_000))
    assert sum(map(len, tree(tmp_path / "out").values())) <= 1_000_000


def test_a_sparse_member_counts_with_its_holes(tmp_path: Path) -> None:
    info = tarfile.TarInfo("holes")
    info.pax_headers = {
        "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "holes",
        "GNU.sparse.size": str(10**12), "GNU.sparse.map": "0,0",
    }  # fmt: skip
    with tarfile.open(tmp_path / "a", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        unpack(tmp_path / "a", tmp_path / "out", "tar", Limits(size=5_000_000))


@KINDS
def test_the_same_name_twice_is_refused(tmp_path: Path, make: Maker, kind: str) -> None:
    with pytest.raises(ArchiveError, match="twice"):
        unpack(make(tmp_path / "a", {"x": b"1", "./x": b"2"}), tmp_path / "out", kind)
    with pytest.raises(ArchiveError, match="both as file and folder, or twice"):
        unpack(make(tmp_path / "b", {"x": b"1", "x/y": b"2"}), tmp_path / "more", kind)


@KINDS
def test_every_cut_and_every_flipped_byte_is_the_documented_error_or_harmless(
    tmp_path: Path, make: Maker, kind: str
) -> None:
    whole = make(tmp_path / "a", FILES).read_bytes()
    ends = range(0, len(whole), max(1, len(whole) // 60))
    damaged = [whole[:end] for end in ends]
    damaged += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in ends]
    for number, content in enumerate(damaged):
        (tmp_path / "d").write_bytes(content)
        try:
            unpack(tmp_path / "d", tmp_path / f"out{number}", kind)
        except ArchiveError:
            continue
        if kind == "zip":
            assert set(tree(tmp_path / f"out{number}").values()) <= set(FILES.values())


def test_an_unknown_kind_is_answered_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind is 'rar'; valid: 'zip', 'tar'"):
        unpack(tmp_path / "a", tmp_path / "out", "rar")


PIECES = st.one_of(
    st.sampled_from(
        ["..", ".", "", "/", "\\", "a", "b", " ", "C:", "..\\", "\0", "...", "\u2215", "\uff0e\uff0e"]
    ),
    st.text(max_size=4),
)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=6), st.sampled_from(["/", "\\", ""]))
def test_no_name_escapes(pieces: list[str], between: str) -> None:
    name, folder = between.join(pieces), Path("/nowhere/at/all")
    try:
        path = safe_path(name, folder)
    except ArchiveError:
        return
    assert path.is_relative_to(folder) and path != folder
    assert not {"..", "."} & set(path.relative_to(folder).parts)
    assert not {"\\", ":", "\0"} & set(path.relative_to(folder).as_posix())


@settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.lists(PIECES, max_size=4).map("/".join), min_size=1, max_size=4), st.booleans())
def test_no_member_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], zipped: bool
) -> None:
    folder = tmp_path_factory.mktemp("escape")
    try:
        archive = (make_zip if zipped else make_tar)(folder / "a", dict.fromkeys(names, b"x"))
    except (ValueError, UnicodeError):
        return  # cannot be written into an archive at all
    with suppress(ArchiveError):
        unpack(archive, folder / "in" / "out", "zip" if zipped else "tar")
    assert all(name == "a" or name.startswith("in/out/") for name in tree(folder))


def test_files_and_folders_are_taken_by_their_last_name(tmp_path: Path) -> None:
    make_zip(
        tmp_path / "a",
        {"__MACOSX/Sentences/1.txt": b"junk", "top/deep/Sentences/x": b"", "top/Sentences/1": b"s"},
    )
    unpack(tmp_path / "a", tmp_path / "out", "zip")
    found = take(tmp_path / "out", {"Sentences": "here/Sentences"})
    assert found == {"here/Sentences": tmp_path / "out" / "top" / "Sentences"}
    with pytest.raises(
        ArchiveError, match="the archive has no 'Annotations'; at its top it has: __MACOSX, top"
    ):
        take(tmp_path / "out", {"Annotations": "x"})


def test_putting_in_place_replaces_files_and_folders(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    put(tmp_path / "new", tmp_path / "old")
    assert tree(tmp_path) == {"old/new": b"new"}
    (tmp_path / "file").write_text("f")
    put(tmp_path / "file", tmp_path / "deep" / "f")
    assert tree(tmp_path) == {"old/new": b"new", "deep/f": b"f"}
