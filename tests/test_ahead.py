"""Batches are made one ahead: in order, at the same time, and with every error where it belongs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tiny import tiny_examples, tiny_model
from value_nb.ahead import ahead
from value_nb.collecting import collect
from value_nb.probes.modality import ModalityImportance


def same(item: Any) -> Any:
    return item


def running() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("value_nb-ahead")]


def test_the_next_one_is_made_while_the_present_one_is_used() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    came = ahead(items(), same)
    assert next(came) == 1
    assert second.wait(60), "nobody has asked for the second one yet"
    assert list(came) == [2] and not running()


def test_at_most_one_too_many_is_made_and_the_thread_ends() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    for number in ahead(items(), same):
        if number == 3:
            break
    assert made in ([0, 1, 2, 3, 4], [0, 1, 2, 3]) and not running()


def test_an_error_comes_where_it_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the third file is gone")

    came = ahead(items(), same)
    assert next(came) == 1
    with pytest.raises(OSError, match="third file"):
        next(came)
    assert not running()


def test_a_pass_that_breaks_leaves_no_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("uniter")
    prepare, asked = model.prepare, []

    def breaks(examples: list[object]) -> object:
        asked.append(threading.current_thread().name)
        if len(asked) == 3:
            raise RuntimeError("no such picture")
        return prepare(examples)

    monkeypatch.setattr(model, "prepare", breaks)
    with pytest.raises(RuntimeError, match="no such picture"):
        collect(model, tiny_examples(8), [ModalityImportance().fresh(0)], batch_size=2)
    assert all(name.startswith("value_nb-ahead") for name in asked) and not running()


@pytest.mark.parametrize("stream", [True, False])
def test_a_stream_is_read_where_the_sweep_was_called_and_made_beside(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a database can be read in the thread that opened it alone; features of a file anywhere."""
    reading, making = set[str](), set[str]()

    class Told(list[Any]):
        def __iter__(self) -> Any:
            for one in list.__iter__(self):
                reading.add(threading.current_thread().name)
                yield one

        def __getitem__(self, index: Any) -> Any:
            reading.add(threading.current_thread().name)
            return list.__getitem__(self, index)

    model, examples = tiny_model("uniter"), Told(tiny_examples(6))
    prepare = model.prepare

    def told(chunk: Any) -> Any:
        making.add(threading.current_thread().name)
        return prepare(chunk)

    monkeypatch.setattr(model, "prepare", told)
    collect(model, iter(examples) if stream else examples, [ModalityImportance()], 2)
    here = threading.current_thread().name
    assert here not in making
    assert (reading == {here}) if stream else (here not in reading)
