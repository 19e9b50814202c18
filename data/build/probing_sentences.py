"""Sentences for the probing tasks: the captions' English with more number, nesting and openings.

They say what could be the case in the small world, of no picture in particular: who does what to whom is
drawn from what was seen in scenes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np

from data.build.captions import AND, COMMA, STOP, TIMES
from data.build.scenes import Scene
from data.build.trees import Leaf, Node, Sentence, node
from data.build.verbs import BE, STAND, VERBS, Verb
from data.build.world import CLASSES, COLOURS, GROUNDS

NOUNS = tuple(n for n, k in CLASSES.items() if "part" not in k.roles and k.plural != n)
"""Nouns that have a singular and a plural, and are whole things."""
TRANSITIVE = tuple(p for p, v in VERBS.items() if not v.after)
STATIC = ("on", "under", "behind", "in front of", "next to")
"""Predicates whose preposition alone says them: "a dog behind a tree"."""
PLURAL_SHARE = 0.3
PEOPLE_SHARE = 0.4
COLOUR_SHARE, SIZE_SHARE = 0.35, 0.15


@dataclass(frozen=True)
class Facts:
    """Which kinds of thing were seen to do what to which things.

    Attributes
    ----------
    objects
        Subject's entity type -> key of `VERBS` -> classes seen as its object.
    """

    objects: dict[str, dict[str, tuple[str, ...]]]

    def takes(self, predicate: str, object_type: str) -> bool:
        """Whether something was seen to do this to a thing of the entity type."""
        return any(
            CLASSES[cls].types[0] == object_type
            for by_predicate in self.objects.values()
            for cls in by_predicate.get(predicate, ())
        )

    def only(self, nouns: Collection[str], predicates: Collection[str]) -> Facts:
        """The facts that these nouns and predicates can put."""
        kept: dict[str, dict[str, tuple[str, ...]]] = {}
        for kind, by_predicate in self.objects.items():
            some = {p: tuple(c for c in classes if c in nouns) for p, classes in by_predicate.items()}
            kept[kind] = {p: classes for p, classes in some.items() if classes and p in predicates}
        return Facts({kind: some for kind, some in kept.items() if some})


def gather_facts(scenes: list[Scene]) -> Facts:
    """What the relations of these scenes show. The more scenes, the more can be said."""
    found: dict[str, dict[str, set[str]]] = {}
    for scene in scenes:
        cls = {t.id: t.cls for t in scene.things}
        for subject, predicate, other in scene.relations():
            verb = "drinking from" if predicate == "eating" and cls[other] == "cup" else predicate
            if {cls[subject], cls[other]} <= set(NOUNS):
                kind = CLASSES[cls[subject]].types[0]
                found.setdefault(kind, {}).setdefault(verb, set()).add(cls[other])
    return Facts(
        {
            kind: {p: tuple(sorted(some[p])) for p in VERBS if p in some}
            for kind, some in sorted(found.items())
        }
    )


@dataclass(frozen=True)
class Entity:
    """What a noun phrase speaks of: one thing of a class, or several."""

    id: int
    cls: str
    plural: bool

    @property
    def pronoun(self) -> str:
        """he, she, it or they."""
        return "they" if self.plural else CLASSES[self.cls].pronoun


@dataclass
class Teller:
    """One sentence in the making.

    Attributes
    ----------
    facts, rng
        What can be said, and what decides.
    tense
        "past" or "present", of the main clause.
    other_tense
        Of relative clauses; the main one's where None.
    definite
        Share of noun phrases with "the".
    progressive
        Share of finite verbs with a form of "be" and -ing.
    main, target
        What the main clause is made of, and its object: filled in by `predicate`.
    """

    facts: Facts
    rng: np.random.Generator
    tense: str = "present"
    other_tense: str | None = None
    definite: float = 0.2
    progressive: float = 0.3
    entities: list[Entity] = field(default_factory=list)
    claims: list[tuple[tuple[int, ...], str, tuple[int, ...]]] = field(default_factory=list)
    main: dict[str, object] = field(default_factory=dict)
    target: Entity | None = None

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    def pick(self, items: Collection[str]) -> str:
        """One of the items, all equally likely."""
        listed = list(items)
        return listed[int(self.rng.integers(len(listed)))]

    # -- who does what to whom ----------------------------------------------------------------

    def entity(self, cls: str, plural: bool | None = None) -> Entity:
        """Something new of a class, one or several."""
        several = self.chance(PLURAL_SHARE) if plural is None else plural
        self.entities.append(Entity(len(self.entities), cls, several))
        return self.entities[-1]

    def actor(self, nouns: Collection[str], plural: bool | None = None) -> Entity:
        """Something that can do something; a person as often as everything else together."""
        able = [n for n in nouns if CLASSES[n].types[0] in self.facts.objects]
        people = [n for n in able if CLASSES[n].types[0] == "people"]
        return self.entity(self.pick(people if people and self.chance(PEOPLE_SHARE) else able), plural)

    def deed(self, subject: Entity, among: Collection[str] = tuple(VERBS)) -> tuple[str, Entity] | None:
        """A predicate and an object that the subject was seen with; None where there is none among these.

        A predicate with more objects comes more often, as the square root of their number.
        """
        known = self.facts.objects.get(CLASSES[subject.cls].types[0], {})
        usable = [p for p in known if p in among]
        if not usable:
            return None
        weights = np.sqrt([len(known[p]) for p in usable])
        predicate = usable[int(np.searchsorted(np.cumsum(weights), self.rng.random() * weights.sum()))]
        other = self.entity(self.pick(known[predicate]))
        self.claims.append(((subject.id,), predicate, (other.id,)))
        return predicate, other

    # -- noun phrases -------------------------------------------------------------------------

    def base(self, e: Entity, definite: bool | None = None) -> Node:
        """ "a red car", "the dog", "two men"."""
        kind = CLASSES[e.cls]
        noun = kind.plural if e.plural else e.cls
        small = kind.types[0] not in {"people", "clothing"} and self.chance(SIZE_SHARE)
        adjectives = [Leaf(self.pick(("big", "small")), "JJ")] if small else []
        if kind.colourable and self.chance(COLOUR_SHARE):
            adjectives.append(Leaf(self.pick(COLOURS), "JJ"))
        known = self.chance(self.definite) if definite is None else definite
        first = adjectives[0].word if adjectives else noun
        determiner = Leaf("an" if first[0] in "aeiou" else "a", "DT")
        if known:
            determiner = Leaf("the", "DT")
        elif e.plural:
            determiner = Leaf("two" if self.chance(0.8) else "three", "CD")
        return node("NP", determiner, *adjectives, Leaf(noun, "NNS" if e.plural else "NN"), ref=(e.id,))

    def pronoun(self, e: Entity) -> Node:
        """he, she, it or they."""
        return node("NP", Leaf(e.pronoun, "PRP"), ref=(e.id,))

    def again(self, e: Entity) -> Node:
        """ "the dog": what was said before."""
        noun = CLASSES[e.cls].plural if e.plural else e.cls
        return node("NP", Leaf("the", "DT"), Leaf(noun, "NNS" if e.plural else "NN"), ref=(e.id,))

    def phrase(self, e: Entity, room: int, definite: bool | None = None) -> Node:
        """A noun phrase with up to `room` modifiers, side by side or one inside the other."""
        head = self.base(e, definite)
        if room <= 0:
            return head
        inside = int(self.rng.integers(room))
        modifiers = [self.modifier(e, inside)]
        if room - 1 - inside > 0 and modifiers[0] is not None and modifiers[0].label == "PP":
            modifiers.append(self.modifier(e, room - 2 - inside))
        return node("NP", head, *modifiers)

    def modifier(self, e: Entity, room: int) -> Node | None:
        """A relative clause, a participle or a prepositional phrase."""
        deed = self.deed(e)
        if deed is None:
            return None
        predicate, other = deed
        verb = VERBS[predicate]
        if predicate in STATIC and self.chance(0.4):
            return _after(verb, self.phrase(other, room))
        if predicate == "wearing" and self.chance(0.4):
            return node("PP", Leaf("in", "IN"), self.phrase(other, room))
        if self.chance(0.5):
            return node("VP", Leaf(verb.ing, "VBG"), _after(verb, self.phrase(other, room)))
        word = "who" if CLASSES[e.cls].types[0] == "people" else "that"
        clause = self.verb_phrase(e, predicate, other, room, self.other_tense or self.tense)
        return node("SBAR", node("WHNP", Leaf(word, "WP")), node("S", clause))

    def place(self) -> Node:
        """ "in a field"."""
        ground = self.pick(GROUNDS)
        _, preposition, article = GROUNDS[ground]
        return node("PP", Leaf(preposition, "IN"), node("NP", Leaf(article, "DT"), Leaf(ground, "NN")))

    def time(self) -> Node:
        """ "in the afternoon"."""
        preposition, words = TIMES[int(self.rng.integers(len(TIMES)))]
        tags = ["DT", *["JJ"] * (len(words) - 2), "NN"]
        leaves = [Leaf(w, t) for w, t in zip(words, tags, strict=True)]
        return node("PP", Leaf(preposition, "IN"), node("NP", *leaves))

    # -- verbs --------------------------------------------------------------------------------

    def verb_phrase(self, e: Entity, predicate: str, other: Entity, room: int, tense: str) -> Node:
        """A finite verb with its object, simple or progressive."""
        verb = VERBS[predicate]
        target = _after(verb, self.phrase(other, room))
        tag = _finite(tense, e.plural)
        if self.chance(self.progressive):
            return node("VP", Leaf(BE[tense, e.plural], tag), node("VP", Leaf(verb.ing, "VBG"), target))
        return node("VP", Leaf(verb.form(tense, e.plural), tag), target)

    def predicate(self, e: Entity, room: int, among: Collection[str] = tuple(VERBS)) -> Node | None:
        """A verb phrase for the main clause; what it is made of is noted in `main`."""
        deed = self.deed(e, among)
        if deed is None:
            return None
        predicate, other = deed
        if not self.main:
            self.target = other
            self.main = {
                "subject": e.cls,
                "plural": e.plural,
                "predicate": predicate,
                "verb": VERBS[predicate].base,
                "object": other.cls,
                "object_plural": other.plural,
            }
        return self.verb_phrase(e, predicate, other, room, self.tense)

    def deed_on(self, other: Entity) -> tuple[Entity, str] | None:
        """Something new that can do something to `other`, and what; None where there is no such thing."""
        known = [
            (kind, predicate)
            for kind, by_predicate in self.facts.objects.items()
            for predicate, classes in by_predicate.items()
            if other.cls in classes
        ]
        if not known:
            return None
        kind, predicate = known[int(self.rng.integers(len(known)))]
        subject = self.entity(self.pick([n for n in NOUNS if CLASSES[n].types[0] == kind]))
        self.claims.append(((subject.id,), predicate, (other.id,)))
        return subject, predicate

    def stands(self, e: Entity) -> Node:
        """ "stands in a field"."""
        return node("VP", Leaf(STAND.form(self.tense, e.plural), _finite(self.tense, e.plural)), self.place())

    def clause(self, room: int, standing: float = 0.1) -> Node | None:
        """A subject and what it does; a share of them stand somewhere."""
        e = self.actor(NOUNS)
        ahead = int(self.rng.integers(room + 1))
        subject = self.phrase(e, ahead)
        verb = self.stands(e) if self.chance(standing) else self.predicate(e, room - ahead)
        return None if verb is None else node("S", subject, verb)

    def done(self, tree: Node) -> Sentence:
        """The finished sentence."""
        plural, objects = self.main.get("plural"), self.main.get("object_plural")
        extra: dict[str, object] = {**self.main, "classes": {e.id: e.cls for e in self.entities}}
        return Sentence(
            tree,
            (),
            tuple(self.claims),
            None,
            self.tense,
            plural if isinstance(plural, bool) else None,
            objects if isinstance(objects, bool) else None,
            extra,
        )


def _finite(tense: str, plural: bool) -> str:
    return "VBD" if tense == "past" else "VBP" if plural else "VBZ"


def _after(verb: Verb, target: Node) -> Node:
    return node("PP", *(Leaf(w, "IN") for w in verb.after), target) if verb.after else target


Form = Callable[[Teller, int], "Sentence | None"]
"""Makes a sentence with up to so many modifiers; None where it does not work out."""


def plain(t: Teller, room: int) -> Sentence | None:
    """ "A man who wears a cap feeds two dogs." """
    tail = t.chance(0.25)
    clause = t.clause(room, 0.0 if tail else 0.1)
    if clause is None:
        return None
    subject, verb = clause.children
    if tail:
        verb = node("VP", verb, t.place() if t.chance(0.7) else t.time())
    return t.done(node("S", subject, verb, STOP))


def joint_verbs(t: Teller, room: int) -> Sentence | None:
    """ "A man feeds a dog and wears a cap." """
    e = t.actor(NOUNS)
    shares = t.rng.multinomial(room, [1 / 3] * 3)
    subject = t.phrase(e, int(shares[0]))
    verbs = [t.predicate(e, int(share)) for share in shares[1:]]
    if None in verbs:
        return None
    return t.done(node("S", subject, node("VP", verbs[0], AND, verbs[1]), STOP))


def joint_subjects(t: Teller, room: int) -> Sentence | None:
    """ "A man and two dogs stand in a field." """
    one, two = t.actor(NOUNS), t.actor(NOUNS)
    ahead = int(t.rng.integers(room + 1))
    subject = node("NP", t.phrase(one, ahead), AND, t.phrase(two, room - ahead))
    both = Entity(-1, one.cls, True)
    return t.done(node("S", subject, t.stands(both), STOP))


def fronted_place(t: Teller, room: int) -> Sentence | None:
    """ "In a field, a man feeds a dog." """
    clause = t.clause(room, standing=0.0)
    ahead = t.place() if t.chance(0.7) else t.time()
    return None if clause is None else t.done(node("S", ahead, COMMA, *clause.children, STOP))


def fronted_participle(t: Teller, room: int) -> Sentence | None:
    """ "Riding a horse, a man feeds a dog." """
    e = t.actor(NOUNS)
    shares = t.rng.multinomial(room, [1 / 3] * 3)
    first = t.deed(e)
    subject, verb = t.phrase(e, int(shares[1])), t.predicate(e, int(shares[2]))
    if first is None or verb is None:
        return None
    doing = VERBS[first[0]]
    ahead = node("VP", Leaf(doing.ing, "VBG"), _after(doing, t.phrase(first[1], int(shares[0]))))
    return t.done(node("S", ahead, COMMA, subject, verb, STOP))


def inverted(t: Teller, room: int) -> Sentence | None:
    """ "Next to a red car stand two dogs." """
    e = t.actor(NOUNS)
    deed = t.deed(e, STATIC)
    if deed is None:
        return None
    verb = VERBS[deed[0]]
    ahead = int(t.rng.integers(room + 1))
    leaf = Leaf(verb.form(t.tense, e.plural), _finite(t.tense, e.plural))
    place = _after(verb, t.phrase(deed[1], ahead))
    return t.done(node("S", place, node("VP", leaf), t.phrase(e, room - ahead), STOP))


def two_clauses(t: Teller, room: int) -> Sentence | None:
    """ "A man feeds a dog and two boys ride a horse." """
    ahead = int(t.rng.integers(room + 1))
    one, two = t.clause(ahead), t.clause(room - ahead)
    return None if one is None or two is None else t.done(node("S", one, AND, two, STOP))


def unusual(t: Teller, room: int) -> Sentence | None:
    """Openings that no caption has: two places, a place in the middle, three clauses."""
    kind = int(t.rng.integers(4))
    clauses = [t.clause(room if i == 0 else 0, standing=0.0) for i in range(3)]
    e = t.actor(NOUNS)
    if None in clauses:
        return None
    one, two, three = (c for c in clauses if c is not None)
    if kind == 0:
        return t.done(node("S", t.place(), COMMA, one, AND, two, STOP))
    if kind == 1:
        return t.done(node("S", t.time(), t.place(), COMMA, *one.children, STOP))
    if kind == 2:
        subject, verb = one.children
        return t.done(node("S", subject, COMMA, t.place(), COMMA, verb, STOP))
    if t.chance(0.5):
        return t.done(node("S", one, COMMA, two, AND, three, STOP))
    return t.done(node("S", t.time(), node("VP", *t.stands(e).children[:1]), t.phrase(e, room), STOP))


FORMS: tuple[tuple[Form, float], ...] = (
    (plain, 0.34),
    (joint_verbs, 0.1),
    (joint_subjects, 0.08),
    (fronted_place, 0.12),
    (fronted_participle, 0.1),
    (inverted, 0.1),
    (two_clauses, 0.1),
    (unusual, 0.06),
)


def tell(
    facts: Facts, rng: np.random.Generator, forms: tuple[tuple[Form, float], ...] = FORMS
) -> Sentence | None:
    """One sentence of a random form; None where it did not work out."""
    weights = np.array([w for _, w in forms])
    form = forms[int(rng.choice(len(forms), p=weights / weights.sum()))][0]
    teller = Teller(facts, rng, tense="past" if rng.random() < 0.4 else "present")
    return form(teller, int(rng.integers(4)))


def simple(t: Teller, nouns: Collection[str], among: Collection[str]) -> Sentence | None:
    """One main verb of these predicates, its subject one of these nouns, as often several as one."""
    e = t.actor(nouns, plural=t.chance(0.5))
    room = int(t.rng.integers(4))
    ahead = int(t.rng.integers(room + 1))
    subject = t.phrase(e, ahead)
    verb = t.predicate(e, room - ahead, among)
    if verb is None:
        return None
    start: list[Node | Leaf] = [t.place(), COMMA] if t.chance(0.25) else []
    return t.done(node("S", *start, subject, verb, STOP))


def chained(t: Teller, room: int) -> Sentence | None:
    """ "The man feeds a dog and it chases two cats": the second clause takes up something of the first.

    What is taken up is said first with "a", "the" or a pronoun, then with "the" or a pronoun.
    """
    e = t.actor(NOUNS)
    opening = t.pick(("a", "the", "pronoun"))
    shares = t.rng.multinomial(room, [1 / 3] * 3)
    first = t.pronoun(e) if opening == "pronoun" else t.phrase(e, int(shares[0]), opening == "the")
    verb = t.predicate(e, int(shares[1]))
    other = t.target
    if verb is None or other is None:
        return None
    if t.chance(1 / 3):
        second = _taken_up_last(t, other)
    elif opening != "pronoun" and t.chance(0.5):
        second = _taken_up_first(t, e, t.pronoun(e), int(shares[2]))
    else:
        clear = other.pronoun != e.pronoun and t.chance(0.5)
        second = _taken_up_first(t, other, t.pronoun(other) if clear else t.again(other), int(shares[2]))
    return None if second is None else t.done(node("S", node("S", first, verb), AND, second, STOP))


def _taken_up_first(t: Teller, e: Entity, subject: Node, room: int) -> Node | None:
    verb = t.predicate(e, room)
    return None if verb is None else node("S", subject, verb)


def _taken_up_last(t: Teller, other: Entity) -> Node | None:
    """ "and a boy calls the dog"."""
    deed = t.deed_on(other)
    if deed is None:
        return None
    subject, predicate = deed
    verb = VERBS[predicate]
    leaf = Leaf(verb.form(t.tense, subject.plural), _finite(t.tense, subject.plural))
    return node("S", t.base(subject), node("VP", leaf, _after(verb, t.again(other))))
