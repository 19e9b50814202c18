from __future__ import annotations

from value_nb.models.gates import Gates, lxmert, single_stream, vilbert


def on(gates: Gates, direction: str) -> list[int]:
    return [i for i, step in enumerate(gates.sublayers) if direction in step.directions]


def feed_forward(gates: Gates, stream: str) -> list[int]:
    return [i for i, step in enumerate(gates.sublayers) if not step.directions and stream in step.streams]


def test_single_stream_gates_of_twelve_layers() -> None:
    gates = single_stream(12)
    even = list(range(0, 24, 2))
    assert all(on(gates, d) == even for d in ("text->text", "text->image", "image->text", "image->image"))
    assert feed_forward(gates, "text") == feed_forward(gates, "image") == list(range(1, 24, 2))
    assert gates.stacks == {"joint": 12}
    assert all(step.shared for step in gates.sublayers)


def test_lxmert_gates_as_published() -> None:
    gates = lxmert(9, 5, 5)
    self_steps = [19, 22, 25, 28, 31]
    assert on(gates, "text->text") == [*range(0, 17, 2), *self_steps]
    assert on(gates, "image->image") == [*range(0, 9, 2), *self_steps]
    assert on(gates, "text->image") == on(gates, "image->text") == [18, 21, 24, 27, 30]
    assert feed_forward(gates, "text") == [*range(1, 18, 2), 20, 23, 26, 29, 32]
    assert feed_forward(gates, "image") == [1, 3, 5, 7, 9, 20, 23, 26, 29, 32]
    assert [i for i, step in enumerate(gates.sublayers) if step.shared] == [18, 21, 24, 27, 30]
    assert gates.stacks == {"text": 9, "image": 5, "cross": 5}


def test_vilbert_gates_as_published() -> None:
    gates = vilbert(12, 6, tuple(range(6, 12)), tuple(range(6)))
    assert on(gates, "text->text") == [0, 2, 4, 6, 8, 10, 14, 18, 22, 26, 30, 34]
    assert on(gates, "image->image") == [14, 18, 22, 26, 30, 34]
    assert on(gates, "text->image") == on(gates, "image->text") == [12, 16, 20, 24, 28, 32]
    assert feed_forward(gates, "text") == list(range(1, 36, 2))
    assert feed_forward(gates, "image") == list(range(13, 36, 2))
    assert not any(step.shared for step in gates.sublayers)
    assert gates.stacks == {"text": 6, "cross": 6}


def test_more_image_than_text_layers_before_the_cross_layers() -> None:
    gates = lxmert(1, 3, 1)
    assert on(gates, "text->text") == [0, 7] and on(gates, "image->image") == [0, 2, 4, 7]
    assert gates.first("cross") == 6


def test_two_text_layers_after_one_co_attention_publish_the_last() -> None:
    gates = vilbert(4, 2, (1, 3), (0, 1))
    place = ("cross", 1)
    assert len(gates.attention_sublayers(place, "text->text")) == 2
    assert len(gates.attention_sublayers(place, "image->image")) == 1
    assert gates.stacks == {"text": 1, "cross": 2}


def test_every_step_of_a_stream_belongs_to_a_published_layer() -> None:
    for gates in (single_stream(3), lxmert(3, 2, 2), vilbert(5, 3, (2, 4), (0, 1))):
        places = {(stack, layer) for stack, n in gates.stacks.items() for layer in range(1, n + 1)}
        assert {place for step in gates.sublayers for place in step.places.values()} == places
