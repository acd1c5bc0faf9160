from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from server.errors import ApiError, BadImageError, ImageTooLargeError
from server.imaging import (
    ImageLimits,
    contact_sheet,
    encode,
    fit_into,
    on_canvas,
    open_image,
    restore_size,
    to_gray,
    to_rgb,
    to_rgba,
)
from server.manifest import FlexibleSize, Size
from tests.server.conftest import encoded, pixels, png

LIMITS = ImageLimits(max_pixels=10_000, max_side=200)
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
RED = Image.new("RGB", (6, 4), (255, 0, 0))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_accepted_formats_are_decoded(image_format: str) -> None:
    picture = open_image(encoded(RED, image_format), LIMITS)
    assert (picture.width, picture.height) == (6, 4)
    assert np.asarray(to_rgb(picture.image, (0, 0, 0)))[..., 0].min() > 240


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_they_are_called(image_format: str) -> None:
    with pytest.raises(BadImageError, match="not a PNG, JPEG or WebP"):
        open_image(encoded(RED, image_format), LIMITS)


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(BadImageError):
        open_image(content, LIMITS)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(image_format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(noise, image_format)
    with pytest.raises(BadImageError):
        open_image(content[: int(len(content) * share)], LIMITS)


@pytest.mark.parametrize(("width", "height"), [(101, 100), (201, 1), (1, 201), (60_000, 60_000), (12_000, 12_000)])
def test_too_large_is_known_from_the_header(width: int, height: int) -> None:
    with pytest.raises(ImageTooLargeError, match="at most 10000 pixels in all and 200 a side"):
        open_image(png_header(width, height), LIMITS)


def test_a_compressed_text_bomb_is_refused() -> None:
    target = io.BytesIO()
    info = PngInfo()
    info.add_text("note", "0" * 80_000_000, zip=True)
    RED.save(target, "PNG", pnginfo=info)
    with pytest.raises(BadImageError, match="damaged"):
        open_image(target.getvalue(), LIMITS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.new("RGB", (6, 4), (0, 0, 0))
    picture = open_image(encoded(upright, "JPEG", exif=exif), LIMITS)
    expected = (4, 6) if orientation >= 5 else (6, 4)
    assert (picture.width, picture.height) == picture.image.size == expected


def test_a_jpeg_may_be_decoded_at_a_smaller_scale_but_keeps_its_size() -> None:
    picture = open_image(encoded(Image.new("RGB", (120, 80)), "JPEG"), LIMITS, enough=40)
    assert (picture.width, picture.height) == (120, 80)
    assert picture.image.size == (60, 40)


def test_one_pixel_is_an_image() -> None:
    assert open_image(png(Image.new("L", (1, 1), 7)), LIMITS).image.getpixel((0, 0)) == 7


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    wide = Image.fromarray(RAMP.astype(np.uint16) * 257)
    gray = np.asarray(to_gray(open_image(png(wide), LIMITS).image, 255))
    np.testing.assert_array_equal(gray, RAMP)


def test_cmyk_becomes_rgb() -> None:
    picture = open_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), LIMITS)
    red, green, blue = to_rgb(picture.image, (0, 0, 0)).getpixel((4, 4))
    assert red > 200
    assert max(green, blue) < 60


def test_palette_with_transparency_lies_on_the_background() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    opened = open_image(encoded(image, "PNG", transparency=1), LIMITS).image
    assert list(to_rgb(opened, (9, 8, 7)).get_flattened_data()) == [(255, 0, 0), (9, 8, 7)]


def test_gray_with_alpha_lies_on_the_background() -> None:
    image = Image.new("LA", (2, 1), (10, 255))
    image.putpixel((1, 0), (10, 0))
    assert list(to_gray(open_image(png(image), LIMITS).image, 200).get_flattened_data()) == [10, 200]


def test_one_bit_becomes_gray() -> None:
    image = Image.new("1", (2, 1), 0)
    image.putpixel((1, 0), 1)
    assert list(to_gray(open_image(png(image), LIMITS).image, 0).get_flattened_data()) == [0, 255]


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(image_format: str) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ((255, 0, 0), (0, 0, 255))]
    content = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], lossless=True)
    assert to_rgb(open_image(content, LIMITS).image, (0, 0, 0)).getpixel((0, 0)) == (255, 0, 0)


