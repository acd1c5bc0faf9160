"""Resize and convolution: the quick form gives what the plain one gives, forwards and backwards."""

import pytest
import torch

from training.networks.doubling import ResizeConvolution, folded


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_training_computes_what_is_served(bias: bool, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    module = ResizeConvolution(5, 3, bias=bias).double().to(memory_format=layout)  # type: ignore[call-overload]
    features = torch.randn(2, 5, 6, 7, dtype=torch.float64, requires_grad=True)
    results, gradients = [], []
    for mode in (True, False):
        result = module.train(mode)(features)
        results.append(result)
        gradients.append(torch.autograd.grad(result.square().sum(), [features, *module.parameters()]))
    assert results[0].shape == (2, 3, 12, 14)
    torch.testing.assert_close(*results)
    for quick, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(quick, plain)


def test_training_runs_no_plain_convolution() -> None:
    module = ResizeConvolution(4, 2, bias=True)
    calls = []
    module[1].register_forward_hook(lambda *_: calls.append(1))
    module.train()(torch.zeros(1, 4, 4, 4))
    assert calls == []
    module.eval()(torch.zeros(1, 4, 4, 4))
    assert calls == [1]


def test_folded_kernel_spreads_each_tap_over_the_pixels_it_falls_on() -> None:
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1.0  # nothing but doubling
    assert folded(weight)[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
