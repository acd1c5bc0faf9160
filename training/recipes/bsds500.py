"""Recipe `bsds500`: natural photo -> the boundaries that several people drew in it, for an edge detector.

Squares are cut at the photos' own resolution: a boundary is a pixel wide, and a smaller photo would blur what people drew.
The benchmark's 200 test photos are in no split: `inkwash-train boundaries` measures on them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError
from rich.progress import track
from scipy import io
from skimage import data

from training.datasets import ImagesU8, Origin, Pairs
from training.photos import is_held_out
from training.recipes.gray_pairs import PICTURES, read_picture, square
from training.recipes.recipe import Download, Draft, Drawing, Recipe, SourceError

FOLDERS = ("train", "val")
"""Both of the benchmark's folders for development are learned from, as is usual; a few photos are held out to watch a run."""
VAL_SHARE = 0.05

NOTICE = """\
Berkeley Segmentation Data Set and Benchmarks 500 (BSDS500).
P. Arbelaez, M. Maire, C. Fowlkes, J. Malik: Contour Detection and Hierarchical Image Segmentation. IEEE TPAMI 33(5), 2011.
https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html

For non-commercial research and educational purposes. Do not redistribute the images.
"""

WEAKNESSES = """\
- It learned where people see the borders of things in about 280 photos: fine texture, fur and wrinkles are left out on purpose,
  and so may be a mouth or a whisker.
- Faint borders, such as a white cat before a white wall, are missed; strong shadows may be drawn.
- It draws every line with the same width and does not know what lies before what.
"""


def build(source: Path, size: int) -> Draft:
    """Squares of `size` pixels that cover every photo with as little overlap as fits."""
    names: dict[str, list[str]] = {"train": [], "val": []}
    photos: dict[str, list[ImagesU8]] = {"train": [], "val": []}
    drawings: dict[str, list[ImagesU8]] = {"train": [], "val": []}
    rejects: dict[str, str] = {}
    for name, photo, boundaries in _read(source, size, rejects):
        split = "val" if is_held_out(name, VAL_SHARE) else "train"
        for top, left in _corners(photo.shape[0], photo.shape[1], size):
            cut = np.s_[top : top + size, left : left + size]
            names[split].append(f"{name}@{left},{top}")
            photos[split].append(photo[cut])
            drawings[split].append(to_drawing(boundaries)[cut])
    splits = {split: _pairs(names[split], photos[split], drawings[split], size) for split in names}
    return Draft(splits=splits, rejects=rejects)


def read_boundaries(path: Path) -> NDArray[np.bool_]:
    """What each person drew: (people, H, W).

    Raises:
        SourceError: It is no ground truth file of the benchmark.
    """
    try:
        people = io.loadmat(str(path))["groundTruth"][0]
        return np.stack([person["Boundaries"][0, 0] for person in people]).astype(bool)
    except (KeyError, ValueError, IndexError, OSError, zlib.error, io.matlab.MatReadError) as error:
        raise SourceError(f"'{path}' is no ground truth of BSDS500 ({error}); give {NEEDS}.") from error


def to_drawing(boundaries: NDArray[np.bool_]) -> ImagesU8:
    """How many of the people drew each pixel, as a drawing: (people, H, W) to (H, W, 1), 255 for none and 0 for all."""
    drawing: ImagesU8 = np.round(255 * (1 - boundaries.mean(axis=0)))[..., None].astype(np.uint8)
    return drawing


def _read(source: Path, size: int, rejects: dict[str, str]) -> Iterator[tuple[str, ImagesU8, NDArray[np.bool_]]]:
    files = [path for folder in FOLDERS for path in sorted((source / "images" / folder).glob("*.jpg"))]
    if not files:
        raise SourceError(f"Source '{source}' has no photos; give {NEEDS}.")
    for path in track(files, description="Reading photos and boundaries"):
        truth = source / "groundTruth" / path.parent.name / f"{path.stem}.mat"
        if not truth.is_file():
            rejects[path.name] = "has no ground truth"
            continue
        try:
            photo = read_picture(path)
        except (UnidentifiedImageError, OSError):
            rejects[path.name] = "cannot be read"
            continue
        if min(photo.shape[:2]) < size:
            rejects[path.name] = f"smaller than {size} pixels"
            continue
        yield path.stem, photo, read_boundaries(truth)


def _corners(height: int, width: int, size: int) -> Iterator[tuple[int, int]]:
    """Top left corners of squares that cover a photo but for a pixel or two, evenly spaced."""
    for top in _starts(height, size):
        for left in _starts(width, size):
            yield top, left


def _starts(length: int, size: int) -> list[int]:
    count = -(-(length - 2) // size)  # photos are 321 or 481 long: the odd pixel is not worth another square
    return [round(start) for start in np.linspace(0, length - size, max(count, 1))]


def _pairs(names: list[str], photos: list[ImagesU8], drawings: list[ImagesU8], size: int) -> Pairs:
    source = np.stack(photos) if photos else np.zeros((0, size, size, 3), np.uint8)
    target = np.stack(drawings) if drawings else np.zeros((0, size, size, 1), np.uint8)
    return Pairs(names=names, source=source, target=target)


def _drawings(size: int, _line_width_px: float | None) -> tuple[Drawing, ...]:
    """Free photos: two of scikit-image's (CC0) and a dahlia (CC BY 2.0, see pictures/README.md)."""
    photos: tuple[tuple[str, str, ImagesU8], ...] = (
        ("Cat (photo: S. van der Walt, CC0)", "ねこ(写真:S. van der Walt、CC0)", data.chelsea()),  # type: ignore[no-untyped-call]
        ("Cup of coffee (photo: R. Michetti, CC0)", "コーヒー(写真:R. Michetti、CC0)", data.coffee()),  # type: ignore[no-untyped-call]
        ("Dahlia (photo: vultilion, CC BY 2.0)", "ダリア(写真:vultilion、CC BY 2.0)", read_picture(PICTURES / "dahlia.jpg")),
    )
    return tuple(
        Drawing(title={"en": english, "ja": japanese}, inputs={"image": square(photo, size)})
        for english, japanese, photo in photos
    )


NEEDS = "the folders 'images' and 'groundTruth' of BSDS500, each with 'train' and 'val'"

RECIPE = Recipe(
    name="bsds500",
    title={"en": "Photo to boundaries", "ja": "写真から輪郭へ"},
    kind="photo",
    palette=(),
    background=255,
    origin=Origin(
        name="BSDS500, University of California, Berkeley",
        home_page="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html",
        license="non-commercial research and education; images not redistributed",
        weights_license="Apache-2.0 for the project's part; the photos it learned from are for non-commercial research",
        free_samples=False,
        notice=NOTICE,
    ),
    downloads=(
        Download(
            url="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
            path="BSR_bsds500.tgz",
            members={"BSR/BSDS500/data/": ""},
        ),
    ),
    needs=NEEDS,
    build=build,
    drawings=_drawings,
    weaknesses=WEAKNESSES,
)
