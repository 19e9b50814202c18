"""When a relation holds: written rules of class pair, offset and drawing order, and nothing else.

The generator places things by intention, but what a picture *shows* is decided here, over all ordered
pairs of things, from their boxes: a relation holds if and only if `predicate` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.build.world import CLASSES

if TYPE_CHECKING:
    from data.build.scenes import Thing

FIT = {
    "shirt": (0.50, 0.40),
    "dress": (0.58, 0.50),
    "coat": (0.55, 0.46),
    "jeans": (0.82, 0.40),
    "cap": (0.08, 0.32),
    "hat": (0.02, 0.34),
    "scarf": (0.46, 0.28),
    "glasses": (0.21, 0.24),
}
"""Clothing -> height of its centre on a person (0 head, 1 feet) and width, in person heights."""

HAND = (0.30, 0.60)
MOUTH = (0.0, 0.30)
CHEST = (0.0, 0.54)
"""Offsets of the hand, mouth and chest from the person's top centre, in person heights (x, y)."""


def predicate(subject: Thing, other: Thing) -> str | None:
    """The predicate that holds from `subject` to `other`, or None."""
    for rule in (_worn, _held, _atop, _under, _overlapping, _beside):
        found = rule(subject, other)
        if found:
            return found
    return None


def is_person(thing: Thing) -> bool:
    """True for every class of type people."""
    return CLASSES[thing.cls].types[0] == "people"


def is_animal(thing: Thing) -> bool:
    """True for every class of type animals."""
    return CLASSES[thing.cls].types[0] == "animals"


def is_vehicle(thing: Thing) -> bool:
    """True for every class of type vehicles."""
    return CLASSES[thing.cls].types[0] == "vehicles"


def has_role(thing: Thing, role: str) -> bool:
    """True when the class of the thing has the role."""
    return role in CLASSES[thing.cls].roles


def point_on(person: Thing, offset: tuple[float, float], side: int = 1) -> tuple[float, float]:
    """Picture coordinates of a point of a person; `side` is -1 (left) or 1 (right)."""
    x1, y1, x2, y2 = person.box
    return (x1 + x2) / 2 + side * offset[0] * (y2 - y1), y1 + offset[1] * (y2 - y1)


def _close(thing: Thing, point: tuple[float, float], reach: float) -> bool:
    x, y = thing.centre
    return abs(x - point[0]) <= reach and abs(y - point[1]) <= reach


def _worn(subject: Thing, other: Thing) -> str | None:
    if not is_person(subject) or not has_role(other, "wear") or other.z < subject.z:
        return None
    centre, _ = FIT[other.cls]
    return "wearing" if _close(other, point_on(subject, (0.0, centre)), 0.08 * subject.height) else None


def _held(subject: Thing, other: Thing) -> str | None:
    """What a person does with a thing at the hand, mouth, chest or on the head depends on its class."""
    if not is_person(subject) or other.z < subject.z:
        return None
    reach = 0.10 * subject.height
    if _close(other, point_on(subject, MOUTH), reach) and has_role(other, "food"):
        return "eating"
    if _close(other, point_on(subject, CHEST), reach):
        for role, verb in (("music", "playing"), ("carry", "carrying")):
            if has_role(other, role):
                return verb
    if _on_head(subject, other) and has_role(other, "balance"):
        return "balancing"
    at_hand = any(_close(other, point_on(subject, HAND, side), reach) for side in (-1, 1))
    if at_hand or (has_role(other, "overhead") and _above_hand(subject, other)):
        return _handled(other)
    return None


def _handled(other: Thing) -> str | None:
    if has_role(other, "wear"):
        return "folding"
    if has_role(other, "music"):
        return "fixing"
    return "holding" if has_role(other, "hold") or has_role(other, "carry") else None


def _on_head(person: Thing, other: Thing) -> bool:
    """The lower edge of the other touches the top of the head."""
    x, y = point_on(person, (0.0, 0.03))
    reach = 0.10 * person.height
    return abs(other.centre[0] - x) <= reach and abs(other.box[3] - y) <= reach


def _above_hand(person: Thing, other: Thing) -> bool:
    """The lower end of an umbrella or of a balloon's string is at a hand."""
    x = (other.box[0] + other.box[2]) / 2
    reach = 0.10 * person.height
    hands = [point_on(person, HAND, side) for side in (-1, 1)]
    return any(abs(x - hx) <= reach and abs(other.box[3] - hy) <= reach for hx, hy in hands)


