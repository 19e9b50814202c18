"""A JupyterLab of its own for a test: launched as `make lab` launches it, in throw-away settings."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from value_nb.lab import is_root, launch_command, launch_environ

START_SECONDS = 90
SETTINGS = {
    # autosave would rewrite the notebook under test; without windowing all cells are in the page
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False, "confirmClosingDocument": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}


class LabServer:
    """Serves `root` with `notebook` as the page that opens; use as a context manager.

    `folder` (empty, the caller's) takes Jupyter's settings, data, workspaces and the server's log, so
    that those of the person running the tests are neither read nor written.
    """

    def __init__(self, root: Path, notebook: Path, folder: Path) -> None:
        self.folder, self.log = folder, folder / "server.log"
        self.token, self.port = secrets.token_hex(16), free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        command = launch_command(notebook, root=root, display=False, superuser=is_root())
        command += [
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            "--LabApp.expose_app_in_browser=True",
        ]
        self._write_settings()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=root, env=self._environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _environ(self) -> dict[str, str]:
        names = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        places = {name: str(self.folder / place) for name, place in names.items()}
        return {**launch_environ(), **places, "JUPYTER_TOKEN": self.token}

    def _write_settings(self) -> None:
        for name, values in SETTINGS.items():
            path = self.folder / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")

    def status(self, path: str) -> int:
        """HTTP status of a path of the server; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as problem:
            return problem.code
        except OSError:
            return 0

    def __enter__(self) -> LabServer:
        end = time.monotonic() + START_SECONDS
        while self.status(f"/api/status?token={self.token}") != 200:
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"JupyterLab did not start:\n{self.text()[-3000:]}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server, which takes its kernels down."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def text(self) -> str:
        """What the server has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
