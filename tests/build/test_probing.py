from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.build import vocabulary
from data.build.captions import LONGEST
from data.build.probing_balance import Labelled, Split, apportion, balanced
from data.build.probing_baselines import baselines
from data.build.probing_odd import (
    LARGEST_STEP,
    Bigrams,
    Replacement,
    _step,
    choose,
    count_bigrams,
    replacements,
)
from data.build.probing_sentences import NOUNS, Facts, Teller, chained, tell
from data.build.probing_tasks import (
    DEPTHS,
    LENGTH_BINS,
    TARGET_VERBS,
    TASKS,
    Material,
    coordination_inversion,
    make_material,
    past_present,
    sentence_key,
    share_nouns,
    size,
    swappable,
)
from data.build.senteval_files import line, trained_captions, write_tasks
from data.build.trees import Leaf, Sentence, node
from data.build.verbs import VERBS
from data.build.world import CLASSES
from value_nb.data import senteval
from value_nb.data.dataset import SPLITS

SIZES = {"tr": 120, "va": 40, "te": 60}
SEED = 4


@pytest.fixture(scope="module")
def material() -> Material:
    return make_material(frozenset(), SIZES, SEED, scenes=150)


@pytest.fixture(scope="module")
def tasks(material: Material) -> dict[str, Split]:
    return {name: make(material) for name, make in TASKS.items()}


@pytest.fixture(scope="module")
def table(tasks: dict[str, Split]) -> pd.DataFrame:
    return baselines(tasks)


def lemmas(items: list[Labelled]) -> set[str]:
    """Nouns and verbs that occur, in whatever form."""
    forms = {form: n for n, k in CLASSES.items() for form in (n, k.plural)}
    forms |= {form: v.base for v in VERBS.values() for form in (v.base, v.third, v.past, v.ing)}
    return {forms[w.lower()] for item in items for w in item.words if w.lower() in forms}


# -- what holds for all nine -------------------------------------------------------------------


def test_the_tasks_are_those_of_the_paper() -> None:
    assert tuple(TASKS) == senteval.TASKS


@pytest.mark.parametrize("task", TASKS)
def test_classes_are_equally_frequent_in_every_split(tasks: dict[str, Split], task: str) -> None:
    for split, wanted in SIZES.items():
        counts = Counter(item.label for item in tasks[task][split])
        assert len(set(counts.values())) == 1, counts
        assert wanted - len(counts) < counts.total() <= wanted


@pytest.mark.parametrize("task", [t for t in TASKS if t != "sentence_length"])
def test_classes_are_equally_frequent_at_every_length(tasks: dict[str, Split], task: str) -> None:
    for items in tasks[task].values():
        labels = {item.label for item in items}
        by_size: dict[tuple[int, int], Counter[str]] = {}
        for item in items:
            by_size.setdefault(size(item.words), Counter())[item.label] += 1
        for counts in by_size.values():
            assert set(counts) == labels and len(set(counts.values())) == 1, counts


@pytest.mark.parametrize("task", TASKS)
def test_sentences_fit_and_use_known_words(tasks: dict[str, Split], task: str) -> None:
    letters = {p for p in vocabulary.pieces() if len(p.removeprefix("##")) == 1} - {"a", "##s", ".", ","}
    for items in tasks[task].values():
        for item in items:
            pieces = vocabulary.tokenizer().encode(" ".join(item.words), add_special_tokens=False).tokens
            assert len(pieces) <= LONGEST
            assert not {"[UNK]", *letters} & set(pieces), item.words
            assert (item.words[-1] == "." and item.words[0][0].isupper()) or task == "bigram_shift"


@pytest.mark.parametrize("task", TASKS)
def test_no_sentence_occurs_twice(tasks: dict[str, Split], task: str) -> None:
    keys = [sentence_key(item.words) for items in tasks[task].values() for item in items]
    assert len(set(keys)) == len(keys)


def test_length_tells_nothing_but_length(table: pd.DataFrame) -> None:
    others = table.drop("sentence_length")
    assert np.allclose(others["length"], others["chance"], atol=1e-9)
    assert table.loc["sentence_length", "length"] > 0.95


def test_a_bag_of_words_cannot_tell_order(table: pd.DataFrame) -> None:
    assert abs(table.loc["bigram_shift", "bag of words"] - 0.5) < 0.2
    assert abs(table.loc["coordination_inversion", "bag of words"] - 0.5) < 0.2


def test_avoided_sentences_do_not_come(material: Material, tasks: dict[str, Split]) -> None:
    seen = {sentence_key(i.words) for i in tasks["coordination_inversion"]["tr"]}
    other = Material(material.facts, material.nouns, seen, SIZES, SEED)
    again = [i for items in coordination_inversion(other).values() for i in items]
    assert again and not seen & {sentence_key(i.words) for i in again}


