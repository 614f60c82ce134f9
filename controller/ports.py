"""Owns the ports: what the pure core needs of the outside world, as protocols that edges implement.

Devices (RFC 6241, 8040, CLI) stand behind `DeviceSession`; the event log behind `EventLog`; time behind `Clock`; YANG
knowledge behind `SchemaSource` and `InstanceValidator`. A dry run gets none of the writing ones: it cannot send.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from controller.model.errors import DeviceCause
from controller.model.identifiers import DeviceName, TransactionId


class Transport(StrEnum):
    """The way into a device."""

    NETCONF = "netconf"
    RESTCONF = "restconf"
    CLI = "cli"


class ParticipantClass(StrEnum):
    """How a device takes part in a network-wide transaction; decided from its capabilities, recorded in the plan."""

    PERSISTENT = "candidate+confirmed-commit:1.1"
    """Full two-phase: `persist` lets another session of a restarted controller confirm or cancel (RFC 6241 8.4)."""
    SESSION_BOUND = "candidate+confirmed-commit:1.0"
    """Two-phase bound to the session: death of the session is the device's own abort (RFC 4741 8.4)."""
    CANDIDATE = "candidate"
    """Prepared and validated with the others, committed late, undone by the reverse edit."""
    IMMEDIATE = "immediate"
    """Writable-running, RESTCONF, CLI: one immediate edit late, undone by the reverse edit."""

    @property
    def is_two_phase(self) -> bool:
        """Whether a tentative commit reverts by itself."""
        return self in {ParticipantClass.PERSISTENT, ParticipantClass.SESSION_BOUND}


@dataclass(frozen=True, slots=True)
class ModuleRevision:
    """A YANG module a device implements (RFC 8525)."""

    name: str
    revision: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a session found out about its device when it connected."""

    transport: Transport
    participant: ParticipantClass
    urns: frozenset[str] = frozenset()
    modules: tuple[ModuleRevision, ...] = ()
    supports_validate: bool = False
    supports_startup: bool = False
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret value that never shows in `repr`, logs or diffs; `reveal()` is the one way out."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The value itself; only a driver's login calls this."""
        return self._value

    def __str__(self) -> str:
        return "********"


@dataclass(frozen=True, slots=True)
class DeviceTarget:
    """Where and how to reach a device, credentials resolved. Durations in seconds."""

    name: DeviceName
    hostname: str
    port: int
    transport: Transport
    username: str
    password: Secret | None = None
    private_key: Secret | None = None
    """OpenSSH or PEM private key text."""
    host_key: str = ""
    """Pinned OpenSSH public key (`ssh-ed25519 AAAA...`); empty means `known_hosts` decides."""
    known_hosts: str = ""
    tls_ca: str = ""
    """PEM of the certificate authority to trust; empty means the system's."""
    device_type: str = ""
    """ncclient's device handler or netmiko's device type; empty means the default of the transport."""
    connect_timeout_seconds: float = 10.0
    rpc_timeout_seconds: float = 30.0
    keepalive_seconds: float = 60.0
    quirks: frozenset[str] = frozenset()
    """Known misbehaviour: `no-validate`, `no-lock`, `no-pipelining`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device answered to `read`: XML with one `<data>`-like root, or CLI text."""

    body: bytes
    entity_tag: str = ""


Warnings = tuple[DeviceCause, ...]


class DeviceSession(Protocol):
    """One live session to one device; every call has a deadline.

    Errors: `LockedError`, `ConnectionFailedError` (nothing was sent), `OutcomeUnknownError` (sent, not answered),
    `DeviceRejectedError` (with `causes`), `ProtocolViolationError`. rpc-errors of severity warning are returned, not
    raised. Edits and filters come encoded by the device's codec (`controller.datastore`), so a session moves bytes and
    keeps no configuration. A session takes one call at a time from one task, except `close`, which may come at any
    moment and fails a pending call at once.
    """

    @property
    def device(self) -> DeviceName:
        """Whose session this is."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What was found out at connect."""
        ...

    async def read(self, filters: Sequence[str] = ()) -> Reading:
        """Running configuration, all or filtered.

        `filters`: NETCONF, subtree filter elements (XML); RESTCONF, data-resource paths below `{+restconf}/data/`; CLI,
        show commands. Empty reads everything.
        """
        ...

    def foresee(self, *, validate: bool = False, read: Sequence[str] | None = None) -> None:
        """Say that `validate` or `read` with these filters follows the next step: a driver may send both at once.

        What they return and raise stays the same. Drivers that gain nothing by it do nothing.
        """
        ...

    async def read_state(self, filters: Sequence[str] = ()) -> Reading:
        """Configuration and operational state (`get`, RESTCONF `content=all`); CLI: show commands."""
        ...

    async def lock(self) -> None:
        """Lock running and candidate, then discard a left-over candidate. No-op where there are no locks."""
        ...

    async def prepare(self, edit: bytes) -> Warnings:
        """Put the edit into the candidate (rollback-on-error where offered). Not for `IMMEDIATE` devices."""
        ...

    async def validate(self) -> Warnings:
        """Validate the candidate; returns at once where the device does not offer it."""
        ...

    async def commit_tentative(self, persist: TransactionId, timeout_seconds: float) -> Warnings:
        """Confirmed commit of the candidate; `persist` is used where the device has confirmed-commit:1.1."""
        ...

    async def confirm(self, persist: TransactionId) -> None:
        """Make the tentative commit permanent."""
        ...

    async def cancel(self, persist: TransactionId) -> None:
        """Take the tentative commit back. Succeeds when the device says that none is pending."""
        ...

    async def commit_now(self) -> Warnings:
        """Commit the prepared candidate at once (`CANDIDATE` class)."""
        ...

    async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
        """Carry out the edit on running at once; with `entity_tag`, only if it still holds (RFC 8040 3.4.1)."""
        ...

    async def release(self) -> None:
        """Discard a left-over candidate and unlock; never raises for locks that are already gone."""
        ...

    def notifications(self) -> AsyncIterator[bytes]:
        """Subscribe and yield each notification's XML; ends when the session closes."""
        ...

    async def subscribe(self) -> AsyncIterator[bytes]:
        """As `notifications`, but returns when the device has agreed, so that a state read then is not too old."""
        ...

    async def push(self, filters: Sequence[str], period_seconds: float) -> AsyncIterator[bytes]:
        """Have what the subtree filters pick of the state pushed (RFC 8641), every period; 0: when it changes.

        May be called several times for one stream. `NotSupportedError` where the device does not offer it.
        """
        ...

    async def close(self) -> None:
        """Close politely within a second, else abort. Idempotent."""
        ...


