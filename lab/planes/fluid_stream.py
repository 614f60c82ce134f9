"""A stream of numbered packets through a fluid network: how many arrived, late, out of order or never.

Owns the account of evenly spaced packets. Between two events all packets of a stream meet the same conditions, so they
are counted and not moved one by one; only losses by chance are drawn, one draw for each lost packet, so that reading
an account never changes it. Reordering as RFC 4737 section 3 counts it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil, inf, log
from random import Random

_ALMOST = 1e-7  # of a packet: a time computed twice differs by less
_REMEMBERED_EPOCHS = 8
_SAMPLES = 64
_DECIMALS = 7  # delays are told apart to a tenth of a microsecond


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a packet meets on its way that leaves at a time: `delay_seconds` then, `slope` more each second later.

    `jitters` are the most that each link adds, `loss_ratio` the chance to be lost on the way. Nothing arrives when
    `delivered` is false.
    """

    delivered: bool
    delay_seconds: float = 0.0
    slope: float = 0.0
    jitters: tuple[float, ...] = ()
    loss_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Epoch:
    """The time from `start` in which the conditions held; the first packet of it has the number `first`."""

    start: float
    first: int
    conditions: Conditions

    def delay(self, time: float) -> float:
        """The delay of a packet that leaves at `time`, without jitter."""
        return self.conditions.delay_seconds + self.conditions.slope * (time - self.start)


@dataclass(slots=True)
class Account:
    """What became of the packets so far; delays by how many packets had them."""

    lost: int = 0
    reordered: int = 0
    longest_gap: float = 0.0
    delays: dict[float, int] = field(default_factory=dict)

    def copy(self) -> Account:
        """An account to go on with, apart from this one."""
        return Account(self.lost, self.reordered, self.longest_gap, dict(self.delays))


