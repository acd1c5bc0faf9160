from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server import luma as luma_module
from server.luma import recompose


def luma_of(picture: np.ndarray) -> np.ndarray:
    return picture.astype(float) @ [0.299, 0.587, 0.114]


def photo(height: int, width: int) -> np.ndarray:
    """A gray photo with an edge down its middle, a ramp and some noise."""
    ramp = np.linspace(20, 235, height)[:, None] + np.zeros(width)
    ramp[:, width // 2 :] = 255 - ramp[:, width // 2 :]
    noise = np.random.default_rng(0).normal(0, 3, (height, width))
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


def halves(size: int) -> np.ndarray:
    """Red on the left and blue on the right."""
    picture = np.zeros((size, size, 3), np.uint8)
    picture[:, : size // 2] = (200, 60, 60)
    picture[:, size // 2 :] = (60, 60, 200)
    return picture


def saturated(height: int, width: int, seed: int) -> np.ndarray:
    """Every pixel at a corner of the colour cube, where colours leave [0, 255] under almost any luma."""
    return np.random.default_rng(seed).choice(np.array([0, 255], np.uint8), (height, width, 3))


def reference(gray: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """What `recompose` computes, of the whole photo at once, in float64 and without any of its shortcuts."""
    height, width = gray.shape
    red_line, blue_line = luma_module._chroma_lines(gray, picture)
    light = gray.astype(float)

    def large(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR), float)

    red, blue = (large(slope) * light + large(offset) for slope, offset in (red_line, blue_line))
    chroma = np.stack([red, (-0.299 * red - 0.114 * blue) / 0.587, blue])
    above = (255 - light) / np.maximum(chroma.max(0), 1e-6)
    below = light / np.maximum(-chroma.min(0), 1e-6)
    return np.moveaxis(light + chroma * np.minimum(1, np.minimum(above, below)), 0, 2)


def test_luma_is_kept_within_one_step() -> None:
    gray = photo(300, 420)
    colored = recompose(gray, halves(32))
    assert np.abs(luma_of(colored) - gray).max() <= 1.0


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_luma_is_kept_under_any_colours(height: int, width: int, small_height: int, small_width: int, seed: int) -> None:
    """Rounding moves each channel by half a step and so luma by half a step; clipping would move it by many."""
    gray = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    colored = recompose(gray, saturated(small_height, small_width, seed))
    assert np.abs(luma_of(colored) - gray).max() <= 0.501


@pytest.mark.parametrize("tone", [0, 1, 2, 60, 128, 250, 254, 255])
@pytest.mark.parametrize("color", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255)])
def test_colours_that_do_not_fit_are_paled_in_their_own_hue(tone: int, color: tuple[int, int, int]) -> None:
    picture = np.full((8, 8, 3), color, np.uint8)
    colored = recompose(np.full((40, 40), tone, np.uint8), picture)[20, 20].astype(float)
    assert abs(colored @ [0.299, 0.587, 0.114] - tone) <= 0.501
    chroma, wanted = colored - tone, np.array(color) - np.array(color) @ [0.299, 0.587, 0.114]
    across = np.cross(chroma, wanted / np.linalg.norm(wanted))
    assert np.linalg.norm(across) <= 1, "each channel is rounded by half a step at most"


@pytest.mark.parametrize("small", [(1, 1), (5, 7), (64, 48), (90, 69)])
def test_bands_leave_no_seams(small: tuple[int, int]) -> None:
    gray, picture = photo(90, 70), np.random.default_rng(1).integers(0, 256, (*small, 3), dtype=np.uint8)
    difference = np.abs(recompose(gray, picture) - reference(gray, picture))
    assert difference.max() <= 0.51  # rounding, and float32


def test_a_picture_of_the_photos_size_gives_its_own_chroma() -> None:
    gray = photo(90, 70) // 4 + 96  # far from black and white, so that nothing is paled
    picture = np.random.default_rng(1).integers(118, 138, (*gray.shape, 3), dtype=np.uint8)
    own = picture.astype(float) @ [0.299, 0.587, 0.114]
    expected = gray[..., None] + (picture - own[..., None])
    assert np.abs(recompose(gray, picture) - expected).max() <= 0.51


def test_a_picture_larger_than_the_photo_or_than_the_bound_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    gray, large = photo(60, 80), np.asarray(Image.fromarray(halves(32)).resize((640, 480), Image.Resampling.NEAREST))
    small = np.asarray(Image.fromarray(large).resize((80, 60), Image.Resampling.BOX))
    np.testing.assert_array_equal(recompose(gray, large), recompose(gray, small))
    monkeypatch.setattr(luma_module, "COLOR_PIXELS", 30 * 40)
    smaller = np.asarray(Image.fromarray(large).resize((40, 30), Image.Resampling.BOX))
    np.testing.assert_array_equal(recompose(gray, large), recompose(gray, smaller))


@pytest.mark.parametrize(("small", "working_bytes"), [((192, 256), 12e6), ((1500, 2000), 100 * luma_module.COLOR_PIXELS)])
def test_memory_is_bounded(small: tuple[int, int], working_bytes: float) -> None:
    """Besides the answer: lines as wide as the photo for a small picture, planes of COLOR_PIXELS for the largest."""
    gray, picture = photo(1500, 2000), saturated(*small, 0)
    recompose(gray[:50, :50], picture[:9, :9])  # what is allocated once
    tracemalloc.start()
    try:
        recompose(gray, picture)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 3 * gray.size + working_bytes


def test_colour_comes_from_the_small_picture() -> None:
    colored = recompose(photo(128, 128), halves(32)).astype(int)
    middle = colored[48:80]
    assert (middle[:, 10:50, 0] - middle[:, 10:50, 2]).mean() > 40
    assert (middle[:, 78:118, 2] - middle[:, 78:118, 0]).mean() > 40


def test_colour_ends_where_the_photo_has_its_edge() -> None:
    gray = np.full((256, 256), 60, np.uint8)
    gray[:, 121:] = 190  # not on a border of the small picture's pixels, which are 8 wide
    small = np.asarray(
        Image.fromarray(
            np.where(np.arange(256)[None, :, None] < 121, (160, 30, 30), (150, 190, 255)).repeat(256, 0).astype(np.uint8)
        ).resize((32, 32), Image.Resampling.BOX)
    )
    difference = np.diff(recompose(gray, small).astype(int), axis=1)[128]
    warmth = np.abs(difference[:, 0] - difference[:, 2])
    assert int(warmth.argmax()) == 120
    assert warmth[120] > 3 * np.sort(warmth)[-2]


def test_gray_stays_gray() -> None:
    gray = photo(64, 64)
    small = np.asarray(Image.fromarray(gray).resize((32, 32)))[:, :, None].repeat(3, 2)
    np.testing.assert_allclose(recompose(gray, small), gray[:, :, None].repeat(3, 2), atol=1)


def test_black_and_white_take_no_colour() -> None:
    gray = np.zeros((32, 32), np.uint8)
    gray[16:] = 255
    colored = recompose(gray, halves(32))
    assert colored[:16].max() == 0
    assert colored[16:].min() == 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (8, 8)])
def test_tiny_photos_are_coloured_too(shape: tuple[int, int]) -> None:
    assert recompose(np.full(shape, 100, np.uint8), halves(32)).shape == (*shape, 3)
