"""Owns the pending confirmed commit: whose it is, how long it lives, what it undoes (RFC 6241 section 8.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from lxml import etree

from lab.router import rpc_errors
from lab.router.rpc_errors import RpcError

Outcome = Literal["start", "extend", "complete", "cancel", "timeout"]


class Timer(Protocol):
    """A pending call that can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has run."""


class Scheduler(Protocol):
    """Runs a callback later; an asyncio event loop is one."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Run `callback` after `delay` seconds."""
        ...


@dataclass(slots=True)
class PendingCommit:
    """A commit that undoes itself: `before` is the running tree to return to."""

    before: etree._Element
    session_id: int
    timer: Timer
    persist: str | None = None

    def require(self, session_id: int, persist_id: str | None) -> None:
        """Refuse who may neither extend, confirm nor cancel it."""
        if persist_id is not None:
            if persist_id != self.persist:
                raise rpc_errors.invalid_value(
                    "persist-id is not that of the pending confirmed commit", type="protocol"
                )
        elif self.persist is not None:
            raise RpcError(
                "invalid-value",
                "the pending confirmed commit is persistent and needs its persist-id",
                type="protocol",
                info=(("bad-element", "persist-id"),),
            )
        elif self.session_id != session_id:
            raise rpc_errors.in_use("the confirmed commit", self.session_id)
