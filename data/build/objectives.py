"""What pre-training asks of a model: hidden words, hidden regions, and whether caption and picture match.

Everything comes out of one forward pass. Matching is asked of all pairs, with words and regions hidden in
both kinds; hidden words and regions only where the picture is the caption's own, as LXMERT does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from data.build.batches import PictureBatch, TextBatch
from data.build.masking import IGNORE
from value_nb.models.gated_encoder import GatedModel

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class FeatureScale:
    """Mean and spread of the features of all regions, `(feature,)`."""

    mean: Tensor
    spread: Tensor

    @classmethod
    def of(cls, features: np.ndarray) -> FeatureScale:
        """Measure `(image, region, feature)`; a feature that hardly varies is not blown up."""
        flat = features.reshape(-1, features.shape[-1]).astype(np.float32)
        spread = np.maximum(flat.std(axis=0), 0.01 * flat.std() + 1e-6)
        return cls(torch.from_numpy(flat.mean(axis=0)), torch.from_numpy(spread))

    def standard(self, features: Tensor) -> Tensor:
        """`(..., feature)` with mean 0 and spread 1."""
        return (features - self.mean) / self.spread


def text_losses(model: Any, text: TextBatch) -> Losses:
    """Cross-entropy of the hidden pieces, nats: {"words"} of a BertForMaskedLM."""
    states = model.bert(input_ids=text.input_ids, attention_mask=text.text_mask.long()).last_hidden_state
    asked = text.word_target != IGNORE
    return {"words": functional.cross_entropy(model.cls(states[asked]), text.word_target[asked])}


def pair_losses(model: GatedModel, text: TextBatch, picture: PictureBatch, scale: FeatureScale) -> Losses:
    """Losses of a gated model, each to be added with weight 1.

    words
        Cross-entropy of the hidden pieces, nats.
    matching
        Cross-entropy of the two answers, nats (0.69 where nothing is known); pairs that match and pairs that
        do not have the same weight together, however many there are of each.
    class
        Cross-entropy of the detector's most likely class of a hidden region, nats.
    feature
        Mean squared error of a hidden region's features, each standardised (1 where nothing is known).
    """
    words, image, pooled = model(
        text.input_ids,
        text.text_mask,
        picture.features,
        picture.locations,
        picture.image_mask,
        region_mask=picture.region_mask,
    )
    asked = (text.word_target != IGNORE) & picture.matched[:, None]
    losses = {
        "words": functional.cross_entropy(model.masked_word_logits(words[asked]), text.word_target[asked]),
        "matching": _matching_loss(model, pooled, picture),
    }
    return losses | _region_losses(model, image, picture, scale)


def matching_target(model: GatedModel, picture: PictureBatch) -> Tensor:
    """`(example,)` index of the right answer, in the family's order of answers."""
    index = model.config.match_index
    return torch.where(picture.matched, index, 1 - index)


def _matching_loss(model: GatedModel, pooled: dict[str, Tensor], picture: PictureBatch) -> Tensor:
    target = matching_target(model, picture)
    count = torch.bincount(target, minlength=2).clamp(min=1)
    return functional.cross_entropy(model.matching_logits(pooled), target, weight=1.0 / count)


def _region_losses(model: GatedModel, image: Tensor, picture: PictureBatch, scale: FeatureScale) -> Losses:
    asked = picture.region_mask & picture.matched[:, None]
    if not bool(asked.any()):
        return {}
    out = model.masked_region_outputs(image[asked])
    losses = {"class": functional.cross_entropy(out["class"], picture.region_class[asked])}
    if "feature" in out:
        target = scale.standard(picture.region_feature[asked])
        losses["feature"] = functional.mse_loss(out["feature"], target)
    return losses
