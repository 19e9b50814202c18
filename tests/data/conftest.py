"""Small data sets in the real formats, made where a test asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from value_nb.data.problems import ProblemReport, Spot
from value_nb.data.regions import StoredImage, write_region_store

XML_BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


@pytest.fixture
def spot() -> Spot:
    return ProblemReport().at("file.txt", "line 7")


def xml_object(*names: str, box: tuple[object, ...] | None = None, extra: str = "") -> str:
    tags = "".join(f"<name>{name}</name>" for name in names)
    return f"<object>{tags}{XML_BOX.format(*box) if box else ''}{extra}</object>"


def xml_file(*objects: str, width: object = 100, height: object = 50) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>1.jpg</filename>{size}{''.join(objects)}</annotation>"


def stored_image(image_id: str, boxes: list[list[float]], seed: int = 0, width: int = 5) -> StoredImage:
    rows = len(boxes)
    rng = np.random.default_rng(seed)
    return StoredImage(
        image_id=image_id,
        size=(100, 50),
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        features=rng.normal(size=(rows, width)).astype(np.float32),
        confidence=np.linspace(0.25, 0.75, rows),
        class_id=np.arange(rows) % 3 - 1,
        annotated=np.arange(rows) % 2 == 0,
    )


@pytest.fixture
def flickr_root(tmp_path: Path) -> Callable[..., Path]:
    """Write Flickr30k Entities files: sentences and annotations by image id, and the test split."""

    def make(sentences: dict[str, str], annotations: dict[str, str], split: str | None = None) -> Path:
        root = tmp_path / "flickr30k_entities"
        for folder, files, ending in (("Sentences", sentences, "txt"), ("Annotations", annotations, "xml")):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for image_id, text in files.items():
                (root / folder / f"{image_id}.{ending}").write_text(text, "utf-8")
        (root / "test.txt").write_text("\n".join(sentences) if split is None else split, "utf-8")
        return root

    return make


def vg_object(key: int, x: float, y: float, w: float, h: float, *names: str, **more: Any) -> dict[str, Any]:
    return {"object_id": key, "x": x, "y": y, "w": w, "h": h, "names": list(names), "synsets": [], **more}


def vg_relation(subject: Any, predicate: Any, target: Any) -> dict[str, Any]:
    return {
        "relationship_id": 1,
        "predicate": predicate,
        "synsets": [],
        "subject": {"object_id": subject} if isinstance(subject, int) else subject,
        "object": {"object_id": target} if isinstance(target, int) else target,
    }


def vg_region(
    key: int, phrase: Any, x: float = 0, y: float = 0, width: float = 10, height: float = 10
) -> Any:
    return {
        "region_id": key,
        "image_id": 1,
        "phrase": phrase,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
    }


@pytest.fixture
def vg_root(tmp_path: Path) -> Callable[..., Path]:
    """Write Visual Genome files of 100 x 50 pictures: objects, relations, descriptions by image id."""

    def make(pictures: dict[int, Any], split: str | None = "test") -> Path:
        root = tmp_path / "visual_genome"
        root.mkdir(exist_ok=True)
        files: dict[str, Any] = {
            "image_data": [{"image_id": i, "width": 100, "height": 50, "url": ""} for i in pictures],
            "objects": [{"image_id": i, "objects": p[0]} for i, p in pictures.items()],
            "relationships": [{"image_id": i, "relationships": p[1]} for i, p in pictures.items()],
            "region_descriptions": [{"id": i, "regions": p[2]} for i, p in pictures.items()],
        }
        if split is not None:
            table: dict[str, list[int]] = {"train": [], "val": [], "test": []}
            files["splits"] = table | {split: list(pictures)}
        for name, content in files.items():
            (root / f"{name}.json").write_text(json.dumps(content), "utf-8")
        return root

    return make


SENTEVAL_LINES = (
    "tr\tPAST\tThe man rode .",
    "tr\tPRES\tThe man rides .",
    "va\tPAST\tA dog ran .",
    "te\tPRES\tA dog runs .",
    "te\tPAST\tShe sat .",
)


@pytest.fixture
def mini_tree(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flickr_root: Callable[..., Path],
    vg_root: Callable[..., Path],
) -> Path:
    """Make a tree laid out like the bundled data, with one picture, and let VALUE_NB_DATA name it."""
    from value_nb.data.senteval import TASKS

    base = tmp_path / "bundled"
    mini = base / "mini"
    mini.mkdir(parents=True)
    sentence = "[/EN#5/people A man] rides [/EN#6/animals a horse] .\n"
    notes = xml_file(xml_object("5", box=(1, 1, 50, 25)), xml_object("6", box=(51, 26, 100, 50)))
    flickr_root({"1": sentence}, {"1": notes}).rename(mini / "flickr30k_entities")
    objects = [vg_object(11, 0, 0, 50, 25, "man"), vg_object(12, 50, 25, 50, 25, "horse")]
    picture = (objects, [vg_relation(11, "riding", 12)], [vg_region(21, "A man rides.")])
    vg_root({1: picture}).rename(mini / "visual_genome")
    (mini / "senteval").mkdir()
    for task in TASKS:
        (mini / "senteval" / f"{task}.txt").write_text("\n".join(SENTEVAL_LINES), "utf-8")
    boxes = [[0.5, 0.5, 1, 1], [0, 0, 0.5, 0.5], [0.2, 0.2, 0.3, 0.3]]
    write_region_store(mini / "features.h5", [stored_image("1", boxes)], ["man", "horse"], "test")
    (mini / "images").mkdir()
    (mini / "images" / "1.webp").write_bytes(b"")
    monkeypatch.setenv("VALUE_NB_DATA", str(base))
    return base
