"""From the image ids of a feature file to those of a data set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Rule = Callable[[str], str] | Mapping[str, str] | str | None

NUMBERED = re.compile(r"(?:[A-Za-z][A-Za-z0-9]*_)*0*(\d+)(?:\.[A-Za-z]+)?")
"""Words with underscores, a number, and perhaps an extension."""


def digits(image_id: str) -> str | None:
    """Return the number in an image id without leading zeros, None where the id has another shape.

    Examples
    --------
    >>> digits("flickr30k_000001000092795.npz"), digits("COCO_val2014_000000000042"), digits("2354")
    ('1000092795', '42', '2354')
    >>> digits("nlvr2_dev-0-0-img0.npz"), digits("n161313")
    (None, None)
    """
    found = NUMBERED.fullmatch(image_id)
    return found[1] if found else None


class Naming:
    """Gives every image id of a source its new one, and sees to it that no two are alike.

    Parameters
    ----------
    rule
        As `image_ids` of `convert_features`.

    Raises
    ------
    ValueError
        When there is no such rule.
    """

    def __init__(self, rule: Rule) -> None:
        if not (rule is None or rule in ("digits", "keep") or callable(rule) or isinstance(rule, Mapping)):
            raise ValueError(
                f"image_ids={rule!r} came; expected None, 'digits', 'keep', a function from the file's image "
                "id to the new one, or a dict."
            )
        self.rule = rule
        self._from: dict[str, str] = {}

    def __call__(self, image_id: str) -> str:
        """Return the new image id. Raises ValueError where the rule gives none, or one given before."""
        new = self._new(image_id)
        if not isinstance(new, str) or not new:
            raise ValueError(
                f"image_ids={self._shown()} gives {new!r} for the image id {image_id!r}; expected a text. "
                "Use 'keep', or a function or dict that knows it."
            )
        other = self._from.setdefault(new, image_id)
        if other != image_id:
            raise ValueError(
                f"image_ids={self._shown()} gives {new!r} for both {other!r} and {image_id!r}; expected "
                "different ids. Use 'keep', or a function or dict that tells them apart."
            )
        return new

    def _new(self, image_id: str) -> object:
        if self.rule is None:
            return digits(image_id) or image_id
        if self.rule == "keep":
            return image_id
        if self.rule == "digits":
            return digits(image_id)
        return self.rule.get(image_id) if isinstance(self.rule, Mapping) else self.rule(image_id)  # type: ignore[operator]

    def _shown(self) -> str:
        return "a dict" if isinstance(self.rule, Mapping) else f"{self.rule!r}"
