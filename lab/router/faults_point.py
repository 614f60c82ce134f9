"""Owns the seam where scripted faults enter: servers call it before acting, after acting and before replying."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from lab.router.rpc_errors import RpcError

Phase = Literal["before", "after", "reply"]


class Fault(StrEnum):
    """What a faulty router may do around one RPC."""

    CLOSE = "close"  # drop the connection now
    HANG = "hang"  # never answer, keep the connection
    LOSE_REPLY = "lose_reply"  # act, do not answer, keep the connection
    REJECT = "reject"  # answer with `error` instead of acting
    WARN = "warn"  # act, answer with a warning beside the result
    GARBAGE = "garbage"  # answer with something that is not XML
    LOCK_HELD = "lock_held"  # refuse a lock, naming `session_id`
    REBOOT = "reboot"  # drop everything, come back on the same ports
    DELAY = "delay"  # wait `seconds`, then go on
    SPLIT = "split"  # send the reply in writes of `octets`
    HUGE = "huge"  # pad the reply to about `octets`


@dataclass(frozen=True, slots=True)
class Action:
    """One fault with its parameters; `seconds` for DELAY, `octets` for SPLIT and HUGE."""

    fault: Fault
    seconds: float = 0.0
    octets: int = 0
    session_id: int = 0
    message: str = ""
    error: RpcError | None = None


class FaultPoint(Protocol):
    """Decides what goes wrong. Implementations live in lab.faults."""

    def armed(self, router: str) -> bool:
        """Say whether `around` could return an action for this router: False lets servers take the fast path."""
        ...

    async def around(self, router: str, rpc: str, phase: Phase) -> Action | None:
        """Return the fault to act out at this phase of this RPC (local name, e.g. `edit-config`), or None.

        RESTCONF names its methods `restconf-get`, `restconf-patch`...; the CLI its commands `cli-commit`, ...
        """
        ...
