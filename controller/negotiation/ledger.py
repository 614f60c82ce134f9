"""Owns the ledger's rules: double entry, what may be posted, the chain of hashes, and the invariant over it.

An amount is reserved when a quote is accepted, committed when what was bought is provisioned, released when it is
not, and refunded when it is given back. Each entry takes from one account what it puts into another:

    reserve  envelope -> reserved      commit  reserved -> committed
    release  reserved -> envelope      refund  committed -> envelope

The invariant: what is reserved and committed under a scope (the root's envelope and each delegated one within it)
stays within the ceiling, the ceiling of its class, and the hourly rate that the wallet at hand has for that scope. It
is asked at each reserve against everything under the scope, whatever wallet that came by, so that neither re-issue,
nor replay, nor a fork, nor a child adds anything. Time never goes back in a ledger: a clock that is set back does not
open an hour again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from controller.events.canonical import canonical_json
from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.negotiation.checks import Check, Refusal
from controller.negotiation.wallet import Wallet, root_of, scopes_of

GENESIS = bytes(32)
HOUR_MICROSECONDS = 3_600_000_000
_MOST_KEY = 200


class EntryKind(StrEnum):
    """What an entry does."""

    RESERVE = "reserve"
    COMMIT = "commit"
    RELEASE = "release"
    REFUND = "refund"


class Account(StrEnum):
    """Where money of a root is."""

    ENVELOPE = "envelope"
    RESERVED = "reserved"
    COMMITTED = "committed"


MOVES: Mapping[EntryKind, tuple[Account, Account]] = {
    EntryKind.RESERVE: (Account.ENVELOPE, Account.RESERVED),
    EntryKind.COMMIT: (Account.RESERVED, Account.COMMITTED),
    EntryKind.RELEASE: (Account.RESERVED, Account.ENVELOPE),
    EntryKind.REFUND: (Account.COMMITTED, Account.ENVELOPE),
}
"""From which account to which each kind of entry moves its amount."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One half of an entry: minor units that an account gains, or loses when negative."""

    account: Account
    minor: int


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be taken under a scope, in minor units: in all, by the class at hand, and newly within an hour."""

    scope: str
    ceiling: int
    class_ceiling: int
    rate_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A wish to post. `key` makes it happen once per root; `minor` None means all that is there."""

    kind: EntryKind
    envelope: str
    reservation: str
    key: str
    minor: int | None = None
    currency: str = ""
    workload_class: str = ""
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        """Names of sane size, and an amount that is more than nothing."""
        for name in (self.reservation, self.key):
            if not 0 < len(name) <= _MOST_KEY or not name.isprintable():
                raise InvalidInputError(f"a key in the ledger is 1 to {_MOST_KEY} printable characters")
        if self.minor is not None:
            if self.minor <= 0:
                raise InvalidInputError("an amount in the ledger is more than nothing")
            Money(self.minor, self.currency)
        if self.kind is EntryKind.RESERVE and (self.minor is None or not self.workload_class):
            raise InvalidInputError("a reservation has an amount and a class")

    @property
    def root(self) -> str:
        """The root that it counts against."""
        return root_of(self.envelope)

    @classmethod
    def reserve(
        cls, chain: Sequence[Wallet], workload_class: str, *, reservation: str, key: str, amount: Money
    ) -> "Order":
        """Take `amount` out of the envelope of the last wallet in the chain, and so of all above it."""
        limits, envelope = limits_of(chain, workload_class), chain[-1].envelope
        return cls(EntryKind.RESERVE, envelope, reservation, key, amount.minor, amount.currency, workload_class, limits)

    @classmethod
    def of(cls, kind: EntryKind, root: str, *, reservation: str, key: str, amount: Money | None = None) -> "Order":
        """Commit, release or refund what a reservation holds: `amount` of it, or all."""
        minor, currency = (None, "") if amount is None else (amount.minor, amount.currency)
        return cls(kind, root, reservation, key, minor, currency)


