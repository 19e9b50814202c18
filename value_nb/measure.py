"""Everything the scoreboard judges a model by, with the controls that its rules need and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from value_nb.cache.codecs import RESULTS
from value_nb.cache.remember import kept
from value_nb.controls import RandomWeights
from value_nb.data.registry import load_dataset
from value_nb.data.splits import load_splits
from value_nb.linguistics import linguistic_tasks, probe_linguistics
from value_nb.models.registry import load_model
from value_nb.probes.coreference_attention import CoreferenceAttention
from value_nb.probes.crossmodal import CrossModalHeads
from value_nb.probes.fusion import FusionDegree
from value_nb.probes.modality import ModalityImportance
from value_nb.probes.relation_sample import with_relation_pairs
from value_nb.probes.relations import RelationProbe
from value_nb.progress import bar
from value_nb.sanity import with_measured_gate
from value_nb.sweep import Choice, sweep

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.models.base import VLModel

BUNDLED = "mini-"
"""Data sets of this beginning lie in data/mini."""
Limits = Mapping[str, int]
"""Split -> so many examples; a split that is not named is whole."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How much is measured; None is everything.

    Attributes
    ----------
    pairs
        Test captions for fusion, modality importance and cross-modal heads.
    coreference
        Captions by split.
    relations, relations_among
        Region descriptions of each split, chosen by `with_relation_pairs` among the first so many.
    sentences
        Sentences of each split of a linguistic task.
    tasks
        Names of linguistic tasks, for instance "tree_depth"; none: all nine.
    captions, descriptions, sources
        Data sets: of captions, of region descriptions, and where the linguistic tasks are from.
    """

    pairs: int | None = None
    coreference: Limits = field(default_factory=dict)
    relations: int | None = None
    relations_among: int | None = None
    sentences: int | None = None
    tasks: tuple[str, ...] = ()
    captions: str = "mini-flickr30k"
    descriptions: str = "mini-vg"
    sentences_from: str = "mini-senteval"


LIGHT = Setting(
    pairs=30,
    coreference={"val": 40, "test": 80},
    relations=40,
    relations_among=300,
    sentences=100,
    tasks=("tree_depth", "subj_number"),
)
"""Enough to try the scoreboard out: intervals are wide, and little is decided by so few pictures."""

FULL = Setting(pairs=500)
"""All annotated examples of the miniature, and 500 captions (100 pictures) where no annotation is needed."""


def measure_observations(
    model: str | VLModel,
    setting: Setting = LIGHT,
    progress: bool = False,
    seed: int = 0,
    cache: bool = True,
) -> dict[str, Any]:
    """Sweep one model for everything that the paper's observations are judged by.

    Parameters
    ----------
    model
        Name or path for `load_model`, or a model.
    setting
        `LIGHT`, `FULL` or a `Setting` of your own.
    progress, seed, cache
        As in `sweep`.

    Returns
    -------
    Probe -> result, for "linguistic_probe" task -> result. Random weights are swept where a rule asks for
    them: five for cross-modal heads, one for classifiers.
    """
    one = load_model(model) if isinstance(model, str) else model
    one = with_measured_gate(one, load_dataset(setting.captions, limit=setting.pairs), seed, cache=cache)
    how = {"progress": progress, "seed": seed, "cache": cache}
    found: dict[str, Any] = {}
    for part in (_descriptive, _coreference, _relations, _language):
        found |= part(one, setting, how)
    return found


def _files(models: Sequence[str], setting: Setting, **_: Any) -> list[str]:
    """What the files of models and data sets hold, where all lie in the kit's data folder."""
    from value_nb.cache.keys import NotKeyable, of_files
    from value_nb.data.paths import bundled_root
    from value_nb.models.locating import own_folder

    data = (setting.captions, setting.descriptions, setting.sentences_from)
    folders = [own_folder(name) for name in models]
    if None in folders or not all(name.startswith(BUNDLED) for name in data):
        raise NotKeyable("models or data that are not the kit's own: sweeps are kept one by one")
    bundled = of_files(bundled_root() / BUNDLED.rstrip("-"), skip=("models",))
    return [bundled, *(of_files(folder) for folder in folders if folder is not None)]


@kept("scoreboard", RESULTS, _files)
def measure_models(
    models: Sequence[str],
    setting: Setting = LIGHT,
    n_jobs: int = 2,
    seed: int = 0,
    progress: bool = True,
    cache: bool = True,
) -> dict[str, dict[str, Any]]:
    """`measure_observations` for several models, so many at a time in processes of their own.

    Parameters
    ----------
    models
        Names for `load_model`.
    setting, seed
        As in `measure_observations`.
    n_jobs
        Models at a time.
    progress
        Show a bar.
    cache
        Look the results up among kept ones, and keep them (`value_nb.cache_info`); False: measure anew.
    """
    from joblib import Parallel, delayed

    jobs = (delayed(measure_observations)(name, setting, seed=seed, cache=cache) for name in models)
    done = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    return dict(zip(models, bar(done, "models (scoreboard)", len(models), progress), strict=True))


def _descriptive(model: VLModel, setting: Setting, how: dict[str, Any]) -> dict[str, Any]:
    data = load_dataset(setting.captions, limit=setting.pairs)
    plain = sweep(model, data, [FusionDegree(), ModalityImportance()], controls="none", **how)
    heads = CrossModalHeads()
    random: Choice = "none" if heads.not_defined(model) else [RandomWeights()]
    return {**plain, **sweep(model, data, [heads], controls=random, **how)}


def _coreference(model: VLModel, setting: Setting, how: dict[str, Any]) -> dict[str, Any]:
    data = load_splits(setting.captions, limit=setting.coreference, splits=("val", "test"))
    return dict(sweep(model, data, [CoreferenceAttention()], controls="none", **how))


def _relations(model: VLModel, setting: Setting, how: dict[str, Any]) -> dict[str, Any]:
    probe = RelationProbe(("VRI",))
    data: Sequence[Example] = load_splits(setting.descriptions, limit=setting.relations_among)
    random: Choice = "none"
    if probe.not_defined(model) is None:
        data = with_relation_pairs(data, setting.relations, seed=how["seed"])
        random = [RandomWeights((0,))]
    return dict(sweep(model, data, [probe], controls=random, **how))


def _language(model: VLModel, setting: Setting, how: dict[str, Any]) -> dict[str, Any]:
    tasks = [
        name
        for name in linguistic_tasks(setting.sentences_from)
        if not setting.tasks or name.rpartition("/")[2] in setting.tasks
    ]
    random = [RandomWeights((0,))]
    found = probe_linguistics(model, tasks, limit=setting.sentences, controls=random, **how)
    return {"linguistic_probe": dict(found)}
