from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tiny import FEATURE_SIZE, tiny_model
from tests.tiny_vilt import draw, tiny_vilt
from value_nb.data import pictures
from value_nb.data.example import Phrase, Regions
from value_nb.data.grid_boxes import regions_note
from value_nb.data.own_picture import own_picture, split_caption
from value_nb.data.pictures import read_picture

BOXES = [[0.0, 0.0, 0.5, 1.0], [0.25, 0.25, 1.0, 1.0]]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw(tmp_path / "it.png", (64, 48), seed=3)


def as_bytes(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def shown(path: Path | None) -> np.ndarray:
    """What a panel and a model make of the file."""
    assert path is not None
    with Image.open(path) as found:
        return np.asarray(found.convert("RGB"))


def test_a_grid_stands_for_regions_and_says_so(picture: Path) -> None:
    example = own_picture(picture, "A dog.", grid=(2, 3))
    assert example.words == ("A", "dog", ".") and example.size == (64, 48)
    assert example.image == picture.resolve(), "a plain picture needs no copy"
    assert example.regions is not None and example.regions.sources == ("grid",) * 6
    assert example.regions.names[4] == "grid 1,1" and example.regions.features is None
    assert example.extra["regions"] == regions_note(example) == "grid boxes, not detected regions"
    assert example.dataset == "own picture" and example.id.startswith("own-")
    assert own_picture(str(picture), "A dog.", grid=(2, 3)) == example, "from a string, the same"


def test_content_becomes_a_file(picture: Path) -> None:
    example = own_picture(picture.read_bytes(), "A dog.")
    assert example.image is not None and example.image != picture and example.image.is_file()
    np.testing.assert_array_equal(shown(example.image), shown(picture))
    again = own_picture(picture.read_bytes(), "A cat.")
    assert again.image == example.image and again.image_id == example.image_id
    assert [*example.image.parent.glob("*.partial")] == []


def test_regions_of_the_reader(picture: Path, tmp_path: Path) -> None:
    features = np.arange(2 * FEATURE_SIZE).reshape(2, FEATURE_SIZE)
    given_: dict[str, Any] = {"boxes": BOXES, "features": features, "names": ["man", "dog"]}
    np.savez(tmp_path / "it.npz", **given_)
    one = own_picture(picture, "a man", given_)
    two = own_picture(picture, "a man", tmp_path / "it.npz")
    assert one == two and one.regions is not None
    assert one.regions.sources == ("detected",) * 2 and regions_note(one) == "" and one.extra == {}
    np.testing.assert_array_equal(one.regions.features, features)
    own = Regions(np.array(BOXES, dtype=np.float32), None, ("", "x"), ("annotated",) * 2)
    assert own_picture(picture, "a man", own).regions == own
    model = tiny_model("uniter")
    assert model.trace(one).attention("text->image", 1).shape == (2, 3)
    wide = {**given_, "features": np.zeros((2, 3))}
    with pytest.raises(ValueError, match=r"tiny-uniter takes \(2, 10\)"):
        model.prepare(own_picture(picture, "a man", wide))
    with pytest.raises(ValueError, match="have no features"):
        model.prepare(own_picture(picture, "a man"))


def test_a_vilt_needs_the_picture_alone(picture: Path) -> None:
    example = own_picture(picture, "a man holds a dog", grid=(2, 2))
    trace = tiny_vilt().trace(example)
    frame = trace.attention("text->image", 1)
    assert list(frame.columns) == ["r0 grid 0,0", "r1 grid 0,1", "r2 grid 1,0", "r3 grid 1,1", "unassigned"]
    raw = trace.attention("text->image", 1, unit="position").to_numpy()
    np.testing.assert_allclose(frame.iloc[:, :4].sum(axis=1), raw[1:6, 1:].sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ({"features": [[1.0]]}, "boxes are missing"),
        ({"boxes": BOXES, "colour": 1}, "'colour' is not known"),
        ({"boxes": []}, "no boxes"),
        ({"boxes": [[0, 0, 10, 10]]}, "divide pixels by width and height"),
        ({"boxes": [[0, 0, np.nan, 1]]}, "fractions of the picture"),
        ({"boxes": [[0.5, 0, 0.5, 1]]}, "expected x1 < x2"),
        ({"boxes": [0, 0, 1, 1]}, r"expected \(box, 4\)"),
        ({"boxes": BOXES, "features": np.zeros(2)}, r"features has shape \(2,\); expected \(region, width\)"),
        ({"boxes": BOXES, "features": np.zeros((3, 4))}, "with 2 regions"),
        ({"boxes": BOXES, "features": [["a"], ["b"]]}, "features holds no numbers"),
        ({"boxes": BOXES, "features": [[np.inf], [0]]}, "not finite"),
        ({"boxes": BOXES, "names": ["one"]}, "1 names for 2 boxes"),
        ({"boxes": BOXES, "confidence": [[0.5], [0.5]]}, r"expected \(region,\)"),
        (3, "regions is int"),
        ("nowhere.npz", "there is no file nowhere.npz"),
    ],
)
def test_regions_that_cannot_be(picture: Path, regions: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own_picture(picture, "a man", regions)


def test_files_that_are_no_arrays(picture: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    np.savez(tmp_path / "pickled.npz", boxes=np.array([Trap()], dtype=object))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "text.npz").write_text("boxes")
    np.save(tmp_path / "one.npy", np.array(BOXES))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "pickled.npz").read_bytes()[:40])
    for name in ("pickled.npz", "raw.npz", "text.npz", "one.npy", "cut.npz"):
        with pytest.raises(ValueError, match=rf"{name.replace('.', '[.]')} is no .npz of plain arrays"):
            own_picture(picture, "a man", tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_an_array_that_unfolds_is_refused(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "large.npz", boxes=np.array(BOXES), features=np.zeros((2, 40_000)))
    monkeypatch.setattr("value_nb.data.own_picture.MOST_ARRAY", 100_000)
    with pytest.raises(ValueError, match="its arrays unfold to 640,"):
        own_picture(picture, "a man", tmp_path / "large.npz")


# -- phrases and captions ------------------------------------------------------------------------------------


def test_phrases(picture: Path) -> None:
    example = own_picture(picture, "A man and a man's dog.", phrases={"a man": [0, 1], "Dog": (3,)})
    assert [(p.first, p.last, p.regions, p.chain) for p in example.phrases] == [
        (0, 1, (0, 1), "1"), (5, 5, (3,), "2")
    ]  # fmt: skip
    own = (Phrase(0, 0, "7", ("people",), (2,)),)
    assert own_picture(picture, "a man", phrases=own).phrases == own
    with pytest.raises(ValueError, match="'a cat' is not in the caption; its words: a, man"):
        own_picture(picture, "a man", phrases={"a cat": [0]})
    with pytest.raises(ValueError, match="shows region 16; there are regions 0 to 15"):
        own_picture(picture, "a man", phrases={"man": [16]})
    with pytest.raises(ValueError, match="does not lie in the caption, which has 2 words"):
        own_picture(picture, "a man", phrases=[Phrase(1, 2, "0", ("other",))])


@pytest.mark.parametrize("caption", ["", "  \n\t", "\u200b\u200d", "\x00\x07", "\u0301", "\u202e"])
def test_a_caption_without_a_word(picture: Path, caption: str) -> None:
    with pytest.raises(ValueError, match="has no word"):
        own_picture(picture, caption)


def test_captions_of_any_script() -> None:
    assert split_caption("👩\u200d🚀 and 🐶!") == ("👩\u200d🚀", "and", "🐶", "!")
    assert split_caption("رجلٌ، وكلب.") == ("رجلٌ", "،", "وكلب", ".")
    assert split_caption("It isn't (really)\x00so") == ("It", "isn't", "(", "really", ")", "so")
    assert split_caption("“$5”") == ("“", "$5", "”")
    with pytest.raises(ValueError, match="half a character"):
        split_caption("a \ud800 dog")
    with pytest.raises(ValueError, match="the caption is NoneType"):
        split_caption(None)  # type: ignore[arg-type]


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_no_text_breaks_the_splitting(caption: str) -> None:
    """Words are parts of the caption in order, without spaces; or there is a documented error."""
    try:
        words = split_caption(caption)
    except ValueError as problem:
        assert "has no word" in str(problem) or "half a character" in str(problem)
        return
    place = 0
    for word in words:
        assert word and not any(c.isspace() for c in word)
        place = caption.index(word, place) + len(word)


@pytest.mark.parametrize("caption", ["🐶 🎩", "كلب كبير", "a\u0301 b"])
def test_words_that_a_vocabulary_lacks_are_unknown(picture: Path, caption: str) -> None:
    trace = tiny_vilt().trace(own_picture(picture, caption))
    assert "[UNK]" in trace.streams["text"].tokens or "a" in trace.streams["text"].tokens
    assert trace.attention("text->image", 1).shape == (len(caption.split()), 17)


# -- hostile pictures ----------------------------------------------------------------------------------------


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\x00" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(7_100, 7_100), (10_000, 10_000), (60_000, 60_000)])
def test_a_picture_that_unfolds_is_refused(width: int, height: int) -> None:
    """Below Pillow's own limit, between its warning and its error, and above."""
    with pytest.raises(ValueError, match="at most 50,000,000 pixels: scale it down first"):
        own_picture(png_of(width, height), "a man")


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no picture; expected one of PNG, JPEG|cannot be decoded"):
        own_picture(content, "a man")
    path = tmp_path / "it.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"it\.png (is no picture|cannot be decoded)"):
        own_picture(path, "a man")


def test_files_that_are_not_there_or_cut_off(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*gone\.png"):
        own_picture(tmp_path / "gone.png", "a man")
    with pytest.raises(ValueError, match="there is no file"):
        own_picture(tmp_path, "a man")
    with pytest.raises(ValueError, match="cannot be decoded, it is cut off or damaged"):
        own_picture(picture.read_bytes()[:-200], "a man")
    monkeypatch.setattr(pictures, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="expected at most 100"):
        own_picture(picture, "a man")


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_give_a_picture_or_the_documented_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]))
    content = bytearray(as_bytes(Image.new("RGB", (9, 7), (10, 200, 30)), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_picture(bytes(content[: data.draw(st.integers(1, len(content)))]))
    except ValueError:
        return
    assert found.mode == "RGB" and min(found.size) > 0


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    """Orientation 6: the stored picture's left side is up."""
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:, :20] = (250, 0, 0)
    tags = Image.Exif()
    tags[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=tags)
    example = own_picture(path, "a man")
    assert example.size == (20, 40) and example.image != path
    upright = shown(example.image)
    assert upright.shape == (40, 20, 3) and (upright[:20, :, 0] > 200).all() and (upright[20:] == 0).all()
    assert read_picture(path).size == (40, 20), "data sets are read as they are stored"


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "1", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    colours = Image.new("RGB", (6, 5), (200, 100, 50))
    if mode == "I;16":
        stored = Image.fromarray(np.full((5, 6), 0x8000, dtype=np.uint16))
    else:
        stored = colours.convert(mode)
    example = own_picture(as_bytes(stored, "TIFF" if mode == "CMYK" else "PNG"), "a man")
    pixels = shown(example.image)
    assert pixels.shape == (5, 6, 3)
    want = {"RGBA": (200, 100, 50), "I;16": (128, 128, 128), "L": (124, 124, 124)}.get(mode)
    if want:
        assert pixels[0, 0].tolist() == pytest.approx(want, abs=1)


def test_transparent_is_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (shown(own_picture(as_bytes(clear), "a man").image) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 255] * 4)
    found = shown(own_picture(as_bytes(palette, "GIF", transparency=0), "a man").image)
    assert (found == 255).all()


def test_one_pixel(picture: Path) -> None:
    example = own_picture(as_bytes(Image.new("RGB", (1, 1), (1, 2, 3))), "a man")
    assert example.size == (1, 1) and tiny_vilt().trace(example).attention("text->image", 1).shape == (2, 17)


@pytest.mark.parametrize("grid", [(0, 4), (4, 65), 4, (4,), (2.0, 2), ("a", "b")])
def test_grids_that_cannot_be(picture: Path, grid: Any) -> None:
    with pytest.raises(ValueError, match="grid"):
        own_picture(picture, "a man", grid=grid)
