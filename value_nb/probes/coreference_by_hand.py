"""Small cases of visual coreference, worked out by hand: hits of a head, and the 2 x 2 swap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
import pandas as pd

from value_nb.probes.coreference_statistics import ImageHits, image_hits, top_regions


def hit_table(weights: pd.DataFrame, links: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Which region each phrase looks at most, and whether it is one that shows it.

    Parameters
    ----------
    weights
        Attention of one head between phrases (rows) and regions (columns).
    links
        Phrase -> the regions that show it.

    Returns
    -------
    A row for each phrase; columns "looks most at", "is shown by", "hit". The hit rate is the mean of "hit".

    Raises
    ------
    ValueError
        For a phrase without a link, or a link to a region that there is not.
    """
    hits = _hits(weights, links)
    top = [str(weights.columns[i]) for i in _top(weights)]
    linked = [", ".join(links[str(phrase)]) for phrase in weights.index]
    table = {"looks most at": top, "is shown by": linked, "hit": np.diagonal(hits.counts[..., 0]) > 0}
    return pd.DataFrame(table, index=weights.index)


def order_table(weights: pd.DataFrame, links: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The hits of one picture when its phrases swap their regions, for every order there is.

    The p-value is the share of orders with at least as many hits as the first one, which swaps nothing.

    Parameters
    ----------
    weights, links
        As in `hit_table`; each phrase is a chain of its own.

    Returns
    -------
    A row for each order; a column for each phrase (whose regions it is given), "hits" and "hit rate".
    """
    hits, names = _hits(weights, links), [str(phrase) for phrase in weights.index]
    rows = []
    for order in permutations(range(len(names))):
        found = int(sum(hits.counts[chain, given, 0] for chain, given in enumerate(order)))
        given = {name: ", ".join(links[names[k]]) for name, k in zip(names, order, strict=True)}
        rows.append(given | {"hits": found, "hit rate": found / len(names)})
    return pd.DataFrame(rows).rename_axis("order")


def square_table(phrases: Mapping[str, float], regions: Mapping[str, float]) -> pd.DataFrame:
    """The four pairs of a 2 x 2 swap, with a score of each side, their sum and their product.

    Parameters
    ----------
    phrases, regions
        Two names each with a score; the first phrase belongs to the first region, the second to the second.

    Returns
    -------
    Columns phrase, region, together, phrase score, region score, sum, product.

    Raises
    ------
    ValueError
        For other than two phrases and two regions.
    """
    if len(phrases) != 2 or len(regions) != 2:
        raise ValueError(f"{len(phrases)} phrases and {len(regions)} regions came; expected two of each")
    rows = [
        {"phrase": p, "region": r, "together": i == j, "phrase score": a, "region score": b}
        for i, (p, a) in enumerate(phrases.items())
        for j, (r, b) in enumerate(regions.items())
    ]
    table = pd.DataFrame(rows).sort_values("together", ascending=False, kind="stable", ignore_index=True)
    return table.assign(
        sum=table["phrase score"] + table["region score"],
        product=table["phrase score"] * table["region score"],
    )


def best_rules(table: pd.DataFrame, answer: str = "together") -> pd.Series:
    """Share of rows that the best rule gets right which sees one column alone.

    It gives the commonest answer of each value of the column.

    Parameters
    ----------
    table
        As `square_table` gives it.
    answer
        The column to be told.
    """
    others = [column for column in table.columns if column != answer]
    right = {c: table.groupby([c, answer]).size().groupby(level=0).max().sum() / len(table) for c in others}
    return pd.Series(right, name="right at best")


def _top(weights: pd.DataFrame) -> np.ndarray:
    import torch

    values = torch.tensor(weights.to_numpy(float))
    rank = torch.arange(values.shape[1]).expand_as(values)
    return top_regions(values[:, None], rank, torch.ones_like(values, dtype=torch.bool))[:, 0].numpy()


def _hits(weights: pd.DataFrame, links: Mapping[str, Sequence[str]]) -> ImageHits:
    regions = [str(region) for region in weights.columns]
    for phrase in weights.index:
        if not links.get(str(phrase)) or not set(links[str(phrase)]) <= set(regions):
            raise ValueError(
                f"links={dict(links)} came; expected for each phrase, such as {phrase!r}, one or more of: "
                f"{', '.join(regions)}"
            )
    sets = np.array([[region in links[str(phrase)] for region in regions] for phrase in weights.index])
    return image_hits("by hand", _top(weights)[:, None], np.arange(len(weights)), sets)
