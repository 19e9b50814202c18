from dataclasses import replace

import numpy as np
import pytest

from tests.probes.planted import planted_examples
from value_nb.probes.features import row_id
from value_nb.probes.items import Item, ItemTable
from value_nb.probes.spans import CLS

EXAMPLES = planted_examples(12)


def item(name: str, label: str = "x", **more) -> Item:
    return Item(name, label, {"text": CLS}, **more)


def filled() -> ItemTable:
    table = ItemTable()
    table.add((item(e.id, "ab"[k % 2], type=e.words[1]), e) for k, e in enumerate(EXAMPLES))
    return table


def test_ids_belong_to_names_and_the_task_follows_them():
    table = filled()
    assert len(table) == 12 and table.ids.tolist() == sorted(row_id(e.id) for e in EXAMPLES)
    task = table.task(np.array([row_id(e.id) for e in EXAMPLES], dtype=np.uint64))
    assert task.labels.tolist() == list("ab" * 6) and task.images.tolist() == [e.image_id for e in EXAMPLES]
    assert task.splits.tolist() == [e.split for e in EXAMPLES]
    assert task.types is not None and task.types.tolist() == [e.words[1] for e in EXAMPLES]


def test_items_without_types_give_a_task_without():
    table = ItemTable()
    table.add((item(e.id, "ab"[k % 2]), e) for k, e in enumerate(EXAMPLES))
    assert table.task(table.ids).types is None


def test_what_is_known_is_laid_side_by_side():
    table = ItemTable()
    ids = table.add(
        [
            (item("a", known={"bag": {"red": 2.0}, "box": [1.0, 2.0]}), EXAMPLES[0]),
            (item("b", known={"bag": {"dog": 1.0}, "box": [3.0, 4.0]}), EXAMPLES[1]),
        ]
    )
    assert table.known(["box"], ids).tolist() == [[1, 2], [3, 4]]
    both = table.known(["bag", "box"], ids)
    assert both.toarray().tolist() == [[0, 2, 1, 2], [1, 0, 3, 4]]
    assert table.has("bag") and not table.has("length")


def test_an_item_may_come_twice_with_one_answer_and_shards_merge():
    one, two = ItemTable(), ItemTable()
    one.add((item(e.id), e) for e in EXAMPLES[:7])
    two.add((item(e.id), e) for e in EXAMPLES[5:])
    one.absorb(two)
    assert len(one) == 12 and len(two) == 7


def test_errors_say_what_came():
    table = filled()
    with pytest.raises(ValueError, match="two items of one name differ"):
        table.add([(item(EXAMPLES[0].id, "other"), EXAMPLES[0])])
    with pytest.raises(ValueError, match="split='dev' came"):
        table.add([(item("new"), replace(EXAMPLES[0], split="dev"))])
    table.add([(item("new", known={"bag": {}}), EXAMPLES[0])])
    with pytest.raises(ValueError, match="1 of 13 items have a known 'bag'"):
        table.has("bag")
