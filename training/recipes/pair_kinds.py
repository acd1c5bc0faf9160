"""What kind of picture an input is, and the palettes of label maps: read from a file, or found in the pictures."""

from __future__ import annotations

import colorsys
import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy import ndimage

from training.datasets import ImagesU8, Kind, PaletteEntry
from training.rasters import RasterError, as_gray, as_rgb
from training.recipes.recipe import SourceError

MAX_CLASSES = 64
"""Classes of a palette that is found; a file may name up to 256."""

FAR_DISTANCE, FAR_SHARE = 80.0, 0.25
"""Distance in RGB beyond which a colour is no blurred class, and the share of such pixels that makes a map another picture.
A server refuses by the same numbers."""

GRAY_TOLERANCE = 8
PAPER_SHARE, INK_SHARE = 0.6, (0.001, 0.3)
STROKE_SHARE = 1 / 32
"""Strokes are thinner than this share of the side; what is wider is an area."""


def guess_kind(pictures: Sequence[ImagesU8], *, are_exact: bool) -> Kind:
    """What some pictures (H, W, C) of one input are: strokes on paper, few exact colours, gray, or anything else."""
    if not {picture.shape[-1] for picture in pictures} <= {1, 3}:
        return "photo"
    is_gray = all(_is_gray(picture) for picture in pictures)
    if is_gray and all(_is_line_drawing(as_gray(picture)) for picture in pictures):
        return "line"
    if are_exact and 2 <= len(_distinct(pictures)) <= MAX_CLASSES // 2:
        return "labels"
    return "gray" if is_gray else "photo"


def on_white_paper(gray: ImagesU8) -> ImagesU8:
    """A line drawing (H, W, 1) with dark lines; one on dark paper is turned over."""
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    return 255 - gray if np.median(border) < 128 and np.median(gray) < 128 else gray


def read_palette(path: Path) -> tuple[PaletteEntry, ...]:
    """Classes in the order of their indices, of a TOML file with `[[palette]]` tables or a JSON list, each `name` and `color`.

    Raises:
        SourceError: The file cannot be read or says something else.
    """
    try:
        text = path.read_text("utf-8")
        told: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        entries = told.get("palette", ()) if isinstance(told, dict) else told
        palette = TypeAdapter(tuple[PaletteEntry, ...]).validate_python([_entry(k, told) for k, told in enumerate(entries)])
    except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise SourceError(
            f"--palette '{path}' is no palette ({reason}); give [[palette]] tables of TOML or a list of JSON, each with a name "
            'and a color such as "#aa5500", in the order of the classes.'
        ) from error
    if len(palette) < 2 or len({entry.color for entry in palette}) < len(palette):
        raise SourceError(f"--palette '{path}' has {len(palette)} classes; give two or more, each with a colour of its own.")
    return palette


def find_palette(pictures: Iterable[ImagesU8], name: str) -> tuple[PaletteEntry, ...]:
    """The classes of label maps (H, W, C) that nobody described: small gray values are indices, else each colour is a class.

    The most frequent colour comes first, because the first class is what an empty canvas holds.

    Raises:
        SourceError: There are too many colours, or one alone.
    """
    counts: dict[int, int] = {}
    are_indices = True
    for picture in pictures:
        are_indices = are_indices and picture.shape[-1] == 1 and int(picture.max()) < MAX_CLASSES
        for color, count in zip(*np.unique(_codes(picture), return_counts=True), strict=True):
            counts[int(color)] = counts.get(int(color), 0) + int(count)
        if len(counts) > MAX_CLASSES:
            raise SourceError(
                f"Input '{name}' of kind labels has more than {MAX_CLASSES} colours, as of a JPEG; give --palette {name}=FILE "
                "with its classes, or another --kind."
            )
    if len(counts) < 2:
        raise SourceError(f"Input '{name}' of kind labels has {len(counts)} colour; give another --kind.")
    if are_indices:
        return tuple(_entry(k, {"name": f"Class {k}", "color": _hue(k)}) for k in range((max(counts) & 255) + 1))
    colors = [f"#{code:06x}" for code in sorted(counts, key=lambda code: (-counts[code], code))]
    return tuple(_entry(k, {"name": color, "color": color}) for k, color in enumerate(colors))


def snap(picture: ImagesU8, palette: Sequence[PaletteEntry]) -> ImagesU8:
    """Class indices (H, W, 1) of a label map: gray values below the number of classes as they are, else the nearest colour.

    Raises:
        RasterError: Too many pixels are far from every class.
    """
    if picture.shape[-1] == 1 and int(picture.max()) < len(palette):
        return picture
    codes, places = np.unique(_codes(picture), return_inverse=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.float32)
    classes = np.array([entry.rgb for entry in palette], np.float32)
    distances = np.linalg.norm(colors[:, None] - classes, axis=-1)
    is_far = (distances.min(axis=1) > FAR_DISTANCE)[places]
    if is_far.mean() > FAR_SHARE:
        raise RasterError("has other colours than the palette")
    indices: ImagesU8 = distances.argmin(axis=1).astype(np.uint8)[places].reshape(*picture.shape[:2], 1)
    return indices


def _entry(index: int, told: Any) -> PaletteEntry:
    name, color = told["name"], str(told["color"]).lower()
    return PaletteEntry(index=index, name={"en": name} if isinstance(name, str) else name, color=color)


def _hue(index: int) -> str:
    """A colour for a class that has none: hues a golden angle apart, of three brightnesses, so that no two are alike."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.65, (0.95, 0.7, 0.5)[index % 3])
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _codes(picture: ImagesU8) -> NDArray[np.uint32]:
    """One number a colour, 0xrrggbb: (H * W,)."""
    rgb = as_rgb(picture).reshape(-1, 3).astype(np.uint32)
    return (rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]).astype(np.uint32)


def _distinct(pictures: Sequence[ImagesU8]) -> set[int]:
    return {int(code) for picture in pictures for code in np.unique(_codes(picture))}


def _is_gray(picture: ImagesU8) -> bool:
    """Whether no pixel is further from gray than compression explains."""
    return picture.shape[-1] == 1 or int((picture.max(axis=-1) - picture.min(axis=-1)).max()) <= GRAY_TOLERANCE


def _is_line_drawing(gray: ImagesU8) -> bool:
    """Whether most is paper of one tone, and the rest thin."""
    lines = on_white_paper(gray)[..., 0]
    ink = lines < 128
    if (lines > 224).mean() < PAPER_SHARE or not INK_SHARE[0] <= ink.mean() <= INK_SHARE[1]:
        return False
    depth = ndimage.distance_transform_edt(ink)
    return bool((depth > max(lines.shape) * STROKE_SHARE / 2).sum() < 0.1 * ink.sum())
