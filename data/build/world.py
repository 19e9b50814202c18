"""The small world of the miniature: its classes, colours, places, and what each class can do.

Everything that scenes, captions, files and the feature extractor know about a class stands in
`CLASSES`; nothing else in the build names a class.
"""

from __future__ import annotations

from dataclasses import dataclass

SKIN_TONES = ("", "\U0001f3fb", "\U0001f3fc", "\U0001f3fd", "\U0001f3fe", "\U0001f3ff")

WIDTH, HEIGHT = 320, 240
"""Size of every picture in pixels."""


@dataclass(frozen=True)
class ObjectClass:
    """One class of thing.

    Attributes
    ----------
    name
        The noun, singular; also the annotated class name.
    types
        Entity types of Flickr30k Entities (two for a class that is both).
    glyphs
        The emoji that show it; with flips, colours, sizes and occlusion, its looks.
    height
        Range of its height in pixels.
    roles
        What it can be in a scene: "ride", "seat", "support", "hold", "food", "music", "carry",
        "overhead", "balance", "scenery", "ground".
    colourable
        Drawn in one of `COLOURS`; only for glyphs mostly of one hue (checked by `glyphs.check_hues`).
    plural
        The plural noun.
    pronoun
        he, she or it.
    hypernym
        A more general noun that captions sometimes use.
    """

    name: str
    types: tuple[str, ...]
    glyphs: tuple[str, ...]
    height: tuple[int, int]
    roles: frozenset[str]
    colourable: bool = False
    plural: str = ""
    pronoun: str = "it"
    hypernym: str = ""


def _person(name: str, glyph: str, pronoun: str, plural: str = "") -> ObjectClass:
    glyphs = tuple(glyph[0] + tone + glyph[1:] for tone in SKIN_TONES)
    return ObjectClass(
        name,
        ("people",),
        glyphs,
        (92, 118),
        frozenset({"ground"}),
        False,
        plural or name + "s",
        pronoun,
        "person",
    )


def _kind(
    types: str,
    rows: str,
    hypernym: str = "",
    plurals: dict[str, str] | None = None,
) -> list[ObjectClass]:
    """One class per line: name, glyphs, height range, roles, and "c" when it is colourable."""
    plurals = plurals or {}
    made = []
    for row in rows.strip().splitlines():
        name, glyphs, low, high, roles, *flags = row.split()
        made.append(
            ObjectClass(
                name,
                tuple(types.split("/")),
                tuple(glyphs.split(",")),
                (int(low), int(high)),
                frozenset(roles.split(",")),
                "c" in flags,
                plurals.get(name, name + "s"),
                "it",
                hypernym,
            )
        )
    return made


_PEOPLE = [
    _person("man", "👨", "he", "men"),
    _person("woman", "👩", "she", "women"),
    _person("boy", "👦", "he"),
    _person("girl", "👧", "she"),
    _person("grandfather", "👴", "he"),
    _person("grandmother", "👵", "she"),
    _person("policeman", "👮\u200d♂\ufe0f", "he", "policemen"),
    _person("cook", "🧑\u200d🍳", "he"),
]

_CLOTHING = _kind(
    "clothing",
    """
    shirt 👕 30 38 wear,hold c
    dress 👗 40 52 wear,hold c
    coat 🧥 36 46 wear,hold c
    jeans 👖 30 38 wear,hold c
    cap 🧢 20 26 wear,hold c
    hat 🎩,👒 22 28 wear,hold
    scarf 🧣 22 28 wear,hold c
    glasses 👓,🕶 12 16 wear,hold
    """,
    plurals={"dress": "dresses", "jeans": "jeans", "glasses": "glasses", "scarf": "scarves"},
)

_ANIMALS = _kind(
    "animals",
    """
    dog 🐕,🐩,🦮 38 50 carry,ground
    cat 🐈,🐈‍⬛ 34 44 carry,ground
    horse 🐎 68 84 ride,support,ground
    cow 🐄,🐂 60 76 ride,support,ground
    sheep 🐑,🐏 44 58 support,ground
    pig 🐖 44 58 ride,support,ground
    elephant 🐘 74 92 ride,support,ground
    camel 🐪,🐫 72 88 ride,support,ground
    monkey 🐒 38 50 carry,ground
    rabbit 🐇 30 40 carry,ground
    bird 🐦 26 36 carry,ground c
    """,
    "animal",
    {"sheep": "sheep"},
)

