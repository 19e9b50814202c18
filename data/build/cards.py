"""Write the card of a trained model: `python -m data.build.cards MODEL --out DIR [--seed S]`.

It measures DIR/models/MODEL on DIR/work/corpus-test.npz, which no training has seen, and writes beside the
weights card.json (for programs), card.md (for people) and curve.svg. Nothing in a card is typed in, and
nothing in it depends on the day: the same weights and pictures give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.build import curve_figure, gate, measures, model_configs
from data.build.evaluate import spread
from data.build.predictors import Predictor, predictor
from data.build.pretrain import THREADS, run_name
from data.build.training_corpus import TrainingCorpus

FAST_CAPTIONS = 40
DIGITS = 4
MEASURE_SEED = 0
"""Of mismatched pictures, false captions and the bootstrap: the same questions to every model."""


def write(name: str, out: Path | str, seed: int = 0) -> Path:
    """Measure a trained model and write its card; returns the path of card.json.

    All held-out captions are asked, or a few of them for a model that was trained with `fast`. ValueError
    when the model, its control mini-bert, or the held-out corpus is missing.
    """
    torch.set_num_threads(THREADS)
    out = Path(out)
    directory = _trained(out, run_name(name, seed))
    training = json.loads((directory / "training.json").read_text(encoding="utf-8"))
    corpus = TrainingCorpus.load(out / "work", "test")
    captions = spread(corpus, FAST_CAPTIONS) if training["fast"] else np.arange(len(corpus))
    text_only = read(_trained(out, "mini-bert")) if name in model_configs.GATED else None
    metrics = measures.measure(read(directory), text_only, corpus, captions, MEASURE_SEED)
    card = make_card(directory.name, training, metrics, corpus, len(captions), out)
    card["trained_length"] = trained_length(out / "work")
    card["config"] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    path = directory / "card.json"
    path.write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (directory / "card.md").write_text(card_text(card), encoding="utf-8")
    curves = curve_figure.read_curves(directory / "curve.csv")
    curve_figure.draw(curves, f"{directory.name}: pre-training", directory / "curve.svg")
    return path


def _trained(out: Path, run: str) -> Path:
    directory = out / "models" / run
    if not (directory / "training.json").is_file():
        raise ValueError(f"{directory} holds no trained model; run data.build.pretrain first")
    return directory


def trained_length(work: Path) -> int:
    """Positions of the longest caption of pre-training, [CLS] and [SEP] included; all models saw the same.

    Of the corpus only that array is read.
    """
    with np.load(work / "corpus-pretrain.npz", allow_pickle=False) as corpus:
        return int(corpus["length"].max())


def read(directory: Path) -> Predictor:
    """The model as a reader loads it: float16 weights of the file, computed in float32."""
    from value_nb.models.registry import load_model

    return predictor(load_model(directory, device="cpu").module)


def make_card(
    run: str,
    training: dict[str, Any],
    metrics: dict[str, Any],
    corpus: TrainingCorpus,
    n_captions: int,
    out: Path,
) -> dict[str, Any]:
    """The content of card.json, without the trained length and the model's config."""
    sees = "matching AUC" in metrics
    conditions = gate.criteria(metrics) if sees else []
    return {
        "gate_met": gate.gate_met(metrics),
        "name": run,
        "model": training["model"],
        "steps": training["steps"],
        "seed": training["seed"],
        "fast": training["fast"],
        "gate": [
            {"condition": c.name, "value": tidy(c.value), "least": c.least, "met": c.met} for c in conditions
        ],
        "metrics": tidy(metrics),
        "training": training,
        "data": {
            "captions": training["captions"],
            "pictures": training["pictures"],
            "held_out_captions": n_captions,
            "held_out_pictures": corpus.n_images,
            "detector": _detector(out / "work" / "detector.json"),
        },
    }


