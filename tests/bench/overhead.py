"""Promise: the service costs almost nothing on top of decoding, running and encoding."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median

from tests.bench.bare import BareLoop, Model
from tests.bench.http_client import Connection
from tests.bench.process import ServerProcess
from tests.bench.row import Row, ratio_at_most

LIMIT = 1.25
BLOCK = 10
"""Requests in a row on one side before the other side's turn, so that both meet the same machine."""


def rows(model: Model, server: ServerProcess, *, quick: bool) -> Iterator[Row]:
    """p50 of POST /translate, PNG in and JPEG out, beside the bare loop."""
    served, bare = asyncio.run(_alternate(model, server, blocks=4 if quick else 25))
    yield ratio_at_most(f"{model.manifest.id}: POST /translate, p50", median(served), median(bare), LIMIT, "ms")


async def _alternate(model: Model, server: ServerProcess, blocks: int) -> tuple[list[float], list[float]]:
    loop = BareLoop.fastest(model)
    loop.time_translations(5)
    served: list[float] = []
    bare: list[float] = []
    async with Connection(server.host, server.port) as connection:
        await _time_requests(connection, model, 5)
        for _ in range(blocks):
            served += await _time_requests(connection, model, BLOCK)
            bare += loop.time_translations(BLOCK)
    return served, bare


async def _time_requests(connection: Connection, model: Model, count: int) -> list[float]:
    milliseconds = []
    for _ in range(count):
        answer = await connection.post(f"/translate/{model.manifest.id}?seed=7", "image/png", "image/jpeg", model.drawing)
        if answer.status != 200:
            raise RuntimeError(f"POST /translate/{model.manifest.id} answered {answer.status}: {answer.body.decode()}")
        milliseconds.append(answer.seconds * 1000)
    return milliseconds
