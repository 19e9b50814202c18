import numpy as np

from value_nb import seeds


def test_numbers_belong_to_name_seed_and_purpose():
    base = seeds.raw("17", 0, 5, purpose="bootstrap")
    assert np.array_equal(base, seeds.raw("17", 0, 5, purpose="bootstrap"))
    for other in (
        seeds.raw("18", 0, 5, purpose="bootstrap"),
        seeds.raw("17", 1, 5, purpose="bootstrap"),
        seeds.raw("17", 0, 5, purpose="two-means"),
    ):
        assert not np.array_equal(base, other)


def test_first_numbers_do_not_depend_on_how_many_follow():
    assert np.array_equal(seeds.raw("a", 3, 4, purpose="p"), seeds.raw("a", 3, 100, purpose="p")[:4])


def test_numbers_are_the_same_on_every_machine():
    pinned = [1468533461736606004, 17739035237107844687]
    assert seeds.raw("17#3", 0, 2, purpose="bootstrap").tolist() == pinned


def test_uniforms_lie_in_the_unit_interval_and_are_uniform():
    draws = seeds.uniforms("a", 0, 20_000, purpose="p")
    assert draws.min() >= 0 and draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.01 and abs(draws.var() - 1 / 12) < 0.003
