"""Promise: the pen feels live, for one person and for a room full of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median

from tests.bench.bare import BareLoop, Model
from tests.bench.live_client import Drawing, draw_for
from tests.bench.process import ServerProcess
from tests.bench.row import Row

CLIENTS = 64
MIN_RESULTS_PER_SECOND = 20.0
MIN_FAIRNESS = 0.5
"""Served results of the least served client over those of the most served one; taking turns makes it nearly 1."""


def rows(model: Model, server: ServerProcess, *, quick: bool) -> Iterator[Row]:
    """Results a second of one client, and the shares of 64 of them."""
    seconds = 4.0 if quick else 15.0
    yield _one_client(model, server, seconds)
    yield _many_clients(model, server, seconds * 2)


def _one_client(model: Model, server: ServerProcess, seconds: float) -> Row:
    loop = BareLoop.fastest(model)
    loop.time_translations(3)
    before = loop.time_translations(20)
    (results,) = asyncio.run(_draw(model, server, 1, seconds))
    bare_per_second = 1000 / median(before + loop.time_translations(20))
    per_second = results / seconds
    return Row(
        f"{model.manifest.id}: live, one client",
        f"{per_second:.1f} results/s",
        f"{bare_per_second:.1f} images/s bare",
        per_second / bare_per_second,
        f">= {MIN_RESULTS_PER_SECOND:g} results/s",
        per_second >= MIN_RESULTS_PER_SECOND,
    )


def _many_clients(model: Model, server: ServerProcess, seconds: float) -> Row:
    results = asyncio.run(_draw(model, server, CLIENTS, seconds))
    least, most = min(results), max(results)
    fairness = least / most if most else 0.0
    return Row(
        f"{model.manifest.id}: live, {CLIENTS} clients",
        f"{least} results for the least served",
        f"{most} for the most served",
        fairness,
        f">= {MIN_FAIRNESS:g}",
        least > 0 and fairness >= MIN_FAIRNESS,
    )


async def _draw(model: Model, server: ServerProcess, clients: int, seconds: float) -> list[int]:
    url = f"ws://{server.host}:{server.port}/live/{model.manifest.id}"
    drawing = Drawing(model.manifest.inputs[0].name, model.drawing)
    start = asyncio.Event()
    drawers = [asyncio.create_task(draw_for(url, drawing, seconds, start)) for _ in range(clients)]
    await asyncio.sleep(0.5 + clients * 0.02)  # all sockets are open and greeted before the first frame
    start.set()
    return list(await asyncio.gather(*drawers))
