"""Instance normalisation, written so that compiled code of it is quick."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.compiled import is_compiled


class InstanceNorm(nn.InstanceNorm2d):
    """Each channel of each picture to mean 0 and variance 1, then a learned scale and shift (Ulyanov et al. 2016, 3).

    (N, C, H, W) to the same. PyTorch's own operator runs where nothing is compiled, and becomes one node of an exported graph.
    Its compiler takes that operator apart as batch norm of one picture with N C channels, which in channels-last order are not
    neighbours in memory: for two or more pictures the code takes some three times as long as that of the formula, and hands
    its result on in the other order.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        if not is_compiled():
            return super().forward(features)
        values = features.float()
        variance, mean = torch.var_mean(values, dim=(2, 3), keepdim=True, correction=0)  # (N, C, 1, 1)
        normal = (values - mean) * torch.rsqrt(variance + self.eps)
        return (normal * self.weight[:, None, None] + self.bias[:, None, None]).to(features.dtype)
