"""A session whose runs wait for permission, to make queues, deadlines and turns happen on purpose."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np

from server.session import Array, Feeds

WAIT_SECONDS = 10.0
"""Far longer than anything should take; only a failing test waits so long."""


class FakeSession:
    """Gives each run's first input back as its picture, once `allow` lets it."""

    provider = "FakeExecutionProvider"

    def __init__(self, batch_limit: int = 1, is_open: bool = False) -> None:
        self.batch_limit = batch_limit
        self.runs: list[list[Any]] = []
        self.began = threading.Semaphore(0)
        self._permits = threading.Semaphore(0)
        self._is_open = is_open
        self.error: Exception | None = None

    def run(self, feeds: Feeds) -> Array:
        values = next(iter(feeds.values()))
        self.runs.append([int(value) for value in values.reshape(len(values), -1)[:, 0]])
        self.began.release()
        if not self._is_open:
            assert self._permits.acquire(timeout=WAIT_SECONDS), "no test allowed this run"
        if self.error:
            raise self.error
        return np.asarray(values)

    def encode(self, styles: Array) -> Array:
        return styles.reshape(len(styles), -1)[:, :1].astype(np.float32)

    def allow(self, runs: int = 1) -> None:
        """Lets that many runs finish."""
        self._permits.release(runs)

    def open(self) -> None:
        """Lets every run finish from now on."""
        self._is_open = True
        self._permits.release(1000)

    def wait_until_running(self) -> None:
        """Returns when one more run has begun."""
        assert self.began.acquire(timeout=WAIT_SECONDS), "no run began"

    async def running(self) -> None:
        """`wait_until_running` for a test whose event loop still has to start the run."""
        await asyncio.to_thread(self.wait_until_running)


def numbered(number: int) -> Feeds:
    """Feeds whose only value is `number`, to tell runs apart."""
    return {"x": np.full((1, 1), number, np.int64)}
