"""From files as they are published, with features of detectors, to results of a sweep."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import tiny_model
from value_nb.data.region_coverage import region_coverage
from value_nb.data.registry import load_dataset
from value_nb.data.splits import load_splits
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.relations import RelationProbe
from value_nb.sweep import sweep

from . import real_layouts as made

ALL_IDS = made.all_ids()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("real")
    made.write_flickr(base / "flickr30k_entities")
    made.write_senteval(base / "SentEval")
    for release in made.RELEASES:
        made.write_visual_genome(base / f"vg{release}", release)
    made.write_lxmert_tsv(base / "all_obj36.tsv", ALL_IDS)
    for collection in ("flickr30k", "vg", "coco_val2014"):
        made.write_uniter_lmdb(base / "img_db" / collection / "feat_numbb5", collection, ALL_IDS)
    return base


def features(base: Path, kind: str) -> Path:
    return base / "all_obj36.tsv" if kind == "lxmert" else base / "img_db" / kind / "feat_numbb5"


@pytest.mark.parametrize("kind", ["lxmert", "flickr30k"])
def test_flickr_with_features_of_a_detector(base: Path, kind: str) -> None:
    root = base / "flickr30k_entities"
    data = load_dataset("flickr30k-entities", root=root, regions=features(base, kind), strict=True)
    assert len(data) == 4 * 5 - 1
    first = pickle.loads(pickle.dumps(data))[0]
    assert first.id == f"{ALL_IDS[12]}#1"
    assert first.caption == "A man holds a dog near a big man ."
    assert [(p.chain, p.types, p.regions) for p in first.phrases] == [
        ("220", ("people",), (0,)),
        ("221", ("animals",), (1,)),
        ("222", ("people", "other"), (2,)),
    ]
    assert [p.regions for p in data[1].phrases] == [(0,), ()], "the detector missed the hat"
    assert [p.regions for p in data[3].phrases] == [(0, 2), (0, 2), ()], "both men, twice, and the scene"
    assert first.regions is not None and first.regions.features is not None
    assert first.regions.sources == ("annotated",) * 4 + ("detected",), "four are linked to a box"
    boxes, vectors = made.detected(ALL_IDS[12])
    np.testing.assert_allclose(first.regions.boxes, boxes / [200, 100, 200, 100], atol=1e-3)
    np.testing.assert_allclose(first.regions.features, vectors, atol=2e-3)
    strictest = load_dataset("flickr30k-entities", root=root, regions=features(base, kind), threshold=0.99)
    assert not any(phrase.regions for example in strictest for phrase in example.phrases)


def test_phrases_from_files_to_results(base: Path) -> None:
    data = load_splits(
        "flickr30k-entities", root=base / "flickr30k_entities", regions=features(base, "lxmert")
    )
    model = tiny_model("uniter", layers=1, heads=2)
    probes = [CoreferenceAttention(permutations=20), CrossModalHeads()]
    results = sweep(model, data, probes, progress=False, controls="none")
    frame = results["coreference_attention"].frame
    assert set(frame["data"]) == {"flickr30k-entities"}
    rates = frame[(frame["measure"] == "hit_rate") & (frame["group"] == "all")]
    # 4 test pictures: mentions of chains with a region are 3 + 1 + 1 + 2 + 2, less the last of one picture.
    assert set(rates["n"]) == {4 * 9 - 2} and set(rates["n_images"]) == {4}
    assert rates["value"].between(0, 1).all()
    assert not results["cross_modal_heads"].frame.empty


@pytest.mark.parametrize("release", list(made.RELEASES))
def test_every_release_of_visual_genome_says_the_same(base: Path, release: str) -> None:
    root, splits = base / f"vg{release}", base / "vg_splits.json"
    for kind in ("lxmert", "vg"):
        data = load_dataset(
            "visual-genome", root=root, regions=features(base, kind), split_file=splits, strict=True
        )
        assert len(data) == 8 and not data.problems.skipped
        first = data[0]  # place 12: its relation is "near", between the upper man and the upper dog
        assert (first.caption, first.words) == ("A man holds a dog.", ("a", "man", "holds", "a", "dog", "."))
        assert [(r.subject, r.predicate, r.object) for r in first.relations] == [(0, "near", 1)]
        assert first.extra["coco_id"] == 12 and data[2].extra["coco_id"] is None
        second = data[2]  # place 13: the lower man holds the lower dog, and is near the hat, which was missed
        assert [(r.subject, r.predicate, r.object) for r in second.relations] == [(2, "holds", 3)]
        assert second.extra["annotated_relations"] == ((2, "holds", 3), (2, "near", 4))
        assert second.extra["relations_unlinked"] == 1
        assert second.regions is not None and second.regions.names[:4] == ("man", "dog", "man", "dog")
        assert second.regions.features is not None


def test_relations_from_files_to_results(base: Path) -> None:
    data = load_splits(
        "visual-genome",
        root=base / "vg1.4",
        regions=features(base, "vg"),
        split_file=base / "vg_splits.json",
    )
    probe = RelationProbe(n_jobs=1, grid=(0.1,))
    frame = sweep(tiny_model("uniter", layers=1, heads=2), data, [probe], progress=False, controls="none")[
        probe.name
    ].frame
    assert set(frame["data"]) == {"visual-genome"}
    asked = frame[(frame["group"] == "VRI, embedding probe") & (frame["measure"] == "accuracy")]
    assert len(asked) and set(asked["n_images"]) == {4}
    assert (asked["n"] >= 8).all(), "a related and an unrelated pair of each test picture"


def test_pictures_in_coco_can_be_left_out(base: Path) -> None:
    options = {"root": base / "vg1.2", "split_file": base / "vg_splits.json"}
    whole, without = (
        load_dataset("visual-genome", "train", exclude_coco=x, **options) for x in (False, True)
    )
    assert [e.extra["coco_id"] for e in whole][::2] == [0, None, None, None, 4, None, None, None]
    assert len(without) == 12 and {e.extra["coco_id"] for e in without} == {None}
    assert not without.problems.skipped


def test_features_of_another_collection_are_refused(base: Path) -> None:
    """Picture 42 of COCO is not picture 42 of Visual Genome, although the numbers are equal."""
    other = features(base, "coco_val2014")
    for name, folder in (("flickr30k-entities", "flickr30k_entities"), ("visual-genome", "vg1.4")):
        with pytest.raises(
            ValueError, match=r"regions of none of the \d+ pictures.*'coco_val2014_001000092795"
        ):
            load_dataset(name, root=base / folder, regions=other, split="train")


def test_senteval_has_ten_tasks(base: Path) -> None:
    from value_nb.data.senteval import FILES

    for task in FILES:
        data = load_dataset(f"senteval/{task}", "train", root=base / "SentEval", strict=True)
        assert len(data) == 12 and data.labels == ("10", "5")
        assert [example.extra["label_index"] for example in data[:3]] == [0, 1, 0]
        assert data[0].caption == "A man holds a dog ."


def test_coverage_of_the_planted_hat(base: Path) -> None:
    """The detector missed every hat and nothing else: clothing 0, the others 1."""
    options = {"root": base / "flickr30k_entities", "regions": features(base, "flickr30k")}
    frame = region_coverage(load_splits("flickr30k-entities", **options))
    share = frame.set_index(["by", "group"])["share"]
    assert share["type"].to_dict() == {"people": 1, "animals": 1, "other": 1, "clothing": 0}
    assert share["all", ""] == pytest.approx(4 / 5)