_VEHICLES = _kind(
    "vehicles",
    """
    car 🚗 52 66 support,ground c
    truck 🚚,🚛 62 78 support,ground
    bicycle 🚲 54 68 ride,ground
    motorcycle 🏍 52 64 ride,support,ground
    tractor 🚜 60 74 support,ground
    """,
    "vehicle",
)
_VEHICLES += _kind("vehicles/scene", "bus 🚌 60 76 support,ground", "vehicle", {"bus": "buses"})
_VEHICLES += _kind("vehicles", "boat ⛵,🚤 58 74 support,ground", "vehicle")

_INSTRUMENTS = _kind(
    "instruments",
    """
    guitar 🎸 40 50 music,hold c
    violin 🎻 36 46 music,hold
    trumpet 🎺 32 40 music,hold
    drum 🥁 34 42 music,hold,support,ground
    saxophone 🎷 36 46 music,hold
    """,
    "instrument",
)

_SCENERY = _kind(
    "scene",
    """
    house 🏠,🏡 84 104 scenery
    castle 🏰,🏯 88 110 scenery
    mountain ⛰,🗻 84 108 scenery
    church ⛪ 88 106 scenery
    """,
    plurals={"church": "churches"},
)
_SCENERY += _kind("scene/other", "tent ⛺ 60 78 scenery,support c")

_OTHER = _kind(
    "other",
    """
    ball ⚽,🏀,🏐 24 32 hold,support,ground,balance
    balloon 🎈 34 44 hold,overhead,ground c
    umbrella ☂ 54 68 hold,overhead,ground c
    book 📕 26 34 hold,ground,balance c
    cup ☕,🍵 24 30 hold,food,ground,balance
    chair 🪑 54 66 seat,support,ground c
    sofa 🛋 50 62 seat,support,ground c
    box 📦 38 50 seat,support,hold,ground,balance
    bag 🎒 32 42 hold,ground,balance c
    flower 🌷,🌹,🌻 32 42 hold,ground
    apple 🍎 22 30 hold,food,ground,balance c
    cake 🎂,🍰 28 36 hold,food,ground,balance
    bucket 🪣 30 40 hold,ground,balance c
    tree 🌳,🌲,🌴 92 116 scenery,overhead
    """,
    plurals={"box": "boxes"},
)

BODY_PARTS = tuple(
    ObjectClass(name, ("bodyparts",), (), (0, 0), frozenset({"part"}), False, plural)
    for name, plural in (("head", "heads"), ("hand", "hands"), ("feet", "feet"))
)

CLASSES: dict[str, ObjectClass] = {
    kind.name: kind
    for kind in (
        *_PEOPLE,
        *_CLOTHING,
        *_ANIMALS,
        *_VEHICLES,
        *_INSTRUMENTS,
        *_SCENERY,
        *_OTHER,
        *BODY_PARTS,
    )
}

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.0, 0.85, 0.87),
    "yellow": (0.145, 0.85, 0.97),
    "green": (0.36, 0.75, 0.60),
    "blue": (0.60, 0.80, 0.88),
    "purple": (0.77, 0.60, 0.68),
    "pink": (0.92, 0.38, 1.00),
    "black": (0.0, 0.0, 0.20),
    "white": (0.0, 0.0, 0.96),
}
"""Colour word -> target hue, saturation, value in [0, 1]."""

GROUNDS: dict[str, tuple[tuple[int, int, int], str, str]] = {
    "field": ((126, 184, 92), "in", "a"),
    "beach": ((235, 212, 160), "on", "a"),
    "street": ((150, 152, 158), "on", "a"),
    "snow": ((240, 244, 250), "in", "the"),
}
"""Place word -> ground colour, preposition, determiner. A place has no box: a phrase without a region."""

SKIES: tuple[tuple[tuple[int, int, int], tuple[int, int, int]], ...] = (
    ((120, 190, 245), (214, 236, 252)),
    ((255, 178, 120), (255, 228, 190)),
    ((60, 70, 120), (120, 130, 180)),
)
"""Top and bottom colour of the sky."""


def with_role(role: str) -> tuple[str, ...]:
    """Names of the classes that have a role, in the order of `CLASSES`."""
    return tuple(name for name, kind in CLASSES.items() if role in kind.roles)


def of_type(entity_type: str) -> tuple[str, ...]:
    """Names of the classes whose first entity type is `entity_type`."""
    return tuple(name for name, kind in CLASSES.items() if kind.types[0] == entity_type)
