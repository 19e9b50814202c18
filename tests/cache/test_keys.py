"""Keys: the same content gives the same key in any process, and any change in it another one."""

from __future__ import annotations

import copy
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import tiny_examples, tiny_model
from value_nb.ablation import ablate_heads, without_image
from value_nb.cache import keys
from value_nb.cache.content import NotKeyable, digest
from value_nb.data.example import Example, Phrase, Relation
from value_nb.models.base import VLModel
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.fusion import FusionDegree
from value_nb.probes.linguistic import LinguisticProbe


@pytest.fixture(scope="module")
def model() -> VLModel:
    return tiny_model("uniter", seed=0)


@pytest.fixture(scope="module")
def example() -> Example:
    found = tiny_examples(1, words=(5, 5), regions=(4, 4))[0]
    return dataclasses.replace(
        found,
        phrases=(Phrase(0, 1, "7", ("people",), (2,)),),
        relations=(Relation(0, "on", 1),),
        size=(30, 20),
        dataset="toy",
        split="test",
        extra={"scene": frozenset({"a", "b"}), "boxes": np.eye(2), "gold": {"x": (1, 2)}},
    )


SAID = """
from tests.tiny import tiny_examples, tiny_model
from value_nb.cache import keys
from value_nb.cache.content import digest
from value_nb.probes.fusion import FusionDegree

parts = [keys.of_model(tiny_model("uniter", seed=0)), keys.of_examples(tiny_examples(3))]
said = digest(*parts, keys.of_probe(FusionDegree()), {"a": frozenset("abcdef")})
"""


def test_the_same_in_another_process() -> None:
    here: dict[str, Any] = {}
    exec(SAID, here)
    environ = {**os.environ, "PYTHONHASHSEED": "1"}  # sets and dicts of text come in another order
    command = [sys.executable, "-c", SAID + "print(said)"]
    root = Path(__file__).resolve().parents[2]
    there = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, env=environ)
    assert there.stdout.strip() == here["said"]


