"""Boxes and scores from a detector's file, on graphs whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.builder.detectors import (
    CLASSES,
    SIDE,
    Answer,
    answer_rows,
    color_detector_file,
    constant,
    detector_file,
    pixel_detector_file,
    save,
)
from training.builder.box import Box, square_around
from training.builder.detector import COCO, Detector
from training.builder.journal import BuildError


def photo(width: int, height: int, color: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def sides(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


@pytest.mark.parametrize("row", [0, 27, 63, 64 + 5, 80 + 3], ids=["first", "stride 8", "last of 8", "stride 16", "stride 32"])
def test_a_box_is_decoded_by_the_cell_and_the_stride_of_its_row(tmp_path: Path, row: int) -> None:
    detector = Detector(detector_file(tmp_path / "d.onnx", [Answer(row, (30, 20), (16, 24), (0, 0.8, 0))]), CLASSES)
    (found,) = detector(photo(SIDE, SIDE), 0.5)
    assert (found.name, found.score) == ("dog", pytest.approx(0.8))
    assert sides(found.box) == pytest.approx((22, 8, 38, 32), abs=1e-3)


@pytest.mark.parametrize(("width", "height", "scale"), [(128, 128, 2), (128, 64, 2), (32, 16, 0.5), (48, 96, 1.5)])
def test_a_box_comes_back_in_pixels_of_the_photo(tmp_path: Path, width: int, height: int, scale: float) -> None:
    detector = Detector(detector_file(tmp_path / "d.onnx", [Answer(9, (16, 12), (8, 16), (0.9, 0, 0))]), CLASSES)
    (found,) = detector(photo(width, height), 0.5)
    assert sides(found.box) == pytest.approx([scale * side for side in (12, 4, 20, 20)], abs=1e-2)


def test_a_box_ends_at_the_borders_of_the_photo(tmp_path: Path) -> None:
    detector = Detector(detector_file(tmp_path / "d.onnx", [Answer(0, (32, 32), (100, 100), (1, 0, 0))]), CLASSES)
    (found,) = detector(photo(64, 32), 0.5)
    assert sides(found.box) == pytest.approx((0, 0, 64, 32))


@pytest.mark.parametrize(
    ("x", "y", "bgr"),
    [(0, 0, (250, 100, 50)), (63, 31, (250, 100, 50)), (0, 32, (114, 114, 114)), (63, 63, (114, 114, 114))],
    ids=["photo's first", "photo's last", "below it", "last"],
)
def test_a_photo_is_shown_as_bgr_at_the_top_left_of_114(tmp_path: Path, x: int, y: int, bgr: tuple[int, int, int]) -> None:
    detector = Detector(pixel_detector_file(tmp_path / "d.onnx", x, y), CLASSES)
    found = {d.name: d.score * 255 for d in detector(photo(128, 64, (50, 100, 250)), 0.1)}
    assert [found[name] for name in CLASSES] == pytest.approx(bgr, abs=0.01)


def test_a_score_is_objectness_times_that_of_the_class(tmp_path: Path) -> None:
    path = detector_file(tmp_path / "d.onnx", [Answer(0, (32, 32), (20, 20), (0.9, 0.6, 0), objectness=0.5)])
    found = Detector(path, CLASSES)(photo(SIDE, SIDE), 0.25)
    assert [(d.name, d.score) for d in found] == [("cat", pytest.approx(0.45)), ("dog", pytest.approx(0.3))]


def test_of_boxes_that_overlap_the_surest_of_each_class_stays(tmp_path: Path) -> None:
    answers = [
        Answer(0, (20, 20), (20, 20), (0.6, 0, 0)),
        Answer(1, (21, 20), (20, 20), (0.9, 0, 0)),  # nearly the same place: one cat
        Answer(2, (50, 50), (20, 20), (0.7, 0, 0)),  # elsewhere: another
        Answer(3, (21, 21), (20, 20), (0, 0.5, 0)),  # the same place, but a dog
    ]
    found = Detector(detector_file(tmp_path / "d.onnx", answers), CLASSES)(photo(SIDE, SIDE), 0.3)
    assert [(d.name, d.score) for d in found] == [
        ("cat", pytest.approx(0.9)),
        ("cat", pytest.approx(0.7)),
        ("dog", pytest.approx(0.5)),
    ]


def test_a_photo_without_anything_gives_nothing(tmp_path: Path) -> None:
    assert Detector(detector_file(tmp_path / "d.onnx", []), CLASSES)(photo(10, 10), 0.1) == []


def test_coco_has_its_80_classes_in_order() -> None:
    assert (len(COCO), COCO[0], COCO[15], COCO[16], COCO[79]) == (80, "person", "cat", "dog", "toothbrush")


def test_opinions_are_logits_of_what_is_seen_around_each_place(tmp_path: Path) -> None:
    detector = Detector(color_detector_file(tmp_path / "d.onnx"), CLASSES)
    picture = photo(128, 64, (0, 0, 64))
    picture[:, 64:] = (192, 0, 0)
    opinions = detector.opinions(picture)
    assert opinions.shape == (4, 8, 3 * 8)  # half of the input is padding
    blue, red = opinions[1, 0, 5], opinions[1, 7, 7]
    assert (blue, red) == (pytest.approx(np.log(64 / 192)), pytest.approx(np.log(192 / 64)))
    assert opinions[1, 7, 13] < -10  # no blue there at stride 16 either


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"none\.onnx' is no file; give the path of an ONNX detector"):
        Detector(tmp_path / "none.onnx")


def test_a_file_that_is_no_onnx_is_named(tmp_path: Path) -> None:
    (tmp_path / "d.onnx").write_bytes(b"\x89PNG what")
    with pytest.raises(BuildError, match=r"d\.onnx' is no ONNX file that can be opened"):
        Detector(tmp_path / "d.onnx")


@pytest.mark.parametrize(
    ("shape", "found"),
    [((1, 1, 64, 64), "1 x 1 x 64 x 64"), ((1, 3, 60, 64), "1 x 3 x 60 x 64"), ((1, 3, "h", "w"), "1 x 3 x h x w")],
    ids=["gray", "no multiple of 32", "any size"],
)
def test_another_input_is_told_with_what_is_expected(tmp_path: Path, shape: tuple[int | str, ...], found: str) -> None:
    path = save(tmp_path / "d.onnx", [constant("output", answer_rows([]))], shape)
    with pytest.raises(BuildError, match=f"its input is tensor.float. {found}, expected .*3 x H x W"):
        Detector(path, CLASSES)


def test_a_batch_of_any_size_is_fine(tmp_path: Path) -> None:
    path = save(tmp_path / "d.onnx", [constant("output", answer_rows([]))], ("batch", 3, SIDE, SIDE))
    assert Detector(path, CLASSES)(photo(8, 8), 0.1) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((1, 85, 84), np.float32), "its output is 1 x 85 x 84, expected 1 x 84 x 8"),
        (np.zeros((1, 84), np.float32), "its output is 1 x 84, expected 1 x 84 x 8"),
        (np.full((1, 84, 8), 40, np.float32), "its boxes are decoded already"),
    ],
    ids=["another detector's", "no table", "decoded"],
)
def test_another_output_is_told_with_what_is_expected(tmp_path: Path, rows: np.ndarray, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        Detector(save(tmp_path / "d.onnx", [constant("output", rows)]), CLASSES)


def test_another_number_of_classes_asks_for_their_names(tmp_path: Path) -> None:
    path = detector_file(tmp_path / "d.onnx", [])
    with pytest.raises(BuildError, match="knows 3 classes and 80 names are given; list all of its classes"):
        Detector(path)


@pytest.mark.parametrize(
    ("box", "size", "margin", "padding", "square"),
    [
        (Box(40, 40, 60, 80), (200, 100), 0.25, True, (20, 30, 80, 90)),
        (Box(0, 40, 20, 80), (200, 100), 0.25, True, (0, 30, 60, 90)),  # moved inside
        (Box(180, 60, 200, 100), (200, 100), 0.25, True, (140, 40, 200, 100)),
        (Box(50, 0, 150, 80), (200, 100), 0.1, True, (40, -20, 160, 100)),  # longer than the photo is high: it holds all of it
        (Box(50, 0, 140, 80), (200, 100), 0.1, False, (45, 0, 145, 100)),  # the margin gives way
    ],
)
def test_the_square_holds_the_box_and_stays_inside_where_it_can(
    box: Box, size: tuple[int, int], margin: float, padding: bool, square: tuple[int, ...]
) -> None:
    assert square_around(box, size, margin, padding) == Box(*square)


def test_there_is_no_square_for_a_box_longer_than_the_photo_is_high() -> None:
    assert square_around(Box(0, 0, 150, 80), (200, 100), 0.1, padding=False) is None


def test_squares_of_any_box_hold_it_and_leave_the_photo_no_more_than_they_must() -> None:
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(300):
        width, height = rng.integers(20, 300, 2)
        (left, right), (top, bottom) = np.sort(rng.random(2)) * width, np.sort(rng.random(2)) * height
        square = square_around(Box(left, top, right, bottom), (int(width), int(height)), 0.1, padding=True)
        assert square is not None
        assert square.width == square.height
        assert square.left <= left + 1
        assert square.right >= right - 1
        assert square.top <= top + 1
        assert square.bottom >= bottom - 1
        for low, high, side in ((square.left, square.right, width), (square.top, square.bottom, height)):
            fits = high - low <= side
            assert (low >= 0 and high <= side) if fits else (low <= 0 and high >= side)
            outside += not fits
    assert outside > 20  # both kinds came up
