import numpy as np
import pytest
import torch

from tests.probes.planted_model import stream_of
from tests.tiny import tiny_examples, tiny_model
from value_nb.layout import Layout, PositionClass
from value_nb.probes.spans import CLS, Span, place, pool_attention, pool_states, regions, words


def layout_of() -> Layout:
    """Two examples; word 1 of the first has three pieces. Regions: 2 and 3."""
    text = stream_of([[-1, 0, 1, 1, 1, -1], [-1, 0, 1, 2, -1]], PositionClass.TEXT)
    image = stream_of([[0, 1], [0, 1, 2]], PositionClass.IMAGE)
    return Layout(tuple(tiny_examples(2)), {"text": text, "image": image})


def test_entries_of_spans_by_hand():
    placed = place([words([0, 1]), CLS, words([2])], [0, 1, 1], layout_of())
    assert placed.stream == "text" and placed.n == 3
    assert placed.span.tolist() == [0, 0, 0, 0, 1, 2]
    assert placed.example.tolist() == [0, 0, 0, 0, 1, 1]
    assert placed.position.tolist() == [1, 2, 3, 4, 0, 3]
    assert np.allclose(placed.share, [1 / 2, 1 / 6, 1 / 6, 1 / 6, 1, 1])


def test_states_are_the_mean_over_pieces_and_then_over_words():
    states = torch.arange(2 * 6 * 3, dtype=torch.float32).reshape(2, 6, 3)
    pooled = pool_states(states, place([words([0, 1]), CLS], [0, 1], layout_of()))
    by_hand = (states[0, 1] + states[0, 2:5].mean(dim=0)) / 2
    assert torch.allclose(pooled, torch.stack([by_hand, states[1, 0]]))


def test_attention_is_summed_over_what_is_looked_at_and_averaged_over_what_looks():
    rng = torch.Generator().manual_seed(0)
    block = torch.rand((2, 4, 6, 3), generator=rng)
    queries = place([words([0, 1]), words([1])], [0, 1], layout_of())
    keys = place([regions(0, 1), regions(2)], [0, 1], layout_of())
    rows = (block[0, :, 1] + block[0, :, 2:5].mean(dim=1)) / 2
    by_hand = torch.stack([rows[:, :2].sum(dim=1), block[1, :, 2, 2]])
    assert torch.allclose(pool_attention(block, queries, keys), by_hand)


@pytest.mark.parametrize(
    ("family", "stack"), [("uniter", "joint"), ("lxmert", "cross"), ("vilbert", "cross")]
)
def test_a_span_of_one_word_is_what_the_trace_says(family, stack):
    """Two ways to the same numbers: pooling in a batch, and the labelled matrices of single traces."""
    model, examples = tiny_model(family), tiny_examples(3, words=(3, 7))
    seen = {}
    model.run(
        model.prepare(examples), on_layer=lambda batch: seen.setdefault((batch.stack, batch.layer), batch)
    )
    batch = seen[stack, 2]
    wanted = [(row, row, 1) for row in range(3)]  # example, word, region
    text = place([words([w]) for _, w, _ in wanted], [e for e, _, _ in wanted], batch.layout)
    image = place([regions(r) for _, _, r in wanted], [e for e, _, _ in wanted], batch.layout)
    there = pool_attention(batch.attention["text->image"], text, image)
    back = pool_attention(batch.attention["image->text"], image, text)
    states = pool_states(batch.hidden["text"], text)
    for k, (row, word, region) in enumerate(wanted):
        trace = model.trace(examples[row])
        for head in range(there.shape[1]):
            assert there[k, head].item() == pytest.approx(
                trace.attention("text->image", 2, head, stack).iloc[word, region], abs=1e-5
            )
        for head in range(back.shape[1]):
            assert back[k, head].item() == pytest.approx(
                trace.attention("image->text", 2, head, stack).iloc[region, word], abs=1e-5
            )
        unit = trace.streams["text"].unit
        expected = trace.hidden[stack]["text"][2][unit == word].mean(axis=0)
        assert np.allclose(states[k].numpy(), expected, atol=1e-4)


def test_errors_say_what_came():
    for units in ((), (1, 1), (-2,)):
        with pytest.raises(ValueError, match="expected one or more different indices"):
            Span("text", units)
    with pytest.raises(ValueError, match="stream is 'sound'"):
        Span("sound", (0,))
    with pytest.raises(ValueError, match="word 5 of example '1#0' has no position"):
        place([words([0]), words([5])], [0, 1], layout_of())
    with pytest.raises(ValueError, match="region 2 of example '0#0' has no position"):
        place([regions(2)], [0], layout_of())
    with pytest.raises(ValueError, match="spans of streams"):
        place([words([0]), regions(0)], [0, 0], layout_of())
    with pytest.raises(ValueError, match=r"spans of streams \[\]"):
        place([], [], layout_of())
