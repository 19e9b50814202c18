"""Region features from pixels: where a detector would look, and a small CNN that describes each box.

Annotated boxes come first, then "detected" ones (jittered copies, parts, background) up to the same
number for every picture. The CNN learns class and colour on pictures of its own and never sees a
label afterwards: features are its last hidden layer on the crop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import nn

from data.build.scenes import Scene, Thing
from data.build.world import CLASSES, COLOURS, HEIGHT, WIDTH

REGIONS = 28
"""Regions of every picture: more than the longest caption has positions."""
CROP = 32
FEATURES = 64
THREADS = 2
"""How many threads add up decides the last digits of the CNN's weights, and through them every feature."""
BLUR = 1.0
"""Radius in pixels of the box blur that the detector's camera has: it keeps the CNN from being perfect."""
CLASS_NAMES = (*CLASSES, "background")
COLOUR_NAMES = ("none", *COLOURS)
Box = tuple[float, float, float, float]


def propose(scene: Scene, seed: int) -> tuple[np.ndarray, int]:
    """Boxes `(REGIONS, 4)` in pixels, annotated ones first, and how many are annotated."""
    rng = np.random.default_rng([seed, 11, *scene.id.encode()])
    boxes = [t.annotated_box for t in scene.things]
    annotated = len(boxes)
    if annotated >= REGIONS:
        raise ValueError(
            f"scene {scene.id} has {annotated} annotated things, a picture only {REGIONS} regions"
        )
    makers = (_jittered, _part, _anywhere)
    while len(boxes) < REGIONS:
        maker = makers[int(rng.choice(3, p=(0.45, 0.3, 0.25)))]
        box = _inside(maker(boxes[int(rng.integers(annotated))], rng))
        if box[2] - box[0] >= 6 and box[3] - box[1] >= 6:
            boxes.append(box)
    return np.array(boxes, np.float32), annotated


def _jittered(box: Box, rng: np.random.Generator) -> Box:
    x1, y1, x2, y2 = box
    shift = rng.normal(scale=0.12, size=4) * np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
    return tuple((np.array(box) + shift).tolist())


def _part(box: Box, rng: np.random.Generator) -> Box:
    x1, y1, x2, y2 = box
    width, height = (x2 - x1) * rng.uniform(0.35, 0.65), (y2 - y1) * rng.uniform(0.35, 0.65)
    x, y = rng.uniform(x1, x2 - width), rng.uniform(y1, y2 - height)
    return float(x), float(y), float(x + width), float(y + height)


def _anywhere(box: Box, rng: np.random.Generator) -> Box:
    del box
    width, height = rng.uniform(24, 110), rng.uniform(24, 110)
    x, y = rng.uniform(0, WIDTH - width), rng.uniform(0, HEIGHT - height)
    return float(x), float(y), float(x + width), float(y + height)


def _inside(box: Box) -> Box:
    x1, y1, x2, y2 = box
    return max(0.0, x1), max(0.0, y1), min(float(WIDTH), x2), min(float(HEIGHT), y2)


def crops(picture: Image.Image, boxes: np.ndarray) -> np.ndarray:
    """`(region, CROP, CROP, 3)` uint8: each box with a little context, of the blurred picture."""
    blurred = picture.filter(ImageFilter.BoxBlur(BLUR))
    out = np.empty((len(boxes), CROP, CROP, 3), np.uint8)
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        dx, dy = 0.06 * (x2 - x1), 0.06 * (y2 - y1)
        box = (max(0.0, x1 - dx), max(0.0, y1 - dy), min(WIDTH, x2 + dx), min(HEIGHT, y2 + dy))
        out[i] = np.asarray(blurred.resize((CROP, CROP), Image.Resampling.BILINEAR, box=box))
    return out


def labels(scene: Scene, boxes: np.ndarray, annotated: int) -> np.ndarray:
    """`(region, 2)` class and colour index of what a box shows (IoU at least 0.5), else background, none."""
    from value_nb.data.matching import iou

    things: list[Thing] = list(scene.things)
    overlaps = iou(boxes, boxes[:annotated])
    out = np.empty((len(boxes), 2), np.int64)
    for i, row in enumerate(overlaps):
        best = i if i < annotated else int(row.argmax())
        shown = row[best] >= 0.5
        out[i, 0] = CLASS_NAMES.index(things[best].cls) if shown else len(CLASSES)
        out[i, 1] = COLOUR_NAMES.index(things[best].colour or "none") if shown else 0
    return out


class Describer(nn.Module):
    """Four convolutions, a hidden layer of `FEATURES` units (the region feature), two classifiers."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128)
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            blocks.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(
            *blocks, nn.Flatten(), nn.Linear(128 * (CROP // 16) ** 2, FEATURES), nn.ReLU()
        )
        self.classes = nn.Linear(FEATURES, len(CLASS_NAMES))
        self.colours = nn.Linear(FEATURES, len(COLOUR_NAMES))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, class logits and colour logits of `(region, CROP, CROP, 3)` uint8 crops."""
        pixels = images.permute(0, 3, 1, 2).float() / 127.5 - 1
        features = self.body(pixels)
        return features, self.classes(features), self.colours(features)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Torch's threads for a while; more than the machine has cores is slow, and changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_threads(THREADS)
def fit(images: np.ndarray, targets: np.ndarray, epochs: int, seed: int) -> Describer:
    """A describer trained on crops `(n, CROP, CROP, 3)` and their labels `(n, 2)`."""
    torch.manual_seed(seed)
    model = Describer().train()
    x, y = torch.from_numpy(images), torch.from_numpy(targets)
    steps = epochs * (len(x) // 256)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order)[: len(x) // 256 * 256].split(256):
            _, classes, colours = model(x[rows])
            loss = nn.functional.cross_entropy(classes, y[rows, 0]) + nn.functional.cross_entropy(
                colours, y[rows, 1]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@_threads(THREADS)
@torch.inference_mode()
def describe(model: Describer, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features float16, class index, its confidence, colour index of each crop."""
    features, classes, colours = (
        torch.cat(p) for p in zip(*(model(b) for b in torch.from_numpy(images).split(2048)), strict=True)
    )
    confidence, best = classes.softmax(-1).max(-1)
    return (
        features.half().numpy(),
        best.numpy().astype(np.int16),
        confidence.half().numpy(),
        colours.argmax(-1).numpy().astype(np.int16),
    )


def save(model: Describer, path: Path) -> None:
    """Weights as safetensors, written whole or not at all."""
    from safetensors.torch import save_file

    part = path.with_suffix(".part")
    save_file(model.state_dict(), part)
    part.replace(path)


def load(path: Path) -> Describer:
    """The describer saved at `path`."""
    from safetensors.torch import load_file

    model = Describer()
    model.load_state_dict(load_file(path))
    return model.eval()
