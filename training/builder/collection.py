"""What has been collected, and whether one more picture belongs to it. It reads no source and fetches nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from training.builder.decoding import Bounds, Photo, TooSmallError, decode
from training.builder.journal import Entry, Journal
from training.builder.likeness import Gallery, fingerprint
from training.builder.pointers import Pointer, UnusableError

PICTURES, REJECTED = "pictures", "rejected"
"""Folders below the stage's."""

ID_DIGITS = 16
JPEG_QUALITY = 95
SHOWN_SIDE = 320
"""Pixels of a rejected picture as the report shows it."""


class Collection:
    """What has been collected, and whether one more picture belongs to it."""

    def __init__(self, journal: Journal, bounds: Bounds, near_duplicate_bits: int, limit: int | None) -> None:
        """
        Args:
            near_duplicate_bits: Pictures whose fingerprints differ in so many bits are the same; -1: none are.
            limit: How many are kept at most.
        """
        self.journal = journal
        self._bounds = bounds
        self._limit = limit
        self._gallery = Gallery(near_duplicate_bits)
        self._pointers = {entry.facts["pointer"] for entry in journal}
        self._kept = 0
        for entry in journal:
            self._note(entry)

    @property
    def is_full(self) -> bool:
        """Whether the limit is reached."""
        return self._limit is not None and self._kept >= self._limit

    def has(self, name: str) -> bool:
        """Whether it is settled what becomes of a pointer."""
        return name in self._pointers

    def add(self, source: str, pointer: Pointer, read: Callable[[], bytes]) -> None:
        """Settles what becomes of a pointer.

        Raises:
            UnreachableError: Its bytes cannot be had now, so nothing is settled.
            BuildError: The disk is full.
        """
        facts = {"source": source, "pointer": pointer.name, **_terms(pointer), **pointer.facts}
        try:
            entry = self._entry(pointer, read(), facts)
        except TooSmallError as error:
            entry = self._rejected(pointer, error, facts, error.photo.image)
        except LikeAnotherError as error:
            entry = self._rejected(pointer, error, {**facts, **error.facts}, error.image)
        except UnusableError as error:
            entry = self._rejected(pointer, error, facts)
        self.journal.add(entry)
        self._pointers.add(pointer.name)
        self._note(entry)

    def _entry(self, pointer: Pointer, data: bytes, facts: Mapping[str, Any]) -> Entry:
        """The entry of a picture that is kept.

        Raises:
            UnusableError: It is not.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        entry_id = sha256[:ID_DIGITS]
        if pointer.sha256 not in (None, sha256):
            raise UnusableError("not the file on record", f"its sha256 is {sha256}, not {pointer.sha256}")
        if entry_id in self.journal:
            raise LikeAnotherError("same file as another", {"like": entry_id})
        photo = decode(data, self._bounds)
        look = fingerprint(photo.image)
        match = self._gallery.match(look)
        if match is not None:
            seen = {"like": match.id, "bits": match.bits, "mirrored": match.is_mirrored}
            raise LikeAnotherError("looks like another", seen, photo.image)
        file = self._save(photo, data, entry_id)
        size = {"width": photo.width, "height": photo.height}
        return Entry(entry_id, file, facts={**facts, "sha256": sha256, **size, "likeness": look.hexadecimal})

    def _save(self, photo: Photo, data: bytes, entry_id: str) -> str:
        """The bytes as they came where they are the picture; else a JPEG, with all of its colour."""
        if photo.suffix is not None:
            return self.journal.save_bytes(data, f"{PICTURES}/{entry_id}{photo.suffix}")
        return self.journal.save_image(photo.image, f"{PICTURES}/{entry_id}.jpg", quality=JPEG_QUALITY, subsampling=0)

    def _rejected(
        self, pointer: Pointer, error: UnusableError, facts: Mapping[str, Any], image: Image.Image | None = None
    ) -> Entry:
        file = None
        if image is not None:
            image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
            file = self.journal.save_image(image, f"{REJECTED}/{pointer.id}.jpg", quality=80)
        return Entry(pointer.id, file, error.reason, {**facts, "detail": error.detail})

    def _note(self, entry: Entry) -> None:
        if entry.is_kept:
            self._kept += 1
            self._gallery.add(entry.id, entry.facts["likeness"])


class LikeAnotherError(UnusableError):
    """A picture that is in the collection already."""

    def __init__(self, reason: str, facts: Mapping[str, Any], image: Image.Image | None = None) -> None:
        super().__init__(reason, f"of {facts['like']}")
        self.facts = facts
        self.image = image


def _terms(pointer: Pointer) -> dict[str, str | None]:
    return {"page": pointer.terms.page, "license": pointer.terms.license, "author": pointer.terms.author}
