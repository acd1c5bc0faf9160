"""Initial weights."""

from __future__ import annotations

from torch import nn


def initialize_normal(network: nn.Module, std: float = 0.02) -> None:
    """Draws convolution weights from N(0, std) and norm scales from N(1, std); biases are zero (pix2pix, 6.2)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.InstanceNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, std)
            nn.init.zeros_(module.bias)
