"""Model families: networks, losses, one step, and what is exported. Families never import one another."""

from __future__ import annotations

from collections.abc import Callable

from lightning_fabric import Fabric

from training.config import TrainConfig
from training.families.colorizer import Colorizer
from training.families.pix2pix import Pix2Pix
from training.families.protocol import Family
from training.source import SourceSpec

FAMILIES: dict[str, Callable[[TrainConfig, SourceSpec, Fabric], Family]] = {"pix2pix": Pix2Pix, "colorizer": Colorizer}
