import pytest

from tests.fakes import fake_example
from value_nb.data import splits
from value_nb.data.dataset import Dataset
from value_nb.data.splits import Splits, load_splits


def parts() -> list[Dataset]:
    sizes = {"train": 3, "val": 1, "test": 2}
    return [
        Dataset("small", split, [fake_example(f"{split}{k}", 0, ("a", "b"), 2) for k in range(n)])
        for split, n in sizes.items()
    ]


def test_one_sequence_of_all_parts():
    both = Splits(parts())
    names = [e.id for part in both.parts for e in part]
    assert len(both) == 6 and [e.id for e in both] == names
    assert [both[k].id for k in range(6)] == names and [both[k - 6].id for k in range(6)] == names
    assert [e.id for e in both[2:5]] == names[2:5] and repr(both) == "Splits('small': 3 train, 1 val, 2 test)"
    assert [e.id for e in both.without_features()] == names
    with pytest.raises(IndexError, match="index 6 is outside"):
        both[6]


def test_empty_parts_are_passed_over():
    train, val, test = parts()
    both = Splits([train[:0], val, test[:0]])
    assert [e.id for e in both] == [both[0].id] and repr(Splits([])) == "Splits(nothing)"


def test_limits(monkeypatch):
    asked = []
    monkeypatch.setattr(splits, "load_dataset", lambda *args: asked.append(args) or parts()[0])
    load_splits("x", limit=2)
    load_splits("x", limit={"train": 5}, strict=True)
    assert [a[3] for a in asked] == [2, 2, 2, 5, None, None] and [a[1] for a in asked[:3]] == [
        "train",
        "val",
        "test",
    ]
    assert asked[3][4] is True
    with pytest.raises(ValueError, match=r"limit names \['dev'\]; expected among 'train', 'val', 'test'"):
        load_splits("x", limit={"dev": 3})


def test_some_splits_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(splits, "load_dataset", lambda *args: asked.append(args[1]) or parts()[0])
    load_splits("x", limit={"val": 5}, splits=("val", "test"))
    assert asked == ["val", "test"]
    with pytest.raises(ValueError, match=r"limit names \['train'\]; expected among 'val', 'test'"):
        load_splits("x", limit={"train": 3}, splits=("val", "test"))
    for wrong in ((), ("dev",), "val"):
        with pytest.raises(ValueError, match="expected among 'train', 'val', 'test'"):
            load_splits("x", splits=wrong)


def test_bundled_data():
    both = load_splits("mini-flickr30k", limit=2)
    assert [e.split for e in both] == ["train", "train", "val", "val", "test", "test"]
