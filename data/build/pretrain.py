"""Pre-train a model of the miniature: `python -m data.build.pretrain MODEL --out DIR --steps N --seed S`.

It reads DIR/work/corpus-*.npz and writes

    DIR/work/checkpoints/RUN.pt            every 100 steps; the same command goes on from it
    DIR/work/snapshots/RUN/step-00100/     float16 weights along the way
    DIR/work/curves/RUN.csv                losses of all steps, measures on held-out pictures every 100
    DIR/models/RUN/                        config.json, model.safetensors (float16), tokenizer.json, curve.csv

RUN is the model's name, with -seed1 and so on behind it for another seed than 0.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from data.build import checkpoint, evaluate, learners, model_configs, schedule
from data.build.batches import MISMATCHED_SHARE
from data.build.checkpoint import CurveRow, Progress
from data.build.interrupts import Interrupts
from data.build.masking import REGION_SHARE
from data.build.progress_lines import Reporter
from data.build.training_corpus import TrainingCorpus

BATCH = 64
THREADS = 1
"""Two trainings side by side, each with one core, do more than one with two cores after another."""
STEPS, FAST_STEPS = 3000, 150
CHECKPOINT_EVERY = 100
CURVE_EVERY = 10
SNAPSHOTS = (*range(100, 1600, 100), 2000, 2500, 3000)
DEV_CAPTIONS = 100


def run_name(name: str, seed: int) -> str:
    """Name of a training's directories: the model's, and the seed where it is not 0."""
    return name if seed == 0 else f"{name}-seed{seed}"


def train(name: str, out: Path | str, steps: int | None = None, seed: int = 0, fast: bool = False) -> Path:
    """Train a model, or go on with it, and return its directory; one that is finished is left as it is.

    Parameters
    ----------
    name
        One of `model_configs.MODELS`.
    out
        Directory with `work/corpus-*.npz`; everything is written below it.
    steps
        Number of steps of 64 captions; None: 3,000, or 150 with `fast`.
    fast
        A short training whose result is good for trying things out only; its card says so.

    Raises
    ------
    ValueError
        For an unknown model, missing files, or a checkpoint that was made with other settings.
    KeyboardInterrupt, SystemExit
        After Ctrl-C or SIGTERM, when what was reached has been written.
    """
    torch.set_num_threads(THREADS)
    out = Path(out)
    steps = steps or (FAST_STEPS if fast else STEPS)
    work, run = out / "work", run_name(name, seed)
    corpus, dev = TrainingCorpus.load(work, "pretrain"), TrainingCorpus.load(work, "dev")
    tokenizer = read_tokenizer(work)
    learner = learners.make(name, corpus, tokenizer, seed)
    training = Training(learner, corpus, dev, work, run, settings(name, learner, corpus, steps, seed, fast))
    training.run()
    return _publish(training, out / "models" / run, tokenizer)


def settings(
    name: str, learner: learners.Learner, corpus: TrainingCorpus, steps: int, seed: int, fast: bool
) -> dict[str, Any]:
    """Everything that decides what a training's result is."""
    used = {
        "model": name, "steps": steps, "seed": seed, "fast": fast, "batch": BATCH,
        "started_from": learner.started_from, "captions": len(corpus), "pictures": corpus.n_images,
        "peak_learning_rate": learner.peak, "warmup_share": schedule.WARMUP_SHARE,
        "weight_decay": schedule.WEIGHT_DECAY, "clip": schedule.CLIP,
        "masked_word_share": learner.shares.other, "masked_scene_word_share": learner.shares.scene,
    }  # fmt: skip
    if name in model_configs.GATED:
        used |= {"masked_region_share": REGION_SHARE, "mismatched_share": round(MISMATCHED_SHARE, 4)}
    return used


def read_tokenizer(work: Path) -> Tokenizer:
    """The tokenizer of the corpus: `tokenizer.json` beside it where there is one, else the world's."""
    path = work / "tokenizer.json"
    if path.is_file():
        return Tokenizer.from_file(str(path))
    from data.build.vocabulary import tokenizer

    return tokenizer()


