"""Whether the network may be touched."""

from __future__ import annotations

import os

from value_nb.getting.errors import OfflineError

VARIABLES = ("VALUE_NB_OFFLINE", "HF_HUB_OFFLINE")
TRUE = ("1", "on", "true", "yes")
"""What counts as set, in any case of letters; the hub's client reads its variable in the same way."""


def offline_by() -> str | None:
    """Return the variable that forbids the network: VALUE_NB_OFFLINE or HF_HUB_OFFLINE, else None.

    They are looked up at every call, so that a notebook's cell can set them.
    """
    return next((name for name in VARIABLES if os.environ.get(name, "").strip().lower() in TRUE), None)


def refuse_offline(what: str) -> None:
    """Raise OfflineError where the network is forbidden; `what` would have been fetched."""
    name = offline_by()
    if name is not None:
        raise OfflineError(
            f"{what} is not here, and {name}={os.environ[name]} says that the network is not to be touched. "
            f"Unset {name} and call again, or bring the files from another machine: vnb.doctor() says where "
            "they go."
        )
