"""The small cases of notebook 04, beside what is worked out by hand."""

import pandas as pd
import pytest

from value_nb.probes.coreference_by_hand import best_rules, hit_table, order_table, square_table

LINKS = {"a man": ["r0"], "a dog": ["r1"]}


def head(*rows: list[float]) -> pd.DataFrame:
    return pd.DataFrame(rows, index=list(LINKS), columns=["r0", "r1", "r2"])


def test_a_head_that_finds_both():
    knows = head([0.5, 0.2, 0.1], [0.1, 0.4, 0.3])
    found = hit_table(knows, LINKS)
    assert found["looks most at"].tolist() == ["r0", "r1"] and found["hit"].tolist() == [True, True]
    orders = order_table(knows, LINKS)
    assert orders["hits"].tolist() == [2, 0] and orders["hit rate"].tolist() == [1.0, 0.0]
    assert orders["a man"].tolist() == ["r0", "r1"] and orders["a dog"].tolist() == ["r1", "r0"]


def test_a_head_with_a_favourite_region_gains_nothing_over_swaps():
    favours = head([0.6, 0.1, 0.1], [0.5, 0.2, 0.1])
    assert hit_table(favours, LINKS)["hit"].tolist() == [True, False]
    assert order_table(favours, LINKS)["hits"].tolist() == [1, 1]


def test_three_phrases_have_six_orders_and_several_regions_may_show_one():
    links = {"a": ["r0", "r1"], "b": ["r2"], "c": ["r3"]}
    looks = pd.DataFrame(
        [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]], index=list(links), columns=["r0", "r1", "r2", "r3"]
    )
    assert hit_table(looks, links)["hit"].tolist() == [True, True, False]
    assert sorted(order_table(looks, links)["hits"]) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "links", [{"a man": ["r0"]}, {"a man": ["r0"], "a dog": ["r9"]}, {"a man": [], "a dog": ["r1"]}]
)
def test_links_that_do_not_fit_are_refused(links):
    with pytest.raises(ValueError, match="one or more of: r0, r1, r2"):
        hit_table(head([1, 0, 0], [0, 1, 0]), links)


def test_the_swap_leaves_either_side_and_their_sum_nothing():
    table = square_table({"a man": 1, "a dog": -1}, {"r0": 1, "r1": -1})
    assert table["together"].tolist() == [True, True, False, False]
    assert table["sum"].tolist() == [2, -2, 0, 0] and table["product"].tolist() == [1, 1, -1, -1]
    best = best_rules(table)
    assert (best["phrase"], best["region"], best["product"]) == (0.5, 0.5, 1.0)
    sums = table.groupby("together")["sum"].sum()
    assert sums[True] == sums[False], "whatever the scores are"
    with pytest.raises(ValueError, match="1 phrases and 2 regions came"):
        square_table({"a": 1}, {"r0": 1, "r1": 0})
