"""The models that a notebook sets beside each other: as a list to tick, and as a plain tuple."""

from __future__ import annotations

from collections.abc import Iterable

from ipywidgets import HTML, Layout, SelectMultiple, VBox

from value_nb.widgets.choices import advice, present_models


class ModelChoices(VBox):
    """A list of the models on this machine, those of text alone last, of which one or several are chosen.

    Parameters
    ----------
    models
        Names of `vnb.models()` that are present, to start with.

    Attributes
    ----------
    models
        What is chosen now, in the order of the list; it can be set.

    Raises
    ------
    ValueError
        For no model, or one that is not present here (the message lists those that are).
    """

    def __init__(self, models: Iterable[str]) -> None:
        seeing = present_models(pictures=True)
        offered = [*seeing, *(name for name in present_models(pictures=False) if name not in seeing)]
        rows = min(max(len(offered), 2), 8)
        self.control = SelectMultiple(
            options=offered, rows=rows, description="models", layout=Layout(width="300px")
        )
        super().__init__(
            [self.control, HTML(f"Hold Ctrl or Shift to choose several. {advice([self.control])}")]
        )
        self.models = tuple(models)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the chosen models."""
        return tuple(self.control.value)

    @models.setter
    def models(self, names: Iterable[str]) -> None:
        wanted, offered = tuple(names), tuple(self.control.options)
        unknown = [name for name in wanted if name not in offered]
        if unknown or not wanted:
            came = f"model {unknown[0]!r} is not on this machine" if unknown else "no model was chosen"
            raise ValueError(f"{came}; expected one or more of {', '.join(map(repr, offered)) or 'none'}")
        self.control.value = tuple(name for name in offered if name in wanted)

    def __repr__(self) -> str:
        return f"ModelChoices({', '.join(map(repr, self.models))})"
