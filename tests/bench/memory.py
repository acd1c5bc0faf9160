"""Promise: memory is bounded. What the server holds after many requests is what it held after fewer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bare import Model
from tests.bench.http_client import Connection
from tests.bench.process import ServerProcess
from tests.bench.row import Row, ratio_at_most

LIMIT = 1.05
CLIENTS = 4


def rows(model: Model, folder: Path, *, quick: bool) -> Iterator[Row]:
    """Resident memory after the first requests and after ten times as many (four times with `quick`)."""
    first, last = (250, 1000) if quick else (1000, 10_000)
    with ServerProcess(folder) as server:
        asyncio.run(_send(model, server, first))
        after_first = server.resident_mib
        asyncio.run(_send(model, server, last - first))
        after_last = server.resident_mib
    name = f"{model.manifest.id}: resident memory after {last} requests, beside after {first}"
    yield ratio_at_most(name, after_last, after_first, LIMIT, "MiB")


async def _send(model: Model, server: ServerProcess, count: int) -> None:
    await asyncio.gather(*(_client(model, server, count // CLIENTS) for _ in range(CLIENTS)))


async def _client(model: Model, server: ServerProcess, count: int) -> None:
    async with Connection(server.host, server.port) as connection:
        for _ in range(count):
            answer = await connection.post(f"/translate/{model.manifest.id}", "image/png", "image/jpeg", model.drawing)
            if answer.status != 200:
                raise RuntimeError(f"POST /translate/{model.manifest.id} answered {answer.status}: {answer.body.decode()}")
