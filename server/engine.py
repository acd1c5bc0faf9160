"""The asynchronous side of translation: which models are loaded, who may wait, and for how long.

It never blocks the event loop: graphs run in their worker's thread, files are decoded and encoded in a small pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, ParamSpec, TypeVar

from server.catalog import Catalog, Entry
from server.errors import DeadlinePassedError, ModelError, ModelFailedError, QueueFullError, ShuttingDownError
from server.metrics import Metrics
from server.session import Array, Session
from server.turnstile import Turnstile
from server.worker import RETRY_SECONDS, Job, Outcome, Prepare, Times, Worker

log = logging.getLogger(__name__)

CLIENT_SHARE = 0.75
"""Of the queue, that one client may fill; the rest keeps room for others."""

LARGE_PICTURES, LARGE_PICTURES_EACH = 4, 2
"""Pictures at their own size that are in memory at a time, in all and of one client: while one is coded, another is run."""

FAILURE_SECONDS = 30
"""A model that failed to load is tried again after so long, not at every request."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class EngineLimits:
    """Bounds: see the settings of the same names."""

    queue_size: int
    deadline_seconds: float
    max_loaded_models: int
    codec_threads: int


@dataclass(frozen=True)
class ModelState:
    """What people are told about a model."""

    status: Literal["ready", "idle", "failed"]
    reason: str | None = None


@dataclass(frozen=True)
class _Failure:
    reason: str
    until: float


@dataclass(eq=False)
class _Slot:
    """A model of the catalogue and, while it is loaded, its worker."""

    entry: Entry
    worker: Worker | None = None
    loading: asyncio.Task[None] | None = None
    failure: _Failure | None = None
    users: int = 0
    used_at: float = 0.0
    held: Counter[str] = field(default_factory=Counter)


