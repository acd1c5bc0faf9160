"""Batched augmentation of pairs, on the device, from one explicit generator.

All pictures of a pair get one geometric draw. Line drawings then get what people's pens do: thicker and thinner lines, gaps,
and a wobble against the picture, because people's lines differ from a font's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import AugmentConfig
from training.encoding import labels_to_one_hot
from training.source import SourceSpec

PAPER = 1.0
"""Value of empty paper and of white in [-1, 1]."""

_KNOTS = 9
"""Places along a side at which a wobble is drawn."""

_SOLID_RADIUS = 6
"""Ink that reaches further than this many pixels every way is an area, not a line."""


class PairAugment:
    """Turns uint8 pairs into augmented network inputs.

    source_u8: (N, H, W, C), target_u8: (N, H, W, 3) or (N, H, W, 1), others_u8: like the source, in the order of its spec.
    Result: source (N, condition_channels, S, S), target (N, 3 or 1, S, S) in [-1, 1], where S is the image or the crop size.
    """

    def __init__(self, config: AugmentConfig, source: SourceSpec) -> None:
        self._config = config
        self._source = source

    def __call__(
        self, source_u8: Tensor, target_u8: Tensor, generator: torch.Generator, others_u8: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        grid = _sampling_grid(self._config, len(source_u8), source_u8.device, generator)
        target = self._sample_picture(_to_float(target_u8) / 127.5 - 1.0, grid)
        pictures = zip((source_u8, *others_u8), self._source.inputs, strict=True)
        sources = [self._sample(image_u8, spec, grid, generator) for image_u8, spec in pictures]
        return torch.cat(sources, dim=1), target

    def _sample(self, image_u8: Tensor, spec: SourceSpec, grid: Tensor, generator: torch.Generator) -> Tensor:
        """One input, encoded, (N, network_channels, S, S)."""
        if spec.kind == "labels":
            labels = F.grid_sample(_to_float(image_u8), grid, mode="nearest", padding_mode="border", align_corners=False)
            return labels_to_one_hot(labels, spec.classes)
        image = _to_float(image_u8) / 127.5 - 1.0
        if spec.kind == "line":
            return self._pen(_sample_picture(image, _wobble(grid, self._config.line_warp_px, generator)), generator)
        picture = self._sample_picture(image, grid)
        return _jitter(picture, self._config.jitter, generator) if spec.kind == "photo" else picture

    def _sample_picture(self, image: Tensor, grid: Tensor) -> Tensor:
        if self._config.reflect:
            return F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return _sample_picture(image, grid)

    def _pen(self, lines: Tensor, generator: torch.Generator) -> Tensor:
        """Lines in [-1, 1], dark on paper, as other pens and hands would draw them."""
        config = self._config
        ink = (PAPER - lines) / 2  # 0 on paper, 1 on ink
        if config.line_hollow_share:
            is_hollow = (torch.rand(len(ink), generator=generator) < config.line_hollow_share).to(ink.device)
            ink = torch.where(is_hollow.reshape(-1, 1, 1, 1), _hollow(ink), ink)
        if config.line_thicken_px or config.line_thin_px:
            ink = _change_width(ink, _uniform(len(ink), -config.line_thin_px, config.line_thicken_px, generator))
        if config.line_gaps:
            ink = ink * _gap_mask(ink, config.line_gaps, generator)
        return PAPER - 2 * ink


class PictureAugment:
    """Turns pictures of one domain into augmented network inputs: uint8 (N, H, W, 3) to (N, 3, S, S) in [-1, 1]."""

    def __init__(self, config: AugmentConfig) -> None:
        self._config = config

    def __call__(self, image_u8: Tensor, generator: torch.Generator) -> Tensor:
        grid = _sampling_grid(self._config, len(image_u8), image_u8.device, generator)
        return _sample_picture(_to_float(image_u8) / 127.5 - 1.0, grid)


def _sampling_grid(config: AugmentConfig, n: int, device: torch.device, generator: torch.Generator) -> Tensor:
    """Sampling positions (N, S, S, 2) in [-1, 1]: zoom, stretch, rotation, shift and flip in one affine map a picture."""
    zoom = config.zoom_min + (config.zoom_max - config.zoom_min) * torch.rand(n, generator=generator)
    stretch = torch.exp(config.stretch * _signed(n, generator))
    angle = math.radians(config.rotation_degrees) * _signed(n, generator)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0) if config.flip else torch.ones(n)
    size = config.crop_size or config.image_size
    visible = size / config.image_size  # share of the picture's side that one sample shows
    scale_x, scale_y = mirror * visible / (zoom * stretch), visible / zoom * stretch
    # A view of half-width s may slide by 1 - s either way and stay on the picture; `shift` lets it slide further.
    slide_x = torch.clamp(1.0 - scale_x.abs(), min=0.0) + 2 * config.shift
    slide_y = torch.clamp(1.0 - scale_y.abs(), min=0.0) + 2 * config.shift
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = scale_x * torch.cos(angle), -scale_y * torch.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = scale_x * torch.sin(angle), scale_y * torch.cos(angle)
    theta[:, 0, 2], theta[:, 1, 2] = slide_x * _signed(n, generator), slide_y * _signed(n, generator)
    return _affine_grid(theta.to(device), size)


def _affine_grid(theta: Tensor, size: int) -> Tensor:
    """`F.affine_grid` of squares, (N, 2, 3) to (N, S, S, 2), as sums of rows and columns, much quicker on a processor."""
    axis = (torch.arange(size, device=theta.device) * 2 + 1) / size - 1
    columns = axis[None, None, :, None] * theta[:, None, None, :, 0]
    rows = axis[None, :, None, None] * theta[:, None, None, :, 1] + theta[:, None, None, :, 2]
    return columns + rows


def _to_float(image_u8: Tensor) -> Tensor:
    return image_u8.permute(0, 3, 1, 2).float()


def _signed(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * 2 - 1


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def _sample_picture(image: Tensor, grid: Tensor) -> Tensor:
    """Bilinear sampling; what lies outside is white: shifting white to zero makes zero padding do it."""
    return F.grid_sample(image - PAPER, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + PAPER


def _jitter(photo: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Other light, another camera: saturation, contrast and brightness, each by up to `strength`; (N, C, H, W) in [-1, 1]."""
    if not strength:
        return photo
    saturation, contrast = (
        (1 + strength * _signed(len(photo), generator)).to(photo.device).reshape(-1, 1, 1, 1) for _ in range(2)
    )
    brightness = (strength * _signed(len(photo), generator)).to(photo.device).reshape(-1, 1, 1, 1)
    gray = photo.mean(dim=1, keepdim=True)
    photo = gray + (photo - gray) * saturation
    middle = photo.mean(dim=(1, 2, 3), keepdim=True)
    return (middle + (photo - middle) * contrast + brightness).clamp(-1.0, 1.0)


