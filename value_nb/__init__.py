"""Look inside pre-trained vision-and-language transformers: the probes of the VALUE paper, with controls.

    import value_nb as vnb
    model = vnb.load_model("mini-uniter")
    data = vnb.load_dataset("mini-flickr30k", split="test")
    results = vnb.sweep(model, data, [vnb.FusionDegree()])
    results["fusion_degree"].plot()

Everything is imported when it is first used, so that `import value_nb` takes no time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from value_nb import paper, plots
    from value_nb.ablation import ablate_heads, without_image
    from value_nb.bertviz_views.view import head_view, model_view
    from value_nb.cache.listing import cache_info, clear_cache
    from value_nb.controls import Mismatched, RandomWeights
    from value_nb.cross_modal_ablation import cross_modal_ablation
    from value_nb.data.example import Example
    from value_nb.data.features.convert import convert_features
    from value_nb.data.features.detect import open_features
    from value_nb.data.own_picture import own_picture
    from value_nb.data.region_coverage import region_coverage
    from value_nb.data.registry import datasets, load_dataset
    from value_nb.data.splits import load_splits
    from value_nb.explorer.panel import Explorer
    from value_nb.export import keep
    from value_nb.flow.panel import AttentionFlow
    from value_nb.getting.doctor import doctor, doctor_text
    from value_nb.getting.fetch import fetch
    from value_nb.growth import watch_growth
    from value_nb.head_ablation import ablation_curve
    from value_nb.linguistics import linguistic_tasks, probe_linguistics
    from value_nb.measure import measure_models, measure_observations
    from value_nb.models.registry import load_model, models, training_curve
    from value_nb.pointed_heads import pointed_heads
    from value_nb.probes.coreference import CoreferenceProbe
    from value_nb.probes.coreference_attention import CoreferenceAttention
    from value_nb.probes.crossmodal import CrossModalHeads
    from value_nb.probes.fusion import FusionDegree
    from value_nb.probes.linguistic import LinguisticProbe
    from value_nb.probes.modality import ModalityImportance
    from value_nb.probes.relations import RelationProbe
    from value_nb.result import load_result
    from value_nb.sanity import sanity_gate
    from value_nb.scoreboard import scoreboard
    from value_nb.sweep import sweep
    from value_nb.trace import Trace

__version__ = "0.1.0"

_loaded_at = time.time()  # of a file changed since, nobody knows whether it was changed before it was loaded

# Name -> the module that defines it; None: the name is a module of this package.
_HOMES: dict[str, str | None] = {
    "AttentionFlow": "flow.panel",
    "CoreferenceAttention": "probes.coreference_attention",
    "CoreferenceProbe": "probes.coreference",
    "CrossModalHeads": "probes.crossmodal",
    "Example": "data.example",
    "Explorer": "explorer.panel",
    "FusionDegree": "probes.fusion",
    "LinguisticProbe": "probes.linguistic",
    "Mismatched": "controls",
    "ModalityImportance": "probes.modality",
    "RandomWeights": "controls",
    "RelationProbe": "probes.relations",
    "Trace": "trace",
    "ablate_heads": "ablation",
    "ablation_curve": "head_ablation",
    "cache_info": "cache.listing",
    "clear_cache": "cache.listing",
    "convert_features": "data.features.convert",
    "cross_modal_ablation": None,
    "datasets": "data.registry",
    "doctor": "getting.doctor",
    "doctor_text": "getting.doctor",
    "fetch": "getting.fetch",
    "head_view": "bertviz_views.view",
    "keep": "export",
    "linguistic_tasks": "linguistics",
    "load_dataset": "data.registry",
    "load_model": "models.registry",
    "load_result": "result",
    "load_splits": "data.splits",
    "measure_models": "measure",
    "measure_observations": "measure",
    "model_view": "bertviz_views.view",
    "models": None,
    "open_features": "data.features.detect",
    "own_picture": "data.own_picture",
    "paper": None,
    "parity": None,
    "plots": None,
    "pointed_heads": None,
    "probe_linguistics": "linguistics",
    "region_coverage": "data.region_coverage",
    "sanity_gate": "sanity",
    "scoreboard": None,
    "sweep": None,
    "training_curve": "models.registry",
    "watch_growth": "growth",
    "widgets": None,
    "without_image": "ablation",
}

# An imported submodule takes its own name in the package, so a function of that name could not be
# reached. These modules can be called instead: `vnb.sweep(...)` is `value_nb.sweep.sweep(...)`.
_CALLED = {
    "cross_modal_ablation": "cross_modal_ablation",
    "models": "models.registry",
    "parity": "parity",
    "pointed_heads": "pointed_heads",
    "scoreboard": "scoreboard",
    "sweep": "sweep",
}

__all__ = [
    "AttentionFlow",
    "CoreferenceAttention",
    "CoreferenceProbe",
    "CrossModalHeads",
    "Example",
    "Explorer",
    "FusionDegree",
    "LinguisticProbe",
    "Mismatched",
    "ModalityImportance",
    "RandomWeights",
    "RelationProbe",
    "Trace",
    "__version__",
    "ablate_heads",
    "ablation_curve",
    "cache_info",
    "clear_cache",
    "convert_features",
    "cross_modal_ablation",
    "datasets",
    "doctor",
    "doctor_text",
    "fetch",
    "head_view",
    "keep",
    "linguistic_tasks",
    "load_dataset",
    "load_model",
    "load_result",
    "load_splits",
    "measure_models",
    "measure_observations",
    "model_view",
    "models",
    "open_features",
    "own_picture",
    "paper",
    "parity",
    "plots",
    "pointed_heads",
    "probe_linguistics",
    "region_coverage",
    "sanity_gate",
    "scoreboard",
    "sweep",
    "training_curve",
    "watch_growth",
    "widgets",
    "without_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"value_nb has no {name!r}; it has: {', '.join(__all__)}")
    home = _HOMES[name]
    if home is None:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Called(ModuleType):
    """A module that can be called, as the function of the same name that it holds."""

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function; `inspect.signature` and `help` follow it."""
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"value_nb.{_CALLED[name]}"), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.__wrapped__(*arguments, **options)


class _Package(ModuleType):
    """This package: makes the modules of `_CALLED` callable when an import binds them here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLED and type(value) is ModuleType:
            value.__class__ = _Called
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
