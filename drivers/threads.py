"""Owns the one bounded thread pool in which the blocking libraries (requests, netmiko) run.

A thread that is busy with a device cannot be stopped from outside; its connection can be cut. So every job comes with
an `abort` that makes it return soon; the pool calls it when the caller's deadline passes or the caller is cancelled.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from controller.model.errors import BusyError

T = TypeVar("T")

DEFAULT_SIZE = 32


class DeadlineError(Exception):
    """The deadline passed while the job was running; what it had sent by then is for the caller to say."""


class DriverThreads:
    """A pool of at most `size` threads; up to half of them may be held by streams, which run as long as they like."""

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="driver")
        self._stream_slots = max(1, size // 2)
        self._streams = 0
        self._counting = threading.Lock()

    async def run(self, job: Callable[[], T], *, deadline_seconds: float, abort: Callable[[], None]) -> T:
        """Run `job` in a thread and return or raise what it does.

        Raises `BusyError` when no thread became free in time (the job has not begun and never will) and `DeadlineError`
        when it had begun. `abort` is called on the deadline and on cancellation; it must be safe from any thread.
        """
        running = self._pool.submit(job)
        waiter = asyncio.wrap_future(running)
        try:
            async with asyncio.timeout(deadline_seconds):
                return await asyncio.shield(waiter)
        except TimeoutError:
            if waiter.done() and not waiter.cancelled():
                raise
            _give_up(running, waiter, abort)
            if running.cancelled():
                raise BusyError(
                    f"no driver thread became free within {deadline_seconds:g} s", remedy="try again later"
                ) from None
            raise DeadlineError from None
        except asyncio.CancelledError:
            _give_up(running, waiter, abort)
            raise

    def stream(self, job: Callable[[], None]) -> Future[None]:
        """Start a long-lived job; `BusyError` when the share of threads for streams is used up.

        The caller ends it by cutting its connection.
        """
        with self._counting:
            if self._streams >= self._stream_slots:
                raise BusyError(
                    f"all {self._stream_slots} driver threads for notification streams are taken",
                    remedy="close another stream or enlarge the pool",
                )
            self._streams += 1
        running = self._pool.submit(job)
        running.add_done_callback(self._stream_ended)
        return running

    def close(self) -> None:
        """Take no more jobs; those that run end by themselves or by their sessions' `close`."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _stream_ended(self, _future: Future[None]) -> None:
        with self._counting:
            self._streams -= 1


def _give_up(running: Future[T], waiter: asyncio.Future[T], abort: Callable[[], None]) -> None:
    if not running.cancel():
        abort()
    # Nobody awaits the result any more; fetching it keeps asyncio from reporting it as forgotten.
    waiter.add_done_callback(lambda done: done.cancelled() or done.exception())
