"""One HTML page with every kept figure: a single file that needs no network, in light and dark."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from value_nb import __version__
from value_nb.export import atomically

ROWS = 30  # so many rows of a table are shown; the CSV beside the page has them all

STYLE = """
:root { color-scheme: light dark; --page: #fbfbf9; --ink: #22262b; --soft: #5d666f; --line: #d9dcd7;
        --bad: #a3261b; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16191d; --ink: #e4e6e8; --soft: #9aa4ad; --line: #363c43; --bad: #ff9a8d; }
}
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 62rem; background: var(--page); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
a { color: inherit; } nav li { margin: .2rem 0; }
figure { margin: 1.5rem 0 2.5rem; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; padding: .5rem;
             box-sizing: border-box; }
figcaption, .soft { color: var(--soft); font-size: .9rem; } .bad { color: var(--bad); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .8rem; }
th, td { padding: .15rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
"""


def write_gallery(folder: Path, sections: Sequence[tuple[str, str, str]]) -> Path:
    """Write FOLDER/index.html from the files that `value_nb.keep` left in FOLDER/NAME.

    Parameters
    ----------
    folder
        Where the runs lie, one folder for each notebook.
    sections
        (name, title, error) of each notebook, in reading order; error is "" when it ran through.
    """
    parts = [_section(folder / name, title, error) for name, title, error in sections]
    links = "".join(f'<li><a href="#{escape(name)}">{escape(title)}</a></li>' for name, title, _ in sections)
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>value_nb: figures</title><style>{STYLE}</style></head><body>"
        f'<h1>value_nb: figures</h1><p class="soft">Made by version {escape(__version__)} of the kit.</p>'
        f"<nav><ol>{links}</ol></nav>{''.join(parts)}</body></html>\n"
    )
    return atomically(folder / "index.html", lambda path: path.write_text(page, encoding="utf-8"))


def _section(folder: Path, title: str, error: str) -> str:
    notes = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    body = "".join(_item(json.loads(note.read_text(encoding="utf-8")), folder) for note in notes)
    if error:
        body = f'<p class="bad">This notebook did not run through: {escape(error)}</p>'
    body = body or '<p class="soft">This notebook keeps no figure.</p>'
    return f'<section id="{escape(folder.name)}"><h2>{escape(title)}</h2>{body}</section>'


def _item(note: dict[str, Any], folder: Path) -> str:
    """One kept item: the picture, what is known about it, the beginning of its tables."""
    files = [folder / name for name in note["files"]]
    facts = [f"{key.replace('_', ' ')}: {value}" for key, value in note["facts"].items()]
    known = "; ".join([*facts, f"value_nb {note['version']}"])
    said = f"{escape(note['caption'])}<br>" if note["caption"] else ""
    chosen = "; ".join(f"{name}: {value}" for name, value in note.get("controls", {}).items())
    said += f"Controls: {escape(chosen)}<br>" if chosen else ""
    alternative = escape(note["caption"] or note["name"].replace("_", " "))
    pictures = [_picture(path, alternative) for path in files if path.suffix == ".svg"]
    tables = [_table(path, f"{folder.name}/{path.name}") for path in files if path.suffix == ".csv"]
    downloads = " · ".join(
        f'<a href="{escape(f"{folder.name}/{p.name}")}">{escape(p.name)}</a>' for p in files
    )
    under = f"<figcaption>{said}{escape(known)}<br>{downloads}</figcaption>"
    return f"<figure>{''.join(pictures)}{under}{''.join(tables)}</figure>"


def _picture(path: Path, alternative: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{alternative}" src="data:image/svg+xml;base64,{data}">'


def _table(path: Path, name: str) -> str:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    head, body = rows[0] if rows else [], rows[1:]
    cells = "".join(_row(row, "td") for row in body[:ROWS])
    size = f"{len(body)} rows" if len(body) <= ROWS else f"the first {ROWS} of {len(body)} rows"
    table = f"<table><thead>{_row(head, 'th')}</thead><tbody>{cells}</tbody></table>"
    return f'<details><summary>{escape(name)}: {size}</summary><div class="scroll">{table}</div></details>'


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