@dataclass(frozen=True, slots=True)
class Entry:
    """What was posted; `time_microseconds` since the epoch. `limits` are those that a reserve was judged by."""

    position: int
    kind: EntryKind
    envelope: str
    workload_class: str
    reservation: str
    key: str
    minor: int
    currency: str
    limits: tuple[Limit, ...]
    time_microseconds: int
    previous_hash: bytes = GENESIS
    hash: bytes = b""

    @property
    def root(self) -> str:
        """The root that it counts against."""
        return root_of(self.envelope)

    @property
    def amount(self) -> Money:
        """How much it moved."""
        return Money(self.minor, self.currency)

    @property
    def postings(self) -> tuple[Posting, Posting]:
        """Its two halves, which sum to nothing."""
        source, target = MOVES[self.kind]
        return Posting(source, -self.minor), Posting(target, self.minor)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a reservation holds now."""

    id: str
    envelope: str
    workload_class: str
    currency: str
    made_microseconds: int
    reserved: int = 0
    committed: int = 0

    @property
    def taken(self) -> int:
        """What of it is not in the envelope."""
        return self.reserved + self.committed

    def after(self, entry: Entry) -> "Holding":
        """The same once an entry is posted."""
        change = {posting.account: posting.minor for posting in entry.postings}
        return replace(
            self,
            reserved=self.reserved + change.get(Account.RESERVED, 0),
            committed=self.committed + change.get(Account.COMMITTED, 0),
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """The entry; `is_replay` when it was there already, under the same key."""

    entry: Entry
    is_replay: bool = False


class Accounts(Protocol):
    """What has to be known to judge an order; an adapter answers from its database, within one transaction."""

    def head(self) -> tuple[int, bytes, int]:
        """Position, hash and time of the newest entry."""

    def entry_of(self, root: str, key: str) -> Entry | None:
        """The entry under an idempotency key."""

    def holding(self, root: str, reservation: str) -> Holding | None:
        """A reservation."""

    def currency_of(self, root: str) -> str:
        """The one currency of a root; empty when it has no entry."""

    def taken(self, scope: str, workload_class: str = "") -> int:
        """What is reserved and committed under a scope, in all or by a class."""

    def taken_since(self, scope: str, microseconds: int) -> int:
        """What is still reserved and committed of the reservations made after that time."""


class LedgerView(Accounts, Protocol):
    """What verification asks: the accounts, and that a holder's proof is used once."""

    def claim_nonce(self, holder: str, nonce: str, until: float, now: float) -> bool:
        """Whether the nonce is new; it is remembered durably until that time."""


class Ledger(LedgerView, Protocol):
    """A place where orders are posted durably, each in one transaction with its check."""

    def post(self, order: Order, now: float) -> Posted | Refusal:
        """Judge and store; the same key again gives the same entry again."""

    def holdings(self, root: str) -> tuple[Holding, ...]:
        """The reservations of a root that hold anything."""


def limits_of(chain: Sequence[Wallet], workload_class: str) -> tuple[Limit, ...]:
    """One limit for each wallet in the chain, over the scope of its envelope."""
    return tuple(
        Limit(
            wallet.envelope,
            wallet.terms.ceiling.minor,
            wallet.terms.limit_of(workload_class).minor,
            wallet.terms.maximum_rate_per_hour.minor if wallet.terms.maximum_rate_per_hour is not None else None,
        )
        for wallet in chain
    )


def judge(order: Order, accounts: Accounts, now: float) -> Posted | Refusal:
    """The entry that an order becomes, chained behind the newest; or why it does not become one."""
    known = accounts.entry_of(order.root, order.key)
    if known is not None:
        return Posted(known, is_replay=True) if _same(order, known) else _refused("the key was used for another order")
    position, previous, latest = accounts.head()
    time = max(round(now * 1_000_000), latest)
    drawn = _reserve(order, accounts, time) if order.kind is EntryKind.RESERVE else _draw(order, accounts)
    if isinstance(drawn, Refusal):
        return drawn
    return Posted(
        sealed(
            Entry(
                position + 1,
                order.kind,
                drawn.envelope,
                drawn.workload_class,
                order.reservation,
                order.key,
                drawn.minor,
                drawn.currency,
                order.limits,
                time,
                previous,
            )
        )
    )


