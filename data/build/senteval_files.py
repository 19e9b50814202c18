"""Writes the probing tasks as files of SentEval: partition, class and sentence, a tab between them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from data.build import vocabulary
from data.build.captions import LONGEST
from data.build.probing_balance import Labelled
from data.build.probing_baselines import baselines
from data.build.probing_tasks import FAST_SIZES, SCENES, SIZES, TASKS, Split, make_material

PARTITIONS = ("tr", "va", "te")


def write_senteval_files(
    out: Path, seed: int, avoid: Container[str] = frozenset(), fast: bool = False
) -> pd.DataFrame:
    """Write OUT/<task>.txt for the nine tasks, and return how far trivial baselines come.

    Parameters
    ----------
    out
        Folder to write into; it is made.
    seed
        Decides every sentence.
    avoid
        Captions seen in pre-training or shown, as `probing_tasks.sentence_key` writes them: no sentence is
        among them.
    fast
        The few sentences of a trial build.

    Returns
    -------
    The table of `probing_baselines.baselines`.

    Raises
    ------
    ValueError
        When too few sentences come out, or one cannot be written.
    """
    sizes, scenes = (FAST_SIZES, SCENES // 2) if fast else (SIZES, SCENES)
    material = make_material(avoid, sizes, seed, scenes)
    tasks = {name: make(material) for name, make in TASKS.items()}
    write_tasks(tasks, out)
    return baselines(tasks)


def write_tasks(tasks: dict[str, Split], out: Path) -> None:
    """Write each task as OUT/<task>.txt: training, validation and test sentences, in this order."""
    out.mkdir(parents=True, exist_ok=True)
    for name, split in tasks.items():
        lines = [line(part, item) for part in PARTITIONS for item in split[part]]
        (out / f"{name}.txt").write_text("".join(lines), "utf-8", newline="\n")


def line(partition: str, item: Labelled) -> str:
    """One line. Raises ValueError when a field is empty or holds a tab, or the sentence is too long."""
    fields = (partition, item.label, " ".join(item.words))
    if not all(fields) or any("\t" in field or "\n" in field for field in fields):
        raise ValueError(f"{fields} came; expected three fields without tabs and line ends.")
    pieces = vocabulary.count(list(item.words))
    if pieces > LONGEST:
        raise ValueError(
            f"{fields[2]!r} has {pieces} word pieces; expected at most {LONGEST}, the trained length."
        )
    return "\t".join(fields) + "\n"


def trained_captions(corpora: Iterable[Path]) -> frozenset[str]:
    """The captions of corpus files (`corpus-pretrain.npz`), and their false variants, as keys."""
    names = vocabulary.pieces()
    found: set[str] = set()
    for path in corpora:
        with np.load(path, allow_pickle=False) as corpus:
            for part in ("pieces", "hard"):
                found.update(_text(row, names) for row in np.unique(corpus[part], axis=0))
    return frozenset(found - {""})


def _text(row: np.ndarray, names: tuple[str, ...]) -> str:
    """The words of a row of [CLS] pieces [SEP] and padding."""
    pieces = [names[i] for i in row.tolist()]
    shown = [p for p in pieces if p not in vocabulary.SPECIALS]
    return " ".join(shown).replace(" ##", "")