class Training:
    """One training from its checkpoint, or its first step, to its last."""

    def __init__(
        self,
        learner: learners.Learner,
        corpus: TrainingCorpus,
        dev: TrainingCorpus,
        work: Path,
        run: str,
        settings: dict[str, Any],
    ) -> None:
        self.learner, self.corpus, self.dev, self.settings = learner, corpus, dev, settings
        self.steps, self.seed = int(settings["steps"]), int(settings["seed"])
        self.checkpoint = work / "checkpoints" / f"{run}.pt"
        self.snapshots, self.curve_file = work / "snapshots" / run, work / "curves" / f"{run}.csv"
        self.run_name = run
        self.optimiser = schedule.optimiser(learner.module)

    def run(self) -> None:
        """Do the steps that are left."""
        found = checkpoint.load(self.checkpoint, self.learner.module, self.optimiser, self.settings)
        progress = found or Progress(0, [], [])
        reporter = Reporter(self.run_name, self.steps, progress.step)
        with Interrupts() as interrupts:
            while progress.step < self.steps:
                losses = self._step(progress.step)
                progress = self._note(progress, losses, reporter)
                due = progress.step % CHECKPOINT_EVERY == 0 or progress.step == self.steps
                if due or interrupts.signal is not None:
                    checkpoint.save(
                        self.checkpoint, self.learner.module, self.optimiser, progress, self.settings
                    )
                if interrupts.signal is not None:
                    reporter.say(f"{self.run_name}: stopped after step {progress.step}, which is kept")
                    interrupts.leave()
        reporter.close()
        write_curve(self.curve_file, progress.curve)

    def _step(self, step: int) -> dict[str, float]:
        """Step 0, 1, ...: losses, gradients, weights. Dropout depends on seed and step alone."""
        module = self.learner.module.train()
        schedule.set_rate(self.optimiser, schedule.learning_rate(step, self.steps, self.learner.peak))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_000_003 + step)
            losses = self.learner.losses(self.corpus, BATCH, self.seed, step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), schedule.CLIP)
        self.optimiser.step()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _note(self, progress: Progress, losses: dict[str, float], reporter: Reporter) -> Progress:
        """What is reached after one more step; snapshots and held-out measures where they are due."""
        done, curve = progress.step + 1, list(progress.curve)
        recent = [*progress.recent, losses]
        if not all(math.isfinite(v) for v in losses.values()):
            raise FloatingPointError(f"{self.run_name}: the losses of step {done} are {losses}")
        reporter.step(done, losses)
        if done % CURVE_EVERY == 0 or done == self.steps:
            curve += [(done, "train", name, value) for name, value in mean_losses(recent).items()]
            recent = []
        if done % CHECKPOINT_EVERY == 0 or done == self.steps:
            measured = evaluate.quick(self.learner.module.eval(), self.dev, DEV_CAPTIONS, self.seed)
            curve += [(done, "dev", name, value) for name, value in measured.items()]
            reporter.say(f"{self.run_name} {done} held out: {measured_text(measured)}")
        if done in SNAPSHOTS or done == self.steps:
            directory = self.snapshots / f"step-{done:05d}"
            directory.mkdir(parents=True, exist_ok=True)
            self.learner.save(directory)
        return Progress(done, curve, recent)


def mean_losses(losses: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each loss over the steps that have it."""
    names = list(dict.fromkeys(name for row in losses for name in row))
    found = {name: [row[name] for row in losses if name in row] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}


def measured_text(measured: dict[str, float]) -> str:
    """One line of measures."""
    return "  ".join(f"{name} {value:.3f}" for name, value in measured.items())


def write_curve(path: Path, curve: Sequence[CurveRow]) -> None:
    """Write step, split, measure, value as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("step", "split", "measure", "value"))
        writer.writerows((*row[:3], f"{row[3]:.5g}") for row in curve)


def _publish(training: Training, directory: Path, tokenizer: Tokenizer) -> Path:
    """Write the trained model where `value_nb.load_model` reads it, with its curve and its settings."""
    directory.mkdir(parents=True, exist_ok=True)
    training.learner.save(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    shutil.copyfile(training.curve_file, directory / "curve.csv")
    text = json.dumps(training.settings, indent=1) + "\n"
    (directory / "training.json").write_text(text, encoding="utf-8")
    return directory


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="data.build.pretrain", description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=model_configs.MODELS)
    parser.add_argument("--out", type=Path, required=True, help="directory with work/corpus-*.npz")
    parser.add_argument("--steps", type=int, help=f"default {STEPS}, with --fast {FAST_STEPS}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fast", action="store_true", help="a short training, for trying things out")
    given = parser.parse_args(arguments)
    print(train(given.model, given.out, given.steps, given.seed, given.fast))


if __name__ == "__main__":
    main()
