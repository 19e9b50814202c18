"""Files of the hub, by huggingface_hub from a server on this machine that HF_ENDPOINT names."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.getting.fake_hub import COMMIT, Hub
from tests.getting.lists import QUICK, item, manifest
from tests.getting.server import serving
from value_nb.getting.checksums import digest
from value_nb.getting.errors import FetchError, OfflineError
from value_nb.getting.fetch import fetch

REPO = "owner/model"
WEIGHTS = random.Random(2).randbytes(50_000)
FILES = {
    "config.json": b"{}",
    "pytorch_model.bin": WEIGHTS,
    "tf_model.h5": b"not wanted",
    "vocab.txt": b"[PAD]\n",
}
GROUPS = [["config.json"], ["model.safetensors", "pytorch_model.bin"], "vocab.txt"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    hub = Hub(REPO, dict(FILES))
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    with serving(hub):
        yield hub


def bring(tmp_path: Path, root: Path, groups: list[Any] = GROUPS) -> Path:
    part = {"name": "weights", "files": groups, "from": [{"kind": "hub", "repo": REPO}]}
    return fetch("thing", root, progress=False, manifest=manifest(tmp_path, thing=item(part)), wire=QUICK)


def test_wanted_files_come_and_their_checksums_are_kept(hub: Hub, tmp_path: Path, root: Path) -> None:
    folder = bring(tmp_path, root)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "pytorch_model.bin", "vocab.txt"]
    assert (folder / "pytorch_model.bin").read_bytes() == WEIGHTS
    kept = json.loads((root / "checksums.json").read_text())
    entry = kept["thing/weights/pytorch_model.bin"]
    assert entry["sha256"] == digest(folder / "pytorch_model.bin")
    assert entry["source"] == f"{REPO}@{COMMIT}"
    count = len(hub.asked)
    assert bring(tmp_path, root) == folder and len(hub.asked) == count


def test_the_first_of_a_group_that_is_there_is_taken(hub: Hub, tmp_path: Path, root: Path) -> None:
    hub.files["model.safetensors"] = b"safe"
    folder = bring(tmp_path, root)
    assert (folder / "model.safetensors").read_bytes() == b"safe"
    assert not (folder / "pytorch_model.bin").exists()


def test_a_file_that_the_hub_lacks_is_named(hub: Hub, tmp_path: Path, root: Path) -> None:
    with pytest.raises(FetchError, match=r"the hub's owner/model: owner/model at main has no a\.json or b"):
        bring(tmp_path, root, [["a.json", "b.json"]])


def test_other_bytes_than_listed_are_refused(hub: Hub, tmp_path: Path, root: Path) -> None:
    hub.sent["pytorch_model.bin"] = WEIGHTS[::-1]
    with pytest.raises(FetchError, match=r"pytorch_model\.bin is not the file that the hub lists"):
        bring(tmp_path, root)
    assert not (root / "things" / "pytorch_model.bin").exists()
    del hub.sent["pytorch_model.bin"]
    assert (bring(tmp_path, root) / "pytorch_model.bin").read_bytes() == WEIGHTS


def test_a_change_since_the_first_time_is_refused(hub: Hub, tmp_path: Path, root: Path) -> None:
    (bring(tmp_path, root) / "config.json").unlink()
    hub.files["config.json"] = b"[]"
    with pytest.raises(FetchError, match="sent other bytes than owner/model@c0ffee"):
        bring(tmp_path, root)


def test_an_unknown_repository_and_an_absent_hub(
    hub: Hub, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repo = "other/model"
    with pytest.raises(FetchError, match=r"1\. the hub's owner/model: answered: .*404"):
        bring(tmp_path, root)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match=r"1\. the hub's owner/model: answered: "):
        bring(tmp_path, root)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "VALUE_NB_OFFLINE"])
def test_offline_the_cache_is_enough_and_nothing_else(
    hub: Hub, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from huggingface_hub import snapshot_download

    monkeypatch.setenv(name, "1")
    with pytest.raises(OfflineError, match=f"thing/weights is not here, and {name}=1 says"):
        bring(tmp_path, root)
    assert not hub.asked
    snapshot_download(REPO, endpoint=hub.address, cache_dir=tmp_path / "cache")
    count = len(hub.asked)
    folder = bring(tmp_path, root)
    assert (folder / "pytorch_model.bin").read_bytes() == WEIGHTS
    assert not (folder / "pytorch_model.bin").is_symlink() and len(hub.asked) == count
