"""SentEval's probing tasks: one sentence a line, with a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from value_nb.data.dataset import Dataset, check_limit, check_split
from value_nb.data.example import Example
from value_nb.data.problems import DataFormatError, ProblemReport, Spot

TASKS = (
    "sentence_length",
    "tree_depth",
    "top_constituents",
    "bigram_shift",
    "past_present",
    "subj_number",
    "obj_number",
    "odd_man_out",
    "coordination_inversion",
)
"""The nine tasks of the VALUE paper, by the names of their files."""

FILES = (*TASKS, "word_content")
"""The ten tasks that SentEval has, by the names of their files; VALUE leaves out word_content."""

PARTITIONS = {"tr": "train", "va": "val", "te": "test"}

Line = tuple[int, str, str, tuple[str, ...]]
"""Line number (from 1), split, label, words."""


def check_task(task: str) -> str:
    """Return the task. Raises ValueError, with the valid names, when there is no such task."""
    if task not in TASKS:
        raise ValueError(f"task={task!r} came; expected one of {', '.join(TASKS)}.")
    return task


def parse_line(line: str, spot: Spot) -> tuple[str, str, tuple[str, ...]] | None:
    """Split one line into split, label and words; None, and reported, when it is not a line of the format.

    As in SentEval: after `rstrip`, the fields between tabs are partition (tr, va, te), label, anything, and
    last the sentence, which is split at white space.
    """
    fields = line.rstrip().split("\t")
    remedy = "The line is left out; correct it or download the file again."
    if len(fields) < 3:
        spot.skip(
            "too few fields",
            f"{len(fields)} tab-separated field(s) came; expected partition, label and sentence.",
            remedy,
        )
        return None
    if fields[0] not in PARTITIONS:
        spot.skip("unknown partition", f"the partition {fields[0]!r} came; expected tr, va or te.", remedy)
        return None
    label, words = fields[1], tuple(fields[-1].split())
    if not label or not words:
        spot.skip("empty field", "the label or the sentence is empty; expected both to hold text.", remedy)
        return None
    return PARTITIONS[fields[0]], label, words


def read_lines(path: Path, problems: ProblemReport) -> Iterator[Line]:
    """Yield the good lines of a file in its order; bad ones are reported."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            spot = problems.at(path, f"line {number}")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                spot.skip(
                    "not UTF-8",
                    f"the bytes are not UTF-8 ({error.reason} at byte {error.start}); expected UTF-8 text.",
                    "The line is left out; save the file as UTF-8.",
                )
                continue
            if not line.strip():
                spot.change("blank line", "the line is blank.", "It was passed over; nothing needs doing.")
                continue
            parsed = parse_line(line, spot)
            if parsed is not None:
                yield (number, *parsed)


def load_senteval(
    path: Path | str,
    split: str = "test",
    *,
    limit: int | None = None,
    strict: bool = False,
    name: str | None = None,
) -> Dataset:
    """Read one split of a probing file.

    The class index of a label is its position among the SORTED STRINGS of the labels of the training lines,
    as in SentEval ("10" stands before "5"); it is in `example.extra["label_index"]`, and the order in
    `dataset.labels`. A line whose label no training line has is skipped and reported. Every sentence counts
    as a picture of its own (`image_id` is the example's id), since intervals are taken over pictures.

    Parameters
    ----------
    path
        The file, for instance tree_depth.txt.
    split
        "train" (tr), "val" (va) or "test" (te).
    limit
        Keep the first so many sentences of the split.
    strict
        Raise at the first bad line of the file instead of skipping it.
    name
        Name of the data set; the default is "senteval/" and the file's stem.

    Raises
    ------
    FileNotFoundError, ValueError, DataFormatError
        No such file; a bad split or limit; a file without training lines, or a bad line in strict mode.
    """
    path, split, limit = Path(path), check_split(split), check_limit(limit)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; expected a SentEval probing file such as tree_depth.txt."
        )
    problems = ProblemReport(strict)
    lines = list(read_lines(path, problems))
    labels = sorted({label for _, part, label, _ in lines if part == "train"})
    if not labels:
        raise DataFormatError(
            path,
            "",
            "no line of the training partition (tr) came; expected some, since they define the classes."
            " Download the file again.",
        )
    name = f"senteval/{path.stem}" if name is None else name
    examples = _examples(lines, split, labels, name, path, problems)
    return Dataset(name, split, examples[:limit], problems=problems, labels=labels)


def _examples(
    lines: list[Line], split: str, labels: list[str], name: str, path: Path, problems: ProblemReport
) -> list[Example]:
    index = {label: place for place, label in enumerate(labels)}
    examples = []
    for number, part, label, words in lines:
        if part != split:
            continue
        if label not in index:
            problems.at(path, f"line {number}").skip(
                "label not in train",
                f"the label {label!r} came; expected a label of the training lines: {', '.join(labels[:8])}.",
                "The line is left out; correct its label.",
            )
            continue
        key = f"{path.stem}#{number}"
        extra = {"label_index": index[label]}
        examples.append(
            Example(key, key, " ".join(words), words, label=label, dataset=name, split=split, extra=extra)
        )
    return examples
