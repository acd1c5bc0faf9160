"""A subject's mask by GrabCut (Rother et al. 2004), whose colour models are learned from the one picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.builder.box import Box
from training.builder.likelihood import REACH
from training.builder.mask import Mask

CORE = 0.4
"""Of the box's width and height: an ellipse of that size around its centre is surely the subject."""
SURE, UNSURE = 0.85, 0.15
"""A place at least as likely as the first is surely the subject, one no likelier than the second surely not."""
RIM = 0.02
"""Of a picture that the box fills, that share at each border is taken for background; otherwise there would be none."""

Labels = NDArray[np.uint8]


def grabcut(picture_u8: NDArray[np.uint8], first: Labels, rounds: int) -> Mask:
    """What of an RGB picture (H, W, 3) is the subject.

    Args:
        first: OpenCV's four labels, as far as known.
        rounds: How often colour models and mask are estimated in turn.
    """
    labels = first.copy()
    cv2.setRNGSeed(0)  # its colour models begin with random clusters
    try:
        cv2.grabCut(picture_u8, labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # one side has no pixel
        return np.zeros(labels.shape, bool)
    mask: Mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return mask


def labels_from_box(shape: tuple[int, int], box: Box) -> Labels:
    """Background beyond the box's reach, the subject at its core, and what the box suggests between."""
    labels = np.full(shape, cv2.GC_BGD, np.uint8)
    inside = region(shape, box)
    labels[inside.within()] = cv2.GC_PR_BGD
    labels[box.meet(inside).within()] = cv2.GC_PR_FGD
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    x = (columns + 0.5 - (box.left + box.right) / 2) / max(box.width / 2, 1)
    y = (rows + 0.5 - (box.top + box.bottom) / 2) / max(box.height / 2, 1)
    labels[(x**2 + y**2 < CORE**2) & (labels != cv2.GC_BGD)] = cv2.GC_FGD
    return labels


def labels_from_likelihood(likelihood: NDArray[np.float32], box: Box) -> Labels:
    """Background beyond the box's reach, what is surely either, and the likelier of both between."""
    labels = np.full(likelihood.shape, cv2.GC_BGD, np.uint8)
    inside = region(likelihood.shape, box).within()
    found = np.select(
        [likelihood >= SURE, likelihood > 0.5, likelihood > UNSURE], [cv2.GC_FGD, cv2.GC_PR_FGD, cv2.GC_PR_BGD], cv2.GC_BGD
    )
    labels[inside] = found[inside]
    return labels


def region(shape: tuple[int, ...], box: Box) -> Box:
    """Where in a picture (rows, columns) the subject can be."""
    whole = Box.whole((shape[1], shape[0]))
    reach = box.grown(REACH).meet(whole)
    return whole.grown(-RIM) if reach.area > (1 - RIM) * whole.area else reach
