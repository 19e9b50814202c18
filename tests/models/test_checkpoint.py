"""Files of weights: every form, wrapper and way of being broken. Nothing in them is ever run."""

from __future__ import annotations

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from value_nb.models.checkpoint import read_checkpoint
from value_nb.models.locating import candidates, find_weights

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(3, 4, generator=generator),
        "a.bias": torch.randn(3, generator=generator).half(),
    }


def same(found: State, wanted: State) -> bool:
    return set(found) == set(wanted) and all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype
        for name, tensor in wanted.items()
    )


def write(path: Path, state: object, form: str) -> Path:
    if form == "safetensors":
        save_file(state, path)  # type: ignore[arg-type]
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    return path


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.safetensors", "no_ending"])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_the_content_says_the_form_whatever_the_name(
    form: str, name: str, state: State, tmp_path: Path
) -> None:
    assert same(read_checkpoint(write(tmp_path / name, state, form)), state)


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_training_scripts_wrappers_are_opened(wrapper: str, form: str, state: State, tmp_path: Path) -> None:
    wrapped = {wrapper: OrderedDict(state), "epoch": 3, "optimizer": {"lr": 0.1, "state": {0: torch.ones(2)}}}
    assert same(read_checkpoint(write(tmp_path / "w.pt", wrapped, form)), state)


def test_parameters_come_out_as_plain_tensors(state: State, tmp_path: Path) -> None:
    held = {name: nn.Parameter(tensor) for name, tensor in state.items()}
    found = read_checkpoint(write(tmp_path / "w.pt", held, "zip"))
    assert same(found, state) and not any(tensor.requires_grad for tensor in found.values())


@pytest.mark.parametrize(
    "content", [[torch.ones(2)], {}, {"epoch": 3}, {"a": torch.ones(2), "epoch": 3}, {1: torch.ones(2)}, 7],
    ids=["list", "empty", "no tensor", "mixed", "numbers", "number"],
)  # fmt: skip
def test_what_holds_no_weights_is_refused(content: object, tmp_path: Path) -> None:
    path = write(tmp_path / "w.pt", content, "zip")
    with pytest.raises(ValueError, match=r"w\.pt holds no weights: expected tensors by name"):
        read_checkpoint(path)


def test_two_wrappers_are_not_guessed_between(state: State, tmp_path: Path) -> None:
    path = write(tmp_path / "w.pt", {"model": state, "state_dict": state}, "zip")
    with pytest.raises(ValueError, match="holds no weights"):
        read_checkpoint(path)


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "w.pt", {"a": torch.eye(3).to_sparse()}, "zip")
    with pytest.raises(ValueError, match="sparse or quantised tensors, which are not read: a"):
        read_checkpoint(path)


