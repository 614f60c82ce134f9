"""Owns the ledger as the fold of its entries: in memory, for one process, and as the witness of `verify`."""

from collections import defaultdict
from dataclasses import dataclass, field

from controller.negotiation.checks import Refusal
from controller.negotiation.ledger import GENESIS, Entry, Holding, Order, Posted, entry_hash, judge
from controller.negotiation.wallet import scopes_of

Scope = tuple[str, str]
"""An envelope and a class; the empty class stands for all."""


@dataclass(slots=True)
class LedgerState:
    """All accounts after some entries; a `controller.negotiation.ledger.Ledger` without durability."""

    _head: tuple[int, bytes, int] = (0, GENESIS, 0)
    _by_key: dict[tuple[str, str], Entry] = field(default_factory=dict)
    _holdings: dict[tuple[str, str], Holding] = field(default_factory=dict)
    _currencies: dict[str, str] = field(default_factory=dict)
    _taken: defaultdict[Scope, int] = field(default_factory=lambda: defaultdict(int))
    _nonces: dict[tuple[str, str], float] = field(default_factory=dict)
    _crowded: int = 1_000
    _forgotten: float = 0.0

    def post(self, order: Order, now: float) -> Posted | Refusal:
        """Judge, and apply what comes of it."""
        answer = judge(order, self, now)
        if isinstance(answer, Posted) and not answer.is_replay:
            self.apply(answer.entry)
        return answer

    def apply(self, entry: Entry) -> None:
        """Take in an entry that was judged."""
        root = entry.root
        holding = self._holdings.get((root, entry.reservation)) or Holding(
            entry.reservation, entry.envelope, entry.workload_class, entry.currency, entry.time_microseconds
        )
        after = holding.after(entry)
        for scope in scopes_of(entry.envelope):
            for workload_class in ("", entry.workload_class):
                self._taken[scope, workload_class] += after.taken - holding.taken
        self._holdings[root, entry.reservation] = after
        self._by_key[root, entry.key] = entry
        self._currencies.setdefault(root, entry.currency)
        self._head = (entry.position, entry.hash, entry.time_microseconds)

    def fault_of(self, entry: Entry) -> str:
        """What is wrong with a stored entry as the next one; empty when the rules give the very same."""
        position, previous, _ = self._head
        if (entry.position, entry.previous_hash) != (position + 1, previous):
            return "it does not follow the entry before it"
        if entry_hash(entry) != entry.hash:
            return "its hash is not that of its content"
        order = Order(
            entry.kind,
            entry.envelope,
            entry.reservation,
            entry.key,
            entry.minor,
            entry.currency,
            entry.workload_class,
            entry.limits,
        )
        answer = judge(order, self, entry.time_microseconds / 1_000_000)
        if isinstance(answer, Refusal):
            return f"it should have been refused: {answer.text}"
        return "" if answer.entry == entry else "the rules give another entry"

    def head(self) -> tuple[int, bytes, int]:
        """Position, hash and time of the newest entry."""
        return self._head

    def entry_of(self, root: str, key: str) -> Entry | None:
        """The entry under an idempotency key."""
        return self._by_key.get((root, key))

    def holding(self, root: str, reservation: str) -> Holding | None:
        """A reservation."""
        return self._holdings.get((root, reservation))

    def holdings(self, root: str = "") -> tuple[Holding, ...]:
        """The reservations, of one root or of all, that hold anything."""
        return tuple(held for (of, _), held in self._holdings.items() if root in {"", of} and held.taken)

    def currency_of(self, root: str) -> str:
        """The one currency of a root."""
        return self._currencies.get(root, "")

    def taken(self, scope: str, workload_class: str = "") -> int:
        """What is reserved and committed under a scope."""
        return self._taken.get((scope, workload_class), 0)

    def taken_since(self, scope: str, microseconds: int) -> int:
        """What is still taken of the reservations made after that time."""
        return sum(
            held.taken
            for held in self._holdings.values()
            if held.made_microseconds > microseconds and scope in scopes_of(held.envelope)
        )

    def all_taken(self) -> dict[Scope, int]:
        """Every scope and class that has anything taken."""
        return {scope: minor for scope, minor in self._taken.items() if minor}

    def claim_nonce(self, holder: str, nonce: str, until: float, now: float) -> bool:
        """Whether the nonce is new. Those whose time is over are forgotten, and refused after a clock is set back."""
        if len(self._nonces) >= self._crowded:
            self._nonces = {known: end for known, end in self._nonces.items() if end > now}
            self._crowded = 2 * len(self._nonces) + 1_000
            self._forgotten = max(self._forgotten, now)
        if until <= self._forgotten or (holder, nonce) in self._nonces:
            return False
        self._nonces[holder, nonce] = until
        return True
