"""Freehand flowers for the gallery of a model of the plan `flowers-drawn`: our own, in no training set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from training.recipes.freehand import Dab, Point, Stroke, curve, ink, paint, ring, with_corners
from training.recipes.recipe import Drawing, Subject

Tint = tuple[int, int, int]

YELLOW, PINK, VIOLET, RED, ORANGE, GREEN = (
    (244, 200, 40), (232, 96, 160), (124, 84, 190), (204, 36, 44), (238, 132, 40), (74, 132, 60),
)  # fmt: skip


CENTRE = (128.0, 129.0)
"""Of flowers that are seen from the front, out of 256."""
UPRIGHT, DAISY_TURN = -math.pi / 2, 0.1
"""Where a flower's first petal leads, radians."""


def drawings(size: int, line_width_px: float | None) -> tuple[Drawing, ...]:
    """All drawings at `size` pixels, lines `line_width_px` wide there (1 % of the side when not known)."""
    width = line_width_px or 0.012 * size
    makers: Sequence[tuple[str, str, Callable[[], list[Stroke]], tuple[Dab, ...], int | None]] = (
        ("Daisy", "ひなぎく", _daisy, (), 2),
        ("Pink five-petalled flower", "ピンクの五弁花", _five_petals, _dabs_of(5, 64, UPRIGHT, PINK, YELLOW), None),
        ("Violet five-petalled flower", "紫の五弁花", _five_petals, _dabs_of(5, 64, UPRIGHT, VIOLET, YELLOW), None),
        ("Tulip", "チューリップ", _tulip, _tulip_dabs(), None),
        ("Poppy", "ポピー", _poppy, (), 1),
        ("Orange daisy", "オレンジのひなぎく", _daisy, _dabs_of(12, 80, DAISY_TURN, ORANGE, (96, 58, 30)), None),
    )
    return tuple(
        Drawing(
            title={"en": english, "ja": japanese},
            inputs={"image": ink(make(), size, width), "hints": paint(dabs, size)},
            seed=seed,
        )
        for english, japanese, make, dabs, seed in makers
    )


def _around(x: float, y: float, turn: float, points: Sequence[Point]) -> list[Point]:
    """Points whose first coordinate leads away from (x, y), turned about it; radians."""
    cosine, sine = math.cos(turn), math.sin(turn)
    return [(x + along * cosine - across * sine, y + along * sine + across * cosine) for along, across in points]


def _turns(count: int, first: float) -> list[float]:
    """Where the petals lead that share out a whole turn, radians."""
    return [2 * math.pi * k / count + first for k in range(count)]


def _daisy() -> list[Stroke]:
    petal: Sequence[Point] = [(29, -5), (64, -13), (98, -12), (108, 0), (98, 12), (64, 13), (29, 5)]
    petals = [curve(_around(*CENTRE, turn, petal)) for turn in _turns(12, DAISY_TURN)]
    return [ring(*CENTRE, 27, 26), *petals]


def _five_petals() -> list[Stroke]:
    petal: Sequence[Point] = [(17, -8), (44, -27), (80, -51), (104, -26), (97, 0), (104, 26), (80, 51), (44, 27), (17, 8)]
    petals = [with_corners(_around(*CENTRE, turn, petal), (4,)) for turn in _turns(5, UPRIGHT)]
    veins = [curve(_around(*CENTRE, turn, [(24, 0), (38, 2), (50, 0)])) for turn in _turns(5, UPRIGHT)]
    return [ring(*CENTRE, 14, 13), *petals, *veins]


def _tulip() -> list[Stroke]:
    cup = [
        (128, 152),
        (92, 140),
        (78, 100),
        (84, 44),
        (106, 68),
        (128, 34),
        (150, 68),
        (172, 44),
        (178, 100),
        (164, 140),
        (128, 152),
    ]
    return [
        with_corners(cup, (3, 4, 5, 6, 7)),
        curve([(106, 68), (100, 104), (112, 150)]), curve([(150, 68), (156, 104), (144, 150)]),
        curve([(123, 152), (121, 198), (122, 244)]), curve([(133, 152), (132, 198), (132, 244)]),
    ]  # fmt: skip


def _poppy() -> list[Stroke]:
    outline = [
        (128, 34), (176, 28), (222, 66), (214, 122), (226, 172), (180, 222), (128, 212), (72, 222), (34, 176), (42, 122),
        (36, 66), (82, 28), (128, 34),
    ]  # fmt: skip
    stamens = [ring(*_around(128, 124, 2 * math.pi * k / 9, [(31, 0)])[0], 3.5, 3.5) for k in range(9)]
    return [
        with_corners(outline, (3, 6, 9)),
        ring(128, 124, 19, 18), *stamens,
        curve([(214, 122), (190, 124), (170, 126)]), curve([(42, 122), (66, 124), (86, 124)]),
        curve([(128, 34), (126, 56), (128, 80)]), curve([(128, 212), (130, 190), (128, 168)]),
    ]  # fmt: skip


def _dabs_of(count: int, reach: float, first: float, tint: Tint, middle: Tint) -> tuple[Dab, ...]:
    """A dab on every petal, beside its vein, and one on the middle."""
    spots = [_around(*CENTRE, turn, [(reach, 0)])[0] for turn in _turns(count, first)]
    return (*(Dab(x, y, 6, tint) for x, y in spots), Dab(*CENTRE, 6, middle))


def _tulip_dabs() -> tuple[Dab, ...]:
    return (Dab(128, 90, 9, RED), Dab(89, 92, 5, RED), Dab(167, 92, 5, RED), Dab(127, 206, 2.5, GREEN))


WEAKNESSES = """\
- It learned from about 850 photos of some forty kinds of flower, cut out of their backgrounds by a program: some outlines were
  wrong, and so are some of its own.
- It knows single large blooms, seen from the front or the side. A bunch, a meadow or a vase becomes petals of the same shape.
- Which colour a flower has is not in its lines: without a dab the seed chooses, for leaves as well as for petals.
- A dab keeps to the part that it lies in, so each petal wants its own; what a dab fills has few veins and shades.
- Leaves and stems are often coloured as petals; a green dab helps.
"""

SUBJECT = Subject(drawings=drawings, weaknesses=WEAKNESSES)
