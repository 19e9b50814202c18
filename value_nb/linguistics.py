"""All probing tasks of a model in one call, without a picture: how it is taken away, and the mean region.

results = vnb.probe_linguistics(model)              # nine results, by task
results["tree_depth"].plot()
results.frame                                       # all of them, one under the other
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from value_nb.ablation import without_image
from value_nb.data.example import Example, Regions
from value_nb.data.splits import load_splits
from value_nb.probes.linguistic import LinguisticProbe
from value_nb.probes.trained_length import trained_length
from value_nb.probing_tasks import chosen_tasks
from value_nb.result import Result, Results
from value_nb.sweep import Choice, sweep

if TYPE_CHECKING:
    from value_nb.models.base import VLModel

SOURCES = ("mini-senteval", "senteval")
MEAN_REGION = "mean region"
WHOLE_PICTURE = (0.0, 0.0, 1.0, 1.0)

TEXT_ONLY = "no picture: the model has none"
MASKED = "no picture: all regions are masked before the softmax, which is exactly a run without regions"
CLOSED = (
    "no picture: text layers as they are; in cross layers the text->image gate is closed, which is exact in "
    "information, but the model was never trained so (out of distribution)"
)
IN_ITS_PLACE = (
    "in place of a picture one region, the whole picture's box with the mean feature of {n:,} regions of "
    "{data}; the text->image gate is open, and one such region is out of distribution too"
)
NOT_GIVEN = "mean region: left out, no pictures were given to take the mean of (pictures=...)"
NOT_NEEDED = "mean region: does not apply, {model} does without a picture exactly"


def linguistic_tasks(source: str = "mini-senteval", tasks: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the nine probing tasks, or of some of them, as data sets: "mini-senteval/tree_depth", ...

    Parameters
    ----------
    source
        "mini-senteval" (bundled) or "senteval" (the real ones).
    tasks
        Names of tasks without the source; None: all nine.

    Raises
    ------
    ValueError
        For another source or task.
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r}; expected one of {', '.join(map(repr, SOURCES))}")
    return chosen_tasks(source, tasks)


def text_controls(model: str, control: str = "mini-bert") -> list[str]:
    """The text-only model that a model is set beside; none where it is that model, or is not on this machine.

    Parameters
    ----------
    model, control
        Names of `value_nb.models()`.
    """
    from value_nb.models.registry import models

    table = models()
    present = set(table.loc[table["present"], "name"])
    return [control] if control in present and control != model else []


def probe_linguistics(
    model: VLModel,
    tasks: Sequence[str] | Mapping[str, Sequence[Example]] | None = None,
    probe: LinguisticProbe | None = None,
    pictures: Iterable[Example] | None = None,
    root: Path | str | None = None,
    limit: int | Mapping[str, int] | None = None,
    batch_size: int = 32,
    controls: Choice = "default",
    progress: bool = True,
    seed: int = 0,
    cache: bool = True,
) -> Results:
    """Put any number of probing tasks to a model that sees no picture.

    A single-stream model runs with all regions masked (exact), a text-only model as it is, a two-stream
    model with the gate "text->image" closed: rows with control "none". With `pictures`, a two-stream model
    is run a second time with the mean region: rows with control "mean region". Each result says in
    `meta["control_notes"]` how the picture was taken away, and what does not apply.

    Parameters
    ----------
    model
        From `load_model`.
    tasks
        Names of data sets, or name -> sentences of all three splits. None: the nine of the miniature.
    probe
        A template with settings of your own; None: the model's trained length where it is known.
    pictures
        Examples whose regions give the mean region, best of the training split, in the features of the
        model; looked at for two-stream models alone (for others the result says that it does not apply).
    root, limit
        As in `load_splits`, for tasks that are named.
    batch_size, controls, progress, seed, cache
        As in `sweep`, which keeps what is found for each task. Controls are run without a picture.

    Returns
    -------
    Results by task ("tree_depth"), each of probe "linguistic_probe"; `.frame` stacks them.

    Raises
    ------
    ValueError
        For no tasks, two of one name, root or limit beside sentences that are given, pictures without
        features, and as in `load_splits` and `sweep`.
    """
    template = LinguisticProbe(trained_length=trained_length(model)) if probe is None else probe
    region, said = _in_its_place(model, pictures)
    settings: dict[str, Any] = {"batch_size": batch_size, "progress": progress, "seed": seed}
    settings["cache"] = cache
    found: dict[str, Result] = {}
    for name, examples in _loaded(tasks, root, limit):
        with without_image(model) as blind:
            (result,) = sweep(blind, examples, [template], controls=controls, **settings).values()
        if region is None:
            found[name] = _noted(result, {"none": _how(model)}, [said])
        else:
            seeing = [replace(example, regions=region) for example in examples]
            (other,) = sweep(model, seeing, [template], controls="none", gate=False, **settings).values()
            found[name] = _noted(_joined(result, other), {"none": _how(model), MEAN_REGION: said}, [])
    return Results(found)


def mean_region(pictures: Iterable[Example]) -> Regions:
    """One region that stands for a picture of which nothing is known: the mean of all regions' features.

    Its box is the whole picture, its name "mean region", its source "detected".

    Parameters
    ----------
    pictures
        Examples with region features; a picture that comes with several captions counts once.

    Raises
    ------
    ValueError
        For no pictures, and for an example without region features.
    """
    return _mean_region(pictures)[0]


def _mean_region(pictures: Iterable[Example]) -> tuple[Regions, int, str]:
    """The region, how many it is the mean of, and the names of their data sets."""
    seen, data, sums = set[str](), set[str](), list[np.ndarray]()
    n = 0
    for example in pictures:
        if example.image_id in seen:
            continue
        if example.regions is None or example.regions.features is None:
            raise ValueError(
                f"example {example.id!r} has no region features; pass pictures of a data set that has them, "
                "for instance value_nb.load_dataset('mini-flickr30k', 'train')"
            )
        seen.add(example.image_id)
        data.add(f"{example.dataset} ({example.split})")
        sums.append(np.asarray(example.regions.features, dtype=np.float64).sum(axis=0))
        n += len(example.regions)
    if not n:
        raise ValueError("no regions came to take the mean of; pass pictures with regions")
    region = Regions(
        boxes=np.array([WHOLE_PICTURE], dtype=np.float32),
        features=(np.sum(sums, axis=0) / n)[None].astype(np.float32),
        names=(MEAN_REGION,),
        sources=("detected",),
    )
    return region, n, " and ".join(sorted(data))


def _in_its_place(model: VLModel, pictures: Iterable[Example] | None) -> tuple[Regions | None, str]:
    """The mean region for a two-stream model that was given pictures, and what there is to say of it."""
    if not _two_streams(model):
        return None, NOT_NEEDED.format(model=model.name)
    if pictures is None:
        return None, NOT_GIVEN
    region, n, data = _mean_region(pictures)
    return region, IN_ITS_PLACE.format(n=n, data=data)


def _two_streams(model: VLModel) -> bool:
    return not model.joint and any("text->image" in names for names in model.directions.values())


def _how(model: VLModel) -> str:
    if _two_streams(model):
        return CLOSED
    return MASKED if model.joint else TEXT_ONLY


def _loaded(
    tasks: Sequence[str] | Mapping[str, Sequence[Example]] | None,
    root: Path | str | None,
    limit: int | Mapping[str, int] | None,
) -> Iterator[tuple[str, Sequence[Example]]]:
    """(short name, sentences) of each task, loaded one at a time."""
    named = linguistic_tasks() if tasks is None else tasks
    if isinstance(named, str):
        raise ValueError(f"tasks={named!r}; expected a list of names, for instance [{named!r}]")
    short = [name.rpartition("/")[2] for name in named]
    if not short or len(set(short)) < len(short):
        raise ValueError(f"tasks {list(named)} came; expected one or more of different names")
    if isinstance(named, Mapping):
        if root is not None or limit is not None:
            raise ValueError("root and limit are for tasks that are named; these bring their sentences")
        yield from zip(short, named.values(), strict=True)
        return
    for key, name in zip(short, named, strict=True):
        yield key, load_splits(name, root, limit)


def _joined(closed: Result, seeing: Result) -> Result:
    """Both variants in one table; what no model has a part in (baselines) stands there once."""
    import pandas as pd

    rows = seeing.select(control="none")
    own = rows[rows["group"].isin(["[CLS]", "mean", "heads"])]
    frame = pd.concat([closed.frame, own.assign(control=MEAN_REGION)], ignore_index=True)
    return Result(closed.probe, frame, closed.meta, closed.reason)


def _noted(result: Result, notes: Mapping[str, str], left_out: Sequence[str]) -> Result:
    """The result with more said about how its conditions were made."""
    meta = result.meta
    meta["control_notes"] = {**meta["control_notes"], **notes}
    meta["controls_left_out"] = [*meta["controls_left_out"], *left_out]
    return Result(result.probe, result.frame, meta, result.reason)
