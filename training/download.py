"""Fetches the public originals that recipes name: with progress, resumable, checked, unpacked without trust in the archive.

It knows URLs and files only; what the files mean is the recipe's business.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from training.recipes.recipe import Download

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 60.0
HTTP_PARTIAL_CONTENT, HTTP_RANGE_NOT_SATISFIABLE = 206, 416


class DownloadError(RuntimeError):
    """A file could not be fetched, is not the expected one, or could not be unpacked."""


def fetch(downloads: Sequence[Download], folder: Path, console: Console | None = None) -> None:
    """Brings every file below `folder`; what is already there and whole is left alone.

    Raises:
        DownloadError: With what happened and what to do about it.
    """
    console = console or Console(stderr=True)
    for download in downloads:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch_one(download, folder, console)
        except OSError as error:
            raise DownloadError(_disk_message(error, folder)) from error


def _fetch_one(download: Download, folder: Path, console: Console) -> None:
    target = folder / download.path
    unpacked = target.with_name(target.name + ".unpacked")
    if unpacked.is_file() or (download.members is None and target.is_file()):
        return
    if not target.is_file():
        part = target.with_name(target.name + ".part")
        _receive(download.url, part, console)
        _check(download, part, console)
        part.rename(target)
    if download.members is not None:
        _unpack(target, download.members, folder)
        unpacked.touch()
        target.unlink()


def _receive(url: str, part: Path, console: Console) -> None:
    """Downloads to `part`, going on where an earlier attempt stopped if the server can."""
    have = part.stat().st_size if part.is_file() else 0
    try:
        with _open(url, have) as response:
            resumed = response.status == HTTP_PARTIAL_CONTENT
            length = response.headers.get("Content-Length")
            start = have if resumed else 0
            _copy(response, part, start, start + int(length) if length else None, console)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == HTTP_RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            _receive(url, part, console)
            return
        raise DownloadError(f"{url} answered {error.code} {error.reason}. {_BY_HAND}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        message = f"Could not fetch {url} ({reason}). Check the network and run again: it goes on where it stopped. {_BY_HAND}"
        raise DownloadError(message) from error


def _open(url: str, have: int) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "inkwash-train"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    return cast(HTTPResponse, urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS))


def _copy(response: HTTPResponse, part: Path, start: int, total: int | None, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    done = start
    with Progress(*columns, console=console) as progress, part.open("ab" if start else "wb") as file:
        task = progress.add_task(part.name.removesuffix(".part"), total=total, completed=start)
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            progress.update(task, completed=done)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _check(download: Download, part: Path, console: Console) -> None:
    with part.open("rb") as file:
        computed = hashlib.file_digest(file, "sha256").hexdigest()
    if download.sha256 is None:
        console.print(f"{download.path}: sha256 {computed} (no checksum is on record for this file, so it was not verified)")
    elif computed != download.sha256:
        part.unlink()
        raise DownloadError(
            f"{download.url} is not the expected file: its sha256 is {computed}, not {download.sha256}. It was deleted; run "
            f"again, and if it stays so the original has changed. {_BY_HAND}"
        )


def _unpack(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Unpacks the wanted regular files; the `data` filter refuses links and paths that lead outside."""
    found = False
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                place = _place(member.name, members)
                if place is None or not member.isfile():
                    continue
                tar.extract(member.replace(name=place), folder, filter="data")
                found = True
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        archive.unlink()
        raise DownloadError(f"{archive.name} cannot be unpacked ({error}). It was deleted; run again.") from error
    if not found:
        archive.unlink()
        raise DownloadError(f"{archive.name} holds nothing below {', '.join(members)}; the original has changed. {_BY_HAND}")


def _place(name: str, members: Mapping[str, str]) -> str | None:
    """Where a member goes below the source folder, or None when it is not wanted."""
    name = name.removeprefix("./")
    for prefix, folder in members.items():
        if name.startswith(prefix) and name != prefix:
            return str(PurePosixPath(folder, name[len(prefix) :]))
    return None


def _disk_message(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free
        return f"The disk is full: {free / 1e6:,.0f} MB free at '{folder}'. Free some space and run again: it goes on."
    return f"Cannot write to '{folder}': {error}."


_BY_HAND = "Or fetch it by hand and give its folder with --source."
