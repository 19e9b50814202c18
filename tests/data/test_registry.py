from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from value_nb.data.problems import DataFormatError
from value_nb.data.registry import ENTRIES, datasets, load_dataset
from value_nb.data.senteval import TASKS


def test_the_table_lists_every_data_set(mini_tree: Path) -> None:
    table = datasets()
    assert list(table.columns) == ["name", "kind", "splits", "source", "present", "how to get it"]
    names = ["mini-flickr30k", "mini-vg", *(f"mini-senteval/{task}" for task in TASKS)]
    names += ["flickr30k-entities", "visual-genome", *(f"senteval/{task}" for task in TASKS)]
    assert table["name"].tolist() == names
    present = table.set_index("name")["present"]
    assert present[[name for name in names if name.startswith("mini")]].all()
    assert not present[[name for name in names if not name.startswith("mini")]].any()
    assert table["how to get it"].str.len().min() > 0


def test_the_table_can_be_had_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "none"))
    assert not datasets()["present"].any()


@pytest.mark.parametrize("name", [name for name in ENTRIES if name.startswith("mini")])
def test_every_mini_loads(mini_tree: Path, name: str) -> None:
    data = load_dataset(name, strict=True)
    assert len(data) >= 1
    assert {(example.dataset, example.split) for example in data} == {(name, "test")}
    assert (data.name, data.split) == (name, "test")


def test_mini_phrases_and_relations_are_linked_to_the_same_regions(mini_tree: Path) -> None:
    flickr, genome = load_dataset("mini-flickr30k")[0], load_dataset("mini-vg")[0]
    assert [phrase.regions for phrase in flickr.phrases] == [(1,), (0,)]
    assert [(r.subject, r.predicate, r.object) for r in genome.relations] == [(1, "riding", 0)]
    assert flickr.regions is not None and genome.regions is not None
    assert flickr.regions.features is not None
    assert (flickr.regions.features == genome.regions.features).all()
    assert flickr.image == genome.image == mini_tree / "mini" / "images" / "1.webp"


def test_a_root_of_ones_own(mini_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mini = mini_tree / "mini"
    monkeypatch.setenv("VALUE_NB_DATA", str(tmp_path / "none"))
    assert load_dataset("mini-vg", root=str(mini))[0].relations
    flickr = load_dataset("flickr30k-entities", root=mini / "flickr30k_entities")
    genome = load_dataset("visual-genome", root=mini / "visual_genome")
    assert flickr[0].regions is not None and flickr[0].regions.features is None
    assert genome[0].regions is not None and genome[0].regions.sources == ("annotated",) * 2
    assert load_dataset("senteval/tree_depth", root=mini / "senteval")[0].label == "PRES"
    assert load_dataset("senteval/tree_depth", root=mini)[0].dataset == "senteval/tree_depth"


def test_real_data_beside_a_region_store_use_it(mini_tree: Path) -> None:
    for folder, name in (("flickr30k_entities", "flickr30k-entities"), ("visual_genome", "visual-genome")):
        shutil.copytree(mini_tree / "mini" / folder, mini_tree / name)
        shutil.copy(mini_tree / "mini" / "features.h5", mini_tree / name)
        example = load_dataset(name)[0]
        assert example.regions is not None and example.regions.features is not None
    assert datasets().set_index("name")["present"]["visual-genome"]


def test_a_senteval_checkout_is_a_root(mini_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "SentEval" / "data").mkdir(parents=True)
    (mini_tree / "mini" / "senteval").rename(tmp_path / "SentEval" / "data" / "probing")
    assert len(load_dataset("senteval/past_present", root=tmp_path / "SentEval", limit=1)) == 1


def test_unknown_names_are_answered_with_the_known(mini_tree: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'mini-flickr' is not known\. Did you mean 'mini-flickr30k'.*Known are:.*mini-vg"
    ):
        load_dataset("mini-flickr")
    with pytest.raises(ValueError, match="Known are: mini-flickr30k"):
        load_dataset(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "flickr30k-entities",
            r"annotations\.zip of github\.com/BryanPlummer.*Sentences/<id>\.txt, Annotations/<id>\.xml",
        ),
        (
            "visual-genome",
            r"homes\.cs\.washington\.edu.*image_data, objects, relationships and region_descriptions",
        ),
        ("senteval/tree_depth", r"github\.com/facebookresearch/SentEval.*data/probing/tree_depth\.txt"),
    ],
)
def test_absent_data_say_where_they_can_be_had(mini_tree: Path, tmp_path: Path, name: str, text: str) -> None:
    for root in (None, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=rf"(?s)Data set '{name}' is not in .*{text}"):
            load_dataset(name, root=root)


def test_a_missing_part_is_named_itself(mini_tree: Path) -> None:
    (mini_tree / "mini" / "features.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"features\.h5 does not exist; expected a region store"):
        load_dataset("mini-vg")
    with pytest.raises(FileNotFoundError, match=r"train\.txt does not exist"):
        load_dataset("flickr30k-entities", "train", root=mini_tree / "mini" / "flickr30k_entities")


def test_release_1_is_recognised_in_a_root(tmp_path: Path) -> None:
    for name in ("image_data", "objects"):
        (tmp_path / f"{name}_v1.json").write_text("[]")
    with pytest.raises(DataFormatError, match=r"release 1\.0 of Visual Genome"):
        load_dataset("visual-genome", root=tmp_path)


def test_options_are_checked_before_anything_is_read(mini_tree: Path) -> None:
    with pytest.raises(ValueError, match="split='dev' came; expected one of 'train', 'val', 'test'"):
        load_dataset("visual-genome", "dev")
    with pytest.raises(ValueError, match="limit=0 came"):
        load_dataset("visual-genome", limit=0)


def test_limit_and_strict_reach_every_loader(mini_tree: Path) -> None:
    assert len(load_dataset("mini-senteval/tree_depth", limit=1)) == 1
    path = mini_tree / "mini" / "senteval" / "tree_depth.txt"
    path.write_text("oops\n" + path.read_text())
    assert len(load_dataset("mini-senteval/tree_depth").problems) == 1
    with pytest.raises(DataFormatError, match=r"tree_depth\.txt, line 1"):
        load_dataset("mini-senteval/tree_depth", strict=True)
    (mini_tree / "mini" / "flickr30k_entities" / "test.txt").write_text("oops\n1\n")
    with pytest.raises(DataFormatError, match=r"test\.txt, line 1"):
        load_dataset("mini-flickr30k", strict=True)
    descriptions = mini_tree / "mini" / "visual_genome" / "region_descriptions.json"
    descriptions.write_text('[{"regions": []}, ' + descriptions.read_text()[1:])
    with pytest.raises(DataFormatError, match=r"region_descriptions\.json, element 1"):
        load_dataset("mini-vg", strict=True)


def test_the_package_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "matplotlib", "pandas", "h5py", "numpy")
    code = f"import sys, value_nb.data; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_lazy_name_is_there() -> None:
    import value_nb.data as package

    for name in package._HOME:
        assert getattr(package, name).__name__ == name
        assert name in dir(package)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018
