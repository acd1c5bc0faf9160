"""Augmentation: both halves move together, the seed decides, labels stay labels."""

import numpy as np
import pytest
import torch
from torch import Tensor

from training.augment import PairAugment, _affine_grid, _bicubic_weights, _change_width, _dilate, _gap_mask
from training.config import AugmentConfig
from training.source import SourceSpec

SIZE = 32
ALL_MOVES = {"zoom_min": 0.8, "zoom_max": 1.2, "stretch": 0.1, "rotation_degrees": 20, "shift": 0.1}


def _augment(kind: str = "line", classes: int = 0, **options: object) -> PairAugment:
    config = AugmentConfig(image_size=SIZE, **options)  # type: ignore[arg-type]
    return PairAugment(config, SourceSpec(kind, 1, classes))  # type: ignore[arg-type]


def _seed(value: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(value)


def _picture(seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (4, SIZE, SIZE, 1), np.uint8))


@pytest.mark.parametrize("seed", range(5))
def test_both_halves_get_the_same_geometry(seed: int) -> None:
    picture = _picture(seed)
    source, target = _augment(**ALL_MOVES)(picture, picture.expand(-1, -1, -1, 3), _seed(seed))
    assert torch.allclose(source.expand(-1, 3, -1, -1), target, atol=1e-6)


def test_augmentation_moves_something_and_the_seed_decides_what() -> None:
    picture = _picture()
    pair = (picture, picture.expand(-1, -1, -1, 3))
    augment = _augment(**ALL_MOVES)
    first, again, other = augment(*pair, _seed(1))[0], augment(*pair, _seed(1))[0], augment(*pair, _seed(2))[0]
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_no_augmentation_is_the_identity() -> None:
    picture = _picture()
    source, _ = _augment(zoom_max=1.0, flip=False)(picture, picture.expand(-1, -1, -1, 3), _seed())
    assert torch.allclose(source, picture.permute(0, 3, 1, 2) / 127.5 - 1, atol=1e-4)  # float32 sampling grid


def test_what_lies_outside_a_shrunken_picture_is_white() -> None:
    black = torch.zeros(1, SIZE, SIZE, 1, dtype=torch.uint8)
    source, target = _augment(zoom_min=0.5, zoom_max=0.5)(black, black.expand(-1, -1, -1, 3), _seed())
    assert source[0, 0, 0, 0] == 1
    assert target[0, :, 0, 0].eq(1).all()
    assert source.min() == -1


def test_labels_stay_one_class_a_pixel() -> None:
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, SIZE, SIZE, 1), np.uint8))
    source, _ = _augment("labels", classes=3, **ALL_MOVES)(labels, labels.expand(-1, -1, -1, 3), _seed())
    assert source.shape == (2, 3, SIZE, SIZE)
    assert source.sum(dim=1).eq(1).all()


def test_crops_have_the_crop_size_and_keep_the_scale() -> None:
    column = torch.arange(SIZE, dtype=torch.uint8).reshape(1, 1, SIZE, 1).expand(1, SIZE, SIZE, 1).contiguous()
    source, _ = _augment(crop_size=16, zoom_max=1.0, flip=False)(column, column.expand(-1, -1, -1, 3), _seed())
    assert source.shape == (1, 1, 16, 16)
    steps = (source[0, 0, 0].diff() * 127.5).mean().item()
    assert steps == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("option", "darker"), [("line_thicken_px", True), ("line_thin_px", False)])
def test_line_width_changes_only_the_lines(option: str, darker: bool) -> None:
    drawing = torch.full((8, SIZE, SIZE, 1), 255, dtype=torch.uint8)
    drawing[:, 14:17] = 0
    still = {"zoom_max": 1.0, "flip": False}
    plain, target = _augment(**still)(drawing, drawing.expand(-1, -1, -1, 3), _seed())
    changed, same_target = _augment(**still, **{option: 3.0})(drawing, drawing.expand(-1, -1, -1, 3), _seed())
    assert torch.equal(target, same_target)
    means = changed.mean(dim=(1, 2, 3)) - plain.mean(dim=(1, 2, 3))
    assert (means.mean() < -0.02) if darker else (means.mean() > 0.005)
    assert changed.min() < 0.6  # the thinnest line is still there


def test_gaps_remove_ink_and_never_add_any() -> None:
    drawing = torch.zeros(8, SIZE, SIZE, 1, dtype=torch.uint8)
    source, _ = _augment(zoom_max=1.0, line_gaps=20)(drawing, drawing.expand(-1, -1, -1, 3), _seed())
    assert source.max() == 1
    assert source.min() == -1


