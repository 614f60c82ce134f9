"""Time that passes when told to, and short words for editing a datastore and reading it back."""

import pytest

from lab.router.rpc_errors import RpcError
from tests.lab.conftest import IF, config


class ManualScheduler:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = []

    def call_later(self, delay, callback):
        timer = ManualTimer(self.now + delay, callback)
        self.calls.append(timer)
        return timer

    def advance(self, seconds):
        self.now += seconds
        for timer in [timer for timer in self.calls if timer.at <= self.now and timer.live]:
            timer.live = False
            timer.callback()


class ManualTimer:
    def __init__(self, at, callback):
        self.at, self.callback, self.live = at, callback, True

    def cancel(self):
        self.live = False


def edit(store, content, **options):
    store.edit("candidate", config(content), **{"session_id": 1, **options})


def text(store, datastore="candidate"):
    return store.serialised(datastore).decode()


def refusal(call, *args, **kwargs) -> RpcError:
    with pytest.raises(RpcError) as caught:
        call(*args, **kwargs)
    return caught.value


def names(store, datastore="candidate"):
    return store.get(datastore).xpath("//i:interface/i:name/text()", namespaces={"i": IF})
