"""A model as it is measured: what it says of hidden words and of matching, batch by batch."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from data.build.batches import dress
from data.build.training_corpus import PAD, TrainingCorpus
from value_nb.models.gated_encoder import GatedModel

SIZE = 128


class Predictor(Protocol):
    """What is measured."""

    sees_pictures: bool

    def words(self, corpus: TrainingCorpus, pieces: np.ndarray, images: np.ndarray) -> np.ndarray:
        """`(example, position)` pieces and `(example,)` pictures -> the most likely piece everywhere."""

    def matching(self, corpus: TrainingCorpus, pieces: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Score of each pair, `(example,)`: higher means that caption and picture match."""


class TextPredictor:
    """A BertForMaskedLM; it does not look at the pictures."""

    sees_pictures = False

    def __init__(self, module: Any) -> None:
        self.module = module.eval()

    @torch.no_grad()
    def words(self, corpus: TrainingCorpus, pieces: np.ndarray, images: np.ndarray) -> np.ndarray:
        """See `Predictor.words`."""
        found = []
        for start in range(0, len(pieces), SIZE):
            ids, mask = _text(pieces[start : start + SIZE])
            logits = self.module(input_ids=ids, attention_mask=mask.long()).logits
            found.append(logits.argmax(-1).numpy())
        return np.concatenate(found)

    def matching(self, corpus: TrainingCorpus, pieces: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Refused: ValueError."""
        raise ValueError("a model that sees no picture cannot tell whether caption and picture match")


class PairPredictor:
    """A gated model."""

    sees_pictures = True

    def __init__(self, module: GatedModel) -> None:
        self.module = module.eval()

    @torch.no_grad()
    def words(self, corpus: TrainingCorpus, pieces: np.ndarray, images: np.ndarray) -> np.ndarray:
        """See `Predictor.words`."""
        found = []
        for start in range(0, len(pieces), SIZE):
            text, _ = self._run(corpus, pieces[start : start + SIZE], images[start : start + SIZE])
            found.append(self.module.masked_word_logits(text).argmax(-1).numpy())
        return np.concatenate(found)

    @torch.no_grad()
    def matching(self, corpus: TrainingCorpus, pieces: np.ndarray, images: np.ndarray) -> np.ndarray:
        """See `Predictor.matching`: logit of match minus logit of no match."""
        index, found = self.module.config.match_index, []
        for start in range(0, len(pieces), SIZE):
            _, pooled = self._run(corpus, pieces[start : start + SIZE], images[start : start + SIZE])
            logits = self.module.matching_logits(pooled)
            found.append((logits[:, index] - logits[:, 1 - index]).double().numpy())
        return np.concatenate(found)

    def _run(
        self, corpus: TrainingCorpus, pieces: np.ndarray, images: np.ndarray
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        config, (ids, mask) = self.module.config, _text(pieces)
        nothing = np.zeros(corpus.region_class[images].shape, dtype=bool)
        picture = dress(
            corpus, images, nothing, np.ones(len(images), bool), config.location_size, config.global_row
        )
        text, _, pooled = self.module(ids, mask, picture.features, picture.locations, picture.image_mask)
        return text, pooled


def predictor(module: nn.Module) -> Predictor:
    """The predictor of a model."""
    return PairPredictor(module) if isinstance(module, GatedModel) else TextPredictor(module)


def _text(pieces: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.from_numpy(pieces.astype(np.int64))
    return ids, (ids != PAD).float()
