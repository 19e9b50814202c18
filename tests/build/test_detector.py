from __future__ import annotations

import numpy as np
import pytest
import torch

from data.build import detector
from data.build.corpus import make_picture
from data.build.render import render
from data.build.scenes import sample_scene
from data.build.world import HEIGHT, WIDTH

PICTURE = make_picture("d-1", 2)


def test_every_picture_has_the_same_number_of_regions_annotated_ones_first():
    for i in range(10):
        scene = sample_scene(f"d-{i}", 2)
        boxes, annotated = detector.propose(scene, 2)
        assert boxes.shape == (detector.REGIONS, 4)
        assert annotated == len(scene.things)
        np.testing.assert_allclose(boxes[:annotated], [t.annotated_box for t in scene.things], rtol=1e-6)
        assert (boxes[:, :2] < boxes[:, 2:]).all()
        assert boxes.min() >= 0
        assert (boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()


def test_annotated_boxes_carry_their_class_and_far_boxes_none():
    things = PICTURE.scene.things
    assert [detector.CLASS_NAMES[c] for c in PICTURE.labels[: len(things), 0]] == [t.cls for t in things]
    boxes = np.array([[0, 0, 12, 12], *(t.annotated_box for t in things)], np.float32)[::-1]
    far = detector.labels(PICTURE.scene, np.concatenate([boxes[:-1][::-1], boxes[-1:]]), len(things))[-1]
    assert far.tolist() == [len(detector.CLASS_NAMES) - 1, 0]


def test_features_come_from_pixels_alone():
    torch.manual_seed(0)
    model = detector.Describer().eval()
    crops = detector.crops(render(PICTURE.scene), PICTURE.boxes)
    assert (crops == PICTURE.crops).all()
    features, classes, confidence, colours = detector.describe(model, crops)
    assert features.shape == (detector.REGIONS, detector.FEATURES)
    assert classes.shape == confidence.shape == colours.shape == (detector.REGIONS,)
    again = detector.describe(model, crops[:3])[0]
    np.testing.assert_allclose(again, features[:3], atol=2e-3)


def test_training_lowers_the_error_and_is_repeatable(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=512)
    images = np.where(labels[:, None, None, None] == 1, 220, 30) + rng.integers(0, 20, size=(512, 32, 32, 3))
    targets = np.stack([labels, np.zeros_like(labels)], axis=1)
    first = detector.fit(images.astype(np.uint8), targets, epochs=4, seed=1)
    second = detector.fit(images.astype(np.uint8), targets, epochs=4, seed=1)
    found = detector.describe(first, images.astype(np.uint8))
    assert (found[1] == labels).mean() > 0.95
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    detector.save(first, tmp_path / "d.safetensors")
    loaded = detector.load(tmp_path / "d.safetensors")
    assert (detector.describe(loaded, images.astype(np.uint8))[0] == found[0]).all()


def test_the_number_of_threads_outside_changes_no_weight():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, size=(256, 32, 32, 3), dtype=np.uint8)
    targets = rng.integers(0, 2, size=(256, 2))
    before, fitted = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            fitted.append(detector.fit(images, targets, epochs=2, seed=1))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one, two = (model.parameters() for model in fitted)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_more_things_than_regions_is_an_error(monkeypatch):
    monkeypatch.setattr(detector, "REGIONS", 3)
    with pytest.raises(ValueError, match="annotated things"):
        detector.propose(PICTURE.scene, 0)
