"""Owns what began a change of a service: a carrier, a change of the controller's own, or what localisation found.

What was moved at that time is told by the rates of links: one that was left, and the one that took most of its load.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from controller.assurance.book import AssuranceBook, Carrier
from controller.assurance.decision import NO_CAUSE
from controller.assurance.narrative import CauseEvent, EventReference, LoadMove
from controller.assurance.own_change import OwnChange
from controller.mapping.fragment import service_id
from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName, TransactionId
from controller.runtime.assurance import Assurance
from controller.telemetry.sample import Sample, SeriesKey
from controller.topology.network import Link, LinkId, Network
from controller.transaction.history import TransactionSummary

_BEFORE_SECONDS = 60.0
"""How long before a change what began it may have happened."""
_LATE_SECONDS = 5.0
"""How much later than what it began: routers' clocks differ from ours, and what happened has to be told."""
_FOUND_SECONDS = 120.0
"""How long after a change localisation may name what began it."""
_NOISE = 1.02
"""Rates that were measured at two times add up to no more than this."""
_NEGOTIATED = "oss-planning"
"""Who carries out what was negotiated."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What began a change, what the controller did about it, and the load that was moved."""

    cause: CauseEvent | None = None
    then: CauseEvent | None = None
    moved: LoadMove | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A series before and after it changed: of packets between two routers where `ends` are given."""

    before: Sequence[Sample]
    during: Sequence[Sample]
    ends: tuple[DeviceName, DeviceName] | None = None


@dataclass(frozen=True, slots=True)
class Origins:
    """Looks for origins in the book, the series and the topology."""

    assurance: Assurance

    def of(self, agreement: str, change: Turn) -> Origin:
        """What began a change of what is measured of a service."""
        last, first = change.before[-1].source_time, change.during[0].source_time
        carrier = self._carrier(last - _BEFORE_SECONDS, last - self._interval, first + _LATE_SECONDS)
        own = self._own(agreement, carrier.time if carrier else last - self._interval, first + _LATE_SECONDS)
        if carrier is not None:
            moved = None if carrier.is_up else self._moved(agreement, change, carrier)
            return Origin(self._lost(carrier), self._changed(own) if own else None, moved)
        if own is not None:
            return Origin(self._changed(own), None, self._shifted(change, own))
        return Origin(self._diagnosed(agreement, last, first) or self._found(agreement, first))

    # -- what it was -------------------------------------------------------------------------------------------

    @property
    def _book(self) -> AssuranceBook:
        return self.assurance.world.assurance

    @property
    def _network(self) -> Network:
        return self.assurance.measures.topology.network

    @property
    def _interval(self) -> float:
        return self.assurance.measures.series().interval_seconds

    def _carrier(self, begin: float, near: float, end: float) -> Carrier | None:
        """The first that was lost where the level changed, as one that flaps is back soon; or else the last of all."""
        found = [one for one in self._book.carriers if begin <= one.time <= end and one.links]
        lost = (one for one in found if one.time >= near and not one.is_up)
        return next(lost, found[-1] if found else None)

    def _own(self, agreement: str, begin: float, end: float) -> OwnChange | None:
        """Our last change of this service, or else of a tunnel, whose load may have come onto its links."""
        found = [one for one in self._book.changes if begin <= one.time and self._started(one) <= end]
        of_it = [one for one in found if agreement in one.services]
        return next(reversed(of_it or [one for one in found if one.tunnels]), None)

    def _started(self, own: OwnChange) -> float:
        """Devices are changed before their transaction is known to have committed."""
        known = self._transaction(own)
        return known.started if known else own.time

    def _transaction(self, own: OwnChange) -> TransactionSummary | None:
        try:
            return self.assurance.world.transactions.get(TransactionId(own.transaction))
        except NotFoundError:
            return None

    def _lost(self, carrier: Carrier) -> CauseEvent:
        again = [
            one
            for one in self._book.carriers
            if one.links == carrier.links and not one.is_up and abs(one.time - carrier.time) <= _BEFORE_SECONDS
        ]
        often = f" ({len(again)} times within a minute)" if len(again) > 1 else ""
        what = "got its carrier back" if carrier.is_up else f"lost carrier{often}"
        return CauseEvent(EventReference(carrier.position), carrier.time, self._wire(carrier), what)

    def _changed(self, own: OwnChange) -> CauseEvent:
        whose = " of a renegotiation" if own.actor == _NEGOTIATED else ""
        what = f"moved {', '.join(own.tunnels)}" if own.tunnels else f"changed {', '.join(own.services)}"
        known = self._transaction(own)
        told = f"{what} ({known.summary})" if known else what
        # It was begun before the first of what it changed was measured, whenever its end was recorded.
        return CauseEvent(EventReference(own.position), self._started(own), f"{own.transaction}{whose}", told)

    def _found(self, agreement: str, since: float) -> CauseEvent | None:
        """What localisation found for the decision about this risk."""
        kept = reversed(self._book.decisions(agreement))
        last = next((one for one in kept if one.data["time"] >= since), None)
        if last is None or not last.data["cause"]:
            return None
        reference = EventReference(last.position)
        if last.data["cause"] == NO_CAUSE:
            return CauseEvent(reference, since)
        confidence = float(last.data.get("confidence", 0.0))
        return CauseEvent(reference, since, last.data["cause"], _wrong(last.data["cause"]), confidence)

    def _diagnosed(self, agreement: str, last: float, first: float) -> CauseEvent | None:
        """What localisation found about that time, whether or not anything had to be decided."""
        begin, end = last - _BEFORE_SECONDS, first + _FOUND_SECONDS
        named = (one for one in self._book.diagnoses if agreement in one.data["services"] and begin <= one.time <= end)
        for one in named:
            surest = one.data["causes"][0]
            cause, confidence = surest["cause"], float(surest["confidence"])
            return CauseEvent(EventReference(one.position), first, cause, _wrong(cause), confidence)
        return None

    def _wire(self, carrier: Carrier) -> str:
        for name in sorted(carrier.links):
            if (link := self._network.links.get(LinkId(name))) is not None:
                return "-".join(sorted((link.source.node, link.target.node)))
        return min(carrier.links)

    # -- what it moved -----------------------------------------------------------------------------------------

    def _moved(self, agreement: str, change: Turn, carrier: Carrier) -> LoadMove | None:
        """Off the link that was lost, onto one of those that the service's packets take now."""
        lost, others = self._links(carrier.links), list(self._network.links.values())
        head, tail = change.ends or (None, None)
        if head is not None and tail is not None:
            lost = sorted(lost, key=lambda link: len(self.assurance.measures.path(head, link.source.node)))[:1]
            way = self.assurance.measures.way(service_id(agreement), head, tail)
            others = list(way) or others
        return self._grown(change, lost, [link for link in others if link.id not in carrier.links], carrier.time)

    def _shifted(self, change: Turn, own: OwnChange) -> LoadMove | None:
        """Off the links that tunnels have left, onto those that they have taken."""
        return self._grown(change, self._links(own.left), self._links(own.taken), own.time)

    def _links(self, names: Iterable[str]) -> list[Link]:
        known = self._network.links
        return [known[LinkId(name)] for name in names if LinkId(name) in known]

    def _grown(self, change: Turn, lost: Sequence[Link], others: Sequence[Link], at: float) -> LoadMove | None:
        """Onto the link that took most; of those that took the same, one within the network."""
        whole = max((self._rates(link, change, at)[0] for link in lost), key=_mean, default=[])
        if not others or _mean(whole) <= 0:
            return None
        moves = list(self._onto(change, others, whole, at))
        if not moves:
            return None
        inner = self._inner()
        link, before, during = max(
            moves, key=lambda one: (_share(one[1], one[2], whole), one[0].id in inner, one[0].id)
        )
        return LoadMove(f"{link.source.node}-{link.target.node}", before, during, whole)

    def _onto(
        self, change: Turn, others: Sequence[Link], whole: Sequence[Sample], at: float
    ) -> Iterator[tuple[Link, list[Sample], list[Sample]]]:
        for link in others:
            before, during = self._rates(link, change, at)
            if before and during and 0 < _mean(during) - _mean(before) <= _NOISE * _mean(whole):
                yield link, before, during

    def _inner(self) -> set[LinkId]:
        edges = {access.device for one in self.assurance.standings for access in self.assurance.terms(one).accesses}
        return {link.id for link in self._network.links.values() if not {link.source.node, link.target.node} & edges}

    def _rates(self, link: Link, change: Turn, at: float) -> tuple[list[Sample], list[Sample]]:
        """A link's rates before and meanwhile. A rate is of the time up to it: what spans the move is of neither."""
        key = SeriesKey(link.source.node, "out-octets", link.source.name)
        first, since, last = change.before[0].source_time, change.during[0].source_time, change.during[-1].source_time
        samples = self.assurance.measures.series().store.samples(key, first, last)
        usable = [one for one in samples if one.counts_for_billing]
        until = min(at, change.before[-1].source_time)
        return [one for one in usable if one.source_time <= until], [one for one in usable if one.source_time > since]


def _wrong(cause: str) -> str:
    """What is wrong with a cause, as a predicate: one that is a delay is no fault of itself."""
    return "is far above what is usual" if cause.startswith("delay of ") else "is at fault"


def _mean(samples: Sequence[Sample]) -> float:
    return sum(one.value for one in samples) / len(samples) if samples else 0.0


def _share(before: Sequence[Sample], during: Sequence[Sample], whole: Sequence[Sample]) -> float:
    return round((_mean(during) - _mean(before)) / _mean(whole), 2)
