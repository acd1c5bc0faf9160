"""Picture files of any depth and number of channels, read for training as a server would read them. It pairs nothing.

PNG, JPEG, WebP, BMP, TIFF and NumPy arrays; gray, RGB or up to 16 channels. What comes out has 8 bits a channel, because that
is what a served graph takes: 16 bits and floats by their full scale, transparent parts over white.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from training.datasets import ImagesU8
from training.photos import SUFFIXES, to_luma

RASTER_SUFFIXES = SUFFIXES | {".npy"}
MAX_CHANNELS = 16
LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg", ".webp"})

_ALPHA = {1, 2}
"""ExtraSamples of a TIFF that are transparency, premultiplied or not."""


class RasterError(ValueError):
    """A file holds no picture that can be used; the message is a reason in a few words."""


@dataclass(frozen=True)
class Raster:
    """One picture, upright: `pixels` (H, W, C) uint8.

    Attributes:
        values: Lowest and highest value as shares of the full scale, for files of more than 8 bits. A file that uses a small
            part of its scale keeps few of 256 steps.
    """

    pixels: ImagesU8
    values: tuple[float, float] | None = None

    @property
    def channels(self) -> int:
        return int(self.pixels.shape[-1])

    def part(self, left: int, right: int) -> Raster:
        """The columns from `left` to before `right`."""
        return Raster(self.pixels[:, left:right], self.values)


def read_raster(path: Path) -> Raster:
    """One file, by the ending of its name.

    Raises:
        RasterError: It cannot be read, or holds something else than 1 to 16 channels of 8 or 16 bits or floats from 0 to 1.
    """
    try:
        if path.suffix.lower() == ".npy":
            return _of_array(np.load(path, allow_pickle=False))
        bands = _bands(path) if path.suffix.lower() in (".tif", ".tiff") else None
        return _of_array(bands) if bands is not None else _of_image(path)
    except RasterError:
        raise
    except (OSError, ValueError, EOFError, SyntaxError, KeyError, Image.DecompressionBombError) as error:
        raise RasterError("cannot be read") from error


def square(pixels: ImagesU8, size: int, resample: Image.Resampling = Image.Resampling.LANCZOS) -> ImagesU8:
    """The largest centred square at `size` pixels, each channel on its own: (H, W, C) to (size, size, C)."""
    if pixels.shape[-1] == 3:
        return _fitted(pixels, size, resample)
    return np.stack([_fitted(pixels[..., k], size, resample) for k in range(pixels.shape[-1])], axis=-1)


def square_lines(gray: ImagesU8, size: int) -> ImagesU8:
    """Dark lines on white paper, (H, W, 1), as `square`; thin ones stay visible when shrunk, as they do on a server."""
    side = min(gray.shape[:2])
    top, left = (gray.shape[0] - side) // 2, (gray.shape[1] - side) // 2
    lines, block = gray[top : top + side, left : left + side, 0], side // size
    if block >= 2:
        rest = -side % block
        blocks = np.pad(lines, ((0, rest), (0, rest)), mode="edge").reshape((side + rest) // block, block, -1, block)
        # The mean alone fades a thin line to pale gray; the darkest alone makes it jagged.
        halfway = (blocks.mean(axis=(1, 3), dtype=np.float32) + blocks.min(axis=(1, 3))) / 2
        lines = (halfway + 0.5).astype(np.uint8)
    return _fitted(lines, size, Image.Resampling.BICUBIC)[..., None]


def as_gray(pixels: ImagesU8) -> ImagesU8:
    """Gray or RGB as gray, (H, W, 1).

    Raises:
        RasterError: It has another number of channels.
    """
    if pixels.shape[-1] not in (1, 3):
        raise RasterError(f"has {pixels.shape[-1]} channels, not gray or RGB")
    return pixels if pixels.shape[-1] == 1 else to_luma(pixels)


def as_rgb(pixels: ImagesU8) -> ImagesU8:
    """Gray or RGB as RGB, (H, W, 3).

    Raises:
        RasterError: It has another number of channels.
    """
    if pixels.shape[-1] not in (1, 3):
        raise RasterError(f"has {pixels.shape[-1]} channels, not gray or RGB")
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)


def _fitted(pixels: ImagesU8, size: int, resample: Image.Resampling) -> ImagesU8:
    fitted: ImagesU8 = np.asarray(ImageOps.fit(Image.fromarray(np.ascontiguousarray(pixels)), (size, size), resample))
    return fitted


def _bands(path: Path) -> NDArray[Any] | None:
    """A TIFF's page of a number of channels that Pillow does not know, (H, W, C); None for gray and RGB."""
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        _require_one_picture(file)
        is_picture = page.samplesperpixel in (1, 3) or set(map(int, page.extrasamples or ())) & _ALPHA
        if is_picture:
            _require_bits(page.dtype)
            return None
        array: NDArray[Any] = page.asarray()
    is_planar = array.shape[0] == page.samplesperpixel and array.shape[-1] != page.samplesperpixel
    return np.moveaxis(array, 0, -1) if is_planar else array


def _require_one_picture(file: tifffile.TiffFile) -> None:
    """Raises RasterError for bands that are pages. Thumbnails and overviews, which are smaller, are passed over."""
    shapes = [page.shape for page in file.pages]
    if shapes.count(shapes[0]) > 1:
        raise RasterError(f"has {shapes.count(shapes[0])} pages; save them as channels of one page or as .npy")


def _of_image(path: Path) -> Raster:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("I", "F") and image.format != "PNG":
            raise RasterError("has 32 bits a channel; save 8 or 16 bits, or floats from 0 to 1 as .npy")
        if upright.mode.startswith("I"):
            return _of_array(np.asarray(upright).astype(np.uint16))
        if upright.has_transparency_data:
            paper = Image.new("RGBA", upright.size, "white")
            paper.alpha_composite(upright.convert("RGBA"))
            flat = paper.convert("L" if upright.mode in ("LA", "La", "PA") else "RGB")
        else:
            flat = upright.convert("L" if upright.mode in ("1", "L") else "RGB")
        pixels: ImagesU8 = np.asarray(flat)
    return Raster(pixels.reshape(*pixels.shape[:2], -1))


def _of_array(array: NDArray[Any]) -> Raster:
    """(H, W) or (H, W, C) of uint8, uint16 or floats, by the same numbers as on a server."""
    if array.ndim not in (2, 3) or min(array.shape) < 1 or (array.ndim == 3 and array.shape[2] > MAX_CHANNELS):
        raise RasterError(f"has the shape {array.shape}, not (height, width) or (height, width, up to {MAX_CHANNELS} channels)")
    _require_bits(array.dtype)
    values = array.reshape(*array.shape[:2], -1)
    if values.dtype == np.uint8:
        return Raster(np.ascontiguousarray(values))
    low, high = float(values.min()), float(values.max())
    if values.dtype == np.uint16:
        return Raster(((values.astype(np.uint32) + 128) // 257).astype(np.uint8), (low / 65535, high / 65535))
    if not (low >= 0 and high <= 1):  # also where one is not a number
        raise RasterError(f"has floats from {low:g} to {high:g}, not from 0 to 1")
    return Raster(np.rint(values.astype(np.float32) * 255).astype(np.uint8), (low, high))


def _require_bits(kind: np.dtype[Any] | None) -> None:
    if kind is None or not (kind.kind == "f" or kind in (np.dtype(bool), np.dtype(np.uint8), np.dtype(np.uint16))):
        raise RasterError(f"has values of kind {kind}; save 8 or 16 bits without sign, or floats from 0 to 1 as .npy")
