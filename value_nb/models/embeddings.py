"""What enters the encoder: word pieces, and what an image embedding (image_embeddings.py) is given and gives.

The picture goes first. It sees the text's tables, which some families share with it, and VL-BERT's says what
it adds to every word piece; then the text is embedded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from value_nb.models.config import EncoderConfig


class TextEmbedding(nn.Module):
    """Norm of word + position + token type; positions are 0, 1, 2, ... whatever is padded.

    ViLBERT's task row stands behind the first piece: its place in `input_ids` is index 1 (the id there is not
    read), it has neither position nor token type, and the pieces behind it keep the positions 1, 2, ...
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.text_width)
        self.position = nn.Embedding(config.max_positions, config.text_width)
        self.token_type = nn.Embedding(config.type_vocab_size, config.text_width)
        self.norm = nn.LayerNorm(config.text_width, eps=config.norm_eps)
        self.task = nn.Embedding(config.task_rows, config.text_width) if config.task_rows else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None,
        from_image: Tensor | None = None,
        task_ids: Tensor | None = None,
    ) -> Tensor:
        """`(example, position)` ids -> `(example, position, text width)`.

        `from_image`: `(example, 1, width)`, what the picture adds to every piece. `task_ids`: `(example,)`.
        """
        places = self._places(input_ids)
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        rows = self.word(input_ids) + self.position(places) + self.token_type(types)
        if from_image is not None:
            rows = rows + from_image
        if self.task is not None:
            rows = torch.cat([rows[:, :1], self._task_row(self.task, task_ids), rows[:, 2:]], dim=1)
        elif task_ids is not None:
            raise ValueError("task_ids are given, and this model has no task rows (config: task_rows 0)")
        return self.dropout(self.norm(rows))

    def _places(self, input_ids: Tensor) -> Tensor:
        """`(position,)`: 0, 1, 2, ...; with a task row 0, (0), 1, 2, ..."""
        shift, most = int(self.task is not None), self.position.num_embeddings
        length = input_ids.shape[1] - shift
        if length > most:
            raise ValueError(f"{length} text positions; this model knows {most}")
        return (torch.arange(input_ids.shape[1], device=input_ids.device) - shift).clamp_min(0)

    @staticmethod
    def _task_row(rows: nn.Embedding, task_ids: Tensor | None) -> Tensor:
        if task_ids is None:
            raise ValueError(f"this model has {rows.num_embeddings} task rows: pass task_ids")
        return rows(task_ids)[:, None]


@dataclass(frozen=True, slots=True)
class PictureInputs:
    """What an image embedding is given.

    Attributes
    ----------
    features, locations
        `(example, region, feature)`, `(example, region, location)`.
    valid
        `(example, region)` bool: False on padding.
    hidden
        `(example, region)` bool: regions whose features are hidden; None hides nothing.
    text_length
        `(example,)` number of valid text positions.
    seen
        False where the text must learn nothing from the picture.
    """

    features: Tensor
    locations: Tensor
    valid: Tensor
    hidden: Tensor | None
    text_length: Tensor
    seen: bool = True


class EmbeddedPicture(NamedTuple):
    """States `(example, region, width)`, and what every piece gets on top, `(example, 1, width)`, if any."""

    states: Tensor
    to_text: Tensor | None = None


class ImageEmbedding(nn.Module):
    """How regions enter: a linear map of their features, and what the family makes of it.

    `mask` is the row that is added to a hidden region's features (UNITER), where the config asks for it.
    """

    def __init__(self, config: EncoderConfig, more_inputs: int = 0) -> None:
        super().__init__()
        self.mask: nn.Embedding | None = None
        self.feature = nn.Linear(config.feature_size + more_inputs, config.image_width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, given: PictureInputs, text: TextEmbedding) -> EmbeddedPicture:
        """Embed the regions; `text` holds the tables that some families share."""
        raise NotImplementedError

    def seen_features(self, given: PictureInputs) -> Tensor:
        """Features with zeros (plus the mask row) where they are hidden; the argument is left as it is."""
        if given.hidden is None:
            return given.features
        features = given.features.masked_fill(given.hidden.bool().unsqueeze(-1), 0.0)
        if self.mask is None:
            return features
        return features + self.mask.weight[1] * given.hidden.unsqueeze(-1).to(features.dtype)
