"""Owns the hash chain: what is hashed, in which bytes, so that an auditor can do it again with nothing of ours.

    hash = SHA-256( previous hash (32 bytes)
                    ++ JSON [position, stream, version, type, time, actor, cause, idempotency key] ++ LF
                    ++ data as canonical JSON )

`time` is in whole microseconds since the epoch. The first event's previous hash is 32 zero bytes. A JSON text holds no
raw line feed, so no two records share these bytes.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from controller.events import types
from controller.events.canonical import canonical_json, read_json
from controller.model.errors import ConflictError, InvalidInputError
from controller.ports import Event, NewEvent

GENESIS = bytes(32)
"""What the first event names as its predecessor."""


class Unread(Mapping[str, object]):
    """A JSON object that is read when it is first looked into."""

    __slots__ = ("_document", "_read")

    def __init__(self, document: bytes) -> None:
        self._document = document
        self._read: Mapping[str, object] | None = None

    def _content(self) -> Mapping[str, object]:
        if self._read is None:
            self._read = cast("Mapping[str, object]", read_json(self._document))
        return self._read

    def __getitem__(self, key: str) -> object:
        return self._content()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content())

    def __len__(self) -> int:
        return len(self._content())


class Record(NamedTuple):
    """An event as it is stored."""

    position: int
    stream: str
    version: int
    type: str
    time_microseconds: int
    actor: str
    cause: str
    idempotency_key: str
    data: bytes
    previous_hash: bytes
    hash: bytes

    def event(self) -> Event:
        """The same as the rest of the program sees it."""
        return self._event(cast("Mapping[str, object]", read_json(self.data)))

    def unread_event(self) -> Event:
        """`event` for whoever stored it: what a commit wrote of itself, which is much, it seldom looks into."""
        is_long = self.type.startswith(types.TRANSACTION_PREFIX) or self.type == types.PLAN_CREATED
        return self._event(Unread(self.data)) if is_long else self.event()

    def _event(self, data: Mapping[str, object]) -> Event:
        return Event(
            position=self.position,
            stream=self.stream,
            version=self.version,
            type=self.type,
            time=self.time_microseconds / 1_000_000,
            actor=self.actor,
            cause=self.cause,
            data=data,
            previous_hash=self.previous_hash.hex(),
            hash=self.hash.hex(),
        )


class Head(NamedTuple):
    """The end of a chain: the newest event's position and hash."""

    position: int = 0
    hash: bytes = GENESIS

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


class Draft(NamedTuple):
    """An event on its way in, data already canonical."""

    stream: str
    type: str
    data: bytes
    actor: str = ""
    """Empty: whoever appends it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who appends, why, when, and under which idempotency key."""

    actor: str
    cause: str
    idempotency_key: str
    time_microseconds: int


def draft(event: NewEvent) -> Draft:
    """Bring an event's data into its canonical form; `InvalidInputError` when it has none."""
    texts = unicode_text(event.stream), unicode_text(event.type)
    return Draft(*texts, canonical_json(event.data), unicode_text(event.actor))


def unicode_text(value: str) -> str:
    """The text itself; `InvalidInputError` for lone surrogates, which have no bytes to hash."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"not a Unicode text: {error}") from error
    return value


def seal(drafts: Sequence[Draft], head: Head, version_of: Callable[[str], int], origin: Origin) -> Iterator[Record]:
    """Chain `drafts` behind `head`. `version_of` gives each stream's last version before them."""
    versions: dict[str, int] = {}
    position, previous = head
    for stream, kind, data, actor in drafts:
        position += 1
        version = (versions[stream] if stream in versions else version_of(stream)) + 1
        versions[stream] = version
        unsealed = Record(
            position,
            stream,
            version,
            kind,
            origin.time_microseconds,
            actor or origin.actor,
            origin.cause,
            origin.idempotency_key,
            data,
            previous,
            b"",
        )
        previous = record_hash(unsealed)
        yield unsealed._replace(hash=previous)


def record_hash(record: Record) -> bytes:
    """The hash that belongs to a record, whatever its `hash` field says."""
    envelope = canonical_json(record[:8])
    return hashlib.sha256(record.previous_hash + envelope + b"\n" + record.data).digest()


def refuse_moved_streams(expected: Mapping[str, int], version_of: Callable[[str], int]) -> None:
    """Optimistic concurrency: `ConflictError` naming the first stream that is not at its expected version."""
    for stream, version in expected.items():
        actual = version_of(stream)
        if actual != version:
            raise ConflictError(
                f"'{stream}' moved: it is at version {actual}, not {version}",
                remedy="read it again and decide anew",
                path=stream,
                tag="data-exists" if actual > version else "data-missing",
            )
