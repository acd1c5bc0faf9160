"""Recipe `noto-emoji`: the line-art glyph of Noto Emoji -> its colour picture.

The monochrome font and the colour pictures are drawn from the same designs. A glyph cut to its ink and scaled to the picture's
opaque box therefore lies on the picture line for line. Pairs that do not are left out with a reason; no line is ever moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from rich.progress import track
from scipy import ndimage

from training.datasets import ImagesU8, Origin, Pairs
from training.recipes.noto_emoji_drawings import drawings
from training.recipes.recipe import Download, Draft, Recipe, SourceError

FONT_FILE = "NotoEmoji-Regular.ttf"
GLYPH_PX = 768
REGULAR_WEIGHT = 400
VAL_SHARE = 0.07
MAX_ASPECT_RATIO = 1.25
MAX_INK = 0.5
"""A glyph with more ink than this is a silhouette, not a drawing."""
MIN_EDGES_FOUND, MIN_AGREEMENT = 0.58, 0.60
"""Set by eye on a sheet sorted by score: below them heads and bodies lie beside the picture's."""

EXCLUDED: Mapping[str, tuple[tuple[int, int], ...]] = {
    "letter, digit or punctuation": (
        (0x0000, 0x00FF),
        (0x2000, 0x218F),
        (0x2753, 0x2757),
        (0x2795, 0x2797),
        (0x27B0, 0x27BF),
        (0x3030, 0x303D),
        (0x1F4A4, 0x1F4A4),
        (0x1F4AF, 0x1F4AF),
        (0x1F4B1, 0x1F4B2),
    ),
    "letters or ideographs on a button": (
        (0x24C2, 0x24C2),
        (0x3297, 0x3299),
        (0x1F170, 0x1F19A),
        (0x1F200, 0x1F265),
        (0x1F3E7, 0x1F3E7),
        (0x1F4A0, 0x1F4A0),
        (0x1F519, 0x1F524),
        (0x1F6BE, 0x1F6BE),
    ),
    "symbol on a button": (
        (0x2194, 0x21AA),
        (0x23CF, 0x23CF),
        (0x23E9, 0x23EF),
        (0x23F8, 0x23FA),
        (0x25AA, 0x25FE),
        (0x2648, 0x2653),
        (0x26CE, 0x26CE),
        (0x2733, 0x2734),
        (0x2934, 0x2935),
        (0x2B05, 0x2B07),
        (0x1F500, 0x1F506),
        (0x1F4F3, 0x1F4F6),
        (0x1F53C, 0x1F53D),
        (0x27A1, 0x27A1),
        (0x1F6D7, 0x1F6D7),
    ),
    "part of a flag": ((0x1F1E6, 0x1F1FF), (0xE0020, 0xE007F), (0xFE82B, 0xFE82B)),
    "skin tone or hair component": ((0x1F3FB, 0x1F3FF), (0x1F9B0, 0x1F9B3)),
    "plain shape or hatching that stands for a colour": (
        (0x26AA, 0x26AB),
        (0x2764, 0x2764),
        (0x2B1B, 0x2B1C),
        (0x2B55, 0x2B55),
        (0x1F499, 0x1F49C),
        (0x1F4D5, 0x1F4D9),
        (0x1F518, 0x1F518),
        (0x1F532, 0x1F53B),
        (0x1F5A4, 0x1F5A4),
        (0x1F7E0, 0x1F7EB),
        (0x1F90D, 0x1F90E),
        (0x1F9E1, 0x1F9E1),
        (0x1FA75, 0x1FA77),
    ),
}
"""Reason -> ranges of code points, both ends included."""

