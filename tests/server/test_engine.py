from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server import engine as engine_module
from server.catalog import Catalog, Entry, read_catalog
from server.engine import Engine, EngineLimits
from server.errors import DeadlinePassedError, ModelError, ModelFailedError, QueueFullError, ShuttingDownError
from server.metrics import Metrics
from server.session import Session
from tests.server.fake import FakeSession, numbered


@pytest.fixture(scope="module")
def catalog(models_dir: Path) -> Catalog:
    return read_catalog([models_dir])


class Loader:
    """Makes fake sessions and remembers for which models."""

    def __init__(self, is_open: bool = True) -> None:
        self.loaded: list[str] = []
        self.sessions: dict[str, FakeSession] = {}
        self.faults: dict[str, Exception] = {}
        self.gate = threading.Event()
        self.gate.set()
        self._is_open = is_open

    def __call__(self, entry: Entry) -> Session:
        assert self.gate.wait(10)
        self.loaded.append(entry.id)
        if entry.id in self.faults:
            raise self.faults[entry.id]
        session = self.sessions[entry.id] = FakeSession(is_open=self._is_open)
        return session


@asynccontextmanager
async def running(catalog: Catalog, loader: Loader, **changes: float) -> AsyncIterator[Engine]:
    limits = {"queue_size": 8, "deadline_seconds": 10.0, "max_loaded_models": 2, "codec_threads": 1} | changes
    engine = Engine(catalog, loader, EngineLimits(**limits), Metrics())  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        for session in loader.sessions.values():
            session.open()
        loader.gate.set()
        await engine.close(5)


