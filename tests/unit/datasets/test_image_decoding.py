"""Decoding: color, size, and what is refused."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from gauntlet.datasets.decoding import decode
from gauntlet.errors import DataError


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def photograph() -> Image.Image:
    """A smooth image with an odd aspect."""
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    return small.resize((335, 271), Image.Resampling.BICUBIC)


def test_a_png_keeps_every_pixel():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    decoded = decode(encode(Image.fromarray(pixels)), "x", (3, 2, 3), None)
    np.testing.assert_array_equal(decoded, pixels.transpose(2, 0, 1))


def test_a_gray_image_fills_three_channels_and_a_color_image_becomes_gray_where_asked():
    gray = Image.fromarray(np.array([[7, 200]], dtype=np.uint8))
    np.testing.assert_array_equal(decode(encode(gray), "x", (3, 1, 2), None), [[[7, 200]]] * 3)
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    # ITU-R 601 luma of pure red: 0.299 * 255 = 76.
    np.testing.assert_array_equal(decode(encode(red), "x", (1, 1, 1), None), [[[76]]])


@pytest.mark.parametrize("size", [(335, 271), (271, 335), (300, 300), (500, 233)])
def test_resizing_the_shorter_side_and_cropping_is_what_torchvision_does(photograph, size):
    from torchvision.transforms import v2

    source = photograph.resize(size)
    expected = v2.CenterCrop(224)(
        v2.Resize(256, interpolation=v2.InterpolationMode.BILINEAR, antialias=True)(source)
    )
    decoded = decode(encode(source), "x", (3, 224, 224), 256)
    np.testing.assert_array_equal(decoded, np.asarray(expected).transpose(2, 0, 1))


def test_square_cuts_the_centre_before_it_scales():
    pixels = np.zeros((2, 6, 3), dtype=np.uint8)
    pixels[:, 2:4] = 90
    np.testing.assert_array_equal(
        decode(encode(Image.fromarray(pixels)), "x", (3, 1, 1), "square"), [[[90]]] * 3
    )


def test_stretch_uses_the_whole_image():
    pixels = np.zeros((2, 4, 3), dtype=np.uint8)
    pixels[:, 2:] = 100
    # Triangular weights over twice two pixels: 0.75, 0.75 and 0.25 of each edge, so 100 * 0.25 / 1.75 = 14.3.
    decoded = decode(encode(Image.fromarray(pixels)), "x", (3, 1, 2), "stretch")
    np.testing.assert_array_equal(decoded[0], [[14, 86]])


def test_another_size_is_refused_with_the_remedy(photograph):
    with pytest.raises(DataError, match=r"a\.png is 335 wide and 271 high instead of 32 and 32; .*resize"):
        decode(encode(photograph), "a.png", (3, 32, 32), None)


def test_a_crop_larger_than_the_resized_image_is_refused(photograph):
    with pytest.raises(DataError, match="instead of 300 and 300"):
        decode(encode(photograph), "a.png", (3, 300, 300), 256)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_image_names_itself(photograph, kind):
    whole = encode(photograph, kind)
    with pytest.raises(DataError, match=r"bad\.img is not a readable image"):
        decode(whole[: len(whole) // 2], "bad.img", (3, 271, 335), None)


def test_what_is_no_image_names_itself():
    with pytest.raises(DataError, match=r"bad\.jpg is not a readable image"):
        decode(b"not an image", "bad.jpg", (3, 4, 4), None)


def test_sixteen_bits_per_channel_are_refused():
    deep = Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16))
    with pytest.raises(DataError, match="more than 8 bits"):
        decode(encode(deep), "deep.png", (1, 4, 4), None)


def test_a_decompression_bomb_is_refused_before_it_unfolds():
    """Its few kilobytes would unfold to 100 million pixels."""
    bomb = encode(Image.new("1", (10_000, 10_000)))
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(DataError, match="pixels, which is refused"):
        decode(bomb, "bomb.png", (3, 32, 32), "stretch")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 22


def test_a_file_of_no_known_format_is_called_by_its_name_alone():
    with pytest.raises(DataError, match="of no known format") as caught:
        decode(b"<html>404</html>", "set/cat/1.png", (3, 2, 2), None)
    assert "BytesIO" not in str(caught.value)
