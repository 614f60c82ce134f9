"""Owns the one error tree.

Two questions decide what a caller may do: does trying again help (`TransientError`) or not (`PermanentError`), and is
the outcome on the device known (`OutcomeUnknownError`: the request left, no answer came). `tag`, `path` and `app_tag`
carry the words of RFC 6241 appendix A and RFC 8040 section 7, so one error is rendered the same at every door.
"""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(slots=True, eq=False)
class AccordError(Exception):
    """What happened, to which object, and what to do next.

    `message` is one sentence; `remedy` the next step; `tag` an RFC 6241 error-tag; `path` the node or object concerned.
    """

    message: str
    remedy: str = field(default="", kw_only=True)
    tag: str = field(default="", kw_only=True)
    path: str = field(default="", kw_only=True)
    app_tag: str = field(default="", kw_only=True)
    device: str = field(default="", kw_only=True)

    default_tag: ClassVar[str] = "operation-failed"

    def __post_init__(self) -> None:
        """Give the error the tag that RFC 6241 has for its kind unless a better one was named."""
        self.tag = self.tag or self.default_tag

    def __str__(self) -> str:
        where = f"{self.device}: " if self.device else ""
        at = f" (at {self.path})" if self.path else ""
        then = f"; {self.remedy}" if self.remedy else ""
        return f"{where}{self.message}{at}{then}"


class TransientError(AccordError):
    """Trying the same thing again later may succeed."""


class PermanentError(AccordError):
    """Trying the same thing again will fail the same way."""


class ConnectionFailedError(TransientError):
    """No session to the device: refused, unreachable, closed before anything was sent."""


class LockedError(TransientError):
    """Somebody else holds the lock; `app_tag` carries the holder's session-id when the device tells it."""


class BusyError(TransientError):
    """A bounded resource is exhausted; try later."""


class OutcomeUnknownError(TransientError):
    """The request was sent and no answer came: it may or may not have been carried out. Read back before deciding."""


class DeviceRejectedError(PermanentError):
    """The device answered with an error; `causes` are its own words, one per rpc-error (a device may send several)."""

    causes: tuple["DeviceCause", ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceCause:
    """One rpc-error, RESTCONF error or CLI error line, in the device's own words."""

    tag: str
    message: str
    path: str = ""
    app_tag: str = ""
    severity: str = "error"


class AuthenticationFailedError(PermanentError):
    """Credentials or host key were not accepted."""


class ProtocolViolationError(PermanentError):
    """The peer sent what its protocol forbids: bad framing, broken XML, wrong message-id."""


class InvalidInputError(PermanentError):
    """A request that cannot be carried out as written."""

    default_tag = "invalid-value"


class NotSupportedError(InvalidInputError):
    """A valid request for something this program does not do; `path` names the node. Never silently ignored."""


class NotFoundError(PermanentError):
    """The named object does not exist."""


class ConflictError(PermanentError):
    """State moved, or two wishes exclude each other: a plan's base, a stream's version, overlapping later work."""


class SupersededError(ConflictError):
    """Somebody else has changed what a change in stages is about; it must not be put back to what it was."""


class StalePlanError(ConflictError):
    """What a plan was made on has moved; planning the same wish again may succeed."""


class TwinRefusedError(ConflictError):
    """The digital twin has a packet that shows why a plan must not be carried out; it is in the message."""


class UndecidedError(ConflictError):
    """A transaction that has no verdict yet (`path`) is about to change what this builds on."""


class ScheduledError(AccordError):
    """Not now: it was approved, and happens by itself at its time. Callers report it as accepted, not as a failure."""


class NotAuthorizedError(PermanentError):
    """The caller may not do this."""
