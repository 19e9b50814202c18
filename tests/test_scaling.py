from dataclasses import replace

import pytest

from tests.tiny import tiny_examples, tiny_model
from value_nb import scaling
from value_nb.probes.modality import ModalityImportance
from value_nb.scaling import NETWORK, OVERHEAD, Cost, hours, limit, line, measure, page, table

COST = Cost(pairs=100, collect=10.0, here=0.1, sent=0, received=0, model=0)


def test_hours_worked_out_by_hand():
    assert hours(COST, 1000, workers=1) == pytest.approx(10 * 10 / 3600)
    assert hours(COST, 1000, workers=4) == pytest.approx(3 * 10 / 3600), (
        "ten shards, at most three for a worker"
    )
    assert hours(COST, 1000, workers=1, models=7) == pytest.approx(7 * 100 / 3600)
    assert line(COST) == pytest.approx(0.1 + OVERHEAD)
    many = hours(COST, 100_000, workers=1000)
    assert many == pytest.approx(1000 * line(COST) / 3600), "the one process decides"


def test_bytes_take_their_time():
    heavy = replace(COST, sent=int(NETWORK), received=int(NETWORK), model=int(2 * NETWORK))
    assert line(heavy) == pytest.approx(2 + line(COST))
    assert hours(heavy, 100, workers=3) == pytest.approx((3 * 2 + 10) / 3600)


def test_beyond_the_limit_more_workers_bring_nothing():
    most = int(limit(COST))
    assert most == int(10 / 0.105)
    times = [hours(COST, 10_000_000, count) for count in (most // 4, most // 2, most, 2 * most, 8 * most)]
    assert times[0] > 1.9 * times[1] > 3.6 * times[2] and times[3] == times[4]
    assert times[3] > 0.97 * times[2]


def test_a_table_has_each_number_of_workers():
    found = table(COST, (1, 8, 16))
    assert found.index.tolist() == [1, 8, 16] and found.notna().all(axis=None)
    alone, apart = found.columns[1:]
    assert found.loc[8, alone] == found.loc[8, apart] and found.loc[16, apart] < found.loc[16, alone]


def test_a_shard_is_measured_and_the_page_written(monkeypatch):
    monkeypatch.setattr(scaling, "SHARD", 8)
    model = tiny_model("uniter")
    cost = measure(model, tiny_examples(3), [ModalityImportance()], 4)
    assert cost.pairs == 8 and cost.collect > 0 and cost.sent > 1000 and cost.received > 500
    assert cost.model == 4 * model.n_parameters
    text = page(cost, "Tiny", ["modality_importance"], "a machine")
    assert "a machine" in text and "| 512 |" in text and "{" not in text
