"""Pointers read in their order, the next ones under way while one is looked at. It judges nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from training.builder.pointers import Pointer, Source


@dataclass(frozen=True)
class Reading:
    """A pointer whose bytes are there or on their way.

    Attributes:
        done: How many pointers were listed up to this one.
        read: Its bytes, or raises what reading them raised; to be called before the next reading is asked for.
    """

    done: int
    source: Source
    pointer: Pointer
    read: Callable[[], bytes]


def read_ahead(
    sources: Sequence[Source], is_settled: Callable[[str], bool], connections: int, ended: threading.Event
) -> Generator[Reading, None, None]:
    """Pointers that are not settled, each once, in the order of their sources.

    Args:
        connections: How many are read at a time.
        ended: Set when no more is wanted, so that whoever waits for a server waits no longer.
    """
    window: deque[Reading] = deque()
    pool = ThreadPoolExecutor(connections, thread_name_prefix="collect")
    try:
        for done, source, pointer in _unsettled(sources, is_settled):
            future: Future[bytes] = pool.submit(pointer.read)
            window.append(Reading(done, source, pointer, future.result))
            if len(window) > connections:
                yield window.popleft()
        while window:
            yield window.popleft()
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


def _unsettled(sources: Sequence[Source], is_settled: Callable[[str], bool]) -> Iterator[tuple[int, Source, Pointer]]:
    listed: set[str] = set()
    done = 0
    for source in sources:
        for pointer in source.pointers:
            done += 1
            if pointer.name not in listed and not is_settled(pointer.name):
                yield done, source, pointer
            listed.add(pointer.name)
