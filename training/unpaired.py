"""Prepared sets of two domains whose pictures are in no pairs: what is in such a folder, how it is written and opened.

It stands beside `datasets` for families that learn from unpaired pictures, and knows neither a recipe nor a family.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.datasets import DatasetError, DatasetInfo, ImagesU8, InputInfo, Origin, read_array, read_names, staged_folder
from training.sheets import contact_sheet

Domain = Literal["a", "b"]
DOMAINS: tuple[Domain, Domain] = ("a", "b")
CHANNELS = 3


class UnpairedInfo(BaseModel):
    """`dataset.json` of two domains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    form: Literal["unpaired"] = "unpaired"
    recipe: str
    title: dict[str, str]
    names: dict[Domain, str] = Field(description="What the pictures of a domain show, in a few words.")
    size: int = Field(ge=8, description="Height and width of every picture, pixels.")
    counts: dict[str, dict[Domain, int]] = Field(description="Pictures by split and domain.")
    rejects: dict[Domain, dict[str, int]] = Field(description="Left-out files by domain and reason.")
    origin: Origin
    sha256: str = Field(description="Over the arrays of a and b, splits in the order of `counts`.")

    def side(self, domain: Domain) -> DatasetInfo:
        """One domain as the input of a model: what an exporter must know of it."""
        return DatasetInfo(
            recipe=self.recipe,
            title=self.title,
            inputs=(InputInfo(kind="photo", channels=CHANNELS, background=255),),
            size=self.size,
            counts={split: counts[domain] for split, counts in self.counts.items()},
            rejects=self.rejects[domain],
            origin=self.origin,
            sha256=self.sha256,
        )


@dataclass(frozen=True)
class Pictures:
    """Pictures of one domain and what they were made of."""

    names: Sequence[str]
    images: ImagesU8

    def __post_init__(self) -> None:
        if len(self.names) != len(self.images):
            raise ValueError(f"{len(self.names)} names do not fit {len(self.images)} pictures; give one for each.")

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Domains:
    """Both domains of one split; their counts may differ."""

    a: Pictures
    b: Pictures


@dataclass(frozen=True)
class UnpairedDataset:
    """One split of a prepared set, held in memory."""

    info: UnpairedInfo
    split: str
    a: Pictures
    b: Pictures

    @classmethod
    def open(cls, root: Path, split: str) -> Self:
        """Reads one split and checks that its arrays are what `dataset.json` says.

        Raises:
            DatasetError: The folder, the split or an array is missing or damaged; the message says what to run.
        """
        info = read_unpaired_info(root)
        if split not in info.counts:
            raise DatasetError(f"Data set '{root}' has no split '{split}'; it has {', '.join(info.counts)}.")
        a, b = (_read_pictures(root / split, domain, info, split) for domain in DOMAINS)
        return cls(info=info, split=split, a=a, b=b)


def is_unpaired(root: Path) -> bool:
    """Whether a prepared folder says of itself that it holds two domains."""
    try:
        described = json.loads((root / "dataset.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and described.get("form") == "unpaired"


def read_unpaired_info(root: Path) -> UnpairedInfo:
    """Reads `dataset.json`.

    Raises:
        DatasetError: It is missing, unreadable or of another format.
    """
    path = root / "dataset.json"
    if not path.is_file():
        raise DatasetError(f"'{root}' is not a prepared data set (it has no dataset.json). {_remedy(root)}")
    try:
        return UnpairedInfo.model_validate_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DatasetError(f"'{path}' is damaged or not of unpaired pictures: {error}. {_remedy(root)}") from error


def write_unpaired(out: Path, info: UnpairedInfo, splits: Mapping[str, Domains]) -> None:
    """Writes a prepared set. `out` is replaced only when all of it has been written.

    Raises:
        DatasetError: `out` exists and is no prepared set, so replacing it could lose something else.
    """
    with staged_folder(out) as folder:
        for split, domains in splits.items():
            (folder / split).mkdir()
            for domain, pictures in (("a", domains.a), ("b", domains.b)):
                np.save(folder / split / f"{domain}.npy", pictures.images)
                (folder / split / f"{domain}.txt").write_text("\n".join(pictures.names) + "\n", "utf-8")
        _preview(splits["train"]).save(folder / "preview.png")
        (folder / "LICENSE.txt").write_text(info.origin.notice.rstrip() + "\n", "utf-8")
        text = json.dumps(info.model_dump(mode="json"), indent=2, ensure_ascii=False)
        (folder / "dataset.json").write_text(text + "\n", "utf-8")


def digest_domains(splits: Mapping[str, Domains]) -> str:
    """SHA-256 over all pixels, in the order of `splits`."""
    checksum = hashlib.sha256()
    for domains in splits.values():
        for pictures in (domains.a, domains.b):
            checksum.update(np.ascontiguousarray(pictures.images).data)
    return checksum.hexdigest()


def _read_pictures(folder: Path, domain: Domain, info: UnpairedInfo, split: str) -> Pictures:
    shape = (info.counts[split][domain], info.size, info.size, CHANNELS)
    images = read_array(folder / f"{domain}.npy", shape, _remedy(folder.parent))
    return Pictures(read_names(folder / f"{domain}.txt", len(images), _remedy(folder.parent)), images)


def _preview(domains: Domains, rows: int = 3, columns: int = 8) -> Image.Image:
    """Rows of a, then rows of b, evenly spaced over each."""
    sheet = []
    for pictures in (domains.a, domains.b):
        chosen = np.linspace(0, len(pictures) - 1, min(rows * columns, len(pictures))).round().astype(int)
        images = [pictures.images[k] for k in chosen]
        sheet += [images[start : start + columns] for start in range(0, len(images), columns)]
    return contact_sheet(sheet)


def _remedy(root: Path) -> str:
    return f"Run `inkwash-train prepare unpaired --a DIR --b DIR --out {root}` to make it anew."