FAMILIES: Mapping[str, tuple[int, ...]] = {
    "clocks": (*range(0x1F550, 0x1F568), 0x23F0, 0x23F1, 0x23F2, 0x231A),
    "hourglasses": (0x231B, 0x23F3),
    "moons": tuple(range(0x1F311, 0x1F31F)),
    "globes": (0x1F30D, 0x1F30E, 0x1F30F, 0x1F310),
    "people": (
        *range(0x1F464, 0x1F47C),
        *range(0x1F481, 0x1F483),
        *range(0x1F486, 0x1F488),
        *range(0x1F645, 0x1F648),
        *range(0x1F64B, 0x1F64F),
        *range(0x1F930, 0x1F937),
        *range(0x1F9CD, 0x1F9E0),
        0x1F385,
        0x1F977,
    ),
    "couples": (0x1F48F, 0x1F491),
    "cat faces": (*range(0x1F638, 0x1F641), 0x1F431),
    "monkeys": (0x1F648, 0x1F649, 0x1F64A, 0x1F435),
    "pointing hands": (0x1F446, 0x1F447, 0x1F448, 0x1F449, 0x261D, 0x1FAF5),
    "mailboxes": (0x1F4EA, 0x1F4EB, 0x1F4EC, 0x1F4ED),
    "trays": (0x1F4E4, 0x1F4E5),
    "speakers": (0x1F507, 0x1F508, 0x1F509, 0x1F50A),
    "magnifiers": (0x1F50D, 0x1F50E),
    "locks": (0x1F50F, 0x1F510, 0x1F512, 0x1F513),
    "calendars": (0x1F4C5, 0x1F4C6, 0x1F5D3),
    "chicks": (0x1F423, 0x1F424, 0x1F425),
    "trees": (0x1F332, 0x1F384),
    "snowmen": (0x2603, 0x26C4),
    "umbrellas": (0x2602, 0x2614),
    "apples": (0x1F34E, 0x1F34F),
    "charts": (0x1F4C8, 0x1F4C9),
    "notes": (0x1F3B5, 0x1F3B6),
    "tigers": (0x1F405, 0x1F42F),
    "medals": (0x1F947, 0x1F948, 0x1F949),
    "banknotes": (0x1F4B4, 0x1F4B5, 0x1F4B6, 0x1F4B7),
    "hearts": (0x2665, 0x1F493, 0x1F494, 0x1F495, 0x1F496, 0x1F497, 0x1F498, 0x1F49D, 0x1F49E),
}
"""Near-copies that must not be split between training and validation."""

NOTICE = """\
Pictures: Noto Emoji, Copyright 2013 Google LLC, Apache License 2.0.
Line drawings: rendered from the font Noto Emoji, Copyright 2013 Google LLC, SIL Open Font License 1.1.
https://github.com/googlefonts/noto-emoji
https://fonts.google.com/noto/specimen/Noto+Emoji

The pictures were scaled and laid over white; the drawings were scaled to lie on the pictures.
"""


def build(source: Path, size: int) -> Draft:
    """Pairs every usable picture of one code point with its glyph."""
    font = _open_font(source / FONT_FILE)
    files = sorted((source / "png").glob("emoji_u*.png"))
    if not files:
        raise SourceError(f"'{source / 'png'}' holds no emoji_u<hex>.png; point --source to a folder with them.")
    pairs: dict[str, tuple[ImagesU8, ImagesU8]] = {}
    rejects: dict[str, str] = {}
    for path in track(files, description="Pairing glyphs"):
        outcome = _exclusion(path) or _pair(path, font, size)
        if isinstance(outcome, str):
            rejects[path.name] = outcome
        else:
            pairs[path.stem] = outcome
    splits = {split: _stack(pairs, split, size) for split in ("train", "val")}
    return Draft(splits=splits, rejects=rejects)


def split_of(code_point: int) -> str:
    """`train` or `val`: fixed by the design's family, so that no release or file order moves it."""
    family = next((name for name, members in FAMILIES.items() if code_point in members), f"u{code_point:04x}")
    value = int.from_bytes(hashlib.sha256(family.encode()).digest()[:8], "big") / 2**64
    return "val" if value < VAL_SHARE else "train"


def agreement(line: NDArray[np.uint8], target: ImagesU8) -> tuple[float, float]:
    """How well ink and picture agree: share of ink near an edge of the picture, share of strong edges near ink.

    Args:
        line: (H, W), 255 where inked.
        target: (H, W, 3).
    """
    scale = len(line) / 256
    smooth = ndimage.gaussian_filter(target.astype(np.float32), (scale, scale, 0))
    gradient = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)).max(axis=2) * scale
    ink, edges, strong_edges = line > 127, gradient > 60, gradient > 150
    if not ink.any() or not strong_edges.any():
        return 0.0, 0.0
    to_edge = ndimage.distance_transform_edt(~edges) if edges.any() else np.full(line.shape, np.inf)
    to_ink = ndimage.distance_transform_edt(~ink)
    return float((to_edge[ink] <= 4 * scale).mean()), float((to_ink[strong_edges] <= 6 * scale).mean())


def _exclusion(path: Path) -> str | None:
    code = path.stem.removeprefix("emoji_u")
    if "_" in code:
        return "sequence of several characters"
    try:
        code_point = int(code, 16)
    except ValueError:
        return "file name is not emoji_u<hex>.png"
    matches = (reason for reason, ranges in EXCLUDED.items() if any(low <= code_point <= high for low, high in ranges))
    return next(matches, None)


