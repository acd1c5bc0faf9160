"""Recipe `pairs`: pairs of your own -> one or several named inputs beside a target.

Which files belong together is said by folders, by A|B files or by a table (`pair_files.py`). Everything of a pair is cut and
scaled in the same way, so that what lay on one another still does. It makes no picture of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

import numpy as np
from PIL import Image
from rich.progress import track

from training.datasets import ImagesU8, InputInfo, Kind, Pairs, PaletteEntry
from training.photos import is_held_out
from training.rasters import LOSSY_SUFFIXES, Raster, RasterError, as_gray, as_rgb, read_raster, square, square_lines
from training.recipes.pair_files import NEEDS as NEEDS
from training.recipes.pair_files import Listing, PairFiles, Part, by_name
from training.recipes.pair_kinds import find_palette, guess_kind, on_white_paper, read_palette, snap
from training.recipes.recipe import SourceError

NAME = "pairs"
VAL_SHARE = 0.1
FEWEST = 2
"""Pairs: one to train on and one to hold out."""

GUESSED_FROM = 16
ASPECT_TOLERANCE = 0.02
NARROW_SCALE = 0.25
"""Share of the scale below which fewer than 64 of 256 steps are left of 16 bits."""

WEAKNESSES = """\
- It knows inputs like those it learned from; what they never showed comes out as something that they did.
- Nobody has looked at it for this card: `inkwash-train evaluate` draws a sheet of held-out results to judge it by.
"""


@dataclass(frozen=True)
class PairsDraft:
    """What becomes of a listing, before it is written.

    Attributes:
        inputs: The main one first; the width of lines is not measured yet.
        rejects: File or row -> why it was left out.
    """

    inputs: tuple[InputInfo, ...]
    splits: Mapping[str, Pairs]
    rejects: Mapping[str, str]


@dataclass
class _Input:
    """One input as it is read. `channels` and `values` follow from the files: those of the first, the widest range of all."""

    name: str
    kind: Kind
    palette: tuple[PaletteEntry, ...] = ()
    channels: int = 0
    values: tuple[float, float] | None = field(default=None)

    def fitted(self, raster: Raster, size: int) -> ImagesU8:
        """The picture as this kind's array, (size, size, channels).

        Raises:
            RasterError: It is of another kind.
        """
        if self.kind == "labels":
            return square(snap(raster.pixels, self.palette), size, Image.Resampling.NEAREST)
        if self.kind == "line":
            return square_lines(on_white_paper(as_gray(raster.pixels)), size)
        pixels = as_gray(raster.pixels) if self.kind == "gray" else self._of_one_depth(raster.pixels)
        return square(pixels, size)

    def note(self, raster: Raster) -> None:
        """Takes note of how much of its scale a file uses."""
        if raster.values is not None:
            low, high = self.values or raster.values
            self.values = min(low, raster.values[0]), max(high, raster.values[1])

    def described(self) -> InputInfo:
        return InputInfo(
            name=self.name,
            kind=self.kind,
            channels=self.channels,
            palette=self.palette,
            background=0 if self.kind == "labels" else 255,
            ink="dark" if self.kind == "line" else None,
            values=self.values,
        )

    def _of_one_depth(self, pixels: ImagesU8) -> ImagesU8:
        if pixels.shape[-1] == self.channels:
            return pixels
        if self.channels == 3:
            return as_rgb(pixels)
        raise RasterError(f"has {pixels.shape[-1]} channels, others of its input have {self.channels}")


@dataclass(frozen=True)
class Told:
    """What was said of inputs, each NAME=VALUE, or the value alone for the main input: kinds, and files with palettes."""

    kinds: Sequence[str] = ()
    palettes: Sequence[str] = ()


def build(listing: Listing, size: int, told: Told) -> PairsDraft:
    """Every usable pair of a listing, held out by a hash of its name where nothing else says so.

    Args:
        listing: The files.
        size: Side of every picture, pixels.
        told: What inputs are, where it is not to be guessed, and the classes of inputs of kind labels.

    Raises:
        SourceError: There are too few pairs, or an input cannot be understood.
    """
    rejects = dict(listing.rejects)
    if len(listing.pairs) < FEWEST:
        raise SourceError(_too_few(len(listing.pairs), rejects))
    kinds, palettes = _kinds(told.kinds, listing.input_names), _named(told.palettes, "--palette", listing.input_names)
    inputs = [_understood(name, listing.pairs, kinds.get(name), palettes.get(name)) for name in listing.input_names]
    kept: list[tuple[PairFiles, dict[str, ImagesU8], ImagesU8]] = []
    seen: set[bytes] = set()
    for pair in track(listing.pairs, description="Reading pairs"):
        try:
            sources, target = _read_pair(pair, inputs, size)
        except RasterError as error:
            rejects[pair.name] = str(error)
            continue
        digest = hashlib.sha256(b"".join([*(pixels.tobytes() for pixels in sources.values()), target.tobytes()])).digest()
        if digest in seen:
            rejects[pair.name] = "same pictures as another pair"
            continue
        seen.add(digest)
        kept.append((pair, sources, target))
    if len(kept) < FEWEST:
        raise SourceError(_too_few(len(kept), rejects))
    return PairsDraft(tuple(spec.described() for spec in inputs), _in_splits(kept), rejects)


def in_words(spec: InputInfo) -> str:
    """What an input was taken for, for whoever prepares a set to check."""
    if spec.kind == "labels":
        return (
            f"labels of {len(spec.palette)} classes: {', '.join(entry.name.get('en', entry.color) for entry in spec.palette)}"
        )
    if spec.kind == "line":
        return f"lines, {spec.line_width_px:g} px wide"
    depth = "" if spec.values is None else f", values from {spec.values[0]:.1%} to {spec.values[1]:.1%} of their scale"
    return f"{spec.kind}{'' if spec.kind == 'gray' else f', {spec.channels} channels'}{depth}"


def cautions(inputs: Sequence[InputInfo]) -> Iterator[str]:
    """What whoever prepares a set should know of it."""
    for spec in inputs:
        if spec.values is not None and spec.values[1] - spec.values[0] < NARROW_SCALE:
            low, high = (f"{value:.1%}" for value in spec.values)
            steps = round((spec.values[1] - spec.values[0]) * 255) + 1
            yield (
                f"Input '{spec.name}' uses its scale from {low} to {high} only, which leaves {steps} of 256 steps; stretch the "
                "files over the whole scale, and later requests in the same way."
            )


def _named(given: Sequence[str], option: str, names: Sequence[str]) -> dict[str, str]:
    """What was said, by the name of an input that there is."""
    named = by_name(given, option, default=names[0])
    for name in named:
        if name not in names:
            raise SourceError(f"{option} names input '{name}'; the inputs are {', '.join(names)}.")
    return named


def _kinds(given: Sequence[str], names: Sequence[str]) -> dict[str, Kind]:
    named = _named(given, "--kind", names)
    for name, kind in named.items():
        if kind not in get_args(Kind):
            raise SourceError(f"--kind {name}={kind}: there is no such kind; choose one of {', '.join(get_args(Kind))}.")
    return cast(dict[str, Kind], named)


def _understood(name: str, pairs: Sequence[PairFiles], kind: Kind | None, palette: str | None) -> _Input:
    """An input's kind, palette and channels, from what was said and from some of its files."""
    chosen = np.linspace(0, len(pairs) - 1, min(GUESSED_FROM, len(pairs))).round().astype(int)
    parts = [pairs[k].inputs[name] for k in dict.fromkeys(chosen.tolist())]
    rasters = list(_readable(parts))
    if not rasters:
        raise SourceError(f"Input '{name}': none of {len(parts)} files can be read, such as '{parts[0].path}'.")
    is_lossy = any(part.path.suffix.lower() in LOSSY_SUFFIXES for part in parts)
    is_measured = any(raster.values is not None for raster in rasters)  # classes would not need more than 8 bits
    pictures = [raster.pixels for raster in rasters]
    if palette is not None and kind not in (None, "labels"):
        raise SourceError(f"Input '{name}' is of kind {kind}, which has no palette; leave --palette out or say --kind labels.")
    known = kind or ("labels" if palette else guess_kind(pictures, are_exact=not is_lossy and not is_measured))
    if known == "labels":
        every = (raster.pixels for raster in _readable([pair.inputs[name] for pair in pairs]) if raster.channels in (1, 3))
        return _Input(name, known, read_palette(Path(palette)) if palette else find_palette(every, name), channels=1)
    found = max(picture.shape[-1] for picture in pictures) if known == "photo" else 1
    return _Input(name, known, channels=found)


