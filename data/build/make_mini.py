"""Rebuild the miniature: `python -m data.build.make_mini [--fast] [--out DIR] [--seed N]`.

Stages, each kept when it is finished, so that an interrupted build goes on with the next one:

1. detector   the CNN that describes regions, on pictures of its own
2. corpora    pictures and captions for pre-training, for watching it, and for the cards
3. data       the shown pictures in the real file formats, and their region features
4. models     mini-bert, then mini-uniter from its weights; cards from held-out pictures
5. report     how far relations can be told without looking, and the detector's accuracy

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

from data.build import corpus, detector
from data.build.glyphs import check_hues

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("mini-bert", "mini-uniter")
"""In the order in which they are trained: mini-uniter starts from mini-bert's weights."""


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


FULL = Sizes(2000, 5, 14000, 100, 400, 3500, 3000, False)
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
        *((name, lambda name=name: _model(name, work, sizes, seed)) for name in MODELS),
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
    _publish(work, out)


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


def _model(name: str, work: Path, sizes: Sizes, seed: int) -> None:
    from data.build import cards, pretrain

    pretrain.train(name, work, sizes.steps, seed, sizes.fast)
    cards.write(name, work, seed)


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


def _publish(work: Path, out: Path) -> None:
    """Copy data and models to `out`: beside it first, then exchanged, so that `out` is never half new."""
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(work / "data", fresh)
    for name in MODELS:
        shutil.copytree(work / "models" / name, fresh / "models" / name)
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
