"""What enters the encoder: word pieces, and regions as UNITER, LXMERT and ViLBERT embed them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from value_nb.models.config import EncoderConfig


class TextEmbedding(nn.Module):
    """Norm of word + position + token type; positions are 0, 1, 2, ... whatever is padded."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.text_width)
        self.position = nn.Embedding(config.max_positions, config.text_width)
        self.token_type = nn.Embedding(config.type_vocab_size, config.text_width)
        self.norm = nn.LayerNorm(config.text_width, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """`(example, position)` ids -> `(example, position, text width)`."""
        length, most = input_ids.shape[1], self.position.num_embeddings
        if length > most:
            raise ValueError(f"{length} text positions; this model knows {most}")
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        places = torch.arange(length, device=input_ids.device)
        return self.dropout(self.norm(self.word(input_ids) + self.position(places) + self.token_type(types)))


class ImageEmbedding(nn.Module):
    """A region's features and location in one vector.

    uniter: norm( norm(features) + norm(location) + text token type 1 )
    lxmert: mean of norm(features) and norm(location)
    vilbert: norm( features + location )
    where features and location have each gone through a linear map.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, eps = config.image_width, config.norm_eps
        self.kind = config.image_embedding
        self.feature = nn.Linear(config.feature_size, width)
        self.location = nn.Linear(config.location_size, width)
        if self.kind in ("uniter", "lxmert"):
            self.feature_norm = nn.LayerNorm(width, eps=eps)
            self.location_norm = nn.LayerNorm(width, eps=eps)
        if self.kind in ("uniter", "vilbert"):
            self.norm = nn.LayerNorm(width, eps=eps)
        self.mask = nn.Embedding(2, config.feature_size) if config.mask_embedding else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, features: Tensor, locations: Tensor, token_type: Tensor, region_mask: Tensor | None
    ) -> Tensor:
        """`(example, region, feature)` and `(example, region, 4 | 5 | 7)` -> `(example, region, width)`.

        `token_type`: `(width,)`, the row that UNITER adds. `region_mask`: `(example, region)` bool, True
        where the features are hidden (set to zero, plus UNITER's mask row); None hides nothing.
        """
        if region_mask is not None:
            features = self._hide(features, region_mask)
        feature, location = self.feature(features), self.location(locations)
        if self.kind == "vilbert":
            return self.dropout(self.norm(feature + location))
        feature, location = self.feature_norm(feature), self.location_norm(location)
        if self.kind == "lxmert":
            return self.dropout((feature + location) / 2)
        return self.dropout(self.norm(feature + location + token_type))

    def _hide(self, features: Tensor, region_mask: Tensor) -> Tensor:
        features = features.masked_fill(region_mask.bool().unsqueeze(-1), 0.0)
        if self.mask is None:
            return features
        return features + self.mask.weight[1] * region_mask.unsqueeze(-1).to(features.dtype)
