"""A panel's state lives in its controls: reading gives the control's value, setting checks and moves it."""

from __future__ import annotations

from typing import Any


class State:
    """An attribute of a panel that is the value of the control of the same name, `panel.controls[NAME]`.

    Setting it moves the control, and so draws the panel again. A value that the control does not offer
    raises ValueError with those it does.

    Parameters
    ----------
    doc
        What it means, for `help`.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, panel: Any, owner: type) -> Any:
        return self if panel is None else control_of(panel, self.name).value

    def __set__(self, panel: Any, value: Any) -> None:
        control = control_of(panel, self.name)
        control.value = checked(self.name, value, control)


def control_of(panel: Any, name: str) -> Any:
    """The control that holds a part of a panel's state.

    Raises
    ------
    ValueError
        When this panel has no such control; the message lists those it has.
    """
    if name not in panel.controls:
        raise ValueError(f"this panel has no {name}; it has: {', '.join(panel.controls)}")
    return panel.controls[name]


def checked(name: str, value: Any, control: Any) -> Any:
    """`value`, if the control offers it; a label of a list of choices stands for its value.

    Raises
    ------
    ValueError
        With the valid values.
    """
    if hasattr(control, "options"):
        offered = pairs(control)
        for label, one in offered:
            if _same(one, value) or (isinstance(value, str) and value == label):
                return one
        raise ValueError(f"{name}={value!r}; expected one of {_listed(offered)}")
    if isinstance(control.value, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name}={value!r}; expected True or False")
        return value
    low, high = control.min, control.max
    if isinstance(value, bool) or not hasattr(value, "__index__") or not low <= value <= high:
        raise ValueError(f"{name}={value!r}; expected a whole number from {low} to {high}")
    return int(value)


def pairs(control: Any) -> list[tuple[str, Any]]:
    """(label, value) of every choice of a control."""
    return labelled(control.options)


def offer(control: Any, options: list[Any]) -> None:
    """Let a list of choices offer these; what is chosen stays where it can, else the first is."""
    values = [value for _, value in labelled(options)]
    if [value for _, value in pairs(control)] != values:
        now = control.value
        control.options = options
        control.value = now if now in values else values[0]


def labelled(options: Any) -> list[tuple[str, Any]]:
    """(label, value) of choices, which may be plain values."""
    return [one if isinstance(one, tuple) else (str(one), one) for one in options]


def _same(one: Any, value: Any) -> bool:
    return isinstance(one, bool) == isinstance(value, bool) and bool(one == value)


def _listed(offered: list[tuple[str, Any]]) -> str:
    return ", ".join(repr(one) if label == str(one) else f"{one!r} ({label})" for label, one in offered)
