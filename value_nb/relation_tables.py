"""Tables about pairs of regions: which are asked, where they are lost, scores by what the caption names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from value_nb import answers
from value_nb.probes.geometry import distance, distance_bin
from value_nb.probes.region_pairs import (
    MENTIONED,
    RELATED,
    SILENT,
    UNRELATED,
    Picture,
    gather,
    plan_predicates,
    plan_relations,
)
from value_nb.probes.relations import EDGES, PREDICATES
from value_nb.reasons import reason_table

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.data.example import Example
    from value_nb.result import Result

STEPS = (
    "related pairs", "with an unrelated pair of the same classes", "and in the same distance bin",
    "VRI: questions, both answers", "VRC: questions",
)  # fmt: skip


def pair_table(examples: Sequence[Example], edges: Sequence[float] = EDGES, seed: int = 0) -> pd.DataFrame:
    """Every ordered pair of annotated regions of a few pictures, and whether VRI asks about it.

    Returns
    -------
    Columns picture, subject, object, distance (of the centres, share of the diagonal), bin, relation (the
    predicates that hold, or ""), asked ("related", "not related", or "" where VRI does not ask).
    """
    import pandas as pd

    pictures = gather(examples)
    plan = plan_relations(pictures, tuple(edges), seed)
    of_picture = {one.id: one.image_id for one in examples}
    asked = {
        (of_picture[example], one.subject, one.object): one.label
        for example, found in plan.items()
        for one in found
    }
    rows = []
    for picture in pictures:
        names, boxes, ratio = picture.regions.names, picture.regions.boxes, picture.ratio
        there = [k for k, source in enumerate(picture.regions.sources) if source == "annotated"]
        for a, b in ((a, b) for a in there for b in there if a != b):
            held = ", ".join(sorted(picture.predicates.get((a, b), ())))
            where = distance_bin(boxes, a, b, ratio, tuple(edges))
            far, label = distance(boxes, a, b, ratio), asked.get((picture.id, a, b), "")
            rows.append((picture.id, f"r{a} {names[a]}", f"r{b} {names[b]}", far, where, held, label))
    columns = ["picture", "subject", "object", "distance", "bin", "relation", "asked"]
    return pd.DataFrame(rows, columns=columns)


def count_table(
    examples: Sequence[Example], edges: Sequence[float] = EDGES, k: int = PREDICATES, seed: int = 0
) -> pd.DataFrame:
    """How many related pairs there are by split, and how many are left after each condition of VRI.

    The first three rows count pairs of regions, the last two questions: a pair is asked with one caption that
    names both and one that does not, where there are such, and VRI asks as many unrelated pairs again.
    """
    import pandas as pd

    light = examples.without_features() if hasattr(examples, "without_features") else examples
    listed = list(light)
    pictures = gather(listed)
    splits = list(dict.fromkeys(one.split for one in listed))
    split_of = {one.id: one.split for one in listed}
    plans = plan_relations(pictures, tuple(edges), seed), plan_predicates(pictures, k, seed)[0]
    table = {}
    for split in splits:
        mine = [picture for picture in pictures if picture.split == split]
        kept = [_kept(mine, edges) for edges in ((), tuple(edges))]
        asked = [sum(len(found) for one, found in plan.items() if split_of[one] == split) for plan in plans]
        table[split] = [sum(len(picture.predicates) for picture in mine), *kept, *asked]
    return pd.DataFrame(table, index=pd.Index(STEPS, name="pairs"))


def _kept(pictures: Sequence[Picture], edges: tuple[float, ...]) -> int:
    """Related pairs that can have an unrelated partner of their own, of the same classes and bin."""
    wanted = frozenset(p.classes(pair) for p in pictures for pair in p.predicates if all(p.classes(pair)))
    counts: dict[str, Counter[tuple[object, ...]]] = {RELATED: Counter(), UNRELATED: Counter()}
    for picture in pictures:
        for label, pairs in ((RELATED, picture.predicates), (UNRELATED, picture.unrelated(wanted))):
            for pair in pairs:
                where = distance_bin(picture.regions.boxes, *pair, picture.ratio, edges)
                counts[label][*picture.classes(pair), where] += 1
    return (counts[RELATED] & counts[UNRELATED]).total()


def subset_table(result: Result) -> pd.DataFrame:
    """Accuracies apart for pairs that the caption names and pairs that it does not.

    Returns
    -------
    Rows: question, and attention probe, embedding probe (at its best layer) or a baseline. Columns: all
    pairs, and either subset; in each accuracy, 95 % interval and number of test pairs in words, "" where no
    such pair came. The reason where there is no number.
    """
    import pandas as pd

    if result.reason is not None:
        return reason_table(result, result.reason)
    rows, index = [], []
    for question in (q for q in answers.questions(result) if answers.why_not(result, q) is None):
        for name in ("attention probe", answers.view(result, question), *answers.baselines(result, question)):
            index.append((question, name))
            rows.append(_by_subset(result, question, name))
    keys = pd.MultiIndex.from_tuples(index, names=["question", "read from"])
    return pd.DataFrame(rows, index=keys)


def _by_subset(result: Result, question: str, name: str) -> dict[str, str]:
    return {
        subset or "all pairs": ""
        if row is None
        else f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f}), n {row['n']}"
        for subset in (None, MENTIONED, SILENT)
        for row in [_of_subset(result, question, name, subset)]
    }


def _of_subset(result: Result, question: str, name: str, subset: str | None) -> Any:
    """The row of a subset; None where no pair of it came."""
    if name != answers.view(result, question):
        return answers.level(result, question, name, subset)
    at = answers.best(result, question)
    group = f"{question}, {name}" + (f", {subset}" if subset else "")
    if group not in set(result.frame["group"]):
        return None
    rows = answers.curve(result, question, "none", subset)
    return rows[(rows["stack"] == at.stack) & (rows["layer"] == at.layer)].iloc[0]
