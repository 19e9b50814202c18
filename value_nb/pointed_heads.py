"""The heads that a probe points at, in order of rank: what is switched off in a causal check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from value_nb import coreference_heads, crossmodal, importance

Head = tuple[str, int, int]  # as in `value_nb.ablation`, which loads torch

if TYPE_CHECKING:
    import pandas as pd

    from value_nb.result import Result

TO_IMAGE = "text->image"
ON_CHOICE = "hit_rate_on_choice"


@dataclass(frozen=True, slots=True)
class PointedHeads(Sequence[Head]):
    """Heads in order of rank, and where the ranking comes from. A sequence of (stack, layer, head).

    Attributes
    ----------
    heads, scores
        (stack, layer, head), best first, and the number that each is ranked by.
    direction
        The block that the probe looked at; None where it is not one block.
    probe, measure
        Whose measure ranks them.
    model, data, split, n_images
        Where it was measured.
    reason
        Why there is no ranking; then there are no heads.
    """

    heads: tuple[Head, ...]
    scores: tuple[float, ...] = ()
    direction: str | None = None
    probe: str = ""
    measure: str = ""
    model: str = ""
    data: str = ""
    split: str = ""
    n_images: int = 0
    reason: str | None = None

    def __len__(self) -> int:
        return len(self.heads)

    def __iter__(self) -> Iterator[Head]:
        return iter(self.heads)

    @overload
    def __getitem__(self, index: int) -> Head: ...

    @overload
    def __getitem__(self, index: slice) -> PointedHeads: ...

    def __getitem__(self, index: int | slice) -> Head | PointedHeads:
        """One head, or a part of the ranking (or the ranking upside down) that knows where it is from."""
        if isinstance(index, slice):
            return replace(self, heads=self.heads[index], scores=self.scores[index])
        return self.heads[index]

    @property
    def said(self) -> str:
        """What they are ranked by, in words."""
        measure = "hit rate" if self.measure == ON_CHOICE else self.measure.replace("_", " ")
        return f"{measure} of {self.probe.replace('_', ' ')}"

    @property
    def table(self) -> pd.DataFrame:
        """Rank, stack, layer, head and score."""
        import pandas as pd

        rows = [
            (k + 1, *head, score) for k, (head, score) in enumerate(zip(self.heads, self.scores, strict=True))
        ]
        return pd.DataFrame(rows, columns=["rank", "stack", "layer", "head", self.measure or "score"])


def pointed_heads(result: Result, direction: str | None = None, measure: str | None = None) -> PointedHeads:
    """Rank all heads by what a probe found of them, highest first.

    Parameters
    ----------
    result
        Of `CoreferenceAttention` (measure "hit_rate_on_choice": of the pictures that choose heads, so the
        validation split where it was swept with another one), of `CrossModalHeads` ("mass_minus_expected"
        without specials; sweep it over the validation split) or of `ModalityImportance`
        ("cls_mass_per_position": heads in which [CLS] gives most to the image).
    direction
        "text->image" when None: where the picture enters the text. "image->text" is the other one. Not for
        `ModalityImportance`, whose [CLS] looks at everything.
    measure
        Another measure of single heads of that probe; None: the one named above.

    Returns
    -------
    The ranking; without heads and with a `reason` where the probe is not defined for the model.

    Raises
    ------
    ValueError
        For a result of another probe, and for a direction or measure that it does not have.
    """
    if result.probe not in READERS:
        raise ValueError(f"{result.probe!r} does not rank heads; probes that do: {', '.join(READERS)}")
    reader, usual = READERS[result.probe]
    if direction is not None and result.probe == importance.PROBE:
        raise ValueError(
            f"direction={direction!r}; [CLS] looks at all positions at once, leave direction out"
        )
    at = None if result.probe == importance.PROBE else direction or TO_IMAGE
    named = measure or usual
    about: dict[str, Any] = {"direction": at, "probe": result.probe, "measure": named}
    about["model"] = str(result.meta["model"])
    if why := NOTHING[result.probe](result):
        return PointedHeads((), reason=why, **about)
    rows = reader(result, named, at)
    rows = rows[rows["head"].notna() & rows["value"].notna() & (rows["control"] == "none")]
    ranked = rows.sort_values("value", ascending=False, kind="stable")
    return PointedHeads(
        heads=tuple((str(r["stack"]), int(r["layer"]), int(r["head"])) for _, r in ranked.iterrows()),
        scores=tuple(ranked["value"].astype(float)),
        data=str(result.meta["data"]),
        split="+".join(sorted(set(rows["split"]))),
        n_images=int(rows["n_images"].max()) if len(rows) else 0,
        **about,
    )


def _coreference(result: Result, measure: str, direction: str | None) -> pd.DataFrame:
    return result.select(measure=measure, direction=direction, group=coreference_heads.ALL)


def _cross_modal(result: Result, measure: str, direction: str | None) -> pd.DataFrame:
    return crossmodal.heads(result, measure, str(direction), "excluded")


def _importance(result: Result, measure: str, direction: str | None) -> pd.DataFrame:
    return importance.rows(result, measure, "excluded", "image")


READERS = {
    coreference_heads.PROBE: (_coreference, ON_CHOICE),
    crossmodal.PROBE: (_cross_modal, "mass_minus_expected"),
    importance.PROBE: (_importance, "cls_mass_per_position"),
}
"""Probe -> what reads its rows, and the measure that ranks heads."""
NOTHING = {
    coreference_heads.PROBE: coreference_heads.nothing,
    crossmodal.PROBE: crossmodal.nothing,
    importance.PROBE: importance.nothing,
}
