import numpy as np
import pytest

from tests.fakes import fake_example, fake_examples
from value_nb.controls import Mismatched, NotPossible, RandomWeights, matched, swap
from value_nb.data.example import Phrase, Relation
from value_nb.probes.fusion import FusionDegree


class Scenes(list):
    """Examples with gold scenes: a caption is false of a picture whose number differs by an odd number."""

    def contradicts(self, example, image_id):
        return (int(example.image_id[3:]) - int(image_id[3:])) % 2 == 1


@pytest.mark.parametrize("images", [2, 3, 7, 33, 65])
@pytest.mark.parametrize("seed", [0, 1])
def test_partners_form_a_derangement(images, seed):
    partners = Mismatched(seed).partners(fake_examples(images))
    assert len(partners) == images and set(partners.values()) == set(partners)
    assert all(own != other for own, other in partners.items())


def test_partners_are_alike_in_regions_and_length():
    examples = fake_examples(64, captions=1, regions=(2, 30))
    count = {e.image_id: len(e.regions) for e in examples}
    found = np.mean([abs(count[a] - count[b]) for a, b in Mismatched().partners(examples).items()])
    by_chance = np.mean([abs(a - b) for a in count.values() for b in count.values()])
    assert found < 0.25 * by_chance


def test_order_does_not_matter_and_the_seed_does():
    examples = fake_examples(20)
    assert Mismatched(0).partners(examples) == Mismatched(0).partners(examples[::-1])
    assert Mismatched(0).partners(examples) != Mismatched(1).partners(examples)


@pytest.mark.parametrize("keeps", ["caption", "picture"])
def test_one_side_stays(keeps):
    examples = fake_examples(6)
    swapped = Mismatched().swapped(examples, keeps)
    assert len(swapped) == len(examples)
    for own, new in zip(examples, swapped, strict=True):
        assert new.image_id == own.image_id and new.id != own.id
        assert (new.caption == own.caption) == (keeps == "caption") or keeps == "picture"
        assert (new.regions is own.regions) == (keeps == "picture")
        assert not new.extra["mismatched_with"].startswith(own.image_id + "#")


def test_swapped_links_are_gone_and_relations_stay_with_the_picture():
    from dataclasses import replace

    a = replace(fake_example("a", 0, ("x", "y"), 2), phrases=(Phrase(0, 1, "7", ("people",), (1,)),))
    b = replace(fake_example("b", 0, ("z",), 3), relations=(Relation(0, "on", 1),))
    new = swap(a, b, "caption")
    assert new.words == ("x", "y") and len(new.regions) == 3
    assert new.phrases[0].regions == () and new.phrases[0].chain == "7" and new.relations == b.relations
    assert a.phrases[0].regions == (1,), "the original is left alone"


def test_only_false_pairs_are_kept_where_the_scene_is_known():
    examples = Scenes(fake_examples(9))
    swapped = Mismatched().swapped(examples, "caption")
    for example in swapped:
        assert examples.contradicts(example, example.extra["mismatched_with"].split("#")[0])
    assert swapped.left_out == 2, (
        "nine pictures, five of one kind: one picture of two captions finds no partner"
    )
    assert len(Mismatched(false_by_gold=False).swapped(examples, "caption")) == 18


def test_asking_for_gold_where_there_is_none_is_refused():
    with pytest.raises(ValueError, match="needs a data set with contradicts"):
        Mismatched(false_by_gold=True).partners(fake_examples(4))


def test_examples_without_a_picture_are_refused():
    from dataclasses import replace

    with pytest.raises(NotPossible, match="example 'img0#0' has no picture"):
        Mismatched().partners([replace(e, regions=None) for e in fake_examples(2)])


def test_unknown_side_is_refused():
    with pytest.raises(ValueError, match="keeps='image'; expected one of 'caption', 'picture'"):
        Mismatched().swapped(fake_examples(2), "image")


def test_random_weights_gives_a_condition_for_each_seed():
    assert len(RandomWeights().conditions(FusionDegree())) == 5
    with pytest.raises(ValueError, match="expected one or more different"):
        RandomWeights(seeds=(1, 1))


def split_examples():
    """Nine pictures with two captions: four train, three val, two test, in turn as long as they last."""
    from dataclasses import replace

    order = ["train", "val", "test", "train", "val", "test", "train", "val", "train"]
    return [replace(e, split=order[int(e.image_id[3:])]) for e in fake_examples(9)]


@pytest.mark.parametrize("keeps", ["caption", "picture", "both"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_caption_meets_a_picture_of_another_split(keeps, seed):
    examples = split_examples()
    split = {e.image_id: e.split for e in examples}
    partners = Mismatched(seed).partners(examples, keeps)
    assert sorted(partners) == sorted(split) == sorted(partners.values())
    assert all(own != other and split[own] == split[other] for own, other in partners.items())
    for new in Mismatched(seed).swapped(examples, keeps):
        assert split[new.extra["mismatched_with"].split("#")[0]] == new.split == split[new.image_id]


def test_a_split_of_one_picture_cannot_be_swapped():
    examples = [e for e in split_examples() if e.split != "test" or e.image_id == "img2"]
    with pytest.raises(NotPossible, match="1 picture came in split 'test'; mismatched pairs need at least"):
        Mismatched().swapped(examples, "picture")


def test_both_sides_stay_each_in_a_pair_of_its_own():
    examples = fake_examples(6)
    swapped = Mismatched().swapped(examples, "both")
    assert len(swapped) == 2 * len(examples) and swapped[-1].id == swapped[len(swapped) - 1].id
    for k, own in enumerate(examples):
        first, second = swapped[2 * k], swapped[2 * k + 1]
        assert (first.extra["kept"], second.extra["kept"]) == ("caption", "picture")
        assert first.caption == own.caption and first.regions is not own.regions
        assert second.regions is own.regions and second.id == first.id and matched(second) is own
        partner = next(e for e in examples if e.id == first.extra["mismatched_with"])
        assert first.regions is partner.regions and second.caption == partner.caption
    assert matched(examples[0]) is examples[0]
    with pytest.raises(IndexError, match="expected -24 to 23"):
        swapped[24]
