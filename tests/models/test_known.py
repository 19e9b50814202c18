"""Models by name: the table, where they are looked for, seeds, the hub's cache, what is not there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertForPreTraining

from tests.models import test_lxmert
from tests.models.official_files import SMALL, key_list, small_state, write_json, write_vocabulary
from tests.models.samples import Sample
from tests.models.test_official import LXMERT_ROWS, official
from tests.tiny import save_tiny, tiny_bert_config, tiny_examples
from value_nb.models.known import ENTRIES, KNOWN
from value_nb.models.locating import is_present, seeds_of
from value_nb.models.registry import load_model, models

OFFICIAL = (
    "uniter-base", "uniter-large", "lxmert-base", "lxmert-official", "vilbert-base", "vilbert-multi-task",
    "vilbert-beta", "ctrl-uniter", "ctrl-lxmert", "ctrl-vilbert", "ctrl-visualbert", "ctrl-vl-bert",
    "volta-vilbert", "volta-lxmert", "volta-vl-bert", "visualbert", "vilt", "bert-base-uncased",
    "bert-base-cased",
)  # fmt: skip
Cached = Callable[[str], Path]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of fetched models."""
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "data"))
    folder = tmp_path / "data" / "models"
    folder.mkdir(parents=True)
    return folder


def volta_folder(folder: Path) -> Path:
    """VOLTA's small UNITER, as its file and its config lie in a download."""
    sample = Sample("volta_uniter")
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(sample.weights, folder / "pytorch_model_9.bin")
    write_json(folder / "ctrl_uniter_base.json", sample.config)
    write_vocabulary(folder / "vocab.txt", sample.config["vocab_size"])
    return folder


def test_every_official_model_has_a_row(root: Path) -> None:
    table = models().set_index("name")
    assert list(table.index) == [entry.name for entry in KNOWN] and set(OFFICIAL) < set(table.index)
    rows = table.loc[list(OFFICIAL)]
    assert not rows.present.any()
    assert (rows["how to get it"] != "").all() and (rows.source != "").all()
    assert set(table.streams) == {"text", "single-stream", "two-stream"}
    assert table.loc["ctrl-vl-bert", ["family", "streams"]].tolist() == ["vl-bert", "single-stream"]
    assert 'vnb.fetch("ctrl-uniter")' in table.loc["ctrl-uniter", "how to get it"]
    assert "409" in table.loc["uniter-base", "how to get it"]
    assert "ctrl-uniter" in table.loc["uniter-base", "how to get it"]


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_model_that_is_not_here_says_how_to_get_it(name: str, root: Path) -> None:
    with pytest.raises(ValueError, match=f"^{name} is not on this machine. It comes from .*: .*"):
        load_model(name)


def test_the_table_needs_no_torch() -> None:
    """It is looked at before anything is loaded."""
    import subprocess

    code = "import sys, value_nb; value_nb.models(); print(*(n in sys.modules for n in sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "torch", "transformers"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_a_fetched_model_is_loaded_by_its_name(root: Path) -> None:
    volta_folder(root / "ctrl-uniter")
    assert models().set_index("name").loc["ctrl-uniter", "present"]
    model = load_model("ctrl-uniter")
    assert (model.name, model.family, model.card) == ("ctrl-uniter", "uniter", {})
    assert "airsplay/bottom-up-attention" in model.config.feature_source and model.config.match_index == 0
    assert model.gate_met is None


def test_the_ten_seeds_are_trainings_of_one_model(root: Path) -> None:
    for seed in (0, 1, 9):
        volta_folder(root / (f"ctrl-uniter-seed{seed}" if seed else "ctrl-uniter"))
    table = models().set_index("name")
    assert table.loc["ctrl-uniter", "seeds"] == (0, 1, 9) and table.loc["ctrl-uniter", "steps"] == ()
    assert "ctrl-uniter-seed9" not in table.index
    nine = load_model("ctrl-uniter", seed=9)
    assert (nine.name, nine.card) == ("ctrl-uniter-seed9", {"seed": 9})
    assert load_model("ctrl-uniter-seed1").card == {"seed": 1}
    assert load_model("ctrl-uniter", seed=0).card == {"seed": 0}
    assert load_model("ctrl-uniter").card == {}, "nobody said which seed a file under the bare name is"
    with pytest.raises(ValueError, match="ctrl-uniter has no seed 4 here; there are: 0, 1, 9"):
        load_model("ctrl-uniter", seed=4)


