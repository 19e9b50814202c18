"""What is easily overlooked in a key: state that is no attribute, code of one name, settings of torch."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import random
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.cache.test_sources import OWN, load, own, write  # noqa: F401
from tests.tiny import tiny_examples, tiny_model
from value_nb.cache import keys, sources
from value_nb.cache.content import NotKeyable, Stale, digest
from value_nb.cache.remember import key_or_none
from value_nb.lab import ROOT


class Named(deque):
    name = "x"


def scaled(x: float, factor: float = 1.0) -> float:
    return x * factor


def bound(factor: int) -> Callable[[int], int]:
    return lambda x: x * factor


PAIRS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "partial functions": lambda: (functools.partial(scaled, factor=1), functools.partial(scaled, factor=2)),
    "their functions": lambda: (functools.partial(scaled, 1), functools.partial(tiny_examples, 1)),
    "generators": lambda: (random.Random(1), random.Random(2)),
    "tables": lambda: (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
    "indices": lambda: (
        pd.DataFrame({"a": ["x", pd.NA]}, index=[3, 4]),
        pd.DataFrame({"a": ["x", pd.NA]}, index=[3, 5]),
    ),
    "a subclass of deque": lambda: (Named([1]), Named([2])),
    "masked arrays": lambda: tuple(np.ma.masked_array([1, 2], mask) for mask in ([0, 1], [1, 0])),
    "names of fields": lambda: tuple(np.zeros(2, dtype=[(name, "f4")]) for name in "ab"),
    "functions of one name": lambda: (lambda x: x * 0, lambda x: x * 1),
    "what they are bound to": lambda: (bound(1), bound(2)),
}


@pytest.mark.parametrize("what", PAIRS)
def test_what_differs_has_another_digest(what: str) -> None:
    one, two = PAIRS[what]()
    assert digest(one) != digest(two)
    assert digest(one) == digest(one)


def test_what_holds_something_that_cannot_be_had_has_no_key() -> None:
    with pytest.raises(NotKeyable):
        digest(iter([1, 2]).__class__.__reduce_ex__.__get__(open(Path(__file__), encoding="utf-8")))  # noqa: SIM115


@pytest.mark.parametrize("change", ["forward", "a function", "an object", "a tensor"])
def test_every_public_attribute_of_a_module_counts(change: str) -> None:
    model = tiny_model("uniter")
    part = model.module
    before = keys.of_model(model)
    if change == "forward":
        part.forward = functools.partial(type(part).forward, part)
    else:
        part.more = {"a function": np.tanh, "an object": range(3), "a tensor": torch.ones(2)}[change]
    with suppress(NotKeyable):  # as good: nothing is kept
        assert keys.of_model(model) != before


def test_two_lambdas_of_one_place_are_two_hooks() -> None:
    hooks = {"zero": lambda m, i, o: None, "as it is": lambda m, i, o: o}
    found = []
    for hook in hooks.values():
        model = tiny_model("uniter")
        model.module.register_forward_hook(hook)
        found.append(keys.of_model(model))
    assert len(set(found)) == 2


def test_a_function_with_a_set_among_its_constants_is_the_same_in_another_process() -> None:
    """Sets of texts come in another order under another hash seed."""
    said = (
        "from value_nb.cache.content import digest; import tests.cache.test_hidden as t; "
        "print(digest(t.of_some_kind))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", said], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=ROOT, check=True,
            capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1


def of_some_kind(kind: str) -> bool:
    return kind in {"people", "clothing", "animals", "vehicles", "scene"}


@pytest.mark.parametrize("imported", ["import value_nb as vnb", "from value_nb import FusionDegree"])
def test_a_file_that_imports_the_kit_depends_on_all_of_it(imported: str, own: Path) -> None:  # noqa: F811
    write(own / "own_helper.py", f"{imported}\n\ndef times(n):\n    return n\n")
    load(own)
    found = sources.closure("own_code")
    assert {"own_code", "own_helper", "value_nb.probes.fusion", "value_nb.sweep"} <= set(found)
    assert not [name for name in found if name.startswith(("value_nb.widgets", "value_nb.cache"))]


def test_a_class_of_before_a_reload_is_refused(own: Path) -> None:  # noqa: F811
    module = load(own)
    old = module.Counted
    write(own / "own_code.py", OWN.replace("times(2)", "times(3)"))
    importlib.reload(module)
    with pytest.raises(Stale, match="was loaded again since its Counted was taken from it"):
        sources.of_code(old)
    assert sources.of_code(module.Counted)


def test_any_library_counts_by_its_version() -> None:
    version = importlib.metadata.version("seaborn")
    assert sources._library("seaborn.matrix") == f"seaborn.matrix {version}"
    assert sources._library("seaborn.matrix") != sources._library("seaborn.utils")


def test_how_torch_computes_is_in_every_key() -> None:
    plain = keys.key("x")
    with torch.autocast("cpu", torch.bfloat16):
        assert keys.key("x") != plain
    torch.set_default_dtype(torch.float64)
    try:
        assert keys.key("x") != plain
    finally:
        torch.set_default_dtype(torch.float32)
    assert keys.key("x") == plain


class Scenes(list):
    """A data set with gold scenes of its own, and with an attribute that another one uses otherwise."""

    parts = ("first half", "second half")

    def __init__(self, examples: Any, scenes: dict[str, str]) -> None:
        super().__init__(examples)
        self.scenes = scenes

    def contradicts(self, example: Any, image_id: str) -> bool:
        return self.scenes.get(example.image_id) != self.scenes.get(image_id)


def test_scenes_of_a_data_set_count() -> None:
    examples = tiny_examples(3)
    one, two = (keys.of_examples(Scenes(examples, {examples[0].image_id: scene})) for scene in "ab")
    assert one != two
    assert keys.of_examples(Scenes(examples[:2], {})) != keys.of_examples(Scenes(examples, {}))


def test_what_refers_to_itself_without_end_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> list[Any]:
        return endless()

    assert key_or_none("x", endless) is None


def test_a_change_of_code_is_said_once_more() -> None:
    def stale() -> list[Any]:
        raise Stale("a.py was changed")

    with pytest.warns(UserWarning, match=r"neither looked up nor kept: a\.py was changed"):
        assert key_or_none("x", stale) is None
