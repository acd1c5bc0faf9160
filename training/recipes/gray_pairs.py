"""Gray and colour pairs from a folder of photos: what recipes for colourisers share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from skimage import data

from training.datasets import ImagesU8, Origin, Pairs
from training.photos import PhotoFolder, is_held_out, to_luma
from training.recipes.recipe import Draft, Drawing

VAL_SHARE = 0.07
PICTURES = Path(__file__).parent / "pictures"

WEAKNESSES = """\
- What has no colour of its own in a gray photo (clothes, cars, painted walls) gets a likely one, often a muted one.
- It knows what its photos showed; elsewhere it leans to their greens and browns.
- Small coloured things in a busy scene stay gray, and colour may leak a little over weak edges.
"""


def build_gray_pairs(source: Path, size: int, origin: Origin | None = None) -> Draft:
    """Pairs of every colour photo below `source`; gray ones, doubles and broken files are left out with a reason."""
    folder = PhotoFolder(source, size, needs_color=True)
    names: dict[str, list[str]] = {"train": [], "val": []}
    photos: dict[str, list[ImagesU8]] = {"train": [], "val": []}
    for name, pixels in folder:
        split = "val" if is_held_out(name, VAL_SHARE) else "train"
        names[split].append(name)
        photos[split].append(pixels)
    splits = {split: _pairs(names[split], photos[split], size) for split in names}
    return Draft(splits=splits, rejects=folder.rejects, origin=origin)


def drawings(size: int, _line_width_px: float | None) -> tuple[Drawing, ...]:
    """Free photos, gray: a dahlia (CC BY 2.0, see pictures/README.md) and two of scikit-image's (CC0)."""
    photos: tuple[tuple[str, str, ImagesU8], ...] = (
        ("Dahlia (photo: vultilion, CC BY 2.0)", "ダリア(写真:vultilion、CC BY 2.0)", read_picture(PICTURES / "dahlia.jpg")),
        ("Cup of coffee (photo: R. Michetti, CC0)", "コーヒー(写真:R. Michetti、CC0)", data.coffee()),  # type: ignore[no-untyped-call]
        ("Cat (photo: S. van der Walt, CC0)", "ねこ(写真:S. van der Walt、CC0)", data.chelsea()),  # type: ignore[no-untyped-call]
    )
    return tuple(
        Drawing(title={"en": english, "ja": japanese}, inputs={"image": to_luma(square(photo, size))})
        for english, japanese, photo in photos
    )


def read_picture(path: Path) -> ImagesU8:
    """RGB pixels of a file, (H, W, 3)."""
    with Image.open(path) as image:
        pixels: ImagesU8 = np.asarray(image.convert("RGB"))
    return pixels


def square(photo: ImagesU8, size: int) -> ImagesU8:
    """Cut square around the middle, (size, size, 3)."""
    pixels: ImagesU8 = np.asarray(ImageOps.fit(Image.fromarray(photo), (size, size), Image.Resampling.LANCZOS))
    return pixels


def _pairs(names: list[str], photos: list[ImagesU8], size: int) -> Pairs:
    target = np.stack(photos) if photos else np.zeros((0, size, size, 3), np.uint8)
    source = np.stack([to_luma(photo) for photo in photos]) if photos else np.zeros((0, size, size, 1), np.uint8)
    return Pairs(names=names, source=source, target=target)
