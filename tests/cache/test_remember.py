"""Functions that look their answers up: hits, misses, what is not kept, and that both answers are equal."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
import torch

from tests.tiny import tiny_examples, tiny_model
from value_nb.cache import keys, remember
from value_nb.cache import store as stores
from value_nb.cache.codecs import PLAIN, TABLE
from value_nb.cache.content import NotKeyable, Stale
from value_nb.cache.remember import kept, remembered
from value_nb.cache.store import Store
from value_nb.data.example import Example
from value_nb.models.base import VLModel

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@kept("counted", PLAIN)
def counted(
    model: VLModel, examples: Sequence[Example], k: int = 1, progress: bool = True, cache: bool = True
) -> list[Any]:
    CALLS.append("counted")
    if k < 0:
        raise ValueError("k is below 0")
    return [model.name, len(list(examples)), k]


@pytest.fixture(scope="module")
def model() -> VLModel:
    return tiny_model("uniter", seed=0)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return tiny_examples(3)


def test_the_second_call_computes_nothing(store: Store, model: VLModel, examples: list[Example]) -> None:
    first = counted(model, examples)
    assert counted(model, examples, 1, progress=False) == first == ["tiny-uniter", 3, 1]
    assert len(CALLS) == 1
    ((_, note),) = store.manifests()
    about = note["about"]
    assert (about["kind"], about["model"], about["n"]) == ("counted", "tiny-uniter", 3)
    assert about["seconds"] >= 0 and about["version"]


def test_another_process_would_find_it(store: Store, model: VLModel, examples: list[Example]) -> None:
    counted(model, examples)
    counted(copy.deepcopy(model), copy.deepcopy(examples))
    assert len(CALLS) == 1


def test_what_changed_is_computed(
    store: Store, model: VLModel, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(model, examples)
    counted(model, examples, k=2)
    counted(model, examples[:2])
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.module.parameters()).add_(1e-3)
    counted(other, examples)
    assert len(CALLS) == 4
    real = keys.of_code
    monkeypatch.setattr(keys, "of_code", lambda one: "changed" if one.__name__ == "counted" else real(one))
    counted(model, examples)
    assert len(CALLS) == 5 and len(list(store.manifests())) == 5


def test_cache_false_neither_looks_nor_keeps(store: Store, model: VLModel, examples: list[Example]) -> None:
    counted(model, examples, cache=False)
    assert not store.folder.exists()
    counted(model, examples)
    counted(model, examples, cache=False)
    assert len(CALLS) == 3


def test_off_neither_looks_nor_keeps(
    store: Store, model: VLModel, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stores.VARIABLE, "off")
    counted(model, examples)
    counted(model, examples)
    assert len(CALLS) == 2 and not store.folder.exists()


def test_a_stream_is_computed_and_not_kept(store: Store, model: VLModel, examples: list[Example]) -> None:
    for _ in range(2):
        assert counted(model, (one for one in examples)) == ["tiny-uniter", 3, 1]  # type: ignore[arg-type]
    assert len(CALLS) == 2 and not store.folder.exists()


def test_an_error_is_the_functions_own_and_is_not_kept(
    store: Store, model: VLModel, examples: list[Example]
) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="k is below 0"):
            counted(model, examples, k=-1)
    assert len(CALLS) == 2 and list(store.manifests()) == []
    with pytest.raises(TypeError, match="missing a required argument: 'examples'"):
        counted(model)  # type: ignore[call-arg]


def test_a_damaged_entry_is_computed_again_and_reported(
    store: Store, model: VLModel, examples: list[Example]
) -> None:
    first = counted(model, examples)
    (entry,) = store.entries.iterdir()
    (entry / "value.json").write_text("[1]")
    with pytest.warns(UserWarning, match="value.json was changed"):
        assert counted(model, examples) == first
    assert len(CALLS) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert counted(model, examples) == first
    assert len(CALLS) == 2


def test_a_full_disk_costs_the_entry_and_not_the_answer(
    store: Store, model: VLModel, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stores, "seal", full)
    with pytest.warns(UserWarning, match=r"computed but was not kept .*is full \(No space left on device\)"):
        assert counted(model, examples) == ["tiny-uniter", 3, 1]
    assert list(store.entries.iterdir()) == []


def test_an_answer_that_would_not_come_back_is_given_and_not_kept(store: Store) -> None:
    table = pd.DataFrame({"a": [(1, 2)]})
    with pytest.warns(UserWarning, match="not kept for the next run: a cell of tuple came"):
        assert remembered("odd", [1], lambda: table, TABLE) is table
    assert list(store.entries.iterdir()) == []


def test_nothing_is_an_answer_too(store: Store) -> None:
    for _ in range(2):
        assert remembered("nothing", [1], lambda: CALLS.append("x"), PLAIN) is None
    assert len(CALLS) == 1


def test_code_that_changed_under_a_running_kernel_is_said(store: Store) -> None:
    def parts() -> list[Any]:
        raise Stale("own.py was changed after it was loaded; restart the kernel")

    with pytest.warns(UserWarning, match="neither looked up nor kept: own.py was changed"):
        assert remembered("x", parts, lambda: 3, PLAIN) == 3


def test_more_that_an_answer_depends_on(store: Store) -> None:
    files = ["a"]

    @kept("more", PLAIN, lambda name, **_: [name, *files])
    def more(name: str, cache: bool = True) -> str:
        CALLS.append(name)
        return name

    assert [more("x"), more("x")] == ["x", "x"] and len(CALLS) == 1
    files.append("b")
    more("x")
    assert len(CALLS) == 2

    @kept("never", PLAIN, lambda **_: (_ for _ in ()).throw(NotKeyable("no files")))
    def never(cache: bool = True) -> int:
        CALLS.append("never")
        return 1

    never(), never()
    assert CALLS.count("never") == 2


def test_a_picture_counts_by_its_bytes_for_a_model_of_pixels(examples: list[Example]) -> None:
    seen: list[bool] = []

    class Pixels:
        picture_input = "pixels"

    def spy(_: Any, pixels: bool = False) -> str:
        seen.append(pixels)
        return ""

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("value_nb.cache.keys.of_examples", spy)
        remember._parts(len, {"model": Pixels(), "examples": examples}, None)
        remember._parts(len, {"model": object(), "examples": examples}, None)
    assert seen == [True, False]