def _pair(path: Path, font: ImageFont.FreeTypeFont, size: int) -> tuple[ImagesU8, ImagesU8] | str:
    """(source, target), or the reason why there is none."""
    picture = _open_picture(path, size)
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox()
    glyph = _glyph(chr(int(path.stem.removeprefix("emoji_u"), 16)), font)
    if box is None or glyph is None:
        return "no glyph in the font" if box else "empty picture"
    width, height = box[2] - box[0], box[3] - box[1]
    aspect = (glyph.width / glyph.height) / (width / height)
    if not 1 / MAX_ASPECT_RATIO <= aspect <= MAX_ASPECT_RATIO:
        return "glyph and picture differ in aspect"
    ink = np.zeros((size, size), np.uint8)
    ink[box[1] : box[3], box[0] : box[2]] = np.asarray(glyph.resize((width, height), Image.Resampling.BOX))
    if ink[box[1] : box[3], box[0] : box[2]].mean() / 255 > MAX_INK:
        return "glyph is mostly solid ink"
    target = np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))
    on_edge, edges_found = agreement(ink, target)
    if edges_found < MIN_EDGES_FOUND or (on_edge + edges_found) / 2 < MIN_AGREEMENT:
        return "lines do not lie on the picture's edges"
    return 255 - ink[..., None], target


def _open_font(path: Path) -> ImageFont.FreeTypeFont:
    try:
        font = ImageFont.truetype(path, GLYPH_PX)
    except OSError as error:
        raise SourceError(f"'{path}' is missing or no font ({error}); it is Noto Emoji's monochrome font.") from error
    try:
        axes = font.get_variation_axes()
    except OSError:  # not a variable font
        return font
    font.set_variation_by_axes([REGULAR_WEIGHT] * len(axes))  # its only axis is the weight
    return font


def _open_picture(path: Path, size: int) -> Image.Image:
    try:
        with Image.open(path) as picture:
            rgba = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError) as error:
        raise SourceError(f"'{path}' cannot be read ({error}); fetch it again.") from error
    if rgba.size == (size, size):
        return rgba
    # Premultiplied, so that the colour under transparent pixels does not bleed into the rim; by a filter that does not ring,
    # which would widen the opaque box.
    return rgba.convert("RGBa").resize((size, size), Image.Resampling.HAMMING).convert("RGBA")


def _glyph(character: str, font: ImageFont.FreeTypeFont) -> Image.Image | None:
    """The glyph cut to its ink, or None when the font has none."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    canvas = Image.new("L", (max(right - left, 1) + 8, max(bottom - top, 1) + 8))
    ImageDraw.Draw(canvas).text((4 - left, 4 - top), character, font=font, fill=255)
    box = canvas.getbbox()
    return canvas.crop(box) if box else None


def _stack(pairs: Mapping[str, tuple[ImagesU8, ImagesU8]], split: str, size: int) -> Pairs:
    names = [name for name in pairs if split_of(int(name.removeprefix("emoji_u"), 16)) == split]
    source = np.zeros((len(names), size, size, 1), np.uint8)
    target = np.zeros((len(names), size, size, 3), np.uint8)
    for k, name in enumerate(names):
        source[k], target[k] = pairs[name]
    return Pairs(names=names, source=source, target=target)


RECIPE = Recipe(
    name="noto-emoji",
    title={"en": "Noto emoji: line drawing to picture", "ja": "Noto 絵文字:線画から絵へ"},
    kind="line",
    palette=(),
    background=255,
    origin=Origin(
        name="Noto Emoji",
        home_page="https://github.com/googlefonts/noto-emoji",
        license="pictures Apache-2.0, font OFL-1.1",
        weights_license="Apache-2.0",
        free_samples=True,
        notice=NOTICE,
    ),
    downloads=(
        Download(
            url="https://github.com/googlefonts/noto-emoji/archive/refs/tags/v2.047.tar.gz",
            path="noto-emoji-v2.047.tar.gz",
            members={"noto-emoji-2.047/png/512/": "png"},
        ),
        Download(
            url="https://github.com/google/fonts/raw/main/ofl/notoemoji/NotoEmoji%5Bwght%5D.ttf",
            path=FONT_FILE,
        ),
    ),
    needs=f"png/emoji_u<hex>.png and {FONT_FILE}",
    build=build,
    drawings=drawings,
    weaknesses="""\
- What an object's colour should be is not in its lines: where it does not know, the seed chooses. A hint settles it.
- A dab colours the part that the lines close around it. Parts without one take on the seed's colours, or a neighbour's.
- Lines much thinner or thicker than the pen's, shading by hatching and text are not understood.
- It shades and fills; it does not correct a drawing. Open outlines leak colour.
- Large empty areas far from any line stay white.
""",
)
