"""Recipe `flowers`: photos of flowers (Oxford 102 Category Flower Dataset), gray and colour."""

from __future__ import annotations

from pathlib import Path

from training.datasets import Origin
from training.recipes.gray_pairs import WEAKNESSES, build_gray_pairs, drawings
from training.recipes.recipe import Download, Draft, Recipe

NOTICE = """\
Oxford 102 Category Flower Dataset.
M-E. Nilsback, A. Zisserman: Automated flower classification over a large number of classes. ICVGIP 2008.
https://www.robots.ox.ac.uk/~vgg/data/flowers/102/

No licence is stated for the images. Use them for research and do not redistribute them.
"""


def build(source: Path, size: int) -> Draft:
    """Gray and colour halves of every photo; classes are not used."""
    return build_gray_pairs(source, size)


RECIPE = Recipe(
    name="flowers",
    title={"en": "Flowers: gray to colour", "ja": "花:白黒からカラーへ"},
    kind="gray",
    palette=(),
    background=128,
    origin=Origin(
        name="Oxford 102 Category Flower Dataset",
        home_page="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        license="none stated; research use",
        weights_license="Apache-2.0 for the project's part; the photos it learned from state no licence",
        free_samples=False,
        notice=NOTICE,
    ),
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
