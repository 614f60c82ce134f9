"""Owns who gets a scarce grade when several want it at once: sealed bids, one batch, prices that make truth pay.

For units that are all alike: the highest bids win and all pay the highest one that lost (Vickrey 1961, uniform price).
For bundles over several resources, as paths over links are: the allocation of the highest worth, by a mixed-integer
program, and each winner pays what the others lose by it (Vickrey, Clarke, Groves). Nobody can do better than bid what
it is worth to them, so long as each asker bids once: hence once per bidder, and only within one batch.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import gcd

from controller.model.errors import BusyError, InvalidInputError
from controller.model.money import Money
from controller.topology.linear_program import UNBOUNDED, Column, LinearProgram, Outcome

MOST_BIDS = 32
MOST_BUNDLES = 16
_MOST_WORTH = 10**9
"""Minor units of one bid: sums of these are exact in the solver's numbers."""
_TIME_LIMIT_SECONDS = 10.0
_TIE_BITS = 20
_LESS_THAN_ONE = 0.9
"""All worths are whole: nearer than one to the best is the best."""


@dataclass(frozen=True, slots=True)
class UnitBid:
    """What one unit is worth to a bidder."""

    bidder: str
    worth: Money


@dataclass(frozen=True, slots=True)
class UnitResult:
    """Who has a unit each, and what all of them pay."""

    winners: tuple[str, ...]
    price: Money


@dataclass(frozen=True, slots=True)
class Bundle:
    """So much of each resource, what it is worth, and what it costs at least."""

    takes: Mapping[str, int]
    worth: Money
    reserve: Money


@dataclass(frozen=True, slots=True)
class BundleBid:
    """A bidder takes one of these bundles or none."""

    bidder: str
    bundles: tuple[Bundle, ...]


@dataclass(frozen=True, slots=True)
class BundleResult:
    """Per winner the bundle by its position and what is paid; `worth` is that of the whole allocation."""

    won: Mapping[str, int]
    pays: Mapping[str, Money]
    worth: Money


def uniform_price(batch: str, bids: Sequence[UnitBid], units: int, reserve: Money) -> UnitResult:
    """Units to the highest bids at or above the reserve; ties are drawn by the name of the batch."""
    if type(units) is not int or units < 0:
        raise InvalidInputError(f"the batch '{batch}' has {units} units", remedy="give a whole number of 0 or more")
    _check_bidders(batch, [bid.bidder for bid in bids])
    for bid in bids:
        _check_worth(batch, bid.bidder, bid.worth, reserve)
    standing = [bid for bid in bids if bid.worth >= reserve]
    standing.sort(key=lambda bid: (-bid.worth.minor, _draw(batch, bid.bidder, 0), bid.bidder))
    winners, losers = standing[:units], standing[units:]
    price = losers[0].worth if losers else reserve
    return UnitResult(tuple(bid.bidder for bid in winners), price)


def best_bundles(batch: str, bids: Sequence[BundleBid], supply: Mapping[str, int], currency: str) -> BundleResult:
    """The allocation of the highest worth above the reserves; each winner pays its reserve and what the others lose.

    The order of the bids does not matter; allocations of the same worth are drawn by the name of the batch.
    """
    _check_bidders(batch, [bid.bidder for bid in bids])
    for bid in bids:
        _check_bundles(batch, bid, supply, currency)
    ordered = sorted(bids, key=lambda bid: bid.bidder)
    program = _Allocation(batch, ordered, supply)
    best = program.best()
    won = program.drawn(best)
    pays = {}
    for bidder, number in won.items():
        bundle = program.bundle(bidder, number)
        others = best - _gain(bundle)
        pays[bidder] = Money(bundle.reserve.minor + program.best(without=bidder) - others, currency)
    worth = sum(program.bundle(bidder, number).worth.minor for bidder, number in won.items())
    return BundleResult(won, pays, Money(worth, currency))


def _gain(bundle: Bundle) -> int:
    return bundle.worth.minor - bundle.reserve.minor


