"""Captions: English sentences about a scene from a small grammar, true of the picture by construction.

Every sentence comes with its constituency tree, the things its noun phrases refer to, and what it
claims, so that links, syntax tasks and false captions are read off and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from data.build.relations import is_person
from data.build.scenes import Scene, Thing
from data.build.trees import PLACE, UNSEEN, Leaf, Mention, Node, Sentence, node
from data.build.verbs import BE, STAND, VERBS, Verb
from data.build.world import CLASSES, GROUNDS

Relation = tuple[int, str, int]

LONGEST = 22
"""Most word pieces of a caption: with [CLS] and [SEP] it has fewer positions than a picture has regions."""
HYPERNYM_SHARE = 0.06
COLOUR_SHARE = 0.85
SIZE_SHARE = 0.5
TIMES = (("on", ("a", "nice", "day")), ("in", ("the", "afternoon")), ("for", ("a", "photo")))
"""Phrases that nothing in the picture shows."""


@dataclass
class Speaker:
    """One sentence in the making: what was mentioned, what was claimed."""

    scene: Scene
    rng: np.random.Generator
    mentions: list[Mention] = field(default_factory=list)
    claims: list[tuple[tuple[int, ...], str, tuple[int, ...]]] = field(default_factory=list)
    said: dict[tuple[int, ...], str] = field(default_factory=dict)
    place: str | None = None

    def __post_init__(self) -> None:
        self.things: dict[int, Thing] = {t.id: t for t in self.scene.things}
        self.tense = "past" if self.chance(0.4) else "present"

    def chance(self, p: float) -> bool:
        """True with probability `p`."""
        return bool(self.rng.random() < p)

    # -- noun phrases ------------------------------------------------------------------------

    def np(self, *ids: int, plain: bool = False) -> Node:
        """A base noun phrase for one thing or several of one class; a pronoun or "the" once it was said."""
        if ids in self.said:
            return node(
                "NP",
                Leaf("the", "DT"),
                Leaf(self.said[ids], "NNS" if self.is_plural(*ids) else "NN"),
                ref=ids,
            )
        thing = self.things[ids[0]]
        kind = CLASSES[thing.cls]
        colour, size = (None, None) if plain else self._adjectives(ids)
        general = bool(kind.hypernym) and len(ids) == 1 and self.chance(HYPERNYM_SHARE)
        noun = kind.hypernym if general else kind.plural if len(ids) > 1 else kind.name
        adjectives = [Leaf(w, "JJ") for w in (size, colour) if w]
        twin = len(ids) == 1 and not adjectives and any(self.said[k] == noun for k in self.said)
        plural = self.is_plural(*ids) and not general
        determiner = self._determiner(ids, [*(a.word for a in adjectives), noun], twin, plural)
        self.said[ids] = noun
        self.mentions.append(Mention(kind.hypernym if general else kind.name, ids, colour, size))
        return node("NP", determiner, *adjectives, Leaf(noun, "NNS" if plural else "NN"), ref=ids)

    def is_plural(self, *ids: int) -> bool:
        """Several things, or one whose noun has no singular (jeans, glasses)."""
        kind = CLASSES[self.things[ids[0]].cls]
        return len(ids) > 1 or (kind.plural == kind.name and kind.name.endswith("s"))

    def _adjectives(self, ids: tuple[int, ...]) -> tuple[str | None, str | None]:
        colours = {self.things[i].colour for i in ids}
        sizes = {self.things[i].size_word for i in ids}
        colour = colours.pop() if len(colours) == 1 and self.chance(COLOUR_SHARE) else None
        size = sizes.pop() if len(sizes) == 1 and self.chance(SIZE_SHARE) else None
        return colour, size

    def _determiner(self, ids: tuple[int, ...], rest: list[str], twin: bool, plural: bool) -> Leaf | None:
        if len(ids) > 1:
            return Leaf({2: "two", 3: "three"}.get(len(ids), "several"), "CD")
        if plural:
            return None
        if twin:
            return Leaf("another", "DT")
        return Leaf("an" if rest[0][0] in "aeiou" else "a", "DT")

    def pronoun(self, thing_id: int, plural: bool = False) -> Node:
        """he, she, it or they, referring to what was said."""
        word = "they" if plural else CLASSES[self.things[thing_id].cls].pronoun
        return node("NP", Leaf(word, "PRP"), ref=(thing_id,))

    def place_phrase(self) -> Node:
        """ "in a field": a place, which has no box."""
        self.place = self.scene.ground
        _, preposition, article = GROUNDS[self.scene.ground]
        ground = node("NP", Leaf(article, "DT"), Leaf(self.scene.ground, "NN"), ref=PLACE)
        return node("PP", Leaf(preposition, "IN"), ground)

    def time_phrase(self) -> Node:
        """ "on a nice day": nothing in the picture shows it."""
        preposition, words = TIMES[int(self.rng.integers(len(TIMES)))]
        tags = ["DT", *["JJ"] * (len(words) - 2), "NN"]
        leaves = [Leaf(w, t) for w, t in zip(words, tags, strict=True)]
        return node("PP", Leaf(preposition, "IN"), node("NP", *leaves, ref=UNSEEN))

    # -- verbs -------------------------------------------------------------------------------

    def verb(self, relation: Relation) -> Verb:
        """The verb that puts the relation; what is "eating" of a cup is drinking from it."""
        _, predicate, other = relation
        drinks = predicate == "eating" and self.things[other].cls == "cup"
        return VERBS["drinking from" if drinks else predicate]

    def complement(self, relation: Relation, rest: Node | None = None) -> list[Node]:
        """What follows the verb: the object, in a prepositional phrase where the verb wants one."""
        subject, predicate, other = relation
        self.claims.append(((subject,), predicate, (other,)))
        verb = self.verb(relation)
        target = self.np(other)
        if rest is not None:
            target = node("NP", target, rest)
        parts = [_prepositional(verb, target)]
        part = self.body_part(relation)
        if part is not None:
            parts.append(part)
        return parts

    def body_part(self, relation: Relation) -> Node | None:
        """ "in his hand", "on her head", now and then."""
        subject, predicate, other = relation
        wanted = {"holding": ("hand", "in"), "balancing": ("head", "on")}.get(predicate)
        if predicate == "wearing" and self.things[other].cls in {"cap", "hat"}:
            wanted = ("head", "on")
        found = [t for t in self.scene.things if wanted and t.parent == subject and t.cls == wanted[0]]
        if not wanted or not found or not self.chance(0.35):
            return None
        part = found[0].id
        own = {"he": "his", "she": "her"}.get(CLASSES[self.things[subject].cls].pronoun, "its")
        self.mentions.append(Mention(wanted[0], (part,)))
        phrase = node("NP", Leaf(own, "PRP$"), Leaf(wanted[0], "NN"), ref=(part,))
        return node("PP", Leaf(wanted[1], "IN"), phrase)

    def vp(self, relation: Relation, *, rest: Node | None = None) -> Node:
        """A finite verb phrase, simple or progressive, that agrees with its subject."""
        verb, plural = self.verb(relation), self.is_plural(relation[0])
        tag = _finite(self.tense, plural)
        if self.chance(0.35):
            inner = node("VP", Leaf(verb.ing, "VBG"), *self.complement(relation, rest))
            return node("VP", Leaf(BE[self.tense, plural], tag), inner)
        return node("VP", Leaf(verb.form(self.tense, plural), tag), *self.complement(relation, rest))

    def participle(self, relation: Relation) -> Node:
        """ "wearing a red cap"; for clothes sometimes "in a red cap"."""
        if relation[1] == "wearing" and self.chance(0.4):
            self.claims.append(((relation[0],), relation[1], (relation[2],)))
            return node("PP", Leaf("in", "IN"), self.np(relation[2]))
        return node("VP", Leaf(self.verb(relation).ing, "VBG"), *self.complement(relation))

    def relative(self, relation: Relation) -> Node:
        """ "who rides a horse"."""
        word = "who" if is_person(self.things[relation[0]]) else "that"
        clause = node("S", self.vp(relation))
        return node("SBAR", node("WHNP", Leaf(word, "WP")), clause)

    def sentence(
        self,
        tree: Node,
        *,
        main: bool = True,
        subject_plural: bool | None = None,
        object_plural: bool | None = None,
    ) -> Sentence:
        """The finished sentence."""
        return Sentence(
            tree,
            tuple(self.mentions),
            tuple(self.claims),
            self.place,
            self.tense if main else None,
            subject_plural,
            object_plural,
        )


def _finite(tense: str, plural: bool) -> str:
    """Penn tag of a finite verb."""
    return "VBD" if tense == "past" else "VBP" if plural else "VBZ"


def _prepositional(verb: Verb, target: Node) -> Node:
    if not verb.after:
        return target
    return node("PP", *(Leaf(w, "IN") for w in verb.after), target)


STOP = Leaf(".", ".")
COMMA = Leaf(",", ",")
AND = Leaf("and", "CC")
Pattern = Callable[[Speaker, list[Relation]], Sentence | None]


def simple(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "A man rides a horse in a field." """
    first = relations[0]
    subject, verb = s.np(first[0]), s.vp(first)
    tail = s.place_phrase() if s.chance(0.3) else s.time_phrase() if s.chance(0.12) else None
    verb = node("VP", verb, tail) if tail is not None else verb
    return s.sentence(
        node("S", subject, verb, STOP),
        subject_plural=s.is_plural(first[0]),
        object_plural=s.is_plural(first[2]),
    )


