"""Data sets, one file per format, all yielding the same `Example`; names are imported at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from value_nb.data.dataset import Dataset as Dataset
    from value_nb.data.example import Example as Example
    from value_nb.data.example import Phrase as Phrase
    from value_nb.data.example import Regions as Regions
    from value_nb.data.example import Relation as Relation
    from value_nb.data.flickr30k_entities import load_flickr30k_entities as load_flickr30k_entities
    from value_nb.data.matching import iou as iou
    from value_nb.data.matching import match_boxes as match_boxes
    from value_nb.data.paths import bundled_root as bundled_root
    from value_nb.data.problems import DataFormatError as DataFormatError
    from value_nb.data.problems import ProblemReport as ProblemReport
    from value_nb.data.regions import RegionStore as RegionStore
    from value_nb.data.regions import RegionStoreWriter as RegionStoreWriter
    from value_nb.data.regions import StoredImage as StoredImage
    from value_nb.data.regions import write_region_store as write_region_store
    from value_nb.data.registry import datasets as datasets
    from value_nb.data.registry import load_dataset as load_dataset
    from value_nb.data.senteval import load_senteval as load_senteval
    from value_nb.data.visual_genome import load_visual_genome as load_visual_genome

_HOME = {
    "Dataset": "dataset",
    "Example": "example",
    "Phrase": "example",
    "Regions": "example",
    "Relation": "example",
    "load_flickr30k_entities": "flickr30k_entities",
    "iou": "matching",
    "match_boxes": "matching",
    "bundled_root": "paths",
    "DataFormatError": "problems",
    "ProblemReport": "problems",
    "RegionStore": "regions",
    "RegionStoreWriter": "regions",
    "StoredImage": "regions",
    "write_region_store": "regions",
    "datasets": "registry",
    "load_dataset": "registry",
    "load_senteval": "senteval",
    "load_visual_genome": "visual_genome",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