def test_a_lone_later_seed_is_found(root: Path) -> None:
    volta_folder(root / "ctrl-uniter-seed3")
    assert seeds_of("ctrl-uniter") == (3,) and not is_present("ctrl-uniter")
    with pytest.raises(ValueError, match="ctrl-uniter has no seed 0 here; there are: 3"):
        load_model("ctrl-uniter")


def test_a_name_with_a_file_of_ones_own(tmp_path: Path, root: Path) -> None:
    folder = volta_folder(tmp_path / "downloads")
    model = load_model(
        "ctrl-uniter", checkpoint=folder / "pytorch_model_9.bin", config=folder / "ctrl_uniter_base.json"
    )
    assert model.name == "ctrl-uniter" and not is_present("ctrl-uniter")
    assert load_model("volta", checkpoint=folder).name == "downloads", "a folder brings its config along"
    with pytest.raises(
        ValueError, match="holds a model of the family 'uniter', and ctrl-lxmert is one of 'lxmert'"
    ):
        load_model("ctrl-lxmert", checkpoint=folder)


def test_released_models_of_volta_need_no_config(root: Path) -> None:
    """Told by the name; a file of other sizes is refused, which says that the recipe was used."""
    folder = volta_folder(root / "ctrl-uniter")
    (folder / "ctrl_uniter_base.json").unlink()
    with pytest.raises(ValueError, match=r"vocab\.txt has 100 pieces and the checkpoint 30522"):
        load_model("ctrl-uniter")


def test_several_configs_are_not_guessed_between(root: Path) -> None:
    folder = volta_folder(root / "ctrl-uniter")
    write_json(folder / "other.json", {})
    (folder / "card.json").write_text('{"seed": 5}')
    with pytest.raises(ValueError, match=r"several JSON files: ctrl_uniter_base\.json, other\.json.*config="):
        load_model("ctrl-uniter")
    assert load_model("ctrl-uniter", config=folder / "ctrl_uniter_base.json").card == {"seed": 5}


def test_the_converted_official_lxmert_computes_what_the_official_one_does() -> None:
    """VOLTA's copy has names and config of its own; the row of the table sets its pooler and index right."""
    from value_nb.models.official import NAMINGS, read_config

    entry = ENTRIES["lxmert-official"]
    config, _ = read_config(NAMINGS["volta"], {}, None, entry)
    assert (config.pooler_act, config.match_index, config.family) == ("tanh", 1, "lxmert")


def test_the_authors_lxmert_under_its_name(root: Path) -> None:
    reference = test_lxmert.theirs().float()
    folder = root / "lxmert-official"
    folder.mkdir()
    torch.save(official(reference, "module.bert."), folder / "Epoch20_LXRT.pth")
    write_json(folder / "config.json", reference.config.to_dict())
    write_vocabulary(folder / "vocab.txt", LXMERT_ROWS)
    assert load_model("lxmert-official").config.match_index == 1


def test_uniter_base_lies_there_with_its_file_only(root: Path) -> None:
    """The real sizes are told from the shapes; here a stand-in 128 wide."""
    sizes = {**SMALL, 768: 128}
    generator = torch.Generator().manual_seed(0)
    state = {
        key: torch.randn([sizes.get(n, n) for n in shape], generator=generator)
        for key, shape in key_list("uniter_base").items()
        if "layer." not in key or ".layer.0." in key
    }
    state["cls.predictions.decoder.weight"] = state["uniter.embeddings.word_embeddings.weight"]
    state["feat_regress.weight"] = state["uniter.img_embeddings.img_linear.weight"]
    (root / "uniter-base").mkdir()
    torch.save(state, root / "uniter-base" / "uniter-base.pt")
    write_vocabulary(root / "bert-base-cased" / "vocab.txt")
    model = load_model("uniter-base")
    assert (model.name, model.stacks, model.heads("joint")) == ("uniter-base", {"joint": 1}, 2)
    assert not is_present("bert-base-cased"), "a vocabulary is no model"


def test_folders_of_ones_own_are_in_the_table(root: Path) -> None:
    save_tiny(root / "my-uniter", "uniter")
    volta_folder(root / "my-volta")
    table = models().set_index("name")
    assert table.loc["my-uniter", ["family", "streams", "present"]].tolist() == [
        "uniter",
        "single-stream",
        True,
    ]
    assert table.loc["my-volta", "present"] and table.loc["my-volta", "family"] == "?"
    assert load_model("my-uniter").name == "my-uniter" and load_model("my-volta").family == "uniter"


