"""Recipe `flowers`: photos of flowers (Oxford 102 Category Flower Dataset), gray and colour."""

from __future__ import annotations

from pathlib import Path

from training.recipes.gray_pairs import WEAKNESSES, build_gray_pairs, drawings
from training.recipes.oxford_flowers import ORIGIN
from training.recipes.recipe import Download, Draft, Recipe


def build(source: Path, size: int) -> Draft:
    """Gray and colour halves of every photo; classes are not used."""
    return build_gray_pairs(source, size)


RECIPE = Recipe(
    name="flowers",
    title={"en": "Flowers: gray to colour", "ja": "花:白黒からカラーへ"},
    kind="gray",
    palette=(),
    background=128,
    origin=ORIGIN,
    downloads=(
        Download(
            url="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz",
            path="102flowers.tgz",
            members={"jpg/": "."},
        ),
    ),
    needs="photos of flowers, in folders of any depth",
    build=build,
    drawings=drawings,
    weaknesses=WEAKNESSES,
)
