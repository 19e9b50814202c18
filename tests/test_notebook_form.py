"""The form that all notebooks of the series share; what they compute is tested in tests/notebooks."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MEDIAN_LINES, MOST_LINES = 5, 20
# Headings of a notebook, in this order (other headings may stand between them).
FRAME = {
    "the question": "question",
    "the paper's section": "paper.*section|section.*paper|in the paper",
    "a toy case": "toy",
    "the result": "result",
    "read aloud": "aloud",
    "the paper's form": "paper.s form|form of the paper|paper.s numbers|beside the paper",
    "limits": "limit",
    "things to try": "to try",
}


def read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def sources(cells: list[dict[str, Any]], kind: str) -> list[str]:
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]
    return [text for text in texts if text.strip()]


def tree(source: str) -> ast.Module:
    return ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE))


def size(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


def problems(cells: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the form of a notebook, in words."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    texts, found = sources(cells, "code"), []
    if any(cell.get("outputs") or cell.get("execution_count") for cell in code):
        found.append("stored with outputs or execution counts")
    sizes = [size(text) for text in texts]
    if sizes and (statistics.median(sizes) > MEDIAN_LINES or max(sizes) > MOST_LINES):
        found.append(
            f"code cells have a median of {statistics.median(sizes)} lines, the longest {max(sizes)}"
        )
    nodes = [node for text in texts for node in ast.walk(tree(text))]
    if any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in nodes):
        found.append("defines a function or class; cells call, value_nb defines")
    names = [kept_name(node) for node in nodes if kept_name(node)]
    if len(set(names)) != len(names):
        found.append(f"keeps two figures under one name: {sorted(names)}")
    markdown = "\n".join(sources(cells, "markdown"))
    if re.search(r"!\[[^\]]*\]\(https?:|<img[^>]+src=.?https?:", markdown):
        found.append("shows a picture from another machine")
    return found + missing_headings(markdown)


def kept_name(node: ast.AST) -> str:
    """NAME of a call keep("NAME", ...), "" for anything else."""
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return ""
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return str(node.args[0].value) if function == "keep" else ""


def missing_headings(markdown: str) -> list[str]:
    headings = re.findall(r"^#+ +(.+)$", markdown, re.MULTILINE)
    found, place = [], 0
    for part, pattern in FRAME.items():
        hits = [
            i for i, text in enumerate(headings) if i >= place and re.search(pattern, text, re.IGNORECASE)
        ]
        if hits:
            place = hits[0] + 1
        else:
            found.append(f"no heading for {part} (or not in this order: {', '.join(FRAME)})")
    return found


def test_there_are_notebooks_and_the_first_is_the_one_that_opens() -> None:
    assert NOTEBOOKS
    assert NOTEBOOKS[0].name == "00_start_here.ipynb"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_form(path: Path) -> None:
    assert not problems(read(path))


@pytest.mark.skipif(not NOTEBOOKS, reason="no notebooks")
def test_ruff_finds_nothing() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--output-format=concise", *map(str, NOTEBOOKS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def notebook(*code: str, headings: tuple[str, ...] = tuple(FRAME), **cell: Any) -> list[dict[str, Any]]:
    text = "\n\n".join(f"## {heading}" for heading in headings)
    cells = [
        {"cell_type": "code", "source": one, "outputs": [], "execution_count": None, **cell} for one in code
    ]
    return [{"cell_type": "markdown", "source": text}, *cells]


def test_a_well_formed_notebook_has_no_problems() -> None:
    assert problems(notebook("%matplotlib inline\nx = 1", "vnb.keep('a', x)")) == []


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (notebook("x = 1", execution_count=3), "stored with outputs"),
        (notebook("def f(): pass"), "defines a function"),
        (notebook("if x:\n    class A: pass"), "defines a function"),
        (notebook("\n".join(["x = 1"] * 6)), "median of 6"),
        (notebook("x", "x", "\n".join(["x = 1"] * 21)), "the longest 21"),
        (notebook("vnb.keep('a', x)", "vnb.keep('a', y)"), "two figures under one name"),
        (notebook("x", headings=tuple(FRAME)[:-1]), "no heading for things to try"),
        (notebook("x", headings=tuple(FRAME)[::-1]), "not in this order"),
        ([*notebook("x"), {"cell_type": "markdown", "source": "![a](https://x/y.png)"}], "another machine"),
    ],
)
def test_each_departure_from_the_form_is_found(cells: list[dict[str, Any]], words: str) -> None:
    assert any(words in problem for problem in problems(cells))
