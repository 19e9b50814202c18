"""A model under training: what it is built from, its losses at a step, and how it is written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers.utils import logging as transformers_logging

from data.build import model_configs
from data.build.batches import PictureBatch, TextBatch, captions_of_step, picture_batch, text_batch
from data.build.detector import CLASS_NAMES
from data.build.masking import WordShares
from data.build.objectives import FeatureScale, Losses, pair_losses, text_losses
from data.build.training_corpus import TrainingCorpus
from value_nb.models import bert, files
from value_nb.models.gated_encoder import GatedModel


class Learner(Protocol):
    """What the training loop needs to know of a model."""

    module: nn.Module
    started_from: str
    shares: WordShares
    peak: float

    def losses(self, corpus: TrainingCorpus, size: int, seed: int, step: int) -> Losses:
        """Losses of a step's batch, with gradients."""

    def save(self, directory: Path) -> Path:
        """Write config and float16 weights."""


class TextLearner:
    """mini-bert: captions alone."""

    started_from = "random weights"
    shares = model_configs.SHARES
    peak = model_configs.PEAK

    def __init__(self, vocabulary: int, seed: int) -> None:
        self.vocabulary = vocabulary
        self.module: Any = bert.build(model_configs.bert_config(vocabulary), seed)
        self.module.set_attn_implementation("sdpa")

    def losses(self, corpus: TrainingCorpus, size: int, seed: int, step: int) -> Losses:
        """See `Learner.losses`."""
        captions = captions_of_step(len(corpus), size, seed, step)
        text = text_batch(corpus, captions, self.vocabulary, self.shares, seed, step)
        return text_losses(self.module, text)

    def save(self, directory: Path) -> Path:
        """See `Learner.save`."""
        transformers_logging.disable_progress_bar()
        copy.deepcopy(self.module).to(torch.float16).save_pretrained(directory)
        return directory


class PairLearner:
    """A gated model: captions and pictures.

    All start from random weights, mini-uniter too, although UNITER started from BERT: from a finished
    mini-bert it first learns to look away from the regions, which are noise to it, and had read no colour
    off a picture after 1,200 steps, when the one from random weights read a third of them.
    """

    started_from = "random weights"
    shares = model_configs.SHARES
    peak = model_configs.PEAK

    def __init__(self, name: str, corpus: TrainingCorpus, vocabulary: int, seed: int) -> None:
        config = model_configs.gated_config(name, vocabulary, corpus.features.shape[-1], len(CLASS_NAMES))
        self.vocabulary, self.scale = vocabulary, FeatureScale.of(corpus.features)
        self.module: GatedModel = files.build(config, seed)
        _centre(self.module, self.scale)

    def losses(self, corpus: TrainingCorpus, size: int, seed: int, step: int) -> Losses:
        """See `Learner.losses`."""
        return pair_losses(self.module, *self.batch(corpus, size, seed, step), self.scale)

    def batch(
        self, corpus: TrainingCorpus, size: int, seed: int, step: int
    ) -> tuple[TextBatch, PictureBatch]:
        """Captions and pictures of a step."""
        config = self.module.config
        captions = captions_of_step(len(corpus), size, seed, step)
        text = text_batch(corpus, captions, self.vocabulary, self.shares, seed, step)
        picture = picture_batch(corpus, captions, config.location_size, config.global_row, seed, step)
        return text, picture

    def save(self, directory: Path) -> Path:
        """See `Learner.save`."""
        return files.save_model(directory, self.module)


def _centre(module: GatedModel, scale: FeatureScale) -> None:
    """Start with the mean region at the origin: features have a large mean that says nothing."""
    feature = module.image_embedding.feature
    with torch.no_grad():
        feature.bias.copy_(-(feature.weight @ scale.mean))


def make(name: str, corpus: TrainingCorpus, tokenizer: Tokenizer, seed: int) -> Learner:
    """Build a model before its first step; ValueError for an unknown name."""
    vocabulary = tokenizer.get_vocab_size()
    if name not in model_configs.MODELS:
        raise ValueError(f"no model {name!r}; valid: {', '.join(model_configs.MODELS)}")
    if name == "mini-bert":
        return TextLearner(vocabulary, seed)
    return PairLearner(name, corpus, vocabulary, seed)
