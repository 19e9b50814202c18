"""The explorer: pictures, captions and heads that answer each other, in JupyterLab."""

from value_nb.explorer.panel import Explorer

__all__ = ["Explorer"]
