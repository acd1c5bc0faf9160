"""Bytes to checked uint8 arrays and back. Pure functions: no request, no model, no file.

Arrays are `(H, W, C)` uint8 in [0, 255], channels RGB, RGBA or gray, sRGB without colour profiles. Sizes are pixels.
Pillow's own threat model asks for what `open_image` does: an allow-list of decoders, the size from the header before any
pixel is decoded, and a copy of the pixels that drops every piece of metadata.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from server.arrays import is_array, read_header
from server.errors import BadImageError, BadParameterError, ImageTooLargeError
from server.manifest import FlexibleSize, Size
from server.tiff import check_mode, first_page, is_tiff

Pixels = npt.NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "WEBP")
"""Told by the bytes themselves; a declared type is never believed."""

PHOTO_TYPES = ("image/tiff", "application/x-npy")
"""What is read where a photo is wanted, besides what is read everywhere."""

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")
JPEG_QUALITY = 90
PNG_LEVEL = 1
"""Of 9: a quarter of the time of the default for a tenth more bytes, on a path where time is what people feel."""

LARGEST_SIDE = {"image/jpeg": 65500, "image/webp": 16383}
"""Pixels that the formats can hold a side; PNG holds more than memory does."""

_QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""

SHEET_GAP = 4
"""Pixels between the pictures of a contact sheet."""


@dataclass(frozen=True)
class ImageLimits:
    """Largest picture that is decoded: width x height, and either side, pixels."""

    max_pixels: int
    max_side: int


@dataclass(frozen=True)
class Fit:
    """How a picture lies on a canvas: scaled by `scale`, at `left, top`, `width x height` canvas pixels."""

    canvas_width: int
    canvas_height: int
    scale: float
    left: int
    top: int
    width: int
    height: int
    original_width: int
    original_height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.width, self.height

    @property
    def fills_canvas(self) -> bool:
        return (self.width, self.height) == (self.canvas_width, self.canvas_height)


@dataclass(frozen=True)
class Picture:
    """A decoded, upright picture. `width` and `height` are those of the file, which may be larger than the pixels here.

    It is one image, or one gray image for each channel of an array that is neither gray nor RGB. `ink` is the polarity of a
    line drawing, where it is known and need not be told from the pixels.
    """

    bands: tuple[Image.Image, ...]
    width: int
    height: int
    ink: Literal["dark", "light"] | None = None

    @property
    def image(self) -> Image.Image:
        return self.bands[0]


def open_image(content: bytes, limits: ImageLimits, enough: int | None = None) -> Picture:
    """Decodes the first frame of a PNG, JPEG or WebP, upright.

    Args:
        content: The file.
        limits: Checked on the header, before pixels are decoded.
        enough: Side in pixels that will do; a JPEG may then be decoded at a smaller scale, never below it.

    Raises:
        BadImageError: not one of the formats, or truncated or damaged.
        ImageTooLargeError: too many pixels or too long a side.
    """
    return _decode(content, limits, enough, FORMATS, "a PNG, JPEG or WebP image")


def open_photo(content: bytes, limits: ImageLimits, enough: int | None = None) -> Picture:
    """Like `open_image`, and the first page of a TIFF or a NumPy array as well; 16 bits and floats become 8 bits.

    Raises:
        BadImageError, ImageTooLargeError: as of `open_image`.
    """
    if is_array(content):
        return _of_array(content, limits)
    if is_tiff(content):  # of any other sort of TIFF, Pillow is not asked to try
        return _decode(first_page(content), limits, enough, ("TIFF",), "a TIFF image of gray or RGB with 8 or 16 bits")
    return _decode(content, limits, enough, FORMATS, "a PNG, JPEG, WebP, TIFF or NumPy image")


def count_pixels(content: bytes) -> int:
    """Width x height by the header of a photo; 0 where it cannot be read, for whoever decodes it to say why."""
    try:
        if is_array(content):
            height, width, _ = read_header(content).shape
            return width * height
        is_page = is_tiff(content)
        page = io.BytesIO(first_page(content) if is_page else content)
        with Image.open(page, formats=("TIFF",) if is_page else FORMATS) as image:
            return image.width * image.height
    except Exception:  # decoders raise whatever they stumble over
        return 0


def _of_array(content: bytes, limits: ImageLimits) -> Picture:
    array = read_header(content)
    height, width, channels = array.shape
    _check_size(width, height, limits)
    pixels = array.pixels()
    if channels == 3:
        return Picture((Image.fromarray(pixels),), width, height)
    return Picture(tuple(Image.fromarray(pixels[:, :, channel]) for channel in range(channels)), width, height)


def _decode(content: bytes, limits: ImageLimits, enough: int | None, formats: tuple[str, ...], accepted: str) -> Picture:
    if not content:
        raise BadImageError(f"The image is empty; send {accepted}.")
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            width, height = image.size
            _check_size(width, height, limits)
            if image.format == "TIFF":
                check_mode(image)
            if enough:
                image.draft(None, (enough, enough))
            image.load()
            if image.getexif().get(ExifTags.Base.Orientation, 1) in _QUARTER_TURNS:
                width, height = height, width
            return Picture((ImageOps.exif_transpose(image),), width, height)
    except (BadImageError, ImageTooLargeError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLargeError(_too_large_text(limits)) from None
    except UnidentifiedImageError:
        raise BadImageError(f"These bytes are not {accepted}; convert the picture to one.") from None
    except Exception as error:  # decoders raise whatever they stumble over: OSError, SyntaxError, struct.error ...
        raise BadImageError(f"The image is truncated or damaged ({_reason(error)}); save it again and resend it.") from None


def _check_size(width: int, height: int, limits: ImageLimits) -> None:
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise ImageTooLargeError(
            f"The image is {width} x {height} pixels; {_too_large_text(limits)}", width=width, height=height
        )


def _too_large_text(limits: ImageLimits) -> str:
    return f"at most {limits.max_pixels} pixels in all and {limits.max_side} a side are accepted: make it smaller."


def _reason(error: Exception) -> str:
    return str(error)[:120] or type(error).__name__


def has_alpha(image: Image.Image) -> bool:
    """Whether any mode of transparency is declared."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grays as 8-bit ones by their full scale; Pillow's own conversion clips at 255 instead."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image).astype(np.float64)
    full_scale = 255.0 if values.size == 0 or (values.max() <= 255 and not image.mode.startswith("I;16")) else 65535.0
    return Image.fromarray(np.clip(values * (255.0 / full_scale) + 0.5, 0, 255).astype(np.uint8))


