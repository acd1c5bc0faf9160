"""Bytes of photos: what is let in, turned upright and scaled, and what is refused with which reason."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.training.builder.web import encoded, scene
from training.builder.decoding import Bounds, TooSmallError, decode
from training.builder.pointers import UnusableError

BOUNDS = Bounds(min_side=32, max_pixels=100_000, max_side=128)
ORIENTATION = 0x0112


def _with_orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return encoded(scene(1).resize((80, 40)), exif=exif, quality=95)


@pytest.mark.parametrize(("format", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp")])
def test_rgb_of_a_common_format_may_be_kept_as_it_is(format: str, suffix: str) -> None:
    photo = decode(encoded(scene(1), format), BOUNDS)
    assert (photo.image.mode, photo.image.size, photo.width, photo.height, photo.suffix) == ("RGB", (64, 64), 64, 64, suffix)


@pytest.mark.parametrize("format", ["BMP", "TIFF", "MPO"])
def test_other_formats_are_saved_anew(format: str) -> None:
    several = {"save_all": True, "append_images": [scene(2)]} if format == "MPO" else {}
    photo = decode(encoded(scene(1), format, **several), BOUNDS)
    assert photo.suffix is None
    assert np.abs(np.asarray(photo.image).astype(int) - np.asarray(scene(1))).mean() < 8


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_other_modes_become_rgb(mode: str) -> None:
    photo = decode(encoded(scene(1).convert(mode), "PNG"), BOUNDS)
    assert (photo.image.mode, photo.suffix) == ("RGB", None)


def test_cmyk_becomes_rgb() -> None:
    photo = decode(encoded(scene(1).convert("CMYK"), quality=95), BOUNDS)
    assert photo.suffix is None
    assert np.abs(np.asarray(photo.image).astype(int) - np.asarray(scene(1))).mean() < 12


def test_transparent_parts_become_white() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert decode(encoded(image, "PNG"), BOUNDS).image.getpixel((5, 5)) == (255, 255, 255)
    palette = Image.new("P", (64, 64), 0)
    assert decode(encoded(palette, "PNG", transparency=0), BOUNDS).image.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_photo_is_turned_upright(orientation: int) -> None:
    photo = decode(_with_orientation(orientation), BOUNDS)
    upright = (80, 40) if orientation < 5 else (40, 80)
    assert (photo.width, photo.height, photo.image.size, photo.suffix) == (*upright, upright, None)
    stored = np.asarray(decode(_with_orientation(1), BOUNDS).image).astype(int)
    turned = np.asarray(photo.image).astype(int)
    if orientation == 3:
        assert np.abs(turned - stored[::-1, ::-1]).mean() < 1
    if orientation == 6:
        assert np.abs(turned - np.rot90(stored, -1)).mean() < 1


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_photo_is_scaled_down(format: str) -> None:
    photo = decode(encoded(scene(1).resize((300, 200)), format), BOUNDS)
    assert (photo.width, photo.height, photo.image.size, photo.suffix) == (300, 200, (128, 85), None)
    wanted = scene(1).resize((128, 85))
    assert np.abs(np.asarray(photo.image).astype(int) - np.asarray(wanted)).mean() < 8


def test_animation_gives_its_first_picture() -> None:
    data = encoded(scene(1), "WEBP", save_all=True, append_images=[scene(2)], lossless=True)
    photo = decode(data, BOUNDS)
    assert photo.suffix is None
    assert np.array_equal(np.asarray(photo.image), np.asarray(scene(1)))


def test_small_photo_is_refused_but_can_be_shown() -> None:
    with pytest.raises(TooSmallError, match="too small: 64 x 31 pixels, the shorter side is under 32") as caught:
        decode(encoded(scene(1).resize((64, 31))), BOUNDS)
    assert caught.value.photo.image.size == (64, 31)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an image"),
        (b"<html>404</html>", "not an image"),
        (encoded(scene(1), "GIF"), "not an image"),
        (encoded(scene(1))[:900], "damaged"),
        (encoded(scene(1), "PNG")[:2000], "damaged"),
        (encoded(scene(1), "WEBP")[:300], "damaged"),
        (encoded(Image.new("RGB", (400, 300)), "PNG"), "too many pixels"),
        (encoded(Image.fromarray(np.zeros((64, 64), np.uint16)), "PNG"), "not 8 bits a channel"),
    ],
    ids=["empty", "page", "gif", "cut jpeg", "cut png", "cut webp", "many pixels", "16 bits"],
)
def test_what_cannot_be_used_has_a_reason_that_many_share(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableError) as caught:
        decode(data, BOUNDS)
    assert caught.value.reason == reason
    assert caught.value.detail


def test_bomb_is_not_decoded() -> None:
    header = io.BytesIO()
    Image.new("1", (1, 1)).save(header, "PNG")
    data = bytearray(header.getvalue())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = PngImagePlugin._crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(UnusableError, match="too many pixels"):
        decode(bytes(data), BOUNDS)
