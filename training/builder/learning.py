"""Learns what the subject of a data set looks like from the data set itself: no one draws a mask.

GrabCut from boxes gives masks that are right more often than wrong, and wrong in many different ways; a model that is fitted to
all of them at once keeps what they have in common. Its likelihoods then begin GrabCut better, and those of the new masks that
agree with it best teach the model again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from training.builder.detector import Detector
from training.builder.likelihood import LikelihoodModel, Sample, sampled
from training.builder.mask import Mask
from training.builder.sight import Sight, View, found_by_box, found_by_sight

SIDE = 208
"""Masks to learn from are found at this longer side, pixels: finer than what a detector tells apart."""
ROUNDS = 3
MIN_PICTURES = 24
"""From fewer masks than these nothing reliable is learned."""
PLAUSIBLE = (0.3, 0.92)
"""A mask that covers a share of the box outside of these has failed, and teaches nothing."""
TRUSTED = 0.75
"""Share of the masks, those of most contrast, that teach in the second round."""

Lesson = tuple[View, Mask]


def learn(detector: Detector, views: Sequence[View]) -> LikelihoodModel | None:
    """What the subjects of these pictures have in common; None where too few of them can be told from their background."""
    first = [(view, found_by_box(view.at(SIDE), ROUNDS).tidy) for view in views]
    plausible = [(view, mask) for view, mask in first if PLAUSIBLE[0] < _cover(view.at(SIDE), mask) < PLAUSIBLE[1]]
    if len(plausible) < MIN_PICTURES:
        return None
    sight = Sight(detector, _fitted(detector, plausible))
    second = [(view, found_by_sight(view, SIDE, sight, ROUNDS)) for view, _ in plausible]
    second.sort(key=lambda lesson: lesson[1].contrast or 0, reverse=True)
    return _fitted(detector, ((view, found.tidy) for view, found in second[: round(TRUSTED * len(second))]))


def _cover(view: View, mask: Mask) -> float:
    in_box = mask[view.box.within()]
    return float(in_box.mean()) if in_box.size else 0.0


def _fitted(detector: Detector, lessons: Iterable[Lesson]) -> LikelihoodModel:
    rng = np.random.default_rng(0)
    return LikelihoodModel.fit([sample for view, mask in lessons for sample in _samples(detector, view, mask, rng)])


def _samples(detector: Detector, view: View, mask: Mask, rng: np.random.Generator) -> list[Sample]:
    """Of a picture and of its mirror image."""
    flipped = view.mirrored()
    return [
        sampled(detector.opinions(view.pixels), view.shares, mask, rng),
        sampled(detector.opinions(flipped.pixels), flipped.shares, mask[:, ::-1], rng),
    ]
