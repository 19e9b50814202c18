"""The flow of attention: words on one side, regions on the other, and a line for each strong weight.

flow = AttentionFlow(model, data); flow.layer, flow.head = 3, (0, 2); flow.figure
"""

from value_nb.flow.lines import Lines, strongest
from value_nb.flow.panel import AttentionFlow

__all__ = ["AttentionFlow", "Lines", "strongest"]
