"""One thread that owns one session and serves its clients in turn. It knows no images and no network.

onnxruntime sessions are not to be run from several threads at once where graphs or devices are involved, so a session has
exactly one thread, and whoever wants a run waits here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from server.errors import ApiError, ModelFailedError, ShuttingDownError
from server.logs import request_id
from server.session import Array, Feeds, Session

log = logging.getLogger(__name__)

RETRY_SECONDS = 5

Prepare = Callable[[Session], Feeds]
"""Makes the graph's inputs for one image, with the help of the session where a style has to be encoded."""


@dataclass(frozen=True)
class Outcome:
    """A picture `(H, W, C)` uint8 and how long each stage took, milliseconds."""

    image: Array
    prepare_ms: float
    queue_ms: float
    infer_ms: float


@dataclass
class Times:
    """How long the parts of one picture took together, milliseconds."""

    parts: int = 0
    prepare_ms: float = 0.0
    queue_ms: float = 0.0
    infer_ms: float = 0.0

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Counts parts that waited together; those with the very same time of inference shared a run."""
        self.parts += len(outcomes)
        self.prepare_ms += sum(outcome.prepare_ms for outcome in outcomes)
        self.queue_ms += min(outcome.queue_ms for outcome in outcomes)
        self.infer_ms += sum({outcome.infer_ms for outcome in outcomes})


@dataclass(eq=False)
class Job:
    """One image to make.

    `prepare` runs in the worker's thread at the client's turn and not before, so that a live client's newest frame is taken.
    `request_id` is that of the task which makes the job; the worker's thread answers many and has none of its own.
    """

    client: str
    prepare: Prepare
    future: asyncio.Future[Outcome]
    loop: asyncio.AbstractEventLoop
    request_id: str = field(default_factory=request_id.get)
    queued_at: float = field(default_factory=time.perf_counter)
    started_at: float = 0.0
    prepared_at: float = 0.0


class FairQueue:
    """Jobs in turns: one of each waiting client, then the next of each. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, job: Job) -> None:
        """Adds a job behind its client's others; a new client comes last in the round."""
        self._waiting.setdefault(job.client, deque()).append(job)
        self._length += 1

    def take(self, limit: int) -> list[Job]:
        """Removes up to `limit` jobs, each from the client whose turn it is."""
        jobs: list[Job] = []
        while self._waiting and len(jobs) < limit:
            client, own = self._waiting.popitem(last=False)
            jobs.append(own.popleft())
            if own:
                self._waiting[client] = own
        self._length -= len(jobs)
        return jobs

    def remove(self, job: Job) -> bool:
        """Takes a waiting job out; False when it is not waiting any more."""
        own = self._waiting.get(job.client)
        if own is None or job not in own:
            return False
        own.remove(job)
        if not own:
            del self._waiting[job.client]
        self._length -= 1
        return True


class Worker:
    """Runs a session's jobs in one thread until it is stopped."""

    def __init__(self, name: str, session: Session, on_batch: Callable[[int], None] = lambda _: None) -> None:
        self.session = session
        self._queue = FairQueue()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._on_batch = on_batch
        self._thread = threading.Thread(target=self._work, name=f"inkwash-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def submit(self, job: Job) -> None:
        """Queues a job; its future gets the outcome in the job's event loop."""
        with self._changed:
            if self._is_stopping:
                raise ShuttingDownError("The model is being unloaded; try again.", retry_after=1)
            self._queue.push(job)
            self._changed.notify()

    def withdraw(self, job: Job) -> bool:
        """Takes back a job that has not begun; False when it has."""
        with self._changed:
            return self._queue.remove(job)

    def stop(self) -> None:
        """Refuses what still waits and lets the thread end after the run it is in."""
        with self._changed:
            self._is_stopping = True
            abandoned = self._queue.take(len(self._queue))
            self._changed.notify()
        for job in abandoned:
            _settle(job, ShuttingDownError("The server is stopping; try again in a moment.", retry_after=RETRY_SECONDS))

    def join(self, seconds: float) -> bool:
        """Waits for the thread to end; False when it has not."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while jobs := self._next():
            ready = [(job, feeds) for job in jobs if (feeds := _prepared(job, self.session)) is not None]
            for group in _alike(ready):
                self._run(group)

    def _next(self) -> list[Job]:
        """Waits for work; an empty list means the end."""
        with self._changed:
            while not self._queue and not self._is_stopping:
                self._changed.wait()
            return self._queue.take(self.session.batch_limit)

    def _run(self, group: list[tuple[Job, Feeds]]) -> None:
        started = time.perf_counter()
        try:
            images = self.session.run(_stacked([feeds for _, feeds in group]))
        except Exception as fault:  # whatever a runtime or driver raises, the thread lives on and the callers hear of it
            _tell_failure([job for job, _ in group], fault)
            return
        infer_ms = (time.perf_counter() - started) * 1000
        self._on_batch(len(group))
        for (job, _), image in zip(group, images, strict=True):
            prepare_ms = (job.prepared_at - job.started_at) * 1000
            queue_ms = (started - job.queued_at) * 1000 - prepare_ms
            _settle(job, Outcome(image, prepare_ms, queue_ms, infer_ms))


def _tell_failure(jobs: list[Job], fault: Exception) -> None:
    """One traceback, and a line for each request that was in the same run."""
    first = jobs[0].request_id
    log.error("a run of the graph failed", exc_info=fault, extra={"request_id": first})
    error = ModelFailedError("The model failed on this input; the server's log says why.", retry_after=RETRY_SECONDS)
    for job in jobs:
        if job.request_id != first:
            log.error("a run of the graph failed; request %s has the reason", first, extra={"request_id": job.request_id})
        _settle(job, error)


def _prepared(job: Job, session: Session) -> Feeds | None:
    """The job's feeds; None when it was cancelled, or is answered with the error it met."""
    if job.future.cancelled():
        return None
    job.started_at = time.perf_counter()
    try:
        feeds = job.prepare(session)
    except ApiError as error:
        _settle(job, error)
        return None
    except Exception as error:
        log.exception("preparing an input failed", extra={"request_id": job.request_id})
        _settle(job, error)
        return None
    job.prepared_at = time.perf_counter()
    return feeds


def _alike(ready: Iterable[tuple[Job, Feeds]]) -> list[list[tuple[Job, Feeds]]]:
    """Groups that can share a run: models of flexible size get pictures of several sizes."""
    groups: dict[tuple[tuple[int, ...], ...], list[tuple[Job, Feeds]]] = {}
    for job, feeds in ready:
        groups.setdefault(tuple(value.shape for value in feeds.values()), []).append((job, feeds))
    return list(groups.values())


def _stacked(batch: list[Feeds]) -> Feeds:
    if len(batch) == 1:
        return batch[0]
    return {name: np.concatenate([feeds[name] for feeds in batch]) for name in batch[0]}


def _settle(job: Job, result: Outcome | Exception) -> None:
    """Tells the waiting task, in its own loop; a loop that is closed has nobody waiting."""
    try:
        job.loop.call_soon_threadsafe(_resolve, job.future, result)
    except RuntimeError:
        log.debug("an answer came after its event loop was closed")


def _resolve(future: asyncio.Future[Outcome], result: Outcome | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
