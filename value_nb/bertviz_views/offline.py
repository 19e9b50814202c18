"""bertviz's HTML made to work without a network, in a frame that can reach nothing outside itself.

bertviz loads require.js, d3 and jQuery from other machines; without them its views stay empty. Here the
libraries stand in the page, and four lines take the place of require.js.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

import numpy as np

from value_nb.bertviz_views.vendor import SHA256, script

SCALE = 10_000
"""Weights are handed over as whole numbers of ten-thousandths: half as long as decimals."""

SHRINK = (
    "const grown = x => Array.isArray(x) ? x.map(grown) : x / {scale};"
    "params.attention.forEach(part => {{ part.attn = grown(part.attn); }});"
)

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
"""What the page in the frame may load: nothing that does not stand in it."""

STAND_IN = (
    "var requirejs = function (names, run) { run(jQuery, d3); };"
    "requirejs.config = function () {}; var require = requirejs;"
)
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<style>html {{ color-scheme: light; }} body {{ margin: 6px 6px 6px {left}px; background: #fff; color: #111; }}
svg {{ overflow: visible; }}</style>
</head><body>{scripts}{body}</body></html>"""
LOADED_FROM_OUTSIDE = re.compile(r"<script[^>]+src=[^>]*>\s*</script>", re.IGNORECASE)
PARAMETERS = "const params = "


def offline(html: str, height: int, title: str, left: int = 0, **parameters: Any) -> str:
    """A view of bertviz as HTML for a notebook's output: a sandboxed frame of fixed height.

    Parameters
    ----------
    html
        What bertviz returns for `html_action="return"`.
    height
        Of the frame, in pixels: it cannot measure itself from inside.
    title
        What a screen reader says of the frame.
    left
        Pixels of room on the left, for names longer than bertviz expects.
    parameters
        Take the place of those of the same name that bertviz hands to its script.

    Raises
    ------
    ValueError
        Where the HTML is not built as bertviz 1.4 builds it.
    """
    body = _harmless(LOADED_FROM_OUTSIDE.sub("", html), parameters)
    scripts = "".join(f"<script>{script(name)}</script>" for name in sorted(SHA256, reverse=True))
    page = PAGE.format(
        policy=POLICY, left=left + 6, scripts=f"{scripts}<script>{STAND_IN}</script>", body=body
    )
    # a <div> around it: IPython warns of HTML that begins with a frame
    return (
        f'<div class="vnb-bertviz"><iframe sandbox="allow-scripts" title="{escape(title)}" '
        f'style="width:100%;height:{height}px;border:0;background:#fff;border-radius:6px" '
        f'srcdoc="{_attribute(page)}"></iframe></div>'
    )


def _harmless(html: str, parameters: dict[str, Any]) -> str:
    """The same view, its data written so short that it fits and so that no text in it can end the script."""
    before, mark, rest = html.partition(PARAMETERS)
    if not mark:
        raise ValueError("this is not the HTML of a view of bertviz 1.4: it sets no parameters")
    data, end = json.JSONDecoder().raw_decode(rest)
    # bertviz writes all data a second time, into a comment on the same line: the line ends here
    _, _, after = rest[end:].partition("\n")
    text = f"{in_script(_shrunk({**data, **parameters}))};{SHRINK.format(scale=SCALE)}\n"
    return _without_addresses(before) + mark + text + _without_addresses(after)


def _shrunk(data: dict[str, Any]) -> dict[str, Any]:
    """The parameters with every weight as a whole number."""
    parts = [
        {**part, "attn": np.rint(np.array(part["attn"], dtype=float) * SCALE).astype(int).tolist()}
        for part in data["attention"]
    ]
    return {**data, "attention": parts}


def _without_addresses(code: str) -> str:
    """Without the addresses that require.js would have loaded the libraries from, and the notes on top."""
    code = re.sub(r"/\*\*.*?\*\*/", "", code, flags=re.DOTALL)
    return re.sub(r"require\.config\(\{.*?\}\);", "", code, flags=re.DOTALL)


def in_script(data: Any) -> str:
    """JSON that may stand inside a <script>: no "<", so neither its end nor a comment can begin."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _attribute(page: str) -> str:
    """For an attribute in double quotes; escapes no more than that needs, to stay short."""
    return page.replace("&", "&amp;").replace('"', "&quot;")
