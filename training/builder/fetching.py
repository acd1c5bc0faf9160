"""GET over HTTP for collecting: bounded in bytes and time, retried where that can help, waiting as long as a server asks.

It tells apart what is gone (`UnusableError`) from what cannot be had now (`UnreachableError`), and knows no image and no API.
"""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote, urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from training.builder.journal import disk_errors, write_whole
from training.builder.pointers import UnreachableError, UnusableError

USER_AGENT = "inkwash-train (collects images for a training set)"
CHUNK_BYTES = 1 << 16
MAX_ERROR_BYTES = 2000
MAX_REDIRECTIONS = 5
HOST_PATIENCE = 3
"""Addresses in a row that a host does not answer at all before it is not asked again in this run."""

MAX_WAIT_SECONDS = 900.0
"""A server that asks for a longer pause is left for another run."""

_LATER = frozenset({408, 425, 429})
"""Statuses below 500 that say: try again."""


class NetworkSettings(BaseModel):
    """How patiently pictures are fetched; nothing here changes what becomes of a picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: int = Field(default=4, ge=1, le=16, description="Pictures fetched at a time.")
    attempts: int = Field(default=4, ge=1, le=10, description="Tries of an address that is silent or answers 5xx or 429.")
    timeout_seconds: float = Field(default=20.0, gt=0, description="Silence after which a connection is given up.")
    total_seconds: float = Field(default=120.0, gt=0, description="Longest that one answer may take.")
    backoff_seconds: float = Field(default=1.0, ge=0, description="Pause before the second try; each later one is double.")


@dataclass(frozen=True)
class Answer:
    """What a server said; `status` is below 500."""

    status: int
    headers: HTTPMessage
    body: bytes


class RefusedError(UnusableError):
    """An address at which there is nothing for us."""

    def __init__(self, status: int, url: str) -> None:
        super().__init__(f"address answers {status}", url)


class TryAgainError(UnreachableError):
    """No answer, or one that is not the last word.

    Attributes:
        asked_seconds: How long the server asks to wait; 0 where it does not say.
        is_silent: Whether there was no answer at all.
    """

    def __init__(self, message: str, asked_seconds: float = 0.0, *, is_silent: bool = False) -> None:
        super().__init__(message)
        self.asked_seconds = asked_seconds
        self.is_silent = is_silent


class Fetcher:
    """Fetches addresses, from several threads at a time."""

    def __init__(
        self,
        settings: NetworkSettings,
        max_bytes: int,
        tell: Callable[[str], None],
        sleep: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            max_bytes: Of an answer.
            tell: Takes a sentence for the person who waits.
            sleep: Pauses so many seconds; what it returns is true where the run has ended meanwhile.
        """
        self._settings = settings
        self._max_bytes = max_bytes
        self._tell = tell
        self._sleep = sleep
        self._clock = clock
        self._opener = urllib.request.build_opener(_HttpRedirects)
        self._silences: dict[str, list[str]] = {}  # by host: why each of its last addresses had no answer

    def get(self, url: str) -> bytes:
        """The body of an address.

        Raises:
            UnusableError: It is no address, or the server says that there is nothing for us.
            UnreachableError: No answer, or one that says to come back later, after several tries.
        """
        answer = self.ask(url)
        if answer.status != 200:
            raise RefusedError(answer.status, url)
        return answer.body

    def ask(self, url: str) -> Answer:
        """The answer of an address, whatever its status, but for those that say to try again.

        Raises:
            UnusableError: It is no address, or the answer is too long.
            UnreachableError: As of `get`.
        """
        address = checked_address(url)
        host = urlsplit(address).netloc
        silences = self._silences.get(host, [])
        if len(silences) >= HOST_PATIENCE:
            raise UnreachableError(silences[-1])
        backoff = self._settings.backoff_seconds
        for pause in (*(backoff * 2**k for k in range(self._settings.attempts - 1)), None):
            try:
                return self._answer(address, host)
            except TryAgainError as again:
                if pause is None:
                    if again.is_silent:
                        self._silences[host] = [*self._silences.get(host, []), str(again)]
                    raise
                self.wait(max(pause, again.asked_seconds), host if again.asked_seconds else None)
        raise AssertionError("the last try returns or raises")

    def wait(self, seconds: float, host: str | None = None) -> None:
        """Pauses, and says so where a host asked for it.

        Raises:
            UnreachableError: The run has ended meanwhile.
        """
        if host and seconds >= 1:
            self._tell(f"{host} asks to wait {seconds:.0f} seconds.")
        if self._sleep(seconds):
            raise UnreachableError("the run was ended")

    def _answer(self, url: str, host: str) -> Answer:
        """
        Raises:
            TryAgainError: None, or none that is final.
            UnreachableError: The server asks for a pause that is too long to wait for.
        """
        try:
            answer = self._exchange(url)
        except (OSError, HTTPException) as error:  # URLError is an OSError
            why = str(getattr(error, "reason", error)) or type(error).__name__
            raise TryAgainError(f"cannot reach {host}: {why}", is_silent=True) from error
        self._silences.pop(host, None)
        if answer.status >= 500 or answer.status in _LATER:
            raise TryAgainError(f"{host} answers {answer.status}", asked_seconds=_asked_seconds(answer, host))
        return answer

    def _exchange(self, url: str) -> Answer:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
        try:
            with self._opener.open(request, timeout=self._settings.timeout_seconds) as response:
                return Answer(response.status, response.headers, self._body(response))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, cast(HTTPMessage, error.headers), error.read(MAX_ERROR_BYTES))

    def _body(self, response: HTTPResponse) -> bytes:
        promised = response.headers.get("Content-Length")
        deadline = self._clock() + self._settings.total_seconds
        body = bytearray()
        while chunk := response.read1(CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes:
                raise UnusableError("too many bytes", f"the answer has more than {self._max_bytes:,}")
            if self._clock() > deadline:
                raise TimeoutError(f"the answer took longer than {self._settings.total_seconds:g} seconds")
        if promised and promised.isdecimal() and len(body) < int(promised):
            raise ConnectionError(f"the connection ended after {len(body):,} of {int(promised):,} bytes")
        return bytes(body)


class Shelf:
    """Bytes that were fetched, a file a pointer, so that nothing is fetched twice, by this run or a later one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, name: str) -> bool:
        return self._file(name).is_file()

    def get(self, name: str, fetch: Callable[[], bytes]) -> bytes:
        """The bytes of a pointer, fetched at most once.

        Raises:
            BuildError: The disk is full or the folder cannot be written.
        """
        path = self._file(name)
        with disk_errors(self._folder):
            if path.is_file():
                return path.read_bytes()
        data = fetch()
        with disk_errors(self._folder):
            write_whole(path, data)
        return data

    def _file(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]


def checked_address(url: str) -> str:
    """An address with only what may stand in one: spaces and letters beyond ASCII as percent codes, a host name as IDNA.

    Raises:
        UnusableError: It is no http or https address.
    """
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnusableError("bad address", f"'{url}' is not http://HOST/... or https://HOST/...")
        if "@" in parts.netloc:
            raise UnusableError("bad address", "it holds a user name; only what anyone may fetch is collected")
        port = f":{parts.port}" if parts.port is not None else ""
        host = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"
        netloc = host.encode("idna").decode() + port
    except ValueError as error:  # of a port or an IPv6 address; UnicodeError of a host name is one too
        raise UnusableError("bad address", f"'{url}' ({error})") from error
    path, query = quote(parts.path, safe="%/:=&~+!$,;'@()*"), quote(parts.query, safe="%/:=&?~+!$,;'@()*[]")
    return f"{parts.scheme}://{netloc}{path}" + (f"?{query}" if query else "")


def seconds_of(headers: HTTPMessage, *names: str) -> float | None:
    """The first of these headers that holds a number of seconds."""
    for name in names:
        try:
            return max(0.0, float(headers.get(name, "")))
        except ValueError:  # some servers give a date
            continue
    return None


def _asked_seconds(answer: Answer, host: str) -> float:
    """How long a server that refuses for now asks to wait; 0 where it does not say.

    Raises:
        UnreachableError: Longer than anyone would sit and wait.
    """
    if answer.status not in (429, 503):
        return 0.0
    seconds = seconds_of(answer.headers, "Retry-After", "X-RateLimit-Reset") or 0.0
    if seconds > MAX_WAIT_SECONDS:
        raise UnreachableError(f"{host} answers {answer.status} and asks to come back in {seconds:,.0f} seconds")
    return seconds


class _HttpRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirections, none away from HTTP."""

    max_redirections = MAX_REDIRECTIONS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        try:
            target = checked_address(urljoin(req.full_url, newurl))
        except UnusableError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, target)
