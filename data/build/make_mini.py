"""Rebuild the miniature: `python -m data.build.make_mini [--fast] [--out DIR] [--seed N]`.

Stages, each kept when it is finished, so that an interrupted build goes on with the next one:

1. detector   the CNN that describes regions, on pictures of its own
2. corpora    pictures and captions for pre-training, for watching it, and for the cards
3. data       the shown pictures in the real file formats, and their region features
4. models     mini-vilbert, mini-lxmert, mini-uniter and mini-bert, two at a time; mini-uniter from two
              further seeds, for a shorter time
5. cards      of all models, from held-out pictures
6. report     how far relations can be told without looking, and the detector's accuracy

Work files go to `build/mini` (`build/mini-fast` with --fast); what is shipped is copied to --out at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.build import cards, corpus, detector, pretrain, side_by_side
from data.build.glyphs import check_hues
from value_nb.models.runs import STEPS, step_folder

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("mini-vilbert", "mini-lxmert", "mini-uniter", "mini-bert")
"""In the order in which they are trained: those that take longest first."""
MORE_SEEDS = (("mini-uniter", 1), ("mini-uniter", 2))
"""Trainings that show how far a result depends on where training started."""
SHORTER = 2
"""They take so many times fewer steps."""
SNAPSHOT_STEPS = (700, 1200)
"""Checkpoints that are shipped, of SNAPSHOT_MODELS: before the turn at which words are read off pictures, and
in it. Those behind the end of a training are left out."""
SNAPSHOT_MODELS = ("mini-uniter",)
WEIGHT_FILES = ("config.json", "model.safetensors")
"""What a checkpoint consists of: the tokenizer is its training's."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything: the full setting and the one for trying the build out."""

    detector_pictures: int
    detector_epochs: int
    pretrain: int
    dev: int
    test: int
    steps: int
    triviality: int
    fast: bool


FULL = Sizes(2000, 5, 14000, 100, 400, 3000, 3000, False)
FAST = Sizes(120, 2, 250, 50, 50, 60, 400, True)


def main(arguments: list[str] | None = None) -> None:
    """Build everything that is missing, and say how long each stage took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--fast", action="store_true", help="small and quick; its models are good for nothing"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "mini", help="where the miniature goes")
    parser.add_argument(
        "--work", type=Path, help="where work files are kept (default: build/mini or build/mini-fast)"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    work = options.work or ROOT / "build" / ("mini-fast" if options.fast else "mini")
    build(options.out, work, FAST if options.fast else FULL, options.seed)


def build(out: Path, work: Path, sizes: Sizes, seed: int) -> None:
    """Run the stages that are not finished yet, then copy what is shipped to `out`."""
    if out.resolve() == work.resolve():
        raise ValueError(f"work files and the miniature need folders of their own, both are {out}")
    settings = {"seed": seed, **sizes.__dict__}
    _same_settings(work / "settings.json", settings)
    stages: tuple[tuple[str, Callable[[], object]], ...] = (
        ("detector", lambda: _detector(work, sizes, seed)),
        ("corpora", lambda: _corpora(work, sizes, seed)),
        ("data", lambda: _data(work, sizes, seed)),
        ("models", lambda: side_by_side.run(_training_jobs(work, sizes))),
        ("cards", lambda: side_by_side.run(_card_jobs(work))),
        ("report", lambda: _report(work, sizes, seed)),
    )
    for name, stage in stages:
        done = work / f"{name}.done"
        if done.exists():
            print(f"{name}: there already ({done.read_text().strip()})")
            continue
        start = time.monotonic()
        stage()
        done.write_text(f"{time.monotonic() - start:.0f} s\n")
        print(f"{name}: {done.read_text().strip()}")
    _publish(work, out, sizes)


def _same_settings(path: Path, settings: dict[str, object]) -> None:
    """Work files of another setting would be mixed up with these without a word."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps(settings))
    found = json.loads(path.read_text())
    if found != settings:
        raise ValueError(
            f"{path.parent} holds work files of another setting, {found}, and {settings} was asked for. "
            "Remove that folder, or name another one with --work."
        )