def _detector(path: Path) -> dict[str, Any]:
    """Held-out accuracy of what made the features; {} where nobody wrote it down."""
    return tidy(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def tidy(value: Any) -> Any:
    """Round numbers to four digits behind the point, None for nan, at any depth."""
    if isinstance(value, dict):
        return {key: tidy(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value


def card_text(card: dict[str, Any]) -> str:
    """card.md."""
    return (
        "\n\n".join(part for part in (_head(card), _words(card), _matching(card), _made(card)) if part) + "\n"
    )


def _head(card: dict[str, Any]) -> str:
    verdict = {
        True: "**Gate met.**",
        False: "**Gate not met.** What is missing in it may be missing because it has learned too little.",
        None: "There is no gate for it: it sees no pictures and serves as a control.",
    }[card["gate_met"]]
    rows = [f"- {g['condition']}: {_number(g['value'])} (at least {g['least']})" for g in card["gate"]]
    short = ["A short training, for trying things out only."] if card["fast"] else []
    return "\n".join([f"# {card['name']}", "", verdict, *short, *(["", *rows] if rows else [])])


def _words(card: dict[str, Any]) -> str:
    """Table of hidden words."""
    kinds = card["metrics"]["words"]
    order = (measures.RIGHT, measures.MISMATCHED, measures.TEXT_ONLY, measures.REMOVED)
    names = [name for name in order if name in kinds["colour"]]
    titles = " | ".join(names)
    rows = [
        f"| {kind} | {row['n_words']} | " + " | ".join(_measure(row[name]) for name in names) + " |"
        for kind, row in kinds.items()
    ]
    told = (
        "Each word hidden alone, right when all its pieces are. With 95 % intervals over the held-out "
        f"pictures ({card['data']['held_out_pictures']})."
    )
    if measures.REMOVED in names:
        told += (
            " Errors removed: what the right picture takes away from the errors of the better of "
            f"{measures.MISMATCHED} and {measures.TEXT_ONLY}."
        )
    rule = "|---" * (len(names) + 2) + "|"
    return "\n".join(["## Hidden words", "", told, "", f"| words | n | {titles} |", rule, *rows])


def _matching(card: dict[str, Any]) -> str:
    metrics = card["metrics"]
    if "matching AUC" not in metrics:
        return ""
    easy, hard = (_measure(metrics[name]) for name in ("matching AUC", "hard-swap AUC"))
    return "\n".join(
        [
            "## Does the caption match?",
            "",
            "Area under the ROC curve: chance is 0.5.",
            "",
            f"- against a caption of another picture that is false of this one: {easy}",
            f"- against the same caption with one colour or noun changed: {hard}",
        ]
    )


def _made(card: dict[str, Any]) -> str:
    training, data = card["training"], card["data"]
    hidden = f"{training['masked_word_share']:.0%}"
    if training["masked_scene_word_share"] != training["masked_word_share"]:
        hidden += f" ({training['masked_scene_word_share']:.0%} of colour words and object nouns)"
    lines = [
        f"- {card['steps']:,} steps of {training['batch']} captions, seed {card['seed']}, from "
        f"{training['started_from']}",
        f"- {data['captions']:,} captions of {data['pictures']:,} drawn pictures, the longest of "
        f"{card['trained_length']} positions",
        f"- AdamW, peak learning rate {training['peak_learning_rate']:g}, warm-up "
        f"{training['warmup_share']:.0%}, then linear to 0",
        f"- words hidden: {hidden}, whole words",
    ]
    if "masked_region_share" in training:
        lines += [
            f"- regions hidden: {training['masked_region_share']:.0%}",
            f"- pairs that do not match: {training['mismatched_share']:.0%}",
        ]
    lines += [f"- detector, {name}: {value}" for name, value in data["detector"].items()]
    return "\n".join(["## How it was made", "", *lines, "", "![training curve](curve.svg)"])


def _measure(measure: dict[str, float | None] | None) -> str:
    if measure is None or measure["value"] is None:
        return "not measured"
    return f"{_number(measure['value'])} [{_number(measure['lo'])}, {_number(measure['hi'])}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="data.build.cards", description="Write the card of a trained model."
    )
    parser.add_argument("model", choices=model_configs.MODELS)
    parser.add_argument("--out", type=Path, required=True, help="directory with work/ and models/")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    print(write(given.model, given.out, given.seed))


if __name__ == "__main__":
    main()