CHANGES: dict[str, Callable[[Example], dict[str, Any]]] = {
    "id": lambda e: {"id": "other"},
    "image_id": lambda e: {"image_id": "other"},
    "caption": lambda e: {"caption": e.caption + " ."},
    "words": lambda e: {"words": (*e.words[:-1], "hat2")},
    "size": lambda e: {"size": (30, 21)},
    "label": lambda e: {"label": "NN"},
    "dataset": lambda e: {"dataset": "toys"},
    "split": lambda e: {"split": "val"},
    "no regions": lambda e: {"regions": None},
    "phrases": lambda e: {"phrases": (dataclasses.replace(e.phrases[0], regions=(1,)),)},
    "relations": lambda e: {"relations": (Relation(1, "on", 0),)},
    "a set": lambda e: {"extra": {**e.extra, "scene": frozenset({"a", "c"})}},
    "an array": lambda e: {"extra": {**e.extra, "boxes": np.eye(2) * (1 + 1e-12)}},
    "inside": lambda e: {"extra": {**e.extra, "gold": {"x": (1, 3)}}},
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_of_an_example_counts(name: str, example: Example) -> None:
    before = keys.of_examples([example])
    assert keys.of_examples([copy.deepcopy(example)]) == before
    assert keys.of_examples([dataclasses.replace(example, **CHANGES[name](example))]) != before


@pytest.mark.parametrize("part", ["boxes", "features", "confidence"])
def test_one_number_of_the_regions_counts(part: str, example: Example) -> None:
    regions = example.regions
    assert regions is not None
    values = getattr(regions, part)
    other = np.full(len(regions), 0.5, dtype=np.float32) if values is None else np.nextafter(values, 2)
    changed = dataclasses.replace(example, regions=dataclasses.replace(regions, **{part: other}))
    assert keys.of_examples([changed]) != keys.of_examples([example])


def test_order_and_number_of_examples_count() -> None:
    a, b = tiny_examples(2)
    found = {keys.of_examples(part) for part in ([a, b], [b, a], [a], [a, a], [])}
    assert len(found) == 5
    assert keys.of_examples((a, b)) == keys.of_examples([a, b])


def test_of_a_picture_the_bytes_count_where_the_model_sees_them(tmp_path: Path, example: Example) -> None:
    def keyed(content: bytes, pixels: bool, name: str = "p.png") -> str:
        (tmp_path / name).write_bytes(content)
        return keys.of_examples([dataclasses.replace(example, image=tmp_path / name)], pixels)

    assert keyed(b"abc", True) != keyed(b"abd", True)
    assert keyed(b"abc", True) == keyed(b"abc", True, "q.png")
    assert keyed(b"abc", False) == keyed(b"abd", False) != keyed(b"abcd", False)
    gone = dataclasses.replace(example, image=tmp_path / "none.png")
    assert keys.of_examples([gone], True) == keys.of_examples([gone], True)


def test_a_stream_has_no_key(example: Example) -> None:
    with pytest.raises(NotKeyable, match="are a stream"):
        keys.of_examples(iter([example]))  # type: ignore[arg-type]


def test_a_data_set_counts_by_what_it_holds() -> None:
    import value_nb as vnb

    first, again = (vnb.load_dataset("mini-flickr30k", limit=4) for _ in range(2))
    assert keys.of_examples(first) == keys.of_examples(again) == keys.of_examples(again[:])
    assert keys.of_examples(first) != keys.of_examples(first[:3])
    assert keys.of_examples(first) != keys.of_examples(first.without_features())


def test_a_weight_that_changes_in_place_changes_the_key(model: VLModel) -> None:
    changed = copy.deepcopy(model)
    before = keys.of_model(changed)
    assert before == keys.of_model(model)
    weight = next(changed.module.parameters())
    with torch.no_grad():
        old = weight.view(-1)[3].item()
        weight.data.view(-1)[3] = float(np.nextafter(np.float32(old), np.float32(9)))
    assert keys.of_model(changed) != before
    weight.data.view(-1)[3] = old
    assert keys.of_model(changed) == before


MODEL_CHANGES: dict[str, Callable[[VLModel], object]] = {
    "name": lambda m: setattr(m, "name", "other"),
    "weights": lambda m: setattr(m, "weights", "random:1"),
    "card": lambda m: setattr(m, "card", {**m.card, "gate_met": False}),
    "word pieces": lambda m: m.words.tokenizer.add_tokens(["new"]),
    "number type": lambda m: m.module.double(),
    "training mode": lambda m: m.module.train(),
    "a hook": lambda m: m.module.register_forward_hook(print_shape),
}


def print_shape(module: object, inputs: object, outputs: object) -> None:
    print(type(outputs))


@pytest.mark.parametrize("name", MODEL_CHANGES)
def test_everything_of_a_model_counts(name: str, model: VLModel) -> None:
    changed = copy.deepcopy(model)
    MODEL_CHANGES[name](changed)
    assert keys.of_model(changed) != keys.of_model(model)


def test_where_a_models_files_lie_does_not_count(model: VLModel) -> None:
    moved = copy.deepcopy(model)
    moved.notes = ("word pieces from /elsewhere/vocab.txt",)
    assert keys.of_model(moved) == keys.of_model(model)
    with without_image(moved) as blind, without_image(model) as other:
        assert keys.of_model(blind) == keys.of_model(other)


def test_running_a_model_leaves_its_key(model: VLModel) -> None:
    before = keys.of_model(model)
    model.run(model.prepare(tiny_examples(2)))
    assert keys.of_model(model) == before


def test_models_of_other_shapes_and_seeds_differ() -> None:
    found = [tiny_model(family, seed=0) for family in ("uniter", "lxmert", "vilbert", "bert")]
    found += [tiny_model("uniter", seed=1), found[0].with_random_weights(5), found[0].with_random_weights(6)]
    assert len({keys.of_model(one) for one in found}) == len(found)


def test_what_was_taken_away_counts(model: VLModel) -> None:
    reference, other = tiny_examples(2, seed=1), tiny_examples(2, seed=2)
    blocks = [
        without_image(model),
        ablate_heads(model, [("joint", 1, 0)]),
        ablate_heads(model, [("joint", 1, 1)]),
        ablate_heads(model, [("joint", 1, 0)], how="mean", reference=reference),
        ablate_heads(model, [("joint", 1, 0)], how="mean", reference=other),
    ]
    found = {keys.of_model(model)}
    for block in blocks:
        with block as changed:
            found.add(keys.of_model(changed))
    assert len(found) == 1 + len(blocks)


def test_what_is_no_model_has_no_key() -> None:
    with pytest.raises(NotKeyable, match="object is no VLModel"):
        keys.of_model(object())  # type: ignore[arg-type]


def test_settings_and_seed_of_a_probe_count_and_what_it_has_seen_does_not() -> None:
    plain = keys.of_probe(FusionDegree())
    assert plain == keys.of_probe(FusionDegree()) == keys.of_probe(FusionDegree().fresh(0))
    assert plain != keys.of_probe(FusionDegree().fresh(1))
    assert plain != keys.of_probe(CrossModalHeads())
    assert keys.of_probe(LinguisticProbe()) != keys.of_probe(LinguisticProbe(grid=(0.1,)))
    renamed = FusionDegree()
    renamed.name = "other"
    assert keys.of_probe(renamed) != plain


def test_kind_libraries_and_arithmetic_are_in_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(one.startswith("torch ") and one[6].isdigit() for one in keys.libraries())
    before = keys.key("a", 1)
    assert before == keys.key("a", 1)
    assert len({before, keys.key("b", 1), keys.key("a", 2), keys.key("a", 1, None), keys.key("a", "1")}) == 5
    monkeypatch.setattr(keys, "libraries", lambda: ("torch 0.0",))
    other = keys.key("a", 1)
    monkeypatch.setattr(keys, "arithmetic", lambda: ("64 threads",))
    assert len({before, other, keys.key("a", 1)}) == 3


def test_files_count_by_name_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    before = keys.of_files(tmp_path)
    (tmp_path / ".hidden").write_text("3")
    assert keys.of_files(tmp_path) == before
    (tmp_path / "b").write_text("4")
    changed = keys.of_files(tmp_path)
    (tmp_path / "b").rename(tmp_path / "c")
    assert len({before, changed, keys.of_files(tmp_path)}) == 3
    assert keys.of_files(tmp_path, skip=("c",)) == keys.of_files(tmp_path, skip=("c", "none"))
    assert keys.of_files(tmp_path, skip=("deep",)) != keys.of_files(tmp_path)


@dataclasses.dataclass(frozen=True)
class Setting:
    a: int = 1


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a: int) -> None:
        self.a = a