def test_same_seed_same_sentences(material: Material, tasks: dict[str, Split]) -> None:
    assert past_present(material) == tasks["past_present"]
    other = Material(material.facts, material.nouns, frozenset(), SIZES, SEED + 1)
    assert past_present(other) != tasks["past_present"]


def test_files_come_back_through_the_loader(tasks: dict[str, Split], tmp_path: Path) -> None:
    write_tasks(tasks, tmp_path)
    assert sorted(p.stem for p in tmp_path.iterdir()) == sorted(TASKS)
    for task, split in tasks.items():
        for name, partition in zip(SPLITS, ("tr", "va", "te"), strict=True):
            data = senteval.load_senteval(tmp_path / f"{task}.txt", name, strict=True)
            assert [(e.label, e.words) for e in data] == [(i.label, i.words) for i in split[partition]]


# -- each task ---------------------------------------------------------------------------------


def test_length_classes_are_bins_of_words(tasks: dict[str, Split]) -> None:
    for item in tasks["sentence_length"]["tr"]:
        low, high = LENGTH_BINS[int(item.label)]
        assert low <= len(item.words) <= high


def test_depth_and_constituents_have_their_classes(tasks: dict[str, Split]) -> None:
    assert {i.label for i in tasks["tree_depth"]["te"]} == set(map(str, DEPTHS))
    labels = {i.label for i in tasks["top_constituents"]["te"]}
    assert {"NP_VP_.", "OTHER"} < labels and len(labels) == 6


def test_constituents_agree_with_the_words(tasks: dict[str, Split]) -> None:
    for item in tasks["top_constituents"]["tr"]:
        if item.label == "NP_VP_.":
            assert "," not in item.words
        if item.label.startswith(("PP_,", "VP_,")):
            assert "," in item.words
        if item.label == "S_CC_S_.":
            assert "and" in item.words


def test_shifted_sentences_have_one_pair_swapped() -> None:
    leaves = [
        Leaf(w, t) for w, t in (("two", "CD"), ("dogs", "NNS"), ("lie", "VBP"), ("on", "IN"), (".", "."))
    ]
    assert swappable(leaves) == [2]
    cats = [Leaf("a", "DT"), Leaf("big", "JJ"), Leaf("red", "JJ"), Leaf("cat", "NN"), Leaf("sits", "VBZ")]
    assert swappable(cats) == [2, 3]


@pytest.mark.parametrize("task", ["past_present", "subj_number", "obj_number"])
def test_targets_of_one_split_are_in_no_other(tasks: dict[str, Split], task: str) -> None:
    words = {split: lemmas(items) for split, items in tasks[task].items()}
    verbs = {v.base for v in VERBS.values()}
    kept = {split: some & verbs if task == "past_present" else some - verbs for split, some in words.items()}
    for one, two in (("tr", "te"), ("tr", "va"), ("va", "te")):
        assert kept[one] and not kept[one] & kept[two]


def test_target_words_are_shared_out() -> None:
    verbs = [v for some in TARGET_VERBS.values() for v in some]
    assert sorted(verbs) == sorted({v.base for v in VERBS.values()})
    nouns = [n for some in share_nouns(SEED).values() for n in some]
    assert sorted(nouns) == sorted(NOUNS)


def test_tense_is_that_of_the_main_verb(material: Material) -> None:
    teller = Teller(material.facts, np.random.default_rng(0), "past", "present", progressive=0.0)
    made = tell(material.facts, np.random.default_rng(1))
    assert made is not None and made.tense in {"past", "present"}
    e = teller.entity("man", plural=False)
    verb = teller.predicate(e, 0)
    assert verb is not None
    assert next(verb.leaves()).word == VERBS[str(teller.main["predicate"])].past


def told(facts: Facts, count: int) -> list[Sentence]:
    rng = np.random.default_rng(SEED)
    return [s for s in (tell(facts, rng) for _ in range(count)) if s is not None]


def test_odd_words_keep_part_of_speech_and_make_nonsense(material: Material) -> None:
    sentences = told(material.facts, 300)
    bigrams: Bigrams = count_bigrams(sentences)
    targets = {"car", "man", "apple", "horse", "hat", "wash", "feed", "eat"}
    seen: set[str] = set()
    for s in sentences:
        leaves = list(s.tree.leaves())
        for r in replacements(s, material.facts, targets, bigrams):
            assert r.lemma in targets
            changed = [*s.tree.words()]
            changed[r.at] = r.word
            neighbours = [p for p in pairwise(changed) if r.word in p]
            assert any(bigrams[p] for p in neighbours)
            forms = {"NN": r.lemma, "NNS": CLASSES[r.lemma].plural if r.lemma in CLASSES else ""}
            assert r.word == forms.get(leaves[r.at].tag, r.word)
            assert (r.lemma in CLASSES) == leaves[r.at].tag.startswith("NN")
            seen.add(leaves[r.at].tag[:2])
    assert seen == {"NN", "VB"}


