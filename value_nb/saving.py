"""Saves one view of a panel: the figure, the numbers behind it and a caption; nothing is overwritten."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from value_nb.export import figure_bytes, table_bytes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DPI = 300  # of the PNG: what journals ask for
PLAIN = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*")
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
MOST = 10_000  # views of one name in one folder


def save_view(
    figure: Figure,
    table: pd.DataFrame | None,
    facts: Mapping[str, str],
    sentence: str,
    folder: Path,
    name: str,
) -> tuple[Path, ...]:
    """Write NAME.svg, .pdf, .png, .csv and .txt; or NAME-2, NAME-3, ... where one of these exists.

    All files of one call have the same name, whoever else saves into the folder at the same time. A file
    appears only when it is complete; when one cannot be written, none of them stays.

    Parameters
    ----------
    figure
        Drawn as it is; text stays text in SVG and PDF, and the same figure gives the same bytes.
    table
        The numbers behind it; None for none (no CSV).
    facts
        What the caption says of model, data and controls, besides `sentence`.
    folder
        Made when it is missing; "~" is the home folder.
    name
        Letters, digits, "_" and "-".

    Returns
    -------
    The files, figures first.

    Raises
    ------
    ValueError
        For a name that is no plain file name.
    OSError
        When the folder cannot be made or written.
    """
    if not PLAIN.fullmatch(name):
        raise ValueError(f"{name!r} is no plain name; use letters, digits, '_' and '-', as in 'head_3_2'")
    contents = {f".{ending}": content for ending, content in figure_bytes(figure, dpi=DPI).items()}
    if table is not None:
        contents[".csv"] = table_bytes(table)
    contents[".txt"] = caption_text(sentence, facts).encode("utf-8")
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, MOST):
        stem = folder / (name if number == 1 else f"{name}-{number}")
        if written := _write_all(stem, contents):
            return written
    raise ValueError(f"{folder} holds {MOST - 1} views named {name!r}; choose another name or folder")


def caption_text(sentence: str, facts: Mapping[str, str]) -> str:
    """The sentence, and one line for each fact."""
    return "\n".join(
        [sentence, "", *(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()), ""]
    )


def plain_name(*parts: str) -> str:
    """A plain file name from words: "FusionPanel", "mini-uniter" -> "fusion_panel-mini-uniter"."""
    snake = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part).lower() for part in parts if part]
    words = [re.sub(r"[^0-9a-z_-]+", "-", part).strip("-_") for part in snake]
    return "-".join(word for word in words if word) or "view"


def _write_all(stem: Path, contents: Mapping[str, bytes]) -> tuple[Path, ...]:
    """All files of a name, or () when one of them exists."""
    targets = [stem.with_name(f"{stem.name}{ending}") for ending in contents]
    if any(os.path.lexists(target) for target in targets):
        return ()
    made: list[Path] = []
    try:
        for target, content in zip(targets, contents.values(), strict=True):
            _create(target, content)
            made.append(target)
    except FileExistsError:  # somebody else took the name in between
        _remove(made)
        return ()
    except BaseException:
        _remove(made)
        raise
    return tuple(made)


def _create(target: Path, content: bytes) -> None:
    """Write a file that must not exist; it has its name only when it is complete."""
    handle, partial = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(partial, 0o666 & ~_umask())
        try:
            os.link(partial, target)
        except OSError as problem:
            if problem.errno not in NO_LINKS:
                raise
            target.open("xb").close()  # a file system without links: take the name first
            os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
