"""Databases written by the original tools, against what the original readers gave.

From the code of ChenRocks/UNITER (its LMDB writer and reader, in all four settings, and its text database)
and airsplay/lxmert (its TSV writer and loader); the expected arrays are those readers' own output.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from value_nb.data.features import RegionChoice, UniterText, convert_features, open_features
from value_nb.data.problems import DataFormatError

FILES = Path(__file__).parent.parent / "files"
DATABASES = FILES / "uniter_db" / "img_db" / "flickr30k"
TSV = FILES / "lxmert_tsv" / "val_obj36.tsv"


@pytest.fixture(scope="module")
def uniter() -> dict[str, np.ndarray]:
    with np.load(FILES / "uniter_db" / "expected.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        ("feat_th0.2_max100_min10", "th"),
        ("feat_th0.2_max100_min10_compressed", "th_compressed"),
        ("feat_numbb6", "numbb6"),
        ("all", "th"),
    ],
)
def test_uniter_image_databases(uniter: dict[str, np.ndarray], folder: str, key: str) -> None:
    source = open_features(DATABASES / folder)
    assert source.format == "uniter-lmdb"
    assert source.image_ids == tuple(f"flickr30k_{n:012d}.npz" for n in (101, 102, 103))
    for image in source:
        place = uniter[f"{key}/{image.image_id}/img_pos_feat"]
        np.testing.assert_array_equal(image.features, uniter[f"{key}/{image.image_id}/img_feat"])
        np.testing.assert_array_equal(image.boxes, place[:, :4])
        confidence = uniter[f"dump/{image.image_id}/conf"][:, 0]
        soft = uniter[f"dump/{image.image_id}/soft_labels"]
        rows = len(image.boxes)
        np.testing.assert_array_equal(image.confidence, confidence[:rows])
        np.testing.assert_array_equal(image.class_id, soft[:rows, 1:].argmax(axis=1))
        assert image.size is None


def test_the_choice_of_regions_from_all(uniter: dict[str, np.ndarray]) -> None:
    source = open_features(DATABASES / "all", choice=RegionChoice(threshold=0.5, most=5, least=2))
    for image in source:
        above = int((uniter[f"dump/{image.image_id}/conf"] > 0.5).sum())
        assert len(image.boxes) == min(5, max(2, above))
    assert {len(image.boxes) for image in source} > {5}, "the rule, not one of its bounds alone"
    confidence = np.array([0.5, 0.2, 0.2, 0.1], np.float16)
    assert RegionChoice(0.2, 100, 0).count(confidence) == 1, "strictly above, in float16"
    assert RegionChoice(0.19, 100, 0).count(confidence) == 3
    with pytest.raises(
        ValueError, match=r"choice=.* came for 'feat_numbb6', whose regions are chosen already"
    ):
        open_features(DATABASES / "feat_numbb6", choice=RegionChoice())
    with pytest.raises(ValueError, match="in the format lxmert-tsv; it is for UNITER databases"):
        open_features(TSV, choice=RegionChoice())
    with pytest.raises(ValueError, match="expected a threshold in"):
        RegionChoice(2.0)


def test_lxmert_tsv() -> None:
    with np.load(FILES / "lxmert_tsv" / "expected.npz", allow_pickle=False) as file:
        expected = dict(file)
    source = open_features(TSV)
    assert source.format == "lxmert-tsv"
    assert source.image_ids == ("COCO_val2014_000000000042", "1000092795")
    for image in source:

        def part(name: str, image_id: str = image.image_id) -> np.ndarray:
            return expected[f"{image_id}/{name}"]

        assert image.size == (int(part("img_w")), int(part("img_h")))
        np.testing.assert_array_equal(image.boxes, part("norm_boxes"))
        np.testing.assert_array_equal(image.features, part("features"))
        np.testing.assert_array_equal(image.confidence, part("objects_conf"))
        np.testing.assert_array_equal(image.class_id, part("objects_id"))


def test_converted_samples(tmp_path: Path, uniter: dict[str, np.ndarray]) -> None:
    store = convert_features(DATABASES / "feat_th0.2_max100_min10", tmp_path / "u.h5", progress=False)
    assert store.image_ids == ("101", "102", "103") and store.size("101") is None
    for image_id in store:
        key = f"th/flickr30k_{int(image_id):012d}.npz"
        np.testing.assert_array_equal(store[image_id].features, uniter[f"{key}/img_feat"])
        np.testing.assert_array_equal(store[image_id].boxes, uniter[f"{key}/img_pos_feat"][:, :4])
    store = convert_features(TSV, tmp_path / "l.h5", progress=False)
    assert store.image_ids == ("42", "1000092795") and store.size("42") == (640, 480)


def test_uniter_text_database() -> None:
    folder = FILES / "uniter_db" / "txt_db" / "itm_flickr30k_test.db"
    text = UniterText(folder)
    assert text.ids == ("0", "1", "2", "3") and len(text) == 4
    first = text.read("0")
    assert first.image_ids == ("flickr30k_000000000101.npz",)
    assert first.input_ids == (138, 1299, 1107, 170, 2653)
    assert first.extra == {"raw": "A man in a shirt"}
    assert [record.id for record in text.captions("flickr30k_000000000101.npz")] == ["0", "1"]
    assert {record.id: len(record.input_ids) for record in text} == {"0": 5, "1": 3, "2": 62, "3": 2}
    assert (text.meta["bert"], text.meta["CLS"]) == ("bert-base-cased", 101)
    assert text.txt2img["3"] == "flickr30k_000000000103.npz"
    assert text.img2txts == text._turned()
    with pytest.raises(KeyError, match="no caption '9'; expected one of its 4 keys"):
        text.read("9")
    with pytest.raises(KeyError, match="no captions of 'x'"):
        text.captions("x")
    with pytest.raises(ValueError, match="is a UNITER text database: it holds captions"):
        open_features(folder)


def test_a_damaged_text_database(tmp_path: Path) -> None:
    from .writers import write_lmdb

    folder = write_lmdb(tmp_path / "a.db", {b"0": b"\x04\x22\x4d\x18 and so on", b"1": b"x"})
    for key in ("0", "1"):
        with pytest.raises(
            DataFormatError, match=rf"data\.mdb, caption {key}: it (cannot be unpacked|is cut short)"
        ):
            UniterText(folder).read(key)
    (folder / "meta.json").write_text("{")
    with pytest.raises(DataFormatError, match=r"meta\.json: it is no JSON"):
        UniterText(folder)
    with pytest.raises(FileNotFoundError, match="expected a UNITER text database"):
        UniterText(tmp_path)
