"""Which pictures are shown: their ids, and the split that each belongs to."""

from __future__ import annotations

SPLITS = ("train", "val", "test")
SIZES = {"train": 800, "val": 150, "test": 350}
FAST_SIZES = {"train": 60, "val": 20, "test": 40}
FIRST_ID = 100001
"""Ids of shown pictures are digits, as in the real files; all other scenes have ids with letters."""


def picture_splits(fast: bool = False) -> dict[str, str]:
    """Image id -> split, in the order of the ids: train, then val, then test.

    Parameters
    ----------
    fast
        The few pictures of a trial build instead of those that ship.
    """
    sizes = FAST_SIZES if fast else SIZES
    listed = [split for split in SPLITS for _ in range(sizes[split])]
    return {str(FIRST_ID + number): split for number, split in enumerate(listed)}


def check_pictures(split_of: dict[str, str], given: list[str]) -> list[str]:
    """Return the image ids in numerical order.

    Raises ValueError when an id is not in digits, a split is unknown, or the pictures given are others than
    those that have a split.
    """
    bad = [i for i in split_of if not (i.isascii() and i.isdigit())]
    if bad:
        raise ValueError(f"The image id {bad[0]!r} came; expected digits, as in the real annotation files.")
    unknown = sorted({s for s in split_of.values() if s not in SPLITS})
    if unknown:
        raise ValueError(f"The split {unknown[0]!r} came; expected one of {', '.join(SPLITS)}.")
    if set(given) != set(split_of) or len(given) != len(set(given)):
        odd = sorted(set(given) ^ set(split_of)) or ["an id that occurs twice"]
        raise ValueError(
            f"Pictures and splits differ in {odd[0]}; expected every picture once, with a split."
        )
    return sorted(split_of, key=int)
