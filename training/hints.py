"""Colour hints for training: dabs, strokes and blobs of the target's colours.

A hint must win over what the lines suggest. So some pictures are recoloured before hints are taken: from those the network
cannot learn a usual colour, only to take up the dab. A share of samples has no hint, since hints are optional.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import HintConfig

REGIONS_MAX = 3  # regions that get a colour of their own in one recoloured picture
WHITE = 0.9  # what is brighter than this in all of RGB, in [-1, 1], may be paper

_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


class HintSampler:
    """Draws hints for a batch of targets (N, 3, H, W) in [-1, 1]."""

    def __init__(self, config: HintConfig) -> None:
        self._config = config

    def __call__(self, target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns the targets, some recoloured, and their hints (N, 4, H, W): colour times coverage, and coverage in [0, 1]."""
        n, device = len(target), target.device
        hinted = torch.rand(n, generator=generator) >= self._config.none_share
        recolored = hinted & (torch.rand(n, generator=generator) < self._config.recolor_share)
        paper = _paper(target)
        centers = _points(paper, self._config.max_dabs, generator)  # (N, K, 2) rows and columns
        regions = torch.randint(1, min(REGIONS_MAX, self._config.max_dabs) + 1, (n,), generator=generator)
        target = self._recolor(target, paper, centers, torch.where(recolored, regions, 0), generator)
        counts = torch.ceil(torch.rand(n, generator=generator).square() * self._config.max_dabs).long()
        counts = counts.maximum(torch.where(recolored, regions, 1))  # every new colour is asked for by a dab
        counts = torch.where(hinted, counts, 0)
        used = (torch.arange(self._config.max_dabs).reshape(1, -1) < counts.reshape(-1, 1)).to(device)
        return target, _paint(target, centers, used, generator)

    def _recolor(self, target: Tensor, paper: Tensor, centers: Tensor, regions: Tensor, generator: torch.Generator) -> Tensor:
        """What lies at the first `regions` (N,) of the `centers` (N, K, 2) gets another colour; or the whole hue turns.

        Where `regions` is 0, the picture stays as it is.
        """
        n, device = len(target), target.device
        angle = torch.rand(n, generator=generator) * (2 * torch.pi)
        colors = [_colors(n, generator) for _ in range(min(REGIONS_MAX, centers.shape[1]))]
        # Few: where no dab lies, a turned hue can only be guessed, and guesses come out gray.
        whole = torch.rand(n, generator=generator) < 0.1
        result = target.clone()
        for index, color in enumerate(colors):
            chosen = torch.nonzero((index < regions) & ~whole).flatten()
            if len(chosen):
                at = chosen.to(device)
                result[at] = _recolor_region(result[at], centers[at, index], color[chosen].to(device), paper[at])
        chosen = torch.nonzero((regions > 0) & whole).flatten()
        if len(chosen):
            result[chosen.to(device)] = _turn_hue(target[chosen.to(device)], angle[chosen].to(device))
        return result


def _colors(count: int, generator: torch.Generator) -> Tensor:
    """Colours as people choose them, (N, 3) in [-1, 1]: of any hue, vivid more often than pale, seldom black."""
    hue, saturation, value = torch.rand(3, count, 1, generator=generator)
    saturation, value = saturation.sqrt(), 0.2 + 0.8 * value.sqrt()
    sector = (torch.tensor([5.0, 3.0, 1.0]) + hue * 6) % 6
    channels: Tensor = value - value * saturation * torch.minimum(sector, 4 - sector).clamp(0, 1)
    return channels * 2 - 1


def _paper(image: Tensor) -> Tensor:
    """What of the pictures is paper, (N, 1, H, W): white that reaches the border. White within a thing is the thing's."""
    white = (image.amin(dim=1) > WHITE).cpu().numpy().astype(np.uint8)
    paper = np.zeros(white.shape, bool)
    for index, mask in enumerate(white):
        count, labels = cv2.connectedComponents(mask, connectivity=4)
        is_paper = np.zeros(count, bool)
        for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            is_paper[border] = True
        is_paper[0] = False  # what is not white
        paper[index] = is_paper[labels]
    return torch.from_numpy(paper).to(image.device)[:, None]


