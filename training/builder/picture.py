"""Pictures of a build read, cut and shown in small."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from training.builder.box import Box

SHOWN_PX = 320
"""Longer side of pictures that only tell a person why something was rejected."""


def read_picture(path: Path) -> Image.Image | None:
    """A picture as RGB, upright; None where the file is damaged or gone."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # SyntaxError: Pillow's, of broken PNGs
        return None


def cut(picture: Image.Image, frame: Box) -> Image.Image:
    """What is within a frame of whole pixels; white, or clear where there is alpha, outside of the picture."""
    ground = (255, 255, 255) if picture.mode == "RGB" else (0, 0, 0, 0)
    canvas = Image.new(picture.mode, (int(frame.width), int(frame.height)), ground)
    canvas.paste(picture, (-int(frame.left), -int(frame.top)))
    return canvas


def reduced(picture: Image.Image, max_side: int) -> Image.Image:
    """The same where it is small enough, else in small."""
    scale = max_side / max(picture.size)
    if scale >= 1:
        return picture
    return picture.resize(
        (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)), Image.Resampling.LANCZOS
    )
