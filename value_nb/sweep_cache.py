"""What is kept of sweeps: finished results, and the finished parts of one that was cut off."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from value_nb.provenance import light
from value_nb.shards import SHARD, Journal

if TYPE_CHECKING:
    from value_nb.cache.store import Store
    from value_nb.controls import Condition
    from value_nb.models.base import VLModel
    from value_nb.probes.base import Probe
    from value_nb.result import Result, Results

KIND = "sweep"


class Kept:
    """What the store holds of one sweep.

    Parameters
    ----------
    store, key
        Where, and under which name; None: nothing is looked for or kept.
    about
        What `cache_info` says of it.
    """

    def __init__(self, store: Store | None, key: str | None, about: Mapping[str, Any]) -> None:
        self.store, self.key, self.about = (store if key else None), key, dict(about)
        self._started = time.perf_counter()

    @classmethod
    def of(
        cls,
        wanted: bool,
        model: VLModel,
        examples: Any,
        probes: Sequence[Probe],
        plan: Mapping[Condition, Sequence[Probe]],
        skipped: Mapping[str, Sequence[str]],
        batch_size: int,
        seed: int,
        gate: Any,
    ) -> Self:
        """Of a sweep with these arguments; of none where `wanted` is False, or something has no key."""
        from value_nb.cache.remember import key_or_none
        from value_nb.cache.store import current
        from value_nb.models.base import VLModel

        wanted = wanted and isinstance(examples, Sequence) and len(examples) > 0
        store = current() if wanted and isinstance(model, VLModel) else None
        if store is None:
            return cls(None, None, {})
        about = {
            "kind": KIND,
            "model": model.name,
            "n": len(examples),
            "probe": ", ".join(p.name for p in probes),
        }
        about["data"] = "+".join(sorted({example.dataset for example in light(examples)}))
        conditions = [[condition, [probe.name for probe in asked]] for condition, asked in plan.items()]
        parts = [conditions, {k: list(v) for k, v in skipped.items()}, batch_size, seed, gate, SHARD]
        return cls(store, key_or_none(KIND, lambda: _parts(model, examples, probes, parts)), about)

    def results(self) -> Results | None:
        """The results that were kept; None where there are none."""
        if self.store is None or self.key is None:
            return None
        return self.store.get(self.key, _read)

    def journal(self) -> Journal:
        """Where finished parts are written, and read again when the sweep was cut off."""
        if self.store is None or self.key is None:
            return Journal(None)
        store, key, about = self.store, self.key, self.about
        return Journal(store.unfinished / key, make=lambda: store.work(key, about))

    def keep(self, results: Mapping[str, Result]) -> Results:
        """Keep finished results, for which parts are no longer needed; what comes back are the results."""
        from value_nb.cache.remember import described
        from value_nb.result import Results

        if self.store is not None and self.key is not None:
            told = described(KIND, self.about, time.perf_counter() - self._started)
            if self.store.keep(self.key, lambda folder: _write(folder, results), told):
                self.store.done(self.key)  # else they are all that is left of the work
        return Results(results)


def _parts(model: VLModel, examples: Any, probes: Sequence[Probe], parts: Sequence[Any]) -> list[Any]:
    from value_nb.cache import keys
    from value_nb.sweep import sweep

    pixels = getattr(model, "picture_input", "regions") == "pixels"
    asked = [keys.of_probe(probe) for probe in probes]
    return [keys.of_model(model), keys.of_examples(examples, pixels), asked, keys.of_code(sweep), *parts]


def _write(folder: Path, results: Mapping[str, Result]) -> None:
    for number, result in enumerate(results.values()):
        result.save(folder / f"{number:03d}")


def _read(folder: Path) -> Results:
    from value_nb.result import Results, load_result

    found = [load_result(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    return Results({result.probe: result for result in found})
