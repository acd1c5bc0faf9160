"""Folders of photos as a source. It lists files and opens none before it is asked to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from training.builder.journal import BuildError
from training.builder.pointers import Pointer, Source, Terms, UnusableError, refuse
from training.photos import SUFFIXES
from training.recipes.photos import ORIGIN_FILE, read_origin
from training.recipes.recipe import SourceError


class FolderSource(BaseModel):
    """A folder and all below it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Relative to the plan's folder, or absolute.")
    name: Annotated[str | None, Field(pattern=r"^[^/\\:]+$", description="For pointers; by default the folder's own.")] = None
    license: str | None = Field(default=None, description=f"Of every photo in it; else what {ORIGIN_FILE} in it says.")
    author: str | None = None
    page: str | None = Field(default=None, description="Address of a page about them.")


@dataclass(frozen=True)
class Files:
    """How local files are read: no more than `max_bytes` each, none of those that a build itself writes below `apart`."""

    max_bytes: int
    apart: Path

    def read(self, path: Path) -> bytes:
        """
        Raises:
            UnusableError: It cannot be read or is too long.
        """
        try:
            if path.stat().st_size > self.max_bytes:
                raise UnusableError("too many bytes", f"{path} has more than {self.max_bytes:,}")
            return path.read_bytes()
        except OSError as error:
            raise UnusableError("cannot be read", f"{path} ({error.strerror or error})") from error

    def below(self, root: Path) -> list[Path]:
        """Files below a folder, in the order of their names; hidden ones are left aside, as are a build's own."""
        apart = None if root.is_relative_to(self.apart) else self.apart
        found = (path for path in root.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(root)))
        return sorted((path for path in found if apart is None or not path.is_relative_to(apart)), key=Path.as_posix)


def list_folder(settings: FolderSource, base: Path, files: Files, tell: Callable[[str], None]) -> Source:
    """The photos of a folder.

    Args:
        base: Folder of the plan.
        tell: Takes a sentence about files that are left aside.

    Raises:
        BuildError: It does not exist, holds no photo, or its origin cannot be read.
    """
    root = (base / settings.path).expanduser().resolve()
    if not root.is_dir():
        raise BuildError(f"Folder '{settings.path}' of the plan does not exist: there is no '{root}'; correct its path.")
    name = settings.name or root.name
    every = files.below(root)
    photos = [path for path in every if path.suffix.lower() in SUFFIXES]
    if not photos:
        raise BuildError(
            f"Folder '{root}' holds no photos ({', '.join(sorted(SUFFIXES))}){_others(every)}; give another, or convert them."
        )
    if left := _others(path for path in every if path.name != ORIGIN_FILE and path.suffix.lower() not in SUFFIXES):
        tell(f"Folder '{root}': left aside{left}.")
    terms = Terms(settings.license, settings.author, settings.page).over(_origin(root))
    pointers = [_pointer(path, f"{name}/{path.relative_to(root).as_posix()}", files, terms) for path in photos]
    return Source(name, pointers, len(pointers))


def local_pointer(path: Path, name: str, files: Files, terms: Terms, sha256: str | None = None) -> Pointer:
    """A pointer to a local file, which may not be there any more."""
    try:
        found = path.stat()
    except OSError:
        return Pointer(name, partial(files.read, path), terms, sha256)
    return Pointer(name, partial(files.read, path), terms, sha256, stamp=f"{found.st_size} {found.st_mtime_ns}")


def _pointer(path: Path, name: str, files: Files, terms: Terms) -> Pointer:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of a name that are no UTF-8
        shown = name.encode("utf-8", "replace").decode()
        return Pointer(shown, refuse("name is not UTF-8", "rename the file"), terms)
    return local_pointer(path, name, files, terms)


def _origin(root: Path) -> Terms:
    if not (root / ORIGIN_FILE).is_file():
        return Terms()
    try:
        origin = read_origin(root)
    except SourceError as error:
        raise BuildError(str(error)) from error
    return Terms(origin.license or None, origin.name or None, origin.home_page or None)


def _others(paths: Iterator[Path] | list[Path]) -> str:
    """In words, how many files of which endings."""
    counts = Counter(path.suffix.lower() or "no ending" for path in paths)
    return " " + ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(5)) if counts else ""


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)
