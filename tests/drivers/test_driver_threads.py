"""The one pool that blocking drivers share: bounded, and nobody waits beyond a deadline."""

import asyncio
import threading

import pytest

from controller.model.errors import BusyError
from drivers.threads import DeadlineError, DriverThreads
from tests.patience import PATIENCE_SECONDS, SHORT_DEADLINE_SECONDS


@pytest.fixture
async def pool():
    pool = DriverThreads(2)
    yield pool
    pool.close()


class Work:
    """A job that runs until it is aborted."""

    def __init__(self):
        self.begun = threading.Event()
        self.ended = threading.Event()

    def job(self):
        self.begun.set()
        assert self.ended.wait(PATIENCE_SECONDS)
        return "aborted"

    def abort(self):
        self.ended.set()


async def begun(work):
    assert await asyncio.to_thread(work.begun.wait, PATIENCE_SECONDS)


async def test_a_job_gives_its_result_or_its_error(pool):
    assert await pool.run(lambda: 42, deadline_seconds=PATIENCE_SECONDS, abort=lambda: None) == 42

    def fail():
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        await pool.run(fail, deadline_seconds=PATIENCE_SECONDS, abort=lambda: None)


async def test_a_job_beyond_its_deadline_is_aborted_and_its_thread_is_free_again(pool):
    works = [Work(), Work()]
    for work in works:
        with pytest.raises(DeadlineError):
            await pool.run(work.job, deadline_seconds=SHORT_DEADLINE_SECONDS, abort=work.abort)
        assert work.ended.is_set()
    assert await pool.run(lambda: "free", deadline_seconds=PATIENCE_SECONDS, abort=lambda: None) == "free"


async def test_a_cancelled_caller_aborts_its_job(pool):
    work = Work()
    call = asyncio.create_task(pool.run(work.job, deadline_seconds=PATIENCE_SECONDS, abort=work.abort))
    await begun(work)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert work.ended.is_set()


async def test_when_all_threads_are_taken_a_job_that_never_began_says_busy(pool):
    works = [Work(), Work()]
    calls = [asyncio.create_task(pool.run(w.job, deadline_seconds=PATIENCE_SECONDS, abort=w.abort)) for w in works]
    for work in works:
        await begun(work)
    ran = threading.Event()
    with pytest.raises(BusyError):
        await pool.run(ran.set, deadline_seconds=0.05, abort=lambda: None)
    for work in works:
        work.abort()
    assert await asyncio.gather(*calls) == ["aborted", "aborted"]
    assert await pool.run(lambda: "next", deadline_seconds=PATIENCE_SECONDS, abort=lambda: None) == "next"
    assert not ran.is_set()


async def test_streams_never_take_more_than_half(pool):
    work = Work()
    stream = pool.stream(lambda: work.job() and None)
    with pytest.raises(BusyError, match="streams"):
        pool.stream(lambda: None)
    assert await pool.run(lambda: "still", deadline_seconds=PATIENCE_SECONDS, abort=lambda: None) == "still"
    work.abort()
    await asyncio.wrap_future(stream)
    await asyncio.wrap_future(pool.stream(lambda: None))
