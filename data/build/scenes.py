"""Scenes: what stands where. Sampled from a seed; what they show is read off by `relations`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from data.build import relations
from data.build.glyphs import glyph_image
from data.build.world import BODY_PARTS, CLASSES, COLOURS, GROUNDS, HEIGHT, SKIES, WIDTH, of_type, with_role

PERSON_WIDTH = 0.62
"""Width of a person, arms included, in person heights."""
ANNOTATOR_ERROR = 0.10
"""Standard deviation of the annotator's error per side, as a share of the box's width or height."""
PART_BOX = {"head": (0.0, 0.19, 0.40), "hand": (0.30, 0.60, 0.17), "feet": (0.0, 0.97, 0.34)}
"""Body part -> x offset, y offset and size, in person heights."""


@dataclass(frozen=True)
class Thing:
    """One thing of a scene; `box` is x1 y1 x2 y2 in pixels, `z` the drawing order (later is in front).

    `error` is the annotator's, in units of `ANNOTATOR_ERROR`, per side of the box.
    """

    id: int
    cls: str
    glyph: str
    flip: bool
    colour: str | None
    size_word: str | None
    box: tuple[float, float, float, float]
    z: int
    grounded: bool
    error: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    parent: int | None = None

    @property
    def annotated_box(self) -> tuple[float, float, float, float]:
        """The box as an annotator drew it: off by a few per cent on each side, inside the picture."""
        x1, y1, x2, y2 = self.box
        dx, dy = (x2 - x1) * ANNOTATOR_ERROR, (y2 - y1) * ANNOTATOR_ERROR
        a, c, d, e = self.error
        box = (x1 + a * dx, y1 + c * dy, x2 + d * dx, y2 + e * dy)
        return max(0.0, box[0]), max(0.0, box[1]), min(float(WIDTH), box[2]), min(float(HEIGHT), box[3])

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def height(self) -> float:
        """Height of the box in pixels."""
        return self.box[3] - self.box[1]

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return (self.box[2] - self.box[0]) * self.height


@dataclass(frozen=True)
class Scene:
    """A picture before it is drawn."""

    id: str
    things: tuple[Thing, ...]
    ground: str
    sky: int
    horizon: float

    def relations(self) -> tuple[tuple[int, str, int], ...]:
        """(subject id, predicate, object id) for every ordered pair for which a rule holds."""
        return self._relations

    @cached_property
    def _relations(self) -> tuple[tuple[int, str, int], ...]:
        whole = [t for t in self.things if t.parent is None]
        pairs = [(a, relations.predicate(a, b), b) for a in whole for b in whole if a.id != b.id]
        return tuple((a.id, p, b.id) for a, p, b in pairs if p is not None)


class _Builder:
    """Places things one after another; holds the random generator and what is there already."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.camera = float(rng.uniform(0.8, 1.15))
        self.things: list[Thing] = []

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, names: tuple[str, ...]) -> str:
        """A class that is not in the scene yet (twins are added on purpose, not by accident)."""
        free = [n for n in names if all(t.cls != n for t in self.things)]
        return str(self.rng.choice(free or list(names)))

    def make(
        self, cls: str, *, x: float, bottom: float, grounded: bool, height: float | None = None
    ) -> Thing:
        """A thing of a class with a look of its own, standing at (x, bottom)."""
        kind = CLASSES[cls]
        glyph = str(self.rng.choice(kind.glyphs))
        flip = self.chance(0.5)
        colour = str(self.rng.choice(list(COLOURS))) if kind.colourable else None
        size_word = None
        if height is None:
            low, high = kind.height
            height = float(self.rng.uniform(low, high)) * float(self.rng.uniform(0.74, 1.24)) * self.camera
            if "people" not in kind.types and "wear" not in kind.roles and self.chance(0.25):
                size_word = "big" if self.chance(0.5) else "small"
                height = self.camera * (high * 1.3 if size_word == "big" else low * 0.7)
        if kind.types[0] == "people":
            width = PERSON_WIDTH * height * float(self.rng.uniform(0.88, 1.15))
        else:
            image = glyph_image(glyph, None, False)
            width = height * image.width / image.height * float(self.rng.uniform(0.82, 1.2))
        box = (x - width / 2, bottom - height, x + width / 2, bottom)
        error = tuple(np.clip(self.rng.normal(size=4), -2, 2).tolist())
        thing = Thing(
            len(self.things), cls, glyph, flip, colour, size_word, box, len(self.things), grounded, error
        )
        self.things.append(thing)
        return thing


