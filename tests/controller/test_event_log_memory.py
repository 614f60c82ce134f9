"""The event log in memory keeps the contract."""

import pytest

from controller.adapters.event_log_memory import MemoryEventLog
from tests.controller.event_log_contract import EventLogContract, SteppingClock, lifted


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def log(clock: SteppingClock) -> MemoryEventLog:
    return MemoryEventLog(clock=clock, upcasters=lifted())


class TestMemoryEventLog(EventLogContract):
    """The contract, in memory."""
