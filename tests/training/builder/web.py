"""A local web: files by path, faults on demand, and a search API that behaves as Pixabay's documentation says.

https://pixabay.com/api/docs/: `key`, `q`, `id`, `page`, `per_page` (3-200); at most 500 results of a search are accessible;
X-RateLimit-Limit, -Remaining and -Reset (seconds) in every answer; 429 beyond the limit; other errors are plain text with a
status; an address of a picture is good for 24 hours.
"""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

KEY = "12345678-0123456789abcdef"
ACCESSIBLE = 500


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.seconds = 1_750_000_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds


@dataclass
class Web:
    """What the server has and how it behaves.

    Attributes:
        files: Bytes by path.
        faults: Statuses that the next requests of a path get, before what is right; 0 drops the connection.
        headers: Sent with every fault.
        redirects: Where a path leads.
        asked: How often each path was asked for.
        photos: How many pictures a search finds; picture k is at `/get/<epoch>/k.jpg` while the epoch lasts.
        gone: Pictures that were taken down.
        quota: Requests that the API answers a minute.
        clock: Time by which the quota is counted and addresses run out.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    queries: list[dict[str, str]] = field(default_factory=list)
    photos: int = 0
    gone: set[int] = field(default_factory=set)
    quota: int = 100
    clock: Clock = field(default_factory=Clock)
    port: int = 0
    _window: list[float] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def api(self) -> str:
        return self.url("/api/")

    def answer(self, target: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a request."""
        parts = urlsplit(target)
        self.asked[parts.path] += 1
        if faults := self.faults.get(parts.path):
            return faults.pop(0), self.headers, b"a fault"
        if parts.path in self.redirects:
            return 302, {"Location": self.redirects[parts.path]}, b""
        if parts.path == "/api/":
            return self._api({name: values[0] for name, values in parse_qs(parts.query).items()})
        if parts.path.startswith("/get/"):
            return self._picture(parts.path)
        content = self.files.get(parts.path)
        return (404, {}, b"not found") if content is None else (200, {}, content)

    def _api(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        limit = self._limit()
        if limit is None:
            return 429, self._limit_headers(), b"API rate limit exceeded"
        self.queries.append(query)
        status, body = self._found(query)
        return status, self._limit_headers(), body

    def _limit(self) -> int | None:
        """Requests that are left, or None where there was none left for this one."""
        now = self.clock()
        if not self._window or now - self._window[0] >= 60:
            self._window = [now]
            return self.quota - 1
        if len(self._window) >= self.quota:
            return None
        self._window.append(now)
        return self.quota - len(self._window)

    def _limit_headers(self) -> dict[str, str]:
        reset = 60 - (self.clock() - self._window[0])
        left = self.quota - len(self._window)
        return {"X-RateLimit-Limit": f"{self.quota}", "X-RateLimit-Remaining": f"{left}", "X-RateLimit-Reset": f"{reset:.0f}"}

    def _found(self, query: dict[str, str]) -> tuple[int, bytes]:
        if query.get("key") != KEY:
            return 400, b"[ERROR 400] Invalid or missing API key (https://pixabay.com/api/docs/)."
        if "id" in query:
            number = int(query["id"])
            return 200, self._page([] if number in self.gone or number >= self.photos else [number])
        per_page, page = int(query.get("per_page", 20)), int(query.get("page", 1))
        if not 3 <= per_page <= 200:
            return 400, b'[ERROR 400] "per_page" is out of valid range.'
        found = [number for number in range(self.photos) if number not in self.gone] if query.get("q") != "nothing" else []
        accessible = found[:ACCESSIBLE]
        if page > 1 and (page - 1) * per_page >= len(accessible):
            return 400, b'[ERROR 400] "page" is out of valid range.'
        return 200, self._page(accessible[(page - 1) * per_page : page * per_page], len(found))

    def _page(self, numbers: list[int], total: int | None = None) -> bytes:
        count = len(numbers) if total is None else total
        hits = [self._hit(number) for number in numbers]
        return json.dumps({"total": count, "totalHits": min(count, ACCESSIBLE), "hits": hits}).encode()

    def _hit(self, number: int) -> dict[str, Any]:
        address = self.url(f"/get/{self._epoch()}/{number}")
        return {
            "id": number,
            "pageURL": f"https://pixabay.com/photos/blossom-{number}/",
            "type": "photo",
            "tags": "blossom, bloom",
            "webformatURL": f"{address}_640.jpg",
            "largeImageURL": f"{address}_1280.jpg",
            "imageWidth": 4000,
            "user": f"user {number}",
            "user_id": 48777,
        }

    def _epoch(self) -> int:
        return int(self.clock() // 86400)

    def _picture(self, path: str) -> tuple[int, dict[str, str], bytes]:
        epoch, name = path.removeprefix("/get/").split("/")
        number = int(name.split("_")[0])
        if int(epoch) != self._epoch() or number in self.gone:
            return 400, {}, b"This URL is invalid or has expired."
        return 200, {}, self.files.get(f"/photo/{number}") or photo(number)


@contextmanager
def serve(web: Web) -> Iterator[Web]:
    """Serves a web on a free port of this machine."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                status, headers, body = web.answer(self.path)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Keeps the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def scene(seed: int, side: int = 64) -> Image.Image:
    """A picture that looks like no other: large blots of colour."""
    blots = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(blots).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo(seed: int, side: int = 64) -> bytes:
    """A JPEG file of a scene."""
    return encoded(scene(seed, side))


Tell = Callable[[str], None]
