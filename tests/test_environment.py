"""environment.yml, requirements.lock and pyproject.toml say the same about what is needed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import value_nb

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"pytorch": "torch", "msgpack-python": "msgpack"}  # conda-forge's name -> PyPI's
LOCK_LINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9a-z.]*")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
LOCK = [
    line
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def needs(lines: list[str]) -> dict[str, str]:
    """Package name (PyPI's) -> version range, of lines such as "numpy>=2.2"."""
    found = [Requirement(line) for line in lines]
    names = [canonicalize_name(CONDA_NAMES.get(one.name, one.name)) for one in found]
    assert len(set(names)) == len(names), "a package is named twice"
    return {name: str(one.specifier) for name, one in zip(names, found, strict=True)}


def conda_lines() -> list[str]:
    plain = [line for line in CONDA["dependencies"] if isinstance(line, str)]
    pip = next(line["pip"] for line in CONDA["dependencies"] if isinstance(line, dict))
    assert "-e ." in pip
    return [line for line in [*plain, *pip] if line not in {"pip", "-e ."}]


def locked() -> dict[str, str]:
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LOCK)}


def test_conda_names_the_same_packages_and_bounds_as_pyproject() -> None:
    expected = needs(PROJECT["dependencies"]) | {"python": PROJECT["requires-python"]}
    assert needs(conda_lines()) == expected


def test_every_dependency_has_a_lower_bound_and_nothing_else() -> None:
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]:
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", line), line


@pytest.mark.parametrize("line", LOCK)
def test_lock_lines_are_names_with_public_versions(line: str) -> None:
    """No local suffix (+cpu), no hash, no address, no marker."""
    assert LOCK_LINE.fullmatch(line), line


def test_lock_names_each_package_once_and_no_cuda_package() -> None:
    assert len(locked()) == len(LOCK)
    assert not [
        name for name in locked() if name.startswith(("nvidia-", "cuda-")) or name in {"triton", "pip"}
    ]


def test_lock_holds_every_dependency_inside_its_range() -> None:
    versions = locked()
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]:
        one = Requirement(line)
        assert one.name in versions, f"{one.name} is not locked; run `make lock`"
        assert one.specifier.contains(Version(versions[one.name])), f"{line}, locked {versions[one.name]}"


def test_lock_holds_the_torch_that_the_kit_is_tested_with() -> None:
    assert locked()["torch"] == "2.13.0"


def test_the_package_and_its_project_have_one_version() -> None:
    assert value_nb.__version__ == PROJECT["version"]
