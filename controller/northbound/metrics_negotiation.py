"""Owns the metrics of negotiation: offers and prices by class and band, refusals, money, how agreements fare.

Flows are counted from the log since the start of the process; what stands is read off the desks at each scrape.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.assurance.instance import InstanceState
from controller.model.money import Money
from controller.negotiation.agreement import Terms
from controller.negotiation.bands import BANDS, Band
from controller.negotiation.checks import Check
from controller.negotiation.dialogue import Stage
from controller.negotiation.guardrails import OfferCheck
from controller.negotiation.messages import MessageCheck
from controller.negotiation.quote import QuoteCheck
from controller.negotiation.records import Dialogue
from controller.negotiation.roles import Tool
from controller.ports import Event
from controller.runtime.negotiation import Negotiations
from controller.runtime.negotiation_house import EVENT_PREFIX

Json = Any
_PRICES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_OTHER = "other"
_NONE = "none"
"""Nothing was on offer."""
_CHECKS = frozenset({str(check) for kind in (Check, OfferCheck, MessageCheck, QuoteCheck) for check in kind})
_RESERVED = frozenset({Stage.RESERVED, Stage.AGREED, Stage.ORDERED, Stage.PROVISIONED})
_REFUSING = frozenset(
    f"{EVENT_PREFIX}{tool}"
    for tool in (Tool.REFUSE_OFFER, Tool.REFUSE_WALLET, Tool.REFUSE_CONSUMER, Tool.REFUSE_ORDER, Tool.TURN_AWAY)
)


@dataclass(slots=True, eq=False)
class NegotiationMetrics(Collector):
    """Rendered at each scrape; empty families where nothing is negotiated."""

    negotiations: Negotiations | None
    _offers: Counter[tuple[str, str]] = field(default_factory=Counter)
    _acceptances: Counter[tuple[str, str]] = field(default_factory=Counter)
    _refusals: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _changes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _prices: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """By class and band: offers in each bucket, then the sum."""

    def note_events(self, events: Sequence[Event]) -> None:
        """Count what agents did."""
        for event in events:
            if event.type.startswith(EVENT_PREFIX):
                self._note(event.type, event.data, event.stream.split("/")[1])

    def _note(self, type_: str, data: Json, party: str) -> None:
        said = data["arguments"]
        if type_ == f"{EVENT_PREFIX}{Tool.OFFER}":
            for terms in said["terms"]:
                self._note_offer(terms)
        elif type_ == f"{EVENT_PREFIX}{Tool.SIGN_AGREEMENT}":
            self._acceptances[_labels(said["terms"])] += 1
        elif type_ in _REFUSING:
            self._note_refusal(said, data["subject"], party)
        elif type_ == f"{EVENT_PREFIX}{Tool.PROVISION}" and said["action"] == "modify":
            outcome = "failed" if "refused" in data["result"] else "done"
            self._changes[self._class_of(said["agreement"]), said["strategy"], outcome] += 1

    def _note_refusal(self, said: Json, subject: str, party: str) -> None:
        """By the negotiation that it is about; those before it that were not written down one by one are about any."""
        check = said["check"] if said["check"] in _CHECKS else _OTHER
        houses = self.negotiations.houses() if self.negotiations else ()
        dialogue = next((house.desk.dialogue(subject) for house in houses if house.party == party), Dialogue(subject))
        bands = [band for terms in dialogue.offers for band in terms.quote.bands.values()]
        name = _class_asked(dialogue)
        known = name if name and self._is_sold(name) else _OTHER
        self._refusals[check, known, _scarcest(bands) if bands else _NONE] += 1
        if said.get("more"):
            self._refusals[check, _OTHER, _NONE] += said["more"]

    def _is_sold(self, name: str) -> bool:
        """Whether a class is one of the catalogue's or of a wallet's here: anybody can ask for one by any name."""
        plane = self.negotiations
        if plane is None:
            return False
        catalogues = [plane.business.agent.catalogue] if plane.business else []
        catalogues += [plane.network.market.seller.catalogue] if plane.network else []
        has_wallet = any(one.policy.purse_of(name) is not None for one in plane.consumers.values())
        return has_wallet or any(name in catalogue.classes for catalogue in catalogues)

    def _class_of(self, agreement: str) -> str:
        network = self.negotiations.network if self.negotiations else None
        standing = network.house.desk.agreements.get(agreement) if network else None
        return standing.terms.request.workload_class if standing else _OTHER

    def _note_offer(self, terms: Json) -> None:
        labels = _labels(terms)
        self._offers[labels] += 1
        price = float(terms["quote"]["price_per_hour"]["amount"])
        buckets = self._prices.setdefault(labels, [0.0] * (len(_PRICES) + 2))
        buckets[next((n for n, bound in enumerate(_PRICES) if price <= bound), len(_PRICES))] += 1
        buckets[-1] += price

    def describe(self) -> Iterable[Metric]:
        """Names only; nothing is looked at before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every family."""
        yield _counter("accord_negotiation_offers", "Terms offered.", ("class", "band"), self._offers)
        yield _counter("accord_negotiation_acceptances", "Terms agreed.", ("class", "band"), self._acceptances)
        words = "Refusals by the check that said no, the class that asked and the band that it was offered."
        yield _counter("accord_negotiation_refusals", words, ("check", "class", "band"), self._refusals)
        words = "Changes of live agreements, by how they came about and what came of them."
        yield _counter("accord_negotiation_changes", words, ("class", "strategy", "outcome"), self._changes)
        yield self._price_family()
        yield from self._money()
        yield self._states()
        yield self._links()

    def _price_family(self) -> Metric:
        words = "Price of an hour that was offered, in units of the currency."
        family = HistogramMetricFamily("accord_negotiation_price_per_hour", words, labels=["class", "band"])
        for labels, counts in self._prices.items():
            total, buckets = 0.0, []
            for bound, number in zip((*_PRICES, "+Inf"), counts, strict=False):
                total += number
                buckets.append((str(bound), total))
            family.add_metric(list(labels), buckets, counts[-1])
        return family

    def _money(self) -> Iterable[Metric]:
        business = self.negotiations.business if self.negotiations else None
        desk = business.house.desk if business else None
        open_ = [desk.dialogues[id_] for id_ in desk.open] if desk else []
        reserved = [
            (one.chosen, one.chosen.amount) for one in open_ if one.chosen is not None and one.stage in _RESERVED
        ]
        all_ = list(desk.agreements.values()) if desk else []
        bound = [(one.terms, one.terms.quote.total) for one in all_ if not one.is_over]
        # What was dealt in once is told as 0.
        nothing = [(one.terms, Money.zero(one.terms.quote.total.currency)) for one in all_]
        reserved_words = "Reserved for what is not provisioned yet."
        yield _sums("accord_negotiation_reserved_money", reserved_words, [*nothing, *reserved])
        yield _sums(
            "accord_negotiation_committed_money", "What agreements in force cost for their time.", nothing + bound
        )

    def _states(self) -> Metric:
        words = "Agreements by what assurance makes of them."
        family = GaugeMetricFamily("accord_negotiation_agreements", words, labels=["class", "state"])
        network = self.negotiations.network if self.negotiations else None
        loop = network.assurance.loop if network else ()
        counts = Counter((self._class_of(one.agreement), one.state) for one in loop)
        for name in sorted({name for name, _ in counts}):
            for state in InstanceState:
                if not state.is_final:
                    family.add_metric([name, state.value], counts[name, state])
        return family

    def _links(self) -> Metric:
        """What is published of scarcity; which links they are is nobody's business."""
        words = "Links that are sold, by the band that is published of them."
        family = GaugeMetricFamily("accord_market_links", words, labels=["tier", "axis", "band"])
        network = self.negotiations.network if self.negotiations else None
        for mesh in network.market.seller.meshes if network else ():
            for window in mesh.windows[:1]:
                for axis, ranks in window.published().bands.items():
                    for rank, band in enumerate(BANDS):
                        family.add_metric([mesh.tier.value, axis.value, band.value], ranks.count(rank))
        return family


