"""Items: locations in turn, checksums, archives, forms, offline; nothing has its name before it is whole."""

from __future__ import annotations

import json
import os
import random
import socket
import zipfile
from pathlib import Path

import pytest

from tests.getting.lists import QUICK, item, manifest, part
from tests.getting.server import Page, Server
from value_nb.getting import fetch as fetching
from value_nb.getting.checksums import FILE, Book, digest
from value_nb.getting.errors import DiskFullError, FetchError, FormNeeded, OfflineError
from value_nb.getting.fetch import fetch
from value_nb.getting.manifest import Manifest
from value_nb.getting.unpack import Limits

CONTENT = random.Random(3).randbytes(40_000)
OTHER = random.Random(4).randbytes(40_000)
KEY = "thing/file"


def bring(listed: Manifest, root: Path, name: str = "thing", limits: Limits | None = None) -> Path:
    return fetch(name, root, progress=False, manifest=listed, wire=QUICK, limits=limits)


def names(root: Path) -> set[str]:
    """Everything in the root but locks."""
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if path.parts[0] != ".locks"}


def test_a_file_comes_with_its_checksum_kept_and_only_once(
    server: Server, root: Path, tmp_path: Path
) -> None:
    url = server.put("/file.bin", CONTENT)
    listed = manifest(tmp_path, thing=item(part(url)))
    assert bring(listed, root) == root / "things"
    assert names(root) == {"things/file.bin", FILE}
    assert (root / "things" / "file.bin").read_bytes() == CONTENT
    kept = Book(root).read()[KEY]
    assert (kept.sha256, kept.size, kept.source) == (digest(root / "things" / "file.bin"), len(CONTENT), url)
    bring(listed, root)
    assert len(server.asked) == 1


def test_without_a_root_it_goes_where_loaders_look(server: Server, root: Path, tmp_path: Path) -> None:
    listed = manifest(tmp_path, thing=item(part(server.put("/file.bin", CONTENT))))
    assert fetch("thing", progress=False, manifest=listed) == root / "things"


def test_a_new_root_is_made(server: Server, tmp_path: Path) -> None:
    listed = manifest(tmp_path, thing=item(part(server.put("/file.bin", CONTENT))))
    assert (bring(listed, tmp_path / "new" / "root") / "file.bin").is_file()


def test_the_next_location_is_tried(server: Server, root: Path, tmp_path: Path) -> None:
    gone = server.put("/gone", Page(statuses=[409]))
    late = server.put("/late", Page(CONTENT, cuts=[100, 0, 0, 0], stalls=True))
    good = server.put("/good", CONTENT)
    bring(manifest(tmp_path, thing=item(part(gone, late, good))), root)
    assert (root / "things" / "file.bin").read_bytes() == CONTENT
    assert Book(root).read()[KEY].source == good
    assert names(root) == {"things/file.bin", FILE}


def test_where_none_gives_it_all_are_told_with_the_remedy(server: Server, root: Path, tmp_path: Path) -> None:
    dead = {"kind": "http", "url": server.put("/dead", Page(statuses=[409])), "note": "dead since 2024"}
    absent = {"kind": "http", "url": f"{server.address}/absent"}
    page = {"kind": "page", "url": "https://example.org/folder", "steps": "save file.bin."}
    thing = item(part(**{"from": [dead, absent, page]}), status="It is gone.", instead="Use the other.")
    with pytest.raises(FetchError) as caught:
        bring(manifest(tmp_path, thing=thing), root)
    assert str(caught.value).splitlines() == [
        "thing/file could not be fetched. Tried:",
        f"  1. {dead['url']} (dead since 2024): answered 409 Conflict",
        f"  2. {absent['url']}: answered 404 Not Found",
        f"By hand: https://example.org/folder: save file.bin. It goes to {root / 'things' / 'file.bin'}.",
        "It is gone.",
        "Use the other.",
    ]
    assert not names(root) and not list((root / "things").iterdir())


def test_published_checksums_and_sizes_are_held(server: Server, root: Path, tmp_path: Path) -> None:
    good, bad = server.put("/good", CONTENT), server.put("/bad", OTHER)
    (tmp_path / "content").write_bytes(CONTENT)
    sha256 = digest(tmp_path / "content")
    with pytest.raises(FetchError, match=f"sent other bytes: SHA-256 [0-9a-f]+, published is {sha256}"):
        bring(manifest(tmp_path, thing=item(part(bad, sha256=sha256))), root)
    assert not names(root)
    with pytest.raises(FetchError, match="has a file of 40000 bytes, expected are 5"):
        bring(manifest(tmp_path, thing=item(part(good, size=5))), root)
    bring(manifest(tmp_path, thing=item(part(bad, good, sha256=sha256, size=len(CONTENT)))), root)
    assert (root / "things" / "file.bin").read_bytes() == CONTENT