def _points(paper: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Random pixels, mostly off the paper (N, 1, H, W): (N, count, 2) on its device. The first always lies on the picture."""
    n, _, height, width = paper.shape
    picture = (F.avg_pool2d(paper.float(), 4) < 0.5).flatten(1).float().cpu()
    weights = picture + 1e-6
    first = torch.multinomial(weights, 1, replacement=True, generator=generator)
    weights = picture + 0.12 * picture.mean(dim=1, keepdim=True) + 1e-6  # about one dab in ten lies on paper
    rest = torch.multinomial(weights, count - 1, replacement=True, generator=generator) if count > 1 else first[:, :0]
    cells = torch.cat([first, rest], dim=1)
    offsets = torch.rand(n, count, 2, generator=generator) * 4
    rows, columns = cells // (width // 4), cells % (width // 4)
    points = torch.stack([rows * 4, columns * 4], dim=-1) + offsets
    return points.clamp(max=min(height, width) - 1).to(paper.device)


def _colors_at(image: Tensor, points: Tensor) -> Tensor:
    """Colour around each point, averaged over those of 5x5 pixels that lie in the picture: (N, K, 3)."""
    height, width = image.shape[2:]
    steps = torch.arange(-2, 3, device=image.device)
    rows = (points[..., 0].long()[..., None, None] + steps[:, None]).expand(*points.shape[:2], 5, 5)  # (N, K, 5, 5)
    columns = (points[..., 1].long()[..., None, None] + steps).expand_as(rows)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = (rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)).flatten(1)  # (N, K * 25)
    colors = image.flatten(2).gather(2, places[:, None].expand(-1, 3, -1)).unflatten(2, (-1, 25))  # (N, 3, K, 25)
    weights = inside.flatten(2)[:, None].to(image.dtype)
    means: Tensor = (colors * weights).sum(dim=3) / weights.sum(dim=3)
    return means.transpose(1, 2)


def _turn_hue(image: Tensor, angle: Tensor) -> Tensor:
    """Turns hue by `angle` (N,) radians in YIQ, where brightness stays and grays do not move."""
    yiq = _YIQ.to(image.device)
    cosine, sine, one, zero = torch.cos(angle), torch.sin(angle), torch.ones_like(angle), torch.zeros_like(angle)
    turn = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=1).reshape(-1, 3, 3)
    matrix = torch.linalg.inv(yiq) @ turn @ yiq  # (N, 3, 3)
    return torch.einsum("nij,njhw->nihw", matrix, image).clamp(-1, 1)


def _recolor_region(image: Tensor, points: Tensor, color: Tensor, paper: Tensor) -> Tensor:
    """Moves the colours like that at `points` (N, 2) to `color` (N, 3); shading stays, since differences are kept.

    `paper` (N, 1, H, W) stays what it is, so that white things can be coloured and the ground around them is not.
    """
    old = _colors_at(image, points[:, None])[:, 0][:, :, None, None]  # (N, 3, 1, 1)
    at_point = points.long()
    on_paper = paper[torch.arange(len(image), device=image.device), 0, at_point[:, 0], at_point[:, 1]]
    distance = (image - old).square().sum(dim=1, keepdim=True)
    membership = torch.exp(-distance / 0.32)  # sigma 0.4 in [-1, 1], wide enough for shades of the colour
    membership = membership.masked_fill(paper | on_paper[:, None, None, None], 0.0)
    return (image + membership * (color[:, :, None, None] - old)).clamp(-1, 1)


def _paint(target: Tensor, centers: Tensor, used: Tensor, generator: torch.Generator) -> Tensor:
    """Paints a short stroke of one colour at each used centre; some keep inside their colour, as a careful hand would.

    Edges fall off over a pixel, like those of a canvas's brush: the network must not take a soft rim for something else.
    """
    n, count, _ = centers.shape
    size, device = target.shape[-1], target.device
    scale = size / 256
    radius = ((2 + 12 * torch.rand(n, count, generator=generator).square()).to(device) * scale).clamp(min=0.8)
    length = torch.rand(n, count, generator=generator).square() * 40 * scale
    angle = torch.rand(n, count, generator=generator) * (2 * torch.pi)
    ends = centers + (torch.stack([torch.sin(angle), torch.cos(angle)], -1) * length[..., None]).to(device)
    careful = (torch.rand(n, count, generator=generator) < 0.6).to(device)
    colors = _colors_at(target, centers)  # (N, K, 3)
    if not (most := int(used.sum(dim=1).max())):
        return target.new_zeros(n, 4, size, size)
    centers, ends, colors = centers[:, :most], ends[:, :most], colors[:, :most]
    radius, used, careful = radius[:, :most], used[:, :most], careful[:, :most]
    # Only a square around each stroke is looked at, wide enough for the longest one.
    side = min(size, math.ceil((40 + 2 * 14) * scale) + 4)
    corner = (torch.minimum(centers, ends) - radius[..., None] - 1).floor().clamp(0, size - side)  # (N, K, 2)
    axis = torch.arange(side, device=device)
    rows, columns = ((corner[..., dim, None] + axis).long() for dim in (0, 1))  # (N, K, side)
    distance = _distance_to_segment(rows, columns, centers, ends)  # (N, K, side, side)
    brush = (radius[..., None, None] - distance + 0.5).clamp(0, 1) * used[..., None, None]
    places = (rows[..., :, None] * size + columns[..., None, :]).flatten(2)  # (N, K, side * side)
    near = target.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, 3, -1)).unflatten(2, (most, -1))
    tones = torch.cat([colors, torch.ones_like(colors[..., :1])], dim=2).transpose(1, 2)[..., None]  # (N, 4, K, 1)
    alike = (near - tones[:, :3]).square().sum(dim=1) < 0.25
    strength = brush.flatten(2) * (alike | ~careful[..., None])  # (N, K, side * side)
    painted = target.new_zeros(n, 4, size * size)  # colour and coverage
    for dab in range(most):
        at = places[:, dab, None].expand(-1, 4, -1)
        before = painted.gather(2, at)
        painted.scatter_(2, at, torch.lerp(before, tones[:, :, dab].expand_as(before), strength[:, dab, None]))
    result: Tensor = painted.unflatten(2, (size, size))
    return result


def _distance_to_segment(rows: Tensor, columns: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Distance of pixels at `rows` and `columns` (N, K, side) to the segments start-end (N, K, 2): (N, K, side, side)."""
    down = rows[..., :, None] - start[..., 0, None, None]
    right = columns[..., None, :] - start[..., 1, None, None]
    direction = end - start
    along_row, along_column = direction[..., 0, None, None], direction[..., 1, None, None]
    squared = (along_row.square() + along_column.square()).clamp(min=1e-6)
    share = ((down * along_row + right * along_column) / squared).clamp(0, 1)
    distance: Tensor = torch.hypot(down - share * along_row, right - share * along_column)
    return distance
