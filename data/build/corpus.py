"""Pictures, captions and features of one split as arrays: what pre-training and the cards read.

Made in chunks that are kept, so that an interrupted build goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from data.build import detector, vocabulary
from data.build.captions import captions
from data.build.render import render
from data.build.scenes import Scene, sample_scene
from data.build.trees import Sentence
from data.build.truth import Atom, caption_claims, hard_swaps, picture_atoms
from data.build.world import CLASSES, COLOURS, HEIGHT, WIDTH

POSITIONS = 24
"""Longest caption in positions, [CLS] and [SEP] included."""
CHUNK = 250
CLS, SEP = 2, 3
OTHER, COLOUR, OBJECT = 0, 1, 2
"""Kinds of word pieces in the `kind` array."""


@dataclass(frozen=True)
class Picture:
    """One scene with everything that is made of it before the detector has looked."""

    scene: Scene
    sentences: tuple[Sentence, ...]
    boxes: np.ndarray
    annotated: int
    crops: np.ndarray
    labels: np.ndarray
    atoms: frozenset[Atom]
    rows: tuple[dict[str, np.ndarray], ...]


def make_picture(scene_id: str, seed: int) -> Picture:
    """Scene, captions, boxes and crops; depends on id and seed alone."""
    scene = sample_scene(scene_id, seed)
    boxes, annotated = detector.propose(scene, seed)
    sentences = tuple(captions(scene, seed, vocabulary.count))
    images = detector.crops(render(scene), boxes)
    labels = detector.labels(scene, boxes, annotated)
    atoms = picture_atoms(scene)
    rows = tuple(_caption_row(sentence, atoms, seed) for sentence in sentences)
    return Picture(scene, sentences, boxes, annotated, images, labels, atoms, rows)


def _make(job: tuple[str, int]) -> Picture:
    return make_picture(*job)


def make_pictures(ids: list[str], seed: int, workers: int = 2) -> Iterator[Picture]:
    """Pictures in the order of the ids, made by several processes."""
    if workers <= 1:
        yield from (make_picture(i, seed) for i in ids)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_make, [(i, seed) for i in ids], chunksize=16)


def scene_ids(prefix: str, count: int) -> list[str]:
    """Ids of pictures that are not shown: "pretrain-0", "pretrain-1", ..."""
    return [f"{prefix}-{i}" for i in range(count)]


def train_detector(out: Path, pictures: int, epochs: int, seed: int) -> dict[str, float]:
    """Fit the describer on pictures of its own, keep it in OUT/work, and return its held-out accuracies."""
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    made = list(
        tqdm(make_pictures(scene_ids("detector", pictures), seed), total=pictures, desc="detector pictures")
    )
    cut = len(made) * 9 // 10
    train, test = made[:cut], made[cut:]
    model = detector.fit(
        np.concatenate([p.crops for p in train]), np.concatenate([p.labels for p in train]), epochs, seed
    )
    detector.save(model, work / "detector.safetensors")
    return score_detector(model, test)


def score_detector(model: detector.Describer, pictures: Iterable[Picture]) -> dict[str, float]:
    """Class and colour accuracy on annotated boxes (colour: on things that have one)."""
    pictures = list(pictures)
    gold = np.concatenate([p.labels[: p.annotated] for p in pictures])
    _, classes, _, colours = detector.describe(
        model, np.concatenate([p.crops[: p.annotated] for p in pictures])
    )
    coloured = gold[:, 1] > 0
    return {
        "class accuracy": float((classes == gold[:, 0]).mean()),
        "colour accuracy": float((colours == gold[:, 1])[coloured].mean()),
        "regions": len(gold),
    }


def make_corpus(out: Path, split: str, count: int, seed: int) -> Path:
    """OUT/work/corpus-SPLIT.npz from `count` pictures; chunks already made are used again."""
    work = out / "work"
    target = work / f"corpus-{split}.npz"
    if target.exists():
        return target
    model = detector.load(work / "detector.safetensors")
    parts = {f: work / f"corpus-{split}-{count}-{f:06d}.npz" for f in range(0, count, CHUNK)}
    missing = [first for first, part in parts.items() if not part.exists()]
    ids = scene_ids(split, count)
    wanted = [i for first in missing for i in ids[first : first + CHUNK]]
    made = make_pictures(wanted, seed)
    for first in tqdm(
        missing, desc=f"corpus {split}", unit=f"{CHUNK} pictures", initial=len(parts) - len(missing)
    ):
        _save(parts[first], _arrays(list(islice(made, len(ids[first : first + CHUNK]))), model))
    _save(target, _join(list(parts.values())))
    for part in parts.values():
        part.unlink()
    return target


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    temporary.replace(path)


def _arrays(pictures: list[Picture], model: detector.Describer) -> dict[str, np.ndarray]:
    """Arrays of some pictures; atoms as text, because their numbering spans all chunks."""
    features, classes, _, _ = detector.describe(model, np.concatenate([p.crops for p in pictures]))
    scale = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)
    n, r = len(pictures), detector.REGIONS
    rows = [row for p in pictures for row in p.rows]
    truths = [sorted("|".join(a) for a in p.atoms) for p in pictures]
    claims = [sorted("|".join(a) for a in caption_claims(p.scene, s)) for p in pictures for s in p.sentences]
    return {
        "features": features.reshape(n, r, -1),
        "region_class": classes.reshape(n, r),
        "boxes": np.stack([p.boxes / scale for p in pictures]),
        "caption_image": np.repeat(np.arange(n, dtype=np.int32), [len(p.sentences) for p in pictures]),
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
        **_ragged("atoms", truths),
        **_ragged("claim", claims),
    }


def _ragged(name: str, lists: list[list[str]]) -> dict[str, np.ndarray]:
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    return {f"{name}_flat": np.array([a for atoms in lists for a in atoms]), f"{name}_offset": offsets}


def _caption_row(sentence: Sentence, truths: frozenset[Atom], seed: int) -> dict[str, np.ndarray]:
    words = sentence.words
    kinds = word_kinds(sentence)
    row = {
        name: np.zeros(POSITIONS, t)
        for name, t in (("pieces", np.int16), ("kind", np.int8), ("hard", np.int16))
    }
    row["word"] = np.full(POSITIONS, -1, np.int16)
    at = _write(row["pieces"], words)
    row["length"] = np.int16(at)
    position = 1
    for index, word in enumerate(words):
        size = len(vocabulary.word_pieces(word))
        row["word"][position : position + size] = index
        row["kind"][position : position + size] = kinds[index]
        position += size
    swaps = list(hard_swaps(sentence, truths))
    rng = np.random.default_rng([seed, 13, *" ".join(words).encode()])
    for choice in rng.permutation(len(swaps)):
        index, new = swaps[choice]
        changed = with_article([*words[:index], new, *words[index + 1 :]], index)
        if vocabulary.count(changed) + 2 <= POSITIONS:
            _write(row["hard"], changed)
            break
    return row


def _write(row: np.ndarray, words: list[str]) -> int:
    """Write [CLS] words [SEP] into a row of zeros and return the number of positions."""
    ids = [CLS, *(i for w in words for i in vocabulary.word_pieces(w)), SEP]
    row[: len(ids)] = ids
    return len(ids)


def with_article(words: list[str], index: int) -> list[str]:
    """The words with "a" or "an" before `index` as the new word there wants it."""
    before = words[index - 1] if index else ""
    if before.lower() not in {"a", "an"}:
        return words
    article = "an" if words[index][0] in "aeiou" else "a"
    article = article.capitalize() if before[0].isupper() else article
    return [*words[: index - 1], article, *words[index:]]


def word_kinds(sentence: Sentence) -> list[int]:
    """Per word: is it a colour word, the class noun of something in the picture, or neither?"""
    words = sentence.tree.words()
    kinds = [OTHER] * len(words)
    nouns = {n for kind in CLASSES.values() for n in (kind.name, kind.plural)}
    for constituent, first, last in sentence.tree.nodes():
        if isinstance(constituent.ref, tuple):
            for at in range(first, last + 1):
                if words[at] in COLOURS:
                    kinds[at] = COLOUR
                elif words[at] in nouns:
                    kinds[at] = OBJECT
    return kinds


def _join(parts: list[Path]) -> dict[str, np.ndarray]:
    """One set of arrays from the chunks, atoms numbered in the order of their text."""
    chunks = [dict(np.load(part, allow_pickle=False)) for part in parts]
    names = sorted({a for c in chunks for a in (*c["atoms_flat"].tolist(), *c["claim_flat"].tolist())})
    number = {name: i for i, name in enumerate(names)}
    images = np.cumsum([0, *(len(c["features"]) for c in chunks)])
    joined: dict[str, list[np.ndarray]] = {}
    for chunk, first in zip(chunks, images[:-1], strict=True):
        chunk["caption_image"] = chunk["caption_image"] + np.int32(first)
        for name in ("atoms", "claim"):
            chunk[f"{name}_flat"] = np.array([number[a] for a in chunk[f"{name}_flat"].tolist()], np.int32)
        for name, values in chunk.items():
            if name.endswith("_offset") and name in joined:
                values = values[1:] + joined[name][-1][-1]
            joined.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in joined.items()}


__all__ = ["Atom", "Picture", "make_corpus", "make_picture", "make_pictures", "train_detector"]
