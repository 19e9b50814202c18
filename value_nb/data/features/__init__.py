"""Region features in the formats that people have, and their way into the kit's own store.

source = open_features("img_db/flickr30k/feat_th0.2_max100_min10")
store = convert_features(source, "features.h5")
"""

from __future__ import annotations

from value_nb.data.features.convert import convert_features as convert_features
from value_nb.data.features.detect import open_features as open_features
from value_nb.data.features.source import FeatureSource as FeatureSource
from value_nb.data.features.uniter_lmdb import RegionChoice as RegionChoice
from value_nb.data.features.uniter_text import UniterText as UniterText
