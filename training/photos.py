"""Photos of a folder, read for training: found, checked, turned upright, cut square. It pairs nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.progress import track

from training.datasets import ImagesU8

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
MIN_COLORFULNESS = 4.0
"""Hasler and Suesstrunk's measure; below it a person would call a photo black and white."""


@dataclass
class PhotoFolder:
    """The photos of a folder and everything below it, at one size.

    Attributes:
        within: Names of the folders directly below that are read; empty reads all.
        rejects: Relative path -> why it was left out; filled while photos are read.
    """

    root: Path
    size: int
    needs_color: bool = False
    within: frozenset[str] = frozenset()
    rejects: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[str, ImagesU8]]:
        """Relative path and pixels (size, size, 3) of each usable photo, in the order of their names."""
        seen: set[bytes] = set()
        roots = [self.root / name for name in self.within] or [self.root]
        found = (path for root in roots for path in root.rglob("*"))
        files = sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())
        for path in track(files, description=f"Reading photos, {self.root.name}"):
            name = path.relative_to(self.root).as_posix()
            try:
                pixels = read_square(path, self.size)
            except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
                self.rejects[name] = "cannot be read"
                continue
            reason = self._fault(pixels, seen)
            if reason is None:
                yield name, pixels
            else:
                self.rejects[name] = reason

    def _fault(self, pixels: ImagesU8, seen: set[bytes]) -> str | None:
        digest = hashlib.sha256(pixels.tobytes()).digest()
        if digest in seen:
            return "same picture as another"
        seen.add(digest)
        if self.needs_color and colorfulness(pixels) < MIN_COLORFULNESS:
            return "has no colour"
        return None


def read_square(path: Path, size: int) -> ImagesU8:
    """The largest centred square of a photo, upright, as RGB at `size` pixels; small photos are enlarged.

    Raises:
        OSError: It cannot be decoded.
    """
    with Image.open(path) as image:
        image.draft("RGB", (2 * size, 2 * size))  # JPEG only: decodes at a fraction where that is enough
        upright = ImageOps.exif_transpose(image).convert("RGB")
    square = ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)
    pixels: ImagesU8 = np.asarray(square)
    return pixels


def to_luma(image_u8: ImagesU8) -> ImagesU8:
    """Y of BT.601 of RGB (..., 3), rounded: (..., 1). The same numbers as a server's when it reads a photo as gray."""
    weighted = image_u8.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    luma: ImagesU8 = np.round(weighted).astype(np.uint8)[..., None]
    return luma


def colorfulness(image_u8: ImagesU8) -> float:
    """How colourful people find a picture (Hasler, Suesstrunk 2003): 0 for gray, about 15 slightly, 60 and more very."""
    red, green, blue = (image_u8[..., channel].astype(np.float32) for channel in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    offset = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(spread + 0.3 * offset)


def is_held_out(name: str, share: float) -> bool:
    """Whether a file belongs to the held-out split: by its name alone, so that more files do not move others."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") < share * 2**32
