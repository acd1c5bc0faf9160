"""Promise: eight variations of one picture are there before one loses patience."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median

from server.manifest import LatentDistribution
from tests.bench.bare import THREADS, Model
from tests.bench.http_client import Connection
from tests.bench.process import ServerProcess
from tests.bench.row import Row, at_most

COUNT, LIMIT_MILLISECONDS = 8, 400.0


def rows(model: Model, server: ServerProcess, *, quick: bool) -> Iterator[Row]:
    """POST /translate with n=8, JPEG sheet back, for a model whose latent is a normal distribution: made for variety."""
    if model.manifest.latent is None or model.manifest.latent.distribution is not LatentDistribution.NORMAL:
        return
    milliseconds = median(asyncio.run(_ask(model, server, 5 if quick else 25)))
    name = model.manifest.id
    yield at_most(f"{name}: {COUNT} variations, p50, {THREADS} threads", milliseconds, LIMIT_MILLISECONDS, "ms")


async def _ask(model: Model, server: ServerProcess, times: int) -> list[float]:
    """Milliseconds of each answer after a first one, which also loads the model."""
    milliseconds = []
    async with Connection(server.host, server.port) as connection:
        for k in range(times + 1):
            path = f"/translate/{model.manifest.id}?n={COUNT}&seed={k}"
            answer = await connection.post(path, "image/png", "image/jpeg", model.drawing)
            if answer.status != 200:
                raise RuntimeError(f"POST {path} answered {answer.status}: {answer.body.decode()}")
            milliseconds.append(answer.seconds * 1000)
    return milliseconds[1:]
