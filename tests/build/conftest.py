"""A miniature of six pictures, written once in the real formats."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from data.build import batches
from data.build.captions import captions
from data.build.flickr_files import write_flickr_files
from data.build.masking import mask_regions
from data.build.scenes import Scene, sample_scene
from data.build.trees import Sentence
from data.build.visual_genome_files import write_visual_genome_files
from data.build.vocabulary import count

SEED = 3


@dataclass(frozen=True)
class Miniature:
    """The folder, and what was written into it."""

    root: Path
    scenes: dict[str, Scene]
    sentences: dict[str, list[Sentence]]
    split_of: dict[str, str]

    def write(self, root: Path) -> None:
        """Write everything but pictures and probing tasks."""
        scenes = list(self.scenes.values())
        write_flickr_files(scenes, self.sentences, self.split_of, root / "flickr30k_entities")
        write_visual_genome_files(scenes, self.split_of, root / "visual_genome", SEED)


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    split_of = dict(
        zip(
            ("7", "12", "30", "31", "100", "101"),
            ("train", "train", "val", "test", "test", "test"),
            strict=True,
        )
    )
    scenes = {i: sample_scene(i, SEED) for i in reversed(split_of)}
    sentences = {i: captions(s, SEED, count) for i, s in scenes.items()}
    made = Miniature(tmp_path_factory.mktemp("mini"), scenes, sentences, split_of)
    made.write(made.root)
    return made


@pytest.fixture
def many_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide so many regions that even a batch of eight has some."""
    monkeypatch.setattr(batches, "mask_regions", partial(mask_regions, share=0.3))
