"""The browser of the browser tests: found, or installed from Debian (`python -m tests.browser.chromium`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("chromium", "fonts-dejavu-core")
HINT = "no Chromium here; on Debian or Ubuntu: apt-get install chromium (or set CHROMIUM to its path)"


def find() -> str | None:
    """Path of a Chromium or Chrome on this machine; the variable CHROMIUM comes first."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def install_commands(superuser: bool) -> list[list[str]]:
    """What installs it here; empty where there is no apt-get, or nobody who may use it without a password."""
    apt = shutil.which("apt-get")
    sudo = shutil.which("sudo")
    if apt is None or not (superuser or sudo):
        return []
    before = [] if superuser else [str(sudo), "-n"]
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    return [
        [*before, apt, "update", "-q"],
        [*before, *quiet, apt, "install", "-y", "-q", "--no-install-recommends", *PACKAGES],
    ]


def ensure() -> str | None:
    """Path of the browser, installed first where that is missing and possible."""
    if find() is None:
        for command in install_commands(getattr(os, "geteuid", lambda: 1)() == 0):
            if subprocess.run(command, check=False).returncode:
                break
    return find()


def main() -> int:
    """Say where the browser is, or that there is none (the tests then say so and are skipped)."""
    print(ensure() or HINT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
