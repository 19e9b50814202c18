"""Parity: looking into a model changes nothing, and it computes what transformers' own class computes.

vnb.parity(vnb.load_model("mini-lxmert"), data[:8])      # one row an output; every row says equal
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pandas as pd
import torch
from torch import Tensor

from value_nb.layout import LayerBatch
from value_nb.models.base import Batch, Outputs, VLModel, as_examples

if TYPE_CHECKING:
    from value_nb.data.example import Example

TRACED, TWIN, PUBLISHED = "traced run", "transformers", "last published states"
COLUMNS = ("what", "against", "largest difference", "tolerance", "equal")
EXACT = 0.0
"""Tracing runs the same operations on the same numbers: any difference is one too many."""
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 2e-1}
"""What another order of the same sums may change, by the type of number that the model computes in; states
and logits are of the order of 1 to 10."""

Found = dict[str, Tensor]


@runtime_checkable
class HasTwin(Protocol):
    """A model that knows how to run what it was made of without this kit."""

    def twin_outputs(self, batch: Batch) -> Found:
        """Outputs of the original class for a prepared batch, by the names that `parity` gives them.

        "text states" and "image states" `(example, position, width)`, "matching logit" `(example,)`, "word
        logits" `(example, position, vocabulary)`; those that it does not have are left out.
        """
        ...


def parity(model: VLModel, examples: Example | Sequence[Example]) -> pd.DataFrame:
    """Compare a model's outputs with those of the run that is looked into, and with those of its twin.

    In the traced run a listener is attached and all states and maps are published and kept, as `trace` and
    `sweep` do it. The twin is transformers' own class with the same weights: `LxmertForPreTraining` for a
    model that it can build, BERT's own forward pass without a hook, and for any other family what its
    `twin_outputs` says.

    Parameters
    ----------
    model
        From `load_model`.
    examples
        One or more; they are run as one batch, with padding.

    Returns
    -------
    One row for each output and comparison. `what`: "text states", "image states", "pooled NAME", "matching
    logit", "word logits". `against`: "traced run"; "last published states", which a listener was handed, for
    states; "transformers". `largest difference`: absolute, over all numbers (at valid positions for the twin,
    which may leave others in padding). `tolerance`: 0 for the traced run; what rounding may do for the twin.
    `equal`: whether the difference is within it; nan never is.

    Raises
    ------
    ValueError
        For no examples, and for examples that the model refuses.
    """
    batch = model.prepare(as_examples(examples))
    last: Found = {}
    kept: list[LayerBatch] = []

    def listen(layer: LayerBatch) -> None:
        kept.append(layer)
        last.update({f"{stream} states": states for stream, states in layer.hidden.items()})

    with torch.no_grad():
        plain = _outputs(model, model.run(batch))
        traced = _outputs(model, model.run(batch, listen))
        twin = _twin(model, batch)
    rows = [_row(what, TRACED, plain[what], traced.get(what), EXACT) for what in plain]
    rows += [_row(what, PUBLISHED, plain[what], last[what], EXACT) for what in plain if what in last]
    valid = {f"{name} states": stream.valid for name, stream in batch.layout.streams.items()}
    valid["word logits"] = valid["text states"]
    for what, theirs in twin.items():
        ours, mask = plain[what], valid.get(what)
        if mask is not None:
            ours, theirs = ours[mask], theirs[mask]
        rows.append(_row(what, TWIN, ours, theirs, ROUNDING[model.dtype]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _outputs(model: VLModel, outputs: Outputs) -> Found:
    """Everything that a run gives, heads included where the model has them."""
    found = {f"{stream} states": states for stream, states in outputs.hidden.items()}
    found |= {f"pooled {name}": values for name, values in outputs.pooled.items()}
    asked = {
        "matching logit": lambda: model._matching_logits(outputs),
        "word logits": lambda: model._word_logits(outputs.hidden["text"]),
    }
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except ValueError:  # it has no such head
            continue
    return found


def _row(what: str, against: str, ours: Tensor, theirs: Tensor | None, tolerance: float) -> dict[str, Any]:
    if theirs is None or ours.shape != theirs.shape:
        difference = float("nan")
    elif not ours.numel():
        difference = 0.0
    else:
        difference = float((ours.double() - theirs.double()).abs().max())
    return dict(zip(COLUMNS, (what, against, difference, tolerance, difference <= tolerance), strict=True))


def _twin(model: VLModel, batch: Batch) -> Found:
    """Outputs of transformers' class; none where there is no such class."""
    if isinstance(model, HasTwin):
        return model.twin_outputs(batch)
    if model.family == "bert":
        return _bert(model, batch)
    return _lxmert(model, batch)


def _bert(model: VLModel, batch: Batch) -> Found:
    """BERT is transformers' module already: its own forward pass, to which nothing is attached."""
    out = model.module(
        input_ids=batch.inputs["input_ids"],
        attention_mask=batch.inputs["text_mask"],
        output_hidden_states=True,
    )
    return {"text states": out.hidden_states[-1], "word logits": out.logits}


def _lxmert(model: VLModel, batch: Batch) -> Found:
    """A gated model's tensors in LxmertForPreTraining, where that computes the same."""
    from transformers import LxmertConfig, LxmertForPreTraining

    from value_nb.models import lxmert
    from value_nb.models.config import EncoderConfig
    from value_nb.models.files import family_of
    from value_nb.models.keys import from_engine

    config = model.config
    values = lxmert.to_transformers(config) if isinstance(config, EncoderConfig) else None
    if values is None or config.family != "lxmert":
        return {}
    with torch.random.fork_rng(devices=[]):
        theirs = LxmertForPreTraining(LxmertConfig(**values)).eval()
    state = from_engine(family_of(config), config, model.module.state_dict())
    missing = theirs.load_state_dict(state, strict=False).missing_keys
    if lacking := [name for name in missing if not name.startswith(TIED)]:
        raise ValueError(f"{model.name} has no tensors for {', '.join(lacking)} of LxmertForPreTraining")
    theirs.tie_weights()
    out = theirs.to(device=model.device, dtype=model.dtype).lxmert(**_for_lxmert(batch))
    return _lxmert_outputs(model, theirs, out)


TIED = ("cls.predictions.decoder.", "obj_predict_head.", "answer_head.")
"""Of LxmertForPreTraining: what is tied to the word embeddings, and heads that nothing here asks."""


def _for_lxmert(batch: Batch) -> dict[str, Tensor]:
    names = {"input_ids": "input_ids", "text_mask": "attention_mask", "features": "visual_feats",
             "locations": "visual_pos", "image_mask": "visual_attention_mask"}  # fmt: skip
    return {theirs: batch.inputs[ours] for ours, theirs in names.items()}


def _lxmert_outputs(model: VLModel, theirs: Any, out: Any) -> Found:
    found = {
        "text states": out.language_output,
        "image states": out.vision_output,
        "pooled fused": out.pooled_output,
    }
    words, matching = theirs.cls(out.language_output, out.pooled_output)
    if model.config.word_head:
        found["word logits"] = words
    if model.config.matching_head:
        found["matching logit"] = matching[:, 1] - matching[:, 0]  # index 1 means match
    return found
