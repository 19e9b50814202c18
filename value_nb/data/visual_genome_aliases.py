"""Names of objects and predicates in Visual Genome: how they are cleaned, and its alias files.

A line of an alias file is a group, its items between commas, the first of them the canonical one:
`near,next to,close to`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from value_nb.data.problems import ProblemReport

PUNCTUATION = str.maketrans("", "", string.punctuation)
OBJECT_FILE, RELATION_FILE = "object_alias.txt", "relationship_alias.txt"
LARGEST_FILE = 1 << 26
"""Most bytes of an alias file; the real ones have some hundred thousand."""


def clean_predicate(text: str) -> str:
    """Clean a predicate as for VG-150: lower case, no ASCII punctuation, white space collapsed.

    Examples
    --------
    >>> clean_predicate(" ON  a.")
    'on a'
    """
    return " ".join(text.lower().translate(PUNCTUATION).split())


def clean_name(text: str) -> str:
    """Clean an object's name: lower case, white space collapsed; punctuation stays ("t-shirt")."""
    return " ".join(text.lower().split())


@dataclass(frozen=True, slots=True)
class Aliases:
    """Canonical names of objects and predicates; what no file lists stands for itself.

    Attributes
    ----------
    objects, predicates
        Cleaned name -> canonical name (see `clean_name`, `clean_predicate`).
    """

    objects: Mapping[str, str] = field(default_factory=dict)
    predicates: Mapping[str, str] = field(default_factory=dict)

    def names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the canonical names of an object, each once, in the order of the names."""
        return tuple(dict.fromkeys(self.objects.get(name, name) for name in names))

    def predicate(self, predicate: str) -> str:
        """Return the canonical predicate."""
        return self.predicates.get(predicate, predicate)


NO_ALIASES = Aliases()


def parse_aliases(text: str, clean: Callable[[str], str]) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Read the groups of an alias file.

    Items are cleaned as the names are that will be looked up; those of which nothing is left are passed over.
    An item on several lines takes the canonical item of the LAST of them. Where a still later line gives that
    one another canonical item, it is followed, so that looking a canonical item up changes nothing. (The
    preparation code of sg2im takes the last line too, and does not follow.)

    Parameters
    ----------
    text
        The file's text.
    clean
        How an item is cleaned.

    Returns
    -------
    Item -> canonical item, for every item; and where an item was passed over because a later line has it too:
    (line, from 1; item).

    Examples
    --------
    >>> parse_aliases("near, next to\\nbeside,near", str.strip)
    ({'beside': 'beside', 'near': 'beside', 'next to': 'beside'}, [(1, 'near')])
    """
    table: dict[str, str] = {}
    overruled: list[tuple[int, str]] = []
    for number, line in reversed([*enumerate(text.split("\n"), start=1)]):
        items = list(dict.fromkeys(item for part in line.split(",") if (item := clean(part))))
        overruled += [(number, item) for item in items if item in table]
        canonical = table.get(items[0], items[0]) if items else ""
        for item in items:
            table.setdefault(item, canonical)
    return table, overruled


def read_aliases(path: Path, clean: Callable[[str], str], problems: ProblemReport) -> dict[str, str]:
    """Read an alias file: see `parse_aliases`. Items on several lines are reported as changed.

    Raises
    ------
    DataFormatError
        When it is not UTF-8, or far too large.
    """
    spot = problems.at(path, "the whole file")
    if path.stat().st_size > LARGEST_FILE:
        raise spot.error(
            f"it is longer than {LARGEST_FILE} bytes; expected an alias file. Download it again."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"it is not UTF-8 ({error.reason} at byte {error.start}); expected UTF-8 text."
        raise spot.error(f"{found} Download it again.") from error
    table, overruled = parse_aliases(text, clean)
    for number, item in overruled:
        problems.at(path, f"line {number}").change(
            "repeated alias",
            f"{item!r} occurs on a later line too.",
            f"It stands for {table[item]!r}, by the last line that has it.",
        )
    return table


def load_aliases(root: Path, aliases: bool | Path | str | None, problems: ProblemReport) -> Aliases:
    """Return the aliases that the option `aliases` asks for.

    Parameters
    ----------
    root
        Folder of the data set.
    aliases
        None: the alias files that lie in the root, where they do. True: both must lie there. False: none.
        A path: the folder in which both lie.

    Raises
    ------
    FileNotFoundError, TypeError, DataFormatError
        A file that was asked for is missing; something else came; a file cannot be used.
    """
    if aliases is False:
        return NO_ALIASES
    if not (aliases is None or aliases is True or isinstance(aliases, (str, Path))):
        raise TypeError(
            f"aliases={aliases!r} came; expected None (the files in the root, if any), True (they must be "
            "there), False (none), or the path of the folder that holds them."
        )
    folder = Path(aliases).expanduser() if isinstance(aliases, (str, Path)) else root
    tables = []
    for name, clean in ((OBJECT_FILE, clean_name), (RELATION_FILE, clean_predicate)):
        path = folder / name
        if path.is_file():
            tables.append(read_aliases(path, clean, problems))
        elif aliases is None:
            tables.append({})
        else:
            raise FileNotFoundError(
                f"{folder} has no {name}; expected {OBJECT_FILE} and {RELATION_FILE} of Visual Genome there. "
                "Download both, or load with aliases=False."
            )
    return Aliases(*tables)
