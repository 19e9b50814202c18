"""Everything of the miniature that is data: pictures, the files in the real formats, region features."""

from __future__ import annotations

from pathlib import Path

from data.build import detector, senteval_files
from data.build.flickr_files import write_flickr_files
from data.build.pictures import write_pictures
from data.build.shown import make_shown, write_features
from data.build.splits import picture_splits
from data.build.visual_genome_files import write_visual_genome_files

DRAWN = ("val", "test")
"""Splits whose pictures ship as files; the training split ships as annotations and features."""


def write(out: Path, model: detector.Describer, trained_on: frozenset[str], seed: int, fast: bool) -> None:
    """Write the data set into `out`, in the layout that the loaders read.

    `trained_on`: the captions of pre-training, in lower case; no probing sentence is among them. How far
    trivial baselines come on the probing tasks goes to senteval_baselines.csv.
    """
    split_of = picture_splits(fast)
    pictures = make_shown(list(split_of), seed)
    scenes = [p.scene for p in pictures]
    sentences = {p.scene.id: list(p.sentences) for p in pictures}
    out.mkdir(parents=True, exist_ok=True)
    write_pictures(scenes, split_of, out / "images", shown=DRAWN)
    write_flickr_files(scenes, sentences, split_of, out / "flickr30k_entities")
    write_visual_genome_files(scenes, split_of, out / "visual_genome", seed)
    write_features(out / "features.h5", pictures, model)
    shown = {" ".join(s.words).lower() for p in pictures for s in p.sentences}
    table = senteval_files.write_senteval_files(out / "senteval", seed, avoid=trained_on | shown, fast=fast)
    table.to_csv(out / "senteval_baselines.csv", index=True, lineterminator="\n")
