"""Owns the pools that numbers are taken from: route distinguishers and targets, VLANs, VRF names, SRv6 functions.

Deterministic: the lowest free number, the same for the same key for as long as the key lives, free again once returned.
Allocation is split in two so that it can be an event: a `Draft` proposes, `IdentifierPools.apply` makes it hold.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.model.errors import BusyError

PoolName = str
Key = str
Allocation = tuple[PoolName, Key, int]

_RANGES = {
    "rd": (1, 2**32 - 1),
    "rt": (1, 2**32 - 1),
    "soo": (1, 2**32 - 1),
    "vlan": (2, 4094),
    "function": (256, 0x9FFF),  # above are the segments of routers and links
    "vrf": (1, 2**31),
    "slaac": (1, 2**31),
}
"""Lowest and highest number by kind; a pool is named `<kind>` or `<kind>/<scope>`."""


@dataclass(slots=True)
class _Pool:
    taken: dict[Key, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    """Returned numbers below `next`, sorted."""
    next: int = 1


@dataclass(slots=True)
class IdentifierPools:
    """All pools; changed by `apply` only."""

    pools: dict[PoolName, _Pool] = field(default_factory=dict)

    def get(self, pool: PoolName, key: Key) -> int | None:
        """The number a key holds."""
        found = self.pools.get(pool)
        return None if found is None else found.taken.get(key)

    def lowest_free(self, pool: PoolName, beside: set[int], start: int = 0) -> int:
        """The lowest number from `start` on that nobody holds and `beside` lacks; `BusyError` when there is none."""
        low, high = _RANGES[pool.partition("/")[0]]
        found = self.pools.get(pool)
        free = found.free if found else []
        for number in free[bisect_left(free, start) :]:
            if number not in beside:
                return number
        number = max(start, found.next if found else low)
        while number in beside:
            number += 1
        if number > high:
            raise BusyError(f"the identifier pool '{pool}' is exhausted ({low} to {high})", tag="resource-denied")
        return number

    def apply(self, allocated: Iterable[Allocation], returned: Iterable[Allocation]) -> None:
        """Make allocations and returns hold."""
        for pool, key, number in returned:
            self._give_back(pool, key, number)
        for pool, key, number in allocated:
            self._take(pool, key, number)

    def _take(self, pool: PoolName, key: Key, number: int) -> None:
        found = self.pools.setdefault(pool, _Pool(next=_RANGES[pool.partition("/")[0]][0]))
        found.taken[key] = number
        if number >= found.next:
            found.free.extend(range(found.next, number))
            found.next = number + 1
            return
        at = bisect_left(found.free, number)
        if found.free[at : at + 1] == [number]:
            del found.free[at]

    def _give_back(self, pool: PoolName, key: Key, number: int) -> None:
        found = self.pools.get(pool)
        if found is None or found.taken.pop(key, None) is None:
            return
        insort(found.free, number)
        while found.free and found.free[-1] == found.next - 1:
            found.next = found.free.pop()
        if not found.taken:
            del self.pools[pool]


@dataclass(slots=True)
class IdentifierDraft:
    """Allocations and returns of one change, on top of pools that stay as they are."""

    pools: IdentifierPools
    allocated: dict[tuple[PoolName, Key], int] = field(default_factory=dict)
    returned: dict[tuple[PoolName, Key], int] = field(default_factory=dict)
    relied: dict[tuple[PoolName, Key], int] = field(default_factory=dict)
    """Numbers that were held already and go on being used."""
    _beside: dict[PoolName, set[int]] = field(default_factory=dict)
    _start: dict[PoolName, int] = field(default_factory=dict)
    """No number below is free: what was proposed last, unless something was given up since."""

    def number(self, pool: PoolName, key: Key) -> int:
        """The number of a key: the one it holds, or the lowest free one."""
        proposed = self.allocated.get((pool, key))
        if proposed is not None:
            return proposed
        held = self.pools.get(pool, key)
        if held is not None:
            self.returned.pop((pool, key), None)
            self.relied[pool, key] = held
            return held
        beside = self._beside.setdefault(pool, set())
        number = self.pools.lowest_free(pool, beside, self._start.get(pool, 0))
        beside.add(number)
        self._start[pool] = number
        self.allocated[pool, key] = number
        return number

    def has_free(self, pool: PoolName) -> bool:
        """Whether a number is left."""
        try:
            self.pools.lowest_free(pool, self._beside.get(pool, set()), self._start.get(pool, 0))
        except BusyError:
            return False
        return True

    def release(self, pool: PoolName, key: Key) -> None:
        """Return a key's number; it is free for others once the change holds."""
        proposed = self.allocated.pop((pool, key), None)
        if proposed is not None:
            self._beside[pool].discard(proposed)
            self._start.pop(pool, None)
            return
        held = self.pools.get(pool, key)
        if held is not None:
            self.relied.pop((pool, key), None)
            self.returned[pool, key] = held
