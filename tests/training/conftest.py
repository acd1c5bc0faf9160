"""A tiny data set and configuration that train in seconds on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from training.config import TrainConfig, parse_config
from training.photos import to_luma

TINY = 32
TINY_EDGES: dict[str, Any] = {"generator": None, "discriminator": None, "edges": {"channels": (8, 16, 16), "blocks": (0, 1, 1)}}
"""Sections of a tiny edge detector."""

TINY_CINN: dict[str, Any] = {
    "generator": None,
    "discriminator": None,
    "cinn": {
        "shrink": 2,
        "condition_shrink": 1,
        "couplings": (2, 2),
        "hidden": (8, 8),
        "keep": (8, 8),
        "dense_couplings": 2,
        "dense_hidden": 8,
        "dense_keep": 4,
        "base_channels": 8,
        "max_channels": 16,
        "map_channels": 8,
        "vector_channels": 8,
    },
}
"""Sections of a tiny conditional flow: chroma at 16 pixels a side."""

TINY_CVAE: dict[str, Any] = {
    "generator": None,
    "discriminator": None,
    "cvae": {
        "shrink": 2,
        "condition_shrink": 1,
        "channels": (8, 16),
        "latent_size": 8,
        "base_channels": 8,
        "max_channels": 16,
        "map_channels": 8,
        "vector_channels": 8,
    },
}
"""Sections of a tiny conditional autoencoder of the same chroma."""

BuildConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Networks this small lose more to waiting for one another's threads than they gain."""
    torch.set_num_threads(1)


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def tiny_config(tmp_path: Path) -> BuildConfig:
    """Builds a configuration for 32-pixel pictures; sections given as keywords are merged in, None leaves one out."""

    def build(**sections: Any) -> TrainConfig:
        values: dict[str, Any] = {
            "name": "tiny",
            "data": str(tmp_path / "data"),
            "generator": {"base_channels": 8, "max_channels": 32, "levels": 4, "upsampling": "resize", "noise": "channel"},
            "discriminator": {"base_channels": 8, "layers": 1},
            "optimizer": {"batch_size": 2, "total_images": 16, "learning_rate": 2e-3, "ema_half_life_images": 4.0},
            "augment": {"image_size": TINY},
            "loop": {"log_every_images": 2, "checkpoint_every_images": 4, "sample_every_images": 1000},
        }
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
        return parse_config({name: value for name, value in values.items() if value is not None})

    return build


def tiny_pairs(count: int = 6, kind: str = "line") -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Squares: drawn, labelled or photographed in gray, and painted in a colour that their place decides."""
    source = np.full((count, TINY, TINY, 1), 255 if kind == "line" else 0, np.uint8)
    target = np.full((count, TINY, TINY, 3), 255, np.uint8)
    for index in range(count):
        top, left = 2 + 3 * (index % 4), 3 + 2 * (index % 5)
        inside = (index, slice(top, top + 14), slice(left, left + 14))
        source[inside] = 0 if kind == "line" else 1 + index % 2
        target[inside] = (20 + 30 * index, 200 - 25 * index, 90)
    return (to_luma(target) if kind == "gray" else source), target