def _readable(parts: Sequence[Part]) -> Iterator[Raster]:
    for part in parts:
        try:
            yield _read_part(part)
        except RasterError:  # named among the rejects when its pair is read
            continue


def _read_pair(pair: PairFiles, inputs: Sequence[_Input], size: int) -> tuple[dict[str, ImagesU8], ImagesU8]:
    target = _read_part(pair.target)
    sources = {}
    for spec in inputs:
        try:
            raster = _read_part(pair.inputs[spec.name])
            _require_same_aspect(raster, target)
            sources[spec.name] = spec.fitted(raster, size)
        except RasterError as error:
            raise RasterError(f"input '{spec.name}' {error}") from error
        spec.note(raster)
    try:
        return sources, square(as_rgb(target.pixels), size)
    except RasterError as error:
        raise RasterError(f"target {error}") from error


def _read_part(part: Part) -> Raster:
    """A file, or the half of it that is meant.

    Raises:
        SourceError: A file of two halves cannot be halved; such a folder is not what it was said to be.
    """
    raster = read_raster(part.path)
    if part.side == "whole":
        return raster
    width = raster.pixels.shape[1]
    if width % 2:
        raise SourceError(f"'{part.path}' is {width} pixels wide, which has no half; A|B files have two halves of one width.")
    return raster.part(0, width // 2) if part.side == "left" else raster.part(width // 2, width)


def _require_same_aspect(source: Raster, target: Raster) -> None:
    (height, width), (rows, columns) = source.pixels.shape[:2], target.pixels.shape[:2]
    if abs(width * rows / (height * columns) - 1) > ASPECT_TOLERANCE:
        raise RasterError("has another aspect than its target")


def _in_splits(kept: Sequence[tuple[PairFiles, dict[str, ImagesU8], ImagesU8]]) -> dict[str, Pairs]:
    """Pairs by split. Where hashes hold out none or all of a few, the last name alone is held out."""
    splits = [pair.split or ("val" if is_held_out(pair.name, VAL_SHARE) else "train") for pair, _, _ in kept]
    if not {"train", "val"} <= set(splits):
        free = [k for k, split in enumerate(splits) if split != "test"]
        if len(free) < FEWEST:
            raise SourceError(f"All but {len(free)} of {len(splits)} pairs are given to the split 'test'; two must be left.")
        splits = ["test" if split == "test" else "train" for split in splits]
        splits[max(free, key=lambda k: kept[k][0].name)] = "val"
    return {name: _stacked([kept[k] for k, split in enumerate(splits) if split == name]) for name in _ordered(splits)}


def _ordered(splits: Sequence[str]) -> Iterator[str]:
    yield from (name for name in ("train", "val", "test") if name in splits)


def _stacked(pairs: Sequence[tuple[PairFiles, dict[str, ImagesU8], ImagesU8]]) -> Pairs:
    main, *others = pairs[0][1]
    return Pairs(
        names=[pair.name for pair, _, _ in pairs],
        source=np.stack([sources[main] for _, sources, _ in pairs]),
        target=np.stack([target for _, _, target in pairs]),
        others={name: np.stack([sources[name] for _, sources, _ in pairs]) for name in others},
    )


def _too_few(count: int, rejects: Mapping[str, str]) -> str:
    example = next((f", such as '{name}': {reason}" for name, reason in rejects.items()), "")
    return (
        f"Recipe '{NAME}' found {count} pairs ({len(rejects)} files or pairs were left out{example}); at least {FEWEST} are "
        "needed, and some hundred make a good model."
    )
