"""How likely each place of a picture is the subject: learned from masks of other pictures of the same subject.

A ridge regression on random features (Rahimi, Recht 2007) of a detector's opinions: it has a solution in closed form, is fitted
in seconds without a deep-learning framework, and averages over the mistakes of the masks it learns from, as nets do that learn
from GrabCut's masks (Khoreva et al. 2017, "Simple does it").
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from training.builder.box import Box
from training.builder.mask import Mask

FloatArray = NDArray[np.float32]

REACH = 0.08
"""A detector's box may be too small by this share of its sides: ears and tails stick out."""
HIDDEN = 512
"""Random features beside the linear ones; more fit finer and take longer."""
RIDGE = 50.0
CELLS_PER_PICTURE = 300


@dataclass(frozen=True)
class Sample:
    """Places of one picture.

    Attributes:
        features: (n, features), one row a place.
        shares: (n,), how much of each place is the subject's, in [0, 1].
    """

    features: FloatArray
    shares: FloatArray


@dataclass(frozen=True)
class LikelihoodModel:
    """Fitted weights. Features are first brought to mean 0 and deviation 1, then seen as they are and through random units."""

    mean: FloatArray
    deviation: FloatArray
    projection: FloatArray
    offset: FloatArray
    weights: FloatArray

    @classmethod
    def fit(cls, samples: Sequence[Sample]) -> Self:
        """Least squares over all places; the same samples always give the same model."""
        features = np.concatenate([sample.features for sample in samples])
        shares = np.concatenate([sample.shares for sample in samples])
        rng = np.random.default_rng(0)
        projection = rng.normal(size=(features.shape[1], HIDDEN)).astype(np.float32) / np.float32(features.shape[1] ** 0.5)
        offset = 0.5 * rng.normal(size=HIDDEN).astype(np.float32)
        mean, deviation = features.mean(axis=0), features.std(axis=0) + np.float32(1e-3)
        units = _units(features, mean, deviation, projection, offset)
        gram = units.T @ units + RIDGE * np.eye(units.shape[1], dtype=np.float32)
        weights = np.linalg.solve(gram, units.T @ (2 * shares - 1))
        return cls(mean, deviation, projection, offset, weights)

    def __call__(self, opinions: FloatArray, box: Box) -> FloatArray:
        """Likelihood in [0, 1] of each place (rows, columns) of a picture; 0 beyond the reach of its subject's box."""
        features = places(opinions, box)
        flat = _units(features.reshape(-1, features.shape[2]), self.mean, self.deviation, self.projection, self.offset)
        likelihood = np.clip((flat @ self.weights + 1) / 2, 0, 1).reshape(features.shape[:2])
        return np.where(_within_reach(features), likelihood, 0).astype(np.float32)

    def to_bytes(self) -> bytes:
        """As a file that `load` reads."""
        stream = io.BytesIO()
        np.savez(stream, **vars(self))
        return stream.getvalue()

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path) as arrays:
            return cls(**arrays)


def sampled(opinions: FloatArray, box: Box, mask: Mask, rng: np.random.Generator) -> Sample:
    """Some places around the subject of a picture whose mask is known."""
    features = places(opinions, box)
    shares = cv2.resize(mask.astype(np.float32), features.shape[1::-1], interpolation=cv2.INTER_AREA)
    inside = np.flatnonzero(_within_reach(features))
    chosen = rng.choice(inside, min(CELLS_PER_PICTURE, len(inside)), replace=False)
    return Sample(features.reshape(-1, features.shape[2])[chosen], shares.ravel()[chosen])


def places(opinions: FloatArray, box: Box) -> FloatArray:
    """Opinions (rows, columns, features) with where each place lies in the box, which is in shares of the picture's sides."""
    rows, columns = opinions.shape[:2]
    y, x = np.mgrid[:rows, :columns].astype(np.float32) + 0.5
    u = (x / columns - (box.left + box.right) / 2) / max(box.width / 2, 1e-6)
    v = (y / rows - (box.top + box.bottom) / 2) / max(box.height / 2, 1e-6)
    where = np.stack([u, v, u**2, v**2, np.maximum(abs(u), abs(v))], axis=2)
    return np.concatenate([opinions, np.clip(where, -2, 2).astype(np.float32)], axis=2)


def _within_reach(features: FloatArray) -> Mask:
    near: Mask = features[..., -1] < 1 + 2 * REACH
    return near


def _units(
    features: FloatArray, mean: FloatArray, deviation: FloatArray, projection: FloatArray, offset: FloatArray
) -> FloatArray:
    linear = np.clip((features - mean) / deviation, -5, 5)
    hidden = np.maximum(linear @ projection + offset, 0)
    return np.concatenate([linear, hidden, np.ones((len(linear), 1), np.float32)], axis=1)