def test_wobble_moves_lines_but_not_their_picture() -> None:
    picture = _picture()
    still = {"zoom_max": 1.0, "flip": False}
    source, target = _augment(**still, line_warp_px=4.0)(picture, picture.expand(-1, -1, -1, 3), _seed())
    assert torch.allclose(target[:, :1], picture.permute(0, 3, 1, 2) / 127.5 - 1, atol=1e-4)
    assert not torch.allclose(source, target[:, :1], atol=0.1)


@pytest.mark.parametrize("radius", [1, 6])
def test_dilation_is_the_largest_value_of_a_square(radius: int) -> None:
    ink = torch.rand(2, 1, 24, 31, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.max_pool2d(ink, 2 * radius + 1, stride=1, padding=radius)
    assert torch.equal(_dilate(ink, radius), expected)


def test_all_inputs_get_the_geometry_of_their_target() -> None:
    """Labels by nearest, a second gray and five more channels by bilinear sampling: all at the place of the target."""
    mark = torch.zeros(4, SIZE, SIZE, 1, dtype=torch.uint8)
    mark[:, 8:20, 10:18] = 1
    others = (SourceSpec("gray", 1, name="relief"), SourceSpec("photo", 5, name="bands"))
    spec = SourceSpec("labels", 1, 2, "geology", others)
    augment = PairAugment(AugmentConfig(image_size=SIZE, zoom_min=1.0, zoom_max=1.6), spec)
    gray = mark * 255
    source, target = augment(mark, gray.expand(-1, -1, -1, 3), _seed(), [gray, gray.expand(-1, -1, -1, 5)])
    assert source.shape == (4, spec.condition_channels, SIZE, SIZE)
    labels, rest = source[:, :2], source[:, 2:]
    assert set(labels.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(rest, target[:, :1].expand(-1, 6, -1, -1))
    assert ((labels[:, 1] > 0) == (target[:, 0] > 0)).float().mean() > 0.97  # nearest against bilinear, along the edge
    assert not torch.equal(labels[0], labels[1])


def test_other_inputs_do_not_change_what_becomes_of_the_main_one() -> None:
    picture = _picture()
    pair = (picture, picture.expand(-1, -1, -1, 3))
    alone, _ = _augment(**ALL_MOVES, line_thicken_px=2.0)(*pair, _seed())
    config = AugmentConfig(image_size=SIZE, **ALL_MOVES, line_thicken_px=2.0)  # type: ignore[arg-type]
    spec = SourceSpec("line", others=(SourceSpec("gray", name="relief"),))
    both, _ = PairAugment(config, spec)(*pair, _seed(), [picture])
    assert torch.equal(both[:, :1], alone)


def test_sampling_positions_are_those_of_an_affine_grid() -> None:
    theta = torch.randn(3, 2, 3)
    expected = torch.nn.functional.affine_grid(theta, [3, 1, 10, 10], align_corners=False)
    torch.testing.assert_close(_affine_grid(theta, 10), expected)


def test_wobble_is_bicubic_interpolation() -> None:
    knots = torch.randn(2, 2, 9, 9)
    weights = _bicubic_weights(9, 32)
    expected = torch.nn.functional.interpolate(knots, size=(32, 32), mode="bicubic", align_corners=True)
    torch.testing.assert_close(weights @ knots @ weights.T, expected, rtol=1e-4, atol=1e-5)


def test_each_drawing_gets_its_own_change_of_width() -> None:
    ink = torch.zeros(3, 1, 16, 16)
    ink[:, :, 6:10] = 1.0
    wide, same, thin = _change_width(ink, torch.tensor([2.0, 0.0, -2.0]))
    assert [int((rows.sum(dim=2) > 0).sum()) for rows in (wide, same, thin)] == [6, 4, 2]
    torch.testing.assert_close(_change_width(ink[:1], torch.tensor([1.0]))[0, 0, 5], torch.full((16,), 0.5))


@pytest.mark.parametrize("size", [32, 256])
def test_gaps_are_whole_discs(size: int) -> None:
    """Beside a test of every pixel against every disc."""
    most, ink = 12, torch.ones(4, 1, size, size)
    mask = _gap_mask(ink, most, torch.Generator().manual_seed(3))
    again = torch.Generator().manual_seed(3)
    centers = torch.rand(4, most, 2, generator=again) * size
    radii = (2 + 4 * torch.rand(4 * most, generator=again)).reshape(4, most) * size / 256
    used = torch.rand(4, most, generator=again) < torch.rand(4, 1, generator=again)
    axis = torch.arange(size) + 0.5
    dy, dx = ((axis - centers[..., dim, None]).square() for dim in (0, 1))
    discs = (dy[..., :, None] + dx[..., None, :] < radii.square()[..., None, None]) & used[..., None, None]
    assert torch.equal(mask[:, 0] == 0, discs.any(dim=1))
