"""Recipe `facades`: label map of a house front -> its photo (CMP Facade Database in the split that pix2pix published).

The label maps were stored as JPEG, so colours blur across borders: a seam between two classes can have exactly the colour of a
third. Colours are therefore trusted only inside regions, and seams are given to the nearest region that explains them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rich.progress import track
from scipy import ndimage

from training.datasets import ImagesU8, Origin, Pairs, PaletteEntry
from training.recipes.recipe import Download, Draft, Recipe, SourceError

SPLITS = ("train", "val", "test")

# Colours are the modes of the label halves' histogram. Names follow what the regions show: the bands across a front are its
# cornices, the short pieces over windows their heads.
PALETTE = tuple(
    PaletteEntry(index=index, name={"en": en, "ja": ja}, color=color)
    for index, (en, ja, color) in enumerate(
        (
            ("Background", "背景", "#0000df"),
            ("Wall", "壁", "#0030ff"),
            ("Window", "窓", "#0080ff"),
            ("Door", "ドア", "#00cfff"),
            ("Window head", "窓の上飾り", "#20ffdf"),
            ("Sill", "窓台", "#70ff8f"),
            ("Balcony", "バルコニー", "#bfff40"),
            ("Blind", "よろい戸", "#ffef00"),
            ("Decoration", "装飾", "#ff9f00"),
            ("Cornice", "軒・胴蛇腹", "#ff5000"),
            ("Pillar", "柱", "#ff0000"),
            ("Shop", "店", "#af0000"),
        )
    )
)
TRUSTED_DISTANCE = 40.0
"""RGB distance to a class colour below which a pixel may be that class; neighbouring classes are 72 to 80 apart."""

NOTICE = """\
CMP Facade Database, Center for Machine Perception, Czech Technical University in Prague.
R. Tylecek, R. Sara: Spatial Pattern Templates for Recognition of Objects with Regular Structure. GCPR 2013.
https://cmp.felk.cvut.cz/~tylecr1/facade/

Prepared from the pairs and the split published with pix2pix (P. Isola et al., CVPR 2017).
No licence is stated for the images. Use them for research and do not redistribute them.
"""


def build(source: Path, size: int) -> Draft:
    """Reads the given splits as they are; nothing is left out."""
    return Draft(splits={split: _read_split(source / split, size) for split in SPLITS}, rejects={})


def snap_labels(image_u8: ImagesU8) -> NDArray[np.uint8]:
    """Colours of a JPEG label map (H, W, 3) -> class indices (H, W).

    A pixel is trusted when its colour is near a class and it lies in a 3x3 block of that class. Every other pixel takes, among the
    classes trusted within two pixels, the one whose colour is nearest; failing that, the nearest trusted pixel's class.
    """
    colors = np.array([entry.rgb for entry in PALETTE], dtype=np.float32)
    distances = np.linalg.norm(image_u8[:, :, None].astype(np.float32) - colors, axis=-1)  # (H, W, classes)
    nearest = distances.argmin(axis=-1)
    near_enough = distances.min(axis=-1) < TRUSTED_DISTANCE
    block = np.ones((3, 3), bool)
    trusted = np.stack([ndimage.binary_opening((nearest == k) & near_enough, block) for k in range(len(colors))], axis=-1)
    if not trusted.any():
        return nearest.astype(np.uint8)
    reachable = ndimage.binary_dilation(trusted, np.ones((5, 5, 1), bool))
    snapped = np.where(reachable, distances, np.inf).argmin(axis=-1)
    rows, columns = ndimage.distance_transform_edt(~trusted.any(-1), return_distances=False, return_indices=True)
    snapped = np.where(reachable.any(-1), snapped, nearest[rows, columns])
    return np.where(trusted.any(-1), nearest, snapped).astype(np.uint8)


def _read_split(folder: Path, size: int) -> Pairs:
    files = sorted(folder.glob("*.jpg"), key=lambda path: (len(path.stem), path.stem))
    if not files:
        raise SourceError(f"'{folder}' holds no .jpg files; a facades folder has train/, val/ and test/ of photo|label pairs.")
    source = np.zeros((len(files), size, size, 1), np.uint8)
    target = np.zeros((len(files), size, size, 3), np.uint8)
    for k, path in enumerate(track(files, description=f"Snapping labels, {folder.name}")):
        photo, labels = _halves(path)
        target[k] = np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.LANCZOS))
        classes = Image.fromarray(snap_labels(labels)).resize((size, size), Image.Resampling.NEAREST)
        source[k, ..., 0] = np.asarray(classes)
    return Pairs(names=[path.stem for path in files], source=source, target=target)


def _halves(path: Path) -> tuple[ImagesU8, ImagesU8]:
    """Photo and label map of one side-by-side file."""
    try:
        with Image.open(path) as image:
            both = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise SourceError(f"'{path}' cannot be read ({error}); fetch it again.") from error
    height, width = both.shape[:2]
    if width != 2 * height:
        raise SourceError(f"'{path}' is {width}x{height}; a pair is twice as wide as high, photo left and label map right.")
    return both[:, :height], both[:, height:]


RECIPE = Recipe(
    name="facades",
    title={"en": "Facades: label map to photo", "ja": "建物の正面:ラベルから写真へ"},
    kind="labels",
    palette=PALETTE,
    background=0,
    origin=Origin(
        name="CMP Facade Database (pix2pix split)",
        home_page="https://cmp.felk.cvut.cz/~tylecr1/facade/",
        license="none stated; research use",
        weights_license="Apache-2.0 for the project's part; the photos it learned from state no licence",
        free_samples=False,
        notice=NOTICE,
    ),
    downloads=(
        Download(
            url="http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz",
            path="facades.tar.gz",
            members={"facades/": "."},
        ),
    ),
    needs="train/, val/ and test/ with 512x256 .jpg pairs",
    build=build,
)
