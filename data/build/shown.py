"""The shown pictures: scenes, captions, WebP files and the region store of the miniature data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from data.build import detector
from data.build.corpus import Picture, make_pictures
from data.build.world import HEIGHT, WIDTH
from value_nb.data.regions import StoredImage, write_region_store

FEATURE_SOURCE = (
    f"last hidden layer ({detector.FEATURES} units) of data/build/detector.py's CNN on each box's pixels; "
    "annotated boxes first, then jittered copies, parts and background"
)


def make_shown(ids: list[str], seed: int) -> list[Picture]:
    """The pictures of the data set, in the order of the ids."""
    return list(tqdm(make_pictures(ids, seed), total=len(ids), desc="shown pictures"))


def write_features(path: Path, pictures: list[Picture], model: detector.Describer) -> Path:
    """The region store: for every picture as many regions, annotated ones first, described from pixels."""
    return write_region_store(path, list(_stored(pictures, model)), detector.CLASS_NAMES, FEATURE_SOURCE)


def _stored(pictures: list[Picture], model: detector.Describer) -> Iterator[StoredImage]:
    scale = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)
    for picture in pictures:
        features, classes, confidence, _ = detector.describe(model, picture.crops)
        yield StoredImage(
            image_id=picture.scene.id,
            size=(WIDTH, HEIGHT),
            boxes=(picture.boxes / scale).clip(0, 1),
            features=features,
            confidence=confidence,
            class_id=classes,
            annotated=np.arange(len(picture.boxes)) < picture.annotated,
        )
