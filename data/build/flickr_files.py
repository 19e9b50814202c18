"""Writes captions and boxes as files of Flickr30k Entities: Sentences/, Annotations/ and the split files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from data.build.boxes import pixel_box
from data.build.scenes import Scene, Thing
from data.build.splits import SPLITS, check_pictures
from data.build.trees import PLACE, UNSEEN, Node, Sentence
from data.build.world import CLASSES, HEIGHT, WIDTH
from value_nb.data.example import Phrase
from value_nb.data.flickr30k_sentences import NOT_VISIBLE, format_sentence

Reference = tuple[int, ...] | str


@dataclass
class Chains:
    """The coreference chains of one picture: what its captions refer to, with an id for each.

    A chain is a set of things, however they are called, or the place. `numbers` yields ids that no other
    picture has.
    """

    numbers: count[int]
    ids: dict[Reference, str] = field(default_factory=dict)

    def of(self, reference: Reference) -> str:
        """The chain of a reference, a new one when it was not there yet."""
        if reference == UNSEEN:
            return NOT_VISIBLE
        key = tuple(sorted(reference)) if isinstance(reference, tuple) else reference
        if key not in self.ids:
            self.ids[key] = str(next(self.numbers))
        return self.ids[key]

    def of_thing(self, thing_id: int) -> list[str]:
        """All chains that a thing belongs to, alone or with others, in the order of their ids."""
        return [chain for key, chain in self.ids.items() if isinstance(key, tuple) and thing_id in key]


def write_flickr_files(
    scenes: list[Scene], sentences: dict[str, list[Sentence]], split_of: dict[str, str], out: Path
) -> None:
    """Write OUT/{train,val,test}.txt, OUT/Sentences/<id>.txt and OUT/Annotations/<id>.xml.

    Only things that a caption of the picture refers to get a box, as in the real data.

    Parameters
    ----------
    scenes
        The pictures; their ids are digits.
    sentences, split_of
        By image id: the captions, and "train", "val" or "test".
    out
        Folder to write into; it is made.

    Raises
    ------
    ValueError
        When scenes, captions and splits are not of the same pictures, or a picture has no caption.
    """
    by_id = {scene.id: scene for scene in scenes}
    ids = check_pictures(split_of, [scene.id for scene in scenes])
    without = [i for i in ids if not sentences.get(i)]
    if without:
        raise ValueError(f"Picture {without[0]} has no caption; expected at least one for every picture.")
    for folder in ("Sentences", "Annotations"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        listed = "".join(f"{i}\n" for i in ids if split_of[i] == split)
        (out / f"{split}.txt").write_text(listed, "utf-8", newline="\n")
    numbers = count(1)
    for image_id in ids:
        scene, chains = by_id[image_id], Chains(numbers)
        lines = [sentence_line(scene, s, chains) + "\n" for s in sentences[image_id]]
        (out / "Sentences" / f"{image_id}.txt").write_text("".join(lines), "utf-8", newline="\n")
        (out / "Annotations" / f"{image_id}.xml").write_text(annotation(scene, chains), "utf-8", newline="\n")


def sentence_line(scene: Scene, sentence: Sentence, chains: Chains) -> str:
    """One caption with its phrases in brackets; chains that are new are added to `chains`."""
    things = {thing.id: thing for thing in scene.things}
    phrases = [
        Phrase(first, last, chains.of(reference), entity_types(reference, things))
        for reference, first, last in referring_phrases(sentence.tree)
    ]
    return format_sentence(sentence.words, phrases)


def referring_phrases(tree: Node) -> list[tuple[Reference, int, int]]:
    """What each referring phrase refers to, with the first and last word of it, from left to right."""
    found = [(n.ref, first, last) for n, first, last in tree.nodes() if n.ref is not None]
    return sorted(found, key=lambda phrase: phrase[1])


def entity_types(reference: Reference, things: dict[int, Thing]) -> tuple[str, ...]:
    """Entity types of what is referred to; a class of two types gives both."""
    if reference == PLACE:
        return ("scene",)
    if isinstance(reference, str):
        return ("notvisual",)
    return CLASSES[things[reference[0]].cls].types


def annotation(scene: Scene, chains: Chains) -> str:
    """The annotation file: an object per thing referred to, and one without a box for the place."""
    objects = [_object(chains.of_thing(t.id), _corners(t)) for t in scene.things if chains.of_thing(t.id)]
    if PLACE in chains.ids:
        objects.append(_object([chains.ids[PLACE]], ["<scene>1</scene>", "<nobndbox>0</nobndbox>"]))
    return "\n".join(
        [
            "<annotation>",
            f"<filename>{scene.id}.jpg</filename>",
            f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>",
            *objects,
            "</annotation>\n",
        ]
    )


def _object(names: Iterable[str], rest: list[str]) -> str:
    return "".join(["<object>", *(f"<name>{name}</name>" for name in names), *rest, "</object>"])


def _corners(thing: Thing) -> list[str]:
    """The box in pixels counted from 1, both ends inclusive."""
    x, y, width, height = pixel_box(thing)
    corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}
    return ["<bndbox>", *(f"<{name}>{value}</{name}>" for name, value in corners.items()), "</bndbox>"]