async def until(condition: Callable[[], bool]) -> None:
    """Lets other tasks run until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_model_is_loaded_by_its_first_request(catalog: Catalog) -> None:
    loader = Loader()
    async with running(catalog, loader) as engine:
        assert engine.state("copy").status == "idle"
        outcome = await engine.submit("copy", "me", lambda _: numbered(3))
        assert outcome.image.tolist() == [3]
        assert engine.state("copy").status == "ready"


async def test_requests_that_come_together_load_once(catalog: Catalog) -> None:
    loader = Loader()
    loader.gate.clear()
    async with running(catalog, loader) as engine:
        tasks = [asyncio.create_task(engine.submit("copy", "me", lambda _: numbered(1))) for _ in range(5)]
        await asyncio.sleep(0.01)
        loader.gate.set()
        await asyncio.gather(*tasks)
        assert loader.loaded == ["copy"]


async def test_the_model_unused_for_longest_gives_way(catalog: Catalog) -> None:
    loader = Loader()
    async with running(catalog, loader) as engine:
        for model in ("copy", "photo", "copy", "noise"):
            await engine.submit(model, "me", lambda _: numbered(1))
        assert [engine.state(model).status for model in ("copy", "photo", "noise")] == ["ready", "idle", "ready"]
        await engine.submit("photo", "me", lambda _: numbered(1))
        assert loader.loaded == ["copy", "photo", "noise", "photo"]
        assert engine.state("copy").status == "idle"


async def test_a_model_in_use_is_never_unloaded(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader, max_loaded_models=1) as engine:
        busy = asyncio.create_task(engine.submit("copy", "me", lambda _: numbered(1)))
        await until(lambda: "copy" in loader.sessions)
        waiting = asyncio.create_task(engine.submit("photo", "me", lambda _: numbered(2)))
        await asyncio.sleep(0.05)
        assert loader.loaded == ["copy"]
        loader.sessions["copy"].open()
        assert (await busy).image.tolist() == [1]
        await until(lambda: "photo" in loader.sessions)
        loader.sessions["photo"].open()
        assert (await waiting).image.tolist() == [2]
        assert engine.state("copy").status == "idle"


async def test_waiting_for_a_place_in_memory_ends_at_the_deadline(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader, max_loaded_models=1, deadline_seconds=0.5) as engine:
        await engine.preload()
        busy = asyncio.create_task(engine.submit("copy", "me", lambda _: numbered(1)))
        await until(lambda: "copy" in loader.sessions)
        await loader.sessions["copy"].running()
        with pytest.raises(DeadlinePassedError, match=r"No place for 'photo' in memory came within 0\.5 seconds"):
            await engine.submit("photo", "me", lambda _: numbered(2))
        loader.sessions["copy"].open()
        await busy


async def test_a_load_that_fails_is_told_and_not_repeated_at_once(catalog: Catalog) -> None:
    loader = Loader()
    loader.faults["copy"] = ModelError("its weights are missing.")
    async with running(catalog, loader) as engine:
        for _ in range(3):
            with pytest.raises(ModelFailedError, match="'copy' could not be loaded: its weights are missing") as caught:
                await engine.submit("copy", "me", lambda _: numbered(1))
            assert 1 <= (caught.value.retry_after or 0) <= engine_module.FAILURE_SECONDS
        assert loader.loaded == ["copy"]
        assert engine.state("copy") == engine_module.ModelState("failed", "its weights are missing.")


async def test_a_load_that_failed_is_tried_again_later(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "FAILURE_SECONDS", 0)
    loader = Loader()
    loader.faults["copy"] = OSError("the disk is away")
    async with running(catalog, loader) as engine:
        with pytest.raises(ModelFailedError, match="OSError: the disk is away"):
            await engine.submit("copy", "me", lambda _: numbered(1))
        loader.faults.clear()
        await engine.submit("copy", "me", lambda _: numbered(1))
        assert engine.state("copy").status == "ready"


async def test_preloading_stops_at_the_bound_and_passes_over_failures(catalog: Catalog) -> None:
    loader = Loader()
    loader.faults["copy"] = ModelError("broken.")
    async with running(catalog, loader) as engine:
        await engine.preload()
        assert engine.state("copy").status == "failed"
        assert sum(engine.state(entry.id).status == "ready" for entry in catalog) == 2


async def test_clients_take_turns(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader) as engine:
        plan = [("greedy", number) for number in range(4)] + [("modest", 100)]
        tasks = [asyncio.create_task(engine.submit("copy", who, lambda _, n=n: numbered(n))) for who, n in plan]
        await until(lambda: engine.queue_depths().get("copy") == 4)
        loader.sessions["copy"].open()
        await asyncio.gather(*tasks)
        assert loader.sessions["copy"].runs.index([100]) <= 2, "one turn of the greedy client at most comes before it"


async def test_waiting_for_a_turn_ends_at_the_deadline_while_the_worker_is_busy(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader, max_loaded_models=1, deadline_seconds=0.5) as engine:
        await engine.preload()
        first = asyncio.create_task(engine.submit("copy", "a", lambda _: numbered(1)))
        await until(lambda: "copy" in loader.sessions)
        await loader.sessions["copy"].running()
        with pytest.raises(DeadlinePassedError, match=r"No turn came within 0\.5 seconds"):
            await engine.submit("copy", "b", lambda _: numbered(2))
        loader.sessions["copy"].open()
        assert (await first).image.tolist() == [1], "a run that has begun is not late"
        assert loader.sessions["copy"].runs == [[1]]


async def test_a_caller_who_leaves_is_taken_out_of_the_queue(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader) as engine:
        first = asyncio.create_task(engine.submit("copy", "a", lambda _: numbered(1)))
        await until(lambda: "copy" in loader.sessions)
        await loader.sessions["copy"].running()
        second = asyncio.create_task(engine.submit("copy", "b", lambda _: numbered(2)))
        await until(lambda: engine.queue_depths()["copy"] == 1)
        second.cancel()
        await until(lambda: engine.queue_depths()["copy"] == 0)
        loader.sessions["copy"].open()
        await first
        assert loader.sessions["copy"].runs == [[1]]


async def test_a_full_queue_refuses_and_one_client_cannot_fill_it(catalog: Catalog) -> None:
    async with running(catalog, Loader(), queue_size=4) as engine:
        places = [engine.admit("copy", "greedy") for _ in range(3)]
        for place in places:
            place.__enter__()
        with pytest.raises(QueueFullError, match="3 requests from your address"), engine.admit("copy", "greedy"):
            pass
        with engine.admit("copy", "modest"), pytest.raises(QueueFullError, match="4 requests for 'copy'"):
            engine.admit("copy", "third").__enter__()
        with engine.admit("photo", "greedy"):
            pass
        for place in places:
            place.__exit__(None, None, None)
        with engine.admit("copy", "greedy"):
            pass


async def test_a_queue_of_one_admits_one(catalog: Catalog) -> None:
    async with running(catalog, Loader(), queue_size=1) as engine:
        with engine.admit("copy", "a"), pytest.raises(QueueFullError):
            engine.admit("copy", "b").__enter__()


async def test_draining_finishes_what_is_under_way_and_takes_no_more(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader) as engine:
        first = asyncio.create_task(engine.submit("copy", "a", lambda _: numbered(1)))
        await until(lambda: "copy" in loader.sessions)
        await loader.sessions["copy"].running()
        engine.drain()
        with pytest.raises(ShuttingDownError):
            await engine.submit("copy", "a", lambda _: numbered(2))
        closing = asyncio.create_task(engine.close(5))
        await asyncio.sleep(0.05)
        assert not closing.done()
        loader.sessions["copy"].open()
        assert (await first).image.tolist() == [1]
        await closing


async def test_what_outlasts_the_grace_is_refused(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader) as engine:
        running_one = asyncio.create_task(engine.submit("copy", "a", lambda _: numbered(1)))
        await until(lambda: "copy" in loader.sessions)
        await loader.sessions["copy"].running()
        waiting = asyncio.create_task(engine.submit("copy", "a", lambda _: numbered(2)))
        await until(lambda: engine.queue_depths()["copy"] == 1)
        closing = asyncio.create_task(engine.close(0.05))
        with pytest.raises(ShuttingDownError):
            await waiting
        loader.sessions["copy"].open()
        await running_one
        await closing


async def test_closing_while_a_load_waits_for_room_does_not_hang(catalog: Catalog) -> None:
    loader = Loader(is_open=False)
    async with running(catalog, loader, max_loaded_models=1) as engine:
        busy = asyncio.create_task(engine.submit("copy", "a", lambda _: numbered(1)))
        await until(lambda: "copy" in loader.sessions)
        blocked = asyncio.create_task(engine.submit("photo", "a", lambda _: numbered(1)))
        await asyncio.sleep(0.02)
        closing = asyncio.create_task(engine.close(0.05))
        await asyncio.sleep(0.1)
        loader.sessions["copy"].open()
        assert (await busy).image.tolist() == [1]
        with pytest.raises(ShuttingDownError):
            await blocked
        await closing


async def test_computing_runs_off_the_event_loop(catalog: Catalog) -> None:
    async with running(catalog, Loader()) as engine:
        assert await engine.offload(threading.get_ident) != threading.get_ident()
        assert await engine.offload(int, "12", base=8) == 10
