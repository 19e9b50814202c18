import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

import value_nb


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_brings_in_nothing_heavy():
    loaded = json.loads(fresh("import sys, json, value_nb; print(json.dumps(sorted(sys.modules)))"))
    heavy = {
        "torch",
        "transformers",
        "matplotlib",
        "pandas",
        "numpy",
        "seaborn",
        "sklearn",
        "scipy",
        "ipywidgets",
    }
    assert not heavy & set(loaded)


def test_published_numbers_need_nothing_heavy_either():
    loaded = json.loads(
        fresh("import sys, json, value_nb; value_nb.paper; print(json.dumps(sorted(sys.modules)))")
    )
    assert not {"torch", "pandas", "matplotlib"} & set(loaded)


NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.xfail(
            name == "widgets" and find_spec("value_nb.widgets") is None,
            reason="has no widgets.py yet",
            strict=True,
        ),
    )
    for name in value_nb.__all__
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name):
    assert getattr(value_nb, name) is not None


@pytest.mark.parametrize("first", ["value_nb.sweep", "value_nb.models.base", "value_nb"])
def test_functions_can_be_called_whatever_was_imported_before(first):
    look = "print(*inspect.signature(vnb.sweep).parameters)"
    code = f"import inspect, {first}, value_nb as vnb; vnb.models(); {look}"
    known = "model data probes batch_size controls progress seed gate cache client"
    assert fresh(code).split() == known.split()


def test_modules_of_the_same_name_can_still_be_imported_from():
    assert (
        fresh(
            "import value_nb as v; v.sweep; from value_nb.collecting import collect; print(collect.__name__)"
        ).strip()
        == "collect"
    )


def test_unknown_names_are_answered_with_the_known():
    with pytest.raises(AttributeError, match=r"value_nb has no 'swep'; it has: .*Example"):
        value_nb.swep  # noqa: B018


def test_dir_lists_the_names():
    assert set(value_nb.__all__) <= set(dir(value_nb))
