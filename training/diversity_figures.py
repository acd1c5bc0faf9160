"""Figures of several answers to one picture: how near the best comes, how far they differ. Pure: bytes in, numbers out.

"Best of 8" means two things in print. The published script of the conditional invertible networks takes, of each number of a
picture, whichever of the 8 samples is nearest there: a picture that nobody drew. Taken of each whole picture, it is the best
that a person could have picked. Both are here, under their own names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.datasets import ImagesU8

RESAMPLINGS = 256
"""Of the bootstrap behind every standard error, as in the published protocol."""


_Figure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From means over pictures to what is told of them."""


class Estimate(BaseModel):
    """A figure and its standard error, by bootstrap over pictures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    error: float


@dataclass(frozen=True)
class PictureErrors:
    """Of one picture, RGB in [0, 1].

    Attributes:
        best_by_number: Mean over pixels and channels of the smallest squared error there among all samples.
        best_by_picture: Mean squared error of the sample that has the smallest.
        first: Mean squared error of the first sample.
        variance: Mean over pixels and channels of the samples' variance there.
    """

    best_by_number: float
    best_by_picture: float
    first: float
    variance: float


def errors_of(samples: ImagesU8, truth: ImagesU8) -> PictureErrors:
    """Errors of samples (S, H, W, 3) of one picture (H, W, 3)."""
    drawn = samples.astype(np.float32) / 255
    squared = np.square(drawn - truth.astype(np.float32) / 255)
    each = squared.mean(axis=(1, 2, 3), dtype=np.float64)
    return PictureErrors(
        best_by_number=float(squared.min(axis=0).mean(dtype=np.float64)),
        best_by_picture=float(each.min()),
        first=float(each[0]),
        variance=float(drawn.var(axis=0, dtype=np.float64).mean()),
    )


def root_mean(squares: Sequence[float], scale: float, seed: int = 0) -> Estimate:
    """`scale` times the root of the mean over pictures."""
    return _estimate(squares, lambda means: scale * np.sqrt(means), seed)


def mean(values: Sequence[float], scale: float = 1.0, seed: int = 0) -> Estimate:
    """`scale` times the mean over pictures."""
    return _estimate(values, lambda means: scale * means, seed)


def frechet_distance(features_a: NDArray[np.float64], features_b: NDArray[np.float64]) -> float:
    """Between the Gaussians that fit two sets of features (N, D), (M, D): |ma - mb|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)).

    Heusel et al. 2017. The trace of the root is that of (Ca^(1/2) Cb Ca^(1/2))^(1/2), which is symmetric: no imaginary parts
    have to be thrown away.
    """
    covariance_a, covariance_b = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (features_a, features_b))
    root_a = _symmetric_root(covariance_a)
    cross = np.linalg.eigvalsh(root_a @ covariance_b @ root_a)
    shift = np.square(features_a.mean(axis=0) - features_b.mean(axis=0)).sum()
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(cross.clip(min=0)).sum()
    return float(shift + spread)


def _symmetric_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def _estimate(values: Sequence[float], figure: _Figure, seed: int) -> Estimate:
    given = np.asarray(values, np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(given), (RESAMPLINGS, len(given)))
    resampled = figure(given[chosen].mean(axis=1))
    return Estimate(value=float(figure(given.mean(keepdims=True))[0]), error=float(resampled.std()))
