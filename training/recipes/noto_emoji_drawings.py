"""Freehand drawings for the `noto-emoji` model's gallery: our own, in no training set, so that they also judge the model.

`freehand.py` draws the strokes. No file is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from training.recipes.freehand import Dab, Stroke, curve, ink, paint, polygon, ring, with_corners
from training.recipes.recipe import Drawing


def drawings(size: int, line_width_px: float | None) -> tuple[Drawing, ...]:
    """All drawings at `size` pixels, lines `line_width_px` wide there (3 % of the side when not known)."""
    width = line_width_px or 0.03 * size
    makers: Sequence[tuple[str, str, Callable[[], list[Stroke]], tuple[Dab, ...], int]] = (
        ("Cat", "ねこ", _cat, (), 2),
        ("Cat with colour hints", "ねこ(色指定)", _cat, _CAT_DABS, 14),
        ("Mug", "マグカップ", _mug, _MUG_DABS, 39),
        ("House", "家", _house, (), 46),
        ("House with colour hints", "家(色指定)", _house, _HOUSE_DABS, 46),
        ("Flower", "花", _flower, _FLOWER_DABS, 22),
        ("Fish", "さかな", _fish, _FISH_DABS, 14),
        ("Mug without hints", "マグカップ(色指定なし)", _mug, (), 10),
        ("Flower without hints", "花(色指定なし)", _flower, (), 25),
        ("Fish without hints", "さかな(色指定なし)", _fish, (), 14),
    )
    return tuple(
        Drawing(
            title={"en": english, "ja": japanese},
            inputs={"image": ink(make(), size, width), "hints": paint(dabs, size)},
            seed=seed,
        )
        for english, japanese, make, dabs, seed in makers
    )


def _cat() -> list[Stroke]:
    head = [
        (62, 92),
        (60, 40),
        (98, 66),
        (128, 62),
        (158, 66),
        (196, 40),
        (196, 94),
        (212, 140),
        (196, 190),
        (150, 220),
        (106, 220),
        (60, 190),
        (45, 140),
        (62, 92),
    ]
    return [
        with_corners(head, corners=(1, 2, 4, 5)),
        ring(97, 130, 9, 13), ring(97, 131, 4, 7), ring(160, 130, 9, 13), ring(160, 131, 4, 7),
        curve([(118, 158), (129, 156), (139, 158)]), with_corners([(118, 158), (129, 170), (139, 158)], (1,)),
        curve([(129, 170), (127, 181), (115, 187), (103, 181)]), curve([(129, 170), (131, 181), (143, 187), (155, 181)]),
        curve([(84, 160), (52, 153), (24, 156)]), curve([(84, 171), (54, 174), (30, 184)]),
        curve([(174, 160), (206, 152), (234, 155)]), curve([(174, 171), (204, 173), (230, 183)]),
        curve([(116, 66), (117, 88)]), curve([(129, 64), (129, 94)]), curve([(142, 66), (141, 88)]),
    ]  # fmt: skip


def _mug() -> list[Stroke]:
    return [
        ring(112, 82, 66, 17),
        curve([(46, 84), (48, 130), (53, 186), (66, 208), (112, 218), (158, 208), (171, 186), (176, 130), (178, 84)]),
        curve([(177, 106), (206, 98), (226, 116), (224, 148), (204, 170), (174, 172)]),
        curve([(177, 124), (198, 118), (207, 130), (204, 146), (192, 154), (175, 156)]),
        curve([(88, 50), (80, 38), (92, 28), (86, 14)]), curve([(126, 50), (118, 38), (130, 28), (124, 14)]),
    ]  # fmt: skip


def _house() -> list[Stroke]:
    return [
        polygon([(56, 122), (56, 220), (200, 220), (200, 122)]),
        polygon([(30, 130), (128, 42), (226, 130), (30, 130)]),
        polygon([(168, 74), (168, 40), (192, 40), (192, 97)]),
        polygon([(110, 220), (110, 160), (148, 160), (148, 220)]), ring(139, 192, 2.5, 2.5),
        polygon([(70, 150), (98, 150), (98, 180), (70, 180), (70, 150)]), curve([(84, 150), (84, 180)]),
        curve([(70, 165), (98, 165)]),
        polygon([(160, 150), (188, 150), (188, 180), (160, 180), (160, 150)]), curve([(174, 150), (174, 180)]),
        curve([(160, 165), (188, 165)]),
        ring(128, 96, 13, 13),
    ]  # fmt: skip


def _flower() -> list[Stroke]:
    center_x, center_y, strokes = 128.0, 88.0, [ring(128, 88, 20, 19)]
    for k in range(6):
        turn = 2 * math.pi * k / 6 + 0.26
        petal = [(19.0, -0.30), (50.0, -0.52), (69.0, -0.22), (70.0, 0.2), (50.0, 0.5), (19.0, 0.30)]
        strokes.append(curve([(center_x + r * math.cos(turn + a), center_y + r * math.sin(turn + a)) for r, a in petal]))
    strokes.append(curve([(126, 156), (131, 190), (126, 246)]))
    strokes.append(curve([(138, 156), (142, 190), (137, 246)]))
    strokes.append(curve([(140, 216), (160, 186), (206, 178), (194, 210), (166, 226), (139, 226)]))
    strokes.append(curve([(148, 218), (188, 190)]))
    strokes.append(curve([(127, 228), (104, 200), (62, 196), (74, 224), (100, 238), (126, 238)]))
    return strokes


def _fish() -> list[Stroke]:
    return [
        curve([(26, 132), (56, 96), (104, 80), (150, 94), (188, 126), (150, 166), (104, 182), (56, 168), (26, 132)]),
        with_corners([(184, 126), (232, 84), (222, 128), (234, 172), (184, 130)], (1, 3)),
        ring(64, 120, 11, 11), ring(62, 121, 4, 4),
        curve([(92, 92), (104, 118), (103, 146), (90, 172)]),
        curve([(96, 80), (112, 52), (152, 58), (150, 92)]), curve([(116, 76), (124, 62)]),
        curve([(112, 181), (122, 204), (148, 200), (142, 170)]),
        curve([(122, 128), (132, 120), (140, 130)]), curve([(148, 116), (158, 110), (165, 120)]),
        curve([(146, 144), (156, 138), (163, 148)]), curve([(30, 138), (42, 144), (52, 140)]),
    ]  # fmt: skip


_CAT_DABS = (
    Dab(128, 112, 11, (120, 144, 168)), Dab(72, 170, 11, (120, 144, 168)), Dab(186, 170, 11, (120, 144, 168)),
    Dab(78, 76, 8, (120, 144, 168)), Dab(181, 76, 8, (120, 144, 168)), Dab(129, 162, 4, (236, 120, 140)),
)  # fmt: skip
_MUG_DABS = (Dab(88, 150, 13, (214, 60, 60)), Dab(140, 170, 13, (214, 60, 60)), Dab(112, 84, 8, (96, 56, 32)))
_WALL = (250, 226, 150)
_HOUSE_DABS = (
    Dab(100, 112, 9, (205, 70, 50)), Dab(180, 60, 6, (150, 90, 60)), Dab(129, 176, 6, (140, 90, 50)),
    Dab(84, 204, 8, _WALL), Dab(175, 204, 8, _WALL), Dab(128, 145, 6, _WALL), Dab(128, 96, 7, (120, 190, 240)),
    Dab(84, 165, 9, (120, 190, 240)), Dab(174, 165, 9, (120, 190, 240)),
)  # fmt: skip
_PETAL, _LEAF, _FIN = (196, 90, 200), (80, 160, 60), (250, 170, 40)
_FLOWER_DABS = (
    Dab(128, 88, 9, (252, 200, 40)), Dab(178, 100, 9, _PETAL), Dab(140, 140, 9, _PETAL), Dab(91, 126, 9, _PETAL),
    Dab(80, 76, 9, _PETAL), Dab(114, 40, 9, _PETAL), Dab(164, 52, 9, _PETAL),
    Dab(178, 204, 7, _LEAF), Dab(168, 194, 6, _LEAF), Dab(94, 222, 7, _LEAF), Dab(134, 190, 5, _LEAF), Dab(132, 232, 5, _LEAF),
)  # fmt: skip
_FISH_DABS = (
    Dab(132, 108, 10, (40, 130, 220)), Dab(80, 150, 9, (40, 130, 220)),
    Dab(212, 128, 8, _FIN), Dab(134, 66, 6, _FIN), Dab(129, 192, 6, _FIN),
)  # fmt: skip
