from __future__ import annotations

import asyncio

import numpy as np
import pytest

from server.errors import BadImageError, ModelFailedError, ShuttingDownError
from server.logs import request_id
from server.session import Feeds, Session
from server.worker import FairQueue, Job, Outcome, Worker
from tests.server.fake import FakeSession, numbered


def job(client: str, number: int = 0) -> Job:
    loop = asyncio.get_running_loop()
    return Job(client, lambda _: numbered(number), loop.create_future(), loop)


async def values(jobs: list[Job]) -> list[int]:
    return [int((await item.future).image[0]) for item in jobs]


async def test_clients_take_turns_whatever_they_sent_first() -> None:
    queue = FairQueue()
    jobs = [job(client) for client in ("a", "a", "a", "b", "c", "b")]
    for item in jobs:
        queue.push(item)
    taken = [queue.take(1)[0] for _ in range(6)]
    assert [item.client for item in taken] == ["a", "b", "c", "a", "b", "a"]
    assert len(queue) == 0
    assert queue.take(3) == []


async def test_a_client_that_comes_back_waits_for_the_round() -> None:
    queue = FairQueue()
    queue.push(job("a"))
    queue.push(job("b"))
    assert queue.take(1)[0].client == "a"
    queue.push(job("a"))
    assert [item.client for item in queue.take(2)] == ["b", "a"]


async def test_a_job_can_be_taken_out_once() -> None:
    queue = FairQueue()
    first, second = job("a"), job("a")
    queue.push(first)
    queue.push(second)
    assert queue.remove(first)
    assert not queue.remove(first)
    assert queue.take(5) == [second]
    assert not queue.remove(second)


async def test_jobs_that_wait_together_share_a_run() -> None:
    session = FakeSession(batch_limit=4)
    sizes: list[int] = []
    worker = Worker("m", session, sizes.append)
    jobs = [job(f"client {number}", number) for number in range(6)]
    worker.submit(jobs[0])
    session.wait_until_running()
    for item in jobs[1:]:
        worker.submit(item)
    session.open()
    assert await values(jobs) == [0, 1, 2, 3, 4, 5]
    assert sizes == [1, 4, 1]
    worker.stop()
    assert worker.join(5)


async def test_pictures_of_different_sizes_do_not_share_a_run() -> None:
    session = FakeSession(batch_limit=4)
    worker = Worker("m", session)
    loop = asyncio.get_running_loop()

    def wide(_: Session) -> Feeds:
        return {"x": np.full((1, 2), 7)}

    first, small = job("a", 1), job("b", 2)
    large = Job("c", wide, loop.create_future(), loop)
    worker.submit(first)
    session.wait_until_running()
    worker.submit(small)
    worker.submit(large)
    session.open()
    await asyncio.gather(first.future, small.future, large.future)
    assert session.runs == [[1], [2], [7]]
    worker.stop()


async def test_an_input_that_fails_hurts_nobody_else() -> None:
    session = FakeSession(batch_limit=4, is_open=True)
    worker = Worker("m", session)
    loop = asyncio.get_running_loop()

    def refuse(_: Session) -> Feeds:
        raise BadImageError("Not an image at all.")

    def crash(_: Session) -> Feeds:
        raise ZeroDivisionError

    refused, crashed, fine = (
        Job("a", refuse, loop.create_future(), loop),
        Job("b", crash, loop.create_future(), loop),
        job("c", 3),
    )
    for item in (refused, crashed, fine):
        worker.submit(item)
    assert await values([fine]) == [3]
    with pytest.raises(BadImageError):
        await refused.future
    with pytest.raises(ZeroDivisionError):
        await crashed.future
    worker.stop()


async def test_a_run_that_fails_is_told_and_the_worker_goes_on() -> None:
    session = FakeSession(is_open=True)
    session.error = RuntimeError("out of memory on the device")
    worker = Worker("m", session)
    failing = job("a")
    worker.submit(failing)
    with pytest.raises(ModelFailedError, match="the server's log says why"):
        await failing.future
    session.error = None
    fine = job("a", 4)
    worker.submit(fine)
    assert await values([fine]) == [4]
    worker.stop()


async def test_a_run_that_fails_is_logged_under_every_request_that_was_in_it(caplog: pytest.LogCaptureFixture) -> None:
    session = FakeSession(batch_limit=4)
    worker = Worker("m", session)
    jobs = []
    for name in ("first", "second", "third"):
        token = request_id.set(name)
        jobs.append(job(name))
        request_id.reset(token)
    worker.submit(jobs[0])
    session.wait_until_running()
    for item in jobs[1:]:
        worker.submit(item)
    session.error = RuntimeError("out of memory on the device")
    session.open()
    for item in jobs:
        with pytest.raises(ModelFailedError):
            await item.future
    worker.stop()
    told = [(record.request_id, bool(record.exc_info)) for record in caplog.records if "failed" in record.getMessage()]  # type: ignore[attr-defined]
    assert told == [("first", True), ("second", True), ("third", False)]


async def test_a_cancelled_job_is_never_run() -> None:
    session = FakeSession()
    worker = Worker("m", session)
    first, gone, last = job("a", 1), job("b", 2), job("c", 3)
    worker.submit(first)
    session.wait_until_running()
    worker.submit(gone)
    worker.submit(last)
    gone.future.cancel()
    session.open()
    await last.future
    assert session.runs == [[1], [3]]
    worker.stop()


async def test_stopping_refuses_what_waits_and_finishes_what_runs() -> None:
    session = FakeSession()
    worker = Worker("m", session)
    running, waiting = job("a", 1), job("a", 2)
    worker.submit(running)
    session.wait_until_running()
    worker.submit(waiting)
    worker.stop()
    session.open()
    with pytest.raises(ShuttingDownError):
        await waiting.future
    assert await values([running]) == [1]
    assert worker.join(5)
    with pytest.raises(ShuttingDownError):
        worker.submit(job("a"))


async def test_stage_times_add_up() -> None:
    session = FakeSession(is_open=True)
    worker = Worker("m", session)
    item = job("a")
    worker.submit(item)
    outcome: Outcome = await item.future
    assert min(outcome.prepare_ms, outcome.queue_ms, outcome.infer_ms) >= 0
    worker.stop()


def test_an_answer_after_the_loop_has_closed_is_dropped() -> None:
    session = FakeSession()
    worker = Worker("m", session)

    async def abandon() -> None:
        worker.submit(job("a"))

    asyncio.run(abandon())
    session.open()
    worker.stop()
    assert worker.join(5)
