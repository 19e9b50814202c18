"""Code in keys: the kit's modules, a user's own file, a class of a notebook; and what has no source."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from value_nb.cache import sources
from value_nb.cache.content import NotKeyable, Stale
from value_nb.cache.sources import closure, of_code, of_function

OWN = """
from own_helper import times

LIMIT = 3

class Counted:
    def rows(self):
        return times(2)

def plain(a, b=1):
    return a + b
"""
HELPER = "def times(n):\n    return n * 2\n"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with two modules of somebody's own, the first of which imports the second."""
    write(tmp_path / "own_code.py", OWN)
    write(tmp_path / "own_helper.py", HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield tmp_path
    forget()


def write(path: Path, text: str, age: float = 3600.0) -> None:
    """A file that is as old as if it had been there before this process."""
    path.write_text(text)
    then = time.time() - age
    os.utime(path, (then, then))


def forget() -> None:
    for name in ("own_code", "own_helper"):
        sys.modules.pop(name, None)
        sources._read.pop(name, None)
    sources._is_own.cache_clear()
    importlib.invalidate_caches()


def load(folder: Path, code: str | None = None, helper: str | None = None) -> ModuleType:
    """The module, loaded anew as in another process, perhaps with another text."""
    for name, text in (("own_code.py", code), ("own_helper.py", helper)):
        if text is not None:
            write(folder / name, text, age=1800.0)
    forget()
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        return importlib.import_module("own_code")
    finally:
        sys.dont_write_bytecode = before


def test_the_kit_is_followed_through_its_imports_but_not_into_what_only_shows() -> None:
    found = closure("value_nb.probes.fusion")
    assert {"value_nb.probes.fusion", "value_nb.probes.base", "value_nb.kmeans", "value_nb.agreement"} <= {
        *found
    }
    assert not any("plots" in name or "aloud" in name or ".cache" in name for name in found)
    assert all(name.startswith("value_nb.") for name in found)
    assert "value_nb.models.gated_encoder" in closure("value_nb.models.gated")


def test_what_is_imported_for_types_alone_does_not_count() -> None:
    assert "value_nb.models.base" not in closure("value_nb.probes.base")


def test_a_file_counts_as_a_whole_with_the_files_it_imports(own: Path) -> None:
    assert closure("own_code") or load(own)
    before = of_code(load(own).Counted)
    assert of_code(load(own).Counted) == before
    assert of_code(load(own, code=OWN + "\n# a note\n").Counted) != before
    assert of_code(load(own, code=OWN).Counted) == before
    changed = of_code(load(own, helper=HELPER.replace("2", "3")).Counted)
    assert changed != before
    assert of_code(load(own, helper=HELPER).plain) == before  # one file, one digest


def test_functions_of_one_file_differ_by_name_and_defaults(own: Path) -> None:
    module = load(own)
    assert of_function(module.plain) != of_function(module.Counted.rows)
    before = of_function(module.plain)
    module.plain.__defaults__ = (2,)
    assert of_function(module.plain) != before


def test_a_file_that_changed_after_it_was_loaded_is_refused(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(own)
    before = of_code(module)
    monkeypatch.setattr(sources, "_loaded_at", time.time() - 600)
    write(own / "own_code.py", OWN.replace("3", "4"), age=300)
    with pytest.raises(Stale, match=r"own_code.py was changed after value_nb was loaded"):
        of_code(module)
    importlib.reload(module)  # as `%autoreload` does
    assert of_code(module) != before


def test_what_has_no_source_has_no_key() -> None:
    made = ModuleType("made_up")
    made.__dict__["Thing"] = type("Thing", (), {"__module__": "made_up"})
    sys.modules["made_up"] = made
    try:
        with pytest.raises(NotKeyable, match="the source of made_up cannot be had"):
            of_code(made.__dict__["Thing"])
    finally:
        del sys.modules["made_up"]


def test_libraries_count_by_name() -> None:
    import numpy as np

    assert of_code(np) == of_code(np) != of_code(os)


CELL = """
    from __future__ import annotations
    from value_nb.probes.base import Needs, Probe

    FACTOR = {factor}

    def scaled(x):
        return FACTOR * x {note}

    class Mine(Probe):
        name, title, question = "mine", "Mine", "Anything?"
        limit = {limit}

        def needs(self, model): return Needs(frozenset())
        def update(self, batch): scaled(1)
        def rows(self, *, replicates): return []
        def _start(self): self._seen = 0
        def _absorb(self, other): {absorb}
        @property
        def half(self): return {half}
"""
SAME = {"factor": 2, "note": "", "limit": 3, "absorb": "pass", "half": 0.5}
NOTEBOOK = """
import sys, json
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
cells = json.loads(sys.stdin.read())
shell.run_cell("from value_nb.cache.keys import of_probe")
for cell in cells:
    shell.run_cell(cell)
    shell.run_cell("print('KEY', of_probe(Mine()))")
"""


def test_a_probe_of_a_notebook_counts_by_its_source_and_what_it_refers_to(tmp_path: Path) -> None:
    import json

    changes: list[dict[str, Any]] = [
        {}, {}, {"factor": 3}, {"note": "+ 0"}, {"limit": 4}, {"absorb": "return None"}, {"half": 0.25}, {},
    ]  # fmt: skip
    cells = [textwrap.dedent(CELL).format(**SAME | change) for change in changes]
    environ = {**os.environ, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path), "JUPYTER_PLATFORM_DIRS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        check=False,
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        env=environ,
    )
    keys = [line.split()[1] for line in found.stdout.splitlines() if line.startswith("KEY")]
    assert len(keys) == len(cells), found.stdout + found.stderr
    assert keys[0] == keys[1] == keys[-1]
    assert len(set(keys)) == 6
