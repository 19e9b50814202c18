"""Single files from a server that cuts, stalls, changes and lies."""

from __future__ import annotations

import errno
import hashlib
import io
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.getting.lists import QUICK, item, manifest, part
from tests.getting.server import Page, Server
from value_nb.getting import download as downloading
from value_nb.getting.download import Expected, download
from value_nb.getting.errors import ChecksumError, DiskFullError, FetchError, LocationError
from value_nb.getting.fetch import fetch
from value_nb.getting.partial import Note, Partial
from value_nb.getting.wire import Wire, answer

CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
CUT = 100_000


def partial(folder: Path, url: str) -> Partial:
    folder.mkdir(parents=True, exist_ok=True)
    return Partial(folder, "file.bin", url)


def bring(server: Server, folder: Path, page: Page, expected: Expected | None = None) -> bytes:
    at = partial(folder, server.put("/file.bin", page))
    return download(at, expected or Expected(), QUICK, progress=False).read_bytes()


def test_a_file_comes_whole(server: Server, tmp_path: Path) -> None:
    assert bring(server, tmp_path, Page(CONTENT)) == CONTENT
    assert server.asked == [("/file.bin", "", "")]


def test_what_was_cut_goes_on_from_there(server: Server, tmp_path: Path) -> None:
    page = Page(CONTENT, cuts=[CUT, 50_000])
    assert bring(server, tmp_path, page) == CONTENT
    spans = [span for _, span, _ in server.asked]
    assert spans == ["", f"bytes={CUT}-", f"bytes={CUT + 50_000}-"]
    assert server.asked[1][2] == page.tag


def test_a_weak_etag_is_no_proof_and_the_time_of_the_change_is_asked_for(
    server: Server, tmp_path: Path
) -> None:
    page = Page(CONTENT, etag='W/"1"', cuts=[CUT])
    assert bring(server, tmp_path, page) == CONTENT
    assert server.asked[1] == ("/file.bin", f"bytes={CUT}-", page.stamp)


