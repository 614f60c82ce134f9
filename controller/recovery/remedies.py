"""Owns the candidate remedies: what could be changed so that a fault is no longer felt, from what there is.

Each is a change of tunnels (RFC 9256) or the repair of a device, complete for all who suffer as far as there is a way;
for whom there is none stands in `missed`. Nothing is judged here: see `recovery.scoring`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.mapping.codec import from_json, to_json
from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import Avoidance, along, colored, placed, with_backup
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.recovery.situation import FaultKind, Flow, RemedyKind, Situation
from controller.topology.network import LinkId, Path
from controller.topology.paths import NoPathError
from controller.topology.te_database import TeDatabase

Json = Any
NAME = "recovery"
"""What the names of tunnels begin with that a remedy makes."""
LATER = "later than "
"""What begins the word that somebody's delay is given up."""
_NO_CHANGE = TunnelChange()
_HALVINGS = 4
_SHIFT_BELOW = 0.8
"""Of a link's capacity: so much is left on it when part of its traffic is shifted."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something to do: tunnels as they are to be, or devices to be given back what their owners want.

    `before` is what leads back. `moved` are the tunnels whose traffic goes another way; `less` says what is given up.
    """

    kind: str
    summary: str
    wanted: TunnelChange = _NO_CHANGE
    before: TunnelChange = _NO_CHANGE
    devices: tuple[DeviceName, ...] = ()
    flows: tuple[str, ...] = ()
    """Those that are helped, by name."""
    missed: tuple[tuple[str, str], ...] = ()
    """Flows that it does not help, and why."""
    less: tuple[tuple[str, str], ...] = ()
    """Services that get less than was promised, and what."""

    @property
    def late(self) -> frozenset[str]:
        """The services that are to be later than was promised."""
        return frozenset(service for service, what in self.less if LATER in what)

    def to_json(self) -> Json:
        """The remedy as JSON."""
        document = to_json(replace(self, wanted=_NO_CHANGE, before=_NO_CHANGE))
        return document | {"wanted": self.wanted.to_json(), "before": self.before.to_json()}

    @classmethod
    def from_json(cls, document: Json) -> "Remedy":
        """The remedy that `to_json` was made of."""
        plain = {name: value for name, value in document.items() if name not in {"wanted", "before"}}
        made: Remedy = from_json(cls, plain)
        wanted, before = (TunnelChange.from_json(document[name]) for name in ("wanted", "before"))
        return replace(made, wanted=wanted, before=before)


def candidates(situation: Situation) -> tuple[Remedy, ...]:
    """Every remedy there is, without repetitions; none where nobody suffers or nothing would help."""
    if situation.fault.kind == FaultKind.DRIFT:
        return tuple(_restore(situation))
    found: dict[object, Remedy] = {}
    for remedy in (*_shift(situation), *_protect(situation), *_reroutes(situation), *_degrade(situation)):
        if remedy.wanted.upserted:
            found.setdefault(_content(remedy), remedy)
    return tuple(found.values())


def _content(remedy: Remedy) -> object:
    """What is done, and who is admitted to be late then: the twin may take the one only with the other."""
    return tuple(sorted(remedy.wanted.upserted, key=lambda tunnel: tunnel.name)), remedy.late


# -- one draft of a remedy, flow after flow --------------------------------------------------------------------------


