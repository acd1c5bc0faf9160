"""One call of `POST /translate`, from its pictures to the model's: decoded, traced where that is asked for, run in its turns.

It knows no request and no answer; `routes.py` reads the one and shapes the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from server.engine import Engine
from server.errors import BadParameterError
from server.imaging import ImageLimits, Picture, Pixels, check_format_holds, count_pixels, sheet_size
from server.latents import seed_latent
from server.manifest import Manifest
from server.requests import TranslateCall
from server.service import Service
from server.session import Array, Feeds, Session
from server.styles import LatentSource, Style
from server.tiles import Mosaic
from server.tracing import Trace, prepare_trace, traced_lines
from server.translator import Prepared, check_present, check_tiles, feeds, finish, keeps_size, prepare, tile_feeds
from server.worker import Outcome

T = TypeVar("T")

LARGE_PIXELS = 2**20
"""A picture of more is in memory for few requests at a time; of fewer, all requests together take little more than bodies."""


@dataclass(frozen=True)
class _Traced:
    """The lines of a photo, and what happened on the way to them."""

    picture: Picture
    outcome: Outcome
    decode_ms: float


@dataclass(frozen=True)
class Translation:
    """A finished call: pictures in the order of their seeds, and what happened on the way."""

    call: TranslateCall
    prepared: Prepared
    outcomes: tuple[Outcome, ...]
    decode_ms: float
    traced: _Traced | None = None
    style_ms: float | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.call.seeds

    @property
    def mix(self) -> str | None:
        """What the latent was mixed of, as text that a request may say again; None where it is the seed's."""
        return str(self.call.mix) if self.call.mix else None

    def pictures(self) -> list[Pixels]:
        """What the caller gets, one picture a seed."""
        return [finish(self.prepared, outcome.image, self.call.size) for outcome in self.outcomes]

    def timings(self, encode_ms: float) -> dict[str, float]:
        """Milliseconds a stage. Variations wait side by side and run one after another."""
        timings = {
            "decode": self.decode_ms + sum(outcome.prepare_ms for outcome in self.outcomes),
            "queue": min(outcome.queue_ms for outcome in self.outcomes),
            "infer": sum(outcome.infer_ms for outcome in self.outcomes),
            "encode": encode_ms,
        }
        if self.traced:
            timings["decode"] += self.traced.decode_ms + self.traced.outcome.prepare_ms
            timings["queue"] += self.traced.outcome.queue_ms
            timings["trace"] = self.traced.outcome.infer_ms
        if self.style_ms is not None:  # it was encoded at the turn, as a part of what is prepared there
            timings["decode"] -= self.style_ms
            timings["style"] = self.style_ms
        return {stage: round(value, 2) for stage, value in timings.items()}

    @property
    def traced_by(self) -> str | None:
        """Id of the model that made lines of the photo."""
        return self.call.trace.tracer.id if self.call.trace else None