def test_a_later_call_goes_on_too(server: Server, tmp_path: Path) -> None:
    with pytest.raises(LocationError, match=r"cut the transfer|ended after"):
        bring(server, tmp_path, Page(CONTENT, cuts=[CUT, 0, 0, 0]))
    assert bring(server, tmp_path, Page(CONTENT)) == CONTENT
    assert server.asked[-1][1] == f"bytes={CUT}-"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(Page(CONTENT, ranges=False, cuts=[CUT]), id="ranges are ignored"),
        pytest.param(Page(OTHER, cuts=[CUT], then=Page(CONTENT)), id="changed"),
        pytest.param(
            Page(OTHER, cuts=[CUT], then=Page(CONTENT, if_range=False)), id="changed, If-Range ignored"
        ),
        pytest.param(
            Page(OTHER, modified=False, cuts=[CUT], then=Page(CONTENT, modified=False, if_range=False)),
            id="only the ETag says so",
        ),
        pytest.param(
            Page(OTHER, etag=False, cuts=[CUT], then=Page(CONTENT, etag=False, if_range=False)),
            id="only Last-Modified says so",
        ),
        pytest.param(
            Page(OTHER + b"more", etag='"same"', modified=False, cuts=[CUT],
                 then=Page(CONTENT, etag='"same"', modified=False)),
            id="only the size says so",
        ),
        pytest.param(
            Page(OTHER, etag=False, modified=False, cuts=[CUT],
                 then=Page(CONTENT, etag=False, modified=False)),
            id="nothing could say so",
        ),
        pytest.param(Page(OTHER, cuts=[CUT], then=Page(CONTENT[: CUT // 2])), id="shorter than what is here"),
    ],
)  # fmt: skip
def test_two_files_are_never_mixed(server: Server, tmp_path: Path, page: Page) -> None:
    wanted = page.content if page.then is None else page.then.content
    assert bring(server, tmp_path, page) == wanted
    assert server.asked[0][1] == ""


def test_without_etag_and_date_a_published_checksum_allows_to_go_on(server: Server, tmp_path: Path) -> None:
    page = Page(CONTENT, etag=False, modified=False, cuts=[CUT])
    assert bring(server, tmp_path, page, Expected(sha256=hashlib.sha256(CONTENT).hexdigest())) == CONTENT
    assert server.asked[1] == ("/file.bin", f"bytes={CUT}-", "")


def test_a_stalled_location_is_given_up(server: Server, tmp_path: Path) -> None:
    at = partial(tmp_path, server.put("/file.bin", Page(CONTENT, cuts=[CUT, 0, 0, 0], stalls=True)))
    with pytest.raises(LocationError, match=r"sent nothing for 0\.1 seconds \(2 attempts\)"):
        download(at, Expected(), Wire(timeout=0.1, attempts=2, pause=0.001), progress=False)
    assert at.size == CUT


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    assert bring(server, tmp_path, Page(CONTENT, statuses=[503, 500])) == CONTENT
    with pytest.raises(LocationError, match=r"answered 500 Internal Server Error \(3 attempts\)"):
        bring(server, tmp_path / "again", Page(CONTENT, statuses=[500] * 9))


@pytest.mark.parametrize("status", [403, 404, 409, 410, 204])
def test_other_answers_are_final(server: Server, tmp_path: Path, status: int) -> None:
    with pytest.raises(LocationError, match=f"answered {status}"):
        bring(server, tmp_path, Page(CONTENT, statuses=[status]))
    assert len(server.asked) == 1


def test_a_part_that_nobody_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="answered 206"):
        bring(server, tmp_path, Page(CONTENT, statuses=[206]))


def test_a_web_page_is_not_the_file(server: Server, tmp_path: Path) -> None:
    page = Page(b"<html>moved</html>", kind="text/html; charset=utf-8")
    with pytest.raises(LocationError, match="answered with a web page instead of the file"):
        bring(server, tmp_path, page)


def test_compressed_transfer_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(LocationError, match=r"sends the file compressed \(gzip\)"):
        bring(server, tmp_path, Page(CONTENT, extra={"Content-Encoding": "gzip"}))


def test_a_wrong_size_is_told_before_the_first_byte(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ChecksumError, match="has a file of 300000 bytes, expected are 12"):
        bring(server, tmp_path, Page(CONTENT), Expected(size=12))
    assert not Partial(tmp_path, "file.bin", f"{server.address}/file.bin").size


def test_without_a_length_the_end_is_the_end_and_endless_ones_are_stopped(
    server: Server, tmp_path: Path
) -> None:
    assert bring(server, tmp_path, Page(CONTENT, length=False)) == CONTENT
    with pytest.raises(ChecksumError, match="expected are 299999"):
        bring(server, tmp_path / "size", Page(CONTENT, length=False), Expected(size=299_999))
    at = partial(tmp_path / "endless", f"{server.address}/file.bin")
    with pytest.raises(LocationError, match="sends more than 1000 bytes"):
        download(at, Expected(), Wire(timeout=1, limit=1000), progress=False)
    assert not at.size


def test_redirections_are_followed_within_http(server: Server, tmp_path: Path) -> None:
    server.put("/real", CONTENT)
    assert bring(server, tmp_path, Page(redirect="/real")) == CONTENT
    with pytest.raises(LocationError, match="redirects more than 10 times"):
        bring(server, tmp_path / "loop", Page(redirect="/file.bin"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_other_schemes_are_refused(server: Server, tmp_path: Path, target: str) -> None:
    with pytest.raises(LocationError, match=r"redirects to .* neither http nor https"):
        bring(server, tmp_path, Page(redirect=target))
    with pytest.raises(LocationError, match=r"the address is .* neither http nor https"):
        download(partial(tmp_path, target), Expected(), QUICK, progress=False)


def test_a_redirection_from_https_to_http_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    moved = requests.Response()
    moved.status_code, moved.headers["location"] = 302, "http://example.org/x"
    moved.raw = io.BytesIO()
    monkeypatch.setattr(requests.Session, "get", lambda *_, **__: moved)
    refused = pytest.raises(LocationError, match=r"from https to http://example\.org/x, which is not")
    with refused, answer("https://example.org/x", {}, QUICK):
        pass


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="could not be reached"):
        download(partial(tmp_path, "http://127.0.0.1:9/x"), Expected(), QUICK, progress=False)


def test_no_room_is_told_before_the_first_byte(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFullError, match=r"file\.bin needs 300\.0 kB more, and .* has 1\.0 kB free"):
        bring(server, tmp_path, Page(CONTENT))


def test_a_disk_that_fills_up_keeps_what_came(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates: list[int] = []

    class Bar:
        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, count: int) -> None:
            updates.append(count)
            if sum(updates) > CUT:
                raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(downloading, "_bar", lambda *_: Bar())
        with pytest.raises(
            DiskFullError, match=r"is full \(No space left on device\).*the next call goes on"
        ):
            bring(server, tmp_path, Page(CONTENT))
    assert bring(server, tmp_path, Page(CONTENT)) == CONTENT
    assert server.asked[-1][1] == f"bytes={sum(updates)}-"


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 3}', '{"url": "http://elsewhere/"}', "\0"])
def test_a_damaged_note_means_to_start_afresh(server: Server, tmp_path: Path, note: str) -> None:
    at = partial(tmp_path, f"{server.address}/file.bin")
    at.path.write_bytes(OTHER[:CUT])
    at.note_path.write_text(note)
    assert bring(server, tmp_path, Page(CONTENT)) == CONTENT
    assert server.asked == [("/file.bin", "", "")]


def test_notes_are_the_same_file_unless_something_differs() -> None:
    first = Note("u", '"a"', "then", 5)
    assert first.same_file(Note("u", '"a"', "then", 5)) and first.same_file(Note("u"))
    for other in (Note("u", '"b"'), Note("u", modified="now"), Note("u", total=6)):
        assert not first.same_file(other)


SCRIPT = """
import sys
from pathlib import Path
from value_nb.getting.fetch import fetch
from value_nb.getting.manifest import load_manifest
from value_nb.getting.wire import Wire
fetch("thing", sys.argv[2], progress=False, manifest=load_manifest(sys.argv[1]), wire=Wire(timeout=20))
"""


def start(listed: Path, root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(listed), str(root)], stderr=subprocess.PIPE)


