"""Runs an exportable graph in PyTorch exactly as it will be served: bytes in, bytes out, the latent drawn from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.datasets import ImagesU8
from training.families.protocol import Exportable, LatentSpec


def draw_latent(spec: LatentSpec, seed: int) -> NDArray[np.float32]:
    """The latent of one image as the server draws it (docs/protocol.md), so that a seed means the same on both sides."""
    generator = np.random.default_rng(seed)
    if spec.distribution == "bernoulli":
        return generator.integers(0, 2, spec.shape).astype(np.float32)
    return generator.standard_normal(spec.shape, dtype=np.float32)


def graph_feeds(exportable: Exportable, inputs: Mapping[str, ImagesU8], seeds: Sequence[int]) -> dict[str, NDArray[np.generic]]:
    """Every graph input by name, in the graph's order; images (N, H, W, C), one seed an image."""
    feeds: dict[str, NDArray[np.generic]] = {name: np.ascontiguousarray(inputs[name]) for name in exportable.image_names}
    if exportable.latent is not None:
        feeds[exportable.latent.name] = np.stack([draw_latent(exportable.latent, seed) for seed in seeds])
    for parameter in exportable.parameters:
        feeds[parameter.name] = np.full((len(seeds), 1), parameter.default, np.float32)
    return feeds


@torch.no_grad()
def translate(exportable: Exportable, inputs: Mapping[str, ImagesU8], seeds: Sequence[int]) -> ImagesU8:
    """Pictures for a batch, uint8 (N, H', W', channels), made where the module's weights are."""
    feeds = graph_feeds(exportable, inputs, seeds)
    device = next((weights.device for weights in exportable.module.parameters()), torch.device("cpu"))
    # A copy, because torch warns of arrays that it may not write to, such as opened pictures.
    given = (torch.from_numpy(np.array(value)).to(device) for value in feeds.values())
    result: ImagesU8 = exportable.module(*given).cpu().numpy()
    return result


def without_hints(inputs: Mapping[str, ImagesU8]) -> dict[str, ImagesU8]:
    """The inputs of a set, (N, H, W, C), and hints that are there and empty."""
    main = next(iter(inputs.values()))
    return {**inputs, "hints": np.zeros((*main.shape[:3], 4), np.uint8)}
