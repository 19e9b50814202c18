"""The records of Visual Genome, cleaned: objects, relations and region descriptions of one picture.

Releases 1.2 and 1.4 write ids as `object_id` and `region_id`, release 1.0 as `id`; subjects and objects of
relations have `name` or `names`, attributes of release 1.0 `object_names`: all are read.
Coordinates are pixels from the top left corner, x y w h; here they become fractions x / width, (x + w) /
width.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from reprlib import Repr
from sys import intern
from typing import Any, TypeGuard

from value_nb.data.matching import Box, clip_box
from value_nb.data.problems import Spot
from value_nb.data.visual_genome_aliases import NO_ALIASES, Aliases, clean_name, clean_predicate

Record = Mapping[str, Any]
Triple = tuple[int, str, int]
"""Index of the subject, predicate, index of the object; the indices are places in the list of objects."""

WORD = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
SURROGATE = re.compile("[\ud800-\udfff]")
NAME_KEYS = ("names", "name", "object_names")
LARGEST_NUMBER = 1e15
"""Ids and pixels beyond this are no ids and no pixels."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """An annotated object: id, all names (the first is its class), box, and ids merged into it."""

    id: int
    names: tuple[str, ...]
    box: Box
    merged: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A region description: its id, the sentence as written, and its box (None if unusable)."""

    id: int
    text: str
    box: Box | None


def split_words(text: str) -> tuple[str, ...]:
    """Split a description into words: lower-cased; each punctuation character is a word of its own.

    A word is a run of letters, digits and underscores, with hyphens and apostrophes inside it.

    Examples
    --------
    >>> split_words("A man's T-shirt, red.")
    ('a', "man's", 't-shirt', ',', 'red', '.')
    """
    return tuple(WORD.findall(text.lower()))


def number(value: object) -> float | None:
    """Return a finite number that an id or a pixel can be; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if -LARGEST_NUMBER <= value <= LARGEST_NUMBER else None


def whole(value: object) -> int | None:
    """Return an id as a number: whole numbers, also written as text or with .0; None for anything else."""
    if isinstance(value, str):
        digits = value.strip()
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is a text without lone surrogates, which JSON can write and no tokenizer can read."""
    return isinstance(value, str) and not SURROGATE.search(value)


def read_id(record: Record, key: str) -> object:
    """Return the id of a record as written: under `key`, or, as in release 1.0, under `id`."""
    return record.get(key, record.get("id"))


def shown(value: object) -> str:
    """Show a value in a message, cut to what can be read, however long or deep it is."""
    short = Repr()
    short.maxstring, short.maxother, short.maxlevel = 80, 80, 2
    return short.repr(value)


def read_box(record: Record, size: tuple[int, int], spot: Spot) -> Box | None:
    """Read x, y, and w, h or width, height; cut at the border. None, and reported, when no area is left."""
    values = [record.get("x"), record.get("y")]
    values += [record.get(short, record.get(long)) for short, long in (("w", "width"), ("h", "height"))]
    numbers = [found for value in values if (found := number(value)) is not None]
    if len(numbers) != len(values):
        spot.skip(
            "box without numbers",
            f"x, y, width, height are {shown(values)}; expected four numbers.",
            "The box is left out; correct it in the file.",
        )
        return None
    x, y, w, h = numbers
    width, height = size
    return clip_box((x / width, y / height, (x + w) / width, (y + h) / height), spot)


def read_names(record: Record) -> tuple[str, ...]:
    """Return the cleaned names under `names`, `name` and `object_names` (texts or lists), each once."""
    found: list[object] = []
    for key in NAME_KEYS:
        value = record.get(key)
        found += value if isinstance(value, list) else [value]
    cleaned = (intern(clean_name(name)) for name in found if is_text(name))
    return tuple(dict.fromkeys(name for name in cleaned if name))


def _records(value: object, spot: Spot) -> Iterable[tuple[Record, Spot]]:
    """Yield the dicts of a list with their spots; anything else is reported."""
    if not isinstance(value, list):
        spot.skip(
            "no list", f"{type(value).__name__} came; expected a list of records.", "It was read as empty."
        )
        return
    for number, record in enumerate(value):
        here = spot.inside(f"record {number}")
        if isinstance(record, dict):
            yield record, here
        else:
            here.skip("no record", f"{type(record).__name__} came; expected a record.", "It is left out.")


def read_object(
    record: Record, size: tuple[int, int], spot: Spot, aliases: Aliases = NO_ALIASES
) -> SceneObject | None:
    """Read an object, or the subject or object of a relation; None, and reported, when it is unusable."""
    key, names = whole(read_id(record, "object_id")), aliases.names(read_names(record))
    if key is None:
        spot.skip(
            "object without id",
            f"object_id is {shown(read_id(record, 'object_id'))}; expected a whole number.",
            "The object is left out; correct it in the file.",
        )
        return None
    box = read_box(record, size, spot.inside(f"object {key}"))
    if box is None:
        return None
    if not names:
        spot.change("object without name", f"object {key} has no name.", "It is kept with the name ''.")
    return SceneObject(key, names, box, _merged_ids(record))


