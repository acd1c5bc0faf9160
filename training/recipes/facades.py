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
from training.recipes.facades_drawings import drawings
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
# JPEG keeps brightness at full resolution and colour at half: colour counts less, and on a seam hardly at all.
TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], dtype=np.float32).T
REGION_CHROMA_WEIGHT, SEAM_CHROMA_WEIGHT = 0.4, 0.12
TRUSTED_DISTANCE = 22.0
"""Weighted distance to a class colour below which a pixel may be that class."""
TRUSTED_AREA = 10
"""Pixels; smaller islands of a class are blends of their neighbours."""

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

    A pixel is trusted when its colour is near a class and it lies in a region of that class. Every other pixel takes, among the
    classes trusted within four pixels, the one of nearest brightness; failing that, the nearest trusted pixel's class.
    """
    distances = _distances(image_u8, REGION_CHROMA_WEIGHT)
    nearest: NDArray[np.uint8] = distances.argmin(axis=-1).astype(np.uint8)
    near_enough = distances.min(axis=-1) < TRUSTED_DISTANCE
    trusted = np.stack([_regions((nearest == k) & near_enough) for k in range(len(PALETTE))], axis=-1)
    if not trusted.any():
        return nearest
    reachable = ndimage.binary_dilation(trusted, np.ones((9, 9, 1), bool))
    seams = np.where(reachable, _distances(image_u8, SEAM_CHROMA_WEIGHT), np.inf).argmin(axis=-1)
    is_trusted = trusted.any(axis=-1)
    rows, columns = ndimage.distance_transform_edt(~is_trusted, return_distances=False, return_indices=True)
    elsewhere = np.where(reachable.any(axis=-1), seams, nearest[rows, columns])
    snapped: NDArray[np.uint8] = np.where(is_trusted, nearest, elsewhere).astype(np.uint8)
    return snapped


def _distances(image_u8: ImagesU8, chroma_weight: float) -> NDArray[np.float32]:
    """Weighted YCbCr distance of each pixel to each class colour, (H, W, classes)."""
    to_weighted = TO_YCBCR * np.array([1, chroma_weight, chroma_weight], dtype=np.float32)
    colors = np.array([entry.rgb for entry in PALETTE], dtype=np.float32) @ to_weighted
    pixels = image_u8.astype(np.float32) @ to_weighted
    distances: NDArray[np.float32] = np.linalg.norm(pixels[:, :, None] - colors, axis=-1).astype(np.float32)
    return distances


def _regions(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What remains of a mask without threads one pixel wide and small islands."""
    opened = ndimage.binary_opening(mask, np.ones((2, 2), bool))
    labels, count = ndimage.label(opened)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    kept: NDArray[np.bool_] = opened & (areas >= TRUSTED_AREA)[labels]
    return kept


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
    drawings=drawings,
    weaknesses="""\
- It knows Central European town houses, seen straight on by day; other architecture comes out in their materials.
- The training photos were straightened, which left black or gray wedges beside some houses: it may paint such wedges.
- Large unlabelled areas (sky, street, trees) are blurred, and nothing smaller than about five pixels gets a shape of its own.
- 400 photos are few: stucco and window panes repeat.
""",
)
