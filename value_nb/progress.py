"""One progress bar for everything that may take a while: rate and time left, and silence in CI."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

DELAY = 2.0
"""Seconds before a bar appears: what is done sooner shows none."""
NO = ("", "0", "false", "no", "off")


def bar(
    iterable: Iterable[Any] | None = None,
    label: str = "",
    total: int | None = None,
    progress: bool = True,
    **options: Any,
) -> Any:
    """Wrap an iterable in a progress bar, or make one to be moved by hand with `update(n)`.

        for part in bar(parts, "mini-uniter (sweep)"): ...
        with bar(label="mini-uniter (sweep)", total=len(data)) as moved: moved.update(32)

    Parameters
    ----------
    iterable, total
        What is gone through, and how many there are; without a total there is a rate, but no time left.
    label
        What is being done.
    progress
        False: show nothing.
    options
        Others of tqdm, for instance `unit=" pairs"`.

    Returns
    -------
    tqdm, in a notebook as a widget, which appears after two seconds and goes when it is done. Nothing is
    shown where the environment variable CI is set, as it is on build servers.
    """
    from tqdm.auto import tqdm

    shown = progress and not quiet()
    told = {"leave": False, "delay": DELAY, **options}
    return tqdm(iterable, desc=label or None, total=total, disable=not shown, **told)


def quiet() -> bool:
    """Whether this is a build server (CI is set, and not to 0 or false)."""
    return os.environ.get("CI", "").strip().lower() not in NO
