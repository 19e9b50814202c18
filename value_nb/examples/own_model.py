"""A model of your own: its sizes, and where each tensor stands in its file.

The encoder is there already. Whatever is a UNITER, LXMERT, ViLBERT or VisualBERT at heart needs only this: an
`EncoderConfig`, and a table from the encoder's names to the names in your file. Copy this file and change the
two. What is no such model subclasses `value_nb.models.base.VLModel`, as `value_nb/models/vilt.py` does.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file

from value_nb.models.config import EncoderConfig
from value_nb.models.files import build
from value_nb.models.gated import GatedVL
from value_nb.models.gated_encoder import GatedModel
from value_nb.models.keys import Family, Names, from_engine, set_aside, to_engine
from value_nb.models.words import WordPieces

WEIGHTS = "mine.safetensors"
ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "out", "norm": "norm"}
FEED_FORWARD = {"up": "up", "down": "down", "norm": "norm"}


def names(config: EncoderConfig) -> Names:
    """Module of the encoder -> its name in the file; what is left out here is an error, not a guess."""
    found: Names = {
        "text_embedding.word": "words",
        "text_embedding.position": "places",
        "text_embedding.token_type": "kinds",
        "text_embedding.norm": "words_norm",
        "image_embedding.feature": "regions",
        "image_embedding.feature_norm": "regions_norm",
        "image_embedding.location": "boxes",
        "image_embedding.location_norm": "boxes_norm",
        "image_embedding.norm": "picture_norm",
        "image_embedding.mask": "hidden_region",
        "text_pooler": "summary",
        "matching_head": "match",
        "word_head": "guess",
        "word_head.dense": "guess_dense",
        "word_head.norm": "guess_norm",
    }
    for number, step in enumerate(config.build_gates().sublayers):
        for ours, theirs in (ATTENTION if step.directions else FEED_FORWARD).items():
            found[f"sublayers.{number}.shared.{ours}"] = f"block{number}.{theirs}"
    return found


FAMILY = Family("my model", "", names, prefixes=())


def load(directory: Path | str, random_weights: int | None = None) -> GatedVL:
    """Return the model: `vnb.load_model("my_module:load", checkpoint=DIRECTORY)` calls this, too."""
    directory = Path(directory)
    config, words = EncoderConfig.load(directory), WordPieces.load(directory)
    if random_weights is not None:
        return GatedVL(build(config, random_weights), words, "my-model", f"random:{random_weights}")
    stored = load_file(directory / WEIGHTS)
    if unread := set_aside(FAMILY, config, stored):
        raise ValueError(
            f"{directory / WEIGHTS} holds tensors that `names` does not name: {', '.join(unread)}"
        )
    config, tensors = to_engine(FAMILY, config, stored)
    module = GatedModel(config)
    module.load_state_dict(tensors)
    return GatedVL(module, words, "my-model", "trained")


def write(directory: Path | str, model: GatedVL) -> Path:
    """Write a UNITER's weights under the names above: something to begin with, and to check `load` against.

    What a file lacks, the model does without; here that is the head that guesses hidden regions.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    config = model.config.replace(region_targets=())
    state = {name: one for name, one in model.module.state_dict().items() if "region_head" not in name}
    save_file(
        {name: one.contiguous() for name, one in from_engine(FAMILY, config, state).items()},
        directory / WEIGHTS,
    )
    config.save(directory)
    model.words.tokenizer.save(str(directory / "tokenizer.json"))
    return directory
