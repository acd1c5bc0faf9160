"""Promise: a 12-megapixel photo comes back coloured at 12 megapixels, quickly and in little memory."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from tests.bench.http_client import Answer, Connection
from tests.bench.process import ServerProcess
from tests.bench.row import Row, at_most
from tests.bench.tint import write_tint

WIDTH, HEIGHT = 4000, 3000
LIMIT_MILLISECONDS, LIMIT_MB = 1000.0, 500.0
SAMPLING_SECONDS = 0.002


def rows(*, quick: bool) -> Iterator[Row]:
    """POST of a JPEG to a model that only colours, JPEG back: time less the graph's own, and memory at its peak."""
    with tempfile.TemporaryDirectory() as folder:
        write_tint(Path(folder) / "tint")
        with ServerProcess(Path(folder)) as server:
            answers, extra_mb = asyncio.run(_send(server, make_photo(), 5 if quick else 15))
    stages = {stage: median(answer.stages[stage] for answer in answers) for stage in answers[0].stages}
    costs = median(answer.seconds * 1000 - answer.stages["infer"] for answer in answers)
    shares = f"decode {stages['decode']:.0f}, compose and encode {stages['encode']:.0f}"
    yield at_most(f"12-megapixel photo coloured: POST less inference, p50 ({shares})", costs, LIMIT_MILLISECONDS, "ms")
    yield at_most("12-megapixel photo coloured: memory at its peak, beside before", extra_mb, LIMIT_MB, "MB")


def make_photo() -> bytes:
    """A JPEG with soft shapes, edges and grain, as cameras make them."""
    generator = np.random.default_rng(0)
    shapes = Image.fromarray(generator.integers(0, 256, (94, 125, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT))
    grain = generator.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.int16)
    pixels = np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=90)
    return target.getvalue()


async def _send(server: ServerProcess, photo: bytes, count: int) -> tuple[list[Answer], float]:
    """Answers after a first one, which also loads the model and is not timed; memory of all beside that of a tiny photo."""
    async with Connection(server.host, server.port) as connection:
        await _post(connection, _tiny_photo())
        before = server.resident_mib
        watcher = asyncio.create_task(_peak_mib(server))
        answers = [await _post(connection, photo) for _ in range(count + 1)]
        watcher.cancel()
        peak = await watcher
    _check_size(answers[-1])
    return answers[1:], (peak - before) * 2**20 / 1e6


async def _post(connection: Connection, photo: bytes) -> Answer:
    answer = await connection.post("/translate/tint", "image/jpeg", "image/jpeg", photo)
    if answer.status != 200:
        raise RuntimeError(f"POST /translate/tint answered {answer.status}: {answer.body.decode()}")
    return answer


async def _peak_mib(server: ServerProcess) -> float:
    """The most that was resident, until it is cancelled."""
    peak = server.resident_mib
    try:
        while True:
            await asyncio.sleep(SAMPLING_SECONDS)
            peak = max(peak, server.resident_mib)
    except asyncio.CancelledError:
        return peak


def _check_size(answer: Answer) -> None:
    with Image.open(io.BytesIO(answer.body)) as picture:
        if picture.size != (WIDTH, HEIGHT):
            raise RuntimeError(f"The answer is {picture.size[0]} x {picture.size[1]} pixels and not {WIDTH} x {HEIGHT}.")


def _tiny_photo() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 150)).save(target, "JPEG")
    return target.getvalue()
