"""What a loader could not use: said, counted, and in strict mode raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

KEPT_PER_KIND = 100
"""How many problems of one kind are kept word for word; all of them are counted."""


class DataFormatError(ValueError):
    """A file is not what its format says.

    Attributes
    ----------
    file, place
        Which file, and where in it: a line, a record number or a key ("" for the file as a whole).
    message
        What was found, what was expected, and what to do.
    """

    def __init__(self, file: Path | str, place: str, message: str) -> None:
        self.file, self.place, self.message = str(file), place, message
        super().__init__(f"{self.file}, {place}: {message}" if place else f"{self.file}: {message}")

    def __reduce__(self) -> tuple[type[DataFormatError], tuple[str, str, str]]:
        return type(self), (self.file, self.place, self.message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One record that was skipped, or changed by a documented rule.

    Attributes
    ----------
    kind
        A short name shared by all problems of the same sort ("empty box").
    file, place
        Where it is: file, and line, record or key in it.
    message
        What was found and what was expected.
    remedy
        What a person can do about it.
    skipped
        True: something in the file is missing from the data set. False: it is there, but changed, or it was
        an exact repetition.
    """

    kind: str
    file: str
    place: str
    message: str
    remedy: str
    skipped: bool

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.message} {self.remedy}"


class ProblemReport:
    """The problems that a loader met; its length is the number of records skipped.

    Two sorts are told apart. *Skipped*: something in the file is not in the data set. *Changed*: a documented
    rule altered a record (a box cut at the border), or left out an exact repetition; nothing is lost.

    Parameters
    ----------
    strict
        True: the first skipped record raises a `DataFormatError`. Changed records never raise.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self._counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._kept: list[Problem] = []

    @property
    def skipped(self) -> dict[str, int]:
        """Number of skipped records per kind."""
        return dict(self._counts[True])

    @property
    def changed(self) -> dict[str, int]:
        """Number of changed records per kind."""
        return dict(self._counts[False])

    def add(self, problem: Problem) -> None:
        """Count a problem. Raises `DataFormatError` for a skipped record in strict mode."""
        if problem.skipped and self.strict:
            raise DataFormatError(
                problem.file, problem.place, f"{problem.message} {problem.remedy} (strict=True stops here.)"
            )
        counts = self._counts[problem.skipped]
        counts[problem.kind] += 1
        if counts[problem.kind] <= KEPT_PER_KIND:
            self._kept.append(problem)

    def at(self, file: Path | str, place: str) -> Spot:
        """Return a spot in a file that problems can be reported from."""
        return Spot(self, str(file), place)

    def frame(self) -> pd.DataFrame:
        """Return the problems kept word for word (the first 100 of each kind), one a row."""
        import pandas as pd

        columns = ("kind", "file", "place", "message", "remedy", "skipped")
        rows = [[getattr(problem, column) for column in columns] for problem in self._kept]
        return pd.DataFrame(rows, columns=list(columns))

    def __len__(self) -> int:
        return self._counts[True].total()

    def __bool__(self) -> bool:
        return bool(self._kept)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._kept)

    def __repr__(self) -> str:
        changed = self._counts[False].total()
        lines = [f"ProblemReport: {_records(len(self))} skipped, {_records(changed)} changed"]
        for skipped, verb in ((True, "skipped"), (False, "changed")):
            for kind, count in self._counts[skipped].most_common():
                first = next(p for p in self._kept if p.kind == kind and p.skipped == skipped)
                lines.append(f"  {verb} {count} x {kind}; the first: {first}")
        return "\n".join(lines)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file: what a reader hands down, so that every message can say where it is."""

    report: ProblemReport
    file: str
    place: str

    def inside(self, place: str) -> Spot:
        """Return the spot of a part of this record."""
        return Spot(self.report, self.file, f"{self.place}, {place}" if self.place else place)

    def skip(self, kind: str, message: str, remedy: str) -> None:
        """Report a record that is left out. Raises `DataFormatError` in strict mode."""
        self.report.add(Problem(kind, self.file, self.place, message, remedy, skipped=True))

    def change(self, kind: str, message: str, remedy: str) -> None:
        """Report a record that is kept in a changed form, or an exact repetition that is left out."""
        self.report.add(Problem(kind, self.file, self.place, message, remedy, skipped=False))

    def error(self, message: str) -> DataFormatError:
        """Return the error to raise when the whole file cannot be used."""
        return DataFormatError(self.file, self.place, message)
