"""Sections that were measured again by themselves take their place in the page that there is."""

from __future__ import annotations

import re

from tests.bench.report import MISSING

BUDGETS = "Budgets"
AGAIN = "; again, by themselves: "


def renewed(old: str, new: str) -> str:
    """The old page with the sections of the new one, their rows among the budgets, and a word of it.

    ValueError where the two are of other machines or versions: their numbers do not belong on one page.
    """
    (head, before), (said, after) = _parts(old), _parts(new)
    if _machine(head) != _machine(said):
        raise ValueError(
            f"the page is of {_machine(head)!r}, this machine is {_machine(said)!r}: measure the whole page "
            "anew, or write another one with --out"
        )
    names = [name for name in after if name != BUDGETS]
    sections = {**before, **{name: after[name] for name in names}}
    sections[BUDGETS] = _rows(before[BUDGETS], after[BUDGETS])
    return _noted(head, names) + "".join(f"\n## {name}\n{text}" for name, text in sections.items())


def _parts(page: str) -> tuple[str, dict[str, str]]:
    """What stands before the first section, and name -> text of each."""
    head, *rest = re.split(r"^## ", page.rstrip("\n") + "\n", flags=re.MULTILINE)
    cut = [one.split("\n", 1) for one in rest]
    return head.rstrip("\n") + "\n", {name: text.rstrip("\n") + "\n" for name, text in cut}


def _machine(head: str) -> str:
    found = re.search(r"^Machine: (.*) Measured in ", head, flags=re.MULTILINE)
    return found.group(1) if found else ""


def _rows(old: str, new: str) -> str:
    """The budgets, each from the new page where it was measured there."""
    measured = {_name(line): line for line in new.splitlines() if MISSING not in line}
    return "\n".join(measured.get(_name(line), line) for line in old.splitlines()) + "\n"


def _name(line: str) -> str:
    return line.split("|")[1] if line.startswith("|") else line


def _noted(head: str, names: list[str]) -> str:
    """The head, which says what was measured again."""
    found = re.search(rf"Measured in [\d.]+ minutes(?:{AGAIN}(.*))?\.$", head, flags=re.MULTILINE)
    if found is None:
        return head
    known = found.group(1).split("; ") if found.group(1) else []
    said = "; ".join(dict.fromkeys([*known, *names]))
    return head.replace(found.group(0), found.group(0).split(AGAIN)[0].rstrip(".") + f"{AGAIN}{said}.")
