"""Which files of Visual Genome are read: the names under which its releases are published."""

from __future__ import annotations

from pathlib import Path

FILES = ("image_data", "objects", "relationships", "region_descriptions")
ANNOTATED = ("objects", "relationships")
"""Files that must be of one release, since relations name objects by their ids."""
RELEASES = {"1.4": "", "1.2": "_v1_2", "1.0": "_v1"}
"""Release -> what its file names have behind the part, newest first."""
SUFFIXES = (".json", ".json.zip")
DOWNLOAD = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset/"


def file_names(part: str, release: str) -> tuple[str, ...]:
    """Return the names that the file of a part may have in a release, plain before zipped."""
    return tuple(f"{part}{RELEASES[release]}{suffix}" for suffix in SUFFIXES)


def find_files(root: Path, release: str | None = None) -> dict[str, Path]:
    """Return the four files by part.

    Objects and relationships are of one release, the given one, or the newest of which the root has both.
    Image data and region descriptions, whose ids are the same in every release, are of that release where it
    has them, else the newest ones. A file without a mark in its name is taken for release 1.4, whatever it
    holds: the records of every release are read by their keys, not by the name of the file.

    Raises
    ------
    ValueError
        When there is no such release.
    FileNotFoundError
        When a part is missing: says what is expected and where to download it.
    """
    if release is not None and release not in RELEASES:
        raise ValueError(
            f"release={release!r} came; expected None or one of {', '.join(map(repr, RELEASES))}."
        )
    offered = tuple(RELEASES) if release is None else (release,)
    chosen = next((r for r in offered if all(_find(root, part, (r,)) for part in ANNOTATED)), None)
    if chosen is None:
        raise FileNotFoundError(_no_annotations(root, offered))
    files = {}
    for part in FILES:
        found = _find(root, part, (chosen,) if part in ANNOTATED else (chosen, *RELEASES))
        if found is None:
            raise FileNotFoundError(_missing(root, part))
        files[part] = found
    return files


def _find(root: Path, part: str, releases: tuple[str, ...]) -> Path | None:
    paths = (root / name for release in releases for name in file_names(part, release))
    return next((path for path in paths if path.is_file()), None)


def _no_annotations(root: Path, releases: tuple[str, ...]) -> str:
    there = [path.name for part in ANNOTATED if (path := _find(root, part, releases)) is not None]
    if len(there) == len(ANNOTATED):
        return (
            f"{root} has {' and '.join(there)}, which are of different releases; expected both of one, since "
            f"relations name objects by their ids. Download the other one from {DOWNLOAD}."
        )
    part = next(part for part in ANNOTATED if _find(root, part, releases) is None)
    return _missing(root, part, releases)


def _missing(root: Path, part: str, releases: tuple[str, ...] = tuple(RELEASES)) -> str:
    names = ", ".join(name for release in releases for name in file_names(part, release))
    return (
        f"{root} has no {part}.json; expected {', '.join(FILES)}, each as .json or .json.zip as downloaded "
        f"from {DOWNLOAD} (for {part} one of {names})."
    )
