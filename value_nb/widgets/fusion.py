"""Fusion by layer beside its controls, and the two clusters of one pair at the chosen layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ipywidgets import Dropdown, IntSlider

from value_nb.export import describe
from value_nb.plots import MEASURES, plot_fusion
from value_nb.reasons import draw_reason, reason_table
from value_nb.widgets.by_model import Given, by_model
from value_nb.widgets.clusters import Clusters, draw_clusters, pair_clusters
from value_nb.widgets.panel import Panel
from value_nb.widgets.state import State
from value_nb.widgets.traces import ModelTraces

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from value_nb.data.example import Example
    from value_nb.models.base import VLModel
    from value_nb.result import Result

CURVES, CLOUD = (0.095, 0.34, 0.41, 0.5), (0.56, 0.2, 0.43, 0.64)
REASON = (0.05, 0.1, 0.9, 0.75)
PROBE = "fusion_degree"


class FusionPanel(Panel):
    """Curves of a fusion result with a marker at one layer, and one pair's states at that layer.

    Left: the measure by layer, its interval, and its controls. Right: the hidden states of one example's
    words (blue) and regions (orange) on their first two principal axes; the marker says which of the two
    clusters a state was put into. Fused states mix; states that lie apart show one marker for each colour.
    For a model whose fusion is not defined it shows the reason.

    Parameters
    ----------
    results
        A fusion result, what `sweep` returned, or a list of results (one for each model).
    models
        The models behind the results, one or a list; they are matched by name.
    data
        Examples with pictures, for the right side.

    Attributes
    ----------
    model
        Name of the model shown.
    measure
        "nmi", "ami", "effective_rank" or "separability", as far as the result has them.
    specials
        "paper" or "excluded".
    layer
        0 (embeddings) to the last.
    example
        Index of the example in `data`.

    Raises
    ------
    ValueError
        For a result of another probe, a result without its model, or a value that is not among the choices.
    """

    model = State("Name of the model shown.")
    measure = State("Which measure the curves show.")
    specials = State("'paper': [CLS], [SEP] and global rows counted; 'excluded': left out.")
    layer = State("0 (embeddings) to the last layer.")
    example = State("Index of the example in the data.")

    def __init__(
        self,
        results: Given,
        models: VLModel | Sequence[VLModel],
        data: Sequence[Example],
    ) -> None:
        self._results = by_model(results, PROBE, "FusionDegree()")
        given = list(models) if isinstance(models, Sequence) else [models]
        self._models = {model.name: model for model in given}
        if lacking := [name for name in self._results if name not in self._models]:
            raise ValueError(f"no model came for the result of {lacking[0]}; came: {', '.join(self._models)}")
        self.data = data
        self._traces = {name: ModelTraces(model, data) for name, model in self._models.items()}
        self._drawn: tuple[Any, ...] | None = None
        names = list(self._results)
        self.controls = {
            "model": Dropdown(options=names, description="model"),
            "measure": Dropdown(options=self._measures(names[0]), description="measure"),
            "specials": Dropdown(options=["paper", "excluded"], description="specials"),
            "layer": IntSlider(max=self._last(names[0]), description="layer"),
            "example": IntSlider(max=len(data) - 1, description="example"),
        }
        self._fit()
        chosen = ("model", "measure", "specials") if len(names) > 1 else ("measure", "specials")
        super().__init__(self.controls, (chosen, ("layer", "example")), width=8.4, height=4.5)

    @property
    def result(self) -> Result:
        """The result whose curves are shown."""
        return self._results[self.model]

    @property
    def clusters(self) -> Clusters:
        """The pair's states at the chosen layer, split in two."""
        trace = self._traces[str(self.model)].trace(int(self.example))
        return pair_clusters(trace, self.layer, self.specials, seed=self.result.meta["seed"])

    @property
    def table(self) -> pd.DataFrame:
        """The rows behind the curves; one cell with the reason where there is no number."""
        if self.result.reason is not None:
            return reason_table(self.result, self.result.reason)
        return self.result.select(measure=self.measure, specials=self.specials)

    def _origin(self) -> dict[str, str]:
        return describe(self.result)

    def _follow(self, name: str) -> None:
        if name == "model" and self._fit():
            self.controls["layer"].max = self._last(self.model)
            measures, now = self._measures(self.model), self.measure
            self.controls["measure"].options = measures
            self.measure = now if now in measures else measures[0]

    def _fit(self) -> bool:
        """Whether there is something to choose; controls without effect are switched off."""
        defined = self.result.reason is None
        for name in ("measure", "specials", "layer", "example"):
            self.controls[name].disabled = not defined
        return defined

    def _measures(self, name: str) -> list[str]:
        if self._results[name].reason is not None:
            return list(MEASURES)
        found = set(self._results[name].frame["measure"])
        return [measure for measure in MEASURES if measure in found]

    def _last(self, name: str) -> int:
        result = self._results[name]
        return 0 if result.reason is not None else int(result.frame["layer"].max())

    def _draw(self, figure: Figure, fresh: bool) -> str:
        if (why := self.result.reason) is not None:
            return self._draw_reason(figure, fresh, why)
        scene = (self.model, self.measure, self.specials)
        if fresh or self._drawn != scene:
            figure.clear()
            marker = self._curves(figure)
            cloud = figure.add_axes(CLOUD)
            if not fresh:
                self._marker, self._cloud, self._drawn, self._background = marker, cloud, scene, None
        else:
            marker, cloud = self._marker, self._cloud
        marker.set_xdata([self.layer, self.layer])
        clusters = self.clusters
        score = f"this pair: NMI {clusters.nmi:.2f}, AMI {clusters.ami:.2f}"
        draw_clusters(cloud, clusters, f"Layer {self.layer}, example {self.example}\n{score}")
        return self._say(clusters)

    def _draw_reason(self, figure: Figure, fresh: bool, why: str) -> str:
        figure.clear()
        draw_reason(figure.add_axes(REASON), f"Fusion of {self.model}", why)
        if not fresh:
            self._drawn = self._background = None  # nothing moves
        return f"There is no number for {self.model}: {why}."

    def _moving(self) -> Sequence[Artist]:
        return () if self._drawn is None else (self._marker, self._cloud)

    def _curves(self, figure: Figure) -> Any:
        """Draw the curves into a new figure and return the line that marks the layer."""
        ax = plot_fusion(self.result, figure.add_axes(CURVES), measure=self.measure, specials=self.specials)
        ax.legend(loc="upper left", bbox_to_anchor=(-0.22, -0.24), ncol=2, fontsize=8, columnspacing=0.8)
        ax.yaxis.label.set_fontsize(9)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.04 * (high - low))  # markers at the top are drawn whole
        ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=8.5)
        return ax.axvline(self.layer, color="#202020", linewidth=1.2, alpha=0.7, zorder=1.5)

    def _say(self, clusters: Clusters) -> str:
        row = self.result.select(
            measure=self.measure, specials=self.specials, control="none", layer=self.layer
        ).iloc[0]
        name = str(self.measure).replace("_", " ")
        name = name.upper() if len(name) == 3 else name
        interval = f" ({row['lo']:.2f} to {row['hi']:.2f})" if np.isfinite(row["lo"]) else ", no interval"
        over = f"{name} over {self.result.meta['n']:,} pairs is {row['value']:.2f}{interval}"
        return f"Layer {self.layer}: {over}. In this pair {_mixed(clusters)}."


def _mixed(clusters: Clusters) -> str:
    """What the two groups hold, counted."""
    parts = []
    for name, side in (("A", ~clusters.cluster), ("B", clusters.cluster)):
        text, image = int((side & ~clusters.is_image).sum()), int((side & clusters.is_image).sum())
        parts.append(f"group {name} holds {text} text and {image} image positions")
    return " and ".join(parts)
