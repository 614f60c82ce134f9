"""Owns a router's configuration datastores: running, candidate, startup (RFC 6241 sections 5, 7 and 8)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from lxml import etree

from lab.router.profiles import Profile
from lab.router.schema import Schema

DefaultOperation = Literal["merge", "replace", "none"]
TestOption = Literal["test-then-set", "set", "test-only"]
ErrorOption = Literal["stop-on-error", "continue-on-error", "rollback-on-error"]


class Timer(Protocol):
    """A pending call that can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has run."""


class Scheduler(Protocol):
    """Runs a callback later; an asyncio event loop is one."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Run `callback` after `delay` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class ConfigEdit:
    """One changed node: RFC 6241 operation, and instance-identifier with module names as prefixes on every step."""

    operation: str
    path: str


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A datastore now has another content. `session_id` is 0 when the router itself did it (a rollback)."""

    datastore: str
    session_id: int
    username: str
    edits: tuple[ConfigEdit, ...]


class ConfigStore:
    """The datastores of one router. Synchronous, no I/O; every refusal is an RpcError.

    Trees are `<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">` and immutable once installed: never edit what
    `get` returns. Capability checks (is there a candidate, is running writable) are the protocol servers' business:
    RESTCONF edits running of any router (RFC 8040 section 1.4).
    """

    schema: Schema
    profile: Profile
    last_modified: datetime
    """When running last changed."""
    etag: str
    """Changes with each change of running."""

    def __init__(
        self,
        schema: Schema,
        profile: Profile,
        *,
        scheduler: Scheduler,
        now: Callable[[], datetime],
        initial: etree._Element | None = None,
    ) -> None:
        """Start from `initial` (day 0, a <data> or <config> tree), installed in running and startup."""
        raise NotImplementedError

    def get(self, datastore: str) -> etree._Element:
        """Return the immutable <data> tree of `running`, `candidate` or `startup`."""
        raise NotImplementedError

    def serialised(self, datastore: str) -> bytes:
        """Return the canonical XML of `get(datastore)`, cached as long as the tree stands."""
        raise NotImplementedError

    def session_opened(self, session_id: int, username: str) -> None:
        """Tell whose session this is, for ConfigChange."""
        raise NotImplementedError

    def session_closed(self, session_id: int) -> None:
        """Release its locks (discarding a candidate it had locked); roll back its non-persistent confirmed commit."""
        raise NotImplementedError

    def lock(self, datastore: str, session_id: int) -> None:
        """Lock; lock-denied when held, when the candidate is dirty, or a foreign confirmed commit is pending."""
        raise NotImplementedError

    def unlock(self, datastore: str, session_id: int) -> None:
        """Unlock; unlocking the candidate discards it."""
        raise NotImplementedError

    def edit(
        self,
        datastore: str,
        config: etree._Element,
        *,
        session_id: int,
        default_operation: DefaultOperation = "merge",
        test_option: TestOption | None = None,
        error_option: ErrorOption = "stop-on-error",
    ) -> None:
        """Apply <config>'s children. Without a test option running is validated, the candidate at commit."""
        raise NotImplementedError

    def copy(self, source: str | etree._Element, target: str, *, session_id: int) -> None:
        """Replace the whole content of `target` with another datastore's, or with an inline <config>."""
        raise NotImplementedError

    def delete(self, target: str, *, session_id: int) -> None:
        """Empty `startup`."""
        raise NotImplementedError

    def discard(self, session_id: int) -> None:
        """Make the candidate follow running again."""
        raise NotImplementedError

    def validate(self, source: str | etree._Element) -> None:
        """Validate a datastore or an inline <config>."""
        raise NotImplementedError

    def commit(
        self,
        session_id: int,
        *,
        confirmed: bool = False,
        timeout: float = 600.0,
        persist: str | None = None,
        persist_id: str | None = None,
    ) -> None:
        """Make the candidate running; confirmed: undo it after `timeout` seconds unless confirmed."""
        raise NotImplementedError

    def cancel_commit(self, session_id: int, persist_id: str | None = None) -> None:
        """Undo the pending confirmed commit now."""
        raise NotImplementedError

    def subscribe(self, listener: Callable[[ConfigChange], None]) -> None:
        """Call `listener` after each change of a datastore."""
        raise NotImplementedError

    def reboot(self) -> None:
        """Forget sessions, locks and candidate; undo a pending confirmed commit; load what the profile boots from."""
        raise NotImplementedError
