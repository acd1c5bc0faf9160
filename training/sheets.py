"""Contact sheets of pictures for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAP_PX = 4


def contact_sheet(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> Image.Image:
    """Pictures (H, W, 3) in rows of equal length, on light gray."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + GAP_PX) + GAP_PX, columns * (width + GAP_PX) + GAP_PX, 3), 228, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            top, left = GAP_PX + r * (height + GAP_PX), GAP_PX + c * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = picture
    return Image.fromarray(sheet)
