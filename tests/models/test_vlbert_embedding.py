from __future__ import annotations

import math

import torch

from value_nb.models.vlbert_embedding import coordinates, last_rows


def test_coordinates_by_hand() -> None:
    """Box 0.1 0.2 0.5 0.8: centre 30, 50, size 40, 60 hundredths; wavelengths 1 and 1000^(1/2)."""
    got = coordinates(torch.tensor([[0.1, 0.2, 0.5, 0.8]], dtype=torch.float64), 2)[0]
    root = math.sqrt(1000)
    want = [f(c / wave) for c in (30, 50, 40, 60) for f in (math.sin, math.cos) for wave in (1, root)]
    torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64), atol=1e-12, rtol=0)


def test_the_last_valid_row_of_each_example() -> None:
    valid = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    assert last_rows(valid).tolist() == [[False, False, True], [True, False, False], [False] * 3]
    assert last_rows(torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)
