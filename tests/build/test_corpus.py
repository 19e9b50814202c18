from __future__ import annotations

from itertools import pairwise, repeat

import numpy as np
import pytest
import torch

from data.build import corpus, detector, make_mini, pretrain, senteval_files, vocabulary
from data.build.captions import captions
from data.build.scenes import sample_scene

COUNT = 6


def in_this_process(ids, seed):
    return map(corpus.make_picture, ids, repeat(seed))


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with an untrained detector; pictures are made in this process, in chunks of two."""
    monkeypatch.setattr(corpus, "CHUNK", 2)
    monkeypatch.setattr(corpus, "make_pictures", in_this_process)
    torch.manual_seed(0)
    (tmp_path / "work").mkdir()
    detector.save(detector.Describer(), tmp_path / "work" / "detector.safetensors")
    return tmp_path


def read(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def lists(arrays, name):
    offsets = arrays[f"{name}_offset"]
    return [set(arrays[f"{name}_flat"][a:b].tolist()) for a, b in pairwise(offsets)]


def test_arrays_fit_together_and_captions_are_true(work):
    arrays = read(corpus.make_corpus(work, "dev", COUNT, 1))
    assert arrays["features"].shape == (COUNT, detector.REGIONS, detector.FEATURES)
    assert len(arrays["atoms_offset"]) == COUNT + 1
    atoms, claims = lists(arrays, "atoms"), lists(arrays, "claim")
    assert len(claims) == len(arrays["caption_image"]) == len(arrays["pieces"])
    for image, claim in zip(arrays["caption_image"], claims, strict=True):
        assert claim <= atoms[image]


def test_pieces_spell_the_captions(work):
    path = corpus.make_corpus(work, "dev", COUNT, 1)
    spoken = {
        " ".join(s.words).lower()
        for i in corpus.scene_ids("dev", COUNT)
        for s in captions(sample_scene(i, 1), 1, vocabulary.count)
    }
    assert senteval_files.trained_captions([path]) >= spoken


def test_hard_captions_differ_in_one_word_and_an_article(work):
    arrays = read(corpus.make_corpus(work, "dev", COUNT, 1))
    changed = arrays["hard"][:, 0] > 0
    assert changed.mean() > 0.8
    assert (arrays["hard"][changed] != arrays["pieces"][changed]).any(axis=1).all()


def test_an_interrupted_corpus_goes_on_and_comes_out_the_same(work, monkeypatch):
    whole = read(corpus.make_corpus(work, "dev", COUNT, 1))
    (work / "work" / "corpus-dev.npz").unlink()
    join = corpus._join

    def stop(parts):
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus, "_join", stop)
    with pytest.raises(KeyboardInterrupt):
        corpus.make_corpus(work, "dev", COUNT, 1)
    parts = sorted((work / "work").glob("corpus-dev-*.npz"))
    assert len(parts) == 3
    parts[1].unlink()
    monkeypatch.setattr(corpus, "_join", join)
    asked = []

    def make(ids, seed):
        asked.extend(ids)
        return in_this_process(ids, seed)

    monkeypatch.setattr(corpus, "make_pictures", make)
    again = read(corpus.make_corpus(work, "dev", COUNT, 1))
    assert asked == ["dev-2", "dev-3"]
    assert all((again[name] == whole[name]).all() for name in whole)


def test_work_files_of_another_setting_are_refused(tmp_path):
    make_mini._same_settings(tmp_path / "settings.json", {"seed": 0})
    make_mini._same_settings(tmp_path / "settings.json", {"seed": 0})
    with pytest.raises(ValueError, match="Remove that folder"):
        make_mini._same_settings(tmp_path / "settings.json", {"seed": 1})


def test_finished_stages_are_not_done_again_and_the_result_is_exchanged_whole(tmp_path, monkeypatch):
    work, out = tmp_path / "work", tmp_path / "mini"
    out.mkdir()
    (out / "old.txt").write_text("old")
    done = []

    def data(work, sizes, seed):
        done.append("data")
        (work / "data").mkdir(parents=True)
        (work / "data" / "new.txt").write_text("new")

    def run(jobs):
        for name, _, _ in jobs:
            done.append(name)
            (work / "models" / name).mkdir(parents=True, exist_ok=True)

    for name in ("_detector", "_corpora", "_report"):
        monkeypatch.setattr(make_mini, name, lambda *_, name=name: done.append(name))
    monkeypatch.setattr(make_mini, "_data", data)
    monkeypatch.setattr(make_mini.side_by_side, "run", run)
    monkeypatch.setattr(make_mini, "_card_jobs", lambda work: [])
    make_mini.build(out, work, make_mini.FAST, 0)
    make_mini.build(out, work, make_mini.FAST, 0)
    runs = [pretrain.run_name(*run) for run in make_mini.trainings()]
    assert done == ["_detector", "_corpora", "data", *runs, "_report"]
    assert (out / "new.txt").read_text() == "new"
    assert not (out / "old.txt").exists()
    assert {p.name for p in (out / "models").iterdir()} == set(runs)
    assert {p.name for p in tmp_path.iterdir()} == {"work", "mini"}


def test_work_and_result_need_folders_of_their_own(tmp_path):
    with pytest.raises(ValueError, match="folders of their own"):
        make_mini.build(tmp_path, tmp_path, make_mini.FAST, 0)
