"""Answers with a file of the page or of a model: validators, compression, and no way out of its folder."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from server.errors import NotFoundError

REVALIDATE = "no-cache"
"""Kept by the browser but asked about each time: an answer of 304 costs nothing and an update is seen at once."""

_TEXT_TYPES = ("text/", "application/javascript", "application/json", "image/svg+xml", "application/manifest+json")
_COMPRESS_FROM_BYTES = 600
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".md": "text/markdown",
}


@dataclass(frozen=True)
class _Cached:
    stamp: tuple[int, int]
    content: bytes
    compressed: bytes | None
    etag: str
    media_type: str


class FileStore:
    """Files below one folder, kept in memory until they change on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._cache: dict[Path, _Cached] = {}

    def version(self, relative: str) -> str:
        """A short hash of the file's content, to put into its address; `0` for a missing file."""
        try:
            return self._read(relative).etag.strip('"')[:12]
        except NotFoundError:
            return "0"

    def answer(self, request: Request, relative: str) -> Response:
        """The file, compressed where that pays, or 304 when the caller has it.

        Raises:
            NotFoundError: there is no such file in the folder.
        """
        cached = self._read(relative)
        headers = {"ETag": cached.etag, "Cache-Control": REVALIDATE, "Vary": "Accept-Encoding"}
        if matches(request.headers.get("if-none-match"), cached.etag):
            return Response(status_code=304, headers=headers)
        if cached.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(cached.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=cached.media_type)
        return Response(cached.content, headers=headers, media_type=cached.media_type)

    def _read(self, relative: str) -> _Cached:
        """Kept by the resolved path: one file has endless addresses such as `a/../b.js`, and each copy would stay in memory."""
        try:
            path = (self._root / relative).resolve()
            if path.is_relative_to(self._root) and path.is_file():
                return self._current(path)
        except (OSError, ValueError):  # a name too long for the file system, a null byte, a file that has just gone
            pass
        raise NotFoundError(f"There is no file '{relative[:200]}'.")

    def _current(self, path: Path) -> _Cached:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        cached = self._cache.get(path)
        if cached is None or cached.stamp != stamp:
            cached = self._cache[path] = _load(path, stamp)
        return cached


def _load(path: Path, stamp: tuple[int, int]) -> _Cached:
    content = path.read_bytes()
    media_type = media_type_of(path)
    is_text = media_type.startswith(_TEXT_TYPES) and len(content) >= _COMPRESS_FROM_BYTES
    compressed = gzip.compress(content, 6, mtime=0) if is_text else None
    return _Cached(stamp, content, compressed, f'"{hashlib.sha256(content).hexdigest()[:32]}"', media_type)


def media_type_of(path: Path) -> str:
    """By the name's ending, not by the machine's own table, which may lack types or know odd ones."""
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller holds this very content (RFC 9110, 13.1.2; weak comparison)."""
    given = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag in given or "*" in given
