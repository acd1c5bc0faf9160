"""The live socket: one slot a client, newest frame wins, clients take turns. Clients share nothing but the model.

Each socket has two tasks. The reader does nothing but receive and overwrite the slot, so that no stale frame waits in the
network's buffers. The answerer queues a turn while the slot is filled; the slot is emptied by the worker when the turn
comes, which is what makes the newest frame win; and it sends one answer before it asks for the next turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from server.engine import Engine
from server.errors import (
    ERRORS,
    ApiError,
    BadParameterError,
    BadRequestError,
    ShuttingDownError,
    TooManyConnectionsError,
    problem,
)
from server.frames import Frame, FrameError, build_frame, parse_frame
from server.imaging import MEDIA_TYPES, ImageLimits, Pixels, encode
from server.latents import SEED_LIMIT, Mix, checked_mix, joined_with_style
from server.logs import request_id
from server.manifest import STYLE_NAME, Manifest
from server.metrics import Metrics
from server.problems import internal_error
from server.session import Feeds, Session
from server.styles import LatentSource, Styles, picture_name
from server.translator import Prepared, checked_parameters, checked_whole, feeds, finish, prepare
from server.worker import RETRY_SECONDS, Outcome

log = logging.getLogger(__name__)

GOING_AWAY, UNSUPPORTED, POLICY, TOO_BIG, RESTART = 1001, 1003, 1008, 1009, 1012


@dataclass(frozen=True)
class LiveLimits:
    """Bounds: see the settings of the same names."""

    max_connections: int
    max_connections_per_address: int
    max_frame_bytes: int
    idle_timeout_seconds: float
    send_timeout_seconds: float
    image: ImageLimits


@dataclass(frozen=True)
class _Taken:
    """A frame whose turn has come."""

    frame: Frame
    seed: int
    mix: Mix | None
    prepared: Prepared
    superseded: int
    style_ms: float | None


class Mailbox:
    """One slot between the reader in the event loop and the worker's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._superseded = 0

    def put(self, frame: Frame) -> bool:
        """Overwrites the slot; True when an unstarted frame was lost by it."""
        with self._lock:
            replaced = self._frame is not None
            self._superseded += replaced
            self._frame = frame
            return replaced

    def take(self) -> tuple[Frame, int]:
        """Empties the slot; the second value counts frames lost since the last answer."""
        with self._lock:
            assert self._frame is not None  # a turn is asked for only while the slot is filled
            frame, self._frame = self._frame, None
            return frame, self._superseded

    def answered(self, superseded: int) -> None:
        """Counts anew after an answer that told `superseded`; more may have been lost since that frame was taken."""
        with self._lock:
            self._superseded -= superseded

    @property
    def is_filled(self) -> bool:
        return self._frame is not None


