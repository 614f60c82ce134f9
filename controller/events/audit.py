"""Owns judging a chain of stored records: gaps, swaps, additions and any changed byte show as findings.

What a bare chain cannot show: that its newest records were cut off, or that somebody who can write the file computed
every hash anew from some record on. Both show against a head (`POSITION:HASH`) that was kept out of that
person's reach.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from controller.events.chain import GENESIS, Head, Record, record_hash
from controller.model.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that is not as it was written. Position 0 means the log as a whole."""

    position: int
    message: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The outcome of a verification. `heads` names the kept heads it was compared with."""

    path: str
    events: int
    head: str
    heads: tuple[str, ...]
    findings: tuple[AuditFinding, ...]
    is_complete: bool = True
    """False when the reading stopped early or more was found than is listed."""

    @property
    def is_intact(self) -> bool:
        """Nothing was found."""
        return not self.findings

    @property
    def limits(self) -> str:
        """What this verification could not have noticed."""
        if self.heads:
            return "Events newer than the kept head could be cut off or rewritten without a trace here."
        return (
            "No head was compared: a log whose newest events were cut off, or that was rewritten as a whole, looks the "
            "same as an intact one. Keep a head elsewhere and give it with --expect-head POSITION:HASH."
        )


def parse_head(text: str) -> Head:
    """Read `POSITION:HASH`; `InvalidInputError` otherwise."""
    position, _, digest = text.strip().partition(":")
    try:
        head = Head(int(position), bytes.fromhex(digest))
    except ValueError as error:
        raise InvalidInputError(f"'{text.strip()}' is not POSITION:HASH") from error
    if head.position < 0 or len(head.hash) != len(GENESIS):
        raise InvalidInputError(f"'{text.strip()}' is not POSITION:HASH with 64 hexadecimal digits")
    return head


@dataclass(slots=True)
class ChainAuditor:
    """Reads records in stored order, once, and keeps no more than the streams' versions."""

    expected_heads: tuple[Head, ...] = ()
    head: Head = field(default_factory=Head)
    events: int = 0
    _versions: dict[str, int] = field(default_factory=dict)

    def findings(self, records: Iterable[Record]) -> Iterator[AuditFinding]:
        """Everything wrong with `records`, then with their end, as it is found."""
        for record in records:
            for message in self._judge(record):
                yield AuditFinding(record.position, message)
            self.events += 1
            self.head = Head(record.position, record.hash)
            self._versions[record.stream] = record.version
            yield from self._compare_heads(record)
        yield from self._missing_heads()

    def _judge(self, record: Record) -> Iterator[str]:
        expected = self.head.position + 1
        if record.position > expected:
            yield f"events {expected} to {record.position - 1} are missing"
        elif record.position < expected:
            yield f"position {record.position} is repeated or out of order"
        if record.previous_hash != self.head.hash:
            yield "does not follow the event stored before it"
        if record.hash != _recomputed(record):
            yield "its content does not match its hash"
        version = self._versions.get(record.stream, 0) + 1
        if record.version != version:
            yield f"version {record.version} of '{record.stream}' where {version} is due"

    def _compare_heads(self, record: Record) -> Iterator[AuditFinding]:
        for head in self.expected_heads:
            if head.position == record.position and head.hash != record.hash:
                yield AuditFinding(record.position, "is not the event that the kept head names: history was rewritten")

    def _missing_heads(self) -> Iterator[AuditFinding]:
        for head in self.expected_heads:
            if head.position > self.head.position:
                what = f"the kept head is at event {head.position}, the log ends at {self.head.position}: cut off"
                yield AuditFinding(0, what)


def _recomputed(record: Record) -> bytes:
    """The hash that the content asks for; nothing when the content is not even of the right kind."""
    try:
        return record_hash(record)
    except (InvalidInputError, TypeError):
        return b""
