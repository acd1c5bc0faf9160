"""Networks: shapes, receptive fields and what noise does."""

import pytest
import torch
from torch import Tensor, nn

from training.config import NoiseKind, Upsampling
from training.networks.initialization import initialize_normal
from training.networks.patchgan import PatchDiscriminator, PixelDiscriminator, random_window
from training.networks.unet import UNetGenerator


def _small_unet(**options: object) -> UNetGenerator:
    settings: dict[str, object] = {"base_channels": 4, "max_channels": 8, "levels": 4, "image_size": 32, **options}
    return UNetGenerator(2, 3, **settings)  # type: ignore[arg-type]


def test_paper_unet_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = UNetGenerator(3, 3)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(54.4e6, rel=0.002)


@pytest.mark.parametrize("upsampling", list(Upsampling))
@pytest.mark.parametrize("noise", list(NoiseKind))
@pytest.mark.parametrize("finish_channels", [0, 4])
def test_unet_keeps_size_and_range(upsampling: Upsampling, noise: NoiseKind, finish_channels: int) -> None:
    network = _small_unet(upsampling=upsampling, noise=noise, input_skip=True, finish_channels=finish_channels)
    result = network(torch.randn(2, 2, 32, 32), torch.ones(2, network.noise_size))
    assert result.shape == (2, 3, 32, 32)
    assert result.abs().max() <= 1


def test_unet_rejects_a_size_that_cannot_be_halved() -> None:
    with pytest.raises(ValueError, match=r"image_size 40 is not a multiple of 2\*\*levels = 16"):
        _small_unet(image_size=40)


def test_noise_changes_the_picture_and_the_same_noise_repeats_it() -> None:
    torch.manual_seed(0)
    network = _small_unet()
    image = torch.randn(1, 2, 32, 32)
    first, second = torch.zeros(1, network.noise_size), torch.ones(1, network.noise_size)
    assert torch.equal(network(image, first), network(image, first))
    assert not torch.allclose(network(image, first), network(image, second))


def test_element_noise_of_the_paper_covers_its_three_innermost_decoder_maps() -> None:
    with torch.device("meta"):
        network = UNetGenerator(3, 3)
    assert network.noise_shapes == [(512, 2, 2), (512, 4, 4), (512, 8, 8)]


def test_unet_result_does_not_depend_on_the_rest_of_the_batch() -> None:
    torch.manual_seed(0)
    network = _small_unet()
    images, noise = torch.randn(3, 2, 32, 32), torch.ones(3, network.noise_size)
    assert torch.allclose(network(images, noise)[:1], network(images[:1], noise[:1]), atol=1e-5)


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (3, 70), (5, 286)])
def test_receptive_field_is_the_papers(layers: int, field: int) -> None:
    assert PatchDiscriminator(6, base_channels=4, layers=layers).receptive_field == field


@pytest.mark.parametrize("layers", [1, 3])
def test_one_logit_sees_exactly_its_receptive_field(layers: int) -> None:
    network = PatchDiscriminator(1, base_channels=4, layers=layers)
    _remove_norms(network)  # instance statistics let every logit see the whole picture
    side = 128
    footprint = _gradient_footprint(network, side)
    rows = footprint.any(dim=1).nonzero().flatten()
    assert rows.max() - rows.min() + 1 == network.receptive_field


def test_pixel_discriminator_sees_one_pixel() -> None:
    network = PixelDiscriminator(1, base_channels=4)
    _remove_norms(network)
    assert _gradient_footprint(network, 16).sum() == network.receptive_field == 1


def test_patch_discriminator_output_is_30_by_30_on_256_pixels() -> None:
    with torch.device("meta"):
        assert PatchDiscriminator(6)(torch.empty(1, 6, 256, 256)).shape == (1, 1, 30, 30)


def test_initial_weights_have_the_papers_spread() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(64, 64, 4)
    initialize_normal(network)
    assert network.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert network.bias is not None
    assert not network.bias.any()


def _remove_norms(network: PatchDiscriminator | PixelDiscriminator) -> None:
    for index, block in enumerate(network.blocks):
        if isinstance(block, nn.InstanceNorm2d):
            network.blocks[index] = nn.Identity()


def _gradient_footprint(network: nn.Module, side: int) -> Tensor:
    """Which pixels the logit in the middle depends on: (side, side) of booleans."""
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)  # positive weights: nothing cancels
    image = torch.rand(1, 1, side, side, requires_grad=True)
    logits = network(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    return image.grad[0, 0] != 0


def test_random_window_lies_inside_and_reaches_every_border() -> None:
    torch.manual_seed(0)
    windows = [random_window((20, 30), 16) for _ in range(200)]
    rows, columns = [window[2] for window in windows], [window[3] for window in windows]
    assert {span.stop - span.start for span in (*rows, *columns)} == {16}
    assert (min(span.start for span in rows), max(span.stop for span in rows)) == (0, 20)
    assert (min(span.start for span in columns), max(span.stop for span in columns)) == (0, 30)


@pytest.mark.parametrize("side", [0, 20, 64])
def test_window_as_large_as_the_picture_is_the_picture(side: int) -> None:
    image = torch.rand(1, 3, 20, 20)
    assert image[random_window((20, 20), side)].shape == image.shape
