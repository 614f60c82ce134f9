"""Owns a batch of requests that want the same scarce thing: from sealed bids over paths to offers that can be held.

What is for sale is the room of each link on each axis in each window; a request's bundles are the paths it could take,
reserved at what their bands say. Bids never reach `quote.price`: who wants a price before bidding gets everybody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.negotiation.batch import MOST_BUNDLES, Bundle, BundleBid, best_bundles
from controller.negotiation.mesh import Mesh, Window
from controller.negotiation.pricing import SECONDS_PER_HOUR
from controller.negotiation.quote import Offer, QuoteRefusal, Seller, ways
from controller.negotiation.request import ServiceRequest


@dataclass(frozen=True, slots=True)
class SealedBid:
    """What the whole of a request is worth to its asker."""

    request: ServiceRequest
    worth: Money


@dataclass(frozen=True, slots=True)
class Allotment:
    """Per request, by id: the offer at what its batch makes it pay, or why there is none, or None for outbid."""

    offers: Mapping[str, Offer]
    refused: Mapping[str, QuoteRefusal]
    outbid: tuple[str, ...]


def allot(batch: str, bids: Sequence[SealedBid], mesh: Mesh, seller: Seller, now: float) -> Allotment:
    """The best use of a tier's room for these requests; offers are not held yet, and all of them can be."""
    if len({bid.request.consumer for bid in bids}) < len(bids):
        raise InvalidInputError(f"somebody bids twice in the batch '{batch}'", remedy="bid once, with a label")
    options = {bid.request.id: ways(bid.request, mesh, seller, now) for bid in bids}
    refused = {name: found for name, found in options.items() if isinstance(found, QuoteRefusal)}
    possible = {name: found for name, found in options.items() if not isinstance(found, QuoteRefusal)}
    supply = _supply(mesh, possible)
    bundle_bids = [
        BundleBid(bid.request.id, tuple(_bundle(offer, mesh, bid) for offer in possible[bid.request.id][:MOST_BUNDLES]))
        for bid in bids
        if bid.request.id in possible
    ]
    result = best_bundles(batch, bundle_bids, supply, seller.catalogue.currency)
    offers = {name: _at(possible[name][number], result.pays[name], bids) for name, number in result.won.items()}
    return Allotment(offers, refused, tuple(sorted(set(possible) - set(offers))))


def _takes(offer: Offer, mesh: Mesh) -> dict[str, tuple[Window, int]]:
    """The resources of an offer by name, each with its window and link."""
    numbers = {id(window): number for number, window in enumerate(mesh.windows)}
    return {
        f"{numbers[id(window)]}/{axis}/{link}": (window, link)
        for window in offer.windows
        for axis in offer.holding.axes
        for link in offer.holding.links
    }


def _supply(mesh: Mesh, possible: Mapping[str, tuple[Offer, ...]]) -> dict[str, int]:
    supply: dict[str, int] = {}
    for offer in (offer for offers in possible.values() for offer in offers):
        for axis in offer.holding.axes:
            taken = {name: where for name, where in _takes(offer, mesh).items() if f"/{axis}/" in name}
            supply |= {name: max(0, int(window.room(axis, link))) for name, (window, link) in taken.items()}
    return supply


def _bundle(offer: Offer, mesh: Mesh, bid: SealedBid) -> Bundle:
    return Bundle(dict.fromkeys(_takes(offer, mesh), offer.holding.bit_rate), bid.worth, offer.quote.total)


def _at(offer: Offer, pays: Money, bids: Sequence[SealedBid]) -> Offer:
    """The offer at what the batch makes it pay."""
    seconds = next(bid.request.duration_seconds for bid in bids if bid.request.id == offer.quote.request)
    per_hour = pays.times(Fraction(SECONDS_PER_HOUR, seconds))
    return replace(offer, quote=replace(offer.quote, total=pays, price_per_hour=per_hour))