def wait(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "waited for in vain"
        time.sleep(0.01)


def test_killed_in_the_middle_it_goes_on(server: Server, root: Path, tmp_path: Path) -> None:
    url = server.put("/file.bin", Page(CONTENT, cuts=[CUT], stalls=True))
    manifest(tmp_path, thing=item(part(url)))
    process = start(tmp_path / "manifest.json", root)
    came = Partial(root / "things" / ".fetching-thing", "file.bin", url)
    wait(lambda: came.size == CUT)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stderr is not None
    process.stderr.close()
    assert not (root / "things" / "file.bin").exists()
    path = fetch("thing", root, progress=False, manifest=manifest(tmp_path, thing=item(part(url))))
    assert (path / "file.bin").read_bytes() == CONTENT
    assert server.asked[-1][1] == f"bytes={CUT}-"
    assert not came.folder.exists()


def test_two_at_once_bring_it_once(server: Server, root: Path, tmp_path: Path) -> None:
    url = server.put("/file.bin", Page(CONTENT, slow=0.02))
    manifest(tmp_path, thing=item(part(url)))
    processes = [start(tmp_path / "manifest.json", root) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert (root / "things" / "file.bin").read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_fetch_errors_are_one_family() -> None:
    assert issubclass(DiskFullError, FetchError) and issubclass(ChecksumError, LocationError)
