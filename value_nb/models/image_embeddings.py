"""How each family embeds regions; VL-BERT's way is in vlbert_embedding.py."""

from __future__ import annotations

from torch import nn

from value_nb.models.config import EncoderConfig
from value_nb.models.embeddings import EmbeddedPicture, ImageEmbedding, PictureInputs, TextEmbedding
from value_nb.models.vlbert_embedding import VLBertImage

IMAGE_TYPE = 1
"""Token type row of a region."""


class UniterImage(ImageEmbedding):
    """Norm of norm(features) + norm(location) + the text's token type 1."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.location = nn.Linear(config.location_size, config.image_width)
        self.feature_norm = _norm(config)
        self.location_norm = _norm(config)
        self.norm = _norm(config)
        self.mask = _mask_row(config)

    def forward(self, given: PictureInputs, text: TextEmbedding) -> EmbeddedPicture:
        """See `ImageEmbedding.forward`."""
        feature = self.feature_norm(self.feature(self.seen_features(given)))
        location = self.location_norm(self.location(given.locations))
        row = text.token_type.weight[min(IMAGE_TYPE, text.token_type.num_embeddings - 1)]
        return EmbeddedPicture(self.dropout(self.norm(feature + location + row)))


class LxmertImage(ImageEmbedding):
    """Mean of norm(features) and norm(location)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.location = nn.Linear(config.location_size, config.image_width)
        self.feature_norm = _norm(config)
        self.location_norm = _norm(config)
        self.mask = _mask_row(config)

    def forward(self, given: PictureInputs, text: TextEmbedding) -> EmbeddedPicture:
        """See `ImageEmbedding.forward`."""
        feature = self.feature_norm(self.feature(self.seen_features(given)))
        location = self.location_norm(self.location(given.locations))
        return EmbeddedPicture(self.dropout((feature + location) / 2))


class VilbertImage(ImageEmbedding):
    """Norm of features + location."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.location = nn.Linear(config.location_size, config.image_width)
        self.norm = _norm(config)
        self.mask = _mask_row(config)

    def forward(self, given: PictureInputs, text: TextEmbedding) -> EmbeddedPicture:
        """See `ImageEmbedding.forward`."""
        feature, location = self.feature(self.seen_features(given)), self.location(given.locations)
        return EmbeddedPicture(self.dropout(self.norm(feature + location)))


class VisualBertImage(ImageEmbedding):
    """The text's norm of features + position 0 + token type 1, both rows of tables of its own.

    There is no location: the model knows nothing of boxes.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.position = nn.Embedding(config.max_positions, config.image_width)
        self.token_type = nn.Embedding(config.type_vocab_size, config.image_width)
        self.mask = _mask_row(config)

    def forward(self, given: PictureInputs, text: TextEmbedding) -> EmbeddedPicture:
        """See `ImageEmbedding.forward`."""
        row = self.position.weight[0] + self.token_type.weight[IMAGE_TYPE]
        return EmbeddedPicture(self.dropout(text.norm(self.feature(self.seen_features(given)) + row)))


KINDS: dict[str, type[ImageEmbedding]] = {
    "uniter": UniterImage,
    "lxmert": LxmertImage,
    "vilbert": VilbertImage,
    "visualbert": VisualBertImage,
    "vl-bert": VLBertImage,
}


def image_embedding(config: EncoderConfig) -> ImageEmbedding:
    """The image embedding that a config names."""
    return KINDS[config.image_embedding](config)


def _norm(config: EncoderConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.image_width, eps=config.norm_eps)


def _mask_row(config: EncoderConfig) -> nn.Embedding | None:
    return nn.Embedding(2, config.feature_size) if config.mask_embedding else None
