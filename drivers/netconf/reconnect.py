"""Owns coming back: connecting again and again with bounded, jittered exponential back-off (any transport)."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.model.errors import TransientError
from controller.ports import DeviceConnector, DeviceSession, DeviceTarget

_jitter = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before trying again, in seconds.

    The wait grows from `first_seconds` by `factor` up to `most_seconds`; `jitter` (0 up to 1) picks a point in its
    upper half, so that a thousand devices behind one broken link do not all come back at the same moment.
    """

    first_seconds: float = 1.0
    most_seconds: float = 60.0
    factor: float = 2.0
    jitter: Callable[[], float] = _jitter

    def seconds(self, failures: int) -> float:
        """Return the wait after that many failures in a row, counted from 1."""
        steps = min(failures - 1, 64)  # beyond, the limit has long been reached and a float would overflow
        wait = min(self.most_seconds, self.first_seconds * self.factor**steps)
        return wait * (1 + self.jitter()) / 2


def _ignore(_failures: int, _error: TransientError, _wait_seconds: float) -> None:
    """Tell nobody."""


class Reconnector:
    """Connects until it works. `on_failure(failures, error, wait_seconds)` hears of every attempt that did not."""

    def __init__(
        self,
        connector: DeviceConnector,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_failure: Callable[[int, TransientError, float], None] = _ignore,
    ) -> None:
        self._connector = connector
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._on_failure = on_failure

    async def connect(self, target: DeviceTarget, *, attempts: int | None = None) -> DeviceSession:
        """Return a session; a permanent error, or the last of `attempts`, is raised. Cancel to give up."""
        failures = 0
        while True:
            try:
                return await self._connector.connect(target)
            except TransientError as error:
                failures += 1
                if failures == attempts:
                    raise
                wait = self._backoff.seconds(failures)
                self._on_failure(failures, error, wait)
                await self._sleep(wait)
