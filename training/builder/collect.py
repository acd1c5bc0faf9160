"""First stage: pictures from folders, tables of addresses and image searches, each checked, none twice.

What is kept depends on the settings, on the local files and tables as they are, and on what was fetched; when any of the first
three changes, the stage is gone through anew, but nothing is fetched again. It looks at no content: that is the next stage's.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from training.builder.collection import PICTURES, REJECTED, Collection
from training.builder.decoding import Bounds
from training.builder.fetching import Fetcher, NetworkSettings, Shelf, checked_address
from training.builder.folders import Files, FolderSource, list_folder
from training.builder.journal import BuildError, Journal, disk_errors
from training.builder.pixabay import KEY_VARIABLE, Pixabay, SearchSource
from training.builder.pointers import Source, UnreachableError, UnusableError
from training.builder.reading import Reading, read_ahead
from training.builder.sources import Readers, TableSource, list_table
from training.builder.sources import write_sources as write_sources

FETCHED, ANSWERS = "fetched", "answers"
"""Folders below the stage's: bytes as they came, and what the search API answered."""


class CollectSettings(BaseModel):
    """Where pictures come from, and which are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folders: tuple[FolderSource, ...] = ()
    tables: tuple[TableSource, ...] = ()
    searches: tuple[SearchSource, ...] = Field(default=(), description="Of Pixabay; the key is read from the environment.")
    limit: int | None = Field(default=None, ge=1, description="Stop after so many kept, for a quick trial.")
    min_side: int = Field(default=200, ge=16, description="Shortest side that is taken, pixels; crops are judged later.")
    max_side: int = Field(default=1536, ge=64, description="Pictures with a longer side are scaled down to it, pixels.")
    max_pixels: int = Field(default=64_000_000, ge=1, description="Pictures of more are rejected undecoded.")
    max_bytes: int = Field(default=64 << 20, ge=1, description="Longest file that is read or fetched.")
    near_duplicate_bits: int = Field(
        default=6,
        ge=-1,
        le=20,
        description="Pictures whose perceptual hashes differ in so many of 64 bits, upright or mirrored, are one; -1 keeps "
        "all. Among 5,000 photos of animals and flowers all pairs up to 6 were the same picture, and those from 8 on were not.",
    )
    pixabay_url: str = Field(default="https://pixabay.com/api/", description="Of the search API, or a mirror of it.")
    network: NetworkSettings = NetworkSettings()

    @field_validator("pixabay_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        try:
            return checked_address(url)
        except UnusableError as error:
            raise ValueError(error.detail) from error

    @model_validator(mode="after")
    def _has_sources(self) -> Self:
        if not (self.folders or self.tables or self.searches):
            raise ValueError("name at least one source: folders, tables or searches")
        return self

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.min_side, self.max_pixels, self.max_side)


def collect(
    settings: CollectSettings,
    base: Path,
    folder: Path,
    *,
    environment: Mapping[str, str],
    tell: Callable[[str], None],
    on_progress: Callable[[int, int], None] | None = None,
) -> Journal:
    """Collects what is not collected yet.

    Args:
        base: Folder of the plan, from which its paths start.
        folder: The stage's.
        environment: Where the key of the search API is.
        tell: Takes sentences for the person who waits.
        on_progress: Takes how many pictures are done and how many there may be.

    Raises:
        BuildError: A source is wrong, missing or cannot be reached, nothing was collected, or the disk is full.
    """
    ended = threading.Event()
    fetcher = Fetcher(settings.network, settings.max_bytes, tell, sleep=ended.wait)
    shelf = Shelf(folder / FETCHED)
    pixabay = Pixabay(settings.pixabay_url, environment.get(KEY_VARIABLE), fetcher, folder / ANSWERS, shelf)
    files = Files(settings.max_bytes, apart=folder.parent.resolve())
    readers = Readers(fetcher, shelf, files, pixabay.pointer)
    listed = [*_folders(settings, base, files, tell), *(list_table(source, base, readers) for source in settings.tables)]
    journal = Journal.open(folder, _decisive(settings, listed))
    collection = Collection(journal, settings.bounds, settings.near_duplicate_bits, settings.limit)
    if not collection.is_full:
        searches = (pixabay.search(search, lambda name: collection.has(name) or name in shelf) for search in settings.searches)
        sources = [*listed, *searches]
        readings = read_ahead(sources, collection.has, settings.network.connections, ended)
        missing = _gather(readings, sum(source.count for source in sources), collection, on_progress)
        _judge(sources, collection, missing, tell)
    _sweep(journal)
    return journal


@dataclass(frozen=True)
class _Missing:
    """A pointer that could not be read now."""

    source: str
    name: str
    why: str


def _folders(settings: CollectSettings, base: Path, files: Files, tell: Callable[[str], None]) -> list[Source]:
    """
    Raises:
        BuildError: One is missing or empty, or two have one name, so that pointers below them could not be told apart.
    """
    sources = [list_folder(source, base, files, tell) for source in settings.folders]
    for name, count in Counter(source.name for source in sources).items():
        if count > 1:
            raise BuildError(f"{count} folders of the plan are named '{name}'; give them a `name` each, such as '{name}-2'.")
    return sources


def _decisive(settings: CollectSettings, listed: Sequence[Source]) -> dict[str, Any]:
    """All that decides what becomes of a picture: settings, and the local files and rows as they are."""
    digest = hashlib.sha256()
    for source in listed:
        for pointer in source.pointers:
            digest.update(pointer.listing.encode())
    return {**settings.model_dump(mode="json", exclude={"network", "pixabay_url"}), "listing": digest.hexdigest()}


def _gather(
    readings: Generator[Reading, None, None], count: int, collection: Collection, on_progress: Callable[[int, int], None] | None
) -> list[_Missing]:
    """Settles what becomes of pictures, in order, and returns those that could not be read."""
    missing: list[_Missing] = []
    with closing(readings):
        for reading in readings:
            try:
                collection.add(reading.source.name, reading.pointer, reading.read)
            except UnreachableError as error:
                missing.append(_Missing(reading.source.name, reading.pointer.name, str(error)))
            if on_progress is not None:
                on_progress(reading.done, count)
            if collection.is_full:
                break
    return missing


def _judge(sources: Sequence[Source], collection: Collection, missing: Sequence[_Missing], tell: Callable[[str], None]) -> None:
    """Says what could not be had, and which sources gave nothing.

    Raises:
        BuildError: Nothing of a source could be reached, or nothing was kept at all.
    """
    results = Counter((entry.facts["source"], entry.reason) for entry in collection.journal)
    absent = Counter(fault.source for fault in missing)
    for name in dict.fromkeys(source.name for source in sources):
        reasons = {reason: count for (source, reason), count in results.items() if source == name}
        if not reasons and absent[name]:
            raise BuildError(f"Nothing of '{name}' can be fetched: {_in_words(missing, name)}. {_AGAIN}")
        if None not in reasons and not collection.is_full:
            tell(f"'{name}' adds no picture ({_counted(reasons)}).")
    if missing:
        tell(f"{len(missing)} of the pictures could not be fetched this time: {_in_words(missing)}. {_AGAIN}")
    if all(reason is not None for _, reason in results):
        raise BuildError(f"No picture was kept ({_counted(Counter(entry.reason for entry in collection.journal))}); {_REMEDY}")


def _in_words(missing: Sequence[_Missing], source: str | None = None) -> str:
    """Why, by how often, with an example."""
    faults = [fault for fault in missing if source in (None, fault.source)]
    whys = Counter(fault.why for fault in faults).most_common(3)
    return ", ".join(f"{why} ({count})" for why, count in whys) + f"; for example '{faults[0].name}'"


def _counted(reasons: Mapping[str | None, int]) -> str:
    most = sorted(reasons.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{reason}: {count}" for reason, count in most) or "all of it is in sources before it"


def _sweep(journal: Journal) -> None:
    """Removes what a kill left half written, and pictures of settings that are no more."""
    named = {journal.folder / entry.file for entry in journal if entry.file}
    with disk_errors(journal.folder):
        for path in (path for name in (PICTURES, REJECTED) for path in (journal.folder / name).glob("*")):
            if path not in named:
                path.unlink()
        for path in journal.folder.rglob(".part-*"):
            path.unlink()


_AGAIN = "Check the network and run the same command again: it goes on where it was."
_REMEDY = "give other sources, or change what is taken ([collect] of the plan)."
