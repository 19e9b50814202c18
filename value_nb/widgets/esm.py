"""The script of a live view: one module with what all views share, so that the browser fetches nothing."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).with_name("dom.js")


def script(own: Path) -> str:
    """The source of a view's module: `element`, `number` and `ownKeys` of dom.js, then its own file."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (SHARED, own))
