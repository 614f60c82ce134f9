"""Owns how much a remedy is worth: to every intent that the fault or the remedy touches, and to what is left free.

Deterministic, and explained: each number stands in a sentence. An intent counts by its priority; what it gets is the
share of its rate, of its delay bound and of its protection, the worst of its flows deciding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.mapping.codec import from_json, to_json
from controller.mapping.tunnel import Tunnel
from controller.recovery.remedies import Remedy, new_name
from controller.recovery.situation import FALLBACK, FaultKind, Flow, RemedyKind, Situation
from controller.topology.network import LinkId, Path
from controller.topology.te_database import TeDatabase

Json = Any
_INTENTS, _FREE, _CALM = 0.85, 0.1, 0.05
"""What intents, free capacity and few changes count."""
_UNPROTECTED = 0.9
_PROTECTED_PATHS = 2
_SUFFERING = 0.25
"""Of what was promised, what a service is taken to get over what is bad but not down."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Score:
    """What a remedy is worth, 0 to 1, and why. `intents` gives each touched service's share of what it was promised."""

    value: float
    intents: tuple[tuple[str, float], ...]
    free_ratio: float
    """Of the fullest link that it puts anything on, what stays free."""
    changes: int
    reasons: tuple[str, ...]

    def to_json(self) -> Json:
        """The score as JSON."""
        return to_json(self)

    @classmethod
    def from_json(cls, document: Json) -> "Score":
        """The score that `to_json` was made of."""
        made: Score = from_json(cls, document)
        return made


@dataclass(frozen=True, slots=True)
class Candidate:
    """A remedy with its score."""

    remedy: Remedy
    score: Score

    def to_json(self) -> Json:
        """As JSON."""
        return {"remedy": self.remedy.to_json(), "score": self.score.to_json()}

    @classmethod
    def from_json(cls, document: Json) -> "Candidate":
        """What `to_json` was made of."""
        return cls(Remedy.from_json(document["remedy"]), Score.from_json(document["score"]))


def ranked(situation: Situation, remedies: Iterable[Remedy]) -> tuple[Candidate, ...]:
    """The remedies that help anybody, the best first; among equals the order of the fallback policy decides."""
    scored = [Candidate(remedy, score(situation, remedy)) for remedy in remedies]
    worth = [one for one in scored if one.remedy.flows or one.remedy.devices]
    return tuple(sorted(worth, key=_rank))


def _rank(one: Candidate) -> tuple[float, int, int, str]:
    kind = FALLBACK.index(RemedyKind(one.remedy.kind))
    return -one.score.value, kind, one.score.changes, one.remedy.summary


def score(situation: Situation, remedy: Remedy) -> Score:
    """What one remedy is worth."""
    view = _view(situation, remedy)
    shares = {name: view.share(name) for name in view.touched()}
    weights = {name: situation.promise(name).weight for name in shares}
    intents = sum(weights[name] * share for name, (share, _) in shares.items()) / max(1, sum(weights.values()))
    free, fullest = _free(situation, remedy, view.after)
    changes = len(remedy.wanted.names) + len(remedy.devices)
    value = _INTENTS * intents + _FREE * free + _CALM / max(1, changes)
    reasons = [f"{name} (priority {situation.promise(name).priority}): {text}" for name, (_, text) in shares.items()]
    reasons.append(f"{free:.0%} stays free{f' on {fullest}' if fullest else ''}")
    reasons.append(f"{changes} thing{'s' if changes != 1 else ''} changed")
    return Score(
        round(value, _DIGITS),
        tuple((name, round(share, _DIGITS)) for name, (share, _) in shares.items()),
        round(free, _DIGITS),
        changes,
        tuple(reasons),
    )


def _view(situation: Situation, remedy: Remedy) -> "_View":
    after = situation.database
    for tunnel in remedy.wanted.upserted:
        known = after.network.links
        path = Path(tuple(known[hop] for hop in sorted(tunnel.links) if hop in known))
        after = after.with_reservation(tunnel.name, path, tunnel.bandwidth)
    hit = frozenset(flow.name for flow in situation.affected)
    return _View(situation, remedy, after, hit, {tunnel.name: tunnel for tunnel in remedy.wanted.upserted})


