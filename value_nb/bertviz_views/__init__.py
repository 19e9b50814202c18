"""bertviz's own views of a trace, without a network: `head_view(trace)` and `model_view(trace)`."""

from value_nb.bertviz_views.view import BertvizView, head_view, model_view

__all__ = ["BertvizView", "head_view", "model_view"]
