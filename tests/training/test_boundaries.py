"""Matching of boundaries and the figures of the benchmark."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.boundaries import Agreement, agreement, count, match, summarize


def _dots(*places: tuple[int, int], side: int = 12) -> NDArray[np.bool_]:
    image = np.zeros((side, side), bool)
    for row, column in places:
        image[row, column] = True
    return image


def _most_pairs(a: NDArray[np.bool_], b: NDArray[np.bool_], reach: float) -> int:
    """The size of a largest matching, by trying every choice."""
    first, second = [tuple(p) for p in np.argwhere(a)], [tuple(p) for p in np.argwhere(b)]
    small, large = sorted((first, second), key=len)
    best = 0
    for chosen in itertools.permutations([*large, *[None] * len(small)], len(small)):
        pairs = sum(q is not None and np.hypot(p[0] - q[0], p[1] - q[1]) <= reach for p, q in zip(small, chosen, strict=True))
        best = max(best, pairs)
    return best


PLACES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4, unique=True)


@given(PLACES, PLACES, st.sampled_from([1.0, 1.5, 2.3]))
@settings(max_examples=60, deadline=None)
def test_as_many_pixels_are_paired_as_can_be(a: list[tuple[int, int]], b: list[tuple[int, int]], reach: float) -> None:
    detected, truth = _dots(*a, side=6), _dots(*b, side=6)
    matched_detected, matched_truth = match(detected, truth, reach)
    assert matched_detected.sum() == matched_truth.sum() == _most_pairs(detected, truth, reach)
    assert not (matched_detected & ~detected).any()
    assert not (matched_truth & ~truth).any()


def test_greedy_choice_would_lose_a_pair() -> None:
    detected, truth = _dots((5, 5), (5, 6)), _dots((5, 6), (5, 7))
    assert match(detected, truth, 1.0)[0].sum() == 2


def test_pixels_further_apart_than_the_reach_are_strangers() -> None:
    assert not match(_dots((2, 2)), _dots((2, 5)), 2.9)[0].any()
    assert match(_dots((2, 2)), _dots((2, 5)), 3.0)[0].all() == False  # noqa: E712 - only the one dot is True
    assert match(_dots((2, 2)), _dots((2, 5)), 3.0)[0].sum() == 1


def test_second_line_beside_a_true_one_is_wrong() -> None:
    truth = np.zeros((100, 100), bool)
    truth[50] = True
    doubled = truth.copy()
    doubled[51] = True
    right, detected, found, drawn = count(doubled, [truth])
    assert (right, detected, found, drawn) == (100, 200, 100, 100)


def test_pixel_is_right_when_one_person_drew_it_and_all_people_are_to_be_found() -> None:
    first, second = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    first[20], second[70] = True, True
    result = agreement(count(first, [first, second]))
    assert result.precision == 1
    assert result.recall == 0.5


def test_figures_of_the_whole_set_and_of_each_picture() -> None:
    # Two pictures, two thresholds: each picture has another best threshold.
    counts = np.array([[[10, 10, 10, 10], [10, 40, 10, 10]], [[2, 2, 2, 10], [9, 10, 9, 10]]])
    result = summarize(counts)
    assert result.threshold == 0
    assert result.ods == Agreement(1.0, 0.6)
    assert result.ods.f_measure == pytest.approx(0.75)
    assert result.ois == pytest.approx(19 / 20)


def test_nothing_drawn_where_nothing_is_to_be_drawn_is_no_mistake() -> None:
    empty = np.zeros((8, 8), bool)
    assert agreement(count(empty, [empty])) == Agreement(1.0, 1.0)
    assert agreement(count(empty, [_dots((1, 1), side=8)])).f_measure == 0