class _Allocation:
    """Rows: one per resource that is asked for (at most its supply), one per bidder (at most one bundle)."""

    def __init__(self, batch: str, bids: Sequence[BundleBid], supply: Mapping[str, int]) -> None:
        self._batch = batch
        self._bids = {bid.bidder: bid for bid in bids}
        self._choices = [
            (bid.bidder, number) for bid in bids for number, bundle in enumerate(bid.bundles) if _gain(bundle) >= 0
        ]
        self._resources = sorted({name for choice in self._choices for name in self.bundle(*choice).takes})
        # In units of what they have in common, a row's numbers are small and whole, and the solver's slack is no unit.
        self._unit = {name: gcd(*self._taken(name)) or 1 for name in self._resources}
        self._supply = supply

    def bundle(self, bidder: str, number: int) -> Bundle:
        return self._bids[bidder].bundles[number]

    def best(self, without: str = "") -> int:
        """The highest sum of worths above reserves, in minor units."""
        chosen = self._solved([_gain(self.bundle(*choice)) for choice in self._choices], without)
        return sum(_gain(self.bundle(*choice)) for choice in chosen)

    def drawn(self, best: int) -> dict[str, int]:
        """Of the allocations that reach `best` the one that the draw likes most."""
        weights = [_draw(self._batch, *choice) for choice in self._choices]
        return dict(self._solved(weights, at_least=best))

    def _solved(self, weights: Sequence[int], without: str = "", at_least: int | None = None) -> list[tuple[str, int]]:
        if not self._choices:
            return []
        program = LinearProgram(_TIME_LIMIT_SECONDS, gap=_LESS_THAN_ONE)
        resources = [(0.0, float(self._supply[name] // self._unit[name])) for name in self._resources]
        bidders = [(0.0, 0.0 if bidder == without else 1.0) for bidder in self._bids]
        floor = -UNBOUNDED if at_least is None else at_least - 0.5
        program.add_rows([*resources, *bidders, (floor, UNBOUNDED)])
        program.add_columns([self._column(*pair) for pair in zip(self._choices, weights, strict=True)])
        if program.solve() is not Outcome.OPTIMAL:
            raise BusyError(f"the batch '{self._batch}' was not allocated in time", remedy="make smaller batches")
        return [choice for choice, value in zip(self._choices, program.values, strict=True) if value > 0.5]

    def _column(self, choice: tuple[str, int], weight: int) -> Column:
        bundle = self.bundle(*choice)
        row_of = {name: row for row, name in enumerate(self._resources)}
        bidder_row = len(self._resources) + list(self._bids).index(choice[0])
        last_row = len(self._resources) + len(self._bids)
        rows = [*(row_of[name] for name in bundle.takes), bidder_row, last_row]
        factors = [*(amount / self._unit[name] for name, amount in bundle.takes.items()), 1.0, float(_gain(bundle))]
        return Column(-float(weight), 1.0, rows, factors, is_integer=True)

    def _taken(self, name: str) -> Iterable[int]:
        return (self.bundle(*choice).takes.get(name, 0) for choice in self._choices)


def _draw(batch: str, bidder: str, number: int) -> int:
    """A lot that nobody can choose, because the batch has a part in it, and that is the same every time."""
    digest = sha256(f"{batch}\0{bidder}\0{number}".encode()).digest()
    return 1 + int.from_bytes(digest[:4]) % (1 << _TIE_BITS)


def _check_bidders(batch: str, bidders: Sequence[str]) -> None:
    if len(bidders) > MOST_BIDS:
        raise InvalidInputError(
            f"the batch '{batch}' has {len(bidders)} bids", remedy=f"at most {MOST_BIDS} fit in one"
        )
    if twice := [bidder for bidder, times in Counter(bidders).items() if times > 1]:
        raise InvalidInputError(f"'{twice[0]}' bids twice in the batch '{batch}'", remedy="bid once")


def _check_worth(batch: str, bidder: str, worth: Money, reserve: Money) -> None:
    if worth.currency != reserve.currency:
        raise InvalidInputError(f"'{bidder}' bids {worth} in the batch '{batch}'", remedy=f"bid in {reserve.currency}")
    if not 0 <= worth.minor <= _MOST_WORTH or not 0 <= reserve.minor <= _MOST_WORTH:
        raise InvalidInputError(
            f"'{bidder}' bids {worth} over {reserve} in the batch '{batch}'",
            remedy=f"bid from nothing to {_MOST_WORTH} minor units",
        )


def _check_bundles(batch: str, bid: BundleBid, supply: Mapping[str, int], currency: str) -> None:
    if len(bid.bundles) > MOST_BUNDLES:
        raise InvalidInputError(f"'{bid.bidder}' bids for {len(bid.bundles)} bundles in the batch '{batch}'")
    for bundle in bid.bundles:
        _check_worth(batch, bid.bidder, bundle.worth, Money(bundle.reserve.minor, currency))
        _check_worth(batch, bid.bidder, bundle.reserve, Money.zero(currency))
        for name, amount in bundle.takes.items():
            if supply.get(name, -1) < 0 or type(amount) is not int or amount <= 0:
                raise InvalidInputError(
                    f"'{bid.bidder}' bids for {amount} of '{name}' in the batch '{batch}'",
                    remedy="name what is for sale, and how much of it in whole units",
                )
