"""A corpus of pictures without pixels: a region shows its class and its colour in its features, exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from data.build.training_corpus import COLOUR, OBJECT, OTHER, TrainingCorpus

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NOUNS = (("dog",), ("cat",), ("um", "##brel", "##la"), ("hat",))
COLOURS = ("red", "blue", "green")
PIECES = (*SPECIALS, "a", "and", ".", *COLOURS, *(piece for noun in NOUNS for piece in noun))
ID = {piece: index for index, piece in enumerate(PIECES)}
REGIONS, POSITIONS, THINGS = 5, 16, 2
FEATURES = len(NOUNS) + len(COLOURS)


def tiny_corpus(n_images: int = 12, seed: int = 0) -> TrainingCorpus:
    """Two things of different classes to a picture, two captions that name both, in either order."""
    rng = np.random.default_rng(seed)
    images = [
        list(zip(rng.permutation(len(NOUNS))[:THINGS], rng.integers(len(COLOURS), size=THINGS), strict=True))
        for _ in range(n_images)
    ]
    captions = [(i, things[::order]) for i, things in enumerate(images) for order in (1, -1)]
    rows = [_caption([(int(n), int(c)) for n, c in things]) for _, things in captions]
    shown = [_picture(things) for things in images]
    atoms = [sorted(int(10 * n + c) for n, c in things) for things in images]
    claims = [sorted(int(10 * n + c) for n, c in things) for _, things in captions]
    corners = np.sort(rng.random((n_images, REGIONS, 2, 2)), axis=2)
    return TrainingCorpus(
        features=np.stack([features for features, _ in shown]).astype(np.float16),
        boxes=corners.reshape(n_images, REGIONS, 4).astype(np.float32),
        region_class=np.stack([classes for _, classes in shown]).astype(np.int16),
        caption_image=np.array([image for image, _ in captions], dtype=np.int32),
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
        atoms_flat=np.concatenate(atoms).astype(np.int32),
        atoms_offset=np.cumsum([0, *map(len, atoms)]),
        claim_flat=np.concatenate(claims).astype(np.int32),
        claim_offset=np.cumsum([0, *map(len, claims)]),
    )


def _picture(things: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    features = np.zeros((REGIONS, FEATURES))
    classes = np.full(REGIONS, len(NOUNS))
    for row, (noun, colour) in enumerate(things):
        features[row, noun] = features[row, len(NOUNS) + colour] = 1
        classes[row] = noun
    return features, classes


def _caption(things: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    words: list[tuple[tuple[str, ...], int]] = []
    for index, (noun, colour) in enumerate(things):
        words += [(("and",), OTHER)] if index else []
        words += [(("a",), OTHER), ((COLOURS[colour],), COLOUR), (NOUNS[noun], OBJECT)]
    words.append(((".",), OTHER))
    spoken = [(ID[p], w, kind) for w, (pieces, kind) in enumerate(words) for p in pieces]
    rows = [(ID["[CLS]"], -1, OTHER), *spoken, (ID["[SEP]"], -1, OTHER)]
    rest = POSITIONS - len(rows)
    ids, word, kind = (np.array(column) for column in zip(*rows, *[(0, -1, 0)] * rest, strict=True))
    hard, first = ids.copy(), int(np.argmax(kind == COLOUR))
    hard[first] = ID[COLOURS[(things[0][1] + 1) % len(COLOURS)]]
    return {
        "pieces": ids.astype(np.int16),
        "length": np.int16(len(rows)),
        "word": word.astype(np.int16),
        "kind": kind.astype(np.int8),
        "hard": hard.astype(np.int16),
    }


def write_tiny(out: Path) -> Path:
    """The three splits and the tokenizer below `out`/work, as the builder finds them."""
    work = out / "work"
    work.mkdir(parents=True)
    for seed, (split, n_images) in enumerate({"pretrain": 12, "dev": 6, "test": 8}.items()):
        np.savez(work / f"corpus-{split}.npz", **vars(tiny_corpus(n_images, seed)))
    Tokenizer(WordPiece(dict(ID), unk_token="[UNK]")).save(str(work / "tokenizer.json"))
    (work / "detector.json").write_text(json.dumps({"class accuracy": 0.9}))
    return out