def test_opaque_pictures_become_opaque_rgba() -> None:
    assert to_rgba(RED).getpixel((0, 0)) == (255, 0, 0, 255)


def test_results_carry_no_metadata() -> None:
    content = encode(np.zeros((4, 4, 3), np.uint8), "image/png")
    assert Image.open(io.BytesIO(content)).info == {}


@given(st.binary(max_size=400), st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_are_decoded_or_refused_but_never_crash(junk: bytes, image_format: str, place: int) -> None:
    content = bytearray(encoded(RAMP, image_format))
    start = place % len(content)
    content[start : start + len(junk)] = junk
    with contextlib.suppress(ApiError):
        assert open_image(bytes(content), LIMITS).image.width <= LIMITS.max_side


@pytest.mark.parametrize(
    ("width", "height", "box", "scale"),
    [
        (256, 256, (0, 0, 256, 256), 1.0),
        (512, 256, (0, 64, 256, 128), 0.5),
        (100, 200, (64, 0, 128, 256), 1.28),
        (1, 1, (0, 0, 256, 256), 256.0),
        (5000, 1, (0, 127, 256, 1), 0.0512),
    ],
)
def test_a_picture_is_laid_whole_and_centred(width: int, height: int, box: tuple[int, ...], scale: float) -> None:
    fit = fit_into(width, height, Size(height=256, width=256))
    assert fit.box == box
    assert fit.scale == pytest.approx(scale)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 64), st.integers(1, 300), st.integers(300, 2000))
@settings(max_examples=300, deadline=None)
def test_a_flexible_canvas_obeys_its_rules(width: int, height: int, step: int, low: int, high: int) -> None:
    high = max(high, -(-low // step) * step)
    fit = fit_into(width, height, FlexibleSize(multiple_of=step, min=low, max=high))
    for side in (fit.canvas_width, fit.canvas_height):
        assert side % step == 0
        assert low <= side <= high
    assert 0 <= fit.left <= fit.canvas_width - fit.width
    assert 0 <= fit.top <= fit.canvas_height - fit.height


def test_a_flexible_canvas_leaves_allowed_sizes_alone() -> None:
    fit = fit_into(96, 64, FlexibleSize(multiple_of=8, min=16, max=128))
    assert (fit.canvas_width, fit.canvas_height, fit.scale) == (96, 64, 1.0)


def test_the_background_surrounds_what_does_not_fill_the_canvas() -> None:
    fit = fit_into(4, 2, Size(height=4, width=4))
    canvas = on_canvas(np.zeros((2, 4, 1), np.uint8), fit, (9,))
    assert canvas[:, 0, 0].tolist() == [9, 0, 0, 9]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_result_is_cut_and_scaled_back_to_the_size_that_was_sent(channels: int) -> None:
    fit = fit_into(40, 20, Size(height=16, width=16))
    result = np.zeros((32, 32, channels), np.uint8)
    result[8:24] = 200
    restored = restore_size(result, fit)
    assert restored.shape == (20, 40, channels)
    assert restored.min() == 200


@pytest.mark.parametrize(("count", "shape"), [(1, (4, 4)), (2, (4, 12)), (5, (12, 20)), (16, (28, 28))])
def test_a_contact_sheet_is_as_square_as_it_comes(count: int, shape: tuple[int, int]) -> None:
    sheet = contact_sheet([np.full((4, 4, 1), number, np.uint8) for number in range(count)])
    assert sheet.shape == (*shape, 1)


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_survive_encoding(media_type: str, channels: int) -> None:
    picture = np.repeat(np.repeat(RAMP, 2, 0), 2, 1)[:, :, None].repeat(channels, 2)
    back = pixels(encode(picture, media_type)).reshape(32, 32, -1)[:, :, :channels].astype(int)
    assert np.abs(back - picture).mean() < 3  # quality 90 on a coarse ramp
