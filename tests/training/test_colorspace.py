"""Colour spaces: there and back, known colours, and colour under another luma."""

import numpy as np
import pytest
import torch

from training.color_figures import lab_intersection, mean_colorfulness
from training.colorspace import color_under_luma, luma_of, rgb_to_ycbcr, shrink, ycbcr_to_rgb
from training.encoding import encode_picture
from training.photos import colorfulness, to_luma


def _colors(n: int = 2, side: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_ycbcr_comes_back_as_the_same_rgb() -> None:
    assert torch.allclose(ycbcr_to_rgb(rgb_to_ycbcr(_colors())), _colors(), atol=1e-5)  # float32


@pytest.mark.parametrize(("rgb", "ycbcr"), [((1, 1, 1), (1, 0, 0)), ((-1, -1, -1), (-1, 0, 0)), ((0, 0, 0), (0, 0, 0))])
def test_grays_have_no_chroma(rgb: tuple[int, ...], ycbcr: tuple[int, ...]) -> None:
    image = torch.tensor(rgb, dtype=torch.float32).reshape(1, 3, 1, 1)
    assert torch.allclose(rgb_to_ycbcr(image).flatten(), torch.tensor(ycbcr, dtype=torch.float32), atol=1e-6)


def test_all_channels_span_minus_one_to_one() -> None:
    corners = torch.tensor([[r, g, b] for r in (-1, 1) for g in (-1, 1) for b in (-1, 1)], dtype=torch.float32)
    ycbcr = rgb_to_ycbcr(corners[:, :, None, None]).flatten(1)
    assert torch.allclose(ycbcr.amin(0), -torch.ones(3), atol=2e-2)
    assert torch.allclose(ycbcr.amax(0), torch.ones(3), atol=2e-2)


def test_luma_is_that_of_a_gray_photo() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    gray = encode_picture(torch.from_numpy(to_luma(pixels)))
    assert (luma_of(encode_picture(torch.from_numpy(pixels))) - gray).abs().max() <= 1.01 / 127.5  # rounded to bytes


def test_shrinking_takes_means() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(shrink(image, 2), torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))
    assert shrink(image, 1) is image


def test_color_lies_under_the_given_luma_at_its_size() -> None:
    luma = torch.zeros(2, 1, 32, 32)
    composed = color_under_luma(_colors() * 0.3, luma)  # pale enough to stay inside RGB
    assert composed.shape == (2, 3, 32, 32)
    assert torch.allclose(luma_of(composed), luma, atol=1e-5)


def test_colorfulness_is_zero_for_gray_and_grows_with_saturation() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert colorfulness(np.repeat(noise[..., :1], 3, axis=-1)) == 0
    assert colorfulness(noise) > colorfulness(noise // 4 + 96) > 0
    assert mean_colorfulness(np.stack([noise, noise])) == pytest.approx(colorfulness(noise))


def test_intersection_is_one_for_the_same_colours_in_other_places() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    assert lab_intersection(pictures, pictures[::-1, ::-1]) == pytest.approx(1)
    assert lab_intersection(np.full_like(pictures, 128), pictures) < 0.3
