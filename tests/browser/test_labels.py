"""Painting label maps: every pixel is one class of the palette."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser.studio import Pixels, Studio, box, difference
from tests.server.models import FACADE_CLASSES, hex_rgb

COLORS = {name: hex_rgb(color) for name, _, color in FACADE_CLASSES}


def share(pixels: Pixels, name: str) -> float:
    """Share of pixels of a class."""
    return float((pixels == np.array(COLORS[name])).all(axis=2).mean())


def test_brush_is_hard_edged_and_changes_the_picture_there(labels: Studio) -> None:
    before = labels.result()
    labels.press("3")
    labels.stroke((60, 60), (180, 90), (90, 150))
    drawing, after = labels.drawing(), labels.result()
    assert drawing.shape == (256, 256, 3)
    assert share(drawing, "Background") + share(drawing, "Window") == 1.0
    assert difference(box(before, 170, 80, 184, 96), box(after, 170, 80, 184, 96)) > 20
    assert difference(box(before, 10, 200, 100, 250), box(after, 10, 200, 100, 250)) == 0


def test_result_equals_the_api_for_the_saved_drawing(labels: Studio) -> None:
    labels.press("r", "2")
    labels.stroke((30, 60), (220, 255))
    labels.press("3")
    labels.stroke((60, 90), (100, 130))
    seed = int(labels.page.input_value("#seed"))
    assert np.array_equal(labels.result(), labels.translate(labels.save("drawing"), seed))


def test_rectangle_covers_exactly_the_pixels_between_its_corners(labels: Studio) -> None:
    labels.press("r", "4")
    labels.stroke((50.5, 60.5), (99.5, 119.5))
    drawing = labels.drawing()
    assert share(drawing[60:120, 50:100], "Door") == 1.0
    assert share(drawing, "Door") == 50 * 60 / 256**2


def test_rectangle_becomes_a_square_with_shift(labels: Studio) -> None:
    labels.press("r", "4")
    labels.page.keyboard.down("Shift")
    labels.stroke((50.5, 60.5), (99.5, 80.5))
    labels.page.keyboard.up("Shift")
    assert share(labels.drawing(), "Door") == 50 * 50 / 256**2


def test_fill_stops_at_another_class(labels: Studio) -> None:
    labels.press("r", "2")
    labels.stroke((50.5, 50.5), (199.5, 199.5))
    labels.press("g", "3")
    labels.click((100, 100))
    drawing = labels.drawing()
    assert share(drawing, "Window") == 150 * 150 / 256**2
    assert share(drawing, "Wall") == 0
    labels.press("5")
    labels.click((10, 10))
    assert share(labels.drawing(), "Cornice") == 1 - 150 * 150 / 256**2


def test_eyedropper_takes_the_class_and_returns_to_the_tool(labels: Studio) -> None:
    labels.press("r", "7")
    labels.stroke((50, 50), (100, 100))
    labels.press("2", "i")
    labels.click((70, 70))
    assert labels.page.get_attribute("[data-choice=c6]", "aria-pressed") == "true"
    assert labels.page.get_attribute("[data-tool=rectangle]", "aria-pressed") == "true"


@pytest.mark.parametrize(("keys", "index"), [(["7"], 6), (["1", "2"], 11), (["1", "0"], 9)])
def test_digits_choose_classes(labels: Studio, keys: list[str], index: int) -> None:
    labels.press(*keys)
    assert labels.page.get_attribute(f"[data-choice=c{index}]", "aria-pressed") == "true"


def test_every_class_has_a_name_and_a_number(labels: Studio) -> None:
    shown = labels.page.locator(".class").all_inner_texts()
    assert [text.split() for text in shown] == [[str(k + 1), name] for k, (name, _, _) in enumerate(FACADE_CLASSES)]


def test_undo_takes_back_each_kind_of_step(labels: Studio) -> None:
    labels.press("3")
    labels.stroke((60, 60), (100, 60))
    first = labels.drawing()
    labels.press("r")
    labels.stroke((120, 120), (160, 160))
    second = labels.drawing()
    labels.press("g", "5")
    labels.click((10, 10))
    labels.press("Control+z")
    assert np.array_equal(labels.drawing(), second)
    labels.press("Control+z")
    assert np.array_equal(labels.drawing(), first)
    labels.press("Control+z")
    assert share(labels.drawing(), "Background") == 1.0


def test_undo_brings_the_picture_back_too(labels: Studio) -> None:
    before = labels.result()
    labels.press("r", "3")
    labels.stroke((60, 60), (160, 160))
    changed = labels.result()
    labels.press("Control+z")
    assert not np.array_equal(changed, before)
    assert np.array_equal(labels.result(), before)