def _merged_ids(record: Record) -> tuple[int, ...]:
    merged = record.get("merged_object_ids")
    numbers = [whole(value) for value in merged] if isinstance(merged, list) else []
    return tuple(number for number in numbers if number is not None)


def read_objects(
    value: object, size: tuple[int, int], spot: Spot, aliases: Aliases = NO_ALIASES
) -> list[SceneObject]:
    """Read the objects of a picture; of several with one id the first is kept."""
    objects: dict[int, SceneObject] = {}
    for record, here in _records(value, spot):
        item = read_object(record, size, here, aliases)
        if item is not None and item.id in objects:
            here.skip(
                "repeated object id",
                f"the object id {item.id} occurs again; expected each once.",
                "The first one is kept.",
            )
        elif item is not None:
            objects[item.id] = item
    return list(objects.values())


@dataclass(slots=True)
class Scene:
    """The objects of a picture and the relations between them, as they are put together."""

    size: tuple[int, int]
    objects: list[SceneObject]
    relations: dict[Triple, None] = field(default_factory=dict)
    aliases: Aliases = NO_ALIASES
    _place: dict[int, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._place = {item.id: place for place, item in enumerate(self.objects)}
        for place, item in enumerate(self.objects):
            for key in item.merged:
                self._place.setdefault(key, place)

    def add_relations(self, value: object, spot: Spot) -> None:
        """Add the relations of a picture; unusable ones are reported.

        A subject or object is looked up by its id, then by the ids merged into it; if it is not among the
        picture's objects, its own box makes it one more object. Several predicates for one pair are kept; a
        triple that occurs again is left out; a relation of a thing with itself, and one without a predicate
        after cleaning, are skipped. Predicates are cleaned, then replaced by their canonical ones.
        """
        for record, here in _records(value, spot):
            self._add_relation(record, here)

    def _add_relation(self, record: Record, spot: Spot) -> None:
        text = record.get("predicate")
        predicate = intern(self.aliases.predicate(clean_predicate(text))) if is_text(text) else ""
        if not predicate:
            spot.skip(
                "empty predicate",
                f"the predicate {shown(text)} is empty after cleaning; expected some text.",
                "The relation is left out.",
            )
            return
        subject = self._find(record.get("subject"), spot.inside("subject"))
        target = self._find(record.get("object"), spot.inside("object"))
        if subject is None or target is None:
            return
        triple = (subject, predicate, target)
        if subject == target:
            spot.skip(
                "self relation",
                f"subject and object are both object {self.objects[subject].id}; expected two.",
                "The relation is left out.",
            )
        elif triple in self.relations:
            spot.change(
                "repeated relation",
                f"{predicate!r} between the same two objects occurs again.",
                "It was kept once.",
            )
        else:
            self.relations[triple] = None

    def _find(self, record: object, spot: Spot) -> int | None:
        """Return the place of a relation's subject or object; None, and reported, when it cannot be had."""
        if not isinstance(record, dict):
            spot.skip(
                "relation without an end",
                f"{type(record).__name__} came; expected a record with object_id.",
                "The relation is left out.",
            )
            return None
        for key in (whole(read_id(record, "object_id")), *_merged_ids(record)):
            if key in self._place:
                return self._place[key]
        if not any(side in record for side in ("x", "y", "w", "h", "width", "height")):
            spot.skip(
                "unknown object",
                f"the object id {shown(read_id(record, 'object_id'))} is not among the picture's objects "
                "and has no box of its own; expected one of both.",
                "The relation is left out.",
            )
            return None
        return self._append(record, spot)

    def _append(self, record: Record, spot: Spot) -> int | None:
        item = read_object(record, self.size, spot, self.aliases)
        if item is None:
            return None
        spot.change(
            "object known from a relation only",
            f"the object id {item.id} is not among the picture's objects.",
            "Its box in the relation was used.",
        )
        self.objects.append(item)
        for key in (item.id, *item.merged):
            self._place.setdefault(key, len(self.objects) - 1)
        return len(self.objects) - 1


def read_descriptions(value: object, size: tuple[int, int], spot: Spot) -> list[Description]:
    """Read the region descriptions of a picture; those without words are skipped and reported.

    A description whose box is unusable is kept with the box None, since the picture and the sentence are
    whole.
    """
    found: dict[int, Description] = {}
    for record, here in _records(value, spot):
        key, text = whole(read_id(record, "region_id")), record.get("phrase")
        if key is None or not is_text(text) or not split_words(text):
            here.skip(
                "empty description",
                f"region {shown(read_id(record, 'region_id'))} with the phrase {shown(text)} came; expected "
                "a region_id and a sentence.",
                "The description is left out.",
            )
        elif key in found:
            here.skip(
                "repeated region id",
                f"the region id {key} occurs again; expected each once.",
                "The first one is kept.",
            )
        else:
            found[key] = Description(key, text.strip(), read_box(record, size, here))
    return list(found.values())