def test_nothing_odd_can_be_put_where_all_was_seen(material: Material) -> None:
    facts = Facts({"people": {"holding": ("cup",)}, "other": {"touching": ("cup",)}})
    sentences = told(facts, 40)
    bigrams = count_bigrams(sentences)
    assert not [r for s in sentences for r in replacements(s, facts, {"cup", "ball"}, bigrams)]


@pytest.mark.parametrize(
    ("times", "kept"),
    [(Fraction(8), True), (Fraction(1, 8), True), (Fraction(9), False), (Fraction(1, 9), False)],
)
def test_neighbours_are_up_to_eight_times_as_common_and_that_exactly(times: Fraction, kept: bool) -> None:
    leaves = [Leaf("a", "DT"), Leaf("cup", "NN"), Leaf(".", ".")]
    usual = {("a", "cup"): 72, ("cup", "."): 72}
    odd = {("a", "car"): int(72 * times), ("car", "."): 72}
    step = _step(leaves, Replacement(1, "car", "car", Fraction()), Counter(usual | odd))
    assert step == max(times, 1 / times)
    assert (step <= LARGEST_STEP) == kept


def test_a_choice_is_one_of_the_options(material: Material) -> None:
    sentences = told(material.facts, 200)
    bigrams = count_bigrams(sentences)
    options = next(o for s in sentences if (o := replacements(s, material.facts, {*NOUNS}, bigrams)))
    assert choose(options, np.random.default_rng(0)) in options


def test_clauses_are_chained_in_one_direction(material: Material) -> None:
    rng = np.random.default_rng(2)
    made = [chained(Teller(material.facts, rng, definite=0.0), 1) for _ in range(60)]
    sentences = [s for s in made if s is not None]
    assert len(sentences) > 30
    for s in sentences:
        one, _, two, _ = s.tree.children
        first, second = ({n.ref for n, _, _ in part.nodes() if n.ref} for part in (one, two))
        assert first & second, s.words
        assert {"the", "he", "she", "it", "they"} & set(two.words())


# -- balance and files -------------------------------------------------------------------------


def items(*counts: tuple[str, int, int]) -> list[Labelled]:
    return [Labelled(label, (f"{label}{s}x{i}",), s) for label, s, n in counts for i in range(n)]


def test_balance_takes_the_same_number_per_class_and_stratum() -> None:
    rng = np.random.default_rng(0)
    chosen = balanced(
        items(("a", 1, 9), ("b", 1, 3), ("a", 2, 4), ("b", 2, 8), ("a", 3, 5)), {"tr": 8, "te": 4}, rng
    )
    assert Counter(i.label for i in chosen["tr"]) == {"a": 4, "b": 4}
    assert Counter((i.label, i.stratum) for i in chosen["te"]).total() == 4
    both = [i.words for split in chosen.values() for i in split]
    assert len(set(both)) == 12 and not [i for i in chosen["tr"] if i.stratum == 3]


def test_balance_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match=r"te wants 2 sentences of each .* only 1 are left"):
        balanced(items(("a", 1, 3), ("b", 1, 9)), {"tr": 4, "te": 4}, np.random.default_rng(0))


def test_shares_are_proportional_and_fit() -> None:
    assert apportion(np.array([4, 2, 1, 0]), 7).tolist() == [4, 2, 1, 0]
    assert apportion(np.array([10, 5, 5]), 4).tolist() == [2, 1, 1]


def test_bad_lines_are_refused() -> None:
    assert line("tr", Labelled("NN", ("A", "man", "."), 0)) == "tr\tNN\tA man .\n"
    with pytest.raises(ValueError, match="without tabs"):
        line("tr", Labelled("", ("A",), 0))
    with pytest.raises(ValueError, match="word pieces"):
        line("tr", Labelled("NN", ("man",) * (LONGEST + 1), 0))


def test_trained_captions_are_read_from_pieces(tmp_path: Path) -> None:
    words = "A grandfather wearing glasses .".split()
    ids = [2, *(i for w in words for i in vocabulary.word_pieces(w)), 3]
    pieces = np.zeros((2, 24), np.int16)
    pieces[:, : len(ids)] = ids
    np.savez(tmp_path / "corpus.npz", pieces=pieces, hard=np.zeros_like(pieces))
    assert trained_captions([tmp_path / "corpus.npz"]) == {sentence_key(words)}


def test_a_sentence_is_its_words() -> None:
    tree = node("NP", Leaf("a", "DT"), Leaf("man", "NN"))
    assert sentence_key(Sentence(tree, (), ()).words) == "a man"
