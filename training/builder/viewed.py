"""A build as its preview shows it: what pairs there are, their pictures, strikes. It knows nothing of HTTP."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.builder.credits import read_credits
from training.builder.prepared import DATASET_FOLDER, open_mapped, read_build_info
from training.builder.strikes import read_struck, remove_struck, strike
from training.datasets import DatasetInfo, ImagesU8, InputInfo, PairedDataset, displayable

VERSION_DIGITS = 16
SMALL_PX = 256
OVERLAY_RGB = (222, 52, 30)
"""Lines laid over a picture: a red that hardly any subject has all over."""

Encoded = tuple[bytes, str]
"""A picture as a file, and its media type."""


class StaleError(ValueError):
    """The set is not the one that the page was made of."""

    def __init__(self) -> None:
        super().__init__("The data set has changed since this page was opened; reload the page.")


class UnknownPairError(ValueError):
    """There is no such pair or picture."""


class ViewedBuild:
    """The prepared set of a build. Methods may be called from any thread."""

    def __init__(self, root: Path) -> None:
        """Opens a build.

        Raises:
            BuildError: It has no prepared set.
        """
        self.root = root
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        read_build_info(root)

    def listing(self) -> dict[str, Any]:
        """All that the page must know but the pixels, as JSON values."""
        with self._lock:
            return self._listing()

    def picture(self, version: str, split: str, index: int, what: str) -> Encoded:
        """One picture of a pair, encoded.

        Args:
            version: Of the listing that the index is from.
            what: A key of `PICTURES`.

        Raises:
            StaleError: The set has changed.
            UnknownPairError: There is none such.
        """
        with self._lock:
            opened = self._open(version)
            if what not in PICTURES or split not in opened.splits or index >= len(opened.splits[split]):
                raise UnknownPairError(f"There is no picture '{what}' of pair {index} of split '{split}'.")
            pair = _copied(opened.splits[split], index)
        return PICTURES[what](*pair, opened.info.main)

    def strike(self, pair_id: str, is_struck: bool) -> None:
        """Strikes a pair, or takes that back; on the disk when this returns.

        Raises:
            UnknownPairError: The set has no such pair.
            BuildError: The disk is full or the folder cannot be written.
        """
        with self._lock:
            if pair_id not in self._open().names:
                raise UnknownPairError(f"The data set holds no pair '{pair_id}'; reload the page.")
            strike(self.root, pair_id, is_struck)

    def apply(self, version: str) -> dict[str, Any]:
        """Takes the struck pairs out of the set; returns the new listing.

        Raises:
            StaleError: The set has changed.
            BuildError, DatasetError: It cannot be done; the set is as it was.
        """
        with self._lock:
            self._open(version)
            self._opened = None  # some systems do not replace files that are open
            remove_struck(self.root)
            return self._listing()

    def _open(self, version: str | None = None) -> _Opened:
        """The set as it is on the disk now, since another process may replace it; that of `version`, if given."""
        stamp = _stamp(self.root)
        if self._opened is None or self._opened.stamp != stamp:
            info = read_build_info(self.root)
            self._opened = _Opened(stamp, info, {split: open_mapped(self.root, info, split) for split in info.counts})
        if version not in (None, self._opened.version):
            raise StaleError
        return self._opened

    def _listing(self) -> dict[str, Any]:
        opened = self._open()
        credited = read_credits(self.root)
        return {
            "version": opened.version,
            "title": opened.info.title.get("en") or opened.info.recipe,
            "kind": opened.info.kind,
            "size": opened.info.size,
            "splits": {split: part.names for split, part in opened.splits.items()},
            "struck": sorted(read_struck(self.root) & opened.names),
            "credits": {one: asdict(credited[one]) for one in opened.names if one in credited},
        }


@dataclass(frozen=True)
class _Opened:
    """A set, its arrays left on the disk, as it was at `stamp`."""

    stamp: tuple[int, int] | None
    info: DatasetInfo
    splits: Mapping[str, PairedDataset]

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for part in self.splits.values() for name in part.names)

    @cached_property
    def version(self) -> str:
        """What tells sets apart: their pixels and, since strikes are by name, their names."""
        text = "\n".join([self.info.sha256, *(name for part in self.splits.values() for name in part.names)])
        return hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS]


def _stamp(build: Path) -> tuple[int, int] | None:
    """What changes when the set is replaced; None where there is none."""
    path = build / DATASET_FOLDER / "dataset.json"
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _copied(opened: PairedDataset, index: int) -> tuple[ImagesU8, ImagesU8]:
    """Source (H, W, C) and target of a pair, so that no file stays open."""
    return np.array(opened.source[index]), np.array(opened.target[index])


def side_by_side(source: ImagesU8, target: ImagesU8, spec: InputInfo, most: int) -> Image.Image:
    """Source and target of a pair, each at most `most` pixels wide."""
    halves = [Image.fromarray(pixels) for pixels in (displayable(source, spec), _as_rgb(target))]
    side = min(halves[0].width, most)
    sheet = Image.new("RGB", (2 * side, side))
    for place, half in enumerate(halves):
        small = half if half.width == side else half.resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(small, (place * side, 0))
    return sheet


def _pair(source: ImagesU8, target: ImagesU8, spec: InputInfo) -> Encoded:
    """Small, for the grid."""
    return _encoded(side_by_side(source, target, spec, SMALL_PX), "JPEG", quality=88, subsampling=0)


def _source(source: ImagesU8, _: ImagesU8, spec: InputInfo) -> Encoded:
    return _encoded(Image.fromarray(displayable(source, spec)), "PNG", compress_level=1)


def _target(_: ImagesU8, target: ImagesU8, __: InputInfo) -> Encoded:
    return _encoded(Image.fromarray(_as_rgb(target)), "JPEG", quality=94, subsampling=0)


def _overlay(source: ImagesU8, _: ImagesU8, spec: InputInfo) -> Encoded:
    """What is laid over the target: lines in red on nothing, other inputs as they are."""
    shown = displayable(source, spec)
    if spec.kind != "line":
        return _encoded(Image.fromarray(shown), "PNG", compress_level=1)
    ink = shown[..., :1] if spec.ink == "light" else 255 - shown[..., :1]
    red = np.broadcast_to(np.array(OVERLAY_RGB, np.uint8), shown.shape)
    return _encoded(Image.fromarray(np.concatenate([red, ink], axis=-1)), "PNG", compress_level=1)


PICTURES: Mapping[str, Callable[[ImagesU8, ImagesU8, InputInfo], Encoded]] = {
    "pair": _pair,
    "source": _source,
    "target": _target,
    "overlay": _overlay,
}


def _as_rgb(pixels: ImagesU8) -> ImagesU8:
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., :1], 3, axis=-1)


def _encoded(picture: Image.Image, form: str, **options: Any) -> Encoded:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue(), f"image/{form.lower()}"
