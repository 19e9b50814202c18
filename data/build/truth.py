"""What is true of a picture and what a caption claims, as sets of small facts ("atoms").

A caption is false of a picture if and only if it claims an atom that the picture lacks. Existential
reading: "a man rides a horse" is true of every picture in which some man rides some horse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product

from data.build.scenes import Scene, Thing
from data.build.trees import Sentence
from data.build.world import CLASSES

Atom = tuple[str, ...]


def picture_atoms(scene: Scene) -> frozenset[Atom]:
    """Everything that a caption may truly claim of the picture."""
    atoms: set[Atom] = {("place", scene.ground)}
    things = {t.id: t for t in scene.things}
    for thing in scene.things:
        atoms.update(("thing", *d) for d in _descriptions(thing))
    atoms.update(_counts(list(things.values())))
    for subject, predicate, other in scene.relations():
        names = product(_names(things[subject].cls), _names(things[other].cls))
        atoms.update(("relation", a, predicate, b) for a, b in names)
    return frozenset(atoms)


def caption_claims(scene: Scene, sentence: Sentence) -> frozenset[Atom]:
    """Every atom that the caption of this scene claims."""
    things = {t.id: t for t in scene.things}
    called = {m.ids: m.cls for m in sentence.mentions}
    claims: set[Atom] = set()
    for m in sentence.mentions:
        claims.add(("thing", m.cls, m.colour or "", m.size or ""))
        if len(m.ids) > 1:
            claims.add(("count", m.cls, str(len(m.ids))))
    for subject, predicate, other in sentence.claims:
        names = (called.get(ids, things[ids[0]].cls) for ids in (subject, other))
        first, second = names
        claims.add(("relation", first, predicate, second))
    if sentence.place is not None:
        claims.add(("place", sentence.place))
    return frozenset(claims)


def _names(cls: str) -> tuple[str, ...]:
    hypernym = CLASSES[cls].hypernym
    return (cls, hypernym) if hypernym else (cls,)


def _descriptions(thing: Thing) -> Iterator[tuple[str, str, str]]:
    """(name, colour or "", size or "") for all ways of describing the thing truly."""
    colours = ("", thing.colour) if thing.colour else ("",)
    sizes = ("", thing.size_word) if thing.size_word else ("",)
    return product(_names(thing.cls), colours, sizes)


def _counts(things: list[Thing]) -> Iterator[Atom]:
    """ "two dogs" is true where there are at least two."""
    counted = Counter(name for t in things if t.parent is None for name in _names(t.cls))
    for name, most in counted.items():
        for n in range(2, most + 1):
            yield ("count", name, str(n))


def hard_swaps(sentence: Sentence, truths: frozenset[Atom]) -> Iterator[tuple[int, str]]:
    """Every (word index, new word) that changes one colour or noun so that the caption becomes false."""
    from data.build.world import COLOURS

    words = sentence.tree.words()
    for constituent, first, last in sentence.tree.nodes():
        mention = next((m for m in sentence.mentions if m.ids == constituent.ref), None)
        if mention is None or not isinstance(constituent.ref, tuple) or mention.cls not in CLASSES:
            continue
        for at in range(first, last + 1):
            if words[at] == mention.colour:
                yield from ((at, c) for c in COLOURS if ("thing", mention.cls, c, "") not in truths)
            elif words[at] == mention.cls and "part" not in CLASSES[mention.cls].roles:
                same = CLASSES[mention.cls].types[0]
                others = (k.name for k in CLASSES.values() if k.types[0] == same and k.name != mention.cls)
                yield from ((at, n) for n in others if ("thing", n, "", "") not in truths)
