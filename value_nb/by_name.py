"""Names of the form "module:function": what a reader brings stands where a name of a table would."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

FORM = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_own(name: object) -> bool:
    """Whether it is a name of this form, and not one of a table or a path."""
    return isinstance(name, str) and FORM.fullmatch(name) is not None


def own_function(name: str) -> Callable[..., Any]:
    """Import the module and return its function. Nothing is imported but what the name says.

    Raises
    ------
    ValueError
        For a name of another form, a module that cannot be found, and one without such a function.
    """
    if not is_own(name):
        raise ValueError(f"{name!r} came; expected module:function, for instance 'my_package.my_model:load'")
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function, None)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        raise ValueError(
            f"{name!r}: no module {error.name!r}; Python looks for it in the folder that it was started in "
            "(for a notebook, the notebook's own) and among installed packages"
        ) from error
    if not callable(found):
        raise ValueError(f"{name!r}: the module {module!r} has no function {function!r}")
    return found