class LiveHub:
    """All open sockets of the app: counts them and ends them at shutdown."""

    def __init__(self, engine: Engine, metrics: Metrics, styles: Styles, limits: LiveLimits, device: str) -> None:
        self._engine = engine
        self._metrics = metrics
        self._styles = styles
        self._limits = limits
        self._device = device
        self._addresses: Counter[str] = Counter()
        self._opened = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Counts a socket while it is open.

        Raises:
            TooManyConnectionsError: in all or from this address. ShuttingDownError: as named.
        """
        if self._engine.is_draining:
            raise ShuttingDownError("The server is stopping; connect again in a moment.", retry_after=RETRY_SECONDS)
        limits = self._limits
        if self._addresses.total() >= limits.max_connections:
            raise TooManyConnectionsError(
                f"{limits.max_connections} sockets are open, the most there may be; try later.", retry_after=5
            )
        if self._addresses[address] >= limits.max_connections_per_address:
            most = limits.max_connections_per_address
            raise TooManyConnectionsError(
                f"Your address has {most} sockets open, the most one may have; close some.", retry_after=5
            )
        self._addresses[address] += 1
        try:
            yield
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def serve(self, socket: WebSocket, manifest: Manifest) -> None:
        """Talks with one client until either side ends it."""
        self._opened += 1
        reader = _FrameReader(manifest, self._styles, self._limits.image)
        connection = _Connection(socket, reader, f"live:{self._opened}", self._engine, self._metrics, self._limits)
        task = asyncio.create_task(connection.talk(self._device))  # of our own, so that `close` may cancel it
        self._tasks.add(task)
        gauge = self._metrics.live_connections.labels(manifest.id)
        gauge.inc()
        try:
            await task
        finally:
            task.cancel()
            gauge.dec()
            self._tasks.discard(task)

    async def close(self) -> None:
        """Tells every client that the server restarts, and waits until its socket is closed."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    """One socket."""

    def __init__(
        self, socket: WebSocket, reader: _FrameReader, client: str, engine: Engine, metrics: Metrics, limits: LiveLimits
    ) -> None:
        self._socket = socket
        self._reader = reader
        self._manifest = reader.manifest
        self._client = client
        self._engine = engine
        self._metrics = metrics
        self._limits = limits
        self._mailbox = Mailbox()
        self._filled = asyncio.Event()
        self._sending = asyncio.Lock()

    async def talk(self, device: str) -> None:
        ready = {
            "event": "ready",
            "model": self._manifest.id,
            "device": device,
            "max_frame_bytes": self._limits.max_frame_bytes,
        }
        code, reason = GOING_AWAY, ""
        try:
            await self._socket.send_json(ready)
            code, reason = await self._until_either_ends()
        except asyncio.CancelledError:
            code, reason = RESTART, "the server restarts"
        except (WebSocketDisconnect, TimeoutError):
            log.debug("a live client left or stopped reading")
        await self._close(code, reason)

    async def _until_either_ends(self) -> tuple[int, str]:
        """Runs both tasks. The reader ends with the conversation; the answerer only by an error of the socket."""
        reader, answerer = asyncio.create_task(self._read_frames()), asyncio.create_task(self._answer_frames())
        try:
            await asyncio.wait({reader, answerer}, return_when=asyncio.FIRST_COMPLETED)
            if answerer.done():
                answerer.result()
            return reader.result()
        finally:
            reader.cancel()
            answerer.cancel()
            await asyncio.gather(reader, answerer, return_exceptions=True)

    async def _read_frames(self) -> tuple[int, str]:
        """Fills the slot with whatever comes; returns why the socket is to be closed."""
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_timeout_seconds):
                    message = await self._socket.receive()
            except TimeoutError:
                return GOING_AWAY, "no frame for a while"
            if message["type"] == "websocket.disconnect":
                return GOING_AWAY, ""
            content = message.get("bytes")
            if content is None:
                await self._send_error(BadRequestError("A live frame is binary; docs/protocol.md shows its layout."))
                return UNSUPPORTED, "frames are binary"
            if len(content) > self._limits.max_frame_bytes:
                return TOO_BIG, f"a frame may have {self._limits.max_frame_bytes} bytes"
            if ending := await self._accept_frame(content):
                return ending

    async def _accept_frame(self, content: bytes) -> tuple[int, str] | None:
        """Puts a frame into the slot, or answers what is wrong with it; a frame that cannot be parsed ends the talk."""
        try:
            frame = parse_frame(content)
        except FrameError as error:
            await self._send_error(BadRequestError(str(error)))
            return POLICY, "the frame could not be parsed"
        except BadRequestError as error:
            await self._send_error(error, error.members.get("id"))
            return None
        self._count("received")
        if self._mailbox.put(frame):
            self._count("superseded")
        self._filled.set()
        return None

    async def _answer_frames(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._mailbox.is_filled:
                await self._answer_one()

    async def _answer_one(self) -> None:
        """Takes one turn. Whatever goes wrong is told with the id of the frame it went wrong with."""
        turn = _Turn(self._mailbox, self._reader)
        try:
            outcome = await self._engine.submit(self._manifest.id, self._client, turn.take)
            assert turn.taken is not None  # the worker ran `take` before the graph
            answer = await self._engine.offload(_build_answer, turn.taken, outcome)
        except ApiError as error:
            await self._drop(turn, error)
        except Exception as error:
            await self._drop(turn, internal_error(error))
        else:
            self._mailbox.answered(turn.taken.superseded)
            self._count("rendered")
            self._metrics.observe_stages(self._manifest.id, answer.timings)
            async with self._sending, asyncio.timeout(self._limits.send_timeout_seconds):
                await self._socket.send_bytes(answer.content)

    async def _drop(self, turn: _Turn, error: ApiError) -> None:
        """A frame that never got its turn is given up, or it would fail again at once and for ever."""
        if turn.frame is None and self._mailbox.is_filled:
            turn.frame = self._mailbox.take()[0]
        self._count("failed")
        await self._send_error(error, turn.frame.header.id if turn.frame else None)

    async def _send_error(self, error: ApiError, frame_id: object = None) -> None:
        self._metrics.rejected.labels(ERRORS[type(error)].code).inc()
        document = {"event": "error", "id": frame_id, **problem(error, request_id.get())}
        if error.retry_after is not None:
            document["retry_after"] = error.retry_after
        async with self._sending, asyncio.timeout(self._limits.send_timeout_seconds):
            await self._socket.send_json(document)

    def _count(self, outcome: str) -> None:
        self._metrics.live_frames.labels(self._manifest.id, outcome).inc()

    async def _close(self, code: int, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._socket.close(code, reason)


class _Turn:
    """What happens to the slot at a client's turn, in the worker's thread."""

    def __init__(self, mailbox: Mailbox, reader: _FrameReader) -> None:
        self._mailbox = mailbox
        self._reader = reader
        self.frame: Frame | None = None
        self.taken: _Taken | None = None

    def take(self, session: Session) -> Feeds:
        """Empties the slot and makes the graph's inputs from the newest frame."""
        self.frame, superseded = self._mailbox.take()
        self.taken, made = self._reader.read(self.frame, superseded, session)
        return made