def to_gray(image: Image.Image, background: int) -> Image.Image:
    """Luma (BT.601), transparent parts laid over `background`."""
    image = to_eight_bits(image)
    if not has_alpha(image):
        return image.convert("L")
    return _laid_over(image.convert("RGBA"), (background,) * 3).convert("L")


def to_rgb(image: Image.Image, background: tuple[int, ...]) -> Image.Image:
    """Colours, transparent parts laid over `background` (RGB)."""
    image = to_eight_bits(image)
    if not has_alpha(image):
        return image.convert("RGB")
    return _laid_over(image.convert("RGBA"), background[:3])


def to_rgba(image: Image.Image) -> Image.Image:
    """Colours and transparency; a picture without transparency is opaque everywhere."""
    return to_eight_bits(image).convert("RGBA")


def _laid_over(image: Image.Image, background: tuple[int, ...]) -> Image.Image:
    paper = Image.new("RGBA", image.size, (*background, 255))
    paper.alpha_composite(image)
    return paper.convert("RGB")


def fit_into(width: int, height: int, size: Size | FlexibleSize) -> Fit:
    """How a picture of `width x height` is laid into the graph's size: whole, centred, with its own proportions."""
    return _laid_into(width, height, *_canvas(width, height, size))


def fit_onto(width: int, height: int, canvas_width: int, canvas_height: int) -> Fit:
    """How a picture of `width x height` is laid onto a canvas of given size: whole, centred, with its own proportions."""
    scale = min(canvas_width / width, canvas_height / height)
    return _laid_into(width, height, canvas_width, canvas_height, scale)


def _laid_into(width: int, height: int, canvas_width: int, canvas_height: int, scale: float) -> Fit:
    fitted_width = min(canvas_width, max(1, round(width * scale)))
    fitted_height = min(canvas_height, max(1, round(height * scale)))
    left, top = (canvas_width - fitted_width) // 2, (canvas_height - fitted_height) // 2
    return Fit(canvas_width, canvas_height, scale, left, top, fitted_width, fitted_height, width, height)


def _canvas(width: int, height: int, size: Size | FlexibleSize) -> tuple[int, int, float]:
    if isinstance(size, Size):
        return size.width, size.height, min(size.width / width, size.height / height)
    step, low, high = size.multiple_of, size.smallest, size.largest
    scale = min(1.0, high / max(width, height))
    if min(width, height) * scale < low:
        scale = min(low / min(width, height), high / max(width, height))
    across, down = (min(high, max(low, math.ceil(round(length * scale) / step) * step)) for length in (width, height))
    return across, down, scale