def _class_asked(dialogue: Dialogue) -> str:
    """The workload class that a negotiation is about, as far as this party knows; empty where it does not."""
    request = dialogue.request or (dialogue.chosen.request if dialogue.chosen else None)
    if request is None and dialogue.variations:
        request = dialogue.variations[0].request
    return request.workload_class if request else ""


def _labels(terms: Json) -> tuple[str, str]:
    """The class, and the scarcest of the bands."""
    bands = [Band(band) for band in terms["quote"]["bands"].values()]
    return terms["request"]["workload_class"], _scarcest(bands)


def _scarcest(bands: Iterable[Band]) -> str:
    return max(bands, key=lambda band: band.rank, default=Band.BASELINE).value


def _counter(name: str, words: str, labels: tuple[str, ...], counts: Any) -> Metric:
    family = CounterMetricFamily(name, words, labels=list(labels))
    for values, number in sorted(counts.items()):
        family.add_metric(list(values), number)
    return family


def _sums(name: str, words: str, amounts: Iterable[tuple[Terms, Money]]) -> Metric:
    """By class, by the band that it was agreed at, and by currency."""
    family = GaugeMetricFamily(name, words, labels=["class", "band", "currency"])
    sums: dict[tuple[str, str, str], Money] = {}
    for terms, amount in amounts:
        labels = (terms.request.workload_class, _scarcest(terms.quote.bands.values()), amount.currency)
        sums[labels] = sums.get(labels, Money.zero(amount.currency)) + amount
    for labels, amount in sums.items():
        family.add_metric(list(labels), float(amount.amount))
    return family
