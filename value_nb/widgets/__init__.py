"""Panels for notebooks: controls over a figure, and every panel's state as plain Python values.

choices = Choices("mini-uniter", "mini-flickr30k", 64)
panel = AttentionPanel(model, data); panel.layer = 3; panel.figure
"""

from value_nb.widgets.attention import AttentionPanel
from value_nb.widgets.card import card_table
from value_nb.widgets.choices import Choices
from value_nb.widgets.clusters import Clusters, pair_clusters, two_clusters
from value_nb.widgets.coreference import CoreferencePanel
from value_nb.widgets.crossmodal import CrossModalPanel
from value_nb.widgets.fusion import FusionPanel
from value_nb.widgets.head_on_picture import HeadOnPicturePanel
from value_nb.widgets.linguistic import LinguisticPanel
from value_nb.widgets.modality import ModalityPanel
from value_nb.widgets.model_choices import ModelChoices
from value_nb.widgets.own_picture import OwnPicture
from value_nb.widgets.panel import Panel, PanelFigure
from value_nb.widgets.picture import region_figure
from value_nb.widgets.reason import ReasonPanel
from value_nb.widgets.relations import RelationPanel

__all__ = [
    "AttentionPanel",
    "Choices",
    "Clusters",
    "CoreferencePanel",
    "CrossModalPanel",
    "FusionPanel",
    "HeadOnPicturePanel",
    "LinguisticPanel",
    "ModalityPanel",
    "ModelChoices",
    "OwnPicture",
    "Panel",
    "PanelFigure",
    "ReasonPanel",
    "RelationPanel",
    "card_table",
    "pair_clusters",
    "region_figure",
    "two_clusters",
]
