"""The choices of a notebook: which model, which data, how many examples; as widgets and as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ipywidgets import HTML, BoundedIntText, Dropdown, HBox, Layout, VBox

from value_nb.app import in_app
from value_nb.by_name import is_own
from value_nb.widgets.state import State, checked

MOST = 1_000_000
ADVICE = (
    "Changed something? Click the next cell and choose <b>Run ▸ Run Selected Cell and All Below</b>: "
    "the cells below read the choices from here."
)
ADVICE_APP = (
    "This page was run once, with these choices. To change them, open the notebook in JupyterLab "
    "(<code>make lab</code>): a page without code cannot run its cells again."
)


class Choices(VBox):
    """Dropdowns of the models and data sets on this machine, and a number of examples.

    Parameters
    ----------
    model
        A name of `vnb.models()` that is present, the path of a checkpoint directory, or "module:function".
    dataset
        A name of `vnb.datasets()` that is present, or "module:function" (not for families).
    n_examples
        Examples to use, at least 1.
    full
        Use every example and show `n_examples` without using it.
    pictures
        Offer only models and data sets that have pictures; False offers those of text alone, too.
    families
        Of the data sets of sentences offer, in place of single tasks, their families: "mini-senteval" for
        "mini-senteval/tree_depth" and the others; nothing else.

    Attributes
    ----------
    model, dataset, n_examples
        What is chosen now; they can be set.
    limit
        For `load_dataset(limit=...)`: `n_examples`, or None for everything.

    Raises
    ------
    ValueError
        For a model or data set that is not present here (the message lists those that are), or a number
        below 1.
    """

    model = State("Name of the chosen model, or the path of a checkpoint directory.")
    dataset = State("Name of the chosen data set.")
    n_examples = State("How many examples to use.")

    def __init__(
        self,
        model: str,
        dataset: str,
        n_examples: int,
        full: bool = False,
        pictures: bool = True,
        families: bool = False,
    ) -> None:
        models = present_models(pictures)
        if (Path(model).is_dir() or is_own(model)) and model not in models:
            models.append(str(model))
        data = present_families() if families else present_datasets(pictures)
        data += [dataset] if is_own(dataset) and not families else []
        self.full = bool(full)
        self.controls: dict[str, Any] = {
            "model": _dropdown("model", models),
            "dataset": _dropdown("data", data),
            "n_examples": BoundedIntText(
                value=1, min=1, max=MOST, description="examples", layout=Layout(width="170px"), disabled=full
            ),
        }
        for name, value in (("model", model), ("dataset", dataset), ("n_examples", n_examples)):
            self.controls[name].value = _start(name, value, self.controls[name])
        row = HBox([*self.controls.values()], layout=Layout(flex_flow="row wrap"))
        used = " Full setting: every example is used." if full else ""
        super().__init__([row, HTML(f"{advice(self.controls.values())}{used}")])

    @property
    def limit(self) -> int | None:
        """Number of examples to load; None: all."""
        return None if self.full else int(self.n_examples)

    def __repr__(self) -> str:
        return f"Choices(model={self.model!r}, dataset={self.dataset!r}, n_examples={self.n_examples})"


def advice(controls: Iterable[Any]) -> str:
    """What a reader does after a change; a page that cannot run cells again switches the controls off."""
    if not in_app():
        return ADVICE
    for control in controls:
        control.disabled = True
    return ADVICE_APP


def present_models(pictures: bool = True) -> list[str]:
    """Names of the models whose weights are on this machine, with pictures or of any kind."""
    from value_nb.models.registry import models

    table = models()
    fit = table["present"] & ((table["streams"] != "text") | (not pictures))
    return [str(name) for name in table.loc[fit, "name"]]


def present_datasets(pictures: bool = True) -> list[str]:
    """Names of the data sets on this machine, with pictures or of any kind."""
    from value_nb.data.registry import datasets

    table = datasets()
    fit = table["present"] & ((table["kind"] != "sentences") | (not pictures))
    return [str(name) for name in table.loc[fit, "name"]]


def present_families() -> list[str]:
    """Families of the tasks of sentences on this machine: "mini-senteval"."""
    tasks = set(present_datasets(pictures=False)) - set(present_datasets())
    return sorted({name.partition("/")[0] for name in tasks})


def _dropdown(label: str, options: list[str]) -> Any:
    return Dropdown(options=options, description=label, layout=Layout(width="300px"))


def _start(name: str, value: Any, control: Any) -> Any:
    """The first value of a control; says where to look when it is not offered."""
    if getattr(control, "options", None) == ():
        raise ValueError(f"{name}={value!r} is not on this machine, and no {name} is: run `make mini`")
    try:
        return checked(name, value, control)
    except ValueError as problem:
        if name == "n_examples":
            raise
        table = {"model": "vnb.models()", "dataset": "vnb.datasets()"}[name]
        raise ValueError(f"{problem}. {table} says how to get the others") from None
