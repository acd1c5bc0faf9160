"""Promise: it holds load. Throughput stays, waiting is bounded, excess is refused at once and nobody is left hanging."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench.bare import BareLoop, Model
from tests.bench.http_client import Connection
from tests.bench.process import ServerProcess
from tests.bench.row import Row, percentile, ratio_at_least, ratio_at_most

CLIENTS = 32
CROWD = 128
"""More than the queue holds."""
MIN_THROUGHPUT = 0.9
MAX_WAIT = 1.5
"""p99 over the time of a full round of all clients: 1 is a perfect queue; the rest is for noise and unequal rounds."""
REFUSALS = (429, 503)
REFUSED_PAUSE_SECONDS = 0.05


@dataclass
class Tally:
    """What a crowd of clients met."""

    seconds: float = 0.0
    served: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0
    unanswered: int = 0

    @property
    def per_second(self) -> float:
        return len(self.served) / self.seconds


def rows(model: Model, server: ServerProcess, *, quick: bool) -> Iterator[Row]:
    """Throughput and p99 at 32 clients beside the bare loop, before and after; then a crowd that the queue cannot hold."""
    seconds = 4.0 if quick else 20.0
    name = model.manifest.id
    loop = BareLoop.fastest(model)
    before = _bare_milliseconds(loop, seconds / 2)
    tally = asyncio.run(_load(model, server, CLIENTS, seconds))
    bare = before + _bare_milliseconds(loop, seconds / 2)
    mean = sum(bare) / len(bare)
    yield ratio_at_least(f"{name}: throughput, {CLIENTS} clients", tally.per_second, 1000 / mean, MIN_THROUGHPUT, "images/s")
    p99 = percentile(tally.served, 0.99) * 1000
    yield ratio_at_most(
        f"{name}: p99, {CLIENTS} clients, beside {CLIENTS} bare translations", p99, CLIENTS * mean, MAX_WAIT, "ms"
    )
    yield _crowd_row(name, asyncio.run(_load(model, server, CROWD, seconds)))


def _crowd_row(name: str, tally: Tally) -> Row:
    refused = sum(tally.statuses[status] for status in REFUSALS)
    other = sum(tally.statuses.values()) - refused - tally.statuses[200]
    met = f"{tally.statuses[200]} served, {refused} refused, {other} other errors, {tally.unanswered} unanswered"
    is_kept = refused > 0 and not other and not tally.unanswered and not tally.without_retry_after
    return Row(f"{name}: {CROWD} clients", met, "429 or 503 with Retry-After", None, "none else", is_kept)


def _bare_milliseconds(loop: BareLoop, seconds: float) -> list[float]:
    loop.time_translations(3)
    deadline = time.monotonic() + seconds
    milliseconds: list[float] = []
    while time.monotonic() < deadline:
        milliseconds += loop.time_translations(1)
    return milliseconds


async def _load(model: Model, server: ServerProcess, clients: int, seconds: float) -> Tally:
    tally = Tally()
    start = time.monotonic()
    await asyncio.gather(*(_client(model, server, start + seconds, tally) for _ in range(clients)))
    tally.seconds = time.monotonic() - start
    return tally


async def _client(model: Model, server: ServerProcess, deadline: float, tally: Tally) -> None:
    async with Connection(server.host, server.port) as connection:
        while time.monotonic() < deadline:
            try:
                answer = await connection.post(
                    f"/translate/{model.manifest.id}?seed=7", "image/png", "image/jpeg", model.drawing
                )
            except TimeoutError:
                tally.unanswered += 1
                return
            tally.statuses[answer.status] += 1
            if answer.status == 200:
                tally.served.append(answer.seconds)
            else:
                tally.without_retry_after += answer.status in REFUSALS and answer.retry_after is None
                await asyncio.sleep(REFUSED_PAUSE_SECONDS)
