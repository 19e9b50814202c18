"""ViLT, which reads patches of the picture, no region features: transformers' models, looked into by hooks.

Two things of transformers' ViLT are undone here. It shuffles the patches in every forward, in evaluation too;
and it draws a new sample of them each time where the config asks for at most so many. So the patches are
embedded first, put back in order (row by row from the top left), and handed to the model as embeddings: the
layout is known before the run, and two runs give the same. Attention does not know of order, so nothing else
changes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from transformers import ViltConfig, ViltForImageAndTextRetrieval, ViltForMaskedLM, ViltModel

from value_nb import seeds
from value_nb.data.example import Example
from value_nb.data.grid_boxes import PATCH, grid_boxes, grid_names
from value_nb.data.pictures import read_picture
from value_nb.layout import Layout, PositionClass, StreamLayout
from value_nb.models.base import Batch, Outputs, VLModel, as_examples, text_inputs
from value_nb.models.checkpoint import read_checkpoint
from value_nb.models.gated_encoder import initialise
from value_nb.models.gates import DIRECTIONS
from value_nb.models.joint_hooks import STACK, Asked, AttentionSite, JointListener, tell
from value_nb.models.json_files import read_json
from value_nb.models.keys import canonical
from value_nb.models.patches import patch_shares, with_patch_regions
from value_nb.models.publish import LayerHeadMask, OnContext, OnLayer, check_direction, spread_head_mask
from value_nb.models.words import WordPieces

CLASSES: dict[str, type[nn.Module]] = {
    one.__name__: one for one in (ViltForMaskedLM, ViltForImageAndTextRetrieval, ViltModel)
}
"""`architectures` of a config.json -> what is built. Others (question answering) lose their head."""
PICTURES = "preprocessor_config.json"
SETTINGS = ("size", "size_divisor", "resample", "do_rescale", "rescale_factor", "do_normalize", "image_mean",
            "image_std")  # fmt: skip
"""What that file says of pictures; they are always resized and padded, since patches have to fit."""
UNUSED = "text_embeddings.position_ids"
ALL_PATCHES = -1


class ViltVL(VLModel):
    """ViLT: one stream of text, [IMG] (the image's summary position) and the patches of the picture.

    The picture itself is read, from `Example.image`. Regions are what probes speak of: attention and states
    of a region are pooled from its patches by area of overlap (`patch_shares`). An example with a picture
    and without regions gets the patches as its regions. Without picture and regions it is text only: no
    image position at all, which is exact.

    States are those of the residual stream after each layer, before the model's last norm, so that the last
    layer compares with the others; the heads apply that norm themselves.

    The config's `architectures` says which head there is: ViltForMaskedLM fills in words,
    ViltForImageAndTextRetrieval ranks pairs of caption and picture (`matching` is its sigmoid: read its
    order), ViltModel has none.

    Raises
    ------
    ValueError
        For a tokenizer with more pieces than the model has rows, and for a picture preparation whose sizes
        are no multiples of the patch.
    """

    module: Any
    picture_input = "pixels"

    def __init__(
        self,
        module: Any,
        words: WordPieces,
        name: str,
        weights: str,
        card: dict[str, Any] | None = None,
    ) -> None:
        self._config = described(module.config, type(module).__name__)
        config = self._config
        if words.vocab_size > config.vocab_size:
            raise ValueError(
                f"the tokenizer has {words.vocab_size} pieces, the model {config.vocab_size} rows for them"
            )
        self.pictures = picture_processor(config)
        self.module, self.words = module.eval(), words
        self.name, self.family, self.weights, self.card = name, "vilt", weights, card or {}
        self.stacks, self.joint = {STACK: int(config.num_hidden_layers)}, True
        self.directions = {STACK: DIRECTIONS}
        self.widths = dict.fromkeys(("text", "image"), int(config.hidden_size))
        self.max_positions = int(config.max_position_embeddings)

    @property
    def config(self) -> ViltConfig:
        """transformers' config, with `word_head`, `matching_head` and `pictures` (see `described`)."""
        return self._config

    @property
    def backbone(self) -> Any:
        """The model without its head."""
        return self.module if isinstance(self.module, ViltModel) else self.module.vilt

    def heads(self, stack: str, direction: str | None = None) -> int:
        """Heads of a layer."""
        if stack not in self.stacks:
            raise ValueError(f"stack is {stack!r}; this model has {STACK!r}")
        if direction is not None:
            check_direction(direction, self.directions)
        return int(self.config.num_attention_heads)

    def prepare(self, examples: Example | Sequence[Example]) -> Batch:
        """Pieces, pixels and layout; see `VLModel.prepare`.

        ValueError where a picture is not on this machine or cannot be cut into patches; it names the file.
        """
        examples = as_examples(examples)
        inputs, text = text_inputs(self.words, examples, self.max_positions, self.device)
        pictured = [index for index, example in enumerate(examples) if _sees(example)]
        grids: dict[int, Grid] = {}
        if pictured:
            pixels = self._pixels([examples[index] for index in pictured])
            inputs |= {name: pixels[name].to(self.device) for name in ("pixel_values", "pixel_mask")}
            inputs["pixel_values"] = inputs["pixel_values"].to(self.dtype)
            grids = {
                index: self._grid(examples[index], mask)
                for index, mask in zip(pictured, pixels["pixel_mask"], strict=True)
            }
        named = tuple(
            with_patch_regions(e, grids[i].rows, grids[i].columns, grids[i].kept) if i in grids else e
            for i, e in enumerate(examples)
        )
        own = [examples[i] is not named[i] for i in range(len(named))]
        image = self._image_layout(named, grids, own)
        kept = torch.zeros(image.position_class.shape[0], max(0, image.position_class.shape[1] - 1)).long()
        for index, grid in grids.items():
            kept[index, : len(grid.kept)] = torch.from_numpy(grid.kept)
        inputs |= {"patches": kept.to(self.device), "image_mask": image.valid.long()}
        return Batch(inputs, Layout(named, {"text": text, "image": image}))

    def _pixels(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """pixel_values `(picture, colour, row, column)` and pixel_mask `(picture, row, column)`."""
        pictures = [read_picture(Path(str(example.image))) for example in examples]
        try:
            return dict(self.pictures(pictures, return_tensors="pt"))
        except ValueError as problem:  # a side of 0 pixels, once scaled to whole patches
            longest = int(np.argmax([max(one.size) / min(one.size) for one in pictures]))
            width, height = pictures[longest].size
            raise ValueError(
                f"{examples[longest].image} ({width} x {height} pixels) cannot be cut into patches: scaled "
                f"to what {self.name} takes, a side has less than {self.pictures.size_divisor} pixels. Cut "
                "it to a less narrow shape"
            ) from problem

    def _grid(self, example: Example, mask: Tensor) -> Grid:
        """The patches of one picture, of which the model looks at all, or at a sample by picture."""
        side, most = int(self.config.patch_size), int(self.config.max_image_length)
        rows, columns = int(mask.any(1).sum()) // side, int(mask.any(0).sum()) // side
        kept = np.arange(rows * columns)
        if 0 <= most < len(kept):
            order = seeds.uniforms(example.image_id, 0, len(kept), purpose="patches").argsort()
            kept = np.sort(order[:most])
        return Grid(rows, columns, kept)

    def _image_layout(
        self, examples: Sequence[Example], grids: dict[int, Grid], own: Sequence[bool]
    ) -> StreamLayout:
        """[IMG], then the patches; nothing for an example without a picture.

        `own` says where the regions are the patches themselves.
        """
        n = 1 + max((len(grid.kept) for grid in grids.values()), default=-1)
        classes = np.full((len(examples), n), int(PositionClass.PAD))
        unit, boxes = np.full(classes.shape, -1), np.full((*classes.shape, 4), np.nan, dtype=np.float32)
        for index, grid in grids.items():
            here = slice(1, 1 + len(grid.kept))
            classes[index, 0], classes[index, here] = PositionClass.SPECIAL, PositionClass.IMAGE
            boxes[index, here], unit[index, here] = grid.boxes, np.arange(len(grid.kept))
        shares, loose = None, None
        if not all(own[index] for index in grids):
            shares, loose = _divided(examples, grids, own, unit)
        tensors = (None if x is None else torch.from_numpy(x).to(self.device) for x in (shares, loose, boxes))
        return StreamLayout(
            torch.from_numpy(classes).to(self.device),
            torch.from_numpy(unit).to(self.device),
            tuple(grids[i].tokens if i in grids else () for i in range(len(examples))),
            *tensors,
        )

    def with_random_weights(self, seed: int) -> ViltVL:
        """Return the same architecture with fresh weights; see `VLModel.with_random_weights`."""
        module = build(copy.deepcopy(self.config), seed).to(device=self.device, dtype=self.dtype)
        return ViltVL(module, self.words, self.name, f"random:{seed}")

    @torch.no_grad()
    def run(
        self,
        batch: Batch,
        on_layer: OnLayer | None = None,
        head_mask: LayerHeadMask | None = None,
        closed: Sequence[str] = (),
        on_context: OnContext | None = None,
    ) -> Outputs:
        """Run a batch; see `VLModel.run`."""
        for direction in closed:
            check_direction(direction, self.directions)
        spread = spread_head_mask(head_mask or {}, self.stacks, self.directions, self.heads)
        factors = {(layer, direction): given for (_, layer, direction), given in spread.items()}
        asked = Asked(batch.layout, factors, frozenset(closed), on_layer, on_context)
        model, last = self.backbone, list[Tensor]()
        with ExitStack() as hooks:
            hooks.callback(
                model.embeddings.register_forward_hook(lambda _m, _a, out: tell(asked, 0, out[0], {})).remove
            )
            for number, layer in enumerate(model.encoder.layer, start=1):
                JointListener(number, asked).attach(hooks, _site(layer))
            hooks.callback(
                model.encoder.register_forward_hook(lambda _m, _a, out: last.append(out[0])).remove
            )
            out = model(
                input_ids=batch.inputs["input_ids"],
                attention_mask=batch.inputs["text_mask"],
                image_embeds=self._embedded(batch),
                pixel_mask=batch.inputs["image_mask"],
            )
        hidden = {stream: last[0][:, where] for stream, where in asked.cut.items()}
        return Outputs(hidden, {"fused": out.pooler_output}, batch.layout)

    def _embedded(self, batch: Batch) -> Tensor:
        """`(example, position, width)` embeddings of [IMG] and of the patches in order."""
        classes, inputs = batch.layout.streams["image"].position_class, batch.inputs
        shape = (*classes.shape, int(self.config.hidden_size))
        embedded = torch.zeros(shape, dtype=self.dtype, device=self.device)
        if "pixel_values" not in inputs:
            return embedded
        with torch.random.fork_rng(devices=[]):  # the patches are shuffled, which is undone below
            states, mask, (index, (_, columns)) = self.backbone.embeddings.visual_embed(
                inputs["pixel_values"], inputs["pixel_mask"], max_image_length=ALL_PATCHES
            )
        place = index[..., 0] * columns + index[..., 1]
        behind = (mask[:, 1:] == 0) * (int(place.max()) + 1)
        order = (place + behind).argsort(dim=1)
        pictured = classes[:, 0] == PositionClass.SPECIAL
        chosen = order.gather(1, inputs["patches"][pictured])
        patches = states[:, 1:].gather(1, chosen[..., None].expand(-1, -1, states.shape[2]))
        embedded[pictured] = torch.cat([states[:, :1], patches], dim=1)
        return embedded

    @torch.no_grad()
    def _matching_logits(self, outputs: Outputs) -> Tensor:
        if not self.config.matching_head:
            raise ValueError(
                f"{self.name} has no matching head: it is a {type(self.module).__name__}; load a checkpoint "
                f"whose config.json names {ViltForImageAndTextRetrieval.__name__}"
            )
        return self.module.rank_output(outputs.pooled["fused"])[:, 0]

    def _word_logits(self, text_states: Tensor) -> Tensor:
        if not self.config.word_head:
            raise ValueError(
                f"{self.name} has no word head: it is a {type(self.module).__name__}; load a checkpoint "
                f"whose config.json names {ViltForMaskedLM.__name__}"
            )
        return self.module.mlm_score(self.backbone.layernorm(text_states))


@dataclass(frozen=True, slots=True)
class Grid:
    """The patches of one picture: rows and columns, and which of them the model looks at, row by row."""

    rows: int
    columns: int
    kept: np.ndarray

    @property
    def boxes(self) -> np.ndarray:
        """`(patch, 4)` as fractions of the picture: it is scaled to whole patches, and nothing cut off."""
        return grid_boxes(self.rows, self.columns)[self.kept]

    @property
    def tokens(self) -> tuple[str, ...]:
        """[IMG], and "patch 3,4": row and column from 0."""
        names = grid_names(self.rows, self.columns, PATCH)
        return ("[IMG]", *(names[index] for index in self.kept))


def _divided(
    examples: Sequence[Example], grids: dict[int, Grid], own: Sequence[bool], unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`shares` and `loose` of a layout; `unit` is filled in where the regions are not the patches."""
    units = max(len(examples[index].regions or ()) for index in grids)
    shares = np.zeros((*unit.shape, units), dtype=np.float32)
    loose = np.zeros(unit.shape, dtype=np.float32)
    for index, grid in grids.items():
        here, regions = slice(1, 1 + len(grid.kept)), examples[index].regions
        loose[index, 0] = 1.0
        if own[index] or regions is None:
            shares[index, here, : len(grid.kept)] = np.eye(len(grid.kept))
        else:
            found = patch_shares(grid.boxes, regions.boxes)
            unit[index, here], loose[index, here] = found.unit, found.loose
            shares[index, here, : len(regions)] = found.shares
    return shares, loose


def _sees(example: Example) -> bool:
    """Whether there is a picture to read; ValueError where there are regions and no picture."""
    if example.image is not None:
        return True
    if example.regions is not None and len(example.regions):
        raise ValueError(
            f"the picture of example {example.id!r} (image {example.image_id!r}) is not on this machine, and "
            "ViLT reads pixels: get the pictures, or choose a split that has them (the miniature has those "
            "of 'val' and 'test'). For the text alone take the regions away, too"
        )
    return False


def _site(layer: nn.Module) -> AttentionSite:
    attention = layer.get_submodule("attention.attention")
    return AttentionSite(
        attention=attention,
        value=attention.get_submodule("value"),
        probabilities=attention.get_submodule("dropout"),
        sublayer=layer.get_submodule("attention"),
        layer=layer,
    )


def described(config: ViltConfig, architecture: str) -> ViltConfig:
    """A copy of a config that says more: `word_head` and `matching_head` (bool), `pictures` (settings).

    `pictures` are those of preprocessor_config.json where it was read, else ViLT's own: the shorter side is
    scaled to the config's image_size, both to whole patches, colours to -1 .. 1.
    """
    found = copy.deepcopy(config)
    found.architectures = [architecture]
    found.word_head = architecture == ViltForMaskedLM.__name__
    found.matching_head = architecture == ViltForImageAndTextRetrieval.__name__
    if not isinstance(found.image_size, int) or not isinstance(found.patch_size, int):
        raise ValueError(
            f"image_size {found.image_size} and patch_size {found.patch_size}; expected a single number each"
        )
    usual = {"size": {"shortest_edge": found.image_size}, "size_divisor": found.patch_size}
    found.pictures = dict(getattr(found, "pictures", None) or usual)
    return found


def picture_processor(config: ViltConfig) -> Any:
    """transformers' preparation of pictures as the config says, with Pillow on every machine.

    With torchvision installed the other one would scale pictures to slightly different colours. ValueError
    where sizes are no multiples of the patch: a patch would then lie half outside the picture.
    """
    kind = getattr(transformers, "ViltImageProcessorPil", None) or transformers.ViltImageProcessor
    processor = kind(**config.pictures, do_resize=True, do_pad=True)
    if processor.size_divisor % config.patch_size:
        raise ValueError(
            f"pictures are scaled to multiples of {processor.size_divisor} pixels (size_divisor) and patches "
            f"have {config.patch_size}; expected a multiple of it"
        )
    return processor


def architecture(config: ViltConfig) -> str:
    """Which of `CLASSES` a config names; "ViltModel" where it names another head, or nothing."""
    named = (config.architectures or [""])[0]
    return named if named in CLASSES else ViltModel.__name__


def read_config(directory: Path) -> ViltConfig:
    """config.json of a model directory, with the picture settings that lie beside it."""
    config = ViltConfig.from_pretrained(directory)
    values = read_json(Path(directory) / PICTURES)
    if values:
        config.pictures = {name: values[name] for name in SETTINGS if values.get(name) is not None}
    return described(config, architecture(config))


def build(config: ViltConfig, seed: int) -> nn.Module:
    """A ViLT with fresh weights, the same for the same seed; torch's global random state is untouched.

    The config's `architectures` says of which class, ViltModel where it does not.
    """
    module = _empty(described(config, architecture(config)))
    std = float(config.initializer_range)
    initialise(module, std, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    embeddings: Any = module.get_submodule(
        "embeddings" if isinstance(module, ViltModel) else "vilt.embeddings"
    )
    for parameter in (
        embeddings.cls_token, embeddings.position_embeddings, embeddings.patch_embeddings.projection.weight
    ):  # fmt: skip
        nn.init.normal_(parameter, 0.0, std, generator=generator)
    return module.eval()


def read(directory: Path) -> nn.Module:
    """Read a directory of the hub, in float32 whatever the file's dtype.

    A checkpoint with another head (question answering) is read without it, as a ViltModel. ValueError names
    every tensor of the model that the file lacks, and every backbone tensor left over.
    """
    config = read_config(directory)
    module = _empty(config)
    given = {canonical(key): tensor.float() for key, tensor in read_checkpoint(directory).items()}
    if isinstance(module, ViltModel):
        given = {key.removeprefix("vilt."): tensor for key, tensor in given.items()}
    if "mlm_score.bias" in given:  # files of older versions name the bias so
        given.setdefault("mlm_score.decoder.bias", given["mlm_score.bias"])
    wanted = [name for name, _ in module.named_parameters()]
    missing = [name for name in wanted if name not in given]
    backbone = ("embeddings.", "encoder.", "layernorm.", "pooler.")
    left_over = [
        n
        for n in given
        if n.removeprefix("vilt.").startswith(backbone) and not n.endswith(UNUSED) and n not in wanted
    ]
    if missing or left_over:
        raise ValueError(
            f"the weights in {directory} do not fit a {type(module).__name__} of its config; missing: "
            f"{', '.join(missing) or 'none'}; left over: {', '.join(left_over) or 'none'}"
        )
    module.load_state_dict({name: given[name] for name in wanted}, strict=False)
    return module.eval()


def _empty(config: ViltConfig) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return CLASSES[architecture(config)](config)