def _detector(work: Path, sizes: Sizes, seed: int) -> None:
    check_hues()
    scores = corpus.train_detector(work, sizes.detector_pictures, sizes.detector_epochs, seed)
    _write_json(work / "work" / "detector.json", scores)


def _corpora(work: Path, sizes: Sizes, seed: int) -> None:
    for split, count in (("dev", sizes.dev), ("test", sizes.test), ("pretrain", sizes.pretrain)):
        corpus.make_corpus(work, split, count, seed)


def _data(work: Path, sizes: Sizes, seed: int) -> None:
    from data.build import data_files, senteval_files

    model = detector.load(work / "work" / "detector.safetensors")
    trained_on = senteval_files.trained_captions([work / "work" / "corpus-pretrain.npz"])
    data_files.write(work / "data", model, trained_on, seed, sizes.fast)


def trainings() -> tuple[tuple[str, int], ...]:
    """Models and the seeds of their weights, in order. The seed of a build is that of its data alone."""
    return (*((name, 0) for name in MODELS), *MORE_SEEDS)


def steps_of(seed: int, sizes: Sizes) -> int:
    """Steps of a training: all for seed 0, fewer for further ones."""
    return sizes.steps if seed == 0 else max(1, sizes.steps // SHORTER)


def shipped_steps(name: str, seed: int, sizes: Sizes) -> tuple[int, ...]:
    """Checkpoints of a training that are shipped beside its end."""
    if seed or name not in SNAPSHOT_MODELS:
        return ()
    return tuple(step for step in SNAPSHOT_STEPS if step < steps_of(seed, sizes))


def _training_jobs(work: Path, sizes: Sizes) -> list[side_by_side.Job]:
    return [
        (pretrain.run_name(name, seed), pretrain.train, (name, work, steps_of(seed, sizes), seed, sizes.fast))
        for name, seed in trainings()
    ]


def _card_jobs(work: Path) -> list[side_by_side.Job]:
    return [
        (f"card of {pretrain.run_name(*run)}", cards.write, (run[0], work, run[1])) for run in trainings()
    ]


def _report(work: Path, sizes: Sizes, seed: int) -> None:
    from data.build.scenes import sample_scene
    from data.build.triviality import measure

    train = [sample_scene(f"triviality-{i}", seed) for i in range(sizes.triviality)]
    test = [sample_scene(f"triviality-test-{i}", seed) for i in range(sizes.triviality // 3)]
    report = {
        "relations without looking": measure(train, test),
        "detector": json.loads((work / "work" / "detector.json").read_text()),
    }
    _write_json(work / "data" / "report.json", report)
    print(json.dumps(report, indent=1))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def _copy_model(name: str, seed: int, work: Path, models: Path, sizes: Sizes) -> None:
    """Copy a trained model, and its shipped checkpoints to steps/step-00200 and so on inside it."""
    run = pretrain.run_name(name, seed)
    shutil.copytree(work / "models" / run, models / run)
    for step in shipped_steps(name, seed, sizes):
        folder = step_folder(step)
        snapshot, target = work / "work" / "snapshots" / run / folder, models / run / STEPS / folder
        if missing := [file for file in WEIGHT_FILES if not (snapshot / file).is_file()]:
            raise ValueError(
                f"{run} has no {' and no '.join(missing)} of step {step} in {snapshot}; it is kept at "
                f"{', '.join(map(str, pretrain.SNAPSHOTS))} (pretrain.SNAPSHOTS): choose SNAPSHOT_STEPS "
                "among them"
            )
        target.mkdir(parents=True)
        for file in WEIGHT_FILES:
            shutil.copyfile(snapshot / file, target / file)


def _publish(work: Path, out: Path, sizes: Sizes) -> None:
    """Copy data and models to `out`: beside it first, then exchanged, so that `out` is never half new."""
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(work / "data", fresh)
    for name, seed in trainings():
        _copy_model(name, seed, work, fresh / "models", sizes)
    if out.exists():
        old = out.with_name(f".{out.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        out.rename(old)
        fresh.rename(out)
        shutil.rmtree(old)
    else:
        fresh.rename(out)
    print(f"the miniature is in {out}")


if __name__ == "__main__":
    main()