def _wobble(grid: Tensor, amplitude_px: float, generator: torch.Generator) -> Tensor:
    """Adds a smooth displacement of at most about `amplitude_px` pixels; each drawing has its own strength."""
    if not amplitude_px:
        return grid
    n, size = grid.shape[0], grid.shape[1]
    knots = torch.randn(n, 2, _KNOTS, _KNOTS, generator=generator) * torch.rand(n, 1, 1, 1, generator=generator)
    weights = _bicubic_weights(_KNOTS, size)
    field = (weights @ knots @ weights.T).to(grid.device)
    return grid + field.permute(0, 2, 3, 1) * (amplitude_px / size)  # 2 grid units a side: amplitude/2 standard deviations


@cache
def _bicubic_weights(knots: int, size: int) -> Tensor:
    """What each of `size` places along a line takes of each knot, (size, knots): bicubic interpolation as a matrix."""
    weights = F.interpolate(torch.eye(knots)[None, :, :, None], size=(size, 1), mode="bicubic", align_corners=True)
    return weights[0, :, :, 0].T.contiguous()


def _change_width(ink: Tensor, change_px: Tensor) -> Tensor:
    """Widens (positive) or narrows lines by `change_px` (N,), blending between whole-pixel dilations and erosions."""
    result = ink
    for sign, step in ((1, _dilate), (-1, _thin)):
        chosen = torch.nonzero(change_px * sign > 0).flatten()
        if not len(chosen):
            continue
        amount = change_px[chosen].abs() / 2  # half on either side
        places = chosen.to(ink.device)
        stages = [ink[places]]
        for _ in range(math.ceil(float(amount.max()))):
            stages.append(step(stages[-1]))
        result = result.index_copy(0, places, _blend(stages, amount.reshape(-1, 1, 1, 1).to(ink.device)))
    return result


