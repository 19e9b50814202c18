from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.tiny import FAMILIES, tiny_examples, tiny_model
from value_nb.data.example import Example, Regions
from value_nb.layout import PositionClass
from value_nb.models.gates import key_of, query_of
from value_nb.trace import StreamPositions, Trace

EXAMPLE = Example(
    id="1#0",
    image_id="1",
    caption="big umbrella",
    words=("big", "umbrella"),
    regions=Regions(
        boxes=np.array([[0, 0, 0.5, 1], [0.25, 0, 1, 1]], dtype=np.float32),
        features=None,
        names=("hat", ""),
        sources=("annotated",) * 2,
    ),
)
# [CLS] big um ##brel [SEP]; global row, two regions
TEXT = StreamPositions(
    tokens=("[CLS]", "big", "um", "##brel", "[SEP]"),
    position_class=np.array([3, 1, 1, 1, 3]),
    unit=np.array([-1, 0, 1, 1, -1]),
    labels=EXAMPLE.words,
)
IMAGE = StreamPositions(
    tokens=("[IMG]", "r0 hat", "r1"),
    position_class=np.array([3, 2, 2]),
    unit=np.array([-1, 0, 1]),
    labels=("r0 hat", "r1"),
)
ROWS = np.array(
    [[0.10, 0.20, 0.10, 0.10, 0.05, 0.20, 0.15, 0.10], [0.10, 0.10, 0.20, 0.10, 0.10, 0.10, 0.10, 0.20],
     [0.00, 0.30, 0.10, 0.10, 0.10, 0.00, 0.40, 0.00], [0.20, 0.10, 0.10, 0.10, 0.10, 0.20, 0.00, 0.20],
     [0.50, 0.00, 0.00, 0.00, 0.50, 0.00, 0.00, 0.00], [0.10, 0.10, 0.10, 0.10, 0.10, 0.20, 0.20, 0.10],
     [0.00, 0.00, 0.60, 0.20, 0.10, 0.10, 0.00, 0.00], [0.25, 0.25, 0.00, 0.00, 0.00, 0.00, 0.00, 0.50]]
)  # fmt: skip


def by_hand(joint: bool = True) -> Trace:
    """One layer of two heads: ROWS, and everything on the first key of the block."""
    second = np.zeros_like(ROWS)
    second[:, 0] = 1
    both = np.stack([ROWS, second])
    cut = {"text": slice(0, 5), "image": slice(5, 8)}
    maps = {f"{q}->{k}": both[:, cut[q], cut[k]] for q in cut for k in cut}
    stack = "joint" if joint else "cross"
    hidden = {stack: {"text": [np.zeros((5, 2))] * 2, "image": [np.zeros((3, 2))] * 2}}
    return Trace(
        example=EXAMPLE, model="by hand", weights="trained", stacks={stack: 1},
        directions={stack: tuple(maps)}, joint=joint, hidden=hidden, maps={(stack, 1): maps},
        streams={"text": TEXT, "image": IMAGE},
    )  # fmt: skip


def test_to_a_word_is_the_sum_and_from_a_word_the_mean() -> None:
    frame = by_hand().attention("text->text", layer=1, head=0)
    assert list(frame.index) == ["big", "umbrella"]
    assert list(frame.columns) == ["big", "umbrella", "unassigned"]
    np.testing.assert_allclose(frame.loc["big"], [0.10, 0.30, 0.20])
    np.testing.assert_allclose(frame.loc["umbrella"], [0.20, 0.20, 0.20])


def test_blocks_across_the_streams() -> None:
    trace = by_hand()
    frame = trace.attention("image->text", layer=-1, head=0)
    np.testing.assert_allclose(frame.loc["r0 hat"], [0.0, 0.8, 0.1])
    frame = trace.attention("text->image", layer=1, head=0)
    assert list(frame.columns) == ["r0 hat", "r1", "unassigned"]
    np.testing.assert_allclose(frame.loc["umbrella"], [0.2, 0.1, 0.1])


def test_pooled_rows_keep_the_sum_of_the_raw_block() -> None:
    trace = by_hand()
    raw, pooled = (trace.attention("text->image", 1, head=0, unit=unit) for unit in ("position", "word"))
    assert raw.shape == (5, 3) and list(raw.index) == list(TEXT.tokens)
    assert raw.sum(axis=1).iloc[1] == pytest.approx(pooled.sum(axis=1).loc["big"])
    assert pooled.sum(axis=1).loc["umbrella"] == pytest.approx(raw.sum(axis=1).iloc[2:4].mean())