# --- the hub ------------------------------------------------------------------------------------------------


def test_a_cached_bert_is_a_named_model(root: Path, cached: Cached) -> None:
    """As old repositories hold it: heads of pre-training, gamma and beta, a stored counter."""
    snapshot = cached("google-bert/bert-base-uncased")
    config = tiny_bert_config()
    with torch.random.fork_rng():
        module = BertForPreTraining(config)
    state = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for key, tensor in module.state_dict().items()
    }
    state["bert.embeddings.position_ids"] = torch.arange(24)[None]
    torch.save(state, snapshot / "pytorch_model.bin")
    config.save_pretrained(snapshot)
    assert models().set_index("name").loc["bert-base-uncased", "present"]
    with pytest.raises(ValueError, match=r"bert-base-uncased.* is not on this machine"):
        load_model("bert-base-uncased")
    write_vocabulary(snapshot / "vocab.txt")
    model = load_model("bert-base-uncased")
    assert (model.name, model.family, model.stacks) == ("bert-base-uncased", "bert", {"text": 3})
    wanted = module.eval().bert(torch.tensor([[2, 5, 6, 3]])).last_hidden_state
    found = model.module.bert(torch.tensor([[2, 5, 6, 3]])).last_hidden_state
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_a_cached_lxmert_is_a_named_model(root: Path, cached: Cached) -> None:
    snapshot = cached("unc-nlp/lxmert-base-uncased")
    test_lxmert.theirs().float().save_pretrained(snapshot)
    write_vocabulary(snapshot / "vocab.txt", LXMERT_ROWS)
    model = load_model("lxmert-base")
    assert (model.name, model.stacks) == ("lxmert-base", {"text": 3, "image": 2, "cross": 2})
    assert "iter_320000" in model.config.feature_source
    assert models().set_index("name").loc["lxmert-base", "seeds"] == (0,)


def test_the_data_folder_wins_over_the_cache(root: Path, cached: Cached) -> None:
    test_lxmert.theirs().float().save_pretrained(cached("unc-nlp/lxmert-base-uncased"))
    save_tiny(root / "lxmert-base", "lxmert")
    assert load_model("lxmert-base").stacks["text"] == 3 and load_model("lxmert-base").words.vocab_size == 19


def test_an_unfinished_cache_is_not_present(root: Path, cached: Cached) -> None:
    (cached("unc-nlp/lxmert-base-uncased") / "config.json").write_text("{}")
    assert not is_present("lxmert-base")


def test_hub_folders_of_other_families_are_read_by_path(tmp_path: Path) -> None:
    from transformers import VisualBertConfig, VisualBertForPreTraining

    config = VisualBertConfig(
        vocab_size=19, hidden_size=24, visual_embedding_dim=10, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=28, max_position_embeddings=24,
    )  # fmt: skip
    VisualBertForPreTraining(config).save_pretrained(tmp_path / "hub")
    write_vocabulary(tmp_path / "hub" / "vocab.txt")
    model = load_model(tmp_path / "hub")
    assert (model.family, model.stacks, model.config.location_size) == ("visualbert", {"joint": 2}, 0)
    assert model.matching(tiny_examples(2)).shape == (2,)


def test_unknown_hub_families_list_those_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    torch.save(small_state("uniter_base"), tmp_path / "pytorch_model.bin")
    with pytest.raises(
        ValueError, match=r"model_type 'clip'; valid: 'value_nb-gated' .*'bert', 'lxmert', 'vi"
    ):
        load_model(tmp_path)


def test_what_can_be_fetched_is_what_can_be_loaded() -> None:
    """The table's names are the manifest's, and fetched files lie where they are looked for."""
    from importlib.resources import files

    items = json.loads((files("value_nb.getting") / "manifest.json").read_text(encoding="utf-8"))["items"]
    fetched = {
        name: item for name, item in items.items() if item["kind"] == "model" and name != "volta-seeds"
    }
    assert set(fetched) == set(OFFICIAL)
    for name, item in fetched.items():
        assert item["folder"] == f"models/{name}"
        assert not ENTRIES[name].hub or any(repo in item["source"] for repo in ENTRIES[name].hub)
