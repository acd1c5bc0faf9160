"""Lets only few in at a time, and of each client fewer still. It knows nothing of what is done inside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(eq=False)
class _Client:
    places: asyncio.Semaphore
    users: int = 0


class Turnstile:
    """`total` places, `each` of them for one client. A client waits for its own first, so that its crowd holds up nobody."""

    def __init__(self, total: int, each: int) -> None:
        self._places = asyncio.Semaphore(total)
        self._each = each
        self._clients: dict[str, _Client] = {}

    @contextlib.asynccontextmanager
    async def place(self, name: str, deadline: float) -> AsyncIterator[None]:
        """Holds a place.

        Args:
            name: Of the client.
            deadline: In the event loop's time.

        Raises:
            TimeoutError: none came free before the deadline.
        """
        client = self._clients.setdefault(name, _Client(asyncio.Semaphore(self._each)))
        client.users += 1
        try:
            async with contextlib.AsyncExitStack() as held:
                async with asyncio.timeout_at(deadline):
                    await held.enter_async_context(client.places)
                    await held.enter_async_context(self._places)
                yield
        finally:
            client.users -= 1
            if not client.users:
                del self._clients[name]