class _Draft:
    """A remedy in the making: each flow sees what those before it took."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.database: TeDatabase = situation.database
        self.tunnels = {tunnel.name: tunnel for tunnel in situation.tunnels}
        self.changed: dict[str, Tunnel] = {}
        self.helped: list[str] = []
        self.missed: list[tuple[str, str]] = []
        self.less: list[tuple[str, str]] = []

    def take(self, flow: Flow, tunnel: Tunnel) -> None:
        """The flow goes by this tunnel from now on."""
        known = self.database.network.links
        links = tuple(known[hop] for hop in sorted(tunnel.links) if hop in known)
        self.database = self.database.with_reservation(tunnel.name, Path(links), tunnel.bandwidth)
        self.tunnels[tunnel.name] = self.changed[tunnel.name] = tunnel
        self.helped.append(flow.name)

    def remedy(self, kind: RemedyKind, how: str) -> Remedy:
        """What came of it."""
        upserted = tuple(tunnel for name, tunnel in sorted(self.changed.items()) if tunnel != self._was(name))
        back = tuple(was for tunnel in upserted if (was := self._was(tunnel.name)) is not None)
        new = tuple(tunnel.name for tunnel in upserted if self._was(tunnel.name) is None)
        names = ", ".join(tunnel.name for tunnel in upserted)
        return Remedy(
            kind=kind.value,
            summary=f"{kind} {names} {how}",
            wanted=TunnelChange(upserted),
            before=TunnelChange(back, new),
            flows=tuple(dict.fromkeys(self.helped)),
            missed=tuple(dict.fromkeys(self.missed)),
            less=tuple(dict.fromkeys(self.less)),
        )

    def _was(self, name: str) -> Tunnel | None:
        return self.situation.tunnel(name)

    def tunnel_of(self, flow: Flow) -> Tunnel:
        """The tunnel that carries a flow, or a new one for it where it took the shortest path."""
        name = flow.tunnel or new_name(flow)
        if name in self.tunnels:
            return self.tunnels[name]
        promise = self.situation.promise(flow.service)
        tunnel = Tunnel(
            name,
            flow.source,
            flow.target,
            0,
            self.database.network.nodes[flow.target].endpoint,
            bandwidth=BitRate(flow.bit_rate),
            delay_bound_seconds=promise.delay_bound_seconds,
            services=(flow.service,),
        )
        return colored(tunnel, self.tunnels.values())


def new_name(flow: Flow) -> str:
    """The name of the tunnel that a flow gets, the same each time, within what names may have."""
    return f"{NAME}-{flow.service}-{flow.source}-{flow.target}".replace("/", "-")[:48]


_Place = Callable[[_Draft, Tunnel], Tunnel]


def _drafted(situation: Situation, flows: Sequence[Flow], kind: RemedyKind, place: _Place) -> _Draft:
    """Each flow placed in turn, where its service's fallback policy allows this kind of remedy."""
    draft = _Draft(situation)
    done: set[str] = set()
    for flow in flows:
        promise = situation.promise(flow.service)
        if kind not in promise.fallback:
            draft.missed.append((flow.name, f"the fallback policy of {flow.service} does not allow to {kind}"))
            continue
        name = flow.tunnel or new_name(flow)
        if name in done:
            draft.helped.append(flow.name)
            continue
        try:
            made = place(draft, draft.tunnel_of(flow))
            if situation.fault.kind == FaultKind.DELAY and not _is_quicker(situation, flow, made):
                draft.missed.append((flow.name, "the other way takes no less time"))
                continue
            draft.take(flow, made)
            done.add(name)
        except (AccordError, KeyError) as error:
            draft.missed.append((flow.name, str(error)))
    return draft


def _is_quicker(situation: Situation, flow: Flow, tunnel: Tunnel) -> bool:
    return sum(map(situation.database.delay_seconds, tunnel.ranked[0].hops)) < situation.delay_seconds(flow)


# -- reroute -----------------------------------------------------------------------------------------------------------


def avoidance_of(situation: Situation, *, is_diverse: bool) -> Avoidance:
    """What paths keep away from: the fault, links that flap, and where `is_diverse` what shares a risk with it."""
    network, faulty = situation.database.network, frozenset(situation.fault.elements)
    hit = [link_id for link_id in network.links if link_id in faulty]
    links = network.both_directions(hit) | (situation.shunned & network.links.keys())
    if is_diverse:
        risks = {risk for link_id in hit for risk in network.links[link_id].srlgs}
        links |= {link.id for link in network.links.values() if risks & link.srlgs}
    return Avoidance(frozenset(links), frozenset(node for node in network.nodes if node in faulty))


