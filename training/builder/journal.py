"""What a stage has done, a line a picture, so that a build that was killed goes on where it was.

A stage has a folder: its pictures and `journal.jsonl`. A picture is written whole before its line is, so a line is a promise
that the file is there. The journal knows no stage in particular.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from PIL import Image

JOURNAL = "journal.jsonl"


class BuildError(ValueError):
    """A build cannot begin or go on; the message says what to do."""


@dataclass(frozen=True)
class Entry:
    """What became of one picture in a stage.

    Attributes:
        id: The same in every stage: the first 16 hexadecimal digits of the SHA-256 of the file as it was collected.
        file: The picture that the stage made, below its folder; of a rejected one what it saw, if there is something to show.
        reason: Why it was rejected, in a few words that many pictures share; None where it was kept.
        facts: What later stages and the report should know, as JSON values.
    """

    id: str
    file: str | None = None
    reason: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_kept(self) -> bool:
        return self.reason is None


class Journal:
    """The journal of one stage. Settings that differ from those of the journal found begin the stage anew."""

    def __init__(self, folder: Path, entries: dict[str, Entry]) -> None:
        self.folder = folder
        self._entries = entries

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        """Opens a stage's folder, or begins it.

        Args:
            settings: All that decides what the stage makes of a picture, as JSON values.

        Raises:
            BuildError: The folder cannot be written, or its journal is damaged.
        """
        header = json.dumps({"settings": settings}, sort_keys=True)
        path = folder / JOURNAL
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
            if not lines or lines[0].rstrip("\n") != header:
                write_whole(path, (header + "\n").encode())
                return cls(folder, {})
            whole = [line for line in lines[1:] if line.endswith("\n")]
            if len(whole) + 1 < len(lines):  # the last line was cut by a kill or a full disk; its picture is made again
                write_whole(path, "".join([lines[0], *whole]).encode())
        except OSError as error:
            raise disk_error(folder, error) from error
        return cls(folder, _entries(path, whole))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """A journal as it stands, whatever its settings; empty where the stage has not begun.

        Raises:
            BuildError: It is damaged.
        """
        path = folder / JOURNAL
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
        return cls(folder, _entries(path, [line for line in lines[1:] if line.endswith("\n")]))

    def read_header(self) -> str:
        """The line that says by which settings the stage works, for stages that go by what this one made."""
        with (self.folder / JOURNAL).open(encoding="utf-8") as file:
            return file.readline()

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._entries

    def __iter__(self) -> Iterator[Entry]:
        """Entries in the order in which they were made."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, entry_id: str) -> Entry | None:
        return self._entries.get(entry_id)

    def add(self, entry: Entry) -> None:
        """Writes a line, which outlives the process; a machine that loses power may forget the last of them.

        Raises:
            BuildError: The disk is full or the folder cannot be written.
        """
        line = json.dumps({"id": entry.id, "file": entry.file, "reason": entry.reason, "facts": dict(entry.facts)})
        with disk_errors(self.folder), (self.folder / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self._entries[entry.id] = entry

    def save_image(self, image: Image.Image, name: str, **options: Any) -> str:
        """Writes a picture below the stage's folder, whole or not at all; returns its name.

        Raises:
            BuildError: The disk is full or the folder cannot be written.
        """
        with disk_errors(self.folder), _whole(self.folder / name) as part:
            image.save(part, **options)
        return name

    def save_bytes(self, data: bytes, name: str) -> str:
        """Writes a file below the stage's folder, whole or not at all; returns its name.

        Raises:
            BuildError: The disk is full or the folder cannot be written.
        """
        with disk_errors(self.folder):
            write_whole(self.folder / name, data)
        return name


def _entries(path: Path, lines: Sequence[str]) -> dict[str, Entry]:
    try:
        entries = [Entry(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise BuildError(f"'{path}' is damaged ({error}); delete its folder and build again.") from error
    return {entry.id: entry for entry in entries}


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that it is never seen half written."""
    with _whole(path) as part:
        part.write_bytes(data)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Tells what to do when the block cannot write."""
    try:
        yield
    except OSError as error:
        raise disk_error(folder, error) from error


def disk_error(folder: Path, error: OSError) -> BuildError:
    """In words, with the remedy."""
    reason = error.strerror or str(error)
    return BuildError(
        f"'{folder}' cannot be written ({reason}); make room or choose another folder, then run the same command again: "
        "it goes on where it was."
    )


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place once the block has written it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