def sample_scene(scene_id: str, seed: int) -> Scene:
    """A scene that depends on nothing but its id and the seed."""
    rng = np.random.default_rng([seed, *scene_id.encode()])
    for _ in range(200):
        builder = _Builder(rng)
        horizon = float(rng.uniform(95, 125))
        _fill(builder, horizon)
        things = _with_parts([t for t in builder.things if _shows(t)])
        if 4 <= sum(t.parent is None for t in things) <= MOST_THINGS and not _hidden(things):
            ground = str(rng.choice(list(GROUNDS)))
            scene = Scene(scene_id, tuple(things), ground, int(rng.integers(len(SKIES))), horizon)
            if len(scene.relations()) >= LEAST_RELATIONS:
                return scene
    raise RuntimeError(
        f"no scene of 4 to {MOST_THINGS} visible things came out in 200 tries for {scene_id!r}"
    )


LEAST_RELATIONS = 2
"""A picture that shows less gives too little to say."""
MOST_THINGS = 9
GROUP_KINDS = ("person", "animal", "thing")
GROUP_WEIGHTS = (0.55, 0.22, 0.23)


def _fill(b: _Builder, horizon: float) -> None:
    """Two or three groups from left to right, each next to, overlapping, or far from the last one."""
    if b.chance(0.4):
        cls = b.pick(with_role("scenery"))
        b.make(
            cls,
            x=float(b.rng.uniform(40, WIDTH - 40)),
            bottom=horizon + float(b.rng.uniform(18, 42)),
            grounded=True,
        )
    baseline = float(b.rng.uniform(186, 224))
    scenery = len(b.things)
    right = 0.0
    for _ in range(int(b.rng.integers(2, 4))):
        kind = str(b.rng.choice(GROUP_KINDS, p=GROUP_WEIGHTS))
        first = len(b.things)
        {"person": _person_group, "animal": _animal_group, "thing": _thing_group}[kind](b, baseline)
        close, near, far = b.rng.uniform(1, 8), b.rng.uniform(12, 24), b.rng.uniform(36, 56)
        spacing = float(b.rng.choice([close, near, -18.0, far], p=[0.42, 0.16, 0.2, 0.22]))
        left = min(t.box[0] for t in b.things[first:] if t.grounded)
        lift = 14.0 if spacing < 0 else 0.0
        _shift(
            b,
            first,
            right + spacing - left if first > scenery else right - left,
            lift if b.chance(0.5) else -lift,
        )
        right = max(t.box[2] for t in b.things[first:] if t.grounded)
    _shift(b, scenery, float(b.rng.uniform(6, max(7.0, WIDTH - 6 - right))), 0.0)
    _order_by_depth(b)


def _shift(b: _Builder, first: int, dx: float, dy: float) -> None:
    for i in range(first, len(b.things)):
        x1, y1, x2, y2 = b.things[i].box
        b.things[i] = replace(b.things[i], box=(x1 + dx, y1 + dy, x2 + dx, y2 + dy))


def _order_by_depth(b: _Builder) -> None:
    """Groups whose feet are lower are drawn later; inside a group the order of making stays."""
    anchor = 0.0
    keys = []
    for i, thing in enumerate(b.things):
        anchor = thing.box[3] if thing.grounded else anchor
        keys.append((anchor, i))
    order = sorted(range(len(keys)), key=lambda i: keys[i])
    for z, i in enumerate(order):
        b.things[i] = replace(b.things[i], z=z)


def _person_group(b: _Builder, baseline: float) -> None:
    """A person, perhaps on something, with clothes and something in the hands."""
    cls = b.pick(of_type("people"))
    if b.chance(0.5):
        base = b.make(b.pick(_BASES), x=0, bottom=baseline, grounded=True)
        depth = b.rng.uniform(0.5, 0.75) if b.chance(0.8) or "support" not in CLASSES[base.cls].roles else 0.1
        person = b.make(
            cls, x=base.centre[0], bottom=base.box[1] + float(depth) * base.height, grounded=False
        )
    else:
        person = b.make(cls, x=0, bottom=baseline, grounded=True)
    _dress(b, person)
    if b.chance(0.75):
        _give(b, person)
    if b.chance(0.08):
        b.make(b.pick(("tree",)), x=person.centre[0], bottom=baseline - 8, grounded=True)


_BASES = tuple(
    n
    for n, k in CLASSES.items()
    if k.roles & {"ride", "seat", "support"} and n not in {"drum", "ball", "tent"}
)


def _dress(b: _Builder, person: Thing) -> None:
    for zone in (("shirt", "dress", "coat"), ("cap", "hat"), ("jeans",), ("scarf",), ("glasses",)):
        if b.chance({"shirt": 0.26, "cap": 0.16}.get(zone[0], 0.04)):
            cls = b.pick(zone)
            centre, width = relations.FIT[cls]
            thing = b.make(cls, x=person.centre[0], bottom=0, grounded=False, height=10)
            scale = width * person.height / (thing.box[2] - thing.box[0])
            tall, wide = 10 * scale, width * person.height
            x, y = relations.point_on(person, (0.0, centre))
            b.things[-1] = replace(thing, box=(x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2))