def _reroutes(situation: Situation) -> Iterator[Remedy]:
    if situation.fault.kind == FaultKind.CONGESTION:
        return
    for is_diverse in (True, False):
        avoid = avoidance_of(situation, is_diverse=is_diverse)

        def place(draft: _Draft, tunnel: Tunnel, avoid: Avoidance = avoid) -> Tunnel:
            return _placed(draft.database, tunnel, avoid)

        draft = _drafted(situation, situation.affected, RemedyKind.REROUTE, place)
        away = f"away from {situation.fault.cause}"
        yield draft.remedy(RemedyKind.REROUTE, f"{away} and what shares a risk with it" if is_diverse else away)


def _placed(database: TeDatabase, tunnel: Tunnel, avoid: Avoidance) -> Tunnel:
    """The tunnel on the best path; along one path where there are no two: to carry comes first."""
    plain = replace(tunnel, probes=(), beside=())
    try:
        return placed(database, plain, avoid)
    except NoPathError:
        if tunnel.protection == "none":
            raise
    return replace(placed(database, replace(plain, protection="none"), avoid), protection=tunnel.protection)


# -- protect -----------------------------------------------------------------------------------------------------------


def _protect(situation: Situation) -> Iterator[Remedy]:
    """Carry on a path that is there and sound, and build another one beside it where that is possible."""
    protected = [flow for flow in situation.affected if _sound_paths(situation, flow)]
    if protected and situation.fault.kind != FaultKind.CONGESTION:
        draft = _drafted(situation, protected, RemedyKind.PROTECT, _switched)
        for flow in situation.affected:
            if flow not in protected:
                draft.missed.append((flow.name, "it has no other path ready"))
        yield draft.remedy(RemedyKind.PROTECT, "on the path that is ready")


def _sound_paths(situation: Situation, flow: Flow) -> tuple[tuple[LinkId, ...], ...]:
    tunnel = situation.tunnel(flow.tunnel) if flow.tunnel else None
    paths = tunnel.ranked if tunnel and len(tunnel.paths) > 1 else ()
    return tuple(path.hops for path in paths if _is_sound(situation, path.hops))


def _is_sound(situation: Situation, hops: Sequence[LinkId]) -> bool:
    links = situation.database.network.links
    if any(hop not in links or not situation.database.is_up(hop) or hop in situation.shunned for hop in hops):
        return False
    return not situation.fault.hits(hops, (links[hop].target.node for hop in hops[:-1]))


def _switched(draft: _Draft, tunnel: Tunnel) -> Tunnel:
    sound = next(path for path in tunnel.ranked if _is_sound(draft.situation, path.hops))
    database = _without_faulty(draft.database, draft.situation)
    first = along(tunnel, database.network.path(sound.hops))
    return with_backup(database, first, first.paths[0])


def _without_faulty(database: TeDatabase, situation: Situation) -> TeDatabase:
    """No new path takes what is faulty or flaps."""
    network, faulty = database.network, frozenset(situation.fault.elements)
    bad = {
        link.id
        for link in network.links.values()
        if not faulty.isdisjoint({link.id, link.source.node, link.target.node}) or link.id in situation.shunned
    }
    return database.with_link_state(bad, is_up=False) if bad else database


# -- shift -------------------------------------------------------------------------------------------------------------


def _shift(situation: Situation) -> Iterator[Remedy]:
    """Of what goes over a link that is too full, enough goes elsewhere: the least important first, or the fewest."""
    if situation.fault.kind != FaultKind.CONGESTION:
        return
    avoid = avoidance_of(situation, is_diverse=False)
    affected = situation.affected
    orders = (
        ("the least important first", affected[::-1]),
        ("the largest first", tuple(sorted(affected, key=lambda flow: (-flow.bit_rate, flow.name)))),
        ("all of them", affected),
    )

    def place(draft: _Draft, tunnel: Tunnel) -> Tunnel:
        return _placed(draft.database, tunnel, avoid)

    for words, order in orders:
        chosen = order if words == "all of them" else _enough(situation, order)
        draft = _drafted(situation, chosen, RemedyKind.SHIFT, place)
        yield draft.remedy(RemedyKind.SHIFT, f"away from {situation.fault.cause}, {words}")