def resize(image: Image.Image, fit: Fit, resample: Image.Resampling) -> Image.Image:
    """Scales `image` to the fitted size; a no-op at scale 1."""
    size = (fit.width, fit.height)
    return image if image.size == size else image.resize(size, resample, reducing_gap=2.0)


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scales `image` so that it covers the size, and cuts off what is over, as much on either side."""
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def on_canvas(pixels: Pixels, fit: Fit, background: tuple[int, ...]) -> Pixels:
    """Lays fitted pixels `(h, w, C)` onto a canvas of `background`."""
    if fit.fills_canvas:
        return pixels
    canvas = np.empty((fit.canvas_height, fit.canvas_width, pixels.shape[2]), np.uint8)
    canvas[:] = np.array(background, np.uint8)
    canvas[fit.top : fit.top + fit.height, fit.left : fit.left + fit.width] = pixels
    return canvas


def continued(pixels: Pixels, fit: Fit) -> Pixels:
    """Fills the canvas around fitted pixels `(h, w, C)` with their own reflection, so that no edge is seen where they end."""
    above, left = fit.top, fit.left
    below, right = fit.canvas_height - fit.height - above, fit.canvas_width - fit.width - left
    return np.pad(pixels, ((above, below), (left, right), (0, 0)), mode="symmetric")


def cut_out(pixels: Pixels, fit: Fit) -> Pixels:
    """The part of a result that the picture covered, where the result may be larger or smaller than the canvas."""
    return pixels[_box_in(pixels, fit)]


def cleared_around(pixels: Pixels, fit: Fit, value: int) -> Pixels:
    """A result with nothing but `value` where the picture was not."""
    if fit.fills_canvas:
        return pixels
    box, cleared = _box_in(pixels, fit), np.full_like(pixels, value)
    cleared[box] = pixels[box]
    return cleared


def _box_in(pixels: Pixels, fit: Fit) -> tuple[slice, slice]:
    across, down = pixels.shape[1] / fit.canvas_width, pixels.shape[0] / fit.canvas_height
    left, top = round(fit.left * across), round(fit.top * down)
    right = max(left + 1, round((fit.left + fit.width) * across))
    return slice(top, max(top + 1, round((fit.top + fit.height) * down))), slice(left, right)


def restore_size(pixels: Pixels, fit: Fit) -> Pixels:
    """Cuts a result to the picture's box and scales it back to the size that was sent."""
    cut = cut_out(pixels, fit)
    size = (fit.original_width, fit.original_height)
    if (cut.shape[1], cut.shape[0]) == size:
        return cut
    return with_channels(Image.fromarray(_squeezed(cut)).resize(size, Image.Resampling.LANCZOS))


def with_channels(image: Image.Image) -> Pixels:
    """The pixels as `(H, W, C)`, also where there is one channel."""
    pixels: Pixels = np.asarray(image, dtype=np.uint8)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _squeezed(pixels: Pixels) -> Pixels:
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def encode(pixels: Pixels, media_type: str) -> bytes:
    """`(H, W, 1 | 3)` as a file of `media_type`, one of MEDIA_TYPES.

    Raises:
        BadParameterError: the format cannot hold a picture so large.
    """
    check_format_holds(pixels.shape[1], pixels.shape[0], media_type)
    image = Image.fromarray(np.ascontiguousarray(_squeezed(pixels)))
    target = io.BytesIO()
    options: dict[str, Any] = {
        "image/png": {"format": "PNG", "compress_level": PNG_LEVEL},
        "image/jpeg": {"format": "JPEG", "quality": JPEG_QUALITY},
        "image/webp": {"format": "WEBP", "quality": JPEG_QUALITY, "method": 2},
    }[media_type]
    image.save(target, **options)
    return target.getvalue()


def check_format_holds(width: int, height: int, media_type: str) -> None:
    """Refuses a picture of more pixels a side than its format can say.

    Raises:
        BadParameterError: names the format.
    """
    largest = LARGEST_SIDE.get(media_type)
    if largest is not None and max(width, height) > largest:
        name = media_type.removeprefix("image/")
        raise BadParameterError(
            f"The answer is {width} x {height} pixels and 'format' is {name}, which holds {largest} a side; ask for png.",
            parameter="format",
        )


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def sheet_size(count: int, width: int, height: int) -> tuple[int, int]:
    """Width and height of a contact sheet of `count` pictures; one picture is no sheet."""
    columns = _columns(count)
    return columns * (width + SHEET_GAP) - SHEET_GAP, math.ceil(count / columns) * (height + SHEET_GAP) - SHEET_GAP


def contact_sheet(pictures: list[Pixels]) -> Pixels:
    """Pictures of one size in rows, as square as they come, with white between them."""
    columns = _columns(len(pictures))
    height, width, channels = pictures[0].shape
    across, down = sheet_size(len(pictures), width, height)
    sheet = np.full((down, across, channels), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = (number // columns) * (height + SHEET_GAP), (number % columns) * (width + SHEET_GAP)
        sheet[top : top + height, left : left + width] = picture
    return sheet