def fragment(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "A man in a blue shirt riding a horse." """
    first = relations[0]
    more = _about(relations[1:], first[0])
    parts = [s.np(first[0])]
    if more and s.chance(0.6):
        parts += _two_modifiers(s, first, more[0])
    else:
        parts.append(s.participle(first))
    if s.chance(0.25):
        parts.append(s.place_phrase())
    return s.sentence(node("NP", *parts, STOP), main=False)


def _two_modifiers(s: Speaker, one: Relation, two: Relation) -> list[Node]:
    """ "wearing a cap riding a horse": clothes first; two doings are joined by "and"."""
    clothes = sorted((one, two), key=lambda r: r[1] != "wearing")
    parts = [s.participle(r) for r in clothes]
    return parts if clothes[0][1] == "wearing" else [node("VP", parts[0], AND, parts[1])]


def modified_subject(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "A man who wears a blue cap rides a horse." """
    first = relations[0]
    more = _about(relations[1:], first[0])
    if not more:
        return None
    head = s.np(first[0])
    modifier = s.relative(more[0]) if s.chance(0.5) else s.participle(more[0])
    return s.sentence(
        node("S", node("NP", head, modifier), s.vp(first), STOP),
        subject_plural=s.is_plural(first[0]),
        object_plural=s.is_plural(first[2]),
    )


def modified_object(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "A girl feeds a horse that stands next to a tree." """
    first = relations[0]
    more = [r for r in _about(relations[1:], first[2]) if r[2] != first[0]]
    if not more:
        return None
    subject, verb, plural = s.np(first[0]), s.verb(first), s.is_plural(first[0])
    s.claims.append(((first[0],), first[1], (first[2],)))
    target = node("NP", s.np(first[2]), s.relative(more[0]) if s.chance(0.5) else s.participle(more[0]))
    leaf = Leaf(verb.form(s.tense, plural), _finite(s.tense, plural))
    tree = node("S", subject, node("VP", leaf, _prepositional(verb, target)), STOP)
    return s.sentence(tree, subject_plural=s.is_plural(first[0]), object_plural=s.is_plural(first[2]))


def two_clauses(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "A man rides a horse and he wears a cap." """
    first, *others = relations
    others = [r for r in others if r[0] != first[2] or s.chance(0.3)]
    if not others:
        return None
    second = next(iter(_about(others, first[0])), others[0])
    one = node("S", s.np(first[0]), s.vp(first))
    subject = s.pronoun(first[0], s.is_plural(first[0])) if second[0] == first[0] else s.np(second[0])
    two = node("S", subject, s.vp(second))
    return s.sentence(
        node("S", one, AND, two, STOP),
        subject_plural=s.is_plural(first[0]),
        object_plural=s.is_plural(first[2]),
    )


def two_verbs(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "A woman holds a cup and wears a hat." """
    first = relations[0]
    more = _about(relations[1:], first[0])
    if not more:
        return None
    subject = s.np(first[0])
    verbs = node("VP", s.vp(first), AND, s.vp(more[0]))
    return s.sentence(
        node("S", subject, verbs, STOP),
        subject_plural=s.is_plural(first[0]),
        object_plural=s.is_plural(first[2]),
    )


def fronted(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "In a field, a boy plays a drum." """
    first = relations[0]
    ahead = s.place_phrase() if s.chance(0.7) else s.time_phrase()
    tree = node("S", ahead, COMMA, s.np(first[0]), s.vp(first), STOP)
    return s.sentence(tree, subject_plural=s.is_plural(first[0]), object_plural=s.is_plural(first[2]))


def inverted(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "Next to a red car stands a dog." """
    usable = [r for r in relations if r[1] in {"next to", "behind", "in front of", "under", "on"}]
    if not usable:
        return None
    subject, predicate, other = usable[0]
    verb = VERBS[predicate]
    s.claims.append(((subject,), predicate, (other,)))
    ahead = _prepositional(verb, s.np(other))
    plural = s.is_plural(subject)
    leaf = Leaf(verb.form(s.tense, plural), _finite(s.tense, plural))
    return s.sentence(node("S", ahead, node("VP", leaf), s.np(subject), STOP), subject_plural=plural)


def existential(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "There are a dog and a red car on a street." """
    del relations
    groups = _groups(s)
    if len(groups) < 2:
        return None
    pair = len(groups) > 2 and s.chance(0.6)
    first = s.np(*groups[0])
    subject = node("NP", first, AND, s.np(*groups[1])) if pair else first
    plural = pair or s.is_plural(*groups[0])
    be = Leaf(BE[s.tense, plural], _finite(s.tense, plural))
    verb = node("VP", be, subject, s.place_phrase())
    return s.sentence(node("S", node("NP", Leaf("there", "EX")), verb, STOP), subject_plural=plural)


def together(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "A man and two dogs stand in a field." """
    del relations
    groups = [g for g in _groups(s) if s.things[g[0]].grounded]
    if len(groups) < 2:
        return None
    if s.chance(0.5):
        subject = node("NP", s.np(*groups[0]), AND, s.np(*groups[1]))
        verb = node("VP", Leaf(STAND.form(s.tense, True), _finite(s.tense, True)), s.place_phrase())
        return s.sentence(node("S", subject, verb, STOP), subject_plural=True)
    plural = s.is_plural(*groups[0])
    subject = s.np(*groups[0])
    company = node("PP", Leaf("with", "IN"), s.np(*groups[1]))
    verb = node("VP", Leaf(STAND.form(s.tense, plural), _finite(s.tense, plural)), s.place_phrase(), company)
    return s.sentence(node("S", subject, verb, STOP), subject_plural=plural)


def twins(s: Speaker, relations: list[Relation]) -> Sentence | None:
    """ "Two dogs stand in a field." """
    del relations
    groups = [g for g in _groups(s) if len(g) > 1]
    if not groups:
        return None
    subject = s.np(*groups[0])
    verb = node("VP", Leaf(STAND.form(s.tense, True), _finite(s.tense, True)), s.place_phrase())
    return s.sentence(node("S", subject, verb, STOP), subject_plural=True)


PATTERNS: tuple[tuple[Pattern, float], ...] = (
    (simple, 0.17),
    (fragment, 0.16),
    (modified_subject, 0.12),
    (modified_object, 0.09),
    (two_clauses, 0.12),
    (two_verbs, 0.08),
    (fronted, 0.07),
    (inverted, 0.05),
    (existential, 0.05),
    (together, 0.05),
    (twins, 0.04),
)


def _about(relations: list[Relation], subject: int) -> list[Relation]:
    return [r for r in relations if r[0] == subject]


def _groups(s: Speaker) -> list[tuple[int, ...]]:
    """Things of one class taken together, in random order; worn and held things left out now and then."""
    groups: dict[str, list[int]] = {}
    for thing in s.scene.things:
        if thing.parent is None and (thing.grounded or s.chance(0.3)):
            groups.setdefault(thing.cls, []).append(thing.id)
    listed = [tuple(ids) for ids in groups.values()]
    return [listed[i] for i in s.rng.permutation(len(listed))]


def caption(
    scene: Scene,
    rng: np.random.Generator,
    pieces: Callable[[list[str]], int],
    patterns: tuple[tuple[Pattern, float], ...] = PATTERNS,
) -> Sentence:
    """One caption of at most `LONGEST` word pieces; `pieces` counts those of a list of words."""
    weights = np.array([w for _, w in patterns])
    for _ in range(200):
        pattern = patterns[int(rng.choice(len(patterns), p=weights / weights.sum()))][0]
        relations = _chosen(scene, rng)
        made = pattern(Speaker(scene, rng), relations) if relations else None
        if made is not None and pieces(made.words) <= LONGEST:
            return made
    raise RuntimeError(f"no caption of at most {LONGEST} pieces came out in 200 tries for scene {scene.id}")


def _chosen(scene: Scene, rng: np.random.Generator) -> list[Relation]:
    """The scene's relations in random order, rarer predicates more often first."""
    relations = [
        r for r in scene.relations() if scene.things[r[0]].cls != scene.things[r[2]].cls or rng.random() < 0.5
    ]
    if not relations:
        return []
    common = {"wearing": 0.5, "on": 0.6, "touching": 0.6, "next to": 0.6}
    weights = np.array([common.get(r[1], 1.0) for r in relations])
    order = rng.choice(len(relations), size=len(relations), replace=False, p=weights / weights.sum())
    return [relations[i] for i in order]


def captions(scene: Scene, seed: int, pieces: Callable[[list[str]], int], count: int = 5) -> list[Sentence]:
    """`count` different captions of a scene; they depend on nothing but the scene and the seed."""
    rng = np.random.default_rng([seed, 7, *scene.id.encode()])
    made: dict[str, Sentence] = {}
    for _ in range(60):
        sentence = caption(scene, rng, pieces)
        made.setdefault(" ".join(sentence.words), sentence)
        if len(made) == count:
            break
    return list(made.values())
