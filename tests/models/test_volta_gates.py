from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import volta_configs as configs
from value_nb.models import volta
from value_nb.models.gates import lxmert, single_stream, vilbert
from value_nb.models.volta_gates import LISTS, lists_of, recognise

numbers = st.integers(1, 6)


def test_the_patterns_of_the_nine_configs() -> None:
    """S, VIL and LX with VOLTA's numbers of layers."""
    assert recognise(configs.single(12)) == {"gates": "single", "joint_layers": 12}
    assert recognise(configs.vilbert(6, 6)) == {
        "gates": "vilbert", "text_layers": 12, "image_layers": 6, "cross_layers": 6,
        "text_ids": (6, 7, 8, 9, 10, 11), "image_ids": (0, 1, 2, 3, 4, 5),
    }  # fmt: skip
    assert recognise(configs.lxmert(9, 5, 5)) == {
        "gates": "lxmert", "text_layers": 9, "image_layers": 5, "cross_layers": 5
    }  # fmt: skip


@settings(derandomize=True, max_examples=40, deadline=None)
@given(numbers, numbers, numbers)
def test_lists_of_a_pattern_give_the_pattern_back(text: int, image: int, cross: int) -> None:
    for gates in (single_stream(text), lxmert(text, image, cross)):
        fields = recognise(lists_of(gates))
        build = {"single": single_stream, "lxmert": lxmert}[fields.pop("gates")]
        assert build(*fields.values()) == gates


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.data(), numbers)
def test_vilberts_ids_come_back(data: st.DataObject, cross: int) -> None:
    def ids(layers: int) -> tuple[int, ...]:
        chosen = st.lists(st.integers(0, layers - 1), min_size=cross, max_size=cross, unique=True)
        return tuple(sorted(data.draw(chosen)))

    layers = {s: data.draw(st.integers(cross, cross + 4)) for s in ("text", "image")}
    gates = vilbert(layers["text"], layers["image"], ids(layers["text"]), ids(layers["image"]))
    found = recognise(lists_of(gates))
    assert (found.pop("gates"), found.pop("cross_layers")) == ("vilbert", cross)
    assert vilbert(**found) == gates


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.sampled_from(["single", "vilbert", "lxmert"]), st.sampled_from(list(LISTS)), st.integers(0, 12))
def test_one_gate_more_or_less_is_refused(pattern: str, name: str, sublayer: int) -> None:
    """Whatever single gate is turned, the pattern is no longer known (or it is the same in effect)."""
    values: dict[str, Any] = {"single": configs.single(4), "vilbert": configs.vilbert(2, 3),
                              "lxmert": configs.lxmert(3, 2, 2)}[pattern]  # fmt: skip
    turned = {**values, name: sorted({*values[name]} ^ {sublayer})}
    try:
        fields = recognise(turned)
    except ValueError:
        return
    assert name == "shared_sublayers" and fields == recognise(values)  # sharing with one stream: no effect


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tv_attn_sublayers": [0, 2]}, r"nearest: for one stream tv_attn_sublayers would be \[0, 2, 4\]"),
        ({"tv_attn_sublayers": [0, 2]}, r"and is \[0, 2\]"),
        ({"v_ff_sublayers": [1, 3, 5, 7]}, r"v_ff_sublayers would be \[1, 3, 5\]"),
        ({"shared_sublayers": [0, 1, 2, 3, 4]}, r"shared_sublayers would be \[0, 1, 2, 3, 4, 5\]"),
        ({"tt_attn_sublayers": []}, "none of the known patterns"),
        ({"tt_attn_sublayers": None}, "tt_attn_sublayers is None; expected a list"),
        ({"tt_attn_sublayers": ["0", 2]}, "tt_attn_sublayers holds '0'"),
        ({"tt_attn_sublayers": "024"}, "expected a list of numbers of sublayers"),
        ({"t_ff_sublayers": [1, -3]}, "holds -3"),
    ],
)
def test_other_gates_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        volta.read_config(configs.volta_config("ctrl_uniter_base", **changes))


def test_one_norm_for_both_streams_needs_sharing() -> None:
    with pytest.raises(ValueError, match="single_ln_sublayers holds 4, and that sublayer's weights are not"):
        recognise({**configs.vilbert(2, 3), "single_ln_sublayers": [4]})
    assert recognise({**configs.lxmert(3, 2, 2), "single_ln_sublayers": [6]})["gates"] == "lxmert"


def test_no_list_of_shared_sublayers_means_none() -> None:
    values = {k: v for k, v in configs.vilbert(2, 3).items() if k != "shared_sublayers"}
    assert recognise(values)["gates"] == "vilbert"
