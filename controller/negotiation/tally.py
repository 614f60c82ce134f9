"""Owns the counts of what was asked and answered, by class and band, for metrics. No labels, no paths, no amounts."""

from collections import Counter
from dataclasses import dataclass, field

from controller.negotiation.bands import Band
from controller.negotiation.catalogue import Tier
from controller.negotiation.quote import Offer, Quote, QuoteCheck, QuoteRefusal
from controller.negotiation.request import ServiceRequest

Kind = tuple[str, Tier, Band]
"""A workload class, a tier, and the scarcest band of the quote."""


@dataclass(slots=True)
class QuoteTally:
    """Counters that only rise. `price_minor` adds up prices an hour, for means."""

    requests: int = 0
    offered: Counter[Kind] = field(default_factory=Counter)
    taken: Counter[Kind] = field(default_factory=Counter)
    price_minor: Counter[Kind] = field(default_factory=Counter)
    refused: Counter[QuoteCheck] = field(default_factory=Counter)
    run_out: int = 0

    def answered(self, request: ServiceRequest, answer: tuple[Offer, ...] | QuoteRefusal) -> None:
        """A request had this answer."""
        self.requests += 1
        if isinstance(answer, QuoteRefusal):
            self.refused[answer.check] += 1
            return
        for offer in answer:
            kind = kind_of(request.workload_class, offer.quote)
            self.offered[kind] += 1
            self.price_minor[kind] += offer.quote.price_per_hour.minor

    def bought(self, workload_class: str, quote: Quote) -> None:
        """A quote was taken."""
        self.taken[kind_of(workload_class, quote)] += 1

    def ran_out(self, quotes: int) -> None:
        """So many quotes were not taken in time."""
        self.run_out += quotes


def kind_of(workload_class: str, quote: Quote) -> Kind:
    """What a quote is counted under."""
    return workload_class, quote.tier, max(quote.bands.values(), key=lambda band: band.rank)
