"""What drawings need that photos do not: one polarity, thin lines that survive shrinking, and classes instead of colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from server.errors import OffPaletteError
from server.imaging import Fit, Picture, Pixels, has_alpha, resize, to_eight_bits, to_gray, with_channels
from server.manifest import ImageInput

MIDDLE_GRAY = 128

Codes = npt.NDArray[np.uint32]
Distances = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

FAR_DISTANCE = 80.0
"""Distance in RGB (0 to 441) beyond which a colour is not a blurred or compressed palette colour but another one."""

FAR_SHARE_LIMIT = 0.25
"""A label picture with a larger share of far pixels is some other picture; snapping it would give a confident wrong answer."""


def line_pixels(picture: Picture, fit: Fit, spec: ImageInput) -> Pixels:
    """A line drawing at the fitted size, `(h, w, 1)`, in the polarity the model was trained on."""
    dark_on_light = _dark_on_light(picture)
    shrunk = _shrink_lines(dark_on_light, fit)
    pixels = with_channels(resize(shrunk, fit, Image.Resampling.BICUBIC))
    return pixels if spec.ink == "dark" else 255 - pixels


def _dark_on_light(picture: Picture) -> Image.Image:
    gray = to_gray(picture.image, _paper_under(picture.image))
    values = np.asarray(gray)
    is_light_ink = picture.ink == "light" if picture.ink else _paper_is_dark(values)
    return Image.fromarray(255 - values) if is_light_ink else gray


def _paper_under(image: Image.Image) -> int:
    """The tone to lay behind a transparent drawing: white, unless its strokes are light and would vanish."""
    if not has_alpha(image):
        return 255
    colors = np.asarray(to_eight_bits(image).convert("RGBA").convert("LA"), dtype=np.uint16)
    luma, alpha = colors[:, :, 0], colors[:, :, 1]
    weight = int(alpha.sum(dtype=np.int64))
    if weight == 0 or alpha.min() == 255:
        return 255
    return 0 if int((luma * alpha.astype(np.uint32)).sum(dtype=np.int64)) > MIDDLE_GRAY * weight else 255


def _paper_is_dark(values: Pixels) -> bool:
    """Lines are the smaller part of a drawing, so the median is the paper; the border must agree, for a large filled shape."""
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    return _mostly_dark(border) and _mostly_dark(values) and int(values.max()) >= MIDDLE_GRAY


def _mostly_dark(values: Pixels) -> bool:
    """Whether the median is dark; counting is quicker than sorting."""
    return 2 * int(np.count_nonzero(values < MIDDLE_GRAY)) > values.size


def _shrink_lines(image: Image.Image, fit: Fit) -> Image.Image:
    """Shrinks dark lines on light paper by whole steps, halfway between the mean and the darkest pixel of each block.

    The mean alone (an area filter) fades a thin line to pale gray; the darkest alone makes it jagged and merges neighbours.
    """
    block = int(min(image.width / fit.width, image.height / fit.height))
    if block < 2:
        return image
    width, height = -(-image.width // block) * block, -(-image.height // block) * block
    values = np.pad(np.asarray(image), ((0, height - image.height), (0, width - image.width)), mode="edge")
    blocks = values.reshape(height // block, block, width // block, block)
    mean = blocks.mean(axis=(1, 3), dtype=np.float32)
    darkest = blocks.min(axis=(1, 3)).astype(np.float32)
    return Image.fromarray(((mean + darkest) / 2 + 0.5).astype(np.uint8))


def hint_pixels(image: Image.Image, fit: Fit) -> Pixels:
    """Colour hints at the fitted size, `(h, w, 4)`; nearest neighbour keeps colours pure and transparency hard."""
    return with_channels(resize(image, fit, Image.Resampling.NEAREST))


@dataclass(frozen=True)
class Labels:
    """Class indices `(h, w, 1)` and the share of pixels whose colour was not exactly one of the palette."""

    pixels: Pixels
    snapped_share: float


def label_pixels(image: Image.Image, fit: Fit, spec: ImageInput) -> Labels:
    """A label picture at the fitted size as class indices.

    A gray picture whose values are all below the number of classes holds indices already. Else colours are snapped to the
    nearest one of the palette; transparent pixels are background.

    Raises:
        OffPaletteError: too many pixels are far from every colour.
    """
    palette = [entry.color for entry in spec.palette or ()]
    if image.mode == "L" and not has_alpha(image):
        indices = with_channels(resize(image, fit, Image.Resampling.NEAREST))
        if int(indices.max()) < len(palette):
            return Labels(indices, 0.0)
    colors = np.asarray(resize(to_eight_bits(image).convert("RGBA"), fit, Image.Resampling.NEAREST))
    codes, first, lengths = _runs(colors)
    distinct, inverse = np.unique(codes[first], return_inverse=True)
    counts = np.bincount(inverse, weights=lengths)
    classes, distances = _nearest(distinct, palette)
    is_clear = distinct >> 24 < MIDDLE_GRAY
    classes[is_clear], distances[is_clear] = spec.background[0], 0.0
    drawn = max(1.0, float(counts[~is_clear].sum()))
    _check_on_palette(float(counts[distances > FAR_DISTANCE].sum()) / drawn, spec)
    snapped = float(counts[distances > 0].sum()) / drawn
    pixels = np.repeat(classes[inverse], lengths).reshape(fit.height, fit.width, 1)
    return Labels(pixels, round(snapped, 4))


def _runs(colors: Pixels) -> tuple[Codes, Places, Places]:
    """Each pixel as one number, and where runs of equal pixels begin and how long they are.

    Drawings are made of long runs, so that whatever is done a run instead of a pixel costs next to nothing.
    """
    codes = np.ascontiguousarray(colors).view("<u4").reshape(-1)  # red in the lowest byte, alpha in the highest
    first = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1])
    return codes, first, np.diff(first, append=len(codes))


def _nearest(codes: Codes, palette: Sequence[str]) -> tuple[Pixels, Distances]:
    """Index of the nearest palette colour and the distance to it, Euclidean in RGB.

    One palette colour at a time: memory stays at a few numbers a code for any palette.
    """
    planes = [((codes >> shift) & 255).astype(np.float32) for shift in (0, 8, 16)]
    best = np.full(len(codes), np.inf, np.float32)
    nearest = np.zeros(len(codes), np.uint8)
    for index, color in enumerate(palette):
        own = (int(color[place : place + 2], 16) for place in (1, 3, 5))
        squares = np.sum([(plane - value) ** 2 for plane, value in zip(planes, own, strict=True)], axis=0)
        is_closer = squares < best
        best[is_closer], nearest[is_closer] = squares[is_closer], index
    return nearest, np.sqrt(best)


def _check_on_palette(far_share: float, spec: ImageInput) -> None:
    if far_share > FAR_SHARE_LIMIT:
        raise OffPaletteError(
            f"Input '{spec.name}': {far_share:.0%} of the pixels are far from every colour of the palette and at most "
            f"{FAR_SHARE_LIMIT:.0%} may be; paint with the colours that GET /models/{{id}} lists, without smoothing.",
            input=spec.name,
            palette=[entry.color for entry in spec.palette or ()],
        )
