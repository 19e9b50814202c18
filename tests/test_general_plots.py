from __future__ import annotations

import pandas as pd
import pytest

from value_nb.aloud import read_aloud
from value_nb.general_plots import plot_any
from value_nb.plots import plotter
from value_nb.result import Result

META = {"model": "m", "data": "d", "split": "test", "n": 4, "n_images": 2}


def result(heads: bool = False, measures: tuple[str, ...] = ("how_far",)) -> Result:
    rows = [
        {
            "control": control, "weights": "trained" if control == "none" else "random:0", "stack": "joint",
            "layer": layer, "head": head, "measure": measure,
            "value": layer / 10 + (head or 0) / 100 + (0.5 if control != "none" else 0.0),
            "lo": layer / 10 - 0.1, "hi": layer / 10 + 0.1, "n": 4, "n_images": 2, "unit": "fraction",
        }
        for measure in measures
        for control in ("none", "random weights")
        for layer in (1, 2, 3)
        for head in ((0, 1) if heads else (None,))
    ]  # fmt: skip
    return Result("mine", pd.DataFrame(rows), META)


def test_an_unknown_probe_is_drawn_all_the_same() -> None:
    assert plotter("mine") is plot_any


def test_layers_become_a_curve_with_its_controls() -> None:
    ax = result().plot()
    assert ax.get_ylabel() == "how far" and list(ax.get_xticks()) == [1, 2, 3]
    labels = [line.get_label() for line in ax.get_lines()]
    assert any("m, 95 %" in str(label) for label in labels)
    assert any("random weights" in str(label) for label in labels)


def test_heads_become_a_map_of_the_model_alone() -> None:
    ax = result(heads=True).plot()
    assert ax.get_ylabel() == "head" and ax.collections[0].get_array().shape == (2, 3)
    assert ax.collections[0].get_array().max() == pytest.approx(0.31)


def test_the_measure_can_be_chosen_and_wrong_ones_are_refused() -> None:
    two = result(measures=("how_far", "how_fast"))
    assert "how fast" in two.plot(measure="how_fast").get_title("left")
    with pytest.raises(ValueError, match="how_far"):
        two.plot(measure="how_long")
    with pytest.raises(KeyError, match="direction"):
        two.plot(direction="text->image")


def test_rows_without_layers_are_refused() -> None:
    frame = result().frame.drop(columns="layer")
    with pytest.raises(ValueError, match="no layer"):
        plot_any(Result("mine", frame, META))


def test_the_reason_is_drawn_where_there_is_no_number() -> None:
    ax = plot_any(Result("mine", pd.DataFrame({"value": []}), META, "it has no picture"))
    assert any("no picture" in text.get_text() for text in ax.texts)


def test_sentences_say_the_ends_and_the_controls() -> None:
    said = read_aloud(result(heads=True)).splitlines()
    assert said[0] == "m on d, 4 examples of 2 pictures."
    assert said[1] == (
        "how_far is lowest at stack joint, layer 1, head 0, 0.10 [0.00, 0.20], "
        "and highest at stack joint, layer 3, head 1, 0.31 [0.20, 0.40]."
    )
    assert said[2] == "Under the control random weights, how_far runs from 0.60 to 0.81."


def test_a_measure_without_numbers_is_said() -> None:
    frame = result().frame.assign(value=float("nan"))
    assert "how_far has no number." in read_aloud(Result("mine", frame, META))
