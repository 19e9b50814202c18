"""What is here, in every state, without the network."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.getting.lists import QUICK, item, manifest, part
from tests.getting.server import Page, Server
from value_nb.getting.doctor import COLUMNS, doctor, doctor_text
from value_nb.getting.errors import FetchError
from value_nb.getting.fetch import fetch
from value_nb.getting.manifest import Manifest, load_manifest

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)


def row(
    listed: Manifest, root: Path | None = None, verify: bool = False, name: str = "thing"
) -> dict[str, object]:
    return doctor(root, verify, manifest=listed).set_index("item").loc[name].to_dict()


def two(server: Server, tmp_path: Path) -> Manifest:
    parts = (
        part(server.put(f"/{name}", CONTENT), name=name, to=f"{name}.bin", about="10 kB") for name in "ab"
    )
    return manifest(tmp_path, thing=item(*parts))


def test_missing_partly_there(server: Server, root: Path, tmp_path: Path) -> None:
    listed = two(server, tmp_path)
    assert row(listed) == {
        "kind": "data", "state": "missing", "bytes on disk": 0, "to download": "a about 10 kB; b about 10 kB",
        "next step": 'vnb.fetch("thing")', "note": "",
    }  # fmt: skip
    fetch("thing/b", progress=False, manifest=listed)
    found = row(listed)
    assert (found["state"], found["bytes on disk"], found["to download"]) == (
        "partly",
        10240,
        "about 10 kB",
    )
    fetch("thing", progress=False, manifest=listed)
    found = row(listed)
    assert (found["state"], found["bytes on disk"]) == ("there", 20480)
    assert (found["to download"], found["next step"]) == ("", "")


def test_another_root_stands_in_the_next_step(server: Server, tmp_path: Path) -> None:
    found = row(two(server, tmp_path), tmp_path / "else")
    assert found["next step"] == f"vnb.fetch(\"thing\", root='{tmp_path / 'else'}')"


def test_damage_is_told_by_size_and_by_bytes_only_if_asked(
    server: Server, root: Path, tmp_path: Path
) -> None:
    listed = two(server, tmp_path)
    file = fetch("thing", progress=False, manifest=listed) / "a.bin"
    assert row(listed, verify=True)["state"] == "there"
    file.write_bytes(CONTENT[::-1])
    assert row(listed)["state"] == "there"
    found = row(listed, verify=True)
    assert found["state"] == "damaged"
    assert str(found["next step"]).startswith(f"Not what was fetched: {file}. Delete it, then: vnb.fetch(")
    file.write_bytes(b"short")
    assert row(listed)["state"] == "damaged"


def test_unpacked_folders_are_verified_too(server: Server, root: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("top/S/deep/1.txt", "one")
        archive.writestr("top/S/2.txt", "two")
    url = server.put("/a.zip", (tmp_path / "a.zip").read_bytes())
    listed = manifest(tmp_path, thing=item(part(url, unpack="zip", take={"S": "S"})))
    folder = fetch("thing", progress=False, manifest=listed)
    assert (row(listed, verify=True)["state"], row(listed)["bytes on disk"]) == ("there", 6)
    (folder / "S" / "2.txt").write_text("2wo")
    assert (row(listed)["state"], row(listed, verify=True)["state"]) == ("there", "damaged")


def test_a_cut_download_is_told(server: Server, root: Path, tmp_path: Path) -> None:
    url = server.put("/file.bin", Page(CONTENT, cuts=[5000, 0, 0, 0]))
    listed = manifest(tmp_path, thing=item(part(url)))
    with pytest.raises(FetchError):
        fetch("thing", progress=False, manifest=listed, wire=QUICK)
    found = row(listed)
    assert (found["state"], found["bytes on disk"]) == ("missing", 0)
    assert found["next step"] == '5.0 kB came before it was cut; the next call goes on. vnb.fetch("thing")'


def test_what_needs_a_hand_and_what_stands_in_its_place(root: Path, tmp_path: Path) -> None:
    form = part(
        name="images", to="images", **{"from": [{"kind": "form", "url": "https://f.org", "steps": "Ask."}]}
    )
    listed = manifest(tmp_path, thing=item(part("http://x.org"), form, status="Slow.", instead="Or that."))
    assert row(listed)["next step"] == (
        f'vnb.fetch("thing/file") https://f.org: Ask. It goes to {root / "things" / "images"}.'
    )
    assert row(listed)["note"] == "Slow."


def test_what_is_dead_is_not_the_first_step(root: Path, tmp_path: Path) -> None:
    dead = {"kind": "http", "url": "http://x.org/f", "dead": True}
    thing = item(part(**{"from": [dead]}), instead='Use vnb.fetch("other").')
    assert row(manifest(tmp_path, thing=thing))["next step"] == (
        'Use vnb.fetch("other"). What is known to be dead is tried all the same by: vnb.fetch("thing")'
    )
    assert str(row(load_manifest(), name="uniter-base")["next step"]).startswith("Use VOLTA's UNITER")


def test_the_kits_own_list_needs_no_network(
    no_network: None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = doctor()
    assert tuple(table.columns) == COLUMNS
    items = table[table["kind"] != "machine"]
    assert items["item"].tolist() == list(load_manifest().items)
    assert (items["state"] == "missing").all() and (items["next step"].str.len() > 0).all()
    machine = table[table["kind"] == "machine"].set_index("item")["state"]
    assert machine["python"] == platform.python_version()
    assert list(machine.index) == [
        "python",
        "torch",
        "transformers",
        "huggingface_hub",
        "free space",
        "network",
    ]
    assert machine["network"] == "used only when vnb.fetch is called"
    monkeypatch.setenv("VALUE_NB_OFFLINE", "yes")
    assert doctor().set_index("item").loc["network", "state"] == "forbidden by VALUE_NB_OFFLINE"
    text = doctor_text()
    assert text.startswith(f"In {root}:\n  python: {platform.python_version()}\n")
    assert all(name in text for name in load_manifest().items)


def test_text_shows_what_is_here_first(server: Server, root: Path, tmp_path: Path) -> None:
    url = server.put("/file.bin", CONTENT)
    listed = manifest(tmp_path, absent=item(part(url), folder="a"), thing=item(part(url), status="It moves."))
    fetch("thing", progress=False, manifest=listed)
    assert doctor_text(manifest=listed).splitlines()[-4:] == [
        "  thing   there    10.2 kB here",
        "          It moves.",
        "  absent  missing  to download: unknown",
        '          -> vnb.fetch("absent")',
    ]


def test_an_empty_folder_is_not_there(root: Path, tmp_path: Path) -> None:
    listed = manifest(tmp_path, thing=item(part("http://x.org", to="images")))
    (root / "things" / "images").mkdir(parents=True)
    (root / "things" / "images" / ".hidden").touch()
    assert row(listed)["state"] == "missing"


def test_nothing_heavy_is_imported() -> None:
    heavy = ("torch", "transformers", "pandas", "numpy", "h5py", "lmdb", "requests", "huggingface_hub")
    code = (
        "import sys, value_nb.getting.fetch, value_nb.getting.doctor; "
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
