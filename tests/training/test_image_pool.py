"""The image pool's laws: what goes in comes out until it is full, then about half is old, and a seed repeats it."""

import pytest
import torch
from torch import Tensor

from training.image_pool import ImagePool

STEP = 1 / 255  # of [-1, 1] to bytes and back: half a step of 2/255


def _pictures(count: int, first: int = 0) -> Tensor:
    """Flat pictures, each of a value of its own that bytes hold exactly."""
    values = torch.arange(first, first + count, dtype=torch.float32) / 127.5 - 1
    return values.reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


def _is_old(given: Tensor, returned: Tensor) -> Tensor:
    return (given - returned).abs().amax(dim=(1, 2, 3)) > STEP


def test_pool_below_its_capacity_returns_what_it_is_given() -> None:
    pool, pictures = ImagePool(10), torch.randn(9, 3, 4, 4)
    assert torch.equal(pool.sample(pictures), pictures)


def test_full_pool_returns_about_half_old_pictures() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50)
    pool.sample(_pictures(50))
    old = sum(int(_is_old(new, pool.sample(new)).sum()) for new in (_pictures(1, 60 + k % 150) for k in range(1000)))
    assert 420 < old < 580  # 1000 throws of a coin, 5 standard deviations; a few return an equal picture


def test_old_pictures_are_ones_that_were_given_and_each_comes_once() -> None:
    torch.manual_seed(0)
    pool = ImagePool(8)
    given = _pictures(200)
    returned = torch.cat([pool.sample(picture[None]) for picture in given])
    values = [round(float(value)) for value in (returned[8:, 0, 0, 0] + 1) * 127.5]
    assert len(set(values)) == len(values), "whatever is returned has left the pool"
    assert set(values) <= set(range(200))


def test_pool_of_no_capacity_is_the_identity() -> None:
    pool, pictures = ImagePool(0), torch.randn(5, 3, 4, 4)
    for _ in range(3):
        assert torch.equal(pool.sample(pictures), pictures)
    assert len(pool.kept) == 0


def test_pool_repeats_itself_for_a_seed_and_takes_its_memory_along() -> None:
    first = ImagePool(4)
    first.sample(_pictures(4))
    second = ImagePool(4)
    second.load_state_dict(first.state_dict())
    answers = []
    for pool in (first, second):
        torch.manual_seed(3)
        answers.append(pool.sample(_pictures(12, 100)))
    assert torch.equal(*answers)
    assert torch.equal(first.kept, second.kept)
    assert _is_old(_pictures(12, 100), answers[0]).any()


def test_half_full_pool_survives_a_checkpoint() -> None:
    first, second = ImagePool(10), ImagePool(10)
    first.sample(_pictures(3))
    second.load_state_dict(first.state_dict())
    assert second.kept.shape == (3, 3, 4, 4)


def test_pool_starts_again_with_pictures_of_another_size() -> None:
    torch.manual_seed(0)
    pool = ImagePool(2)
    pool.sample(torch.zeros(2, 3, 4, 4))
    larger = torch.randn(2, 3, 8, 8)
    assert torch.equal(pool.sample(larger), larger)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pool_keeps_the_type_of_pictures(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    pool = ImagePool(1)
    for _ in range(8):
        assert pool.sample(torch.randn(1, 3, 4, 4, dtype=dtype)).dtype == dtype
