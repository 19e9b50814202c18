"""Statistics of heads on maps whose answers are known by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.tiny import tiny_examples, tiny_model
from value_nb.layout import LayerBatch, Layout, PositionClass, StreamLayout
from value_nb.probes.head_statistics import STATISTICS, HeadStatistics, head_statistics
from value_nb.probes.spans import place, words

S, T, P = int(PositionClass.SPECIAL), int(PositionClass.TEXT), int(PositionClass.PAD)
CLASSES = torch.tensor([[S, T, T, T, S, P]])  # [CLS] a b c [SEP] and one of padding
LN2 = float(np.log(2))


def of_row(row: list[float], query: int = 2) -> dict[str, float]:
    found = head_statistics(torch.tensor([[row]]), torch.tensor([query]), CLASSES)
    assert list(found) == list(STATISTICS)
    return {name: float(values) for name, values in found.items()}


def expected(**given: float) -> dict[str, float]:
    return pytest.approx(dict.fromkeys(STATISTICS, 0.0) | given, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ([0, 0, 1, 0, 0, 0], {"self": 1}),
        ([0, 1, 0, 0, 0, 0], {"previous": 1, "distance": 1}),
        ([0, 0, 0, 1, 0, 0], {"next": 1, "distance": 1}),
        ([1, 0, 0, 0, 0, 0], {"cls": 1}),
        ([0, 0, 0, 0, 1, 0], {"sep": 1}),
        ([0.5, 0, 0, 0, 0.5, 0], {"cls": 0.5, "sep": 0.5, "entropy": LN2}),
        ([0, 0.5, 0, 0, 0.5, 0], {"previous": 0.5, "sep": 0.5, "distance": 1, "entropy": LN2}),
        ([0, 0.75, 0.25, 0, 0, 0], {"previous": 0.75, "self": 0.25, "distance": 0.75, "entropy": 0.562335}),
        ([0.2] * 5 + [0], dict.fromkeys(STATISTICS[2:], 0.2) | {"distance": 2 / 3, "entropy": np.log(5)}),
    ],
)
def test_a_single_row(row, found):
    assert of_row(row) == expected(**found)


def test_padding_does_not_count():
    assert of_row([0, 0, 1, 0, 0, 9.0]) == of_row([0, 0, 1, 0, 0, 0])


def test_what_goes_to_a_picture_is_left_out():
    """Of a joint softmax only a quarter is spent on the sentence: it is scaled to one."""
    quarter = of_row([0, 0.125, 0.125, 0, 0, 0])
    assert quarter == of_row([0, 0.5, 0.5, 0, 0, 0])
    assert quarter["entropy"] == pytest.approx(LN2)


def test_neighbours_of_first_and_last_pieces_are_the_specials():
    assert of_row([1, 0, 0, 0, 0, 0], query=1) == expected(cls=1, previous=1)
    assert of_row([0, 0, 0, 0, 1, 0], query=3) == expected(sep=1, next=1)


def test_distance_is_from_the_query():
    assert of_row([0, 0, 0, 1, 0, 0], query=1)["distance"] == 2


def batch_of(block: torch.Tensor, units: list[list[int]]) -> LayerBatch:
    """One layer whose text->text map is given; units -1 are specials, None padding."""
    longest = max(map(len, units))
    classes = torch.tensor([[S if u < 0 else T for u in row] + [P] * (longest - len(row)) for row in units])
    unit = torch.tensor([row + [-1] * (longest - len(row)) for row in units])
    stream = StreamLayout(classes, unit, tuple(("x",) * len(row) for row in units))
    examples = tuple(tiny_examples(len(units)))
    return LayerBatch(Layout(examples, {"text": stream}), "text", 1, {}, {"text->text": block}, False)


def test_mean_over_the_pieces_of_a_word_then_over_words():
    """Word 0 takes two pieces: self 1 and 0, so 0.5; word 1 has self 1; the mean is 0.75, not 2 / 3."""
    block = torch.zeros(1, 2, 5, 5)
    block[0, 0] = torch.eye(5)
    block[0, 0, 2] = torch.tensor([1.0, 0, 0, 0, 0])
    block[0, 1, :, 4] = 1.0
    batch = batch_of(block, [[-1, 0, 0, 1, -1]])
    placed = {"words": place([words([0, 1])], [0], batch.layout)}
    before = block.clone()
    found = HeadStatistics({"words": "text"}).extract(batch, placed)
    assert {name: tuple(values.shape) for name, values in found.items()} == dict.fromkeys(STATISTICS, (1, 2))
    assert found["self"].tolist() == [[0.75, 0.0]] and found["cls"].tolist() == [[0.25, 0.0]]
    assert found["sep"].tolist() == [[0.0, 1.0]]
    assert torch.equal(block, before), "the map is left as it is"


def test_sentences_of_different_lengths():
    """[SEP] and the words are each sentence's own, whatever the padding."""
    block = torch.zeros(2, 1, 5, 5)
    block[0, 0, :, 4] = 1.0
    block[1, 0, :, 2] = 1.0
    batch = batch_of(block, [[-1, 0, 1, 2, -1], [-1, 0, -1]])
    spans = [words([0]), words([0, 1, 2])]
    placed = {"words": place(spans, [1, 0], batch.layout)}
    found = HeadStatistics({"words": "text"}).extract(batch, placed)
    assert found["sep"].tolist() == [[1.0], [1.0]] and found["next"].tolist() == [
        [1.0],
        [pytest.approx(1 / 3)],
    ]


def test_layer_without_maps_and_wrong_sides():
    batch = replace(batch_of(torch.ones(1, 1, 3, 3) / 3, [[-1, 0, -1]]), attention={})
    placed = {"words": place([words([0])], [0], batch.layout)}
    assert HeadStatistics({"words": "text"}).extract(batch, placed) == {}
    with pytest.raises(ValueError, match="expected one side, of the text"):
        HeadStatistics({"region": "image"})


@pytest.mark.parametrize(
    ("family", "stacks"),
    [
        ("uniter", {"joint"}),
        ("lxmert", {"text", "cross"}),
        ("vilbert", {"text", "cross"}),
        ("bert", {"text"}),
    ],
)
def test_stacks_in_which_words_attend_to_words(family, stacks):
    assert HeadStatistics({"words": "text"}).stacks(tiny_model(family)) == stacks


def test_real_maps_against_a_loop():
    model, examples = tiny_model("uniter"), tiny_examples(3)
    batch, heard = model.prepare(examples), []
    model.run(batch, heard.append)
    layer = heard[2]
    spans = [words(range(len(e.words))) for e in examples]
    placed = {"words": place(spans, range(3), batch.layout)}
    found = HeadStatistics({"words": "text"}).extract(layer, placed)
    for row in range(3):
        unit = batch.layout.streams["text"].unit[row].tolist()
        n = len(batch.layout.streams["text"].tokens[row])
        for head in range(model.heads("joint")):
            p = layer.attention["text->text"][row, head, :n, :n].double().numpy()
            p = p / p.sum(axis=1, keepdims=True)
            by_word = {w: [q for q in range(n) if unit[q] == w] for w in range(len(examples[row].words))}
            entropy = [-(p[q] * np.log(p[q])).sum() for q in range(n)]
            away = [sum(p[q, k] * abs(q - k) for k in range(1, n - 1)) / p[q, 1:-1].sum() for q in range(n)]
            for name, values in (("entropy", entropy), ("distance", away)):
                mean = np.mean([np.mean([values[q] for q in pieces]) for pieces in by_word.values()])
                assert float(found[name][row, head]) == pytest.approx(mean, rel=1e-4)
