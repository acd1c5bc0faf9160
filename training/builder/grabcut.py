"""A subject's mask from its box alone: GrabCut (Rother et al. 2004), whose colour models are learned from the one picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.builder.box import Box
from training.builder.mask import Mask

CORE = 0.4
"""Of the box's width and height: an ellipse of that size around its centre is surely the subject."""


def grabcut(picture_u8: NDArray[np.uint8], box: Box, photo: Box, rounds: int) -> Mask:
    """What in an RGB picture (H, W, 3) is the subject.

    Args:
        box: Where the subject is; outside of it is surely background.
        photo: What of the picture is not padding.
        rounds: How often colour models and mask are estimated in turn.
    """
    labels = _first_labels(picture_u8.shape[:2], box, photo)
    cv2.setRNGSeed(0)  # its colour models begin with random clusters
    try:
        cv2.grabCut(picture_u8, labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # one side has no pixel: the box is the whole picture, or nothing
        return np.zeros(labels.shape, bool)
    mask: Mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return mask


def _first_labels(shape: tuple[int, ...], box: Box, photo: Box) -> NDArray[np.uint8]:
    labels = np.full(shape, cv2.GC_BGD, np.uint8)
    labels[box.meet(photo).within()] = cv2.GC_PR_FGD
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    x = (columns + 0.5 - (box.left + box.right) / 2) / max(box.width / 2, 1)
    y = (rows + 0.5 - (box.top + box.bottom) / 2) / max(box.height / 2, 1)
    labels[x**2 + y**2 < CORE**2] = cv2.GC_FGD
    return labels
