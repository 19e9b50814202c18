"""Official UNITER against the published formulas, written out here example by example, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.official_files import HEADS, UNITER_CONFIG, small_state, write_json, write_vocabulary
from tests.tiny import PIECES, tiny_examples, tiny_words
from value_nb.data.example import Example
from value_nb.layout import LayerBatch
from value_nb.models.gated import GatedVL
from value_nb.models.registry import load_model

EXACT = 1e-9
EPS = 1e-12
LAYERS = 2


@dataclass
class Run:
    """States `(position, width)` after the embeddings and each layer, maps, and what the heads say."""

    states: list[Tensor]
    maps: list[Tensor]
    pooled: Tensor
    matching: Tensor
    words: Tensor
    regions: Tensor
    features: Tensor


class Uniter:
    """A joint sequence, text then regions, of one example without padding."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = {key: tensor.double() for key, tensor in state.items()}

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        spread = (centred**2).mean(-1, keepdim=True)
        return centred / (spread + EPS).sqrt() * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    @staticmethod
    def gelu(x: Tensor) -> Tensor:
        return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))

    def embed(self, ids: list[int], features: Tensor, boxes: np.ndarray) -> Tensor:
        table = self.state
        rows = table["uniter.embeddings.word_embeddings.weight"][ids]
        rows = rows + table["uniter.embeddings.position_embeddings.weight"][: len(ids)]
        types = table["uniter.embeddings.token_type_embeddings.weight"]
        text = self.norm(rows + types[0], "uniter.embeddings.LayerNorm")
        x1, y1, x2, y2 = boxes.astype(np.float32).T
        w, h = x2 - x1, y2 - y1
        seven = torch.from_numpy(np.stack([x1, y1, x2, y2, w, h, w * h], axis=1)).double()
        image = "uniter.img_embeddings"
        region = self.norm(self.linear(features, f"{image}.img_linear"), f"{image}.img_layer_norm")
        place = self.norm(self.linear(seven, f"{image}.pos_linear"), f"{image}.pos_layer_norm")
        return torch.cat([text, self.norm(region + place + types[1], f"{image}.LayerNorm")])

    def layer(self, x: Tensor, number: int) -> tuple[Tensor, Tensor]:
        name = f"uniter.encoder.layer.{number}"
        size = x.shape[1] // HEADS
        heads, maps = [], []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            q, k, v = (
                self.linear(x, f"{name}.attention.self.{one}")[:, part] for one in ("query", "key", "value")
            )
            maps.append((q @ k.T / math.sqrt(size)).softmax(-1))
            heads.append(maps[-1] @ v)
        context = self.linear(torch.cat(heads, -1), f"{name}.attention.output.dense")
        x = self.norm(context + x, f"{name}.attention.output.LayerNorm")
        inner = self.gelu(self.linear(x, f"{name}.intermediate.dense"))
        return self.norm(
            self.linear(inner, f"{name}.output.dense") + x, f"{name}.output.LayerNorm"
        ), torch.stack(maps)

    def head(self, x: Tensor, dense: str, norm: str) -> Tensor:
        return self.norm(self.gelu(self.linear(x, dense)), norm)

    def __call__(self, ids: list[int], features: Tensor, boxes: np.ndarray) -> Run:
        states, maps = [self.embed(ids, features, boxes)], []
        for number in range(LAYERS):
            after, found = self.layer(states[-1], number)
            states.append(after)
            maps.append(found)
        last, table = states[-1], self.state
        pooled = torch.tanh(self.linear(last[0], "uniter.pooler.dense"))
        words = self.head(
            last[: len(ids)], "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"
        )
        words = words @ table["uniter.embeddings.word_embeddings.weight"].T + table["cls.predictions.bias"]
        seen = last[len(ids) :]
        classes = self.head(seen, "region_classifier.net.0", "region_classifier.net.2")
        hidden = self.head(seen, "feat_regress.net.0", "feat_regress.net.2")
        back = hidden @ table["uniter.img_embeddings.img_linear.weight"] + table["feat_regress.bias"]
        return Run(states, maps, pooled, self.linear(pooled, "itm_output"), words,
                   self.linear(classes, "region_classifier.net.3"), back)  # fmt: skip


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return small_state("uniter_base", LAYERS)


@pytest.fixture
def model(state: dict[str, Tensor], tmp_path: Path) -> GatedVL:
    torch.save(state, tmp_path / "uniter.pt")
    write_vocabulary(tmp_path / "vocab.txt")
    config = write_json(tmp_path / "c.json", UNITER_CONFIG)
    found = load_model("uniter", checkpoint=tmp_path / "uniter.pt", config=config, dtype="float64")
    assert isinstance(found, GatedVL)
    return found


def references(state: dict[str, Tensor], examples: list[Example]) -> list[Run]:
    runs, original = [], Uniter(state)
    for example in examples:
        assert example.regions is not None and example.regions.features is not None
        ids = [PIECES.index("[CLS]")]
        for word in example.words:
            ids += tiny_words().pieces(word)
        features = torch.from_numpy(example.regions.features).double()
        runs.append(original([*ids, PIECES.index("[SEP]")], features, example.regions.boxes))
    return runs


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=EXACT, rtol=0)


def test_states_and_maps_are_the_formulas(model: GatedVL, state: dict[str, Tensor]) -> None:
    """A padded batch in two streams gives at its valid positions what the joint sequence gives alone."""
    examples = tiny_examples(4)
    heard: list[LayerBatch] = []
    batch = model.prepare(examples)
    model.run(batch, heard.append)
    for index, wanted in enumerate(references(state, examples)):
        valid = {s: batch.layout.streams[s].valid[index] for s in ("text", "image")}
        assert not (all(valid["text"]) and all(valid["image"])) or index
        for layer, got in enumerate(heard):
            close(torch.cat([got.hidden[s][index][valid[s]] for s in valid]), wanted.states[layer])
            if layer:
                rows = [
                    torch.cat(
                        [got.attention[f"{q}->{k}"][index][:, valid[q]][..., valid[k]] for k in valid], -1
                    )
                    for q in valid
                ]
                close(torch.cat(rows, -2), wanted.maps[layer - 1])


@torch.no_grad()
def test_heads_are_the_formulas(model: GatedVL, state: dict[str, Tensor]) -> None:
    examples = tiny_examples(4)
    batch = model.prepare(examples)
    out = model.run(batch)
    matching = model.module.matching_logits(out.pooled)
    probability = model.matching(examples)
    for index, wanted in enumerate(references(state, examples)):
        text = out.hidden["text"][index][batch.layout.streams["text"].valid[index]]
        image = out.hidden["image"][index][batch.layout.streams["image"].valid[index]]
        close(out.pooled["fused"][index], wanted.pooled)
        close(matching[index], wanted.matching)
        close(model.module.masked_word_logits(text), wanted.words)
        regions = model.module.masked_region_outputs(image)
        close(regions["class"], wanted.regions)
        close(regions["feature"], wanted.features)
        assert probability[index] == pytest.approx(float(wanted.matching.softmax(-1)[1]), abs=1e-6)
