"""Bytes of anyone's photo, checked and decoded: upright RGB within bounds. It writes nothing and compares nothing."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from training.builder.pointers import UnusableError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""JPEG includes MPO, what phones write that put several pictures into one file; the first is the photo."""

KEPT_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
"""Formats whose bytes may be kept as they came."""

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
"""Those of up to 8 bits a channel; Pillow clips others at 255."""

_QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@dataclass(frozen=True)
class Bounds:
    """What sizes a photo may have, pixels.

    Attributes:
        min_side: A shorter side is rejected.
        max_pixels: More are rejected, by the file's header, before any is decoded.
        max_side: A longer side is scaled down to this.
    """

    min_side: int
    max_pixels: int
    max_side: int


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        image: RGB, upright, no side longer than the bound.
        width, height: Of the file, upright, before it was scaled.
        suffix: For a file of the bytes as they came, where these are this very image; None where it must be saved anew.
    """

    image: Image.Image
    width: int
    height: int
    suffix: str | None


def decode(data: bytes, bounds: Bounds) -> Photo:
    """Decodes the whole of the first picture of a file.

    Raises:
        UnusableError: It is no image, is damaged, or is outside the bounds; `TooSmallError` where it is too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about odd metadata and about sizes, which are checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _checked(image, bounds)
    except UnusableError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusableError("too many pixels", str(error)) from error
    except UnidentifiedImageError:
        raise UnusableError("not an image", f"{len(data):,} bytes, not {', '.join(FORMATS)}") from None
    except Exception as error:  # decoders raise whatever they stumble over: OSError, SyntaxError, struct.error ...
        raise UnusableError("damaged", str(error)[:200] or type(error).__name__) from error


class TooSmallError(UnusableError):
    """A photo with fewer pixels than are wanted; it can still be shown."""

    def __init__(self, photo: Photo, min_side: int) -> None:
        super().__init__("too small", f"{photo.width} x {photo.height} pixels, the shorter side is under {min_side}")
        self.photo = photo


def _checked(image: Image.Image, bounds: Bounds) -> Photo:
    width, height = image.size
    if width * height > bounds.max_pixels:
        raise UnusableError("too many pixels", f"{width} x {height} pixels, more than {bounds.max_pixels:,}")
    if image.mode not in MODES:
        raise UnusableError("not 8 bits a channel", f"Pillow's mode {image.mode}")
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    is_as_sent = (
        image.format in KEPT_SUFFIXES
        and image.mode == "RGB"
        and "transparency" not in image.info
        and orientation == 1
        and max(width, height) <= bounds.max_side
        and getattr(image, "n_frames", 1) == 1
    )
    suffix = KEPT_SUFFIXES[str(image.format)] if is_as_sent else None
    share = min(1.0, bounds.max_side / max(width, height))
    image.draft(None, (math.ceil(width * share), math.ceil(height * share)))  # JPEG only: decodes at a fraction, if enough
    image.load()
    upright = _as_rgb(ImageOps.exif_transpose(image))
    upright.thumbnail((bounds.max_side, bounds.max_side), Image.Resampling.LANCZOS)
    if orientation in _QUARTER_TURNS:
        width, height = height, width
    photo = Photo(upright, width, height, suffix)
    if min(width, height) < bounds.min_side:
        raise TooSmallError(photo, bounds.min_side)
    return photo


def _as_rgb(image: Image.Image) -> Image.Image:
    """Without transparency: over white, as paper is."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
