"""Undo and redo in the middle of something: that is taken back whole or goes on untouched, and no step is mixed with it."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenStudio
from tests.browser.studio import Spot, Studio
from tests.browser.test_photo import frame_side
from tests.browser.test_variations import on_pad

REDO = ["Control+Shift+z", "Control+y"]


@pytest.fixture
def many(open_studio: OpenStudio) -> Studio:
    """The page with a photo, variations and a parameter, and one variation taken."""
    studio = open_studio("demo-many")
    studio.open_strip()
    studio.page.click("[data-place='2'] .variation-take")
    return studio


def sheet(studio: Studio) -> str:
    """What is drawn, with what is clear of it, as text; read without the mouse."""
    drawn: str = studio.page.eval_on_selector("#drawing-stage canvas", "canvas => canvas.toDataURL()")
    return drawn


def hold(studio: Studio, *spots: Spot) -> None:
    """Draws through places and keeps the button down."""
    studio.page.mouse.move(*studio.at(spots[0]))
    studio.page.mouse.down()
    for spot in spots[1:]:
        studio.page.mouse.move(*studio.at(spot), steps=4)


def hold_point(studio: Studio, x: float, y: float) -> None:
    """Takes the point of the pad to a place and keeps the button down."""
    studio.page.mouse.move(*on_pad(studio, 0.5, 0.5))
    studio.page.mouse.down()
    studio.page.mouse.move(*on_pad(studio, x, y))


def seed(studio: Studio) -> str:
    return studio.page.input_value("#seed")


# --- strokes


@pytest.mark.parametrize("way", ["mouse", "keys"])
def test_undo_in_a_stroke_takes_back_that_stroke_alone(lines: Studio, way: str) -> None:
    lines.stroke((40, 60), (200, 60))
    first = sheet(lines)
    if way == "mouse":
        hold(lines, (40, 150), (120, 150))
    else:
        lines.page.locator("#drawing").focus()
        lines.press("Enter", "ArrowRight", "ArrowRight")
    assert sheet(lines) != first
    lines.press("Control+z")
    assert sheet(lines) == first
    if way == "mouse":
        lines.page.mouse.move(*lines.at((200, 150)), steps=4)
        lines.page.mouse.up()
    else:
        lines.press("ArrowRight", "ArrowRight")
    assert sheet(lines) == first
    assert not lines.is_enabled("#redo")
    lines.press("Control+z")
    assert sheet(lines) != first
    lines.press("Control+y")
    assert sheet(lines) == first


@pytest.mark.parametrize("key", REDO)
def test_redo_waits_for_the_end_of_a_stroke(lines: Studio, key: str) -> None:
    blank = sheet(lines)
    lines.stroke((40, 60), (200, 60))
    lines.press("Control+z")
    hold(lines, (40, 150), (120, 150))
    half = sheet(lines)
    lines.press(key)
    assert sheet(lines) == half
    lines.page.mouse.up()
    assert not lines.is_enabled("#redo")
    lines.press("Control+z")
    assert sheet(lines) == blank


# --- the pad and sliders


@pytest.mark.parametrize("key", REDO)
def test_redo_waits_for_the_end_of_a_drag_on_the_pad(many: Studio, key: str) -> None:
    many.press("Control+z")
    before = seed(many)
    many.page.click("#pad-button")
    hold_point(many, 0.8, 0.2)
    dragged = seed(many)
    many.press(key)
    assert seed(many) == dragged
    many.page.mouse.move(*on_pad(many, 0.2, 0.8))
    assert seed(many) != dragged
    many.page.mouse.up()
    assert not many.is_enabled("#redo")
    many.press("Control+z")
    assert seed(many) == before
    assert not many.is_enabled("#undo")


def test_sample_opened_in_a_drag_on_the_pad_ends_it(many: Studio) -> None:
    taken, before = seed(many), sheet(many)
    many.page.click("#pad-button")
    hold_point(many, 0.8, 0.2)
    many.press("n")
    many.wait_announced("Sample 2")
    opened = seed(many)
    many.page.mouse.move(*on_pad(many, 0.2, 0.8))
    many.page.mouse.up()
    assert seed(many) == opened
    many.press("Control+z")
    assert seed(many) == taken
    assert sheet(many) == before


@pytest.mark.parametrize("is_undone", [True, False])
def test_steps_wait_while_a_slider_is_held(many: Studio, is_undone: bool) -> None:
    if not is_undone:
        many.press("Control+z")
    slider = many.page.locator("#param-temperature")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    before = seed(many)
    many.page.mouse.move(box["x"] + box["width"] / 2, middle)
    many.page.mouse.down()
    many.page.mouse.move(box["x"] + box["width"] / 4, middle, steps=3)
    key = "Control+z" if is_undone else "Control+y"
    many.press(key)
    assert seed(many) == before
    many.page.mouse.move(box["x"] + box["width"] / 3, middle, steps=3)
    many.page.mouse.up()
    value = slider.input_value()
    many.press(key)
    assert seed(many) != before
    assert slider.input_value() == value != "1"


# --- a crop


def pull_crop(studio: Studio) -> None:
    """Opens the crop tool and pulls a corner to the middle, the button still down."""
    studio.press("x")
    studio.page.wait_for_selector("#crop:not([hidden])")
    left, top = frame_side(studio.page, "x"), frame_side(studio.page, "y")
    width, height = frame_side(studio.page, "width"), frame_side(studio.page, "height")
    studio.page.mouse.move(left + width, top + height)
    studio.page.mouse.down()
    studio.page.mouse.move(left + width / 2, top + height / 2, steps=4)


def test_undo_in_a_crop_takes_back_the_crop_alone(many: Studio) -> None:
    taken, whole = seed(many), sheet(many)
    pull_crop(many)
    assert sheet(many) != whole
    many.press("Control+z")
    many.page.wait_for_selector("#crop", state="hidden")
    many.page.mouse.up()
    assert sheet(many) == whole
    assert seed(many) == taken
    many.press("Control+z")
    assert seed(many) != taken
    assert sheet(many) == whole


@pytest.mark.parametrize("key", REDO)
def test_redo_in_a_crop_leaves_nothing_of_it(many: Studio, key: str) -> None:
    taken, whole = seed(many), sheet(many)
    many.press("Control+z")
    pull_crop(many)
    many.press(key)
    many.page.mouse.up()
    assert many.page.is_hidden("#crop")
    assert seed(many) == taken
    assert sheet(many) == whole


def test_model_opened_in_a_crop_leaves_the_photo_as_it_was(many: Studio) -> None:
    whole = sheet(many)
    pull_crop(many)
    many.page.mouse.up()
    many.page.click("#model-button")
    many.page.click("[data-model=demo-lines]")
    many.wait("location.search.includes('demo-lines')")
    many.press("Control+z")
    many.wait("location.search.includes('demo-many')")
    assert sheet(many) == whole
    many.settle()


def test_variation_taken_in_a_crop_is_a_step_of_its_own(many: Studio) -> None:
    taken, whole = seed(many), sheet(many)
    pull_crop(many)
    many.page.mouse.up()
    many.page.click("[data-place='5'] .variation-take")
    other = seed(many)
    assert other != taken
    assert many.page.is_visible("#crop")
    many.page.click("[data-crop=done]")
    cropped = sheet(many)
    assert cropped != whole
    many.press("Control+z")
    assert (seed(many), sheet(many)) == (other, whole)
    many.press("Control+z")
    assert seed(many) == taken
