"""What a panel of results is handed, whichever way, as one result for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from value_nb.result import Result

Given = Result | Mapping[str, Result] | Sequence[Result]
"""One result, what `sweep` returned, or a list of results (one for each model)."""


def by_model(results: Given, probe: str, swept: str) -> dict[str, Result]:
    """The results of one probe by the name of their model.

    Parameters
    ----------
    results
        One result, what `sweep` returned, or a list of results.
    probe
        Name of the probe that they have to be of.
    swept
        What a cell types to sweep it, for the message: "FusionDegree()".

    Raises
    ------
    ValueError
        When no result came, or one of another probe.
    """
    if isinstance(results, Mapping):
        results = [results[probe]] if probe in results else list(results.values())
    listed = [results] if isinstance(results, Result) else list(results)
    if not listed:
        raise ValueError(f"no result came; pass what sweep returned for [{swept}]")
    for result in listed:
        if result.probe != probe:
            raise ValueError(f"a result of {result.probe!r} came; expected one of {probe!r}")
    return {str(result.meta["model"]): result for result in listed}
