from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from value_nb.data.problems import DataFormatError
from value_nb.data.regions import write_region_store
from value_nb.data.registry import ENTRIES, OPTIONS, datasets, load_dataset
from value_nb.data.senteval import FILES, TASKS

from .conftest import stored_image


def test_the_table_lists_every_data_set(mini_tree: Path) -> None:
    table = datasets()
    assert list(table.columns) == ["name", "kind", "splits", "source", "present", "how to get it"]
    names = ["mini-flickr30k", "mini-vg", *(f"mini-senteval/{task}" for task in TASKS)]
    names += ["flickr30k-entities", "visual-genome", *(f"senteval/{task}" for task in FILES)]
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


def test_no_option_is_ignored(mini_tree: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"threshold=0\.7 came; mini-senteval/tree_depth has no such option, only: limit, strict\.",
    ):
        load_dataset("mini-senteval/tree_depth", threshold=0.7)
    with pytest.raises(
        ValueError, match=r"aliases=False came; mini-flickr30k has no such option, only: .*unrelated"
    ):
        load_dataset("mini-flickr30k", aliases=False)
    with pytest.raises(ValueError, match=r"unrelated='flag' came; mini-vg has no such option"):
        load_dataset("mini-vg", unrelated="flag")
    assert len(load_dataset("mini-senteval/tree_depth", threshold=0.5)) == 2, "a default is no choice"


@pytest.mark.parametrize("threshold", [0, 1.5, -0.5, float("nan"), "0.5", True, None])
def test_thresholds_are_checked(mini_tree: Path, threshold: object) -> None:
    for name in ("mini-flickr30k", "mini-vg"):
        with pytest.raises(ValueError, match=r"threshold=.* came; expected an IoU above 0 and at most 1"):
            load_dataset(name, threshold=threshold)  # type: ignore[arg-type]


def test_features_can_be_left_out(mini_tree: Path) -> None:
    for name in ("mini-flickr30k", "mini-vg"):
        data = load_dataset(name, features="none")
        assert data[0].regions is not None and data[0].regions.features is None
        assert len(data[0].regions) == 2 and data.threshold is None
        with pytest.raises(ValueError, match=r"features='all' came; expected one of 'linked', 'none'"):
            load_dataset(name, features="all")
        with pytest.raises(ValueError, match=r"came with features='none'; expected one of both"):
            load_dataset(name, features="none", regions=mini_tree / "mini" / "features.h5")


def test_every_option_reaches_its_loader(mini_tree: Path, tmp_path: Path) -> None:
    from value_nb.data.splits import load_splits

    boxes = [[0.5, 0.5, 1, 0.95], [0, 0, 0.5, 0.5]]
    store = write_region_store(tmp_path / "mine.h5", [stored_image("1", boxes)], ["a", "b"], "mine")
    (tmp_path / "1.png").write_bytes(b"")
    options = {"regions": store, "images": tmp_path}
    for name in ("mini-flickr30k", "mini-vg"):
        data = load_dataset(name, threshold=0.95, **options)
        assert data.region_classes == ("a", "b") and data[0].image == tmp_path / "1.png"
        assert data[0].extra["annotated_regions"] == (1, -1)
        assert load_dataset(name, threshold=0.9, **options)[0].extra["annotated_regions"] == (1, 0)
        parts = load_splits(name, splits=("test",), threshold=0.9, **options).parts
        assert [part.threshold for part in parts] == [0.9]
    root = mini_tree / "mini" / "visual_genome"
    (root / "object_alias.txt").write_text("human,man\n")
    names = [load_dataset("mini-vg", aliases=a)[0].extra["objects"][0][1] for a in (None, False)]
    assert names == [("human",), ("man",)]
    (tmp_path / "s.json").write_text('{"train": [1], "val": [], "test": []}')
    assert len(load_dataset("mini-vg", "train", split_file=tmp_path / "s.json")) == 1
    assert load_dataset("mini-vg", exclude_coco=True).problems.skipped == {"picture without coco_id": 1}
    with pytest.raises(FileNotFoundError, match=r"objects_v1_2\.json"):
        load_dataset("mini-vg", release="1.2")
    (mini_tree / "mini" / "flickr30k_entities" / "UNRELATED_CAPTIONS").write_text("1 1\n")
    assert len(load_dataset("mini-flickr30k")) == 0
    assert load_dataset("mini-flickr30k", unrelated="flag")[0].extra["unrelated"]


def test_options_are_those_of_the_signature() -> None:
    import inspect

    defaults = {
        k: p.default
        for k, p in inspect.signature(load_dataset).parameters.items()
        if p.kind == p.KEYWORD_ONLY
    }
    assert defaults == OPTIONS
    assert all(set(entry.options) <= set(OPTIONS) for entry in ENTRIES.values())


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
