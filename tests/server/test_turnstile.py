from __future__ import annotations

import asyncio

import pytest

from server.turnstile import Turnstile


class Visit:
    """Somebody inside, or waiting to be."""

    def __init__(self, turnstile: Turnstile, client: str, seconds: float = 10.0) -> None:
        self.is_inside = False
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._stay(turnstile, client, seconds))

    async def _stay(self, turnstile: Turnstile, client: str, seconds: float) -> None:
        async with turnstile.place(client, asyncio.get_running_loop().time() + seconds):
            self.is_inside = True
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_are_inside_than_there_are_places() -> None:
    turnstile = Turnstile(total=3, each=2)
    visits = [Visit(turnstile, client) for client in ("a", "a", "a", "b", "c", "d")]
    await settle()
    assert [visit.is_inside for visit in visits] == [True, True, False, True, False, False]
    await visits[0].leave()
    await settle()
    assert [visit.is_inside for visit in visits[2:]] == [False, True, True, False], "others of the crowd come after those"
    await asyncio.gather(*(visit.leave() for visit in visits[1:]))


async def test_who_waits_too_long_gives_up_and_holds_nothing() -> None:
    turnstile = Turnstile(total=1, each=1)
    inside = Visit(turnstile, "a")
    await settle()
    for client in ("a", "b"):
        with pytest.raises(TimeoutError):
            await Visit(turnstile, client, seconds=0.01).task
    await inside.leave()
    following = Visit(turnstile, "b")
    await settle()
    assert following.is_inside
    await following.leave()


async def test_who_goes_while_waiting_holds_nothing_and_is_forgotten() -> None:
    turnstile = Turnstile(total=1, each=1)
    inside, waiting = Visit(turnstile, "a"), Visit(turnstile, "b")
    await settle()
    waiting.task.cancel()
    await asyncio.gather(waiting.task, return_exceptions=True)
    await inside.leave()
    assert not turnstile._clients
    following = Visit(turnstile, "c")
    await settle()
    assert following.is_inside
    await following.leave()


async def test_an_error_inside_gives_the_place_back() -> None:
    turnstile = Turnstile(total=1, each=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with turnstile.place("a", asyncio.get_running_loop().time() + 1):
                raise ZeroDivisionError
