"""Oxford 102 Category Flower Dataset: whose it is, for all recipes that read it."""

from __future__ import annotations

from training.datasets import Origin

NOTICE = """\
Oxford 102 Category Flower Dataset.
M-E. Nilsback, A. Zisserman: Automated flower classification over a large number of classes. ICVGIP 2008.
https://www.robots.ox.ac.uk/~vgg/data/flowers/102/

No licence is stated for the images. Use them for research and do not redistribute them.
"""

ORIGIN = Origin(
    name="Oxford 102 Category Flower Dataset",
    home_page="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    license="none stated; research use",
    weights_license="Apache-2.0 for the project's part; the photos it learned from state no licence",
    free_samples=False,
    notice=NOTICE,
)
