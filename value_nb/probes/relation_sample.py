"""Few region descriptions in which many related and unrelated pairs of regions can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from value_nb.data.dataset import SPLITS, check_limit
from value_nb.probes.region_pairs import dense_examples, gather
from value_nb.probes.relations import EDGES

if TYPE_CHECKING:
    from value_nb.data.example import Example


def with_relation_pairs(
    examples: Sequence[Example],
    limit: int | Mapping[str, int] | None,
    edges: Sequence[float] = EDGES,
    seed: int = 0,
) -> Sequence[Example]:
    """The examples to sweep `RelationProbe` over when not all are to be run.

    A related pair counts for VRI only beside an unrelated one of the same classes and distance in the same
    split, and such partners are mostly in other pictures. So the first N descriptions of a data set hold
    next to none; this takes N that hold as many as can be, by the annotation and the seed alone. All pictures
    of the data set are looked at (their boxes and words, not their features), and no model.

    Parameters
    ----------
    examples
        All of a data set, from `load_splits(NAME)`.
    limit
        At most so many of each split, or split -> so many (none of a split that it does not name); None: all
        examples, as they are.
    edges, seed
        As those of the probe and the sweep.

    Returns
    -------
    The chosen examples in the order in which they came; with `limit=None` what came.

    Raises
    ------
    ValueError
        For a limit below 1 or of a split that there is not.
    """
    if limit is None:
        return examples
    limits = dict(limit) if isinstance(limit, Mapping) else dict.fromkeys(SPLITS, limit)
    unknown = sorted(set(limits) - set(SPLITS))
    if unknown:
        raise ValueError(f"limit names {unknown}; expected among {', '.join(map(repr, SPLITS))}")
    most = {split: check_limit(number) or 0 for split, number in limits.items()}
    light = examples.without_features() if hasattr(examples, "without_features") else examples
    listed = list(light)
    chosen = dense_examples(gather(listed), tuple(edges), seed, most)
    return [examples[index] for index, one in enumerate(listed) if one.id in chosen]
