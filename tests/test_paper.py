"""The published table is short, so it is written here once more, as it stands in the review."""

import pytest

from tests.fakes import FakeModel, fake_examples
from value_nb import paper
from value_nb.probes.fusion import FusionDegree
from value_nb.sweep import sweep

NUMBERS = {
    ("fusion_degree", "UNITER-base", "Flickr30k"): [0.36, 0.20],
    ("fusion_degree", "UNITER-base", "Visual Genome"): [0.25, 0.16],
    ("fusion_degree", "LXMERT", "Flickr30k"): [0.42, 0.48, 0.67, 0.75, 0.43],
    ("fusion_degree", "LXMERT", "Visual Genome"): [0.43, 0.56, 0.68, 0.78, 0.57],
    ("cross_modal_heads", "UNITER-base", None): [15.0, 0.92, 0.0],
    ("coreference_probe", "UNITER-base", None): [75.10, 93.0],
    ("coreference_probe", "LXMERT", None): [54.47, 93.0],
    ("relation_probe", "UNITER-base", "Visual Genome"): [69.81, 24.67, 86.35, 56.64],
    ("relation_probe", "LXMERT", "Visual Genome"): [67.53, 18.89],
}


def test_every_number_of_the_table_is_there_and_no_other():
    found: dict = {}
    for p in paper.PUBLISHED:
        if p.value is not None:
            found.setdefault((p.probe, p.model, p.data), []).append(p.value)
    assert found == NUMBERS


def test_statements_have_no_number():
    said = {p.said for p in paper.PUBLISHED if p.value is None}
    assert said == {
        "[CLS] gives more mass to text than to image, most in the middle layers",
        "attention shows patterns coherent with the alignment of regions and words",
        '"weak"',
        "best layer above LXMERT on all nine tasks, below BERT-base",
        "best layer below UNITER on all nine tasks",
    }


def test_each_says_where_it_is_from():
    assert all(p.place and p.transcribed == "at second hand from a published review" for p in paper.PUBLISHED)


def test_uniter_has_ends_and_no_layer_numbers():
    points = paper.published("fusion_degree", "uniter", "Flickr30k")
    assert [(p.layer, p.depth, p.layers) for p in points] == [(None, 0.0, 12), (None, 1.0, 12)]
    assert "not known" in points[0].note


def test_chance_levels():
    chance = {p.group: p.chance for p in paper.PUBLISHED if p.chance is not None}
    assert chance == {
        "VCD, attention probe": 50.0, "VRI, attention probe": 50.0, "VRC, attention probe": 3.33,
        "VRI, embedding probe": 50.0, "VRC, embedding probe": 3.33,
    }  # fmt: skip


def test_unknown_names_are_answered_with_the_known():
    with pytest.raises(ValueError, match="model='vilbert'; there are: 'UNITER-base', 'LXMERT'"):
        paper.published(model="vilbert")


def test_table_is_a_frame_with_a_row_each():
    assert len(paper.table()) == len(paper.PUBLISHED)
    assert set(paper.table("fusion_degree")["model"]) == {"UNITER-base", "LXMERT"}


def compared(stack: str, layers: int):
    model = FakeModel(gap=[4.0] * (layers + 1), stack=stack)
    return sweep(model, fake_examples(4), [FusionDegree()], controls="none", progress=False)[
        "fusion_degree"
    ].compare()


def test_compare_by_depth_where_the_number_of_layers_differs():
    table = compared("joint", 3)
    table = table[table["stack"] == "joint"]
    assert table["layer"].tolist() == [0, 1, 2, 3]
    assert table["published"].fillna(-1).tolist() == [-1, 0.36, -1, 0.20]
    assert table["note"].tolist()[::2] == ["not published here"] * 2
    assert "placed by relative depth (12 layers there)" in table["note"].tolist()[3]
    assert (table["value"] - table["published"] - table["difference"]).abs().max() < 1e-12


def test_compare_layer_by_layer_where_the_number_is_the_same():
    table = compared("cross", 5)
    table = table[(table["stack"] == "cross") & table["published"].notna()]
    assert table["layer"].tolist() == [1, 2, 3, 4, 5]
    assert table["published"].tolist() == [0.42, 0.48, 0.67, 0.75, 0.43]
    assert not table["note"].str.contains("depth").any()


def test_a_published_layer_that_we_do_not_have_is_kept_without_a_value():
    table = compared("cross", 3)
    missing = table[(table["stack"] == "cross") & table["value"].isna()]
    assert missing["published"].tolist() == [0.48, 0.75]
    assert set(missing["note"]) == {"no value of ours at this place"}
