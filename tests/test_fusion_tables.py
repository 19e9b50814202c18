"""Tables of fusion by layer, and the reason where there is no number."""

from __future__ import annotations

import pytest

from tests.fakes import FakeModel, fake_examples
from value_nb import FusionDegree, RandomWeights, sweep
from value_nb.fusion_tables import fusion_beside_controls, fusion_layers


def swept(**model):
    controls = [RandomWeights((0, 1))]
    found = sweep(FakeModel(**model), fake_examples(4), [FusionDegree()], controls=controls, progress=False)
    return found["fusion_degree"]


def test_layers_are_the_models_own_rows():
    result = swept()
    table = fusion_layers(result, "nmi")
    own = result.select(measure="nmi", specials="paper", control="none")
    assert table["layer"].is_unique and table["value"].tolist() == own["value"].tolist()


def test_controls_of_several_seeds_stand_as_their_mean():
    result = swept()
    table = fusion_beside_controls(result)
    drawn = result.select(measure="nmi", specials="paper", control="random weights", layer=1)["value"]
    assert len(drawn) == 2
    assert table.loc[("nmi", "random weights"), 1] == pytest.approx(drawn.mean())


def test_the_reason_stands_alone_where_there_is_no_number():
    result = swept(stack="text")
    for table in (fusion_layers(result), fusion_beside_controls(result)):
        assert table["not defined"].tolist() == [result.reason]
        assert table.index.tolist() == ["fake"]