class Engine:
    """Runs models for many clients. Make and use it in one event loop."""

    def __init__(self, catalog: Catalog, load: Callable[[Entry], Session], limits: EngineLimits, metrics: Metrics) -> None:
        self._slots = {entry.id: _Slot(entry) for entry in catalog}
        self._load_session = load
        self._limits = limits
        self._metrics = metrics
        self._codec = ThreadPoolExecutor(limits.codec_threads, thread_name_prefix="inkwash-codec")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="inkwash-load")
        self._load_turn = asyncio.Lock()
        self._became_idle = asyncio.Event()
        self._large = Turnstile(LARGE_PICTURES, LARGE_PICTURES_EACH)
        self._is_draining = False
        metrics.watch_queues(self.queue_depths)

    @property
    def is_draining(self) -> bool:
        return self._is_draining

    def state(self, model_id: str) -> ModelState:
        """Whether a model is loaded, would be loaded by its first request, or failed."""
        slot = self._slots[model_id]
        if slot.worker:
            return ModelState("ready")
        return ModelState("failed", slot.failure.reason) if slot.failure else ModelState("idle")

    def queue_depths(self) -> dict[str, int]:
        """How many images wait, by loaded model."""
        return {model_id: slot.worker.waiting for model_id, slot in self._slots.items() if slot.worker}

    async def preload(self) -> None:
        """Loads models in the catalogue's order until no more may stay loaded; a failure is logged and passed over."""
        for slot in self._slots.values():
            if self._loaded_count() >= self._limits.max_loaded_models:
                return
            with contextlib.suppress(ModelFailedError):
                await self._ensure_loaded(slot)

    @contextlib.contextmanager
    def admit(self, model_id: str, client: str) -> Iterator[None]:
        """Holds a place in the model's queue for a whole request, from before its body is read.

        Raises:
            QueueFullError: the model, or this client's share of it, is full.
            ShuttingDownError: no more work is taken.
        """
        self._check_room(model_id, client)
        held = self._slots[model_id].held
        held[client] += 1
        try:
            yield
        finally:
            held[client] -= 1
            if not held[client]:
                del held[client]

    def _check_room(self, model_id: str, client: str) -> None:
        self._refuse_when_draining()
        held, size = self._slots[model_id].held, self._limits.queue_size
        share = max(1, int(size * CLIENT_SHARE))
        if held.total() >= size:
            raise QueueFullError(f"{size} requests for '{model_id}' are under way, the most allowed; try again.", retry_after=1)
        if held[client] >= share:
            raise QueueFullError(f"{share} requests from your address are under way, the most one may have.", retry_after=1)

    def deadline(self) -> float:
        """When work that is asked for now is too late, in the event loop's time."""
        return asyncio.get_running_loop().time() + self._limits.deadline_seconds

    async def submit(self, model_id: str, client: str, prepare: Prepare, deadline: float | None = None) -> Outcome:
        """Makes one image at the client's turn.

        Args:
            model_id: A model of the catalogue.
            client: Whose turn it uses up.
            prepare: Makes the graph's inputs; called in the worker's thread, with its session, when the turn comes.
            deadline: Of several steps together; that of this one alone when absent.

        Raises:
            DeadlinePassedError: no turn came in time. ModelFailedError, ShuttingDownError: as named.
        """
        self._refuse_when_draining()
        deadline = self.deadline() if deadline is None else deadline
        async with self._loaded(self._slots[model_id], deadline) as worker:
            return await self._run(worker, Job(client, prepare, *_future()), deadline)

    async def submit_parts(self, model_id: str, client: str, parts: Iterable[Prepare], lay: Callable[[Array], None]) -> Times:
        """Makes the parts of one picture, each at a turn of the client's own, all before one deadline.

        Only as many parts as share a run wait at a time, so that others who come from the same address wait no longer for them.

        Args:
            model_id: A model of the catalogue.
            client: Whose turns are used up.
            parts: Each makes the graph's inputs, in the worker's thread when its turn comes.
            lay: Takes the parts' results, one after another and in order, in the pool.

        Raises:
            DeadlinePassedError: a part's turn did not come in time. ModelFailedError, ShuttingDownError: as named.
        """
        self._refuse_when_draining()
        deadline = self.deadline()
        times = Times()
        waiting = iter(parts)
        async with self._loaded(self._slots[model_id], deadline) as worker:
            while group := list(itertools.islice(waiting, worker.session.batch_limit)):
                jobs = [Job(client, prepare, *_future()) for prepare in group]
                try:
                    outcomes = await self._run_together(worker, jobs, deadline)
                except DeadlinePassedError:
                    raise self._unfinished(times) from None
                times.add(outcomes)
                for outcome in outcomes:
                    await self.offload(lay, outcome.image)
        return times

    def _unfinished(self, times: Times) -> DeadlinePassedError:
        return DeadlinePassedError(
            f"The picture was not finished within {self._limits.deadline_seconds:g} seconds, only {times.parts} of its tiles; "
            "send a smaller one, ask for size=model, or try again later."
        )

    async def _run_together(self, worker: Worker, jobs: list[Job], deadline: float) -> list[Outcome]:
        if len(jobs) == 1:
            return [await self._run(worker, jobs[0], deadline)]
        tasks = [asyncio.create_task(self._run(worker, job, deadline)) for job in jobs]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    @contextlib.asynccontextmanager
    async def place_for_large(self, client: str) -> AsyncIterator[None]:
        """Bounds memory: a picture that is kept at its own size while its parts wait is decoded and kept only inside.

        Raises:
            DeadlinePassedError: no place came free in time.
        """
        deadline = self.deadline()
        entered = False
        try:
            async with self._large.place(client, deadline):
                entered = True
                yield
        except TimeoutError:
            if entered:
                raise
            raise self._too_late("place for a large picture") from None

    async def offload(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function that computes for a while, such as a codec, in the pool."""
        bound = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._codec, bound)

    def drain(self) -> None:
        """Takes no more work; what is under way is finished."""
        self._is_draining = True

    async def close(self, grace_seconds: float) -> None:
        """Finishes what is under way, for at most so long, then refuses what still waits and ends all threads."""
        self.drain()
        give_up = time.monotonic() + grace_seconds
        while any(slot.users for slot in self._slots.values()) and time.monotonic() < give_up:
            await asyncio.sleep(0.02)
        for slot in self._slots.values():
            if slot.loading:
                slot.loading.cancel()
        workers = [slot.worker for slot in self._slots.values() if slot.worker]
        for worker in workers:
            worker.stop()
        await asyncio.gather(*(asyncio.to_thread(worker.join, 5.0) for worker in workers))
        self._codec.shutdown(wait=False, cancel_futures=True)
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _refuse_when_draining(self) -> None:
        if self._is_draining:
            raise ShuttingDownError("The server is stopping; try again in a moment.", retry_after=RETRY_SECONDS)

    async def _run(self, worker: Worker, job: Job, deadline: float) -> Outcome:
        worker.submit(job)
        timer = job.loop.call_at(deadline, self._expire, worker, job)
        try:
            return await job.future
        finally:
            timer.cancel()
            worker.withdraw(job)  # the task was cancelled: its client has gone

    def _expire(self, worker: Worker, job: Job) -> None:
        """Only what still waits can be late: a run that has begun takes milliseconds and is let finish."""
        if worker.withdraw(job) and not job.future.done():
            job.future.set_exception(self._too_late("turn"))

    def _too_late(self, what: str) -> DeadlinePassedError:
        seconds = self._limits.deadline_seconds
        return DeadlinePassedError(
            f"No {what.removeprefix('a ')} came within {seconds:g} seconds; the server is busy, try again later."
        )

    @contextlib.asynccontextmanager
    async def _loaded(self, slot: _Slot, deadline: float) -> AsyncIterator[Worker]:
        """Keeps the model in memory for the time of a job."""
        slot.users += 1
        try:
            if slot.worker is None:
                await self._wait_for_load(slot, deadline)
            assert slot.worker is not None  # a model with users is never unloaded
            yield slot.worker
        finally:
            slot.users -= 1
            slot.used_at = time.monotonic()
            if slot.users == 0:
                self._became_idle.set()

    async def _wait_for_load(self, slot: _Slot, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._ensure_loaded(slot)
        except TimeoutError:
            raise self._too_late(f"place for '{slot.entry.id}' in memory") from None

    async def _ensure_loaded(self, slot: _Slot) -> None:
        """Loads the model, once for all who ask at the same time; one of them giving up does not stop it."""
        if slot.failure and time.monotonic() < slot.failure.until:
            raise self._failed(slot, slot.failure)
        if slot.loading is None:
            slot.loading = asyncio.create_task(self._load(slot))
        loading = slot.loading
        try:
            await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():  # by `close`; otherwise it is the caller who was cancelled
                self._refuse_when_draining()
            raise
        if slot.failure:
            raise self._failed(slot, slot.failure)

    def _failed(self, slot: _Slot, failure: _Failure) -> ModelFailedError:
        wait = max(1, round(failure.until - time.monotonic()))
        return ModelFailedError(f"'{slot.entry.id}' could not be loaded: {failure.reason}", retry_after=wait)

    async def _load(self, slot: _Slot) -> None:
        """One load at a time: creating sessions side by side races in onnxruntime and doubles the peak of memory."""
        try:
            async with self._load_turn:
                await self._make_room()
                started = time.perf_counter()
                loop = asyncio.get_running_loop()
                session = await loop.run_in_executor(self._loader, self._load_session, slot.entry)
                self._install(slot, session, time.perf_counter() - started)
        except ModelError as error:
            self._note_failure(slot, str(error))
        except Exception as error:
            log.exception("loading '%s' failed", slot.entry.id)
            self._note_failure(slot, f"{type(error).__name__}: {error}")
        finally:
            slot.loading = None

    def _install(self, slot: _Slot, session: Session, seconds: float) -> None:
        observe = self._metrics.batch_size.labels(slot.entry.id).observe
        slot.worker = Worker(slot.entry.id, session, observe)
        slot.failure = None
        slot.used_at = time.monotonic()
        self._metrics.model_load_seconds.labels(slot.entry.id).observe(seconds)
        self._metrics.loaded_models.set(self._loaded_count())
        log.info("model '%s' is ready on %s after %.2f s", slot.entry.id, session.provider, seconds)

    def _note_failure(self, slot: _Slot, reason: str) -> None:
        slot.failure = _Failure(reason, time.monotonic() + FAILURE_SECONDS)
        log.error("model '%s' failed: %s", slot.entry.id, reason)

    def _loaded_count(self) -> int:
        return sum(slot.worker is not None for slot in self._slots.values())

    async def _make_room(self) -> None:
        """Unloads the model that was unused for longest; one in use is waited for, never interrupted."""
        while self._loaded_count() >= self._limits.max_loaded_models:
            idle = [slot for slot in self._slots.values() if slot.worker and slot.users == 0]
            if not idle:
                self._became_idle.clear()
                await self._became_idle.wait()
                continue
            oldest = min(idle, key=lambda slot: slot.used_at)
            worker, oldest.worker = oldest.worker, None
            if worker:
                worker.stop()
                log.info("model '%s' was unloaded to make room", oldest.entry.id)
        self._metrics.loaded_models.set(self._loaded_count())


def _future() -> tuple[asyncio.Future[Outcome], asyncio.AbstractEventLoop]:
    loop = asyncio.get_running_loop()
    return loop.create_future(), loop
