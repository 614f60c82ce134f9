"""Owns quotes: a price that binds until it runs out, for the cheapest path that keeps what the request asks.

Made from the request, the catalogue and what is published (`mesh.Published`), and from nothing else: neither a budget
nor how full a link is can show in one. What goes to the asker is the `Quote`; where it would run stays here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256
from itertools import count
from math import inf
from typing import Any

from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.negotiation.bands import WITHDRAWN_RANK, Band
from controller.negotiation.candidates import Candidate
from controller.negotiation.catalogue import Axis, Catalogue, Offering, Tier
from controller.negotiation.fields import Fields
from controller.negotiation.holdings import NOTHING_OWN, Holding, Own
from controller.negotiation.mesh import Mesh, Window
from controller.negotiation.pricing import SECONDS_PER_HOUR, MarketPolicy, bands_of
from controller.negotiation.request import ServiceRequest

_CLOCKS_APART_SECONDS = 300.0


class QuoteCheck(StrEnum):
    """Why there is no quote, from what is wrong with the request to what the network does not have."""

    WORKLOAD_CLASS = "workload-class"
    START = "start"
    PLACE = "place"
    OPEN_QUOTES = "open-quotes"
    SERVICE = "service"
    PATH = "path"
    WINDOW = "window"
    AMOUNT = "amount"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class QuoteRefusal:
    """No quote: what was looked at, and a sentence that names it."""

    check: QuoteCheck
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What the asker gets. `path` is a handle that says nothing; `reservation` is what holds the capacity.

    However short the service, `total` is at least the currency's smallest unit.
    """

    id: str
    request: str
    request_digest: str
    offering: str
    tier: Tier
    bit_rate: int
    price_per_hour: Money
    total: Money
    bands: Mapping[Axis, Band]
    valid_until: float
    reservation: str
    path: str

    def to_json(self) -> dict[str, Any]:
        """The form on the wire."""
        return {
            "id": self.id,
            "request": self.request,
            "request_digest": self.request_digest,
            "offering": self.offering,
            "tier": self.tier.value,
            "bit_rate": self.bit_rate,
            "price_per_hour": self.price_per_hour.to_json(),
            "total": self.total.to_json(),
            "bands": {axis.value: band.value for axis, band in self.bands.items()},
            "valid_until": self.valid_until,
            "reservation": self.reservation,
            "path": self.path,
        }

    @classmethod
    def from_json(cls, document: object) -> "Quote":
        """Read what `to_json` writes and nothing else; `InvalidInputError` names what is not as it should be."""
        read = Fields(document, cls.__slots__)
        bands = read.object("bands")
        of_axis = Fields(bands, (), tuple(Axis))
        return cls(
            id=read.name("id"),
            request=read.name("request"),
            request_digest=read.name("request_digest"),
            offering=read.name("offering"),
            tier=read.word("tier", Tier),
            bit_rate=read.whole("bit_rate"),
            price_per_hour=Money.from_json(read.object("price_per_hour")),
            total=Money.from_json(read.object("total")),
            bands={Axis(axis): of_axis.word(axis, Band) for axis in bands},
            valid_until=read.time("valid_until"),
            reservation=read.name("reservation"),
            path=read.name("path"),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A quote with what stays inside: the path it would take, the windows it is in, what it holds there."""

    quote: Quote
    path: Candidate
    windows: tuple[Window, ...]
    holding: Holding


@dataclass(frozen=True, slots=True)
class Seller:
    """What an operator sells with: its catalogue, how its prices move, and the networks it has."""

    catalogue: Catalogue
    policy: MarketPolicy
    meshes: tuple[Mesh, ...]


def price(
    request: ServiceRequest, seller: Seller, now: float, instead_of: str = ""
) -> tuple[Offer, ...] | QuoteRefusal:
    """One offer for each tier that has the service, cheapest first; else what stands in the way.

    The same request at the same time gives the same quotes, by name too. Nothing is held before `hold`. `instead_of`
    names the reservation of a running agreement that this is to replace: what that one has is not withdrawn from it,
    and of its links only what it would take beyond that has to be free.
    """
    if request.workload_class not in seller.catalogue.classes:
        return QuoteRefusal(QuoteCheck.WORKLOAD_CLASS, f"there is no workload class '{request.workload_class}'")
    if request.start < now - _CLOCKS_APART_SECONDS:
        return QuoteRefusal(QuoteCheck.START, f"the request '{request.id}' starts {now - request.start:.0f} s ago")
    asked = [mesh for mesh in seller.meshes if request.tier in {None, mesh.tier}]
    answers = [_on(mesh, request, seller, now, instead_of) for mesh in asked]
    offers = [answer for answer in answers if isinstance(answer, Offer)]
    refusals = [answer for answer in answers if isinstance(answer, QuoteRefusal)]
    if offers:
        return tuple(sorted(offers, key=lambda offer: (offer.quote.total.minor, offer.quote.tier)))
    unsold = f"the tier '{request.tier}' is not sold here" if request.tier else "no network is known yet to sell"
    nothing = QuoteRefusal(QuoteCheck.SERVICE, unsold)
    return max(refusals, key=lambda each: _ORDER[each.check], default=nothing)


_ORDER = {check: number for number, check in enumerate(QuoteCheck)}


def hold(offer: Offer, now: float) -> None:
    """Hold what the offer promises until it runs out."""
    for window in offer.windows:
        window.hold(offer.holding, now)


def ways(request: ServiceRequest, mesh: Mesh, seller: Seller, now: float) -> tuple[Offer, ...] | QuoteRefusal:
    """An offer for each path of a tier that the service could take, quickest first, at what each costs by its bands."""
    if request.workload_class not in seller.catalogue.classes:
        return QuoteRefusal(QuoteCheck.WORKLOAD_CLASS, f"there is no workload class '{request.workload_class}'")
    search = _search(mesh, request, seller, "")
    if isinstance(search, QuoteRefusal):
        return search
    each_by_itself = (_cheapest((candidate,), search.wanted, seller.policy) for candidate in search.candidates)
    chosen = [choice for choice in each_by_itself if isinstance(choice, _Choice)]
    answers = [_offer(request, choice, seller.policy, now) for choice in chosen]
    offers = tuple(answer for answer in answers if isinstance(answer, Offer))
    if offers:
        return offers
    refused = _on(mesh, request, seller, now)
    return (refused,) if isinstance(refused, Offer) else refused


def _on(mesh: Mesh, request: ServiceRequest, seller: Seller, now: float, instead_of: str = "") -> Offer | QuoteRefusal:
    """The tier's offer."""
    search = _search(mesh, request, seller, instead_of)
    if isinstance(search, QuoteRefusal):
        return search
    chosen = _cheapest(search.candidates, search.wanted, seller.policy)
    if isinstance(chosen, _NoWay):
        return QuoteRefusal(chosen.check, f"{chosen.what} of the {mesh.tier} tier from {request.a} to {request.z}")
    return _offer(request, chosen, seller.policy, now)


def _search(mesh: Mesh, request: ServiceRequest, seller: Seller, instead_of: str) -> "_Search | QuoteRefusal":
    """What is wanted of a tier, and over which paths it could go."""
    ends = mesh.node_of(request.a), mesh.node_of(request.z)
    if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
        place = request.a if ends[0] is None else request.z
        return QuoteRefusal(QuoteCheck.PLACE, f"the {mesh.tier} tier does not serve the place '{place}'")
    latency = inf if request.latency_seconds is None else request.latency_seconds
    offering = seller.catalogue.cheapest(mesh.tier, request.bandwidth, latency, request.availability)
    if offering is None:
        return QuoteRefusal(QuoteCheck.SERVICE, f"the {mesh.tier} tier has no service as good as '{request.id}' asks")
    windows = mesh.windows_of(request.start, request.duration_seconds)
    if not windows:
        return QuoteRefusal(QuoteCheck.WINDOW, f"the {mesh.tier} tier is not sold for the whole of '{request.id}'")
    most = seller.policy.quotes.most_open
    if any(window.holdings.held_by(request.consumer) >= most for window in windows):
        return QuoteRefusal(QuoteCheck.OPEN_QUOTES, f"'{request.consumer}' has {most} quotes open: let some run out")
    own = _own(windows, instead_of)
    wanted = _Wanted(offering, windows, own)
    return _Search(wanted, mesh.paths.between(ends[0], ends[1]))


def _own(windows: Sequence[Window], reservation: str) -> Own:
    """What a running agreement has in all of these windows."""
    found = [window.holdings.own(reservation) for window in windows] if reservation else []
    if not found:
        return NOTHING_OWN
    return Own(
        frozenset.intersection(*(each.links for each in found)),
        min(each.bit_rate for each in found),
        frozenset.intersection(*(each.axes for each in found)),
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A service in its windows; `own` is what the asker has."""

    offering: Offering
    windows: tuple[Window, ...]
    own: Own

    def more_on(self, axis: Axis, link: int) -> int:
        """What it takes there beyond what the asker has, in bit/s."""
        return max(0, self.offering.bit_rate - self.own.rate_on(axis, link))

    def fits(self, axis: Axis, link: int, window: Window) -> bool:
        """Whether there is room for what it takes beyond the asker's own; where that is nothing, there is none."""
        return self.own.rate_on(axis, link) > 0 and self.more_on(axis, link) <= max(0.0, window.room(axis, link))


@dataclass(frozen=True, slots=True)
class _Search:
    wanted: _Wanted
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What is wanted, on a path; the steps of its surcharge, and its bands by rank."""

    wanted: _Wanted
    path: Candidate
    steps: int
    ranks: Mapping[Axis, int]


@dataclass(frozen=True, slots=True)
class _NoWay:
    check: QuoteCheck
    what: str


def _cheapest(candidates: Sequence[Candidate], wanted: _Wanted, policy: MarketPolicy) -> _Choice | _NoWay:
    """The path of the lowest price, of several the one it is on, else the quickest; or why there is none."""
    best: _Choice | None = None
    gone: Axis | None = None
    for candidate in candidates:
        if not _keeps(candidate, wanted.offering):
            continue
        ranks = _ranks(candidate, wanted)
        if isinstance(ranks, Axis):
            gone = ranks
            continue
        steps = sum(policy.tariff.steps[axis][rank] for axis, rank in ranks.items())
        is_own = bool(wanted.own.links) and wanted.own.links.issuperset(candidate.links)
        if best is None or (steps, not is_own) < (best.steps, True):
            best = _Choice(wanted, candidate, steps, ranks)
            if not steps and (is_own or not wanted.own.links):
                break
    if best is not None:
        return best
    offering = wanted.offering
    if gone is None:
        return _NoWay(QuoteCheck.PATH, f"'{offering.id}' is kept by no path")
    return _NoWay(QuoteCheck.WITHDRAWN, f"nothing is left of the {gone} grade '{offering.grade(gone).name}'")


def _keeps(candidate: Candidate, offering: Offering) -> bool:
    is_quick = candidate.delay_seconds <= offering.latency.bound
    return is_quick and candidate.availability >= offering.availability.bound


def _ranks(candidate: Candidate, wanted: _Wanted) -> dict[Axis, int] | Axis:
    """The path's band on each axis that the service takes of: its scarcest link's, in its scarcest window.

    An axis by itself is one on which it is withdrawn.
    """
    ranks, of_links = {}, candidate.of_links
    rank = wanted.offering.bandwidth.rank
    for axis in wanted.offering.axes:
        highest = 0
        for window in wanted.windows:
            published = window.published()
            on_sale, bands = published.on_sale[axis], published.bands[axis]
            if min(of_links(on_sale)) <= rank and _is_gone(candidate, axis, window, wanted):
                return axis
            scarcest = max(of_links(bands))
            if scarcest >= WITHDRAWN_RANK:
                scarcest = max(_own_rank(axis, link, bands[link], wanted) for link in candidate.links)
            highest = max(highest, scarcest)
        if highest >= WITHDRAWN_RANK:
            return axis
        ranks[axis] = highest
    return ranks


def _is_gone(candidate: Candidate, axis: Axis, window: Window, wanted: _Wanted) -> bool:
    on_sale, rank = window.published().on_sale[axis], wanted.offering.bandwidth.rank
    return any(on_sale[link] <= rank and not wanted.fits(axis, link, window) for link in candidate.links)


def _own_rank(axis: Axis, link: int, rank: int, wanted: _Wanted) -> int:
    """A link's band; what one has there is not withdrawn from one, and has the dearest price that is asked."""
    return rank if wanted.more_on(axis, link) else min(rank, WITHDRAWN_RANK - 1)


def _offer(request: ServiceRequest, chosen: _Choice, policy: MarketPolicy, now: float) -> Offer | QuoteRefusal:
    wanted, offering = chosen.wanted, chosen.wanted.offering
    base, factor = offering.price_per_hour, policy.tariff.factor(chosen.steps)
    try:
        per_hour = base.times(factor)
        total = max(base.times(factor * Fraction(request.duration_seconds, SECONDS_PER_HOUR)), Money(1, base.currency))
    except InvalidInputError as error:
        return QuoteRefusal(QuoteCheck.AMOUNT, f"the price of '{request.id}' cannot be written: {error.message}")
    valid_until = now + policy.quotes.valid_seconds
    name = _name(f"{request.digest} {offering.id} {valid_until} {per_hour}", chosen)
    quote = Quote(
        id=f"quote-{name[:24]}",
        request=request.id,
        request_digest=request.digest,
        offering=offering.id,
        tier=offering.tier,
        bit_rate=offering.bit_rate,
        price_per_hour=per_hour,
        total=total,
        bands=bands_of(chosen.ranks),
        valid_until=valid_until,
        reservation=f"hold-{name[:24]}",
        path=f"path-{name[24:40]}",
    )
    links, rate = chosen.path.links, offering.bit_rate
    own = replace(wanted.own, links=wanted.own.links.intersection(links))
    holding = Holding(quote.reservation, request.consumer, links, rate, offering.axes, valid_until, own)
    return Offer(quote, chosen.path, wanted.windows, holding)


def _name(said: str, chosen: _Choice) -> str:
    """A digest of what the asker sees, and not of the path: whoever knows the network could try them all.

    Where the same is held on another path already, this is another quote.
    """
    for number in count():
        name = sha256(f"{said} {number}".encode()).hexdigest()
        held = [window.holdings.open.get(f"hold-{name[:24]}") for window in chosen.wanted.windows]
        if all(each is None or each.links == chosen.path.links for each in held):
            return name
    raise AssertionError("counting does not end")
