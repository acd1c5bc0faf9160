"""Reading ahead: in order whatever comes first, few at a time, nothing left waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from training.builder.pointers import Pointer, Source, UnreachableError
from training.builder.reading import read_ahead

WAIT_SECONDS = 10.0


def _source(*reads: Callable[[], bytes]) -> Source:
    return Source("source", [Pointer(str(k), read) for k, read in enumerate(reads)], len(reads))


def _settled(*names: str) -> Callable[[str], bool]:
    return frozenset(names).__contains__


def test_order_is_that_of_the_source_whatever_comes_first() -> None:
    second_is_there = threading.Event()

    def first() -> bytes:
        assert second_is_there.wait(WAIT_SECONDS)
        return b"first"

    def second() -> bytes:
        second_is_there.set()
        return b"second"

    readings = read_ahead([_source(first, second)], _settled(), 2, threading.Event())
    assert [reading.read() for reading in readings] == [b"first", b"second"]


def test_settled_pointers_are_not_read_but_counted() -> None:
    def fail() -> bytes:
        raise AssertionError("read in vain")

    readings = list(read_ahead([_source(fail, bytes), _source(fail, bytes, bytes)], _settled("0"), 2, threading.Event()))
    assert [(reading.pointer.name, reading.done) for reading in readings] == [("1", 2), ("2", 5)]


def test_no_more_is_read_than_a_few_ahead() -> None:
    read: list[int] = []
    reads = [lambda k=k: bytes(read.append(k) or 1) for k in range(100)]
    readings = read_ahead([_source(*reads)], _settled(), 3, threading.Event())
    next(readings)
    readings.close()
    assert len(read) <= 4


def test_what_reading_raised_is_raised_when_its_turn_comes() -> None:
    def fail() -> bytes:
        raise UnreachableError("no network")

    readings = read_ahead([_source(bytes, fail)], _settled(), 2, threading.Event())
    assert next(readings).read() == b""
    second = next(readings)
    with pytest.raises(UnreachableError, match="no network"):
        second.read()


def test_whoever_waits_is_told_when_no_more_is_wanted() -> None:
    ended, waits = threading.Event(), threading.Event()
    woken: list[bool] = []

    def wait() -> bytes:
        waits.set()
        woken.append(ended.wait(WAIT_SECONDS))
        return b""

    readings = read_ahead([_source(bytes, wait)], _settled(), 1, ended)
    next(readings)
    assert waits.wait(WAIT_SECONDS)
    readings.close()
    assert woken == [True]
