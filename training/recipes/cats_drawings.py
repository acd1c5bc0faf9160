"""Freehand cats for the gallery of a model of the plan `cats`: our own, in no training set. `freehand.py` draws the strokes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from training.recipes.freehand import Dab, Stroke, curve, ink, paint, ring, with_corners
from training.recipes.recipe import Drawing, Subject


def drawings(size: int, line_width_px: float | None) -> tuple[Drawing, ...]:
    """All drawings at `size` pixels, lines `line_width_px` wide there (1 % of the side when not known)."""
    width = line_width_px or 0.012 * size
    makers: Sequence[tuple[str, str, Callable[[], list[Stroke]], tuple[Dab, ...]]] = (
        ("Sitting cat", "座るねこ", _sitting, ()),
        ("Ginger cat", "茶トラ", _sitting, _GINGER),
        ("Cat's face", "ねこの顔", _face, ()),
        ("Walking cat", "歩くねこ", _walking, ()),
        ("Black cat", "黒ねこ", _walking, _BLACK),
    )
    return tuple(
        Drawing(
            title={"en": english, "ja": japanese},
            inputs={"image": ink(make(), size, width), "hints": paint(dabs, size)},
        )
        for english, japanese, make, dabs in makers
    )


def _sitting() -> list[Stroke]:
    outline = [
        (96, 92), (88, 70), (90, 38), (112, 52), (130, 50), (148, 54), (170, 38), (171, 74), (164, 96), (182, 130), (194, 176),
        (192, 226), (150, 238), (104, 238), (70, 228), (66, 180), (80, 128), (96, 92),
    ]  # fmt: skip
    return [
        with_corners(outline, corners=(2, 3, 5, 6)),
        ring(114, 78, 6, 5), ring(114, 78, 2, 4), ring(147, 79, 6, 5), ring(147, 79, 2, 4),
        curve([(126, 93), (131, 92), (136, 93)]), curve([(126, 93), (131, 99), (136, 93)]),
        curve([(131, 99), (130, 105), (122, 108)]), curve([(131, 99), (132, 105), (140, 108)]),
        curve([(112, 100), (94, 98), (78, 102)]), curve([(112, 104), (96, 107), (82, 114)]),
        curve([(150, 100), (168, 98), (184, 102)]), curve([(150, 104), (166, 107), (180, 114)]),
        curve([(112, 146), (116, 190), (114, 236)]), curve([(150, 146), (146, 190), (148, 236)]),
        curve([(131, 196), (131, 237)]),
        curve([(192, 222), (222, 214), (232, 184), (222, 160), (214, 168), (216, 190), (192, 204)]),
    ]  # fmt: skip


def _face() -> list[Stroke]:
    head = [
        (58, 104), (46, 60), (50, 22), (92, 50), (128, 44), (164, 50), (206, 22), (210, 62), (198, 106), (212, 150), (190, 200),
        (128, 226), (66, 200), (44, 150), (58, 104),
    ]  # fmt: skip
    return [
        with_corners(head, corners=(2, 3, 5, 6)),
        curve([(60, 78), (60, 44), (84, 62)]), curve([(196, 78), (196, 44), (172, 62)]),
        ring(90, 118, 17, 13), ring(90, 118, 5, 11), ring(166, 118, 17, 13), ring(166, 118, 5, 11),
        with_corners([(116, 156), (140, 156), (128, 168), (116, 156)], (1, 2)),
        curve([(128, 168), (126, 182), (110, 190)]), curve([(128, 168), (130, 182), (146, 190)]),
        curve([(98, 168), (60, 162), (26, 166)]), curve([(98, 176), (62, 178), (30, 190)]),
        curve([(158, 168), (196, 162), (230, 166)]), curve([(158, 176), (194, 178), (226, 190)]),
    ]  # fmt: skip


def _walking() -> list[Stroke]:
    outline = [
        (60, 96), (46, 112), (28, 108), (22, 86), (26, 56), (42, 70), (60, 70), (76, 58), (80, 88), (110, 98), (160, 94),
        (194, 104), (206, 132), (206, 170), (212, 216), (190, 218), (184, 176), (164, 160), (124, 164), (106, 158), (102, 216),
        (82, 218), (78, 160), (62, 132), (56, 108),
    ]  # fmt: skip
    return [
        with_corners(outline, corners=(4, 5, 6, 7, 14, 15, 20, 21)),
        ring(40, 88, 4, 4), ring(60, 88, 4, 4), curve([(46, 98), (50, 102), (54, 98)]),
        curve([(38, 100), (20, 98), (8, 102)]), curve([(62, 100), (82, 100), (94, 106)]),
        curve([(124, 164), (122, 190), (126, 214), (142, 214), (140, 164)]),
        curve([(166, 160), (158, 190), (160, 214), (176, 216), (182, 180)]),
        curve([(198, 108), (222, 96), (232, 62), (226, 34), (216, 36), (220, 66), (206, 88), (192, 102)]),
    ]  # fmt: skip


_GINGER = (Dab(131, 66, 7, (206, 130, 60)), Dab(100, 170, 9, (206, 130, 60)), Dab(168, 170, 9, (206, 130, 60)))
_BLACK = (Dab(50, 80, 6, (34, 32, 34)), Dab(110, 128, 10, (34, 32, 34)), Dab(170, 128, 10, (34, 32, 34)))

WEAKNESSES = """\
- It learned fur from about 900 photos of cats, cut out of their backgrounds by a program: some outlines were wrong, and so are
  some of its own.
- Eyes come out well only where they are drawn as large rings with a pupil; small faces stay vague.
- Whiskers are drawn over rather than grown, and paws seldom have toes.
- What is not a cat becomes fur of the same shape.
"""

SUBJECT = Subject(drawings=drawings, weaknesses=WEAKNESSES)
