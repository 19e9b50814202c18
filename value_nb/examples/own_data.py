"""A data set of your own: one line of JSON for each caption, one npz file of regions for each picture.

    FOLDER/test.jsonl          {"id": "17#0", "picture": "17", "caption": "A man rides a horse ."}
    FOLDER/regions/17.npz      boxes (region, 4) x1 y1 x2 y2 in fractions, features (region, width), names
    FOLDER/pictures/17.png     optional; panels draw it where it is

Copy this file and change what `example` reads. What it returns is all that a model or a probe ever sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from value_nb.data.dataset import Dataset
from value_nb.data.example import Example, Regions
from value_nb.data.paths import find_image

NAME = "my-captions"


class Folder:
    """Makes an example out of a line; features are read when the example is asked for, and not before."""

    def __init__(self, root: Path, split: str) -> None:
        self.root, self.split = root, split

    def example(self, record: dict[str, Any], features: bool) -> Example:
        """Return one picture with one caption."""
        with np.load(self.root / "regions" / f"{record['picture']}.npz", allow_pickle=False) as stored:
            regions = Regions(
                boxes=stored["boxes"].astype(np.float32),
                features=stored["features"].astype(np.float32) if features else None,
                names=tuple(stored["names"].tolist()),
                sources=("detected",) * len(stored["boxes"]),
            )
        return Example(
            id=record["id"],
            image_id=record["picture"],
            caption=record["caption"],
            words=tuple(record["caption"].split()),
            image=find_image([self.root / "pictures"], record["picture"]),
            regions=regions,
            dataset=NAME,
            split=self.split,
        )


def load(root: Path | str, split: str = "test", limit: int | None = None) -> Dataset:
    """Return the data set: `vnb.load_dataset("my_module:load", root=FOLDER)` calls this, too."""
    lines = (Path(root) / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return Dataset(NAME, split, [json.loads(line) for line in lines][:limit], Folder(Path(root), split))


def write(root: Path | str, examples: Iterable[Example], split: str = "test") -> Path:
    """Write examples with regions as such a folder: something to begin with, and to check `load` against."""
    root = Path(root)
    (root / "regions").mkdir(parents=True, exist_ok=True)
    lines = []
    for example in examples:
        regions = example.regions
        if regions is None or regions.features is None:
            raise ValueError(f"example {example.id!r} has no region features; this folder is made of them")
        names = np.array(regions.names, dtype=np.str_)
        np.savez(
            root / "regions" / f"{example.image_id}.npz",
            boxes=regions.boxes, features=regions.features, names=names,
        )  # fmt: skip
        words = " ".join(example.words)
        lines.append(json.dumps({"id": example.id, "picture": example.image_id, "caption": words}))
    (root / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
