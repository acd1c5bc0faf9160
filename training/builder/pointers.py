"""What a source of pictures lists: where each picture is, what is known of it before it is seen, and how its bytes are had.

It knows no kind of source in particular.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


class UnusableError(Exception):
    """A picture that will never be one of the set: gone, damaged, too small.

    Attributes:
        reason: A few words that many pictures share.
        detail: What there is to say of this one.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class UnreachableError(Exception):
    """A picture, or an answer, that cannot be had now and may be later: the network is down, a server is busy."""


@dataclass(frozen=True)
class Terms:
    """Whose a picture is and what its licence is, as far as anyone said so."""

    license: str | None = None
    author: str | None = None
    page: str | None = None

    def over(self, other: Terms) -> Terms:
        """These terms, and the other's where nothing is said here."""
        return Terms(self.license or other.license, self.author or other.author, self.page or other.page)


@dataclass(frozen=True)
class Pointer:
    """One picture of a source.

    Attributes:
        name: The address, `pixabay:ID`, or a local source's name and the path below it; the same in `sources.csv`.
        read: Its bytes. Raises `UnusableError`, `UnreachableError` or `BuildError`.
        sha256: Of the bytes that were meant, where that is on record.
        stamp: What changes when a local file does.
        facts: What else should be remembered, as JSON values.
    """

    name: str
    read: Callable[[], bytes]
    terms: Terms = Terms()
    sha256: str | None = None
    stamp: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """An id for a picture that was rejected: several pointers may hold the same bytes, or none."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]

    @property
    def listing(self) -> str:
        """All that its source says of it, for telling whether the source has changed."""
        return repr((self.name, self.terms, self.sha256, self.stamp))


@dataclass(frozen=True)
class Source:
    """A source as it was found.

    Attributes:
        name: For messages and for the facts of its pictures.
        pointers: In an order that does not change from run to run.
        count: How many there are, or may be at most.
    """

    name: str
    pointers: Iterable[Pointer]
    count: int


def refuse(reason: str, detail: str) -> Callable[[], bytes]:
    """How a pointer is read that can be told to be of no use as it is listed."""

    def read() -> bytes:
        raise UnusableError(reason, detail)

    return read
