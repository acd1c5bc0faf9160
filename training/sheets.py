"""Contact sheets of pictures for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

GAP_PX, TITLE_PX = 4, 26
PAPER = (228, 228, 228)


def contact_sheet(rows: Sequence[Sequence[NDArray[np.uint8]]], titles: Sequence[str] = ()) -> Image.Image:
    """Pictures (H, W, 3) in rows of equal length, on light gray; `titles` stand over the columns."""
    sheet = _laid_out(rows)
    return _under_titles(sheet, titles, rows[0][0].shape[1] + GAP_PX) if titles else sheet


def _laid_out(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> Image.Image:
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + GAP_PX) + GAP_PX, columns * (width + GAP_PX) + GAP_PX, 3), PAPER, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            top, left = GAP_PX + r * (height + GAP_PX), GAP_PX + c * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = picture
    return Image.fromarray(sheet)


def _under_titles(sheet: Image.Image, titles: Sequence[str], step: int) -> Image.Image:
    titled = Image.new("RGB", (sheet.width, sheet.height + TITLE_PX), PAPER)
    titled.paste(sheet, (0, TITLE_PX))
    draw, font = ImageDraw.Draw(titled), ImageFont.load_default(size=16)
    for column, title in enumerate(titles):
        draw.text((GAP_PX + column * step + (step - GAP_PX) / 2, TITLE_PX / 2), title, "black", font, anchor="mm")
    return titled
