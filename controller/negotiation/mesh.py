"""Owns a network that services are sold on: its paths, and what is scarce and held in each window of time.

What is sold can be held: a grade that a link has no room for is withdrawn in the step that took the room. Reopening and
bands wait for a tick, with loads from the forecasts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isnan

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.negotiation.bands import Level, banded, opened
from controller.negotiation.candidates import CandidatePaths
from controller.negotiation.catalogue import Axis, Catalogue, Tier
from controller.negotiation.holdings import Holding, Holdings
from controller.negotiation.market_book import AxisState, LinkState
from controller.negotiation.pricing import MarketPolicy
from controller.negotiation.scarcity import Loads, ShadowPrices, check_loads, stepped
from controller.topology.network import LinkId, Network
from controller.topology.te_database import TeDatabase

_BEGINNING = 0.0


@dataclass(frozen=True, slots=True)
class Published:
    """All that quotes are made from, per axis and link: the rank of its band; how many bandwidth grades are on sale."""

    bands: Mapping[Axis, tuple[int, ...]]
    on_sale: Mapping[Axis, tuple[int, ...]]


class Window:
    """A span of time (UTC seconds) on one network: shadow prices, bands, grades on sale, holdings."""

    def __init__(
        self, network: Network, catalogue: Catalogue, policy: MarketPolicy, starts: float = -inf, ends: float = inf
    ) -> None:
        if not starts < ends:
            raise InvalidInputError(f"a window cannot last from {starts} to {ends}", remedy="end it after its start")
        self.starts, self.ends = starts, ends
        links = len(network.arcs.links)
        self._names, self._capacities = network.arcs.ids, network.arcs.capacities
        self._policy = policy
        self._rates = [int(grade.bound) for grade in catalogue.grades[Axis.BANDWIDTH]]
        self.prices = ShadowPrices.nothing(links)
        self.holdings = Holdings(links)
        self._used: dict[Axis, list[float]] = {axis: [0.0] * links for axis in Axis}
        self._bands = {axis: [Level(0, _BEGINNING)] * links for axis in Axis}
        self._sales = {axis: [Level(len(self._rates), _BEGINNING)] * links for axis in Axis}
        self._open()

    def published(self) -> Published:
        """What quotes are made from, as it stands."""
        return self._published

    def tick(self, loads: Loads, now: float) -> None:
        """Look at what is expected: move prices, bands and what is on sale."""
        self.prices = stepped(self.prices, loads, self._capacities, self._policy.scarcity, self._names)
        for axis in Axis:
            pairs = zip(self._bands[axis], self.prices.by_axis[axis], strict=True)
            self._bands[axis] = [banded(level, price, now, self._policy.bands) for level, price in pairs]
        self.renew(loads, now)

    def renew(self, loads: Loads, now: float) -> None:
        """Other loads between two ticks: what is on sale follows, prices and bands stay."""
        check_loads(loads, len(self._capacities), self._names)
        self._used = {axis: [float(load) for load in loads[axis]] for axis in Axis}
        self.holdings.run_out(now)
        self._open(now)

    def hold(self, holding: Holding, now: float) -> None:
        """Hold it, and withdraw what does not fit any more."""
        self.holdings.hold(holding)
        self._narrow(holding, now)

    def buy(self, holding_id: str, reservations: Collection[str] = ()) -> Holding:
        """What was held is reserved from now on, under these names or its own; until the next look it counts here."""
        holding = self.holdings.buy(holding_id, reservations)
        for axis in holding.axes:
            for link, more in holding.more(axis).items():
                self._used[axis][link] += more
        return holding

    def restore(self, prices: ShadowPrices, published: Published, now: float) -> None:
        """As it was published before a restart; the next tick goes on from there."""
        self.prices = prices
        self._bands = {axis: [Level(rank, now) for rank in published.bands[axis]] for axis in Axis}
        self._sales = {axis: [Level(rank, now) for rank in published.on_sale[axis]] for axis in Axis}
        self._open(now)

    def state(self) -> dict[str, LinkState]:
        """Prices, bands and grades on sale, by link."""
        return {
            link: {
                axis: AxisState(
                    self.prices.by_axis[axis][position], self._bands[axis][position], self._sales[axis][position]
                )
                for axis in Axis
            }
            for position, link in enumerate(self._names)
        }

    def take_up(self, states: Mapping[str, LinkState]) -> None:
        """Begin where links were before; those that are not named begin with everything plentiful."""
        known = {position: states[link] for position, link in enumerate(self._names) if link in states}
        prices = {axis: list(self.prices.by_axis[axis]) for axis in Axis}
        for position, state in known.items():
            for axis in Axis:
                prices[axis][position] = state[axis].price
                self._bands[axis][position] = state[axis].band
                on_sale = state[axis].on_sale
                self._sales[axis][position] = Level(min(on_sale.rank, len(self._rates)), on_sale.since)
        self.prices = ShadowPrices({axis: tuple(each) for axis, each in prices.items()})
        self._publish()

    def room(self, axis: Axis, link: int) -> float:
        """What can still be sold of a link on an axis, in bit/s; below 0 when it is overfull."""
        return self._whole(axis, link) - self._used[axis][link] - self.holdings.held[axis][link]

    def _whole(self, axis: Axis, link: int) -> float:
        return self._policy.scarcity.targets[axis].share * self._capacities[link]

    def _opened(self, axis: Axis, link: int, level: Level, now: float) -> Level:
        room, whole = self.room(axis, link), self._whole(axis, link)
        return opened(level, room, self._rates, now, self._policy.bands, whole=whole)

    def _open(self, now: float = _BEGINNING) -> None:
        for axis, levels in self._sales.items():
            self._sales[axis] = [self._opened(axis, link, level, now) for link, level in enumerate(levels)]
        self._publish()

    def _narrow(self, holding: Holding, now: float) -> None:
        is_narrower = False
        for axis in holding.axes:
            levels = self._sales[axis]
            for link in holding.more(axis):
                level = levels[link]
                if level.rank and self._rates[level.rank - 1] > self.room(axis, link):
                    levels[link] = self._opened(axis, link, level, now)
                    is_narrower = True
        if is_narrower:
            self._publish()

    def _publish(self) -> None:
        self._published = Published(
            {axis: tuple(level.rank for level in levels) for axis, levels in self._bands.items()},
            {axis: tuple(level.rank for level in levels) for axis, levels in self._sales.items()},
        )


@dataclass(slots=True)
class Mesh:
    """A tier's network with its windows. `places` names nodes as requests do, where they are not called the same."""

    tier: Tier
    paths: CandidatePaths
    windows: Sequence[Window]
    places: Mapping[str, DeviceName] = field(default_factory=dict)

    @classmethod
    def of(cls, tier: Tier, database: TeDatabase, catalogue: Catalogue, policy: MarketPolicy) -> "Mesh":
        """A mesh with one window, of all time."""
        return cls(tier, CandidatePaths(database), (Window(database.network, catalogue, policy),))

    def node_of(self, place: str) -> DeviceName | None:
        """The node that serves a place; None when none does."""
        node = self.places.get(place, DeviceName(place))
        return node if node in self.paths.network.arcs.node_positions else None

    def joins(self, links: Sequence[LinkId], a: DeviceName, z: DeviceName) -> bool:
        """Whether these links lead between two nodes, either way."""
        known = self.paths.network.links
        if not links or links[0] not in known or links[-1] not in known:
            return False
        return {known[links[0]].source.node, known[links[-1]].target.node} == {a, z}

    def windows_of(self, start: float, duration_seconds: float) -> tuple[Window, ...]:
        """The windows that this time is in; none when it is not covered whole."""
        end = start + duration_seconds
        found = sorted(
            (window for window in self.windows if window.starts < end and start < window.ends),
            key=lambda window: window.starts,
        )
        covered = start
        for window in found:
            if window.starts > covered:
                return ()
            covered = max(covered, window.ends)
        return tuple(found) if covered >= end else ()


def expected_loads(database: TeDatabase, holdings: Holdings, forecast: Iterable[float]) -> dict[Axis, list[float]]:
    """Loads for a tick: of bandwidth the upper forecast of what links carry, or what is reserved where that is more.

    `forecast` is one value in bit/s per link, by position; NaN where nothing is known yet. Open quotes are no demand:
    else asking for prices would raise them.
    """
    loads = {axis: [float(rate) for rate in holdings.taken(database, axis)] for axis in Axis}
    pairs = zip(loads[Axis.BANDWIDTH], forecast, strict=True)
    loads[Axis.BANDWIDTH] = [reserved if isnan(upper) else max(reserved, upper) for reserved, upper in pairs]
    return loads
