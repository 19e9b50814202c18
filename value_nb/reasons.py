"""Where a probe makes no sense for a model: its reason stands where the number would be."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from value_nb.result import Result

LINE = 62  # characters


def nothing(result: Result, probe: str, empty: str) -> str:
    """Why a result has no number at all, in words; "" when it has.

    Parameters
    ----------
    result
        Of `probe`.
    empty
        What to say of a result that is defined and yet without rows.

    Raises
    ------
    ValueError
        For a result of another probe.
    """
    if result.probe != probe:
        raise ValueError(f"a result of {result.probe!r} came; expected one of {probe!r}")
    if result.reason is not None:
        return result.reason
    return "" if len(result.frame) else empty


def draw_reason(ax: Axes, heading: str, why: str) -> Axes:
    """Axes that say why there is no number instead of showing one."""
    ax.set_axis_off()
    said = "\n".join(textwrap.wrap(f"{why[0].upper()}{why[1:]}.", LINE))
    ax.text(
        0.5, 0.5, f"Not defined\n\n{said}", transform=ax.transAxes, ha="center", va="center", fontsize=10.5,
        color="#303030", bbox={"facecolor": "#f4f4f2", "edgecolor": "#c8c8c8", "pad": 14},
    )  # fmt: skip
    ax.set_title(heading)
    return ax


def reason_table(result: Result, why: str) -> pd.DataFrame:
    """A table of one cell, the reason, with the model as its row."""
    return pd.DataFrame({"not defined": [why]}, index=pd.Index([result.meta["model"]], name="model"))
