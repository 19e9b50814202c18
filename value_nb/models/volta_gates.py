"""VOLTA's lists of open gates, compared with the patterns that have published layers (gates.py).

VOLTA's configs say for each block in which sublayers it is open. In general such lists have no published
layers, so only the three patterns of its models are read: one stream (UNITER, VisualBERT, VL-BERT), LXMERT
and ViLBERT, each with any number of layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from value_nb.models.gates import DIRECTIONS, STREAMS, Gates, lxmert, single_stream, vilbert

Lists = dict[str, list[int]]
LISTS = {
    "tt_attn_sublayers": "text->text",
    "tv_attn_sublayers": "text->image",
    "vt_attn_sublayers": "image->text",
    "vv_attn_sublayers": "image->image",
    "t_ff_sublayers": "text",
    "v_ff_sublayers": "image",
    "shared_sublayers": "shared",
}
"""VOLTA's name of a list -> direction, stream of a feed-forward, or "shared"."""
ONE_NORM = "single_ln_sublayers"


def recognise(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of EncoderConfig that give these gates: `gates`, numbers of layers, ViLBERT's ids.

    ValueError where the lists are those of no known pattern; it says where they leave the nearest one.
    """
    given = _given(values)
    nearest: tuple[int, str] | None = None
    for name, fields, gates in _candidates(given):
        wanted = lists_of(gates)
        wrong = [list_name for list_name in LISTS if given[list_name] != wanted[list_name]]
        if not wrong:
            _check_one_norm(values, wanted["shared_sublayers"])
            return fields
        said = f"for {name} {wrong[0]} would be {wanted[wrong[0]]}, and is {given[wrong[0]]}"
        nearest = min((len(wrong), said), nearest or (len(LISTS) + 1, ""))
    raise ValueError(
        "the gates of this config are none of the known patterns (one stream, LXMERT, ViLBERT)"
        f"; nearest: {nearest[1] if nearest else 'none'}. Layers of other patterns have no published numbers."
    )


def lists_of(gates: Gates) -> Lists:
    """Gates in VOLTA's form: name of the list -> sublayers, rising."""
    found: Lists = {name: [] for name in LISTS}
    of = {meaning: name for name, meaning in LISTS.items()}
    for number, step in enumerate(gates.sublayers):
        open_here = step.directions or step.streams
        for meaning in (*open_here, *(("shared",) if step.shared else ())):
            found[of[meaning]].append(number)
    return found


def _given(values: Mapping[str, Any]) -> Lists:
    """The config's lists, rising; sharing has a meaning only where both streams are active."""
    lists = {name: sorted(_numbers(name, values.get(name))) for name in LISTS}
    active = {
        stream: {
            i
            for name, meaning in LISTS.items()
            if meaning in (stream, *(d for d in DIRECTIONS if d.startswith(stream)))
            for i in lists[name]
        }
        for stream in STREAMS
    }
    both = active["text"] & active["image"]
    return lists | {"shared_sublayers": [i for i in lists["shared_sublayers"] if i in both]}


def _numbers(name: str, given: Any) -> set[int]:
    if given is None and name == "shared_sublayers":
        return set()
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        raise ValueError(f"{name} is {given!r}; expected a list of numbers of sublayers")
    numbers = list(given)
    if wrong := [n for n in numbers if isinstance(n, bool) or not isinstance(n, int) or n < 0]:
        raise ValueError(f"{name} holds {wrong[0]!r}; expected numbers of sublayers, 0, 1, 2, ...")
    return set(numbers)


def _candidates(given: Lists) -> list[tuple[str, dict[str, Any], Gates]]:
    """What the patterns look like with as many layers as the lists have, those that are possible."""
    tt, vv, cross = (given[f"{name}_attn_sublayers"] for name in ("tt", "vv", "tv"))
    found: list[tuple[str, dict[str, Any], Gates]] = []
    if tt:
        found.append(("one stream", {"gates": "single", "joint_layers": len(tt)}, single_stream(len(tt))))
    text, image = len(tt) - len(cross), len(vv) - len(cross)
    if cross and text > 0 and image > 0:
        fields = {"text_layers": text, "image_layers": image, "cross_layers": len(cross)}
        found.append(("LXMERT", {"gates": "lxmert", **fields}, lxmert(text, image, len(cross))))
    ids = {stream: _layers_before(own, cross) for stream, own in (("text", tt), ("image", vv))}
    if cross and _are_ids(ids["text"], len(tt)) and _are_ids(ids["image"], len(vv)):
        fields = {"text_layers": len(tt), "image_layers": len(vv), "cross_layers": len(cross)}
        gates = vilbert(len(tt), len(vv), ids["text"], ids["image"])
        both = {"text_ids": ids["text"], "image_ids": ids["image"]}
        found.append(("ViLBERT", {"gates": "vilbert", **fields, **both}, gates))
    return found


def _layers_before(own: list[int], cross: list[int]) -> tuple[int, ...]:
    """For each co-attention the number of self-attentions of a stream that stand before it."""
    return tuple(sum(i < edge for i in own) for edge in cross)


def _are_ids(ids: tuple[int, ...], layers: int) -> bool:
    """Whether a layer of this stream follows each co-attention."""
    return all(a < b for a, b in zip(ids, (*ids[1:], layers), strict=True))


def _check_one_norm(values: Mapping[str, Any], shared: list[int]) -> None:
    """One norm over both streams is the same as the shared norm on each, and needs sharing."""
    if wrong := sorted(_numbers(ONE_NORM, values.get(ONE_NORM, ())) - set(shared)):
        raise ValueError(f"{ONE_NORM} holds {wrong[0]}, and that sublayer's weights are not shared")
