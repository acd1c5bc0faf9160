"""Pictures that come in: opened, dropped, pasted."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from tests.browser.studio import Pixels, Studio, box, png
from tests.server.models import FACADE_CLASSES, cat_drawing, facade_drawing, hex_rgb


def cross(size: int, paper: int, ink: int) -> Pixels:
    """A thick cross, wider than high."""
    picture = Image.new("L", (size, size // 2), paper)
    draw = ImageDraw.Draw(picture)
    draw.line((size * 0.1, size * 0.25, size * 0.9, size * 0.25), fill=ink, width=size // 40)
    draw.line((size * 0.5, size * 0.05, size * 0.5, size * 0.45), fill=ink, width=size // 40)
    return np.asarray(picture.convert("RGB"))


def test_opened_drawing_is_fitted_and_translated(lines: Studio) -> None:
    before = lines.result()
    lines.open("cross.png", png(cross(600, 255, 0)))
    lines.page.wait_for_selector("#empty", state="hidden")
    drawing = lines.drawing()
    assert box(drawing, 40, 126, 110, 130).max() < 60
    assert box(drawing, 0, 0, 256, 60).min() == 255
    assert not np.array_equal(lines.result(), before)


def test_light_lines_on_dark_are_turned(lines: Studio) -> None:
    lines.open("blackboard.png", png(cross(600, 20, 240)))
    lines.page.wait_for_selector(".toast")
    assert "turned" in lines.toast()
    drawing = lines.drawing()
    assert box(drawing, 40, 126, 110, 130).max() < 60
    assert box(drawing, 10, 80, 100, 110).min() > 200


def test_lines_on_a_clear_ground_are_read_from_alpha(lines: Studio) -> None:
    ink = Image.fromarray(cross(600, 255, 0)).convert("L").point(lambda value: 255 - value)
    picture = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    picture.putalpha(ink)
    lines.open("clear.png", png(np.asarray(picture)))
    lines.page.wait_for_selector("#empty", state="hidden")
    drawing = lines.drawing()
    assert box(drawing, 40, 126, 110, 130).max() < 60
    assert box(drawing, 0, 0, 256, 60).min() == 255


def test_drawing_of_the_models_size_reaches_the_model_unchanged(lines: Studio) -> None:
    cat = np.asarray(cat_drawing().convert("RGB"))
    lines.open("cat.png", png(cat))
    lines.page.wait_for_selector("#empty", state="hidden")
    seed = int(lines.page.input_value("#seed"))
    # A step of ink more or less comes from rounding while the enlarged lines are reduced again.
    assert np.abs(lines.result().astype(int) - lines.translate(png(cat), seed).astype(int)).max() <= 4


def test_dropped_label_map_keeps_every_class(labels: Studio) -> None:
    facade = np.asarray(facade_drawing().convert("RGB"))
    labels.drop("house.png", png(facade))
    labels.page.wait_for_selector("#empty", state="hidden")
    assert np.array_equal(labels.drawing(), facade)


def test_photo_in_a_label_model_is_snapped_and_people_are_told(labels: Studio) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    labels.drop("noise.png", png(noise))
    labels.page.wait_for_selector(".toast")
    assert "%" in labels.toast()
    palette = {hex_rgb(color) for _, _, color in FACADE_CLASSES}
    assert {tuple(int(value) for value in color) for color in labels.drawing().reshape(-1, 3)} <= palette


def test_pasted_picture_is_one_undo_step(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn = lines.drawing()
    lines.paste("cross.png", png(cross(600, 255, 0)))
    lines.wait_until(lambda: not np.array_equal(lines.drawing(), drawn))
    lines.press("Control+z")
    assert np.array_equal(lines.drawing(), drawn)


def test_file_that_is_no_picture_is_refused_by_name(lines: Studio) -> None:
    lines.drop("notes.txt", b"no picture", "text/plain")
    lines.page.wait_for_selector(".toast")
    assert "notes.txt" in lines.toast()


def test_drop_place_shows_while_a_file_hovers(lines: Studio) -> None:
    hover = """(name) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["x"], "a.png"));
      document.dispatchEvent(new DragEvent(name, {dataTransfer: transfer}));
    }"""
    lines.page.evaluate(hover, "dragenter")
    assert lines.page.is_visible("#drop")
    lines.page.evaluate(hover, "dragleave")
    assert lines.page.is_hidden("#drop")
