"""The nine probing tasks: which sentences each is made of, and their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial

import numpy as np

from data.build import vocabulary
from data.build.captions import AND, LONGEST, STOP, captions
from data.build.probing_balance import Labelled, Split, balanced
from data.build.probing_odd import choose, count_bigrams, replacements
from data.build.probing_sentences import (
    NOUNS,
    TRANSITIVE,
    Facts,
    Teller,
    chained,
    gather_facts,
    simple,
    tell,
)
from data.build.scenes import sample_scene
from data.build.trees import Leaf, Node, Sentence, node
from data.build.verbs import VERBS
from data.build.world import CLASSES

SIZES = {"tr": 1200, "va": 300, "te": 400}
FAST_SIZES = {"tr": 240, "va": 60, "te": 80}
SCENES = 600
"""Scenes from which is learned who can do what; no picture is made of them."""
SCENE_CAPTIONS = 12
"""Captions of a scene that are taken among the sentences."""

LENGTH_BINS = ((5, 7), (8, 10), (11, 13), (14, 16), (17, 18), (19, 21))
"""Words of the classes 0 to 5 of sentence_length, punctuation counted."""
DEPTHS = (4, 5, 6, 7, 8)
"""Classes of tree_depth: nodes from the root to the word that lies deepest."""
CONSTITUENTS = 5
"""Classes of top_constituents beside OTHER."""

TARGET_VERBS = {
    "tr": "wear hold fold play carry ride sit stand lie touch talk follow eat call climb".split(),
    "va": "fix drink stay wave chase".split(),
    "te": "balance drive leave feed wash wait".split(),
}
"""Verbs of past_present, and verbs put in by odd_man_out; regular and irregular ones in every split."""
NOUN_SHARES = {"tr": 0.5, "va": 0.2, "te": 0.3}


@dataclass(frozen=True)
class Material:
    """What all tasks draw from.

    Attributes
    ----------
    facts
        Who can do what.
    nouns
        Split -> nouns that belong to it in the tasks whose target is a noun.
    avoid
        Sentences not to be used (lower case, one space between words).
    sizes
        Split -> number of sentences a task.
    seed
        Decides everything else.
    """

    facts: Facts
    nouns: dict[str, tuple[str, ...]]
    avoid: Container[str]
    sizes: dict[str, int]
    seed: int

    def rng(self, task: str) -> np.random.Generator:
        """A generator that depends on the seed and the task alone."""
        return np.random.default_rng([self.seed, 23, *task.encode()])

    def pool(self, times: float) -> int:
        """How many sentences to choose from: so many times those that are wanted and 100 more."""
        return round(times * (sum(self.sizes.values()) + 100))


def make_material(avoid: Container[str], sizes: dict[str, int], seed: int, scenes: int = SCENES) -> Material:
    """Gather what the tasks draw from; the scenes have ids that no picture has."""
    made = [sample_scene(f"probing-{i}", seed) for i in range(scenes)]
    return Material(gather_facts(made), share_nouns(seed), avoid, sizes, seed)


def share_nouns(seed: int) -> dict[str, tuple[str, ...]]:
    """Split -> nouns, every entity type shared out anew, no noun in two splits."""
    rng = np.random.default_rng([seed, 29])
    shared: dict[str, list[str]] = {split: [] for split in NOUN_SHARES}
    for kind in sorted({CLASSES[n].types[0] for n in NOUNS}):
        names = [n for n in NOUNS if CLASSES[n].types[0] == kind]
        names = [names[i] for i in rng.permutation(len(names))]
        first, second = (round(len(names) * s) for s in (NOUN_SHARES["va"], NOUN_SHARES["te"]))
        first, second = max(1, first), max(1, second)
        for split, some in (
            ("va", names[:first]),
            ("te", names[first : first + second]),
            ("tr", names[first + second :]),
        ):
            shared[split] += some
    return {split: tuple(n for n in NOUNS if n in names) for split, names in shared.items()}


def sentence_key(words: list[str] | tuple[str, ...]) -> str:
    """What tells whether two sentences are the same: the words in lower case."""
    return " ".join(words).lower()


def size(words: list[str] | tuple[str, ...]) -> tuple[int, int]:
    """Number of words and of word pieces: sentences of one size cannot be told apart by length."""
    return len(words), vocabulary.count(list(words))


def collect(
    make: Callable[[np.random.Generator], Sentence | None], m: Material, rng: np.random.Generator, count: int
) -> list[Sentence]:
    """Different sentences that fit into the trained length and are not to be avoided; at most `count`.

    Stops after 4 x `count` tries, so that a form of which there are few variants ends as well.
    """
    found: dict[str, Sentence] = {}
    for _ in range(4 * count):
        sentence = make(rng)
        words = [] if sentence is None else sentence.words
        if sentence is None or vocabulary.count(words) > LONGEST or sentence_key(words) in m.avoid:
            continue
        found.setdefault(sentence_key(words), sentence)
        if len(found) == count:
            break
    return list(found.values())


def mixed(m: Material, task: str, times: float) -> list[Sentence]:
    """Sentences of all forms: most of `tell`, the others captions of scenes that no picture has."""
    told = collect(lambda rng: tell(m.facts, rng), m, m.rng(task), m.pool(times))
    pool = {sentence_key(s.words): s for s in told}
    for number in range(len(told) // SCENE_CAPTIONS // 4):
        scene = sample_scene(f"probing-{task}-{number}", m.seed)
        for sentence in captions(scene, m.seed, vocabulary.count, SCENE_CAPTIONS):
            if sentence_key(sentence.words) not in m.avoid:
                pool.setdefault(sentence_key(sentence.words), sentence)
    return list(pool.values())


def sentence_length(m: Material) -> Split:
    """Class: the bin of the number of words."""
    items = []
    for s in mixed(m, "sentence_length", 5):
        label = next((str(i) for i, (a, b) in enumerate(LENGTH_BINS) if a <= len(s.words) <= b), None)
        if label is not None:
            items.append(Labelled(label, tuple(s.words), "any"))
    return balanced(items, m.sizes, m.rng("sentence_length choice"))


def tree_depth(m: Material) -> Split:
    """Class: the depth of the constituency tree; equally frequent at every length."""
    items = [
        Labelled(str(s.tree.depth()), tuple(s.words), size(s.words))
        for s in mixed(m, "tree_depth", 16)
        if s.tree.depth() in DEPTHS
    ]
    return balanced(items, m.sizes, m.rng("tree_depth choice"), map(str, DEPTHS))


def top_constituents(m: Material) -> Split:
    """Class: the sequence of constituents below S, the most frequent ones by name, the others as OTHER."""
    pool = [s for s in mixed(m, "top_constituents", 8) if s.tree.label == "S"]
    names = [constituents(s.tree) for s in pool]
    frequent = {name for name, _ in Counter(names).most_common(CONSTITUENTS)}
    items = [
        Labelled(name if name in frequent else "OTHER", tuple(s.words), size(s.words))
        for s, name in zip(pool, names, strict=True)
    ]
    return balanced(items, m.sizes, m.rng("top_constituents choice"))


def constituents(tree: Node) -> str:
    """Labels of the root's children, tags for words: "PP_,_NP_VP_."."""
    return "_".join(c.label if isinstance(c, Node) else c.tag for c in tree.children)


