"""Kept figures and tables: what is written, when, and that it is the same on every run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.figure import Figure

from tests.tiny import tiny_examples, tiny_model
from value_nb.export import FOLDER_VARIABLE, describe, describe_example, keep


def axes() -> Any:
    plot = Figure(figsize=(3, 2)).add_subplot()
    plot.plot([1, 2, 3], [0.2, 0.4, 0.1])
    plot.set_title("fusion by layer")
    return plot


def result(**columns: Any) -> Any:
    frame = pd.DataFrame({"layer": [1, 2], "value": [0.5, 0.25], "n": [17, 204], **columns})
    return SimpleNamespace(
        probe="fusion_degree", frame=frame, meta={"seed": 7, "gate_met": False, "rows": [1]}
    )


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_nothing_is_written_without_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert keep("01_fusion", result(), axes()) == ()
    assert list(tmp_path.iterdir()) == []


def test_figure_table_and_note(folder: Path) -> None:
    written = keep("01_fusion", result(model="mini-uniter", split="test"), axes(), caption="Two streams.")
    assert sorted(path.name for path in written) == [
        f"01_fusion.{end}" for end in ("csv", "json", "pdf", "png", "svg")
    ]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    csv = (folder / "01_fusion.csv").read_bytes()
    assert csv == b"layer,value,n,model,split\n1,0.5,17,mini-uniter,test\n2,0.25,204,mini-uniter,test\n"
    note = json.loads((folder / "01_fusion.json").read_text(encoding="utf-8"))
    assert note["caption"] == "Two streams."
    assert note["facts"] == {
        "model": "mini-uniter",
        "split": "test",
        "n": "17 to 204",
        "seed": "7",
        "quality gate": "not met",
    }
    assert note["files"] == ["01_fusion.svg", "01_fusion.pdf", "01_fusion.png", "01_fusion.csv"]


def test_same_figure_same_bytes(folder: Path) -> None:
    first = [path.read_bytes() for path in keep("a", axes())]
    assert first == [path.read_bytes() for path in keep("a", axes())]
    assert b"<dc:date>" not in first[0]


def test_text_stays_text_in_svg_and_pdf(folder: Path) -> None:
    svg, pdf, *_ = keep("a", axes())
    assert b">fusion by layer</text>" in svg.read_bytes()
    assert b"/Type0" in pdf.read_bytes() or b"/TrueType" in pdf.read_bytes()
    assert b"/Type3" not in pdf.read_bytes() and b"CreationDate" not in pdf.read_bytes()


class OfPanel:
    """What `keep` asks of a panel."""

    figure = property(lambda self: axes().figure)
    table = property(lambda self: pd.DataFrame({"layer": [3]}))
    sentence = "Layer 3 it is."
    settings: ClassVar = {"layer": "3"}
    facts: ClassVar = {"model": "mini", "layer": "3", "version": "0"}


def test_a_panel_brings_figure_table_sentence_and_what_its_controls_say(folder: Path) -> None:
    written = keep("a", OfPanel())
    assert [path.name for path in written] == ["a.svg", "a.pdf", "a.png", "a.csv", "a.json"]
    note = json.loads(written[-1].read_text(encoding="utf-8"))
    assert (note["caption"], note["facts"], note["controls"]) == (
        "Layer 3 it is.",
        {"model": "mini"},
        {"layer": "3"},
    )
    assert json.loads(keep("b", OfPanel(), caption="Mine.")[-1].read_text("utf-8"))["caption"] == "Mine."


def test_a_panel_is_not_drawn_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(OfPanel, "figure", property(lambda self: pytest.fail("drawn")))
    assert keep("a", OfPanel()) == ()
    with pytest.raises(ValueError, match="2 figures under one name"):
        keep("a", OfPanel(), OfPanel())


def test_settings_of_the_reader_are_left_alone(folder: Path) -> None:
    before = dict(mpl.rcParams)
    keep("a", axes())
    assert dict(mpl.rcParams) == before


def test_items_are_not_written_into(folder: Path) -> None:
    given = result()
    frame = given.frame.copy()
    keep("a", given, axes())
    pd.testing.assert_frame_equal(given.frame, frame)


@pytest.mark.parametrize("kind", ["figure", "array", "list", "grid"])
def test_every_kind_of_figure(kind: str, folder: Path) -> None:
    figure = Figure()
    several = figure.subplots(2, 2)
    grid = sns.FacetGrid(pd.DataFrame({"x": [1, 2], "g": ["a", "b"]}), col="g")
    item = {"figure": figure, "array": several, "list": list(np.ravel(several)), "grid": grid}[kind]
    assert [path.suffix for path in keep("a", item)] == [".svg", ".pdf", ".png", ".json"]


def test_several_tables_and_a_named_index(folder: Path) -> None:
    table = pd.DataFrame({"share": [0.5]}, index=pd.Index(["man"], name="word"))
    assert [path.name for path in keep("a", result(), table)] == ["a.csv", "a-2.csv", "a.json"]
    assert (folder / "a-2.csv").read_text(encoding="utf-8") == "word,share\nman,0.5\n"


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a b", "a.svg"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(ValueError, match="is no plain name; use letters, digits"):
        keep(name, result())


def test_wrong_items_are_named_with_or_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with pytest.raises(ValueError, match="cannot keep a str; expected a matplotlib Figure"):
        keep("a", "text")
    with pytest.raises(ValueError, match="nothing to keep"):
        keep("a")
    with pytest.raises(ValueError, match="2 figures under one name"):
        keep("a", axes(), axes())
    with pytest.raises(ValueError, match="cannot keep a list"):
        keep("a", [])


def test_an_interrupted_write_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    plot = axes()
    monkeypatch.setattr(Path, "write_bytes", break_off)
    with pytest.raises(KeyboardInterrupt):
        keep("a", plot)
    assert list(folder.iterdir()) == []


def test_an_example_s_facts_have_the_seed_of_the_weights() -> None:
    example = tiny_examples(1)[0]
    assert describe_example(example, tiny_model("uniter", seed=7))["seed"] == "7"
    assert "seed" not in describe_example(example)


def test_many_values_are_counted() -> None:
    many = pd.DataFrame({"model": list("abcdef"), "n": [5] * 6, "seed": [None, 1, 1, 1, 1, 1]})
    assert describe(many) == {"model": "a, b, c, d and 2 more", "n": "5", "seed": "1.0"}