class Payload:
    """Unpickled in full, it would make a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("place", ["beside", "inside", "alone"])
def test_a_pickled_payload_never_runs(form: str, place: str, state: State, tmp_path: Path) -> None:
    payload = Payload(tmp_path / "ran")
    content = {"beside": {"model": state, "x": payload}, "inside": {**state, "x": payload}, "alone": payload}
    path = write(tmp_path / "evil.pt", content[place], form)
    with pytest.raises(ValueError, match=r"evil\.pt is refused: .* would have to call '\w+\.mkdir'"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()
    with path.open("rb") as file:  # the payload does what it says where nobody guards
        torch.load(file, weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_bare_pickle_never_runs(tmp_path: Path) -> None:
    path = tmp_path / "evil.bin"
    path.write_bytes(pickle.dumps({"a": Payload(tmp_path / "ran")}))
    with pytest.raises(ValueError, match=r"evil\.bin"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_cut_off_at_any_byte_it_is_named(form: str, state: State, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", state, form).read_bytes()
    cut = tmp_path / "cut.pt"
    ends = {*range(64), *range(len(whole) - 64, len(whole))}
    for length in sorted(ends | {*range(0, len(whole), 7)}):
        cut.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.pt"):
            read_checkpoint(cut)
    cut.write_bytes(whole)
    assert same(read_checkpoint(cut), state)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer of Git LFS"),
        (b"hello, world, this is text", "neither torch.save nor safetensors"),
    ],
)
def test_what_is_no_checkpoint_says_what_it_is(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"w\.pt is no checkpoint: .*{said}"):
        read_checkpoint(tmp_path / "w.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no checkpoint .*w\.pt"):
        read_checkpoint(tmp_path / "w.pt")


def shards(directory: Path, state: State, form: str, **index: object) -> Path:
    """Each tensor in a shard of its own, and the index."""
    ending = "safetensors" if form == "safetensors" else "bin"
    places = {}
    for number, (name, tensor) in enumerate(state.items(), start=1):
        places[name] = f"part-{number}.{ending}"
        write(directory / places[name], {name: tensor}, form)
    name = "model.safetensors" if form == "safetensors" else "pytorch_model.bin"
    path = directory / f"{name}.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": places, **index}))
    return path


@pytest.mark.parametrize("form", ["zip", "safetensors"])
def test_shards_are_put_together(form: str, state: State, tmp_path: Path) -> None:
    index = shards(tmp_path, state, form)
    assert same(read_checkpoint(tmp_path), state) and same(read_checkpoint(index), state)


def test_broken_indices_are_named(state: State, tmp_path: Path) -> None:
    index = shards(tmp_path, state, "safetensors")
    (tmp_path / "part-2.safetensors").rename(tmp_path / "away.safetensors")
    with pytest.raises(ValueError, match=r"names the shard 'part-2\.safetensors', which does not lie beside"):
        read_checkpoint(index)
    save_file({"other": torch.ones(2)}, tmp_path / "part-2.safetensors")
    with pytest.raises(ValueError, match=r"disagree on the tensors a\.bias, other"):
        read_checkpoint(index)
    for text in ("{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 1}}'):
        index.write_text(text)
        with pytest.raises(ValueError, match=r"index\.json"):
            read_checkpoint(index)


def test_a_shard_outside_its_folder_is_refused(state: State, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"a": torch.ones(2)}, tmp_path / "out.safetensors")
    for place in ("../out.safetensors", str(tmp_path / "out.safetensors")):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": place}}))
        with pytest.raises(ValueError, match="does not lie beside it"):
            read_checkpoint(folder)


def test_which_file_of_a_folder_is_taken(state: State, tmp_path: Path) -> None:
    for name in ("b.pt", "a.pth", "optimizer.pt", "training_args.bin"):
        write(tmp_path / name, state, "zip")
    with pytest.raises(
        ValueError, match=r"several files of weights: a\.pth, b\.pt\. Name one with checkpoint="
    ):
        find_weights(tmp_path)
    write(tmp_path / "pytorch_model.bin", state, "zip")
    assert find_weights(tmp_path).name == "pytorch_model.bin"
    write(tmp_path / "model.safetensors", state, "safetensors")
    assert find_weights(tmp_path).name == "model.safetensors"
    assert candidates(tmp_path / "nowhere") == []
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match=r"has no model\.safetensors and no other file of weights"):
        read_checkpoint(tmp_path / "bare")


QUIET = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.filterwarnings("ignore")
@QUIET
@given(
    content=st.binary(max_size=60),
    start=st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04", b"\x08" + b"\0" * 7]),
)
def test_any_bytes_are_read_or_named(content: bytes, start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(start + content)
    with pytest.raises(ValueError, match=r"w\.pt"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@QUIET
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_changed_byte_never_crashes(
    form: str, place: float, value: int, state: State, tmp_path: Path
) -> None:
    """It is read (a number may have changed: checksums are for that), or the file is named."""
    content = bytearray(write(tmp_path / "whole", state, form).read_bytes())
    content[int(place * len(content))] = value
    (tmp_path / "w.pt").write_bytes(content)
    try:
        found = read_checkpoint(tmp_path / "w.pt")
    except ValueError as problem:
        assert "w.pt" in str(problem)
    else:
        assert all(isinstance(tensor, Tensor) for tensor in found.values())
