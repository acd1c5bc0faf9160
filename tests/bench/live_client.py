"""A client of `/live`: sends a frame, waits for its answer, sends the next. The framing is docs/protocol.md's."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect


@dataclass(frozen=True)
class Drawing:
    """One picture and the input that it is meant for."""

    input_name: str
    content: bytes

    def frame(self, number: int) -> bytes:
        """The binary client frame number `number`."""
        inputs = [{"name": self.input_name, "bytes": len(self.content)}]
        header = json.dumps({"id": number, "inputs": inputs, "seed": 7, "params": {}, "type": "image/jpeg"}).encode()
        return len(header).to_bytes(4, "little") + header + self.content


async def draw_for(url: str, drawing: Drawing, seconds: float, start: asyncio.Event) -> int:
    """Draws for a while after `start` is set and returns how many results came back.

    Raises:
        RuntimeError: The server answered with an error.
    """
    async with connect(url, compression=None, max_size=None) as socket:
        await _expect_ready(socket)
        await start.wait()
        deadline = time.monotonic() + seconds
        results = 0
        while time.monotonic() < deadline:
            await socket.send(drawing.frame(results))
            await _expect_result(socket, results)
            results += 1
        return results


async def _expect_ready(socket: ClientConnection) -> None:
    message = json.loads(await socket.recv())
    if message.get("event") != "ready":
        raise RuntimeError(f"The server did not greet but said {message}.")


async def _expect_result(socket: ClientConnection, number: int) -> None:
    message = await socket.recv()
    if isinstance(message, str):
        raise RuntimeError(f"Frame {number} was answered with {message}")
    length = int.from_bytes(message[:4], "little")
    answered = json.loads(message[4 : 4 + length])["id"]
    if answered != number:
        raise RuntimeError(f"Frame {number} was answered with the result of frame {answered}.")
