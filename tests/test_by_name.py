from __future__ import annotations

from pathlib import Path

import pytest
import torch

import value_nb as vnb
from tests.tiny import tiny_examples, tiny_model
from value_nb.by_name import is_own, own_function
from value_nb.data.dataset import Dataset
from value_nb.examples import own_data, own_model
from value_nb.models.gated import GatedVL

MODEL = "value_nb.examples.own_model:load"
NAME = "value_nb.examples.own_data:load"


@pytest.mark.parametrize("name", ["a:b", "a.b_c:d", NAME])
def test_names_of_this_form(name: str) -> None:
    assert is_own(name)


@pytest.mark.parametrize(
    "name", ["mini-uniter", "a:b:c", ":b", "a:", "a b:c", "../a:b", "C:\\models", 3, None]
)
def test_names_of_another_form(name: object) -> None:
    assert not is_own(name)


def test_the_function_is_found() -> None:
    assert own_function(NAME) is own_data.load


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module_here:load", "no module 'no_such_module_here'"),
        ("value_nb.examples.no_such:load", r"no module 'value_nb\.examples\.no_such'"),
        ("value_nb.examples.own_data:no_such", "has no function 'no_such'"),
        ("value_nb.examples.own_data:NAME", "has no function 'NAME'"),
        ("plain", "expected module:function"),
    ],
)
def test_what_is_not_there_is_said(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        own_function(name)


def test_an_import_that_fails_inside_the_module_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brings_another.py").write_text("import a_module_that_is_nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_nowhere"):
        own_function("brings_another:load")


def test_a_data_set_by_its_function(tmp_path: Path) -> None:
    root = own_data.write(tmp_path, tiny_examples(3))
    data = vnb.load_dataset(NAME, root=root, limit=2)
    assert isinstance(data, Dataset) and len(data) == 2 and data.name == own_data.NAME
    with pytest.raises(
        ValueError, match=r"threshold=0\.3 came; value_nb\.examples\.own_data:load is called with"
    ):
        vnb.load_dataset(NAME, root=root, threshold=0.3)
    with pytest.raises(ValueError, match="split"):
        vnb.load_dataset(NAME, split="dev", root=root)


def test_a_function_that_returns_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"returned dict; expected a value_nb\.data\.Dataset"):
        vnb.load_dataset("builtins:dict")


def test_a_model_by_its_function(tmp_path: Path) -> None:
    source = tiny_model("uniter")
    assert isinstance(source, GatedVL)
    path = own_model.write(tmp_path, source)
    model = vnb.load_model(MODEL, checkpoint=path, dtype="float64")
    assert model.name == "my-model" and model.dtype == torch.float64
    assert vnb.load_model(MODEL, checkpoint=path, random_weights=3).weights == "random:3"
    for option in ({"seed": 1}, {"task": 2}, {"matching": "rank_output"}, {"config": tmp_path}):
        with pytest.raises(ValueError, match="has no meaning for"):
            vnb.load_model(MODEL, checkpoint=path, **option)
    with pytest.raises(ValueError, match="returned dict; expected a VLModel"):
        vnb.load_model("builtins:dict")


def test_notebooks_can_start_with_such_names() -> None:
    choices = vnb.widgets.Choices("mini-uniter", NAME, 3)
    assert choices.dataset == NAME
