"""Model families: networks, losses, one step, and what is exported. Families never import one another."""

from __future__ import annotations

from training.families.cinn import ConditionalInvertible
from training.families.colorizer import Colorizer
from training.families.cvae import ConditionalAutoencoder
from training.families.cyclegan import CycleGAN
from training.families.edges import EdgeDetector
from training.families.pix2pix import Pix2Pix
from training.families.protocol import FamilyType

FAMILIES: dict[str, FamilyType] = {
    "pix2pix": Pix2Pix,
    "colorizer": Colorizer,
    "cyclegan": CycleGAN,
    "edges": EdgeDetector,
    "cinn": ConditionalInvertible,
    "cvae": ConditionalAutoencoder,
}
