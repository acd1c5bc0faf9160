"""Tables of pointers: CSV with an address a row as a source, and `sources.csv`, which says where each kept picture is from.

What is written here can be read here: a data set is published as its `sources.csv`, and rebuilt from it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from training.builder.fetching import Fetcher, Shelf, checked_address
from training.builder.folders import Files, local_pointer
from training.builder.journal import BuildError, Journal, disk_errors, write_whole
from training.builder.pixabay import SCHEME
from training.builder.pointers import Pointer, Source, Terms, UnusableError, refuse

COLUMNS = ("id", "pointer", "page", "license", "author", "sha256", "width", "height")
POINTER_COLUMNS = ("url", "pointer")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|www\.")


class TableSource(BaseModel):
    """A CSV file with a column `url` or `pointer` and, where known, `license`, `author`, `page` and `sha256`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Relative to the plan's folder, or absolute.")
    files: str | None = Field(default=None, description="Folder below which pointers that are no addresses are found.")
    license: str | None = Field(default=None, description="Of rows that state none.")
    author: str | None = None
    page: str | None = None


@dataclass(frozen=True)
class Readers:
    """How each kind of pointer is read: addresses, `pixabay:ID`, local files."""

    fetcher: Fetcher
    shelf: Shelf
    files: Files
    pixabay: Callable[[str, Terms, str | None], Pointer]

    def address(self, url: str, terms: Terms, sha256: str | None) -> Pointer:
        try:
            checked_address(url)
        except UnusableError as error:
            return Pointer(url, refuse(error.reason, error.detail), terms, sha256)
        return Pointer(url, partial(self.shelf.get, url, partial(self.fetcher.get, url)), terms, sha256)


def list_table(settings: TableSource, base: Path, readers: Readers) -> Source:
    """The pointers of a CSV file.

    Args:
        base: Folder of the plan.

    Raises:
        BuildError: There is no such file, it is no such table, a checksum is none, or local pointers lack a folder.
    """
    path = (base / settings.path).expanduser().resolve()
    root = (base / settings.files).expanduser().resolve() if settings.files else None
    if root is not None and not root.is_dir():
        raise BuildError(f"'{settings.files}', files of table '{settings.path}', does not exist: there is no '{root}'.")
    common = Terms(settings.license, settings.author, settings.page)
    pointers = [_pointer(row, f"Line {line} of '{path}'", root, common, readers) for line, row in _rows(path)]
    if not pointers:
        raise BuildError(f"Table '{path}' has no rows; give one with an address a row, or take it out of the plan.")
    return Source(path.name, pointers, len(pointers))


def write_sources(journal: Journal, path: Path) -> None:
    """Writes down where each kept picture of the collection is from.

    Raises:
        BuildError: The disk is full or the folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**entry.facts, "id": entry.id} for entry in journal if entry.is_kept)
    with disk_errors(path.parent):
        write_whole(path, text.getvalue().encode())


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Line numbers and rows that point somewhere; names of columns are read without regard to case."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise BuildError(f"Table '{path}' does not exist; correct its path in the plan.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"Table '{path}' cannot be read ({error}); save it as CSV in UTF-8.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if not set(POINTER_COLUMNS) & set(names):
            raise BuildError(
                f"Table '{path}' has no column 'url' or 'pointer', only {', '.join(names) or 'nothing'}; name the columns in "
                "its first line, parted by commas."
            )
        reader.fieldnames = names
        for row in reader:
            yield reader.line_num, {name: value.strip() for name, value in row.items() if name and value}
    except csv.Error as error:
        raise BuildError(f"Line {reader.line_num} of '{path}' is no CSV ({error}); correct it.") from error


def _pointer(row: Mapping[str, str], where: str, root: Path | None, common: Terms, readers: Readers) -> Pointer:
    name = next((row[column] for column in POINTER_COLUMNS if row.get(column)), "")
    sha256 = row.get("sha256")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise BuildError(f"{where}: sha256 '{sha256}' is not 64 hexadecimal digits; correct it or leave it empty.")
    terms = Terms(row.get("license"), row.get("author"), row.get("page")).over(common)
    checksum = sha256.lower() if sha256 else None
    if not name:
        return Pointer(where, refuse("no address", where), terms)
    if name.startswith(SCHEME):
        return readers.pixabay(name, terms, checksum)
    if _ADDRESS.match(name):
        return readers.address(name, terms, checksum)
    return _local(name, where, root, terms, checksum, readers)


def _local(name: str, where: str, root: Path | None, terms: Terms, sha256: str | None, readers: Readers) -> Pointer:
    if root is None:
        raise BuildError(
            f"{where} points to '{name}', which is no address (http:// or https://); correct it, or, if it is a file, say in "
            "the plan with `files` below which folder."
        )
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        return Pointer(name, refuse("bad address", f"'{name}' leads out of '{root}'"), terms, sha256)
    return local_pointer(root / relative, name, readers.files, terms, sha256)