@dataclass(frozen=True)
class _FrameReader:
    """What frames mean to the model of a socket."""

    manifest: Manifest
    styles: Styles
    limits: ImageLimits

    def read(self, frame: Frame, superseded: int, session: Session) -> tuple[_Taken, Feeds]:
        """A frame, checked, and the graph's inputs.

        Raises:
            ApiError: what is wrong with the frame.
        """
        manifest, header = self.manifest, frame.header
        if header.type not in MEDIA_TYPES:
            raise BadParameterError(f"'type' is '{header.type}'; it must be one of {', '.join(MEDIA_TYPES)}.", parameter="type")
        seed = secrets.randbelow(SEED_LIMIT) if header.seed is None else checked_whole("seed", header.seed, 0, SEED_LIMIT - 1)
        pictures = {picture_name(manifest, name): content for name, content in frame.pictures.items()}
        style = pictures.pop(STYLE_NAME, None)
        mix = joined_with_style(None if header.mix is None else checked_mix(manifest, header.mix), style is not None)
        prepared = prepare(manifest, pictures, checked_parameters(manifest, header.params), self.limits)
        opened = self.styles.open_wanted(manifest, style, mix, self.limits)
        source = LatentSource(manifest, seed, mix, opened, self.styles)
        made = feeds(manifest, prepared, source.latent(session))
        return _Taken(frame, seed, mix, prepared, superseded, source.style_ms if opened else None), made


@dataclass(frozen=True)
class _Answer:
    content: bytes
    timings: Mapping[str, float]


def _build_answer(taken: _Taken, outcome: Outcome) -> _Answer:
    started = time.perf_counter()
    picture: Pixels = finish(taken.prepared, outcome.image, "model")
    header = taken.frame.header
    encoded = encode(picture, header.type)
    timings = {
        "decode": round(outcome.prepare_ms, 2),
        "queue": round(outcome.queue_ms, 2),
        "infer": round(outcome.infer_ms, 2),
        "encode": round((time.perf_counter() - started) * 1000, 2),
    }
    if taken.style_ms is not None:
        timings["decode"] = round(outcome.prepare_ms - taken.style_ms, 2)
        timings["style"] = round(taken.style_ms, 2)
    answer = {
        "id": header.id,
        "seed": taken.seed,
        "mix": str(taken.mix) if taken.mix else None,
        "type": header.type,
        "width": picture.shape[1],
        "height": picture.shape[0],
        "superseded": taken.superseded,
        "palette_snapped": taken.prepared.palette_snapped,
        "timings": timings,
    }
    return _Answer(build_frame(answer, encoded), timings)
