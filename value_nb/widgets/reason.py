"""A panel that says why there is nothing to show, where another panel would stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from value_nb.reasons import draw_reason
from value_nb.widgets.panel import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = (0.06, 0.08, 0.88, 0.74)


class ReasonPanel(Panel):
    """No controls, and the reason instead of a picture: a notebook goes on where a model lacks something.

    Parameters
    ----------
    heading
        What would be shown.
    why
        Why it is not, as a sentence without its full stop.
    """

    def __init__(self, heading: str, why: str) -> None:
        self.heading, self.why = heading, why
        super().__init__({}, (), width=8.4, height=2.2)

    @property
    def table(self) -> pd.DataFrame:
        """One cell: the reason."""
        return pd.DataFrame({"not defined": [self.why]})

    def _draw(self, figure: Figure, fresh: bool) -> str:
        figure.clear()
        draw_reason(figure.add_axes(PLACE), self.heading, self.why)
        return f"Nothing can be shown: {self.why}."
