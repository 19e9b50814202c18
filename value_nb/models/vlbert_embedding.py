"""VL-BERT's embeddings (Su et al. 2020) as VOLTA has them: the picture enters every word piece, too.

In the original code what enters depends on the padding and on the other examples of the batch: the last row
of the padded batch goes to the text, and positions are shifted by the shortest caption. Here every example is
embedded as the original embeds it alone and unpadded, whatever batch it stands in: its last valid row, its
own length. So a batch gives what single runs give.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from value_nb.models.config import EncoderConfig
from value_nb.models.embeddings import EmbeddedPicture, ImageEmbedding, PictureInputs, TextEmbedding

IMAGE_TYPE = 2
"""Token type row of a region: 0 and 1 are the text's."""
PERCENT = 100.0  # boxes count in hundredths of the picture
LONGEST_WAVE = 1000.0


class VLBertImage(ImageEmbedding):
    """A region is an object: relu of a linear map of its coordinates and features, and a word that says so.

    object = relu( map[ coordinates ; features ] ); features that are all zero are a learned row
    region = the text's norm of ( norm(object) + word + position + token type 2 ), where the word is the one
    row of objects, of the last region the end row, and of a hidden region the mask row, if there is one;
    the position is the number of text positions, for the last region one more
    every word piece gets norm(object of the last region) before its norm

    The last region is the picture's global row where that comes last, else really a region. Where the text
    must not see the picture, or there is none, the pieces get the norm of a hidden object of the whole
    picture.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config, more_inputs=8 * config.coordinate_width)
        self.coordinate_width = config.coordinate_width
        self.object_word = nn.Embedding(1, config.image_width)
        self.end_word = nn.Embedding(1, config.image_width)
        self.mask_word = nn.Embedding(1, config.image_width) if config.mask_embedding else None
        self.mask_feature = nn.Embedding(1, config.feature_size)
        self.text_norm = nn.LayerNorm(config.image_width, eps=config.norm_eps)
        self.object_norm = nn.LayerNorm(config.image_width, eps=config.norm_eps)
        self.feature_dropout = nn.Dropout(config.attention_dropout)

    def forward(self, given: PictureInputs, text: TextEmbedding) -> EmbeddedPicture:
        """See `ImageEmbedding.forward`; ValueError where text and regions take too many positions."""
        features = self.seen_features(given)
        hidden = (features == 0).all(dim=-1, keepdim=True)
        objects = self._objects(torch.where(hidden, self.mask_feature.weight[0], features), given.locations)
        last = last_rows(given.valid)
        places = given.text_length[:, None] + last
        if places.numel() and int(places.max()) >= text.position.num_embeddings:
            raise ValueError(
                f"the regions' position is {int(places.max())}, behind the text's; this model knows "
                f"{text.position.num_embeddings} positions, so that a caption may take two fewer"
            )
        rows = self.object_norm(objects) + self._words(hidden, last)
        rows = rows + text.position(places) + text.token_type.weight[IMAGE_TYPE]
        to_text = self.text_norm(self._picture(objects, last, given.seen))
        return EmbeddedPicture(self.dropout(text.norm(rows)), to_text)

    def _objects(self, features: Tensor, locations: Tensor) -> Tensor:
        """`(..., feature)` and `(..., 4 or more)` -> `(..., width)`."""
        inputs = torch.cat([coordinates(locations[..., :4], self.coordinate_width), features], dim=-1)
        return torch.relu(self.feature(self.feature_dropout(inputs)))

    def _words(self, hidden: Tensor, last: Tensor) -> Tensor:
        """`(example, region, width)` word of each region."""
        word = self.object_word.weight[0]
        if self.mask_word is not None:
            word = torch.where(hidden, self.mask_word.weight[0], word)
        return torch.where(last.unsqueeze(-1), self.end_word.weight[0], word)

    def _picture(self, objects: Tensor, last: Tensor, seen: bool) -> Tensor:
        """`(example, 1, width)` object that the text gets."""
        chosen = torch.where(last.unsqueeze(-1), objects, 0.0).sum(dim=1, keepdim=True)
        whole = objects.new_tensor([0.0, 0.0, 1.0, 1.0])
        hidden = self._objects(self.mask_feature.weight[0], whole)
        return torch.where(last.any(dim=1)[:, None, None] & seen, chosen, hidden)


def last_rows(valid: Tensor) -> Tensor:
    """`(example, region)` bool: True on each example's last valid row; nowhere where it has none."""
    count = valid.sum(dim=1, keepdim=True)
    return torch.arange(valid.shape[1], device=valid.device)[None, :] == count - 1


def coordinates(boxes: Tensor, width: int) -> Tensor:
    """Sines and cosines of a box: `(..., 4)` fractions x1 y1 x2 y2 -> `(..., 8 * width)`.

    For each of centre x, centre y, width and height in hundredths of the picture: sin(c / 1000^(k / width))
    for k = 0, 1, ..., then the same cosines.
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    sizes = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=-1) * PERCENT
    waves = LONGEST_WAVE ** (torch.arange(width, dtype=boxes.dtype, device=boxes.device) / width)
    angles = sizes.unsqueeze(-1) / waves
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
