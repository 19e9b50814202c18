"""The probing task odd_man_out: one noun or verb of a sentence replaced by one that does not belong there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from data.build.probing_sentences import NOUNS, Facts
from data.build.trees import Leaf, Sentence
from data.build.verbs import VERBS
from data.build.world import CLASSES

LARGEST_STEP = 8
"""How many times more, or less, frequent a new pair of neighbours may be than the old one."""
UNSEEN = Fraction(LARGEST_STEP + 1)
"""Step of a pair of neighbours that occurs nowhere: too large."""
CHOOSY = (
    *"wearing folding fixing eating playing riding driving feeding calling".split(),
    *("drinking from", "talking to", "waving to"),
)
"""Predicates that not everything can be the object of; a thing of any kind can be touched or stand behind."""
Bigrams = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Replacement:
    """Word number `at` gives way to `word`; `lemma` is what stands in the list of target words."""

    at: int
    word: str
    lemma: str
    step: Fraction


def count_bigrams(sentences: Iterable[Sentence]) -> Bigrams:
    """How often two words stand side by side."""
    counts: Bigrams = Counter()
    for s in sentences:
        counts.update(pairwise(s.tree.words()))
    return counts


def replacements(s: Sentence, facts: Facts, targets: Collection[str], bigrams: Bigrams) -> list[Replacement]:
    """All replacements by a target word that give nonsense and whose neighbours are about as common.

    A noun is an object of a kind that its choosy verb was never seen with ("eats a tractor"); a choosy verb
    takes the place of one with the same preposition, and was never seen with its object or never with its
    subject ("a dog drives a car"). Part of speech and number stay.
    """
    leaves = list(s.tree.leaves())
    found: list[Replacement] = []
    for (subject,), predicate, (other,) in s.claims:
        classes = s.extra["classes"]
        if not isinstance(classes, dict):
            raise ValueError(f"The sentence {s.words} names no classes; expected one of `Teller.done`.")
        found += _nouns(s, leaves, other, predicate, facts, targets)
        found += _verbs(leaves, (classes[subject], predicate, classes[other]), facts, targets)
    stepped = [Replacement(r.at, r.word, r.lemma, _step(leaves, r, bigrams)) for r in found]
    return [r for r in stepped if r.step <= LARGEST_STEP]


def _nouns(
    s: Sentence, leaves: list[Leaf], other: int, predicate: str, facts: Facts, targets: Collection[str]
) -> list[Replacement]:
    spots = [last for n, _, last in s.tree.nodes() if n.ref == (other,)]
    if predicate not in CHOOSY or len(spots) != 1 or leaves[spots[0]].tag not in {"NN", "NNS"}:
        return []
    (at,) = spots
    old, before = leaves[at], leaves[at - 1].word
    made = []
    for name in (n for n in NOUNS if n in targets):
        word = name if old.tag == "NN" else CLASSES[name].plural
        article = before not in {"a", "an"} or (word[0] in "aeiou") == (before == "an")
        if article and not facts.takes(predicate, CLASSES[name].types[0]):
            made.append(Replacement(at, word, name, Fraction()))
    return made


def _verbs(
    leaves: list[Leaf], deed: tuple[str, str, str], facts: Facts, targets: Collection[str]
) -> list[Replacement]:
    subject, predicate, other = deed
    verb, kind = VERBS[predicate], CLASSES[subject].types[0]
    forms = {verb.base, verb.third, verb.past, verb.ing}
    spots = [at for at, leaf in enumerate(leaves) if leaf.word in forms and leaf.tag.startswith("VB")]
    if len(spots) != 1:
        return []
    (at,) = spots
    made = []
    for name in CHOOSY:
        new = VERBS[name]
        seen = name in facts.objects.get(kind, {}) and facts.takes(name, CLASSES[other].types[0])
        if new.base in targets and new.base != verb.base and new.after == verb.after and not seen:
            word = {"VBG": new.ing, "VBZ": new.third, "VBP": new.base, "VBD": new.past}[leaves[at].tag]
            made.append(Replacement(at, word, new.base, Fraction()))
    return made


def _step(leaves: list[Leaf], r: Replacement, bigrams: Bigrams) -> Fraction:
    """The larger of the two changes in frequency, before and behind the word, as a factor of at least 1.

    Exact: a logarithm would decide by its last digit, which differs between processors.
    """
    steps = []
    for left, right in ((r.at - 1, r.at), (r.at, r.at + 1)):
        if left < 0:
            continue
        old = (leaves[left].word, leaves[right].word)
        new = (old[0], r.word) if right == r.at else (r.word, old[1])
        if not bigrams[new]:
            return UNSEEN
        change = Fraction(bigrams[new], max(1, bigrams[old]))
        steps.append(max(change, 1 / change))
    return max(steps)


def choose(options: list[Replacement], rng: np.random.Generator) -> Replacement:
    """One of them: first which word gives way, then by what, all equally likely."""
    spots = sorted({r.at for r in options})
    spot = spots[int(rng.integers(len(spots)))]
    here = [r for r in options if r.at == spot]
    return here[int(rng.integers(len(here)))]
