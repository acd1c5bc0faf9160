"""A lean HTTP client with keep-alive: one prepared request over and over, so that the client costs next to nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

ANSWER_SECONDS = 60.0
"""An answer that takes longer counts as none at all."""


@dataclass(frozen=True)
class Answer:
    """Status, time from the first byte sent to the last byte read, and the headers by their names in lower case."""

    status: int
    seconds: float
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> str | None:
        """What a refusal asks to wait."""
        return self.headers.get("retry-after")

    @property
    def stages(self) -> dict[str, float]:
        """Milliseconds by stage, out of `Server-Timing`."""
        entries = (entry.split(";dur=") for entry in self.headers.get("server-timing", "").split(", ") if entry)
        return {stage: float(milliseconds) for stage, milliseconds in entries}


class Connection:
    """One kept-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def post(self, path: str, content_type: str, accept: str, body: bytes) -> Answer:
        """Sends one request and reads its answer.

        Raises:
            TimeoutError: No whole answer within `ANSWER_SECONDS`.
        """
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: {content_type}\r\n"
            f"Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        start = time.perf_counter()
        self._writer.write(head.encode() + body)
        async with asyncio.timeout(ANSWER_SECONDS):
            status, headers = await self._read_head()
            content = await self._reader.readexactly(int(headers["content-length"]))
        return Answer(status, time.perf_counter() - start, headers, content)

    async def _read_head(self) -> tuple[int, dict[str, str]]:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.strip().lower(): value.strip() for name, _, value in fields}
