"""From a map of how likely a border is to thin lines and to lines of a pen's width. Pure functions of tensors.

What they do is what pix2pix did after HED: suppress what is no ridge, keep what is strong or hangs together with it, and draw.
All of it is made of plain operators, so that it can be part of an exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_LINE_WIDTH = 10
GROWTH_STEPS = 12
"""Pixels that a line is followed from where it is strong to where it is faint."""
SPECK_PX = 6
"""Pieces of line that are shorter are specks."""
_FAR = 1e4
"""Squared pixels, further than any pen reaches."""


def thin(boundary: Tensor, *, slack: float = 1.01) -> Tensor:
    """Keeps ridges only: non-maximum suppression across the direction of each line (Canny 1986, V; Dollar and Zitnick 2015).

    Args:
        boundary: (N, 1, H, W) in [0, 1].
        slack: A pixel stays when it times this is no less than both neighbours across the line.

    Returns:
        The values of `boundary` on ridges, elsewhere 0.
    """
    smooth = _binomial(_binomial(boundary))
    xx, yy, xy = _second_derivatives(smooth)
    # Across a line the curvature is strong: negative on its ridge, positive beside it. Let t be the angle of the eigenvector of
    # the larger curvature: (cos 2t, sin 2t) is (xx - yy, 2 xy) / norm, and the half-angle formulas need no arc tangent.
    norm = torch.sqrt((xx - yy).square() + 4 * xy.square() + 1e-12)
    double_cos = (xx - yy) / norm
    cos = torch.sqrt((1 + double_cos).clamp(min=0.0) / 2)
    sin = torch.sqrt((1 - double_cos).clamp(min=0.0) / 2) * torch.where(xy < 0, -1.0, 1.0)
    is_ridge_side = xx + yy < 0  # the other eigenvector, that of the strongly negative curvature
    across_x, across_y = torch.where(is_ridge_side, -sin, cos), torch.where(is_ridge_side, cos, sin)
    fine = _binomial(boundary)
    ahead, behind = _neighbours(fine, across_x, across_y)
    is_ridge = (fine * slack >= ahead) & (fine * slack >= behind)
    return boundary * is_ridge.to(boundary.dtype)


def draw_lines(boundary: Tensor, detail: Tensor, width_px: Tensor) -> Tensor:
    """A drawing with a pen of `width_px`: (N, 1, H, W) in [0, 1], 1 where ink is.

    Args:
        boundary: (N, 1, H, W) in [0, 1].
        detail: (N, 1, 1, 1) in [0, 1]; more draws fainter borders.
        width_px: (N, 1, 1, 1), pixels, up to `MAX_LINE_WIDTH`.
    """
    ridge = thin(boundary)
    strong = 0.85 - 0.6 * detail
    kept = grown(ridge >= strong, ridge >= 0.6 * strong)
    return stroke(without_specks(kept), width_px)


def grown(seeds: Tensor, allowed: Tensor) -> Tensor:
    """What is allowed and hangs together with a seed within `GROWTH_STEPS` pixels, seeds included; 0 or 1 as float32."""
    region, mask = seeds.float(), allowed.float()
    for _ in range(GROWTH_STEPS):
        region = _largest_nearby(region) * mask
    return region


def without_specks(line: Tensor) -> Tensor:
    """Drops what hangs together and is shorter than `SPECK_PX` both ways; (N, 1, H, W) of 0 and 1."""
    rows = torch.arange(line.shape[2], device=line.device, dtype=line.dtype).reshape(1, 1, -1, 1)
    columns = torch.arange(line.shape[3], device=line.device, dtype=line.dtype).reshape(1, 1, 1, -1)
    tall = _reach(line, 1 + rows) + _reach(line, rows.shape[2] - rows)
    wide = _reach(line, 1 + columns) + _reach(line, columns.shape[3] - columns)
    # The largest position from one border and the largest from the other sum to the side's length and the extent.
    is_long = (tall - rows.shape[2] >= SPECK_PX) | (wide - columns.shape[3] >= SPECK_PX)
    return line * is_long.to(line.dtype)


def _reach(line: Tensor, position: Tensor) -> Tensor:
    """The largest `position` along a line within as many steps as tell a speck; 0 beside lines."""
    largest = line * position
    for _ in range(SPECK_PX - 1):
        largest = _largest_nearby(largest) * line
    return largest


def stroke(line: Tensor, width_px: Tensor) -> Tensor:
    """Draws thin lines (N, 1, H, W) of 0 and 1 with a round pen of `width_px` (N, 1, 1, 1), its rim smooth over a pixel."""
    square = (1 - line) * _FAR
    for dim in (2, 3):  # squared distance to the nearest line, along columns and then, from those, along rows
        square = _nearest(square, dim)
    return (width_px / 2 + 0.5 - torch.sqrt(square)).clamp(0.0, 1.0)


def _nearest(square: Tensor, dim: int) -> Tensor:
    """The least of `square` plus the squared distance along an axis, as far as the widest pen reaches."""
    reach, size = MAX_LINE_WIDTH // 2, square.shape[dim]
    padding = [0, 0, reach, reach] if dim == 2 else [reach, reach, 0, 0]
    padded, least = F.pad(square, padding, value=_FAR), square
    for shift in (offset for offset in range(-reach, reach + 1) if offset):
        least = torch.minimum(least, padded.narrow(dim, reach + shift, size) + float(shift * shift))
    return least


def _largest_nearby(image: Tensor) -> Tensor:
    """Largest value of the 3x3 square around each pixel, rows first, then columns."""
    for dim in (2, 3):
        padding = [0, 0, 1, 1] if dim == 2 else [1, 1, 0, 0]
        padded, size = F.pad(image, padding), image.shape[dim]
        image = torch.maximum(torch.maximum(padded.narrow(dim, 0, size), image), padded.narrow(dim, 2, size))
    return image


def _binomial(image: Tensor) -> Tensor:
    """Smooths with (1, 2, 1) / 4 along rows and columns; borders are repeated."""
    for dim in (2, 3):
        before, after = _shifted(image, dim)
        image = (before + 2 * image + after) / 4
    return image


def _second_derivatives(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Along rows, along columns, mixed."""
    left, right = _shifted(image, 3)
    above, below = _shifted(image, 2)
    up_left, up_right = _shifted(above, 3)
    down_left, down_right = _shifted(below, 3)
    return left + right - 2 * image, above + below - 2 * image, (up_left + down_right - up_right - down_left) / 4


def _neighbours(image: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """`image` one pixel along (x, y), a unit vector a pixel, and one pixel against it, between pixels as a bilinear mean."""
    ahead = behind = torch.zeros_like(image)
    for dy, row in zip((-1, 0, 1), _around(image, 2), strict=True):
        for dx, value in zip((-1, 0, 1), _around(row, 3), strict=True):
            near_y, near_x = (1 - (y - dy).abs()).clamp(min=0.0), (1 - (x - dx).abs()).clamp(min=0.0)
            ahead = ahead + value * near_y * near_x
            far_y, far_x = (1 - (y + dy).abs()).clamp(min=0.0), (1 - (x + dx).abs()).clamp(min=0.0)
            behind = behind + value * far_y * far_x
    return ahead, behind


def _around(image: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    before, after = _shifted(image, dim)
    return before, image, after


def _shifted(image: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The pixel before and the pixel after along an axis; borders are repeated."""
    size = image.shape[dim]
    first, last = image.narrow(dim, 0, 1), image.narrow(dim, size - 1, 1)
    return (
        torch.cat([first, image.narrow(dim, 0, size - 1)], dim=dim),
        torch.cat([image.narrow(dim, 1, size - 1), last], dim=dim),
    )
