"""A flow in words: what is shown, how much of it is drawn, and the strongest line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from value_nb.data.grid_boxes import regions_note

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.flow.lines import Lines
    from value_nb.flow.scene import Scene


def say_drawn(lines: Lines) -> str:
    """How many lines of how many are drawn, and what share of the weight they carry."""
    if not len(lines):
        return f"None of {lines.possible} lines is drawn: none is so strong."
    return f"{len(lines)} of {lines.possible} lines are drawn; they carry {lines.share:.0%} of the weight."


def say_strongest(scene: Scene, lines: Lines) -> str:
    """The strongest of these lines, with its weight; "" where there is none."""
    if not len(lines):
        return ""
    head, left, right = (int(one[0]) for one in (lines.head, lines.left, lines.right))
    ends = [scene.left.labels[left], scene.right.labels[right]]
    who, whom = ends if scene.left.looks else ends[::-1]
    by = f" ({scene.heads[head]})" if len(scene.heads) > 1 else ""
    return f"The strongest is {lines.weight[0]:.3f}, from “{who}” to “{whom}”{by}."


def say_item(scene: Scene, side: str, item: int, lines: Lines) -> str:
    """That only the lines of one item are shown, or none where it has no weight at all."""
    name = getattr(scene, side).labels[item]
    many = {0: "it has none", 1: "one line"}.get(len(lines), f"{len(lines)} lines")
    return f"Only those of “{name}” are shown: {many}."


def say_note(example: Example) -> str:
    """A sentence where the regions were neither annotated nor detected, else ""."""
    note = regions_note(example)
    return f"Regions here are {note}." if note else ""