class DeviceConnector(Protocol):
    """Opens sessions of one transport."""

    async def connect(self, target: DeviceTarget) -> DeviceSession:
        """Log in and exchange capabilities; `ConnectionFailedError`, `AuthenticationFailedError` say why not."""
        ...


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> float:
        """Seconds since the epoch (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be appended: its stream (aggregate), type and JSON-able data; `actor` where not the append's own."""

    stream: str
    type: str
    data: Mapping[str, object]
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event. `position` is global and gapless from 1; `version` counts within the stream from 1."""

    position: int
    stream: str
    version: int
    type: str
    time: float
    """Seconds since the epoch, UTC."""
    actor: str
    cause: str
    """What brought this about: a request id, a transaction, a timer."""
    data: Mapping[str, object]
    previous_hash: str
    hash: str


class EventLog(Protocol):
    """The append-only, hash-chained truth. One writer; appends are durable when they return (group commit inside)."""

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        actor: str,
        cause: str = "",
        expected_versions: Mapping[str, int] | None = None,
        idempotency_key: str = "",
    ) -> Sequence[Event]:
        """Store all or nothing and return them stored.

        `expected_versions` (stream -> last version seen) raises `ConflictError` when a stream has moved. An
        `idempotency_key` seen before returns the events stored then, and stores nothing.
        """
        ...

    def read(self, after: int = 0, *, stream: str = "", limit: int = 0) -> Iterator[Event]:
        """Events with position > `after`, in order; of one stream if named; at most `limit` if positive."""
        ...

    def last_position(self) -> int:
        """Position of the newest event, 0 when empty."""
        ...

    def failed_commits(self) -> int:
        """Commits that could not be stored since the log was opened, as on a full disk."""
        ...

    def subscribe(self, listener: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """Call `listener` on the event loop with each batch after it is durable; returns the unsubscribe."""
        ...

    def save_snapshot(self, name: str, position: int, parts: Mapping[str, bytes], kept: Collection[str] = ()) -> None:
        """Replace snapshot `name`, taken at `position`; parts are stored separately so they can be read lazily.

        Parts named in `kept` stay as they were stored last; `InvalidInputError` when one is not there.
        """
        ...

    def load_snapshot(self, name: str) -> "Snapshot | None":
        """The latest snapshot whose position still matches the chain, or None."""
        ...


class Snapshot(Protocol):
    """A stored projection; only a shortcut for replay, never the truth."""

    @property
    def position(self) -> int:
        """Position of the last event folded in."""
        ...

    def part(self, key: str) -> bytes | None:
        """One part."""
        ...

    def keys(self) -> Sequence[str]:
        """All part names."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of a YANG model by instance data."""

    path: str
    message: str
    app_tag: str = ""


class InstanceValidator(Protocol):
    """Validates instance data against a set of modules; libyang where there is a wheel, yangson elsewhere."""

    def validate(self, document: bytes, media: str = "json") -> Sequence[Finding]:
        """Findings in a configuration document (`json`: RFC 7951, or `xml`); empty means valid."""
        ...


class Peers(Protocol):
    """The way to the other parties of a negotiation: one signed message at a time."""

    async def deliver(self, party: str, token: str) -> None:
        """Hand a message over; returns once the party has it durably.

        `TransientError` when trying again may help, any other for good: `NotFoundError` for a party that nobody knows,
        `InvalidInputError` for a message that is turned away.
        """
        ...
