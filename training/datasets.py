"""Prepared data sets: what is in such a folder, how it is written, checked and opened.

A prepared folder holds every pair at its final size as uint8, so that training reads no image files. This module knows no
recipe and does no augmentation.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.sheets import contact_sheet

FORMAT_VERSION = 2

Kind = Literal["line", "labels", "gray", "photo"]
EVERY = slice(None)

ImagesU8 = NDArray[np.uint8]
"""(N, H, W, C) in [0, 255]."""


class DatasetError(ValueError):
    """A prepared data set is missing, incomplete or not what it says it is."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PaletteEntry(_Strict):
    """One class of a label map: index in the arrays, name by language, display colour `#rrggbb`."""

    index: int = Field(ge=0, le=255)
    name: dict[str, str]
    color: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as red, green, blue in [0, 255]."""
        value = int(self.color[1:], 16)
        return value >> 16, value >> 8 & 255, value & 255


class Origin(_Strict):
    """Where the images come from and what their licence lets one do."""

    name: str
    home_page: str
    license: str
    weights_license: str = Field(description="Licence of weights learned from it, in words.")
    free_samples: bool = Field(description="May images of the set itself be shipped as samples?")
    notice: str = Field(description="Text of LICENSE.txt.")


class InputInfo(_Strict):
    """One input of a set: what its arrays hold."""

    name: str = Field(default="image", pattern=r"^[a-z][a-z0-9_]{0,31}$", description="Of the part of a request.")
    kind: Kind
    channels: int = Field(ge=1, description="Channels of the arrays.")
    palette: tuple[PaletteEntry, ...] = ()
    background: int = Field(ge=0, le=255, description="Value of an empty canvas: paper, or the class of emptiness.")
    ink: Literal["dark", "light"] | None = None
    line_width_px: float | None = Field(default=None, description="Median stroke width of the training lines.")
    values: tuple[float, float] | None = Field(
        default=None, description="Lowest and highest value of files of more than 8 bits, shares of the full scale."
    )


class DatasetInfo(_Strict):
    """`dataset.json`: everything about a prepared set but its pixels."""

    format_version: Literal[2] = 2
    recipe: str
    title: dict[str, str]
    inputs: tuple[InputInfo, ...] = Field(min_length=1, description="The first input is the main one.")
    size: int = Field(ge=8, description="Height and width of source and target, pixels.")
    target_channels: Literal[1, 3] = Field(default=3, description="3 for pictures, 1 for drawings and masks.")
    counts: dict[str, int]
    rejects: dict[str, int] = Field(description="Left-out files by reason.")
    origin: Origin
    prepare: str | None = Field(
        default=None, description="Command that prepares such a set, where the recipe's name is not all."
    )
    sha256: str = Field(description="Over the arrays of inputs and target, splits in the order of `counts`.")

    @model_validator(mode="before")
    @classmethod
    def _read_version_1(cls, values: Any) -> Any:
        """Version 1 knew one input, whose fields stood among the set's own."""
        if not isinstance(values, dict) or "inputs" in values or "kind" not in values:
            return values
        flat = {key: value for key, value in values.items() if key in InputInfo.model_fields}
        rest = {key: value for key, value in values.items() if key not in InputInfo.model_fields and key != "format_version"}
        return {**rest, "inputs": [flat]}

    @property
    def main(self) -> InputInfo:
        """The input that a request may leave unnamed."""
        return self.inputs[0]

    @property
    def kind(self) -> Kind:
        """Of the main input."""
        return self.main.kind


@dataclass(frozen=True)
class Pairs:
    """The pairs of one split: `names[i]` was made into `source[i]` and `target[i]`.

    Attributes:
        others: The inputs beside the main one by name, in the order of `dataset.json`.
    """

    names: Sequence[str]
    source: ImagesU8
    target: ImagesU8
    others: Mapping[str, ImagesU8] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if {len(images) for images in (self.source, self.target, *self.others.values())} != {len(self.names)}:
            lengths = f"{len(self.names)} names, {len(self.source)} sources and {len(self.target)} targets"
            raise ValueError(f"{lengths} do not pair up; give one of each for every pair.")


@dataclass(frozen=True)
class PairedDataset:
    """One split of a prepared set, held in memory."""

    info: DatasetInfo
    split: str
    names: tuple[str, ...]
    source: ImagesU8
    target: ImagesU8
    others: Mapping[str, ImagesU8] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path, split: str) -> Self:
        """Reads one split and checks that its arrays are what `dataset.json` says.

        Raises:
            DatasetError: The folder, the split or an array is missing or damaged; the message says what to run.
        """
        info = read_info(root)
        if split not in info.counts:
            raise DatasetError(f"Data set '{root}' has no split '{split}'; it has {', '.join(info.counts)}.")
        shape, remedy = (info.counts[split], info.size, info.size), _remedy(info.recipe)
        source = read_array(root / split / "source.npy", (*shape, info.main.channels), remedy)
        target = read_array(root / split / "target.npy", (*shape, info.target_channels), remedy)
        others = {
            spec.name: read_array(root / split / other_file(spec.name), (*shape, spec.channels), remedy)
            for spec in info.inputs[1:]
        }
        names = read_names(root / split / "names.txt", len(source), remedy)
        return cls(info=info, split=split, names=names, source=source, target=target, others=others)

    def inputs(self, chosen: slice | NDArray[np.int64] = EVERY) -> dict[str, ImagesU8]:
        """Pictures of every input by its name, the main one first."""
        return {self.info.main.name: self.source[chosen], **{name: images[chosen] for name, images in self.others.items()}}

    def __len__(self) -> int:
        return len(self.names)


