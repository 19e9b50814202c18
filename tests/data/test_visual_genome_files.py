from __future__ import annotations

from pathlib import Path

import pytest

from value_nb.data.visual_genome_files import find_files


def lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).write_text("[]")
    return root


COMMON = ("image_data.json.zip", "region_descriptions.json.zip")


def test_the_newest_release_that_is_whole_is_read(tmp_path: Path) -> None:
    root = lay(tmp_path, *COMMON, "objects_v1.json", "relationships_v1.json.zip", "relationships.json")
    assert find_files(root)["objects"].name == "objects_v1.json", "of 1.4 it has relationships alone"
    assert find_files(root)["relationships"].name == "relationships_v1.json.zip"
    lay(root, "objects_v1_2.json.zip", "relationships_v1_2.json")
    assert find_files(root)["objects"].name == "objects_v1_2.json.zip"
    lay(root, "objects.json.zip", "objects.json")
    names = {part: path.name for part, path in find_files(root).items()}
    assert names == {
        "image_data": "image_data.json.zip",
        "objects": "objects.json",
        "relationships": "relationships.json",
        "region_descriptions": "region_descriptions.json.zip",
    }, "plain before zipped"
    for release, mark in (("1.0", "_v1"), ("1.2", "_v1_2"), ("1.4", "")):
        assert find_files(root, release)["relationships"].name.startswith(f"relationships{mark}.json")


def test_image_data_of_the_release_come_first(tmp_path: Path) -> None:
    root = lay(tmp_path, *COMMON, "image_data_v1.json", "objects_v1.json", "relationships_v1.json")
    files = find_files(root)
    assert files["image_data"].name == "image_data_v1.json"
    assert files["region_descriptions"].name == "region_descriptions.json.zip"


def test_releases_are_never_mixed(tmp_path: Path) -> None:
    root = lay(tmp_path, *COMMON, "objects.json", "relationships_v1_2.json")
    with pytest.raises(
        FileNotFoundError,
        match=r"objects\.json and relationships_v1_2\.json, which are of different releases",
    ):
        find_files(root)
    with pytest.raises(FileNotFoundError, match=r"no objects\.json.*one of objects_v1_2\.json, objects_v1_2"):
        find_files(root, "1.2")
    with pytest.raises(
        ValueError, match=r"release='1\.3' came; expected None or one of '1\.4', '1\.2', '1\.0'"
    ):
        find_files(root, "1.3")


def test_missing_parts_are_named(tmp_path: Path) -> None:
    root = lay(tmp_path, "objects.json", "relationships.json", "image_data.json")
    with pytest.raises(FileNotFoundError, match=r"no region_descriptions\.json.*homes\.cs\.washington"):
        find_files(root)
