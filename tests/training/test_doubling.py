"""Resize and convolution: the quick form gives what the plain one gives, forwards and backwards."""

import pytest
import torch

from training.networks.doubling import ResizeConvolution, folded


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_computes_what_the_two_operators_compute(bias: bool, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    quick = ResizeConvolution(5, 3, bias=bias).double().to(memory_format=layout)  # type: ignore[call-overload]
    features = torch.randn(2, 5, 6, 7, dtype=torch.float64, requires_grad=True)
    results, gradients = [], []
    for module in (quick, quick.plain()):
        result = module(features)
        results.append(result)
        gradients.append(torch.autograd.grad(result.square().sum(), [features, *module.parameters()]))
    assert results[0].shape == (2, 3, 12, 14)
    torch.testing.assert_close(*results)
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain)


def test_folded_kernel_spreads_each_tap_over_the_pixels_it_falls_on() -> None:
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1.0  # nothing but doubling
    assert folded(weight)[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
