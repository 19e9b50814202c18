"""A hub of one repository on this machine: what huggingface_hub asks for, and no more."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "c0ffee" + "0" * 34


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._resolve(body=False)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        api = f"/api/models/{self.server.repo}"
        if path.startswith(f"{api}/revision/"):
            return self._json({"id": self.server.repo, "sha": COMMIT, "siblings": []})
        if path.startswith(f"{api}/tree/"):
            return self._json([self.server.entry(name) for name in self.server.files])
        self._resolve(body=True)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _resolve(self, body: bool) -> None:
        self.server.asked.append((self.command, self.path))
        start = f"/{self.server.repo}/resolve/"
        name = self.path.removeprefix(start).partition("/")[2]
        if not self.path.startswith(start) or name not in self.server.files:
            code = "EntryNotFound" if self.path.startswith(start) else "RepoNotFound"
            return self._send(404, b"", {"X-Error-Code": code})
        content = self.server.files[name]
        etag = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        self._send(200, self.server.sent.get(name, content), headers, body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


class Hub(ThreadingHTTPServer):
    """The repository's files; `sent` are those of which other bytes are sent than listed."""

    daemon_threads = True

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repo, self.files = repo, files
        self.sent: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def entry(self, name: str) -> dict[str, object]:
        """What the hub lists of a file; weights are kept apart from git, with a SHA-256."""
        content = self.files[name]
        found: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
        if name.endswith((".bin", ".safetensors")):
            sha256 = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
        return found
