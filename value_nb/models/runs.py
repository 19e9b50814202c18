"""Trainings of a model from several seeds, and checkpoints along them: their names, and where they lie.

    mini-uniter                seed 0, trained to its end           models/mini-uniter/
    mini-uniter-seed1          seed 1                               models/mini-uniter-seed1/
    mini-uniter@1500           seed 0 after 1,500 steps             models/mini-uniter/steps/step-01500/
    mini-uniter-seed1@1500     seed 1 after 1,500 steps             models/mini-uniter-seed1/steps/step-01500/

A checkpoint's folder holds config.json and model.safetensors; the tokenizer is that of the training.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

STEPS, CURVE = "steps", "curve.csv"
NAME = re.compile(r"(?P<model>.+?)(-seed(?P<seed>[1-9]\d*))?(@(?P<step>\d+))?")
STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True, slots=True)
class Run:
    """One training of a model, or a checkpoint of it.

    Attributes
    ----------
    model
        Name in the table of models.
    seed
        What the training started from; None: nobody said, which means 0.
    step
        Steps of training; None: all of them.
    """

    model: str
    seed: int | None = None
    step: int | None = None

    @property
    def folder(self) -> str:
        """Name of the training's folder."""
        return f"{self.model}-seed{self.seed}" if self.seed else self.model

    @property
    def name(self) -> str:
        """Name of the model, as it stands in frames and traces."""
        return self.folder if self.step is None else f"{self.folder}@{self.step}"

    @classmethod
    def parse(cls, name: str) -> Run:
        """Read a name: "mini-uniter-seed1@1500"; what says neither seed nor step is a model's name."""
        found = NAME.fullmatch(name)
        if found is None:
            return cls(name)
        seed, step = found["seed"], found["step"]
        return cls(found["model"], int(seed) if seed else None, int(step) if step else None)

    def asked(self, seed: int | None, step: int | None) -> Run:
        """Return the run with seed and step of a call; ValueError where the name says another one."""
        for what, own, given in (("seed", self.seed, seed), ("step", self.step, step)):
            if None not in (own, given) and own != given:
                raise ValueError(f"{self.name!r} names {what} {own}, and {what}={given} was asked for, too")
        return replace(
            self, seed=self.seed if seed is None else seed, step=self.step if step is None else step
        )


def checked(what: str, value: int | None) -> int | None:
    """A seed or step, or None; ValueError for anything that is not a whole number from 0."""
    if value is None:
        return None
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"{what} is {value!r}; expected None or a whole number from 0")
    return number


def steps_of(directory: Path) -> tuple[int, ...]:
    """Steps of a training that have a checkpoint, in order."""
    found = [STEP.fullmatch(path.parent.name) for path in directory.glob(f"{STEPS}/*/config.json")]
    return tuple(sorted(int(name[1]) for name in found if name))


def step_folder(step: int) -> str:
    """Name of a checkpoint's folder."""
    return f"step-{step:05d}"


def step_directory(directory: Path, name: str, step: int) -> Path:
    """Folder of a checkpoint; ValueError lists the steps that there are."""
    there = steps_of(directory)
    if step not in there:
        raise ValueError(
            f"{name} has no checkpoint after step {step} here; there are: {listed(there)}. Without step= "
            "you get the model at the end of its training"
        )
    return directory / STEPS / step_folder(step)


def listed(numbers: Iterable[int]) -> str:
    """Numbers in words, "none" where there are none."""
    return ", ".join(map(str, numbers)) or "none"