@dataclass(frozen=True, slots=True)
class _View:
    """The network after a remedy."""

    situation: Situation
    remedy: Remedy
    after: TeDatabase
    hit: frozenset[str]
    """Flows that suffer."""
    tunnels: Mapping[str, Tunnel]
    """Those that the remedy changes."""

    def touched(self) -> tuple[str, ...]:
        """Who suffers from the fault, and who shares a link that the remedy overfills; the most important first."""
        was = {tunnel.name: tunnel.links for tunnel in self.situation.tunnels}
        new = {link for one in self.tunnels.values() for link in one.links - was.get(one.name, frozenset())}
        full = {link for link in new if self.after.residual(link).bits_per_second < 0}
        others = [flow.service for flow in self.situation.flows if not full.isdisjoint(flow.links)]
        names = dict.fromkeys((*self.situation.services, *others))
        return tuple(sorted(names, key=lambda name: (self.situation.promise(name).priority, name)))

    def share(self, service: str) -> tuple[float, str]:
        """What a service gets of what it was promised, by the worst of its flows, and the sentence that says so."""
        found = (self._of_flow(flow) for flow in self.situation.flows if flow.service == service)
        return min(found, default=(1.0, "nothing is carried"))

    def _of_flow(self, flow: Flow) -> tuple[float, str]:
        is_helped = flow.name in self.remedy.flows
        if flow.name in self.hit and not is_helped and self.situation.fault.kind == FaultKind.CONGESTION:
            return self._relieved(flow)
        if flow.name in self.hit and not is_helped:
            why = dict(self.remedy.missed).get(flow.name, "nothing is done for it")
            return (0.0 if self.situation.fault.is_down else _SUFFERING), why
        tunnel = self.tunnels.get(flow.tunnel or new_name(flow))
        if tunnel is None or not is_helped:
            return _crowding(flow.links, self.after)
        return self._in_tunnel(flow, tunnel)

    def _relieved(self, flow: Flow) -> tuple[float, str]:
        """Who stays on a link that is too full has what the others leave."""
        stay = [one for one in self.situation.affected if one.name not in self.remedy.flows]
        found = (self._left_on(link, stay) for link in self.situation.full if link in flow.links)
        return min(found, default=(1.0, "relieved"))

    def _left_on(self, link: LinkId, stay: Iterable[Flow]) -> tuple[float, str]:
        asked = sum(self.situation.sent(flow) for flow in stay if link in flow.links)
        capacity = self.after.capacity(link).bits_per_second
        share = min(1.0, capacity / asked) if asked else 1.0
        return share, "relieved" if share >= 1 else f"{asked / capacity:.0%} of the link is still asked for"

    def _in_tunnel(self, flow: Flow, tunnel: Tunnel) -> tuple[float, str]:
        path, was = tunnel.ranked[0].hops, self.situation.tunnel(tunnel.name)
        delay = sum(self.after.delay_seconds(hop) for hop in path)
        share, crowd = _crowding(path, self.after)
        reasons = [crowd] if share < 1 else []
        bound = self.situation.promise(flow.service).delay_bound_seconds
        if bound is None:
            bound = (was or tunnel).delay_bound_seconds
        if bound is not None and delay > bound:
            share *= bound / delay
            reasons.append(f"{delay * 1000:.3f} ms, promised are {bound * 1000:g} ms")
        if was is not None and tunnel.bandwidth < was.bandwidth:
            share *= tunnel.bandwidth.bits_per_second / was.bandwidth.bits_per_second
            reasons.append(f"{tunnel.bandwidth} of {was.bandwidth}")
        if was is not None and was.protection != "none" and len(tunnel.paths) < _PROTECTED_PATHS:
            share *= _UNPROTECTED
            reasons.append("without a second path")
        return share, "; ".join(reasons) or f"all that was promised, {delay * 1000:.3f} ms"


def _crowding(links: Iterable[LinkId], after: TeDatabase) -> tuple[float, str]:
    """What a link leaves of what is asked of it, by the fullest."""
    share, text = 1.0, "as before"
    for link in links:
        if link not in after.network.links:
            continue
        capacity, reserved = after.capacity(link), after.reserved(link)
        if reserved > capacity and capacity.bits_per_second / reserved.bits_per_second < share:
            share = capacity.bits_per_second / reserved.bits_per_second
            text = f"{reserved} is asked of {link}, which carries {capacity}"
    return share, text


def _free(situation: Situation, remedy: Remedy, after: TeDatabase) -> tuple[float, str]:
    """Of the fullest link that carries more than before, by reservation or by what was measured and comes on top."""
    rates = {flow.tunnel or new_name(flow): round(situation.sent(flow)) for flow in situation.affected}
    was = {tunnel.name: tunnel.links for tunnel in situation.tunnels}
    extra: dict[LinkId, int] = {}
    for tunnel in remedy.wanted.upserted:
        for link in tunnel.ranked[0].hops if tunnel.paths else ():
            if link not in was.get(tunnel.name, frozenset()):
                extra[link] = extra.get(link, 0) + rates.get(tunnel.name, 0)
    worst, fullest = 1.0, ""
    for link in sorted(extra):
        capacity = after.capacity(link).bits_per_second
        used = max(after.reserved(link).bits_per_second, after.load(link).bits_per_second + extra[link])
        left = max(0.0, 1 - used / capacity)
        if left < worst:
            worst, fullest = left, link
    return worst, fullest
