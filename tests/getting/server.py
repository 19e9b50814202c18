"""A file server on this machine that misbehaves as it is told, and writes down what it was asked."""

from __future__ import annotations

import email.utils
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONG_AGO = 1_500_000_000


@dataclass
class Page:
    """What is at an address.

    Attributes
    ----------
    content
        The file.
    ranges
        Whether parts of it are given.
    if_range
        Whether If-Range is looked at, as it should be.
    etag, modified
        Whether these headers are sent; `etag` may be the header itself.
    length
        Whether Content-Length is sent.
    cuts
        After how many bytes the first, second... answer is cut; then no more.
    stalls
        Whether a cut answer keeps silent instead of ending.
    statuses
        What the first, second... request is answered instead; then no more.
    redirect
        Where requests are sent.
    kind
        Content-Type.
    slow
        Seconds between blocks of `block` bytes.
    then
        What is at the address from the second request on.
    """

    content: bytes = b""
    ranges: bool = True
    if_range: bool = True
    etag: bool | str = True
    modified: bool = True
    length: bool = True
    cuts: list[int] = field(default_factory=list)
    stalls: bool = False
    statuses: list[int] = field(default_factory=list)
    redirect: str = ""
    kind: str = "application/octet-stream"
    slow: float = 0.0
    block: int = 1 << 14
    then: Page | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        if isinstance(self.etag, str):
            return self.etag
        return f'"{hashlib.sha256(self.content).hexdigest()[:12]}"' if self.etag else ""

    @property
    def stamp(self) -> str:
        when = LONG_AGO + int(hashlib.sha256(self.content).hexdigest()[:6], 16)
        return email.utils.formatdate(when, usegmt=True) if self.modified else ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range", ""), self.headers.get("If-Range", "")))
        page = self.server.pages.get(self.path)
        if page is None:
            return self._plain(404)
        if page.then is not None:
            self.server.pages[self.path] = page.then
        if page.statuses:
            return self._plain(page.statuses.pop(0))
        if page.redirect:
            return self._plain(302, Location=page.redirect)
        self._file(page)

    def _plain(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _file(self, page: Page) -> None:
        start = self._start(page)
        total = len(page.content)
        if start > total or (start == total and start):
            return self._plain(416, **{"Content-Range": f"bytes */{total}"})
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        headers = {"ETag": page.tag, "Last-Modified": page.stamp, "Content-Type": page.kind, **page.extra}
        self.send_header("Connection", "close")
        if page.length:
            headers["Content-Length"] = str(total - start)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self._body(page, page.content[start:])

    def _start(self, page: Page) -> int:
        asked = self.headers.get("Range", "")
        if not page.ranges or not asked:
            return 0
        wanted = self.headers.get("If-Range")
        if page.if_range and wanted and wanted not in (page.tag, page.stamp):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _body(self, page: Page, body: bytes) -> None:
        cut = page.cuts.pop(0) if page.cuts else None
        body = body if cut is None else body[:cut]
        try:
            for start in range(0, len(body), page.block):
                self.wfile.write(body[start : start + page.block])
                self.wfile.flush()
                if page.slow:
                    time.sleep(page.slow)
            if cut is not None and page.stalls:
                self.server.released.wait(20)
        except OSError:
            pass  # the other side went away, as some tests want


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.released = threading.Event()

    def put(self, path: str, page: Page | bytes) -> str:
        """Put a page at a path, and return its address."""
        self.pages[path] = Page(page) if isinstance(page, bytes) else page
        return f"{self.address}{path}"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answer requests in the background."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        if isinstance(server, Server):
            server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
