"""Datastores of a router with everything, and a clock that moves when told to."""

from datetime import UTC, datetime

import pytest

from lab.router.datastore import ConfigStore
from lab.router.profiles import PROFILES
from lab.router.schema import Schema
from tests.lab.datastore_words import ManualScheduler


@pytest.fixture
def clock() -> ManualScheduler:
    return ManualScheduler()


@pytest.fixture
def store(schema: Schema, clock: ManualScheduler) -> ConfigStore:
    store = ConfigStore(schema, PROFILES["full"], scheduler=clock, now=lambda: datetime.now(UTC))
    for session in (1, 2, 3):
        store.session_opened(session, f"user{session}")
    return store
