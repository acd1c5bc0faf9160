from __future__ import annotations

import numpy as np
import pytest
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


def test_luma_is_kept_within_one_step() -> None:
    gray = photo(300, 420)
    colored = recompose(gray, halves(32))
    assert np.abs(luma_of(colored) - gray).max() <= 1.0


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


@pytest.mark.parametrize("strip", [1, 1000, 7777])
def test_strips_leave_no_seams(monkeypatch: pytest.MonkeyPatch, strip: int) -> None:
    gray = photo(90, 70)
    whole = recompose(gray, halves(32))
    monkeypatch.setattr(luma_module, "STRIP_PIXELS", strip)
    np.testing.assert_allclose(recompose(gray, halves(32)).astype(int), whole, atol=1)  # float32 coordinates


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (8, 8)])
def test_tiny_photos_are_coloured_too(shape: tuple[int, int]) -> None:
    assert recompose(np.full(shape, 100, np.uint8), halves(32)).shape == (*shape, 3)