USES = ("hold", "wear", "overhead", "food", "music", "carry", "balance")
USE_WEIGHTS = (0.10, 0.10, 0.06, 0.18, 0.23, 0.19, 0.14)


def _give(b: _Builder, person: Thing) -> None:
    """Something at the hand, mouth or chest or on the head, or an umbrella or balloon above the hand."""
    side = 1 if b.chance(0.5) else -1
    use = str(b.rng.choice(USES, p=USE_WEIGHTS))
    cls = b.pick(tuple(n for n in with_role(use) if n != "tree"))
    thing = b.make(cls, x=0, bottom=0, grounded=False)
    if use == "overhead":
        x, y = relations.point_on(person, relations.HAND, side)
        y -= thing.height / 2
    elif use == "balance":
        x, y = relations.point_on(person, (0.0, 0.03))
        y -= thing.height / 2
    else:
        own = {"food": relations.MOUTH, "music": relations.CHEST, "carry": relations.CHEST}.get(use)
        spot = own if own is not None and b.chance(0.65) else relations.HAND
        x, y = relations.point_on(person, spot, side)
    wide, tall = thing.box[2] - thing.box[0], thing.height
    b.things[-1] = replace(thing, box=(x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2))


def _animal_group(b: _Builder, baseline: float) -> None:
    """An animal, on something, with a twin, or alone."""
    small = tuple(n for n in of_type("animals") if "support" not in CLASSES[n].roles)
    if b.chance(0.45):
        base = b.make(b.pick(tuple(n for n in _BASES if n != "bicycle")), x=0, bottom=baseline, grounded=True)
        depth = float(b.rng.choice([0.08, 0.5]))
        b.make(b.pick(small), x=base.centre[0], bottom=base.box[1] + depth * base.height, grounded=False)
        return
    first = b.make(b.pick(of_type("animals")), x=0, bottom=baseline, grounded=True)
    if b.chance(0.4):
        width = first.box[2] - first.box[0]
        b.make(first.cls, x=width + float(b.rng.uniform(2, 24)), bottom=baseline, grounded=True)


def _thing_group(b: _Builder, baseline: float) -> None:
    """A vehicle or other thing on the ground, perhaps with something on it, under it or as a twin."""
    standing = tuple(n for n in with_role("ground") if CLASSES[n].types[0] not in {"people", "animals"})
    first = b.make(b.pick(standing), x=0, bottom=baseline, grounded=True)
    if "support" in CLASSES[first.cls].roles and b.chance(0.5):
        cls = b.pick(tuple(n for n in with_role("hold") if "overhead" not in CLASSES[n].roles))
        b.make(cls, x=first.centre[0], bottom=first.box[1] + 0.12 * first.height, grounded=False)
    elif "overhead" not in CLASSES[first.cls].roles and b.chance(0.25):
        top = b.make(
            "umbrella" if b.chance(0.6) else "balloon",
            x=0,
            bottom=first.box[1] + 12,
            grounded=False,
            height=64,
        )
        b.things[-1] = replace(top, z=first.z)
    elif b.chance(0.4):
        width = first.box[2] - first.box[0]
        b.make(first.cls, x=width + float(b.rng.uniform(4, 26)), bottom=baseline, grounded=True)


def _shows(thing: Thing) -> bool:
    """At least 60 % of the thing lies inside the picture."""
    x1, y1, x2, y2 = thing.box
    width = min(x2, WIDTH) - max(x1, 0)
    height = min(y2, HEIGHT) - max(y1, 0)
    return width > 0 and height > 0 and width * height >= 0.6 * thing.area


def _hidden(things: list[Thing]) -> bool:
    """True when something is more than 70 % covered by one thing drawn later that it does not belong to."""
    whole = [t for t in things if t.parent is None]
    return any(
        relations.overlap(a, b) * min(a.area, b.area) > 0.7 * a.area
        for a in whole
        for b in whole
        if b.z > a.z and relations.predicate(b, a) is None and relations.predicate(a, b) is None
    )


def _with_parts(things: list[Thing]) -> list[Thing]:
    """Number the things anew and add head, hand and feet of each person as things with a parent."""
    things = [replace(t, id=i) for i, t in enumerate(things)]
    parts: list[Thing] = []
    for person in (t for t in things if relations.is_person(t)):
        for part in BODY_PARTS:
            dx, dy, size = PART_BOX[part.name]
            x, y = relations.point_on(person, (dx, dy), 1 if person.flip else -1)
            half = size * person.height / 2
            half_y = half * (0.35 if part.name == "feet" else 1.0)
            box = (x - half, y - half_y, x + half, y + half_y)
            parts.append(
                Thing(
                    len(things) + len(parts),
                    part.name,
                    "",
                    False,
                    None,
                    None,
                    box,
                    person.z,
                    False,
                    parent=person.id,
                )
            )
    return [*things, *(p for p in parts if _shows(p))]
