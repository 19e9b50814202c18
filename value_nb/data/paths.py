"""Where the files lie: the bundled data, and the picture of an image id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT_VARIABLE = "VALUE_NB_DATA"
IMAGE_SUFFIXES = (".jpg", ".webp", ".png", ".jpeg")


def bundled_root() -> Path:
    """Return the folder that holds `mini/`: the one named by VALUE_NB_DATA, else `data/` of the checkout.

    Raises
    ------
    FileNotFoundError
        When that folder does not exist.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    root = Path(named).expanduser() if named else Path(__file__).resolve().parents[2] / "data"
    if root.is_dir():
        return root
    if named:
        raise FileNotFoundError(
            f"{ENVIRONMENT_VARIABLE} is {named!r}, which is not a folder. Expected the folder that holds "
            "mini/. "
            f"Correct or unset {ENVIRONMENT_VARIABLE}."
        )
    raise FileNotFoundError(
        f"The bundled data are not at {root}. They ship with the repository, in data/. Work from a checkout "
        f"(pip install -e .), or set {ENVIRONMENT_VARIABLE} to the folder that holds mini/."
    )


def find_image(folders: Sequence[Path], image_id: str) -> Path | None:
    """Return `<image_id>` plus .jpg, .webp, .png or .jpeg in the first folder that has it, else None."""
    if not image_id or Path(image_id).name != image_id:
        return None
    candidates = (folder / f"{image_id}{suffix}" for folder in folders for suffix in IMAGE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)
