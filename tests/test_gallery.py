"""The page of figures: complete, escaped, and without a need of any other machine."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from value_nb.gallery import ROWS, write_gallery

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'
EVIL = '"><script>alert(1)</script>'


class Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "iframe", "b"}
        self.seen += [value or "" for name, value in attrs if name in {"src", "href"}]


def make(folder: Path, rows: int = 2) -> str:
    run = folder / "01_fusion"
    run.mkdir()
    (run / "curve.svg").write_bytes(SVG)
    table = pd.DataFrame({"layer": range(rows), "<b>name</b>": [EVIL] * rows})
    table.to_csv(run / "curve.csv", index=False)
    note = {
        "name": "curve",
        "caption": f"A curve {EVIL}",
        "facts": {
            "model": EVIL,
            "data": "mini-flickr30k",
            "split": "test",
            "n": "40",
            "n_images": "8",
            "seed": "0",
        },
        "controls": {"layer": "3", "word": EVIL},
        "version": "0.1.0",
        "files": ["curve.svg", "curve.csv"],
    }
    (run / "curve.json").write_text(json.dumps(note), encoding="utf-8")
    page = write_gallery(folder, [("01_fusion", f"Fusion {EVIL}", ""), ("02_bad", "Bad", f"failed {EVIL}")])
    return page.read_text(encoding="utf-8")


def test_page_holds_its_figures_and_everything_is_escaped(tmp_path: Path) -> None:
    page = make(tmp_path)
    addresses = Addresses()
    addresses.feed(page)
    data = "data:image/svg+xml;base64," + base64.b64encode(SVG).decode()
    assert data in addresses.seen
    outside = [address for address in addresses.seen if not address.startswith(("data:", "#", "01_fusion/"))]
    assert outside == []
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5


def test_caption_says_model_data_split_n_seed_and_version(tmp_path: Path) -> None:
    page = make(tmp_path)
    for fact in (
        "model: ",
        "data: mini-flickr30k",
        "split: test",
        "n: 40",
        "n images: 8",
        "seed: 0",
        "value_nb 0.1.0",
    ):
        assert fact in page


def test_what_the_controls_said_stands_below_the_figure(tmp_path: Path) -> None:
    assert "Controls: layer: 3; word: &quot;&gt;&lt;script&gt;" in make(tmp_path)


def test_light_and_dark(tmp_path: Path) -> None:
    assert re.search(r"@media \(prefers-color-scheme: dark\)", make(tmp_path))


def test_a_failed_notebook_is_named(tmp_path: Path) -> None:
    assert "This notebook did not run through: failed &quot;" in make(tmp_path)


def test_long_tables_are_cut_and_say_so(tmp_path: Path) -> None:
    page = make(tmp_path, rows=ROWS + 5)
    assert f"the first {ROWS} of {ROWS + 5} rows" in page
    assert page.count("<tr>") == ROWS + 1
