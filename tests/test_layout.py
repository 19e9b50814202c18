from __future__ import annotations

import numpy as np
import torch

from value_nb.layout import PositionClass, StreamLayout

CLASSES = torch.tensor([[3, 2, 2, 0], [3, 2, 2, 2]])


def test_one_unit_to_a_position() -> None:
    stream = StreamLayout(CLASSES, torch.tensor([[-1, 0, 1, -1], [-1, 2, 2, 0]]), ((), ()))
    assert stream.membership().shape == (2, 4, 3)
    assert stream.membership()[1].argmax(dim=1).tolist() == [0, 2, 2, 0]
    assert stream.membership()[1].sum(dim=1).tolist() == [0, 1, 1, 1]
    assert stream.membership(5)[..., 3:].sum() == 0 and stream.membership(1).shape == (2, 4, 1)
    assert stream.unassigned.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]], "padding is nobody's, not unassigned"
    members = stream.members()
    assert list(zip(members.example, members.position, members.unit, strict=True)) == [
        (0, 1, 0), (0, 2, 1), (1, 1, 2), (1, 2, 2), (1, 3, 0)
    ]  # fmt: skip
    assert (members.share == 1).all()


def test_shares_of_a_position() -> None:
    shares = torch.zeros(2, 4, 2)
    shares[0, 1] = torch.tensor([0.25, 0.5])
    shares[1, 3, 1] = 1.0
    loose = torch.tensor([[1.0, 0.4, 1.0, 0.9], [1, 1, 1, 0]])
    stream = StreamLayout(CLASSES, torch.tensor([[-1, 1, -1, -1], [-1, -1, -1, 1]]), ((), ()), shares, loose)
    assert torch.equal(stream.membership(), shares)
    assert torch.equal(stream.membership(3)[..., :2], shares) and stream.membership(3).shape[2] == 3
    assert stream.membership(1).shape == (2, 4, 1)
    assert stream.unassigned[0, 3] == 0 and torch.equal(stream.unassigned[0, :3], loose[0, :3])
    members = stream.members()
    assert list(zip(members.example, members.position, members.unit, strict=True)) == [
        (0, 1, 0), (0, 1, 1), (1, 3, 1)
    ]  # fmt: skip
    np.testing.assert_allclose(members.share, [0.25, 0.5, 1.0])


def test_nothing_at_all() -> None:
    empty = torch.zeros(2, 0, dtype=torch.long)
    stream = StreamLayout(empty, empty, ((), ()))
    assert stream.membership().shape == (2, 0, 0) and stream.membership(4).shape == (2, 0, 4)
    assert len(stream.members().unit) == 0 and int(PositionClass.PAD) == 0