def read_info(root: Path) -> DatasetInfo:
    """Reads `dataset.json`.

    Raises:
        DatasetError: It is missing, unreadable or of another format.
    """
    path = root / "dataset.json"
    if not path.is_file():
        raise DatasetError(f"'{root}' is not a prepared data set (it has no dataset.json). {_remedy('RECIPE', root)}")
    try:
        return DatasetInfo.model_validate_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DatasetError(f"'{path}' is damaged or of another version: {error}. {_remedy('RECIPE', root)}") from error


def write_dataset(out: Path, info: DatasetInfo, splits: Mapping[str, Pairs]) -> None:
    """Writes a prepared set. `out` is replaced only when all of it has been written.

    Raises:
        DatasetError: `out` exists and is no prepared set, so replacing it could lose something else.
    """
    with staged_folder(out) as folder:
        _write_files(folder, info, splits)


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of `out` once the block has filled it; when the block fails, `out` stays as it was.

    Raises:
        DatasetError: `out` exists and is no prepared set, so replacing it could lose something else.
    """
    if out.exists() and any(out.iterdir()) and not (out / "dataset.json").is_file():
        raise DatasetError(f"'{out}' holds other files; choose an empty or a new folder for the data set.")
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield staging
        if out.exists():
            shutil.rmtree(out)
        staging.chmod(0o755)
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def digest(splits: Mapping[str, Pairs]) -> str:
    """SHA-256 over all pixels, in the order of `splits`."""
    checksum = hashlib.sha256()
    for pairs in splits.values():
        for images in (pairs.source, *pairs.others.values(), pairs.target):
            checksum.update(np.ascontiguousarray(images).data)
    return checksum.hexdigest()


def displayable(source: ImagesU8, spec: InputInfo) -> ImagesU8:
    """An input as RGB: class indices in their palette colours, the first channels of many. (..., C) -> (..., 3)."""
    if spec.kind == "labels":
        colors = np.array([entry.rgb for entry in spec.palette], dtype=np.uint8)
        return colors[source[..., 0]]
    return _as_rgb(source)


def _as_rgb(images: ImagesU8) -> ImagesU8:
    return images[..., :3] if images.shape[-1] >= 3 else np.repeat(images[..., :1], 3, axis=-1)


def _write_files(folder: Path, info: DatasetInfo, splits: Mapping[str, Pairs]) -> None:
    for split, pairs in splits.items():
        (folder / split).mkdir()
        np.save(folder / split / "source.npy", pairs.source)
        np.save(folder / split / "target.npy", pairs.target)
        for name, images in pairs.others.items():
            np.save(folder / split / other_file(name), images)
        (folder / split / "names.txt").write_text("\n".join(pairs.names) + "\n", "utf-8")
    _preview(info, splits["train"]).save(folder / "preview.png")
    (folder / "LICENSE.txt").write_text(info.origin.notice.rstrip() + "\n", "utf-8")
    text = json.dumps(info.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / "dataset.json").write_text(text + "\n", "utf-8")


def _preview(info: DatasetInfo, pairs: Pairs, rows: int = 6, pairs_per_row: int = 4) -> Image.Image:
    """Pairs evenly spaced over the split, so that the sheet shows its whole range."""
    count = min(rows * pairs_per_row, len(pairs.names))
    chosen = np.linspace(0, len(pairs.names) - 1, count).round().astype(int)
    sources = [pairs.source, *pairs.others.values()]
    columns = [
        *(displayable(images[chosen], spec) for images, spec in zip(sources, info.inputs, strict=True)),
        _as_rgb(pairs.target[chosen]),
    ]
    images = [image for row in zip(*columns, strict=True) for image in row]
    per_row = len(columns) * pairs_per_row
    return contact_sheet([images[start : start + per_row] for start in range(0, len(images), per_row)])


def other_file(name: str) -> str:
    """The array of an input beside the main one."""
    return f"input-{name}.npy"


def read_array(path: Path, shape: tuple[int, ...], remedy: str) -> ImagesU8:
    """Pictures of one file.

    Raises:
        DatasetError: It is missing, damaged or of another shape; the message ends with `remedy`.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"'{path}' is missing or damaged ({error}). {remedy}") from error
    if array.shape != shape or array.dtype != np.uint8:
        raise DatasetError(f"'{path}' is {array.dtype} {array.shape}; dataset.json promises uint8 {shape}. {remedy}")
    return array  # type: ignore[no-any-return]


def read_names(path: Path, count: int, remedy: str) -> tuple[str, ...]:
    """What each picture was made of, a line each.

    Raises:
        DatasetError: There are not `count` of them; the message ends with `remedy`.
    """
    names = tuple(path.read_text("utf-8").splitlines()) if path.is_file() else ()
    if len(names) != count:
        raise DatasetError(f"'{path}' names {len(names)} of {count} pictures. {remedy}")
    return names


def _remedy(recipe: str, root: Path | None = None) -> str:
    return f"Run `inkwash-train prepare {recipe} --out {root or 'FOLDER'}` to make it anew."
