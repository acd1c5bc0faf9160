"""What every recipe says and does. It knows no recipe in particular."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.datasets import ImagesU8, Origin, Pairs, PaletteEntry
from training.unpaired import Domain, Domains


class SourceError(ValueError):
    """A source folder lacks what the recipe reads, or a file in it cannot be read."""


@dataclass(frozen=True)
class Download:
    """A file of the public original.

    Attributes:
        path: Where it lies below the source folder; archives are unpacked there.
        sha256: None while unknown; then the computed one is printed.
        members: For an archive: prefix of wanted members -> folder they go to.
    """

    url: str
    path: str
    sha256: str | None = None
    members: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Draft:
    """What a recipe makes of a source folder, before it is written.

    Attributes:
        rejects: File name -> why it was left out.
        origin: Where these files come from, when the folder itself says so; else the recipe's.
    """

    splits: Mapping[str, Pairs]
    rejects: Mapping[str, str]
    origin: Origin | None = None


@dataclass(frozen=True)
class Drawing:
    """A finished example for the gallery, made by us: each input as the graph takes it, (H, W, C) uint8.

    `seed` is the one to show it with; None for the next in the gallery.
    """

    title: Mapping[str, str]
    inputs: Mapping[str, ImagesU8]
    seed: int | None = None


@dataclass(frozen=True)
class Recipe:
    """One data set: where it comes from and how its pairs are made."""

    name: str
    title: Mapping[str, str]
    kind: Literal["line", "labels", "gray", "photo"]
    palette: tuple[PaletteEntry, ...]
    background: int
    origin: Origin
    downloads: tuple[Download, ...]
    needs: str
    """What a source folder must hold, in words for error messages."""
    build: Callable[[Path, int], Draft]
    """(source folder, size in pixels) -> pairs. Raises `SourceError`."""
    drawings: Callable[[int, float | None], tuple[Drawing, ...]]
    """(size, line width in pixels where there are lines) -> our own drawings, in no training set."""
    weaknesses: str
    """What a model of this data does badly, a Markdown list for the model card."""
    needs_source: bool = True
    """False where it draws its pairs itself and reads no folder."""


@dataclass(frozen=True)
class Subject:
    """What a model of a published plan is shown with, as recipes have it for theirs."""

    drawings: Callable[[int, float | None], tuple[Drawing, ...]]
    weaknesses: str


@dataclass(frozen=True)
class UnpairedDraft:
    """What becomes of two folders, before it is written.

    Attributes:
        rejects: By domain: file name -> why it was left out.
    """

    splits: Mapping[str, Domains]
    rejects: Mapping[Domain, Mapping[str, str]]


@dataclass(frozen=True)
class UnpairedRecipe:
    """A named set of two domains: where it comes from and how it is made.

    Attributes:
        names: What the pictures of a domain show, in a few words.
        needs: What a source folder must hold, in words for error messages.
        build: (source folder, size in pixels) -> both domains. Raises `SourceError`.
        drawings: (domain, size) -> free pictures of that domain for the gallery, in no training set.
    """

    name: str
    title: Mapping[str, str]
    names: Mapping[Domain, str]
    origin: Origin
    needs: str
    build: Callable[[Path, int], UnpairedDraft]
    drawings: Callable[[Domain, int], tuple[Drawing, ...]]