def sealed(entry: Entry) -> Entry:
    """The entry with the hash over all its other members and the hash before it."""
    return replace(entry, hash=entry_hash(entry))


def entry_hash(entry: Entry) -> bytes:
    """SHA-256 of the previous hash and the canonical JSON of the entry's members, in their order."""
    limits = [[limit.scope, limit.ceiling, limit.class_ceiling, limit.rate_per_hour] for limit in entry.limits]
    members = [
        entry.position,
        entry.kind.value,
        entry.envelope,
        entry.workload_class,
        entry.reservation,
        entry.key,
        entry.minor,
        entry.currency,
        limits,
        entry.time_microseconds,
    ]
    return sha256(entry.previous_hash + canonical_json(members)).digest()


@dataclass(frozen=True, slots=True)
class _Drawn:
    envelope: str
    workload_class: str
    minor: int
    currency: str


def _reserve(order: Order, accounts: Accounts, time: int) -> _Drawn | Refusal:
    currency = accounts.currency_of(order.root)
    if currency and currency != order.currency:
        return _refused(f"this root is counted in {currency}, not in {order.currency}")
    if accounts.holding(order.root, order.reservation) is not None:
        return _refused("there is a reservation of this name")
    if order.minor is None or tuple(limit.scope for limit in order.limits) != scopes_of(order.envelope):
        return _refused("the limits are not those of the envelope and the ones above it")
    for limit in order.limits:
        broken = _broken(limit, order.minor, order.workload_class, accounts, time)
        if broken:
            return _refused(broken)
    return _Drawn(order.envelope, order.workload_class, order.minor, order.currency)


def _broken(limit: Limit, minor: int, workload_class: str, accounts: Accounts, time: int) -> str:
    if accounts.taken(limit.scope) + minor > limit.ceiling:
        return f"it is over what is left of the ceiling of '{limit.scope}'"
    if accounts.taken(limit.scope, workload_class) + minor > limit.class_ceiling:
        return f"it is over what is left for class '{workload_class}' in '{limit.scope}'"
    rate = limit.rate_per_hour
    if rate is not None and accounts.taken_since(limit.scope, time - HOUR_MICROSECONDS) + minor > rate:
        return f"it is over the maximum rate per hour of '{limit.scope}'"
    return ""


def _draw(order: Order, accounts: Accounts) -> _Drawn | Refusal:
    """What a commit, release or refund takes out of its reservation."""
    holding = accounts.holding(order.root, order.reservation)
    if holding is None:
        return _refused("there is no reservation of this name")
    source = MOVES[order.kind][0]
    there = holding.reserved if source is Account.RESERVED else holding.committed
    minor = there if order.minor is None else order.minor
    if order.minor is not None and order.currency != holding.currency:
        return _refused(f"the reservation is in {holding.currency}, not in {order.currency}")
    if not 0 < minor <= there:
        return _refused(f"the reservation has {Money(there, holding.currency)} {source.value}")
    return _Drawn(holding.envelope, holding.workload_class, minor, holding.currency)


def _same(order: Order, entry: Entry) -> bool:
    """Whether an order is the one that became the entry; limits may have been re-issued since."""
    if (order.kind, order.reservation) != (entry.kind, entry.reservation):
        return False
    if order.minor is not None and (order.minor, order.currency) != (entry.minor, entry.currency):
        return False
    is_reserve = order.kind is EntryKind.RESERVE
    return not is_reserve or (order.envelope, order.workload_class) == (entry.envelope, entry.workload_class)


def _refused(text: str) -> Refusal:
    return Refusal(Check.LEDGER, text)