def _atop(subject: Thing, other: Thing) -> str | None:
    """Feet well inside the other: riding, driving, sitting on. At the upper edge: standing on, climbing."""
    x1, y1, x2, y2 = other.box
    if subject.z < other.z or is_person(other) or not (has_role(other, "support") or has_role(other, "ride")):
        return None
    if abs(subject.centre[0] - (x1 + x2) / 2) > 0.3 * (x2 - x1):
        return None
    depth = (subject.box[3] - y1) / (y2 - y1)
    if 0.42 <= depth <= 0.9 and subject.centre[1] < y1 + 0.3 * (y2 - y1):
        return _mounted(subject, other)
    on_top = -0.06 <= depth <= 0.34 and has_role(other, "support") and not has_role(subject, "overhead")
    return _on_edge(subject) if on_top else None


def _mounted(subject: Thing, other: Thing) -> str:
    if has_role(other, "seat"):
        return "sitting on" if is_person(subject) or is_animal(subject) else "on"
    if is_person(subject):
        return "driving" if is_vehicle(other) and not has_role(other, "ride") else "riding"
    return "leaving" if is_animal(subject) and is_vehicle(other) else "on"


def _on_edge(subject: Thing) -> str:
    return "standing on" if is_person(subject) else "climbing" if is_animal(subject) else "on"


def _under(subject: Thing, other: Thing) -> str | None:
    if not has_role(other, "overhead") or has_role(subject, "wear") or has_role(subject, "part"):
        return None
    x1, y1, x2, y2 = other.box
    inside = x1 <= subject.centre[0] <= x2
    lower = subject.box[1] >= y1 + 0.25 * (y2 - y1) and subject.box[3] >= y2 - 0.1 * (y2 - y1)
    return "under" if inside and lower and subject.box[1] <= y2 else None


def _overlapping(subject: Thing, other: Thing) -> str | None:
    """Before scenery: in front of. Partly hidden by anything else that stands lower: behind."""
    if not (stands(subject) and stands(other)) or overlap(subject, other) < 0.10:
        return None
    lower = subject.box[3] - other.box[3]
    if has_role(subject, "scenery"):
        return None
    if has_role(other, "scenery"):
        return "in front of" if subject.z > other.z and lower >= 5 else None
    return "behind" if subject.z < other.z and lower <= -5 else None


def _beside(subject: Thing, other: Thing) -> str | None:
    """On the ground side by side: almost touching has a verb of its own, further apart is next to."""
    if not (stands(subject) and stands(other)) or has_role(subject, "scenery"):
        return None
    gap = max(subject.box[0] - other.box[2], other.box[0] - subject.box[2])
    if has_role(other, "scenery"):
        return "next to" if -4 <= gap <= 16 else None
    if abs(subject.box[3] - other.box[3]) > 14:
        return None
    # Read from left to right, except that people act on animals and things from either side.
    if subject.centre[0] > other.centre[0] and (not is_person(subject) or is_person(other)):
        return None
    if -4 <= gap <= 10:
        return _side_by_side(subject, other, ("talking to", "feeding", "washing", "chasing", "touching"))
    if 10 < gap <= 26:
        return _side_by_side(subject, other, ("waving to", "calling", "waiting for", "following", "next to"))
    return None


def _side_by_side(subject: Thing, other: Thing, verbs: tuple[str, str, str, str, str]) -> str | None:
    """Verbs for person-person, person-animal, person-vehicle, animal-animal, and everything else."""
    if is_person(subject):
        kinds = (is_person(other), is_animal(other), is_vehicle(other))
        return next((verb for verb, holds in zip(verbs, kinds, strict=False) if holds), verbs[4])
    if is_person(other) and (is_animal(subject) or is_vehicle(subject)):
        return None
    return verbs[3] if is_animal(subject) and is_animal(other) else verbs[4]


def stands(thing: Thing) -> bool:
    """On the ground by itself: not worn, held, ridden or carried."""
    return thing.grounded


def overlap(a: Thing, b: Thing) -> float:
    """Area of the intersection as a share of the smaller box."""
    width = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
    height = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    return max(0.0, width) * max(0.0, height) / max(1e-9, min(a.area, b.area))
