from collections import Counter, defaultdict
from pathlib import Path

import msgpack
import numpy as np
import pytest
import torch

import value_nb as vnb
from tests.fakes import FakeModel, fake_examples
from tests.tiny import tiny_examples, tiny_model
from value_nb import states
from value_nb.collecting import collect
from value_nb.examples.own_probe import Spread
from value_nb.layout import PositionClass
from value_nb.probes.features import FeatureStore
from value_nb.sums import ImageSums

PROBES = (
    vnb.FusionDegree(), vnb.FusionDegree(pooled=True, sample_size=50), vnb.ModalityImportance(),
    vnb.CrossModalHeads(), vnb.CoreferenceAttention(permutations=20), vnb.CoreferenceProbe(),
    vnb.RelationProbe(), vnb.LinguisticProbe(), Spread(),
)  # fmt: skip


def through(value: object) -> object:
    return states.unpack(b"".join(states.pack(value)))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -4, 2**64 - 1, 2**80, -(2**70), 1.5, float("inf"), "text", "\ud800",
        b"bytes", [], [1, ["a", None]], (1, ("b",)), {("joint", 3): [1.0], 5: {"x": ()}, None: 1}, {1, 2},
        frozenset({("a", 1)}), Counter("aab"),
        defaultdict(list, {"a": [1]}), defaultdict(None, {"b": 2}), PositionClass.TEXT,
    ],
)  # fmt: skip
def test_plain_values_come_back_as_they_were(value):
    found = through(value)
    assert found == value and type(found) is type(value)


def test_numbers_that_are_none_and_order_are_kept():
    assert np.isnan(through(float("nan")))
    assert list(through({"b": 1, "a": 2})) == ["b", "a"]
    made = through(defaultdict(list))
    made["new"].append(1)
    assert made == {"new": [1]}


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint64).reshape(2, 3), np.zeros((0, 4), dtype=np.float16),
        np.array(["a", "bc"]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(3.5), np.array([True, False]),
        np.array(["one", None, ("x", 1)], dtype=object), np.arange(10)[::3], np.array([np.nan, -0.0]),
    ],
)  # fmt: skip
def test_arrays_come_back_and_can_be_written_into(array):
    found = through([array])[0]
    assert found.dtype == array.dtype and found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    found[...] = found
    assert found.dtype == object or found.tobytes() == array.tobytes()


def test_scalars_of_numpy_and_tensors():
    assert type(through(np.float32(0.1))) is np.float32 and through(np.float32(0.1)) == np.float32(0.1)
    found = through({"a": torch.arange(4).reshape(2, 2)})
    assert torch.equal(found["a"], torch.arange(4).reshape(2, 2))


class Own:
    pass


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Own(), "Own"), ([{"deep": Own()}], "Own"), (lambda: 1, "function"), (Path("x"), "Path"),
        (np.array([Own()], dtype=object), "Own"), (torch.zeros(2, dtype=torch.bfloat16), "bfloat16"),
        (defaultdict(Own), "Own"), (np.zeros(2, dtype=[("a", "i4")]), "dtype"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_named(value, named):
    with pytest.raises(states.UnknownState, match=named):
        b"".join(states.pack(value))


def test_something_that_holds_itself_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(states.UnknownState, match="levels deep"):
        b"".join(states.pack(loop))


def test_every_changed_byte_and_every_cut_is_seen():
    data = b"".join(states.pack({"a": np.arange(5), "b": "text"}))
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        for bad in (bytes(changed), data[:place]):
            with pytest.raises(states.Damaged):
                states.unpack(bad)


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "value_nb.states:unpack", "value_nb.states:os.system"]
)
def test_only_classes_of_the_package_are_made(name):
    """Bytes that are whole and say something else: no function is reached, and no other module."""
    header = msgpack.packb({"tree": ["object", [name, ["dict", []]]], "arrays": []})
    body = len(header).to_bytes(8, "little") + header
    forged = states.MAGIC + states.blake2b(body, digest_size=states.DIGEST).digest() + body
    with pytest.raises(states.Damaged, match="is no class of this package"):
        states.unpack(forged)


