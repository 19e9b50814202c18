"""A planted case: which boxes the detector missed is known, so every share is counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from value_nb.data.dataset import Dataset
from value_nb.data.flickr30k_entities import load_flickr30k_entities
from value_nb.data.region_coverage import region_coverage
from value_nb.data.regions import write_region_store
from value_nb.data.splits import Splits
from value_nb.data.visual_genome import load_visual_genome

from .conftest import stored_image, vg_object, vg_region, vg_relation, xml_file, xml_object

MakeRoot = Callable[..., Path]
# Boxes in a picture of 100 x 50: a man of half of it, his hand of 0.4 %, a dog of 25 %.
NOTES = xml_file(
    xml_object("1", box=(1, 1, 50, 50)),
    xml_object("2", box=(91, 1, 92, 10)),
    xml_object("3", "4", box=(51, 26, 100, 50)),
    xml_object("9", box=(51, 1, 60, 10)),
)
SENTENCES = (
    "[/EN#1/people A man] and [/EN#2/bodyparts his hand] .\n"
    "[/EN#1/people He] and [/EN#3/animals a dog] , [/EN#4/animals/other a pet] , [/EN#0/notvisual it] .\n"
)
MAN, DOG = [0, 0, 0.5, 1], [0.5, 0.5, 1, 1]


@pytest.fixture
def flickr(flickr_root: MakeRoot, tmp_path: Path) -> Callable[..., Dataset]:
    root = flickr_root({"1": SENTENCES, "2": SENTENCES}, {"1": NOTES, "2": NOTES})
    images = [stored_image("1", [MAN, DOG]), stored_image("2", [MAN])]
    store = write_region_store(tmp_path / "features.h5", images, ["a", "b"], "made up")
    return lambda **options: load_flickr30k_entities(root, **({"regions": store} | options))


def table(frame: pd.DataFrame, by: str) -> dict[str, tuple[int, int]]:
    rows = frame[frame["by"] == by]
    return {
        group: (n, matched)
        for group, n, matched in zip(*(rows[c] for c in ("group", "n", "matched")), strict=True)
    }


def test_shares_by_entity_type_and_size(flickr: Callable[..., Dataset]) -> None:
    frame = region_coverage(flickr())
    assert list(frame.columns) == [
        "by", "group", "n", "matched", "share", "lo", "hi", "n_images", "unit", "threshold", "seed",
    ]  # fmt: skip
    assert table(frame, "all") == {"": (8, 3)}, "four boxes a picture, one of them of no phrase"
    assert table(frame, "type") == {"animals": (2, 1), "bodyparts": (2, 0), "other": (2, 1), "people": (2, 2)}
    assert table(frame, "area") == {"0 to 0.5 %": (2, 0), "0.5 to 2 %": (2, 0)} | {
        "8 to 32 %": (2, 1), "32 to 100 %": (2, 2)
    }  # fmt: skip
    assert frame["share"].tolist() == (frame["matched"] / frame["n"]).tolist()
    assert set(frame["unit"]) == {"box"} and set(frame["n_images"]) == {2}
    assert set(frame["threshold"]) == {0.5}
    people = frame[frame["group"] == "people"].iloc[0]
    assert (people["lo"], people["hi"]) == (1, 1)
    animals = frame[frame["group"] == "animals"].iloc[0]
    assert 0 <= animals["lo"] < 0.5 < animals["hi"] <= 1


def test_captions_of_one_picture_count_its_boxes_once(flickr: Callable[..., Dataset]) -> None:
    whole, first = flickr(), flickr(limit=1)
    assert table(region_coverage(Splits([whole[:2], whole[2:]])), "type") == table(
        region_coverage(whole), "type"
    )
    frame = region_coverage(first)
    assert table(frame, "type") == {"bodyparts": (1, 0), "people": (1, 1)}, "the dog is in no loaded phrase"
    assert table(frame, "all") == {"": (4, 2)}
    assert frame["lo"].isna().all(), "one picture has no interval"


def test_the_threshold_is_that_of_the_data_set(flickr: Callable[..., Dataset]) -> None:
    frame = region_coverage(flickr(threshold=1.0))
    assert set(frame["threshold"]) == {1.0} and table(frame, "all") == {"": (8, 3)}, "the boxes are exact"


def test_areas_and_seed_are_parameters(flickr: Callable[..., Dataset]) -> None:
    assert table(region_coverage(flickr(), areas=(0.5,)), "area") == {
        "0 to 50 %": (6, 1),
        "50 to 100 %": (2, 2),
    }, "the lower bound belongs to the bin"
    assert set(region_coverage(flickr(), seed=3)["seed"]) == {3}


def test_shares_by_side_of_a_relation(vg_root: MakeRoot, tmp_path: Path) -> None:
    objects = [
        vg_object(1, 0, 0, 50, 50, "man"),
        vg_object(2, 90, 0, 2, 10, "hand"),
        vg_object(3, 50, 25, 50, 25, "dog"),
        vg_object(4, 50, 26, 50, 24, "puppy"),
    ]
    relations = [
        vg_relation(1, "has", 2),
        vg_relation(1, "near", 3),
        vg_relation(3, "near", 1),
        vg_relation(3, "is", 4),
        vg_relation(2, "on", 1),
    ]
    root = vg_root({1: (objects, relations, [vg_region(1, "a"), vg_region(2, "b")])})
    store = write_region_store(tmp_path / "f.h5", [stored_image("1", [MAN, DOG])], ["a", "b"], "")
    data = load_visual_genome(root, regions=store)
    frame = region_coverage(data, predicates=2)
    assert table(frame, "all") == {"": (4, 3)}
    # "has" and "is" are as frequent as "on"; the first by the alphabet is shown beside "near".
    assert table(frame, "subject") == {"near": (2, 2), "has": (1, 1), "all others": (2, 1)}
    assert table(frame, "object") == {"near": (2, 2), "has": (1, 0), "all others": (2, 2)}
    assert table(frame, "relation") == {"near": (2, 2), "has": (1, 0), "all others": (2, 0)}, (
        "dog and puppy are one region, which is no pair"
    )
    assert set(frame[frame["by"] == "relation"]["unit"]) == {"relation"}
    kept = sum(frame[frame["by"] == "relation"]["matched"])
    assert kept == len(data[0].relations), "what is matched is what the examples have"


def test_without_features_there_is_nothing_to_match(flickr: Callable[..., Dataset]) -> None:
    with pytest.raises(ValueError, match=r"loaded without region features.*Load it with regions="):
        region_coverage(flickr(regions=None))
    with pytest.raises(ValueError, match=r"have the thresholds \[0\.5, 0\.7\]; expected one for all"):
        region_coverage(Splits([flickr(), flickr(threshold=0.7)]))
    for areas in ((0.5, 0.2), (0.0, 0.5), (0.5, 1.0), (np.nan,)):
        with pytest.raises(ValueError, match="expected ascending shares above 0 and below 1"):
            region_coverage(flickr(), areas=areas)
    for predicates in (0, 1.5, True):
        with pytest.raises(ValueError, match="expected a whole number of at least 1"):
            region_coverage(flickr(), predicates=predicates)  # type: ignore[arg-type]