class PacketStream:
    """`rate` packets a second from `start` on."""

    def __init__(
        self, start: float, rate: float, conditions: Conditions, *, seed: str, keep_delays: bool = True
    ) -> None:
        self.start = start
        self.rate = rate
        self._seed = seed
        self._keep_delays = keep_delays
        self._chance = Random(seed)  # noqa: S311 - a simulation's dice
        self._account = Account()
        self._last_arrival: float | None = None
        self._past: deque[tuple[Epoch, float, int]] = deque(maxlen=_REMEMBERED_EPOCHS)
        self.epoch = Epoch(start, 0, conditions)
        self._next_loss = self._draw(0)
        self._losses = 0
        self._last_loss = -2.0
        self._run = 0
        self._longest_run = 0
        """Packets lost by chance one after another, at most."""

    def sent(self, time: float) -> int:
        """How many packets have left before `time`."""
        left = ceil((time - self.start) * self.rate - _ALMOST)
        return max(0, left)  # asked for a million times: a call of max() is a third of it

    def time_of(self, number: int) -> float:
        """When a packet leaves."""
        return self.start + number / self.rate

    def change(self, time: float, conditions: Conditions) -> None:
        """Packets that leave from `time` on meet other conditions."""
        self._close(self._account, time)
        if self.sent(time) > self.epoch.first:
            self._past.append((self.epoch, time, self.sent(time)))
        self.epoch = Epoch(time, self.sent(time), conditions)
        if conditions.delivered:
            self._account.reordered += self._overtaken(self.epoch)
        self._next_loss = self._draw(self.epoch.first)
        self._losses = 0

    def lose_in_flight(self, first: int, last: int) -> None:
        """Packets from `first` up to before `last`, counted as delivered, have met their end on the way."""
        self._account.lost += max(0, last - first)

    def save_in_flight(self, first: int, last: int, delay: float) -> None:
        """Packets from `first` up to before `last`, counted as lost, have found another way."""
        count = max(0, last - first)
        self._account.lost -= count
        if count:
            self._account.delays[delay] = self._account.delays.get(delay, 0) + count

    def lost(self, time: float) -> int:
        """How many of the packets that have left before `time` never arrive."""
        return self._account.lost + self._lost_in_epoch(time)

    def account(self, time: float) -> Account:
        """The account at `time`, the present epoch included."""
        found = self._account.copy()
        last = self._close(found, time, keep=False)
        if not self.epoch.conditions.delivered:
            found.longest_gap = max(found.longest_gap, time - (self.start if last is None else last))
        return found

    def _lost_in_epoch(self, time: float) -> int:
        sent = self.sent(time)
        if not self.epoch.conditions.delivered:
            return sent - self.epoch.first
        if self._next_loss < sent:
            self._draw_until(sent)
        return self._losses

    def _draw_until(self, sent: int) -> None:
        """Draw every packet before that number that is lost by chance."""
        ratio = self.epoch.conditions.loss_ratio
        surviving = log(1 - ratio) if ratio < 1 else -inf
        dice, number, before = self._chance.random, self._next_loss, self._last_loss
        while number < sent:
            self._losses += 1
            self._run = self._run + 1 if number == before + 1 else 1
            self._longest_run = max(self._longest_run, self._run)
            before = number
            number += 1 + (int(log(1 - dice()) / surviving) if ratio < 1 else 0)
        self._next_loss, self._last_loss = number, before

    def _draw(self, number: float) -> float:
        """The number of the next packet that is lost by chance, from `number` on."""
        ratio = self.epoch.conditions.loss_ratio
        if not self.epoch.conditions.delivered or ratio <= 0:
            return inf
        if ratio >= 1:
            return number
        return number + int(log(1 - self._chance.random()) / log(1 - ratio))

    def _close(self, account: Account, time: float, *, keep: bool = True) -> float | None:
        """Count the present epoch up to `time` into the account; returns when the last packet arrived."""
        epoch, count = self.epoch, self.sent(time) - self.epoch.first
        lost = self._lost_in_epoch(time)
        account.lost += lost
        last = self._last_arrival
        if count and epoch.conditions.delivered and count > lost:
            first_time, last_time = self.time_of(epoch.first), self.time_of(epoch.first + count - 1)
            arrival, silent_since = first_time + epoch.delay(first_time), last
            if silent_since is None:  # nothing has come yet: the silence is that between the packets
                silent_since = self.start + epoch.delay(first_time)
            account.longest_gap = max(account.longest_gap, arrival - silent_since)
            if count > 1:
                account.longest_gap = max(account.longest_gap, (1 + self._longest_run) / self.rate)
            last = max(silent_since, last_time + epoch.delay(last_time))
            if self._keep_delays:
                self._spread(account, first_time, last_time, count - lost)
        if keep:
            self._last_arrival = last
        return last

    def _spread(self, account: Account, first: float, last: float, count: int) -> None:
        """Enter the delays of `count` packets by a sample of them."""
        conditions = self.epoch.conditions
        even = not conditions.slope and not conditions.jitters
        points = 1 if even else min(count, _SAMPLES)
        chance = Random(f"{self._seed} {self.epoch.first}")  # noqa: S311 - a simulation's dice
        for point in range(points):
            time = first + (last - first) * point / max(1, points - 1)
            jitter = sum(most * chance.random() for most in conditions.jitters)
            delay = round(self.epoch.delay(time) + jitter, _DECIMALS)
            share = count * (point + 1) // points - count * point // points
            account.delays[delay] = account.delays.get(delay, 0) + share

    def _overtaken(self, epoch: Epoch) -> int:
        """Packets of earlier epochs that arrive after the first packet of this one."""
        leaves = self.time_of(epoch.first)
        arrives = leaves + epoch.delay(leaves)
        overtaken = 0
        for past, end, after in self._past:
            if past.conditions.delivered and past.delay(end) > arrives - end:
                late = self.sent(arrives - past.delay(end) + _ALMOST / self.rate)
                count = after - max(past.first, late)
                overtaken += round(max(0, count) * (1 - past.conditions.loss_ratio))
        return overtaken
