"""JSON files beside weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; {} where there is no such file. ValueError names a file that holds none."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:  # UnicodeDecodeError is one, too
        raise ValueError(f"{path} cannot be read as JSON: {problem}") from problem
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}, expected a JSON object")
    return values
