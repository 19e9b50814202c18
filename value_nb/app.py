"""Serves the series as pages without code: `python -m value_nb.app`, or `make app`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from value_nb.lab import ROOT, has_display, run

PORT = 8866
TEMPLATE = "value_nb"
TEMPLATES = Path(__file__).with_name("jupyter")
"""Holds voila/templates/value_nb: the pages, without anything from another machine."""

IDLE_SECONDS = 3600  # a kernel that nobody has used for so long is stopped: each holds a model in memory


def in_app(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this kernel was started by such a page, where no cell can be run again."""
    return environ.get("SERVER_SOFTWARE", "").startswith("voila/")


def app_command(folder: Path, *, port: int = PORT, display: bool) -> list[str]:
    """The command that serves the notebooks of `folder` on this machine only, sources off, token on."""
    command = [sys.executable, "-m", "voila", str(folder), "--Voila.ip=127.0.0.1", f"--port={port}"]
    command += ["--token", f"--template={TEMPLATE}", "--classic_tree=True", "--strip_sources=True"]
    command += [f"--MappingKernelManager.cull_idle_timeout={IDLE_SECONDS}"]
    command += ["--MappingKernelManager.cull_interval=60"]
    return command + ([] if display else ["--no-browser"])


def app_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for that command: the given one, and the pages' templates before others."""
    paths = [str(TEMPLATES), environ.get("JUPYTER_PATH", "")]
    return {**environ, "JUPYTER_PATH": os.pathsep.join(path for path in paths if path)}


def explain(display: bool) -> str:
    """What is about to happen, for the terminal."""
    where = "Your browser opens the list of notebooks" if display else "There is no display here"
    return (
        "The series is served as pages without code, on this machine only (127.0.0.1); "
        "Control-C here stops it.\n"
        f"{where}; the address with token= is printed below. Opening a page runs its notebook."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, say what happens, and hand over to Voilà."""
    parser = argparse.ArgumentParser(prog="python -m value_nb.app", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "notebooks", help="default: notebooks/"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    arguments, more = parser.parse_known_args(argv)
    if not any(arguments.folder.glob("[0-9]*.ipynb")):
        parser.error(f"no numbered notebook in {arguments.folder.resolve()}")
    display = has_display() and not arguments.no_browser
    print(explain(display), flush=True)
    command = app_command(arguments.folder.resolve(), port=arguments.port, display=display)
    return run([*command, *more], app_environ())


if __name__ == "__main__":
    sys.exit(main())