def bigram_shift(m: Material) -> Split:
    """Class: I where two adjacent words were swapped, O where the sentence is as it was."""
    rng = m.rng("bigram_shift choice")
    items = []
    for number, s in enumerate(mixed(m, "bigram_shift", 1.5)):
        places = swappable(list(s.tree.leaves()))
        if not places:
            continue
        words = list(s.words)
        if number % 2:
            at = places[int(rng.integers(len(places)))]
            words[at], words[at + 1] = words[at + 1], words[at]
        items.append(Labelled("I" if number % 2 else "O", tuple(words), size(words)))
    return balanced(items, m.sizes, rng)


def swappable(leaves: list[Leaf]) -> list[int]:
    """Places whose word can be swapped with the next one so that the result is no English.

    Neither the first word, which is capitalised, nor punctuation; never two words of one part of speech, and
    never a bare plural and a verb ("on a truck lie glasses").
    """
    places = []
    for at in range(1, len(leaves) - 1):
        one, two = leaves[at].tag, leaves[at + 1].tag
        loose = {"NNS"} < {one, two} and (one[:2] == "VB" or two[:2] == "VB")
        if one != two and one[0].isalpha() and two[0].isalpha() and not loose:
            places.append(at)
    return places


def past_present(m: Material) -> Split:
    """Class: tense of the main verb. No verb of a test sentence occurs in a training sentence.

    Relative clauses have a tense of their own, drawn at random, so that they give nothing away.
    """
    facts = {split: m.facts.only(NOUNS, verbs_of(split)) for split in m.sizes}

    def per_split(split: str, rng: np.random.Generator) -> Sentence | None:
        return simple(_unmarked(facts[split], rng), NOUNS, VERBS)

    return _by_split(m, "past_present", per_split, lambda s: "PAST" if s.tense == "past" else "PRES")


