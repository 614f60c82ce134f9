"""Owns the order in which many tunnels move to new paths so that no link is overfull in between.

Dependency ordering as Dionysus (Jin et al. 2014) has it. A tunnel that is being moved, make-before-break, may be on its
old path, on its new one, or on both: during a step it counts on every link of either, once, and all moves of a step
count together, since nobody knows which of them is done first. No link then carries more than it can or, where it was
overfull to begin with, more than it did.

Where no move fits, other orders are tried, every one of them for up to 12 moves; if none gets through, the tunnel that
loses least is throttled to what its new path has left, moved, and given its rate back as soon as there is room. So
there always is an order, as long as the links can carry what is there in the end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.model.errors import InvalidInputError
from controller.model.units import BitRate
from controller.topology.network import LinkId, Path
from controller.topology.te_database import TeDatabase

MOST_CHECKS = 1 << 16
"""Of whether a move fits, before one is throttled: enough for every order of 12 moves."""


@dataclass(frozen=True, slots=True)
class Move:
    """A tunnel of this rate that leaves `old` for `new`; None where it begins or ends to be."""

    name: str
    old: Path | None
    new: Path | None
    bit_rate: BitRate


class Action(StrEnum):
    """What is done to the tunnels of a step."""

    MOVE = "move"
    THROTTLE = "throttle"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Step:
    """Tunnels that can be changed at the same time; the next step waits for all of them. `rates` are those then."""

    action: Action
    rates: Mapping[str, BitRate]


def order_updates(database: TeDatabase, moves: Sequence[Move]) -> tuple[Step, ...]:
    """The steps, in order. What the database has reserved for these tunnels is taken to be what `old` needs.

    `InvalidInputError` names the links that could not carry what is there in the end.
    """
    if len({move.name for move in moves}) < len(moves):
        raise InvalidInputError("two moves have the same name", remedy="give each tunnel one move")
    ordering = _Ordering(database, moves)
    if not ordering.go(may_throttle=False):
        ordering = _Ordering(database, moves)
        order = ordering.searched()
        ordering.go(may_throttle=True, order=order)
    return tuple(ordering.steps)


class _Ordering:
    """What each link carries as the moves go on, in bit/s."""

    def __init__(self, database: TeDatabase, moves: Sequence[Move]) -> None:
        self._old = {move.name: _links(move.old) for move in moves}
        self._new = {move.name: _links(move.new) for move in moves}
        self._wanted = {move.name: move.bit_rate.bits_per_second for move in moves}
        self._rates = dict(self._wanted)
        self._pending = dict.fromkeys(sorted(self._wanted))
        others = database.without_reservations(self._wanted)
        touched = sorted(frozenset[LinkId]().union(*self._old.values(), *self._new.values()))
        self._loads = {link: others.reserved(link).bits_per_second for link in touched}
        capacities = {link: database.capacity(link).bits_per_second for link in touched}
        self._refuse_overfull_end(capacities)
        for name, links in self._old.items():
            self._shift(links, self._rates[name])
        self._limits = {link: max(capacities[link], self._loads[link]) for link in touched}
        self.steps: list[Step] = []

    def go(self, *, may_throttle: bool, order: Sequence[str] = ()) -> bool:
        """Make the steps: along `order`, or whatever fits; whether that got all moves done."""
        while self._pending:
            self._restore()
            batch = self._batch(order[-len(self._pending) :] if order else None)
            if not batch and not may_throttle:
                return False
            self._move(batch or [self._throttled()])
        self._restore()
        return True

    def searched(self) -> tuple[str, ...]:
        """An order, one by one, in which all moves fit, found among the sets of finished moves; empty if none was."""
        done: list[str] = []
        tried = {frozenset[str]()}
        choices = [iter(self._pending)]
        checks = 0
        while choices and len(done) < len(self._pending) and checks < MOST_CHECKS:
            name = next(choices[-1], None)
            if name is None:
                choices.pop()
                if done:
                    self._swap(done.pop(), back=True)
                continue
            checks += 1
            after = frozenset((*done, name))
            if name not in done and after not in tried and self._room(name) >= self._rates[name]:
                tried.add(after)
                self._swap(name)
                done.append(name)
                choices.append(iter(self._pending))
        for name in reversed(done):
            self._swap(name, back=True)
        return tuple(done) if len(done) == len(self._pending) else ()

    def _batch(self, order: Sequence[str] | None) -> list[str]:
        """Moves that fit all at once: the next ones of an order, else those first that free what others wait for."""
        names = order or sorted(self._pending, key=self._urgency(), reverse=True)
        taken: list[str] = []
        for name in names:
            if self._room(name) >= self._rates[name]:
                self._shift(self._new[name] - self._old[name], self._rates[name])
                taken.append(name)
            elif order:
                break
        for name in taken:
            self._shift(self._new[name] - self._old[name], -self._rates[name])
        return taken

    def _urgency(self) -> Callable[[str], int]:
        """How much a move gives back of links that other moves find too full."""
        full: set[LinkId] = set()
        for name in self._pending:
            taken = self._new[name] - self._old[name]
            full |= {link for link in taken if self._limits[link] - self._loads[link] < self._rates[name]}
        return lambda name: self._rates[name] * len((self._old[name] - self._new[name]) & full)

    def _room(self, name: str) -> int:
        """What the links have left that this tunnel would come to."""
        links = self._new[name] - self._old[name]
        return min((self._limits[link] - self._loads[link] for link in links), default=self._wanted[name])

    def _throttled(self) -> str:
        """Reduce the tunnel that loses least to what its new path has left; which one it was."""
        name = min(self._pending, key=lambda one: (self._rates[one] - self._room(one), one))
        self._set_rate(name, self._old[name], max(0, self._room(name)))
        self.steps.append(Step(Action.THROTTLE, {name: BitRate(self._rates[name])}))
        return name

    def _move(self, names: Sequence[str]) -> None:
        for name in names:
            self._swap(name)
            del self._pending[name]
        self.steps.append(Step(Action.MOVE, {name: BitRate(self._rates[name]) for name in names}))

    def _restore(self) -> None:
        """Give moved tunnels their rate back where all of it fits."""
        restored = {}
        for name, wanted in self._wanted.items():
            more, links = wanted - self._rates[name], self._new[name]
            fits = all(self._loads[link] + more <= self._limits[link] for link in links)
            if more and name not in self._pending and fits:
                self._set_rate(name, links, wanted)
                restored[name] = BitRate(wanted)
        if restored:
            self.steps.append(Step(Action.RESTORE, restored))

    def _swap(self, name: str, *, back: bool = False) -> None:
        """From the old links to the new ones, or back."""
        rate = -self._rates[name] if back else self._rates[name]
        self._shift(self._old[name], -rate)
        self._shift(self._new[name], rate)

    def _set_rate(self, name: str, links: Iterable[LinkId], rate: int) -> None:
        self._shift(links, rate - self._rates[name])
        self._rates[name] = rate

    def _shift(self, links: Iterable[LinkId], rate: int) -> None:
        for link in links:
            self._loads[link] += rate

    def _refuse_overfull_end(self, capacities: Mapping[LinkId, int]) -> None:
        end = dict(self._loads)
        for name, links in self._new.items():
            for link in links:
                end[link] += self._wanted[name]
        overfull = [
            f"{link} ({BitRate(end[link])} of {BitRate(capacity)})"
            for link, capacity in capacities.items()
            if end[link] > capacity
        ]
        if overfull:
            raise InvalidInputError(
                f"after all moves more would be on {', '.join(overfull)} than fits",
                remedy="plan paths that fit before ordering the moves",
            )


def _links(path: Path | None) -> frozenset[LinkId]:
    return frozenset(path.link_ids) if path else frozenset()
