"""Drawing lines and colour hints."""

from __future__ import annotations

import numpy as np

from tests.browser.conftest import OpenStudio
from tests.browser.studio import Studio, box, difference


def test_page_opens_with_a_finished_example(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-lines")
    drawing, result = studio.drawing(), studio.result()
    assert drawing.min() == 0
    assert result.std() > 10
    assert not studio.is_enabled("#undo")


def test_line_changes_the_picture_where_it_was_drawn(lines: Studio) -> None:
    before = lines.result()
    lines.stroke((40, 60), (200, 60))
    after = lines.result()
    assert difference(box(before, 60, 56, 180, 64), box(after, 60, 56, 180, 64)) > 20
    # Half a step: the picture is lossless, so far from the line nothing moves at all.
    assert difference(box(before, 40, 150, 200, 220), box(after, 40, 150, 200, 220)) < 0.5


def test_pen_has_the_trained_width_in_the_model(lines: Studio) -> None:
    lines.stroke((40, 128), (216, 128))
    ink = 255 - box(lines.drawing(), 100, 110, 150, 146).mean(axis=2)
    scale = 1024 / 256
    width = ink.sum(axis=0).mean() / 255 / scale
    assert abs(width - 2.0) < 0.15  # anti-aliased edges, eighths of a model pixel


def test_slanted_stroke_has_no_gaps(lines: Studio) -> None:
    lines.stroke((30, 40), (220, 200), steps=3)
    drawing = lines.drawing()
    columns = drawing[:, 160:840].min(axis=(0, 2))
    assert columns.max() == 0


def test_eraser_takes_lines_away_and_has_its_own_size(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    pen = lines.page.inner_text("#size-value")
    lines.press("e")
    assert lines.page.inner_text("#size-value") != pen
    lines.stroke((100, 60), (140, 60))
    drawing = lines.drawing()
    assert box(drawing, 105, 55, 135, 65).min() == 255
    assert box(drawing, 50, 55, 80, 65).min() == 0
    lines.press("b")
    assert lines.page.inner_text("#size-value") == pen


def test_straight_line_snaps_with_shift(lines: Studio) -> None:
    lines.press("l")
    lines.page.keyboard.down("Shift")
    lines.stroke((40, 100), (120, 130), (200, 104))
    lines.page.keyboard.up("Shift")
    drawing = lines.drawing()
    assert box(drawing, 60, 98, 180, 102).min() == 0
    assert box(drawing, 30, 106, 220, 250).min() == 255


def test_move_shifts_everything_and_can_be_undone(lines: Studio) -> None:
    lines.stroke((40, 60), (120, 60))
    before = lines.drawing()
    lines.press("m")
    lines.stroke((100, 100), (130, 140))
    after = lines.drawing()
    assert np.array_equal(after[160:1000, 120:1000], before[: 1000 - 160, : 1000 - 120])
    lines.press("Control+z")
    assert np.array_equal(lines.drawing(), before)


def test_colour_hint_recolours_the_picture(lines: Studio) -> None:
    before = lines.result()
    lines.press("h", "5")
    lines.stroke((100, 128), (156, 128))
    after = lines.result().astype(float)
    spot = after[118:138, 110:146].mean(axis=(0, 1))
    assert spot[2] > spot[0] + 40  # swatch 5 is blue
    assert difference(box(before, 110, 118, 146, 138), after[118:138, 110:146].astype(np.int16)) > 20


def test_hint_eraser_leaves_the_lines(lines: Studio) -> None:
    lines.stroke((80, 128), (180, 128))
    drawn = lines.drawing()
    lines.press("h", "1")
    lines.stroke((100, 128), (156, 128))
    lines.press("Shift+h")
    lines.stroke((90, 128), (166, 128), (90, 128))
    assert np.array_equal(lines.drawing(), drawn)


def test_hex_entry_sets_the_hint_and_refuses_nonsense(lines: Studio) -> None:
    lines.page.fill(".hex", "#0a0")
    lines.press("Enter")
    assert lines.page.input_value(".hex") == "#00aa00"
    lines.page.fill(".hex", "grass")
    lines.press("Enter")
    assert lines.page.get_attribute(".hex", "aria-invalid") == "true"
    lines.page.locator("#drawing").focus()
    lines.stroke((100, 128), (156, 128))
    color = lines.canvas(".layer-hints")[512, 512]
    assert tuple(color) == (0, 170, 0)


def test_eyedropper_takes_a_colour_from_the_result(lines: Studio) -> None:
    lines.press("h", "4")
    lines.stroke((100, 128), (156, 128))
    expected = lines.result()[200, 40]
    lines.press("i")
    lines.click((40.5, 200.5))
    assert lines.page.input_value(".hex") == "#{:02x}{:02x}{:02x}".format(*expected)
    assert lines.page.get_attribute("[data-tool=hint]", "aria-pressed") == "true"


def test_undo_and_redo_reach_through_clear_and_example(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn = lines.drawing()
    lines.clear()
    lines.page.click("[data-sample='1']")
    lines.wait_announced("opened")
    example = lines.drawing()
    lines.press("Control+z", "Control+z")
    assert np.array_equal(lines.drawing(), drawn)
    lines.press("Control+y", "Control+Shift+z")
    assert np.array_equal(lines.drawing(), example)


def test_undoing_a_stroke_keeps_a_seed_chosen_after_it(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    first = lines.page.input_value("#seed")
    lines.press("s")
    shuffled = lines.page.input_value("#seed")
    assert shuffled != first
    lines.press("Control+z")
    assert lines.page.input_value("#seed") == shuffled
    lines.press("Control+Shift+z")
    assert lines.page.input_value("#seed") == shuffled


def test_undone_steps_give_way_to_a_new_one(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    lines.press("Control+z")
    lines.stroke((40, 90), (200, 90))
    assert not lines.is_enabled("#redo")


def test_stroke_that_leaves_and_returns_is_one_step(lines: Studio) -> None:
    blank = lines.drawing()
    lines.stroke((40, 60), (-30, 60), (-30, 90), (40, 90))
    assert not np.array_equal(lines.drawing(), blank)
    lines.press("Control+z")
    assert np.array_equal(lines.drawing(), blank)


def test_empty_hint_shows_after_clear_and_goes_with_the_first_stroke(lines: Studio) -> None:
    assert lines.page.is_visible("#empty")
    lines.stroke((40, 60), (80, 60))
    assert lines.page.is_hidden("#empty")