def subj_number(m: Material) -> Split:
    """Class: number of the main clause's subject. No noun of a test sentence occurs in training."""
    facts = {split: m.facts.only(m.nouns[split], VERBS) for split in m.sizes}

    def per_split(split: str, rng: np.random.Generator) -> Sentence | None:
        return simple(_unmarked(facts[split], rng), m.nouns[split], VERBS)

    return _by_split(m, "subj_number", per_split, lambda s: "NNS" if s.subject_plural else "NN")


def obj_number(m: Material) -> Split:
    """Class: number of the main verb's object. No noun of a test sentence occurs in training."""
    facts = {split: m.facts.only(m.nouns[split], VERBS) for split in m.sizes}

    def per_split(split: str, rng: np.random.Generator) -> Sentence | None:
        return simple(_unmarked(facts[split], rng), m.nouns[split], TRANSITIVE)

    return _by_split(m, "obj_number", per_split, lambda s: "NNS" if s.object_plural else "NN")


def verbs_of(split: str) -> list[str]:
    """Keys of `VERBS` whose verb belongs to a split."""
    return [p for p, v in VERBS.items() if v.base in TARGET_VERBS[split]]


def _unmarked(facts: Facts, rng: np.random.Generator) -> Teller:
    """Simple tenses; number is mostly shown by the noun alone ("the dogs chased")."""
    tense, other = (("past", "present")[int(rng.integers(2))] for _ in range(2))
    return Teller(facts, rng, tense, other, definite=0.7, progressive=0.0)


def _by_split(
    m: Material,
    task: str,
    make: Callable[[str, np.random.Generator], Sentence | None],
    label: Callable[[Sentence], str],
) -> Split:
    """Balanced sentences, every split from makers of its own."""
    made: Split = {}
    for split, wanted in m.sizes.items():
        rng = m.rng(f"{task} {split}")
        pool = collect(partial(make, split), m, rng, 6 * wanted + 400)
        items = [Labelled(label(s), tuple(s.words), size(s.words)) for s in pool]
        made |= balanced(items, {split: wanted}, rng)
    return made


def coordination_inversion(m: Material) -> Split:
    """Class: I where the two clauses were swapped, O where they are in order.

    The second clause takes up something of the first ("a man feeds a dog and it chases two cats"), which
    tells the order; how a sentence begins does not.
    """
    rng = m.rng("coordination_inversion choice")
    pool = collect(lambda r: _chained(m, r), m, m.rng("coordination_inversion"), m.pool(1.5))
    items = []
    for number, s in enumerate(pool):
        one, two = s.tree.children[0], s.tree.children[2]
        words = s.words if number % 2 else node("S", two, AND, one, STOP).words()
        words = [words[0][0].upper() + words[0][1:], *words[1:]]
        if sentence_key(words) not in m.avoid:
            items.append(Labelled("O" if number % 2 else "I", tuple(words), size(words)))
    return balanced(items, m.sizes, rng)


def _chained(m: Material, rng: np.random.Generator) -> Sentence | None:
    tense = ("past", "present")[int(rng.integers(2))]
    return chained(Teller(m.facts, rng, tense, definite=0.0), int(rng.integers(3)))


def odd_man_out(m: Material) -> Split:
    """Class: O where a word was replaced by one that does not belong there, C where it is as it was.

    No word put in in the test split is put in in the training split.
    """
    told = collect(lambda rng: tell(m.facts, rng), m, m.rng("odd_man_out"), m.pool(8))
    bigrams = count_bigrams(told)
    parts = np.array_split(
        np.arange(len(told)), np.cumsum(list(m.sizes.values()))[:-1] * len(told) // sum(m.sizes.values())
    )
    made: Split = {}
    for (split, wanted), part in zip(m.sizes.items(), parts, strict=True):
        rng = m.rng(f"odd_man_out {split}")
        targets = {*m.nouns[split], *TARGET_VERBS[split]}
        items = []
        for s in (told[i] for i in part):
            options = replacements(s, m.facts, targets, bigrams)
            words = list(s.words)
            odd = bool(options) and rng.random() < 0.5
            if odd:
                r = choose(options, rng)
                words[r.at] = r.word.capitalize() if r.at == 0 else r.word
            if options and vocabulary.count(words) <= LONGEST:
                items.append(Labelled("O" if odd else "C", tuple(words), size(words)))
        made |= balanced(items, {split: wanted}, rng)
    return made


TASKS: dict[str, Callable[[Material], Split]] = {
    "sentence_length": sentence_length,
    "tree_depth": tree_depth,
    "top_constituents": top_constituents,
    "bigram_shift": bigram_shift,
    "past_present": past_present,
    "subj_number": subj_number,
    "obj_number": obj_number,
    "odd_man_out": odd_man_out,
    "coordination_inversion": coordination_inversion,
}
"""File name -> what makes the task."""
