"""How well drawn boundaries agree with people's: the F-measure of the BSDS benchmark (Martin, Fowlkes, Malik, PAMI 2004;
Arbelaez et al., PAMI 2011, 3.1). Pure functions of arrays; it reads no file and draws no line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

TOLERANCE = 0.0075
"""How far a pixel may lie from its match, as a share of the picture's diagonal: the benchmark's."""

BoolImage = NDArray[np.bool_]
"""(H, W), True on a boundary one pixel wide."""

Counts = NDArray[np.int64]
"""(..., 4): detected pixels that have a match, detected pixels, people's pixels that have a match, people's pixels."""


@dataclass(frozen=True)
class Agreement:
    """Precision, recall and their harmonic mean."""

    precision: float
    recall: float

    @property
    def f_measure(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class Benchmark:
    """Figures of a detector over a set of pictures.

    Attributes:
        ods: Agreement at the one threshold that is best for the whole set (optimal dataset scale).
        threshold: That threshold's place in the sequence.
        ois: F-measure with the threshold that is best for each picture (optimal image scale).
    """

    ods: Agreement
    threshold: int
    ois: float


def match(detected: BoolImage, truth: BoolImage, reach_px: float) -> tuple[BoolImage, BoolImage]:
    """Pairs pixels one to one, as many as possible, no pair further apart than `reach_px`.

    The benchmark's own matching also makes distances small, but leaves a pixel alone only where no pairing could hold it (its
    price for that is a hundred times the largest distance): the number of pairs, which is all that counts, is the same.

    Returns:
        Which pixels of `detected` and of `truth` have a partner.
    """
    matched_detected, matched_truth = np.zeros_like(detected), np.zeros_like(truth)
    rows, columns = np.nonzero(detected)
    if not len(rows) or not truth.any():
        return matched_detected, matched_truth
    number = np.full(truth.shape, -1, np.int64)
    truth_rows, truth_columns = np.nonzero(truth)
    number[truth_rows, truth_columns] = np.arange(len(truth_rows))
    left, right = _near_pairs(rows, columns, number, reach_px)
    has_left, has_right = _paired(left, right, len(rows), len(truth_rows))
    matched_detected[rows[has_left], columns[has_left]] = True
    matched_truth[truth_rows[has_right], truth_columns[has_right]] = True
    return matched_detected, matched_truth


def count(detected: BoolImage, people: Sequence[BoolImage] | BoolImage, tolerance: float = TOLERANCE) -> Counts:
    """Counts of one picture at one threshold, (4,).

    A detected pixel is right when it matches what any one person drew; what each person drew counts towards the recall on its
    own, so a detector has to find what all of them drew.
    """
    reach_px = tolerance * float(np.hypot(*detected.shape))
    is_right = np.zeros_like(detected)
    found = drawn = 0
    for truth in people:
        matched_detected, matched_truth = match(detected, truth, reach_px)
        is_right |= matched_detected
        found += int(matched_truth.sum())
        drawn += int(truth.sum())
    return np.array([is_right.sum(), detected.sum(), found, drawn], np.int64)


def summarize(counts: Counts) -> Benchmark:
    """Figures from counts (pictures, thresholds, 4)."""
    whole = [agreement(row) for row in counts.sum(axis=0)]
    threshold = int(np.argmax([each.f_measure for each in whole]))
    best = np.stack([rows[np.argmax([agreement(row).f_measure for row in rows])] for rows in counts])
    return Benchmark(ods=whole[threshold], threshold=threshold, ois=agreement(best.sum(axis=0)).f_measure)


def agreement(counts: Counts) -> Agreement:
    """Precision and recall of counts (4,); a picture without a detected pixel is wrong nowhere."""
    right, detected, found, drawn = (int(value) for value in counts)
    return Agreement(precision=right / detected if detected else 1.0, recall=found / drawn if drawn else 1.0)


def _paired(
    left: NDArray[np.int64], right: NDArray[np.int64], left_count: int, right_count: int
) -> tuple[BoolImage, BoolImage]:
    """Which nodes of either side a largest matching of these edges holds, as a flow from a source through both to a sink.

    scipy's own bipartite matching takes up to a thousand times as long on lines that run beside each other for a long way.
    """
    source, sink = left_count + right_count, left_count + right_count + 1
    lefts, rights = np.arange(left_count), left_count + np.arange(right_count)
    start = np.concatenate([np.full(left_count, source), left, rights])
    end = np.concatenate([lefts, left_count + right, np.full(right_count, sink)])
    capacity = csr_matrix((np.ones(len(start), np.int32), (start, end)), shape=(sink + 1, sink + 1))
    flow = maximum_flow(capacity, source, sink).flow
    return _from_node(flow, source, lefts), _from_node(flow, sink, rights)


def _from_node(flow: csr_matrix, node: int, others: NDArray[np.int64]) -> BoolImage:
    """Which of `others` exchange flow with `node`."""
    row: NDArray[np.int32] = flow[[node]].toarray()[0]
    found: BoolImage = row[others] != 0
    return found


def _near_pairs(
    rows: NDArray[np.int64], columns: NDArray[np.int64], number: NDArray[np.int64], reach_px: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every detected pixel with every true one within reach: places in the list of detected ones, numbers of true ones."""
    reach = int(reach_px)
    padded = np.pad(number, reach, constant_values=-1)
    lefts, rights = [], []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx > reach_px * reach_px:
                continue
            at = padded[rows + reach + dy, columns + reach + dx]
            hits = np.nonzero(at >= 0)[0]
            lefts.append(hits)
            rights.append(at[hits])
    return np.concatenate(lefts), np.concatenate(rights)