async def run_call(
    service: Service, manifest: Manifest, call: TranslateCall, client: str, held: contextlib.AsyncExitStack
) -> Translation:
    """Does the work of one call, all of it before one deadline; a wait for a large picture's place has one of its own.

    That place is given back with `held`, which is to be closed when nothing of the picture is needed any more.

    Raises:
        ApiError: why it cannot be done.
    """
    engine, deadline = service.engine, service.engine.deadline()
    traced = await _trace(service, manifest, call.trace, call, client, deadline) if call.trace else None
    pictures: Mapping[str, bytes | Picture] = call.pictures
    if traced:
        pictures = {**pictures, manifest.inputs[0].name: traced.picture}
    started = time.perf_counter()
    opened = await engine.offload(_prepare_unless_large, service, manifest, call, pictures)
    if opened is None:
        await held.enter_async_context(engine.place_for_large(client))
        started, deadline = time.perf_counter(), engine.deadline()
        opened = await engine.offload(_prepare, service, manifest, call, pictures)
    prepared, style = opened
    decode_ms = (time.perf_counter() - started) * 1000
    _check_answer_size(call, prepared.fit.original_width, prepared.fit.original_height, service.image_limits)
    seeds = call.seeds if manifest.latent else call.seeds[:1]  # without a latent every seed gives the same picture
    check_tiles(prepared, len(seeds), service.settings.max_tiled_pixels)
    latents = [LatentSource(manifest, seed, call.mix, style, service.styles) for seed in seeds]
    run = _run_tiles if prepared.grid else functools.partial(_run_whole, deadline=deadline)
    outcomes = await run(engine, manifest, prepared, latents, client)
    style_ms = sum(latent.style_ms for latent in latents) if style else None
    return Translation(call, prepared, outcomes * (len(call.seeds) // len(outcomes)), decode_ms, traced, style_ms)


def _prepare_unless_large(
    service: Service, manifest: Manifest, call: TranslateCall, pictures: Mapping[str, bytes | Picture]
) -> tuple[Prepared, Style | None] | None:
    """None for a picture that would be kept at a size at which only few may be in memory; that is told by its header."""
    content = pictures.get(manifest.inputs[0].name)
    if isinstance(content, bytes) and keeps_size(manifest, call.size) and count_pixels(content) > LARGE_PIXELS:
        return None
    return _prepare(service, manifest, call, pictures)


def _prepare(
    service: Service, manifest: Manifest, call: TranslateCall, pictures: Mapping[str, bytes | Picture]
) -> tuple[Prepared, Style | None]:
    """All pictures of a call, decoded and fitted; in the pool."""
    style = service.styles.open_wanted(manifest, call.style, call.mix, service.image_limits)
    return prepare(manifest, pictures, call.parameters, service.image_limits, call.size), style


async def _trace(
    service: Service, manifest: Manifest, trace: Trace, call: TranslateCall, client: str, deadline: float
) -> _Traced:
    """The main picture as lines. It has a place in the tracer's queue meanwhile, as if that had been asked for by itself."""
    engine, tracer, started = service.engine, trace.tracer, time.perf_counter()
    check_present(manifest, call.pictures)
    photo = call.pictures[manifest.inputs[0].name]
    with engine.admit(tracer.id, client):
        given = await engine.offload(prepare_trace, trace, manifest, photo, service.image_limits)
        _check_answer_size(call, given.width, given.height, service.image_limits)
        decode_ms = (time.perf_counter() - started) * 1000
        latent = seed_latent(tracer, call.seeds[0])
        outcome = await engine.submit(tracer.id, client, lambda _: feeds(tracer, given.prepared, latent), deadline)
        started = time.perf_counter()
        picture = await engine.offload(traced_lines, trace, given, outcome.image)
    return _Traced(picture, outcome, decode_ms + (time.perf_counter() - started) * 1000)


async def _run_whole(
    engine: Engine, manifest: Manifest, prepared: Prepared, latents: Sequence[LatentSource], client: str, deadline: float
) -> tuple[Outcome, ...]:
    make = functools.partial(feeds, manifest, prepared)
    jobs = [engine.submit(manifest.id, client, functools.partial(_feeds, make, latent), deadline) for latent in latents]
    return tuple([await jobs[0]] if len(jobs) == 1 else await _together(jobs))


def _feeds(make: Callable[[Array | None], Feeds], source: LatentSource, session: Session) -> Feeds:
    return make(source.latent(session))


async def _run_tiles(
    engine: Engine, manifest: Manifest, prepared: Prepared, latents: Sequence[LatentSource], client: str
) -> tuple[Outcome, ...]:
    """One picture after another, all before one deadline; the time that all took is told in equal shares."""
    assert prepared.grid is not None
    mosaics = [Mosaic(prepared.grid) for _ in latents]
    places = itertools.chain.from_iterable(itertools.repeat(mosaic, len(prepared.grid)) for mosaic in mosaics)
    parts = (functools.partial(_feeds, tile, latent) for latent in latents for tile in tile_feeds(manifest, prepared))
    times = await engine.submit_parts(manifest.id, client, parts, lambda tile: next(places).lay(tile))
    share = len(latents)
    return tuple(
        Outcome(mosaic.picture, times.prepare_ms / share, times.queue_ms, times.infer_ms / share) for mosaic in mosaics
    )


def _check_answer_size(call: TranslateCall, width: int, height: int, limits: ImageLimits) -> None:
    """Before the work: variations at the size that was sent are bounded together like one picture that is taken in."""
    if call.size != "original":
        return
    count = len(call.seeds)
    most = max(1, limits.max_pixels // (width * height))
    if count > most:
        raise BadParameterError(
            f"'n' is {count}, and {count} pictures of {width} x {height} pixels are more than the {limits.max_pixels} pixels "
            f"that one answer may have; ask for at most {most} or for size=model.",
            parameter="n",
            range=[1, most],
        )
    check_format_holds(*sheet_size(count, width, height), call.media_type)


async def _together(jobs: list[Coroutine[Any, Any, T]]) -> list[T]:
    """All or none: when one fails, the others are withdrawn and its own error is told."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