def test_later_downloads_are_held_against_the_first(server: Server, root: Path, tmp_path: Path) -> None:
    url = server.put("/file.bin", CONTENT)
    listed = manifest(tmp_path, thing=item(part(url)))
    file = bring(listed, root) / "file.bin"
    file.unlink()
    server.put("/file.bin", OTHER)
    with pytest.raises(FetchError, match=f"sent other bytes than {url} did on .*delete the entry '{KEY}'"):
        bring(listed, root)
    assert not file.exists()
    entries = json.loads((root / FILE).read_text())
    del entries[KEY]
    (root / FILE).write_text(json.dumps(entries))
    assert (bring(listed, root) / "file.bin").read_bytes() == OTHER


def test_a_file_of_another_size_is_brought_again(server: Server, root: Path, tmp_path: Path) -> None:
    listed = manifest(tmp_path, thing=item(part(server.put("/file.bin", CONTENT))))
    file = bring(listed, root) / "file.bin"
    file.write_bytes(CONTENT[:100])
    assert (bring(listed, root) / "file.bin").read_bytes() == CONTENT and len(server.asked) == 2


def test_a_file_put_there_by_hand_is_taken_as_it_is(server: Server, root: Path, tmp_path: Path) -> None:
    (root / "things").mkdir()
    (root / "things" / "file.bin").write_bytes(b"mine")
    bring(manifest(tmp_path, thing=item(part(f"{server.address}/absent"))), root)
    assert (root / "things" / "file.bin").read_bytes() == b"mine" and not server.asked


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a": 3}',
        '{"a": {"sha256": "x"}}',
        f'{{"a": {{"sha256": "{"0" * 64}", "size": "5"}}}}',
        '{"a": {"sha": "x"}}',
        "\0",
    ],
)
def test_a_damaged_book_of_checksums_is_an_error_that_names_it(
    server: Server, root: Path, tmp_path: Path, text: str
) -> None:
    (root / FILE).write_text(text)
    with pytest.raises(FetchError, match=r"checksums\.json cannot be read as the list of checksums"):
        bring(manifest(tmp_path, thing=item(part(server.put("/file.bin", CONTENT)))), root)


