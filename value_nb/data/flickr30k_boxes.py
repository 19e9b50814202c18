"""The annotation files of Flickr30k Entities: which boxes of a picture show which coreference chain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import defusedxml
from defusedxml.ElementTree import ParseError, parse

from value_nb.data.matching import Box, clip_box
from value_nb.data.problems import ProblemReport, Spot

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CORNERS = ("xmin", "ymin", "xmax", "ymax")
LARGEST_FILE = 1 << 24
"""Most bytes of one annotation or sentence file; the real ones have a few thousand."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """What an annotation file says of one picture.

    Attributes
    ----------
    size
        (width, height) in pixels.
    boxes
        Every distinct box once, x1 y1 x2 y2 as fractions of width and height, in the order of the file.
    chains
        Per box the chains that it shows (an object with several names, or several objects with one box).
    scene, no_box
        Chains flagged `scene` (the picture as a whole) and `nobndbox` (visible, but without a box):
        independent flags, a chain may be in both, or in one and have boxes besides.
    """

    size: tuple[int, int]
    boxes: tuple[Box, ...]
    chains: tuple[tuple[str, ...], ...]
    scene: frozenset[str]
    no_box: frozenset[str]

    def boxes_of(self, chain: str) -> tuple[int, ...]:
        """Return the indices of the boxes that show a chain; () where nothing does."""
        return tuple(index for index, names in enumerate(self.chains) if chain in names)


def read_annotations(path: Path, problems: ProblemReport) -> Annotations | None:
    """Read one annotation file; None, and reported, when there is nothing to be had from it.

    Coordinates in the file are pixels counted from 1, both ends inclusive; here x1 = (xmin - 1) / width and
    x2 = xmax / width, so that a box covers its last pixel too, and the full picture is 0 0 1 1. Boxes are cut
    at the border; boxes without area are left out and reported. Entities and document types are refused.
    """
    spot = problems.at(path, "the whole file")
    root = _parse(path, spot)
    if root is None:
        return None
    width, height = (_whole(root.findtext(f"size/{side}")) for side in ("width", "height"))
    if width is None or height is None:
        spot.skip(
            "picture without size",
            "size/width or size/height is not a whole number above 0.",
            "The picture is left out; write its size in pixels into the file.",
        )
        return None
    return _collect(root, (width, height), spot)


def _parse(path: Path, spot: Spot) -> Element | None:
    """Return the root of a file; None, and reported, when it is missing, too large or no plain XML."""
    remedy = "The picture is left out; unpack annotations.zip again."
    if not path.is_file():
        found = "the file is missing; expected one per picture of the split."
        spot.skip("no annotation file", found, remedy)
        return None
    if path.stat().st_size > LARGEST_FILE:
        found = f"it is longer than {LARGEST_FILE} bytes; expected the boxes of one picture."
        spot.skip("too large a file", found, remedy)
        return None
    try:
        return parse(path, forbid_dtd=True).getroot()
    except (ParseError, defusedxml.DefusedXmlException, LookupError, ValueError, OSError) as error:
        found = f"it cannot be read ({error!r}); expected plain XML without entities."
        spot.skip("unreadable XML", found, remedy)
    return None


def _collect(root: Element, size: tuple[int, int], spot: Spot) -> Annotations:
    boxes: dict[Box, dict[str, None]] = {}
    flagged: dict[str, set[str]] = {"scene": set(), "nobndbox": set()}
    for number, element in enumerate(root.findall("object"), start=1):
        here = Spot(spot.report, spot.file, f"object {number}")
        names = [text for name in element.findall("name") if (text := (name.text or "").strip())]
        if not names:
            here.skip(
                "object without name",
                "it has no name; expected at least one chain id.",
                "The object is left out; write its chain id into <name>.",
            )
            continue
        flags = [flag for flag in flagged if (element.findtext(flag) or "").strip() == "1"]
        for flag in flags:
            flagged[flag].update(names)
        corners = element.find("bndbox")
        box = None if corners is None else _read_box(corners, size, here)
        if box is not None:
            boxes.setdefault(box, {}).update(dict.fromkeys(names))
        elif corners is None and not flags:
            here.change(
                "object without box or flag",
                "it has no bndbox, and neither scene nor nobndbox is 1.",
                "It says nothing of its chain and was passed over.",
            )
    chains = tuple(tuple(names) for names in boxes.values())
    return Annotations(
        size, tuple(boxes), chains, frozenset(flagged["scene"]), frozenset(flagged["nobndbox"])
    )


def _read_box(corners: Element, size: tuple[int, int], spot: Spot) -> Box | None:
    values = [_number(corners.findtext(corner)) for corner in CORNERS]
    xmin, ymin, xmax, ymax = values
    if xmin is None or ymin is None or xmax is None or ymax is None:
        spot.skip(
            "box without numbers",
            f"the corners {values} came; expected four numbers under {', '.join(CORNERS)}.",
            "The box is left out; correct it in the file.",
        )
        return None
    width, height = size
    return clip_box(((xmin - 1) / width, (ymin - 1) / height, xmax / width, ymax / height), spot)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str | None) -> int | None:
    value = _number(text)
    return int(value) if value is not None and value >= 1 and value == int(value) else None