def test_all_blocks_in_one_matrix() -> None:
    frame = by_hand().attention("joint", 1, head=0)
    assert list(frame.index) == ["big", "umbrella", "r0 hat", "r1"]
    assert list(frame.columns) == ["big", "umbrella", "r0 hat", "r1", "unassigned"]
    np.testing.assert_allclose(frame.sum(axis=1), 1)
    np.testing.assert_allclose(frame.loc["big"], [0.10, 0.30, 0.10, 0.20, 0.30])
    np.testing.assert_allclose(by_hand().attention("joint", 1, head=0, unit="position"), ROWS)


def test_the_mean_over_heads() -> None:
    trace = by_hand()
    mean = trace.attention("text->text", 1)
    heads = [trace.attention("text->text", 1, head=h) for h in (0, 1)]
    np.testing.assert_allclose(mean, (heads[0] + heads[1]) / 2)
    np.testing.assert_allclose(mean, trace.attention("text->text", 1, head=None))
    np.testing.assert_allclose(heads[1]["unassigned"], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"direction": "text->sound"},
            "direction is 'text->sound'; here there are 'text->text', 'text->image'",
        ),
        ({"layer": 2}, "layer is 2; stack 'joint' has layers 0 to 1"),
        ({"layer": -3}, "layer is -3"),
        ({"layer": 0}, "it has states and no attention"),
        ({"head": 2}, "head is 2; valid: 0 to 1, or 'mean'"),
        ({"head": "max"}, "head is 'max'"),
        ({"unit": "piece"}, "unit is 'piece'; valid: 'word', 'position'"),
        ({"stack": "cross"}, "stack is 'cross'; 'text->text' is in 'joint'"),
    ],
)
def test_what_there_is_not_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_hand().attention(**{"direction": "text->text", "layer": 1, **arguments})


def test_two_streams_have_no_joint_matrix() -> None:
    with pytest.raises(ValueError, match="direction is 'joint'; here there are"):
        by_hand(joint=False).attention("joint", 1)


def test_positions() -> None:
    frame = by_hand().positions
    assert frame["stream"].tolist() == ["text"] * 5 + ["image"] * 3
    assert frame["class"].tolist() == [
        "special",
        "text",
        "text",
        "text",
        "special",
        "special",
        "image",
        "image",
    ]
    assert frame["word"].dropna().tolist() == [0, 1, 1]
    assert frame["region"].dropna().tolist() == [0, 1]
    assert frame["box"].iloc[-1] == (0.25, 0, 1, 1) and frame["box"].iloc[0] is None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trace_holds_what_the_run_told(family: str) -> None:
    model, example = tiny_model(family), tiny_examples(3, seed=4)[1]
    trace = model.trace(example)
    last = model.run(model.prepare(example)).hidden
    assert {
        stack: len(next(iter(trace.hidden[stack].values()))) - 1 for stack in trace.hidden
    } == model.stacks
    assert set(trace.maps) == {
        (stack, layer) for stack, n in model.stacks.items() for layer in range(1, n + 1)
    }
    end = list(model.stacks)[-1]
    for stream, states in trace.hidden[end].items():
        np.testing.assert_array_equal(states[-1], last[stream][0].numpy())
        assert states[0].shape == (len(trace.streams[stream].tokens), model.widths[stream])
    for (stack, layer), blocks in trace.maps.items():
        for direction in blocks:
            frame = trace.attention(direction, layer, head=1, stack=stack, unit="position")
            queries, keys = trace.streams[query_of(direction)], trace.streams[key_of(direction)]
            assert frame.shape == (len(queries.tokens), len(keys.tokens))
            assert (queries.position_class != PositionClass.PAD).all()
    assert example.id in repr(trace) and trace.model == model.name


def test_self_directions_of_two_streams_take_a_stack() -> None:
    trace = tiny_model("lxmert").trace(tiny_examples(1)[0])
    first, cross = trace.attention("text->text", 1, stack="text"), trace.attention("text->text", 1)
    np.testing.assert_array_equal(cross, trace.attention("text->text", 1, stack="cross"))
    assert not np.allclose(first, cross)


def test_a_closed_gate_in_a_trace() -> None:
    example = tiny_examples(1)[0]
    single = tiny_model("uniter").trace(example, closed=("text->image",))
    assert (single.attention("text->image", 1).to_numpy() == 0).all()
    double = tiny_model("lxmert").trace(example, closed=("text->image",))
    with pytest.raises(ValueError, match=r"not computed in layer 1 .*computed: 'text->text', 'image->text'"):
        double.attention("text->image", 1)


def test_a_list_gives_a_list_and_bert_has_no_picture() -> None:
    model, examples = tiny_model("bert"), tiny_examples(2)
    traces = model.trace(examples)
    assert [t.example.id for t in traces] == ["0#0", "1#0"]
    with pytest.raises(ValueError, match=r"direction is 'text->image'; here there are 'text->text'$"):
        traces[0].attention("text->image", 1)
    assert list(traces[0].streams) == ["text"]