DIFFERENT: list[tuple[Any, Any]] = [
    (1, 1.0), (1, True), ("1", 1), (b"1", "1"), (None, "None"), ((1, 2), [1, 2]), ((1, (2,)), ((1, 2),)),
    ({"a": 1}, {"a": 2}), ({1, 2}, {1, 3}), (["ab", "c"], ["a", "bc"]), (np.eye(2), np.eye(2) * 2),
    (np.zeros(2, "f4"), np.zeros(2, "f8")), (np.zeros((2, 3)), np.zeros((3, 2))), (Setting(1), Setting(2)),
    (Slotted(1), Slotted(2)), (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
    (torch.tensor(1.0), torch.tensor(2.0)), (float("nan"), 0.0), (np.float32(1), np.float64(1)),
    (Path("a"), "a"), (range(3), range(4)), (np.array(["a", None]), np.array(["a", "b"], dtype=object)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), DIFFERENT, ids=[str(place) for place in range(len(DIFFERENT))])
def test_different_values_have_different_digests(a: Any, b: Any) -> None:
    assert digest(a) != digest(b)
    assert digest(a) == digest(copy.deepcopy(a)) and digest(b) == digest(copy.deepcopy(b))


def test_what_cannot_be_looked_into_says_where_it_is() -> None:
    class Holder:
        def __init__(self) -> None:
            self.stream = iter([1])

    with pytest.raises(NotKeyable, match=r"Holder.stream: .*list_iterator came, which cannot be looked into"):
        digest([Holder()])


def test_a_value_that_holds_itself_has_a_digest() -> None:
    own: list[Any] = [1]
    own.append(own)
    other: list[Any] = [2]
    other.append(other)
    assert digest(own) == digest(own) != digest(other)
