from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from server.drawings import hint_pixels, label_pixels, line_pixels
from server.errors import OffPaletteError
from server.imaging import Picture, fit_into
from server.manifest import ImageInput, Size
from tests.server import models

DARK = ImageInput.model_validate(models.line_input(size=64))
LIGHT = ImageInput.model_validate(models.line_input(size=64, ink="light"))
LABELS = ImageInput.model_validate(models.labels_graph(64).inputs[0])
SIZE = Size(height=64, width=64)


def read_lines(image: Image.Image, spec: ImageInput = DARK) -> np.ndarray:
    picture = Picture((image,), image.width, image.height)
    return line_pixels(picture, fit_into(image.width, image.height, SIZE), spec)[:, :, 0]


def read_labels(image: Image.Image):
    return label_pixels(image, fit_into(image.width, image.height, SIZE), LABELS)


def cross(paper: int, ink: int, size: int = 64, width: int = 1, mode: str = "L") -> Image.Image:
    image = Image.new("L", (size, size), paper)
    draw = ImageDraw.Draw(image)
    draw.line((0, size // 2, size, size // 2), fill=ink, width=width)
    draw.line((size // 2, 0, size // 2, size), fill=ink, width=width)
    return image.convert(mode)


def test_lines_at_the_right_size_and_polarity_are_left_alone() -> None:
    drawing = models.cat_drawing(64)
    np.testing.assert_array_equal(read_lines(drawing), np.asarray(drawing))


@pytest.mark.parametrize("spec", [DARK, LIGHT])
@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (230, 40), (20, 200)])
def test_lines_come_in_the_polarity_that_was_trained(spec: ImageInput, paper: int, ink: int) -> None:
    pixels = read_lines(cross(paper, ink), spec)
    is_dark = spec.ink == "dark"
    assert (pixels[0, 0] > 128) == is_dark
    assert (pixels[32, 32] < 128) == is_dark


@pytest.mark.parametrize("tone", [0, 255])
def test_an_empty_sheet_stays_as_it_is(tone: int) -> None:
    assert set(read_lines(Image.new("L", (64, 64), tone)).flat) == {tone}


def test_a_large_filled_shape_does_not_turn_the_paper_over() -> None:
    drawing = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(drawing).rectangle((6, 6, 57, 57), fill=0)
    assert read_lines(drawing)[0, 0] == 255


@pytest.mark.parametrize("tone", [0, 255])
def test_strokes_on_a_transparent_sheet_are_seen_in_either_tone(tone: int) -> None:
    drawing = Image.new("LA", (64, 64), (tone, 0))
    ImageDraw.Draw(drawing).line((0, 32, 64, 32), fill=(tone, 255), width=2)
    pixels = read_lines(drawing)
    assert pixels[0, 0] == 255
    assert pixels[32, 10] == 0


@pytest.mark.parametrize("times", [2, 4, 8, 16])
def test_a_thin_line_survives_shrinking(times: int) -> None:
    pixels = read_lines(cross(255, 0, size=64 * times))
    assert pixels[:, 10].min() < 150
    assert np.median(pixels) == 255


def test_shrinking_keeps_two_neighbouring_lines_apart() -> None:
    drawing = Image.new("L", (512, 512), 255)
    draw = ImageDraw.Draw(drawing)
    for height in (256, 288):
        draw.line((0, height, 512, height), fill=0, width=8)
    column = read_lines(drawing)[:, 10]
    assert column[34] > 200
    assert column[32] < 60
    assert column[36] < 60


def test_palette_colours_become_their_indices() -> None:
    drawing = models.facade_drawing(64)
    labels = read_labels(drawing)
    colors = np.array([models.hex_rgb(color) for _, _, color in models.FACADE_CLASSES], np.uint8)
    np.testing.assert_array_equal(colors[labels.pixels[:, :, 0]], np.asarray(drawing))
    assert labels.snapped_share == 0


def test_slightly_wrong_colours_are_snapped_and_counted() -> None:
    drawing = models.facade_drawing(64)
    values = np.asarray(drawing).astype(int)
    values[:16] = np.clip(values[:16] + np.array([3, -2, 4]), 0, 255)
    labels = read_labels(Image.fromarray(values.astype(np.uint8)))
    np.testing.assert_array_equal(labels.pixels, read_labels(drawing).pixels)
    assert 0.2 <= labels.snapped_share <= 0.25


def test_shrinking_labels_makes_no_new_classes() -> None:
    drawing = models.facade_drawing(64).resize((256, 256), Image.Resampling.NEAREST)
    labels = read_labels(drawing)
    assert labels.snapped_share == 0
    np.testing.assert_array_equal(labels.pixels, read_labels(models.facade_drawing(64)).pixels)


def test_a_gray_picture_of_small_values_holds_indices() -> None:
    indices = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % 12
    np.testing.assert_array_equal(read_labels(Image.fromarray(indices)).pixels[:, :, 0], indices)


def test_an_indexed_picture_is_read_by_its_colours() -> None:
    drawing = models.facade_drawing(64)
    indexed = drawing.quantize(16, dither=Image.Dither.NONE)
    np.testing.assert_array_equal(read_labels(indexed).pixels, read_labels(drawing).pixels)


def test_transparent_pixels_are_background() -> None:
    drawing = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    drawing.paste((255, 255, 255, 0), (0, 0, 32, 64))
    labels = read_labels(drawing)
    assert set(labels.pixels[:, :32].flat) == {0}
    assert set(labels.pixels[:, 32:].flat) == {10}
    assert labels.snapped_share == 0


def test_a_photo_in_place_of_labels_is_refused() -> None:
    photo = np.random.default_rng(0).integers(90, 200, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(OffPaletteError, match=r"Input 'labels': \d+% of the pixels are far") as caught:
        read_labels(Image.fromarray(photo))
    assert caught.value.members["palette"][0] == "#0000aa"


def test_hints_keep_pure_colours_and_hard_edges() -> None:
    hints = models.hint_dabs(256)
    pixels = hint_pixels(hints, fit_into(256, 256, SIZE))
    assert pixels.shape == (64, 64, 4)
    assert set(np.unique(pixels[:, :, 3])) == {0, 255}
    assert set(map(tuple, pixels.reshape(-1, 4).tolist())) <= set(map(tuple, np.asarray(hints).reshape(-1, 4).tolist()))
