"""Room on the disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from value_nb.getting.errors import DiskFullError

FULL = tuple(getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name))


@contextmanager
def disk_room(folder: Path) -> Iterator[None]:
    """Turn the system's word for a full disk into a DiskFullError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFullError(
            f"The disk of {folder} is full ({error.strerror}). Make room, or give another root=, and call "
            "again: what was brought so far stays, and the next call goes on from there."
        ) from error