def _thin(ink: Tensor) -> Tensor:
    """A pixel less on either side. What a dilation could not bring back is a line about to break: it stays."""
    eroded = _erode(ink)
    return torch.maximum(eroded, ink - _dilate(eroded))


def _dilate(ink: Tensor, radius: int = 1) -> Tensor:
    """Largest value in the square of `2 * radius + 1` pixels: rows, then columns, as maxima of ever wider shifts.

    On a processor the pooling operator takes twenty times as long for one channel.
    """
    span = 2 * radius + 1
    for dim in (2, 3):
        padding = [0, 0, radius, radius] if dim == 2 else [radius, radius, 0, 0]
        ink = F.pad(ink, padding, value=-math.inf)
        covered = 1
        while covered < span:
            shift = min(covered, span - covered)
            length = ink.shape[dim] - shift
            ink = torch.maximum(ink.narrow(dim, 0, length), ink.narrow(dim, shift, length))
            covered += shift
    return ink


def _erode(ink: Tensor, radius: int = 1) -> Tensor:
    return -_dilate(-ink, radius)


def _blend(stages: list[Tensor], position: Tensor) -> Tensor:
    result = stages[0]
    for index in range(1, len(stages)):
        result = torch.lerp(result, stages[index], (position - (index - 1)).clamp(0, 1))
    return result


def _hollow(ink: Tensor) -> Tensor:
    """Empties solid areas and leaves their outline: people draw a ball's outline and do not fill it."""
    return ink - torch.minimum(ink, _dilate(_erode(ink, _SOLID_RADIUS)))


def _gap_mask(ink: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """1 but for up to `most` discs of 2 to 6 pixels radius a drawing, so that outlines are not always closed."""
    n, size = ink.shape[0], ink.shape[-1]
    centers = torch.rand(n, most, 2, generator=generator) * size
    radii = _uniform(n * most, 2.0, 6.0, generator).reshape(n, most) * size / 256
    used = torch.rand(n, most, generator=generator) < torch.rand(n, 1, generator=generator)
    radii = torch.where(used, radii, torch.zeros(())).to(ink.device)[..., None, None]
    centers = centers.to(ink.device)
    # Only the squares around the discs are looked at, each on its own: (N, most, reach, reach).
    reach = torch.arange(-(reach_px := math.ceil(6.0 * size / 256)), reach_px + 1, device=ink.device)
    rows, columns = (centers.floor().long()[..., axis, None] + reach for axis in (0, 1))
    dy, dx = ((places + 0.5 - centers[..., axis, None]).square() for axis, places in ((0, rows), (1, columns)))
    rows, columns = rows[..., :, None], columns[..., None, :]
    within = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    inside = within & (dy[..., :, None] + dx[..., None, :] < radii.square())
    places = torch.where(inside, rows * size + columns, size * size).flatten(1)  # what is outside goes to a place of its own
    mask = torch.ones(n, size * size + 1, device=ink.device).scatter_(1, places, 0.0)
    return mask[:, :-1].reshape(n, 1, size, size)