def test_accumulators_come_back():
    sums = ImageSums()
    sums.add(("joint", 1), ["a", "b", "a"], np.array([[1.0], [np.nan], [3.0]]))
    found = through(sums)
    assert found.table(("joint", 1))[0] == ["a", "b"]
    np.testing.assert_array_equal(found.table(("joint", 1))[1], sums.table(("joint", 1))[1])
    found.add(("joint", 1), ["c"], np.ones((1, 1)))
    assert len(found) == 3 and len(sums) == 2


@pytest.mark.parametrize("limit", [0, 2**20])
def test_features_come_back_from_memory_and_from_disk(limit):
    store = FeatureStore(limit, "float32")
    rng = np.random.default_rng(0)
    for part in range(3):
        store.append(
            ("v", "joint", 1), np.arange(part * 4, part * 4 + 4, dtype=np.uint64), rng.normal(size=(4, 5))
        )
    store.append("empty", np.zeros(0, dtype=np.uint64), np.zeros((0, 2)))
    found = through(store)
    assert found.keys == store.keys and (found.limit, found.dtype, found.on_disk) == (
        limit,
        "float32",
        limit == 0,
    )
    for key in store.keys:
        for mine, other in zip(store.read(key), found.read(key), strict=True):
            np.testing.assert_array_equal(mine, other)
    assert found._file is None or found._file is not store._file


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_every_probe_comes_back(probe):
    """On the miniature: packed again, a restored state gives the same bytes, and goes on like the first."""
    model, examples = vnb.load_model("mini-uniter"), some(probe)
    ready = probe.fresh(0).prepare(examples)
    half = len(examples) // 2
    seen = ready.fresh(0)
    collect(model, examples[:half], [seen])
    packed = b"".join(states.pack(seen.state()))
    back = ready.fresh(0).restore(states.unpack(packed))
    assert b"".join(states.pack(back.state())) == packed
    for one in (seen, back):
        collect(model, examples[half:], [one])
    assert b"".join(states.pack(back.state())) == b"".join(states.pack(seen.state()))
    assert len(packed) > 500, "something was seen"


def some(probe: vnb.FusionDegree) -> list:
    names = {"relation_probe": "mini-vg", "linguistic_probe": "mini-senteval/tree_depth"}
    data = vnb.load_splits(names.get(probe.name, "mini-flickr30k"))
    return [data[k] for k in range(0, len(data), len(data) // 12)]


def test_every_probe_of_the_package_is_among_those_tried():
    tried = {type(probe).__name__ for probe in PROBES}
    public = {name: getattr(vnb, name) for name in vnb.__all__}
    there = {name for name, made in public.items() if isinstance(made, type) and hasattr(made, "_absorb")}
    assert {name for name in there if not public[name].__abstractmethods__} <= tried and len(there) > 5


def test_the_batch_at_hand_is_not_part_of_a_state():
    probe = vnb.CoreferenceAttention().fresh(0)
    collect(tiny_model("uniter"), tiny_examples(4), [probe])
    assert b"Regions" not in b"".join(states.pack(probe.state()))


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "one.state"
    size = states.write(path, [1, np.arange(3)])
    assert path.stat().st_size == size and states.read(path)[0] == 1
    with pytest.raises(states.UnknownState):
        states.write(path, Own())
    assert states.read(path)[0] == 1 and [p.name for p in tmp_path.iterdir()] == ["one.state"]


def test_fakes_are_seen_alike():
    """States of a planted model, by a probe with two accumulators and a sample."""
    probe = vnb.FusionDegree(sample_size=20).fresh(0)
    collect(FakeModel(), fake_examples(5), [probe])
    back = probe.fresh().restore(through(probe.state()))
    assert back.rows(replicates=20) == probe.rows(replicates=20)
