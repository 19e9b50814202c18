"""Files of a repository of the Hugging Face hub, by huggingface_hub.

Looked for in the hub's own cache first, which needs no network. HF_ENDPOINT names another server (a mirror),
and is looked up at every call. Within a call the hub's client goes on where it was cut; a file that was cut
because the program ended is brought again from its beginning.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_nb.getting.checksums import digest
from value_nb.getting.errors import ChecksumError, DiskFullError, FetchError, LocationError
from value_nb.getting.manifest import Location, in_words
from value_nb.getting.room import disk_room

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Brought:
    """Files that were brought, and from which commit ("the cache" where nobody was asked)."""

    files: Mapping[str, Path]
    commit: str


def choose(groups: Groups, has: Callable[[str], bool], where: str) -> tuple[str, ...]:
    """Of each group of names the first that is there. Raises LocationError when a group has none."""
    chosen = []
    for group in groups:
        name = next((name for name in group if has(name)), None)
        if name is None:
            raise LocationError(f"{where} has no {' or '.join(group)}")
        chosen.append(name)
    return tuple(dict.fromkeys(chosen))


def from_cache(location: Location, groups: Groups, folder: Path) -> Brought | None:
    """Copy the files from the hub's cache into a folder; None where it does not have them all."""
    from huggingface_hub import try_to_load_from_cache

    cached: dict[str, Path] = {}
    for name in {name for group in groups for name in group}:
        path = try_to_load_from_cache(location.repo, name, revision=location.revision)
        if isinstance(path, str):
            cached[name] = Path(path)
    try:
        chosen = choose(groups, cached.__contains__, "the cache")
    except LocationError:
        return None
    files = {name: folder / name for name in chosen}
    with disk_room(folder):
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cached[name], path)
    return Brought(files, "the cache")


def from_hub(location: Location, groups: Groups, folder: Path, timeout: float, progress: bool) -> Brought:
    """Bring the files from the hub into a folder, and hold them against the SHA-256 that the hub lists.

    Parameters
    ----------
    location
        Repository and revision.
    groups
        Names; of each group the first that the repository has is brought.
    folder
        Where to; is made.
    timeout
        Seconds that the hub may take to answer what it has.
    progress
        Show progress bars.

    Raises
    ------
    LocationError
        The hub does not have the repository, the revision or a file, or cannot be reached.
    ChecksumError
        A file is not the one that the hub lists.
    DiskFullError
        There is no room.
    """
    from huggingface_hub import HfApi, snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT") or None
    api = HfApi(endpoint=endpoint)
    try:
        commit = api.repo_info(location.repo, revision=location.revision, timeout=timeout).sha or ""
        listed = _listed(api.list_repo_tree(location.repo, recursive=True, revision=commit))
        chosen = choose(groups, listed.__contains__, f"{location.repo} at {location.revision}")
        _check_room([listed[name] for name in chosen], folder)
        with disk_room(folder):
            snapshot_download(
                location.repo,
                revision=commit,
                allow_patterns=list(chosen),
                local_dir=folder,
                endpoint=endpoint,
                etag_timeout=timeout,
                tqdm_class=None if progress else _silent(),
            )
    except FetchError:
        raise
    except Exception as error:  # the client's versions stand on three libraries with classes of their own
        raise LocationError(_first_line(error)) from error
    for name in chosen:
        _check(folder / name, listed[name])
    return Brought({name: folder / name for name in chosen}, commit)


def _listed(tree: Any) -> dict[str, RepoFile]:
    from huggingface_hub.hf_api import RepoFile

    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}


def _check_room(files: list[RepoFile], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = sum(file.size for file in files), shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFullError(
            f"{in_words(needed)} are needed, and {folder} has {in_words(free)} free. Make room, or give "
            "another root=."
        )


def _check(path: Path, listed: RepoFile) -> None:
    """Hold a file against what the hub lists: its size, and, of large files, their SHA-256."""
    if not path.is_file() or path.stat().st_size != listed.size:
        raise ChecksumError(f"{listed.path} did not come whole; the hub lists {listed.size} bytes")
    if listed.lfs is not None and digest(path) != listed.lfs.sha256:
        raise ChecksumError(f"{listed.path} is not the file that the hub lists (SHA-256 {listed.lfs.sha256})")


def _silent() -> Any:
    from tqdm.auto import tqdm

    class Silent(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options | {"disable": True})

    return Silent


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"answered: {lines[0] if lines else type(error).__name__}"
