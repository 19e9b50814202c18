import numpy as np
import pytest

from value_nb.probes.sample import Positions, PositionSample


def positions(sample: PositionSample, example: int) -> Positions:
    n = 5
    return Positions(
        priority=sample.priorities(f"e{example}", n),
        states=np.full((n, 2), example, dtype=np.float32) + np.arange(n)[:, None],
        image=np.array([f"i{example}"] * n, dtype=object),
        is_image=np.arange(n) > 2,
        special=np.arange(n) == 0,
    )


def drawn(examples: list[int], size: int = 20, seed: int = 0) -> PositionSample:
    sample = PositionSample(size, seed)
    for example in examples:
        sample.add("k", positions(sample, example))
    return sample


def assert_same(one: PositionSample, two: PositionSample) -> None:
    a, b = one.positions("k"), two.positions("k")
    assert np.array_equal(a.priority, b.priority) and np.array_equal(a.states, b.states)
    assert a.image.tolist() == b.image.tolist()


def test_order_and_sharding_do_not_matter():
    whole = drawn(list(range(40)))
    assert len(whole.positions("k")) == 20
    assert_same(whole, drawn(list(range(40))[::-1]))
    assert_same(whole, drawn(list(range(0, 40, 2))).merge(drawn(list(range(1, 40, 2)))))


def test_every_position_is_equally_likely():
    chosen = np.concatenate(
        [drawn(list(range(40)), seed=seed).positions("k").states[:, 0] for seed in range(100)]
    )
    assert abs(chosen.mean() - (19.5 + 2)) < 1.0


def test_nothing_above_the_limit_can_enter():
    sample = drawn(list(range(40)))
    late = positions(sample, 99)
    entering = (late.priority < sample.limit("k")).sum()
    before = set(sample.positions("k").priority.tolist())
    sample.add("k", late)
    assert len(set(sample.positions("k").priority.tolist()) - before) == entering


def test_samples_of_other_sizes_do_not_merge():
    with pytest.raises(ValueError, match="size 20, seed 0 and size 10, seed 0 do not merge"):
        drawn([1]).merge(drawn([1], size=10))
