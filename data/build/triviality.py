"""How far a relation can be told without looking: from the class pair alone, from the boxes alone.

A relation task in which either is enough would measure nothing. `measure` fits both baselines on one
set of scenes and scores them on another; above `LIMIT` the world must be designed anew.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import OrdinalEncoder

from data.build.scenes import Scene

LIMIT = 0.60
FREQUENT_PAIR = 12
"""A class pair seen at least this often must show at least two predicates."""


def relation_table(scenes: list[Scene]) -> tuple[list[tuple[str, str]], np.ndarray, list[str]]:
    """Class pairs, box offsets `(relation, 6)` and predicates of all relations of the scenes."""
    pairs, offsets, predicates = [], [], []
    for scene in scenes:
        things = {t.id: t for t in scene.things}
        for subject, predicate, other in scene.relations():
            pairs.append((things[subject].cls, things[other].cls))
            predicates.append(predicate)
            offsets.append(_offsets(things[subject].annotated_box, things[other].annotated_box))
    return pairs, np.array(offsets), predicates


Box = tuple[float, float, float, float]


def _offsets(a: Box, b: Box) -> list[float]:
    """Offset of the centres in heights of the object, and the four sides' lengths."""
    (aw, ah), (bw, bh) = (a[2] - a[0], a[3] - a[1]), (b[2] - b[0], b[3] - b[1])
    dx, dy = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    return [dx / bh, dy / bh, aw, ah, bw, bh]


def measure(train: list[Scene], test: list[Scene]) -> dict[str, float]:
    """Accuracy of predicting the predicate on `test` from each baseline fitted on `train`."""
    train_pairs, train_offsets, train_y = relation_table(train)
    test_pairs, test_offsets, test_y = relation_table(test)
    majority = Counter(train_y).most_common(1)[0][0]
    by_pair: dict[tuple[str, str], Counter[str]] = {}
    for pair, y in zip(train_pairs, train_y, strict=True):
        by_pair.setdefault(pair, Counter())[y] += 1
    guess = [by_pair[p].most_common(1)[0][0] if p in by_pair else majority for p in test_pairs]
    boxes = HistGradientBoostingClassifier(random_state=0, max_iter=60).fit(train_offsets, train_y)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(train_pairs)
    both = HistGradientBoostingClassifier(random_state=0, max_iter=60).fit(
        np.hstack([train_offsets, encoder.transform(train_pairs)]), train_y
    )
    single = [p for p, c in by_pair.items() if sum(c.values()) >= FREQUENT_PAIR and len(c) < 2]
    return {
        "majority": float(np.mean([y == majority for y in test_y])),
        "class pair": float(np.mean([g == y for g, y in zip(guess, test_y, strict=True)])),
        "geometry": float(boxes.score(test_offsets, test_y)),
        "class pair + geometry": float(
            both.score(np.hstack([test_offsets, encoder.transform(test_pairs)]), test_y)
        ),
        "frequent pairs": float(sum(sum(c.values()) >= FREQUENT_PAIR for c in by_pair.values())),
        "frequent pairs with one predicate": float(len(single)),
    }
