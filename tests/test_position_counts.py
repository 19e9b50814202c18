"""The paper's share of heads against numbers of regions: cutting regions, and what an even spread gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.tiny import tiny_examples, tiny_model
from value_nb.data.example import Example, Phrase, Relation
from value_nb.position_counts import share_by_regions, with_regions
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.sweep import sweep

NEARLY_EVEN = 0.02  # spread of weights so small that every head spreads its attention evenly


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Captions of 6 words in one piece each, 8 text positions; pictures of 16 regions."""
    words = ("a", "man", "dog", "hat", "red", "big")
    found = tiny_examples(4, words=(6, 6), regions=(16, 16))
    return [dataclasses.replace(one, words=words, caption=" ".join(words)) for one in found]


@pytest.fixture(scope="module")
def untrained() -> Any:
    return tiny_model("uniter", initializer_range=NEARLY_EVEN)


def test_regions_are_cut_with_their_links_and_the_example_stays_as_it_is():
    example = dataclasses.replace(
        tiny_examples(1, regions=(5, 5))[0],
        phrases=(Phrase(0, 0, "1", ("people",), (0, 3)), Phrase(1, 1, "2", ("other",), (4,))),
        relations=(Relation(0, "on", 1), Relation(0, "on", 4)),
    )
    cut = with_regions(example, 2)
    assert cut.regions is not None and example.regions is not None
    assert np.array_equal(cut.regions.boxes, example.regions.boxes[:2])
    assert np.array_equal(cut.regions.features, example.regions.features[:2])
    assert (cut.regions.names, cut.regions.sources) == (
        example.regions.names[:2], example.regions.sources[:2],
    )  # fmt: skip
    assert [phrase.regions for phrase in cut.phrases] == [(0,), ()]
    assert cut.relations == (Relation(0, "on", 1),)
    assert len(example.regions) == 5 and example.phrases[0].regions == (0, 3)
    assert with_regions(example, 5) is example and with_regions(example, 9) is example
    with pytest.raises(ValueError, match="most=0; expected at least 1 region"):
        with_regions(example, 0)


def test_an_untrained_models_share_is_decided_by_counts_and_beyond_them_it_is_nothing(untrained, examples):
    """8 text positions against 4 and 16 regions: all heads, and none."""
    table = share_by_regions(untrained, examples, counts=(4, 16)).table
    assert table.index.tolist() == [4, 16]
    for name in ("tiny-uniter", "random weights"):
        assert table[name, "share of heads"].tolist() == [1.0, 0.0]
        assert table[name, "mean beyond positions"].abs().max() < 0.01
    assert table["an even spread", "share of pairs"].tolist() == [1.0, 0.0]
    assert table["text", "share of positions"].tolist() == pytest.approx([8 / 12, 8 / 24])


def test_as_many_regions_as_text_positions_is_not_more(untrained, examples):
    table = share_by_regions(untrained, examples, counts=(7, 8, 9)).table
    assert table["an even spread", "share of pairs"].tolist() == [1.0, 0.0, 0.0]


def test_with_all_regions_it_is_the_probes_own_number(examples):
    model = tiny_model("uniter")
    row = share_by_regions(model, examples, counts=(16,)).table.iloc[0]
    result = sweep(model, examples, [CrossModalHeads()], controls="none", progress=False)["cross_modal_heads"]
    own = result.select(measure="share_of_heads", direction="image->text", specials="paper").iloc[0]
    for column, name in (("share of heads", "value"), ("lo", "lo"), ("hi", "hi")):
        assert row["tiny-uniter", column] == own[name]


def test_counts_go_evenly_up_to_the_most_regions(untrained, examples):
    assert share_by_regions(untrained, examples).table.index.tolist() == [3, 5, 8, 11, 13, 16]
    few = [with_regions(example, 3) for example in examples]
    assert share_by_regions(untrained, few).table.index.tolist() == [1, 2, 3]


def test_no_counts_are_refused(untrained, examples):
    with pytest.raises(ValueError, match="counts is empty"):
        share_by_regions(untrained, examples, counts=())
    with pytest.raises(ValueError, match="most=0; expected at least 1 region"):
        share_by_regions(untrained, examples, counts=(0, 4))


def test_the_figure_is_the_table(untrained, examples):
    found = share_by_regions(untrained, examples[:2], counts=(4, 16))
    axes = found.plot()
    lines = {line.get_label(): line for line in axes[0].get_lines()}
    for name in ("tiny-uniter", "random weights"):
        assert lines[name].get_ydata().tolist() == found.table[name, "share of heads"].tolist()
    assert lines["spreading evenly"].get_ydata().tolist() == [1.0, 0.0]
    assert "tiny-uniter on tiny (test), 2 pairs of 2 images" in axes[0].figure.get_suptitle()


@pytest.mark.parametrize("family", ["lxmert", "vilbert", "bert"])
def test_where_there_is_no_number_the_reason_stands(family, examples):
    found = share_by_regions(tiny_model(family), examples[:2])
    assert found.reason and found.table["not defined"].tolist() == [found.reason]
    (ax,) = found.plot()
    assert ax.get_title("left") == f"Cross-modal heads of tiny-{family}, by number of regions"


def test_captions_without_pictures_have_a_reason(untrained, examples):
    bare = [dataclasses.replace(example, regions=None) for example in examples[:2]]
    assert share_by_regions(untrained, bare).reason == "no example came that has both words and regions"
