"""Opens JupyterLab on a notebook of the series: `python -m value_nb.lab [NOTEBOOK]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START = Path("notebooks") / "00_start_here.ipynb"

# JupyterLab offers news and updates of its own and looks up versions of extensions. Nothing leaves the
# machine unasked, so the configuration in this folder turns the two plugins off, in this launch only.
QUIET = Path(__file__).with_name("jupyter")


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a browser window can be shown here.

    Windows and macOS have a desktop, unless one is logged in over SSH; elsewhere a display server
    (DISPLAY, WAYLAND_DISPLAY) or a BROWSER that somebody has set is needed.
    """
    if platform in {"win32", "darwin"}:
        return "SSH_CONNECTION" not in environ
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def is_root() -> bool:
    """Whether this is the superuser, as whom Jupyter starts only when told to."""
    return getattr(os, "geteuid", lambda: 1)() == 0


def find_notebook(notebook: Path, root: Path = ROOT) -> Path:
    """The notebook's path relative to `root`, the folder that JupyterLab shows.

    Raises
    ------
    ValueError
        When there is no such notebook, or it lies outside `root`.
    """
    path = (root / notebook).resolve()
    known = ", ".join(sorted(p.name for p in (root / "notebooks").glob("*.ipynb"))) or "none"
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{path} lies outside {root}, the folder that JupyterLab would show")
    if not path.is_file():
        raise ValueError(f"no notebook at {path}; the notebooks here are: {known}")
    return path.relative_to(root.resolve())


def launch_command(notebook: Path, *, root: Path = ROOT, display: bool, superuser: bool) -> list[str]:
    """The command that serves `root` on this machine only, token on, and opens `notebook`."""
    page = f"/lab/tree/{notebook.as_posix()}"
    command = [sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={root}", f"--LabApp.default_url={page}"]
    command += [] if display else ["--no-browser"]
    return command + (["--allow-root"] if superuser else [])


def launch_environ(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for that command: the given one, and the quiet configuration before others."""
    paths = [str(QUIET), environ.get("JUPYTER_CONFIG_PATH", "")]
    return {**environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in paths if path)}


def explain(display: bool, superuser: bool) -> str:
    """What is about to happen, for the terminal."""
    lines = ["JupyterLab starts on this machine only (127.0.0.1); Control-C here stops it."]
    if display:
        lines.append("Your browser opens by itself; if not, open the address with token= below.")
    else:
        lines.append("There is no display here: open the address with token= that is printed below.")
    if superuser:
        lines.append("You are root: JupyterLab is told to allow that (--allow-root).")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, say what happens, and hand over to JupyterLab."""
    parser = argparse.ArgumentParser(prog="python -m value_nb.lab", description=__doc__)
    parser.add_argument("notebook", nargs="?", type=Path, default=START, help=f"default: {START}")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    arguments, more = parser.parse_known_args(argv)
    try:
        notebook = find_notebook(arguments.notebook)
    except ValueError as problem:
        parser.error(str(problem))
    display, superuser = has_display() and not arguments.no_browser, is_root()
    print(explain(display, superuser), flush=True)
    command = launch_command(notebook, display=display, superuser=superuser)
    return run([*command, *more], launch_environ())


def run(command: list[str], environ: dict[str, str]) -> int:
    """Become `command` where the system can do that, so that Control-C reaches it alone; else wait for it."""
    if os.name == "posix":
        os.execve(command[0], command, environ)
    return subprocess.run(command, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
