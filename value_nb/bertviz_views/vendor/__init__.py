"""The two libraries that bertviz's views load from a network, unchanged, beside their licences.

Taken from the npm registry: d3@5.7.0 (BSD 3-clause, d3.LICENSE.txt) and jquery@2.2.4 (MIT,
jquery.LICENSE.txt). bertviz asks for jQuery 2.0.0, which the registry does not have.
"""

from __future__ import annotations

from importlib import resources

SHA256 = {
    "d3.min.js": "bdad5585ef9a965ff25458738309b006058c55f2c78d794d25fbecae35014609",
    "jquery.min.js": "05b85d96f41fff14d8f608dad03ab71e2c1017c2da0914d7c59291bad7a54f8e",
}
"""File -> hash of its bytes, as published."""


def script(name: str) -> str:
    """The text of one of the libraries.

    Raises
    ------
    ValueError
        For a name that is not in `SHA256`.
    """
    if name not in SHA256:
        raise ValueError(f"no library {name!r} here; there are: {', '.join(SHA256)}")
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