def archive(folder: Path, files: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(folder / "archive", "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return (folder / "archive").read_bytes()


TAKE = {"unpack": "zip", "take": {"Sentences": "Sentences", "Annotations": "notes/Annotations"}}


def test_an_archive_is_unpacked_beside_and_put_in_place(server: Server, root: Path, tmp_path: Path) -> None:
    (root / "things").mkdir()
    (root / "things" / "mine.txt").write_text("stays")
    content = archive(
        tmp_path, {"top/Sentences/1.txt": b"s", "top/Annotations/1.xml": b"a", "top/readme": b""}
    )
    listed = manifest(tmp_path, thing=item(part(server.put("/a.zip", content), **TAKE)))
    bring(listed, root)
    whole = {"things/Sentences/1.txt", "things/notes/Annotations/1.xml", "things/mine.txt", FILE}
    assert names(root) == whole
    bring(listed, root)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("files", "limits", "message"),
    [
        ({"../../evil": b"x", "Sentences/1": b"x"}, None, "outside its folder: refused"),
        ({"Sentences/1": bytes(10**6)}, Limits(size=10**5), "unpacks to more than"),
        ({"Sentences/1": b"x"}, None, "the archive has no 'Annotations'"),
    ],
)
def test_a_bad_archive_leaves_nothing_and_the_next_location_is_tried(
    server: Server, root: Path, tmp_path: Path, files: dict[str, bytes], limits: Limits | None, message: str
) -> None:
    bad = server.put("/bad.zip", archive(tmp_path, files))
    with pytest.raises(FetchError, match=message):
        bring(manifest(tmp_path, thing=item(part(bad, **TAKE))), root, limits=limits)
    assert not names(root)
    good = server.put("/good.zip", archive(tmp_path, {"Sentences/1": b"s", "Annotations/1": b"a"}))
    bring(manifest(tmp_path, thing=item(part(bad, good, **TAKE))), root, limits=limits)
    assert Book(root).read()[KEY].source == good


def test_a_stop_while_unpacking_leaves_nothing_that_looks_whole(
    server: Server, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive(tmp_path, {"Sentences/1": b"s", "Annotations/1": b"a"})
    listed = manifest(tmp_path, thing=item(part(server.put("/a.zip", content), **TAKE)))
    real, done = fetching.put, []

    def stop(source: Path, target: Path) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(target)
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "put", stop)
        with pytest.raises(KeyboardInterrupt):
            bring(listed, root)
    assert [path for path in names(root) if "fetching" not in path and path != FILE] == ["things/Sentences/1"]
    bring(listed, root)
    assert names(root) == {"things/Sentences/1", "things/notes/Annotations/1", FILE}
    assert len(server.asked) == 1  # the archive was whole, so nothing is asked again


def test_a_full_disk_while_unpacking_keeps_the_archive(
    server: Server, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive(tmp_path, {"Sentences/1": b"s", "Annotations/1": b"a"})
    listed = manifest(tmp_path, thing=item(part(server.put("/a.zip", content), **TAKE)))

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "unpack", full)
        with pytest.raises(DiskFullError, match="is full"):
            bring(listed, root)
    bring(listed, root)
    assert len(server.asked) == 1


def test_a_part_can_be_asked_for(server: Server, root: Path, tmp_path: Path) -> None:
    parts = [part(server.put(f"/{name}", CONTENT), name=name, to=f"{name}.txt") for name in ("a", "b")]
    listed = manifest(tmp_path, thing=item(*parts))
    assert bring(listed, root, "thing/b") == root / "things" / "b.txt"
    assert names(root) == {"things/b.txt", FILE}
    assert bring(listed, root) == root / "things" and len(server.asked) == 2


def test_unknown_names_are_answered_with_the_known(root: Path, tmp_path: Path) -> None:
    listed = manifest(tmp_path, thing=item(part("http://x/")), other=item(part("http://x/")))
    with pytest.raises(
        ValueError, match=r"nothing called 'thin' .*Did you mean 'thing'\? There are: thing, other"
    ):
        bring(listed, root, "thin")
    with pytest.raises(ValueError, match="thing has no part 'x'; it has: file"):
        bring(listed, root, "thing/x")
    with pytest.raises(ValueError, match="There are: uniter-base"):
        fetch("no such thing", root)


def test_a_form_is_told_and_nothing_is_downloaded(server: Server, root: Path, tmp_path: Path) -> None:
    form = {"kind": "form", "url": "https://example.org/form", "steps": "fill it in, unpack the pictures."}
    images = part(name="images", to="images", **{"from": [form]})
    thing = item(part(server.put("/file.bin", CONTENT)), images, terms="For research only.")
    listed = manifest(tmp_path, thing=thing)
    with pytest.raises(FormNeeded) as caught:
        bring(listed, root)
    assert str(caught.value) == (
        "thing/images cannot be downloaded by a program. By hand: https://example.org/form: fill it in, "
        f"unpack the pictures. It goes to {root / 'things' / 'images'}. Terms: For research only."
    )
    assert not server.asked
    (root / "things" / "images").mkdir(parents=True)
    (root / "things" / "images" / "1.jpg").write_bytes(b"jpg")
    bring(listed, root)
    assert (root / "things" / "file.bin").is_file()


@pytest.mark.parametrize("name", ["VALUE_NB_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked_and_what_is_here_is_found(
    server: Server, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    listed = manifest(tmp_path, thing=item(part(server.put("/file.bin", CONTENT))))
    monkeypatch.setenv(name, "True")
    with pytest.raises(OfflineError, match=rf"thing/file is not here, and {name}=True .* Unset {name}"):
        bring(listed, root)
    assert not server.asked
    monkeypatch.setenv(name, "0")
    bring(listed, root)
    monkeypatch.setenv(name, "1")
    assert bring(listed, root) == root / "things" and len(server.asked) == 1


def test_what_is_here_is_found_without_a_socket(
    server: Server, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = manifest(tmp_path, thing=item(part(server.put("/file.bin", CONTENT))))
    bring(listed, root)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    bring(listed, root)


def test_progress_is_shown_when_wanted(
    server: Server, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = manifest(tmp_path, thing=item(part(server.put("/file.bin", CONTENT))))
    fetch("thing", root, manifest=listed)
    assert "file.bin" in capsys.readouterr().err
    fetch("thing", root / "quiet", progress=False, manifest=listed)
    assert capsys.readouterr() == ("", "")
