"""The list of what can be fetched: the kit's own, and what is refused in others."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.getting.lists import item, manifest, part
from value_nb.data.registry import ENTRIES
from value_nb.data.senteval import FILES
from value_nb.getting.errors import ManifestError
from value_nb.getting.manifest import BY_HAND, in_words, load_manifest

MODELS = """
    uniter-base uniter-large lxmert-base lxmert-official vilbert-base vilbert-multi-task vilbert-beta
    ctrl-uniter ctrl-lxmert ctrl-vilbert ctrl-visualbert ctrl-vl-bert volta-vilbert volta-lxmert volta-vl-bert
    visualbert vilt bert-base-uncased bert-base-cased
""".split()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_goes_where_load_model_looks(name: str) -> None:
    found = load_manifest().items[name]
    assert (found.kind, found.folder) == ("model", f"models/{name}")
    targets = {path for part in found.parts for group in part.targets for path in group}
    assert "tokenizer.json" in targets
    assert any(path.endswith((".pt", ".pth", ".bin", ".safetensors")) for path in targets)


def test_data_go_where_load_dataset_looks() -> None:
    items = load_manifest().items
    assert items["flickr30k-entities"].folder == ENTRIES["flickr30k-entities"].folder
    assert {part.targets[0][0] for part in items["flickr30k-entities"].parts} >= {
        "train.txt",
        "val.txt",
        "test.txt",
    }
    assert items["visual-genome"].folder == ENTRIES["visual-genome"].folder
    files = ("image_data", "objects", "relationships", "region_descriptions")
    assert {f"{name}.json.zip" for name in files} <= {part.to for part in items["visual-genome"].parts}
    assert [part.name for part in items["senteval"].parts] == list(FILES)
    for task in FILES:
        found, (one,) = load_manifest().find(f"senteval/{task}")
        assert (found.folder, one.to) == (ENTRIES[f"senteval/{task}"].folder, f"{task}.txt")


def test_what_is_known_to_be_dead_says_what_to_use_instead() -> None:
    for name in ("uniter-base", "uniter-large"):
        found = load_manifest().items[name]
        assert "409" in found.status and 'vnb.fetch("ctrl-uniter")' in found.instead
    everything = json.dumps([item.instead for item in load_manifest().items.values()])
    for word in everything.split('vnb.fetch(\\"')[1:]:
        load_manifest().find(word.split("\\")[0])


def test_pictures_of_flickr30k_need_a_form() -> None:
    found = load_manifest().items["flickr30k-images"]
    assert all(part.by_hand for part in found.parts) and found.terms
    assert found.parts[0].locations[0].kind == "form"


def test_no_number_from_nowhere() -> None:
    """Nobody publishes exact sizes or checksums of these: none may stand here; words name their source."""
    for found in load_manifest().items.values():
        for one in found.parts:
            assert one.size is None and one.sha256 is None, one
            assert all(at.steps for at in one.locations if at.kind in BY_HAND)


def test_the_table_has_a_row_an_item() -> None:
    table = load_manifest().table()
    assert table["item"].tolist() == list(load_manifest().items)
    row = table.set_index("item").loc["lxmert-base"]
    assert row["size"] == "about 1.01 GB (as the hub lists it)"
    assert row["where"] == "the hub's unc-nlp/lxmert-base-uncased"
    assert (table[["what", "size", "licence", "where", "goes to", "citation"]].map(len) > 0).all(axis=None)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (870_000_000, "870.0 MB"),
        (3 * 10**12, "3000.0 GB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


def test_sizes_of_several_parts(tmp_path: Path) -> None:
    parts = [part(URL, name=name, to=name, size=size) for name, size in (("a", 1000), ("b", 500))]
    more = part(URL, name="c", to="c", about="5 MB")
    last = part(URL, name="d", to="d")
    listed = manifest(
        tmp_path, x=item(*parts), y=item(*parts, more), z=item(more, last), w=item(last, parts[0])
    )
    sizes = {name: found.size_words for name, found in listed.items.items()}
    assert sizes == {
        "x": "1.5 kB", "y": "a 1.0 kB; b 500 bytes; c about 5 MB", "z": "c about 5 MB; others unknown",
        "w": "a 1.0 kB; others unknown",
    }  # fmt: skip


def hand(**more: Any) -> dict[str, Any]:
    return {"kind": "form", "url": "https://x.org", "steps": "do"} | more


URL = "http://x.org/f"
WRONG = [
    (item(part(URL), kind="models"), "'kind' is 'models'; valid: 'model', 'data', 'features'"),
    (item(part(URL), folder="../up"), "the path '../up' came, expected a relative one"),
    (item(part(URL), folder="/up"), "the path '/up' came"),
    (item(part(URL), licenze="x"), "unknown key 'licenze'; valid: kind, folder"),
    (item(part(URL), licence=""), "'licence' is '', expected text"),
    (item(), "expected at least one part"),
    (item(part(URL), part(URL)), "each with a name of its own"),
    (item(part(URL, name="A b")), "a part's name is lower-case letters"),
    (item(part()), "'from' is empty"),
    (item(part("file:///etc/passwd")), "the url is 'file:///etc/passwd'; expected one that begins with http://"),
    (item(part("http:///x")), "expected one that begins with http://"),
    (item(part(URL, to="a/../../b")), "the path 'a/../../b' came"),
    (item(part(URL, to="C:\\b")), "the path 'C:"),
    (item(part(URL, to=3)), "'to' is 3, expected text"),
    (item(part(URL, size=0)), "'size' is 0, expected a positive number"),
    (item(part(URL, size=True)), "'size' is True"),
    (item(part(URL, size="5 MB")), "'size' is '5 MB'"),
    (item(part(URL, sha256="ABC")), "'sha256' is 'ABC', expected 64 lower-case"),
    (item(part(URL, unpack="zip")), "'unpack' and 'take' belong together"),
    (item(part(URL, take={"a": "b"})), "'unpack' and 'take' belong together"),
    (item(part(URL, take={"a": "../b"}, unpack="zip")), "the path '../b' came"),
    (item(part(URL, take={"a": "b"}, unpack="rar")), "'unpack' is 'rar'; valid: '', 'zip', 'tar'"),
    (item(part(URL, take={"a": "b"}, unpack="zip", to="x")), "exactly one of 'to', 'take' and 'files'"),
    (item(part(URL, files=["a"])), "a location of kind 'http' came; valid here: hub, form, page"),
    (item(part(files=["a"], **{"from": [{"kind": "hub", "repo": "o"}]})), "the repo is 'o'; expected owner"),
    (item(part(files=[[]], **{"from": [hand()]})), "a group of files is empty"),
    (item(part(files="abc", **{"from": [hand()]})), "'files' is str, expected a list"),
    (item(part(**{"from": [hand(steps="")]})), "'steps' is '', expected text"),
    (item(part(**{"from": [hand(dead="yes")]})), "'dead' is 'yes', expected true or false"),
    (item(part(**{"from": [hand(kind="ftp")]})), "'kind' is 'ftp'; valid: 'http', 'hub', 'form', 'page'"),
    (item(part(**{"from": ["http://x"]})), "str came, expected an object with keys"),
    ([], "list came, expected an object with keys"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_mistakes_are_named_with_their_place(tmp_path: Path, wrong: Any, message: str) -> None:
    import re

    with pytest.raises(ManifestError, match=rf"manifest\.json, thing.*{re.escape(message)}"):
        manifest(tmp_path, thing=wrong)


def test_mistakes_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    for text, message in (
        ("{", "cannot be read as a manifest"),
        ("[" * 100_000, "cannot be read as a manifest"),
        ("[]", "list came"),
        ('{"version": 2, "items": {}}', "version is 2, expected 1"),
        ('{"version": 1, "items": []}', "'items' is list"),
        ('{"version": 1, "items": {"A": {}}}', "an item's name is lower-case"),
    ):
        path.write_text(text)
        with pytest.raises(ManifestError, match=message):
            load_manifest(path)
    with pytest.raises(ManifestError, match="cannot be read as a manifest"):
        load_manifest(tmp_path / "absent.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    ["kind", "folder", "parts", "title"],
    ["name", "from", "to", "size", "sha256", "unpack", "take", "files"],
)


@settings(derandomize=True, max_examples=120, deadline=None)
@given(st.sampled_from(KEYS[0]) | st.sampled_from(KEYS[1]), JSON)
def test_whatever_stands_there_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    thing = item(part(URL))
    (thing if key in KEYS[0] else thing["parts"][0])[key] = value
    with suppress(ManifestError):
        manifest(tmp_path_factory.getbasetemp(), thing=thing)