def _enough(situation: Situation, order: Sequence[Flow]) -> tuple[Flow, ...]:
    """The first of them that make each full link carry no more than it should: of each link at least one."""
    database = situation.database
    over = {
        link: database.load(link).bits_per_second - _SHIFT_BELOW * database.capacity(link).bits_per_second
        for link in situation.full
    }
    relieved: set[LinkId] = set()
    chosen: list[Flow] = []
    for flow in order:
        on = over.keys() & set(flow.links)
        if all(link in relieved and over[link] <= 0 for link in on):
            continue
        chosen.append(flow)
        relieved |= on
        for link in on:
            over[link] -= situation.sent(flow)
    return tuple(chosen)


# -- degrade -----------------------------------------------------------------------------------------------------------


def _degrade(situation: Situation) -> Iterator[Remedy]:
    """Carry with less: first without a second path, then later than was bounded, then less than was reserved."""
    if situation.fault.kind == FaultKind.CONGESTION:
        return
    avoid = avoidance_of(situation, is_diverse=False)
    draft = _drafted(situation, situation.affected, RemedyKind.DEGRADE, lambda d, tunnel: _lessened(d, tunnel, avoid))
    _admit(draft, situation)
    if draft.less:
        yield draft.remedy(RemedyKind.DEGRADE, f"away from {situation.fault.cause}, with less than was promised")


def _admit(draft: _Draft, situation: Situation) -> None:
    """Who will be later than was promised, by whatever word."""
    for flow in situation.affected:
        tunnel, bound = draft.changed.get(flow.tunnel or new_name(flow)), situation.bound_seconds(flow)
        if tunnel is None or bound is None or any(LATER in what for name, what in draft.less if name == flow.service):
            continue
        if sum(map(draft.database.delay_seconds, tunnel.ranked[0].hops)) > bound:
            draft.less.append((flow.service, f"{LATER}{bound * 1000:g} ms"))


def _lessened(draft: _Draft, tunnel: Tunnel, avoid: Avoidance) -> Tunnel:
    for less, given_up in _lesser(tunnel):
        try:
            found = placed(draft.database, replace(less, probes=(), beside=()), avoid)
        except NoPathError as error:
            last = error
            continue
        if given_up:
            draft.less += [(service, given_up) for service in tunnel.services or (tunnel.name,)]
        return found
    raise last


def _lesser(tunnel: Tunnel) -> Iterator[tuple[Tunnel, str]]:
    """The tunnel as it is, and then with less and less."""
    yield tunnel, ""
    if tunnel.protection != "none":
        tunnel = replace(tunnel, protection="none")
        yield tunnel, "no protection"
    if tunnel.delay_bound_seconds is not None:
        late = replace(tunnel, delay_bound_seconds=None)
        yield late, f"{LATER}{tunnel.delay_bound_seconds * 1000:g} ms"
    rate = tunnel.bandwidth.bits_per_second
    for halvings in range(1, _HALVINGS + 1) if rate else ():
        less = BitRate(rate >> halvings)
        yield replace(tunnel, bandwidth=less), f"{less} of {tunnel.bandwidth}"
        if tunnel.delay_bound_seconds is not None:
            late = replace(tunnel, bandwidth=less, delay_bound_seconds=None)
            yield late, f"{less} of {tunnel.bandwidth}, {LATER}{tunnel.delay_bound_seconds * 1000:g} ms"
    if rate:
        yield replace(tunnel, bandwidth=BitRate(0), delay_bound_seconds=None), f"nothing reserved of {tunnel.bandwidth}"


# -- restore -----------------------------------------------------------------------------------------------------------


def _restore(situation: Situation) -> Iterator[Remedy]:
    devices = tuple(DeviceName(name) for name in situation.fault.elements if name in situation.database.network.nodes)
    if devices:
        yield Remedy(
            kind=RemedyKind.RESTORE.value,
            summary=f"restore {', '.join(devices)} to what its owners want",
            devices=devices,
            flows=tuple(flow.name for flow in situation.flows if {flow.source, flow.target, *flow.nodes} & {*devices}),
        )
