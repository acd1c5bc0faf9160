"""The residual generator: the paper's size, shapes, ranges, and what each option does."""

import pytest
import torch

from training.config import Upsampling
from training.networks.resnet import ResidualBlock, ResNetGenerator


def _small(**options: object) -> ResNetGenerator:
    settings: dict[str, object] = {"base_channels": 4, "max_channels": 8, "downsamplings": 2, "residual_blocks": 2, **options}
    return ResNetGenerator(**settings)  # type: ignore[arg-type]


def test_paper_generator_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = ResNetGenerator()
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(11.378e6, rel=0.001)


def test_paper_generator_has_the_published_arithmetic() -> None:
    """49.55 G multiply-accumulates at 256 pixels, transposed convolutions counted by what they do."""
    with torch.device("meta"):
        network = ResNetGenerator()
        counts: list[int] = []
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(lambda m, _, out: counts.append(out.numel() * m.weight[0].numel()))
            elif isinstance(module, torch.nn.ConvTranspose2d):
                module.register_forward_hook(lambda m, given, _: counts.append(given[0].numel() * m.weight[0].numel()))
        network(torch.empty(1, 3, 256, 256))
    assert sum(counts) == pytest.approx(49.55e9, rel=0.001)


@pytest.mark.parametrize("upsampling", list(Upsampling))
@pytest.mark.parametrize("input_skip", [False, True])
@pytest.mark.parametrize("size", [(16, 16), (24, 40)])
def test_size_and_range_are_kept(upsampling: Upsampling, input_skip: bool, size: tuple[int, int]) -> None:
    result = _small(upsampling=upsampling, input_skip=input_skip)(torch.randn(2, 3, *size))
    assert result.shape == (2, 3, *size)
    assert result.abs().max() <= 1


def test_cap_holds_the_width_of_deep_levels() -> None:
    network = _small(downsamplings=3, max_channels=12)
    assert {module.weight.shape[0] for module in network.blocks.modules() if isinstance(module, torch.nn.Conv2d)} == {12}


def test_result_does_not_depend_on_the_rest_of_the_batch() -> None:
    torch.manual_seed(0)
    network, images = _small(), torch.randn(3, 3, 16, 16)
    assert torch.allclose(network(images)[:1], network(images[:1]), atol=1e-5)


def test_input_skip_carries_detail_that_the_blocks_do_not_hold() -> None:
    torch.manual_seed(0)
    network = _small(input_skip=True)
    with torch.no_grad():
        for parameter in network.last.parameters():
            parameter.zero_()
        assert network.skip is not None
        network.skip.weight.copy_(torch.eye(3).reshape(3, 3, 1, 1))
    image = torch.randn(1, 3, 16, 16)
    assert torch.allclose(network(image), torch.tanh(image), atol=1e-6)


def test_block_adds_to_what_comes_in() -> None:
    block = ResidualBlock(4)
    with torch.no_grad():
        block.layers[-1].weight.zero_()
    features = torch.randn(1, 4, 8, 8)
    assert torch.equal(block(features), features)
