"""One pass of a model over examples: every layer of every batch goes to the probes that asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from value_nb.ahead import ahead
from value_nb.batches import BatchSize, batches, settled
from value_nb.progress import bar as new_bar

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.layout import LayerBatch
    from value_nb.models.base import Batch, VLModel
    from value_nb.probes.base import Needs, Probe


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pass brought together.

    Attributes
    ----------
    probes
        The probes, having seen every example.
    n
        Examples.
    images, datasets, splits
        Which pictures, data sets and splits they are of.
    """

    probes: tuple[Probe, ...]
    n: int
    images: frozenset[str]
    datasets: frozenset[str]
    splits: frozenset[str]

    @property
    def n_images(self) -> int:
        """Different pictures."""
        return len(self.images)

    @property
    def data(self) -> str:
        """The data set; several are joined by "+"."""
        return "+".join(sorted(self.datasets))

    @property
    def split(self) -> str:
        """The split; several are joined by "+"."""
        return "+".join(sorted(self.splits))


def collect(
    model: VLModel,
    examples: Iterable[Example],
    probes: Sequence[Probe],
    batch_size: BatchSize = 32,
    progress: bool = False,
    label: str = "",
    bar: Any = None,
) -> Collected:
    """Run the model once over the examples and let the probes, which are changed, see what they need.

    `batch_size`: examples run at once, or "auto" (`value_nb.batches.settled`).

    Shards can be collected apart, on fresh copies of the same probes, and merged with `Probe.merge`; `bar` is
    then the one that all of them move on.
    """
    import torch

    total = len(examples) if isinstance(examples, Sequence) else None
    size, examples = settled(model, examples, batch_size)
    hand_out = Dispatcher(model, probes)
    seen, images = 0, set[str]()
    data, splits = set[str](), set[str]()
    said = f"{model.name} ({label or 'sweep'})"
    own = nullcontext(bar) if bar is not None else new_bar(label=said, total=total, progress=progress)
    with own as bar:
        for chunk, batch in _prepared(model, batches(examples, size), isinstance(examples, Sequence)):
            with torch.inference_mode():
                model.run(batch, on_layer=hand_out)
            seen += len(chunk)
            images.update(example.image_id for example in chunk)
            data.update(example.dataset for example in chunk)
            splits.update(example.split for example in chunk)
            bar.update(len(chunk))
    hand_out.settle()
    if not seen:
        raise ValueError("no examples came; check the data set and its limit")
    return Collected(tuple(probes), seen, frozenset(images), frozenset(data), frozenset(splits))


def _prepared(
    model: VLModel, chunks: Iterator[list[Example]], read_there: bool
) -> Iterator[tuple[list[Example], Batch]]:
    """Examples and the batch that they make, one ahead of what the model runs; a stream is read here."""
    import torch

    @torch.inference_mode()
    def made(chunk: list[Example]) -> tuple[list[Example], Batch]:
        return chunk, model.prepare(chunk)

    threads = torch.get_num_threads()  # a setting of each thread
    return ahead(chunks, made, partial(torch.set_num_threads, threads), read_there)


class Dispatcher:
    """Hands each probe the layers it needs, and of those only what it asked for."""

    def __init__(self, model: VLModel, probes: Sequence[Probe]) -> None:
        self.served = [(probe, _checked(probe, model)) for probe in probes]

    def __call__(self, batch: LayerBatch) -> None:
        """Serve one layer of one batch."""
        for probe, needs in self.served:
            if batch.stack not in needs.stacks:
                continue
            maps = {name: batch.attention[name] for name in batch.attention if name in needs.attention}
            if needs.hidden or maps:
                probe.update(replace(batch, hidden=batch.hidden if needs.hidden else {}, attention=maps))

    def settle(self) -> None:
        """The pass is over: the probes take in what still waits."""
        for probe, _ in self.served:
            probe.settle()


def _checked(probe: Probe, model: VLModel) -> Needs:
    needs = probe.needs(model)
    stacks = frozenset(model.stacks)
    directions = {direction for stack in needs.stacks & stacks for direction in model.directions[stack]}
    for kind, wanted, there in (
        ("stacks", needs.stacks, stacks),
        ("directions", needs.attention, directions),
    ):
        if not wanted <= there:
            raise ValueError(
                f"{probe.name} needs {kind} {sorted(wanted - there)}, which {model.name} lacks; "
                f"it has {sorted(there)}"
            )
    return needs
