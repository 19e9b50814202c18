"""A small single-stream model and examples for the explorer's tests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tiny import tiny_examples, tiny_model


@pytest.fixture(scope="module")
def data() -> list[Any]:
    return tiny_examples(4, seed=0)


@pytest.fixture(scope="module")
def uniter() -> Any:
    return tiny_model("uniter", seed=0)
