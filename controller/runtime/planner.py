"""Owns turning wishes into plans: what an edit of services, a repair or an undoing means for every device concerned.

Reads the world and changes nothing; holds no session. It costs what the change costs: only touched fragments are
rendered.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from controller.datastore.config_tree import ConfigTree
from controller.datastore.contributions import Delta, merge_deltas
from controller.events import types
from controller.intent.lifecycle import IntentEvent, advance, undo_of
from controller.mapping.fragment import Fragment, render
from controller.mapping.infrastructure import Infrastructure
from controller.mapping.measurement import Measurement, free_number, is_measurement, measurements_of, orphans
from controller.mapping.optical import OpticalSegment, segment_lines, segment_owner
from controller.mapping.service import touched_document
from controller.mapping.service_change import L3smChange, L3smEdit
from controller.mapping.service_inverse import inverse
from controller.mapping.service_staleness import refuse_stale
from controller.mapping.tunnel import STAMP, tunnel_lines
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_probes import PROBES, link_probes
from controller.mapping.tunnel_steering import recolored, vrfs_by_tunnel
from controller.model.errors import ConflictError, InvalidInputError
from controller.model.identifiers import DeviceName, IntentId, Owner, PlanId, ServiceId, TransactionId, service_of
from controller.model.yang_path import Path
from controller.ports import EventLog, Finding, InstanceValidator, NewEvent
from controller.runtime.world import World
from controller.topology.network import Network
from controller.transaction.history import TransactionSummary, refuse_overlap
from controller.transaction.plan import DevicePlan, Plan, before_owner, plan_device, plan_repair
from controller.transaction.plan_json import Json, plan_from_json
from controller.transaction.states import Phase


@dataclass(slots=True)
class Planner:
    """Makes plans. `infrastructure` is read anew each time, as the inventory may have changed."""

    world: World
    validator: InstanceValidator
    infrastructure: Infrastructure
    log: EventLog
    observe: Callable[[str, float], None] = lambda *_: None
    """Called with `plan` or `render` and the seconds it took."""

    def __post_init__(self) -> None:
        """Plans are committed against the same infrastructure that they are made on."""
        self.world.reservations.infrastructure = lambda: self.infrastructure

    def services(self, edit: L3smEdit, summary: str, effects: tuple[NewEvent, ...] = ()) -> Plan:
        """The plan of an edit of L3VPN services (RFC 8299), validated against ietf-l3vpn-svc first."""
        started = time.perf_counter()
        self._validate(edit)
        state = self.world.services
        change = state.change(edit, self.infrastructure)
        back = inverse(state, change)
        fragments = [*change.fragments_added, *(pair.new for pair in change.fragments_changed)]
        rendering = time.perf_counter()
        lines = {fragment: render(fragment) for fragment in fragments}
        self.observe("render", time.perf_counter() - rendering)
        lines |= {fragment: {} for fragment in change.fragments_removed}
        plan = Plan(
            id=self._next_id(),
            summary=summary,
            devices=self._devices(_by_device(lines), self._colors_after(change), leaving=_leaving([change])),
            effects=(_services_changed(change, back), *effects),
        )
        self.world.reservations.remember(plan, change, back)
        self.observe("plan", time.perf_counter() - started)
        return plan

    def tunnels(self, change: TunnelChange, summary: str, effects: tuple[NewEvent, ...] = ()) -> Plan:
        """The plan that makes tunnels as the change has them, with the colours of the VRFs that they serve.

        What holds already is left out; where all of it does, the plan has no effects.
        """
        started = time.perf_counter()
        change = self.world.tunnels.news_in(change)
        vrfs = vrfs_by_tunnel(change.upserted, self.world.services.fragments)
        before = [self.world.tunnels.get(name) for name in change.names if name in self.world.tunnels]
        wanted: _Wanted = {}
        for tunnel in before:
            wanted.setdefault(tunnel.source, {})[tunnel.owner] = {}
        for tunnel in change.upserted:
            wanted.setdefault(tunnel.source, {})[tunnel.owner] = tunnel_lines(tunnel, vrfs[tunnel.name])
        plan = Plan(
            id=self._next_id(),
            summary=summary,
            devices=self._devices(wanted),
            effects=(*([self.world.tunnels.changed(change)] if change.names else []), *effects),
        )
        self.observe("plan", time.perf_counter() - started)
        return plan

    def link_probes(self, network: Network, *, is_on: bool) -> Plan:
        """The plan that has every link measured, or none any more."""
        known = {name: self.world.network.device(name) for name in network.nodes if name in self.world.network}
        taken = {name: _sessions(device.config, device.contributions.of(PROBES)) for name, device in known.items()}
        lines = link_probes(network, taken)
        wanted: _Wanted = {name: {PROBES: lines[name] if is_on else {}} for name in known}
        devices = tuple(device for device in self._devices(wanted) if device.delta)
        return Plan(self._next_id(), "measure links" if is_on else "stop measuring links", devices)

    def measurements(self, wanted: Iterable[Measurement], gone: Iterable[Measurement], summary: str) -> Plan:
        """The plan that makes these measurements run and takes those away; without devices when it is so already."""
        lines: _Wanted = {}
        for measurement in gone:
            lines.setdefault(measurement.device, {})[measurement.owner] = {}
        taken: dict[DeviceName, set[int]] = {}
        for measurement in wanted:
            device = self.world.network.device(measurement.device)
            held = _numbers(device.contributions.of(measurement.owner))
            if measurement.device not in taken:
                taken[measurement.device] = _sessions(device.config, {})
            number = min(held) if held else free_number(taken[measurement.device], measurement.owner)
            taken[measurement.device].add(number)
            lines.setdefault(measurement.device, {})[measurement.owner] = measurement.lines(number)
        return Plan(self._next_id(), summary, tuple(device for device in self._devices(lines) if device.delta))

    def optical(self, wanted: Iterable[OpticalSegment], gone: Iterable[tuple[DeviceName, str]], summary: str) -> Plan:
        """The plan that makes these segments stand in their domains, and takes those away by (domain, name)."""
        lines: _Wanted = {}
        for domain, name in gone:
            lines.setdefault(domain, {})[segment_owner(name)] = {}
        for segment in wanted:
            for device, told in segment_lines(segment).items():
                lines.setdefault(device, {})[segment.owner] = told
        return Plan(id=self._next_id(), summary=summary, devices=self._devices(lines))

    def _colors_after(self, change: L3smChange) -> "_Wanted":
        """Tunnels' lines on routers where VRFs that they serve come or go."""
        wanted: _Wanted = {}
        for tunnel, vrfs in recolored(tuple(self.world.tunnels), self.world.services.fragments, change):
            wanted.setdefault(tunnel.source, {})[tunnel.owner] = tunnel_lines(tunnel, vrfs)
        return wanted

    def repair(self, devices: Iterable[DeviceName], summary: str) -> Plan:
        """The plan that makes every line that is owned hold again, as last read back."""
        plans = [plan_repair(self.world.network.device(name).view()) for name in sorted(devices)]
        return Plan(id=self._next_id(), summary=summary, devices=tuple(plan for plan in plans if plan.edit))

    def rollback(self, transaction: TransactionId) -> Plan:
        """The plan that undoes one committed transaction; `ConflictError` where later work overlaps."""
        undone = self._committed(transaction)
        for later in self.world.transactions.committed_after(transaction):
            refuse_overlap(undone, self._plan_of(later), later.id)
        undone = replace(undone, effects=tuple(map(_with_profiles_kept, undone.effects)))
        self._refuse_changed_tunnels(undone.effects)
        backs: list[L3smChange] = []
        for effect in (effect for effect in undone.effects if effect.type == types.SERVICES_CHANGED):
            back, change = (L3smChange.from_json(effect.data[part]) for part in ("back", "change"))
            refuse_stale(self.world.services, back, change, self.infrastructure)
            backs.append(back)
        leaving = _leaving(backs)
        colors: _Wanted = {}
        for back in backs:
            colors |= self._colors_after(back)
        devices = tuple(
            self._undo(device, leaving.get(device.device, set()), colors.get(device.device, {}))
            for device in undone.devices
        )
        effects = tuple(_undone(effect) for effect in reversed(undone.effects))
        self._refuse_busy_intents(effects)
        return Plan(
            id=self._next_id(),
            summary=f"roll back {transaction} ({undone.summary})",
            devices=devices,
            effects=effects,
        )

    def _refuse_changed_tunnels(self, effects: Iterable[NewEvent]) -> None:
        """What is undone must still be so."""
        changed = (effect for effect in effects if effect.type == types.TUNNELS_CHANGED)
        self.world.tunnels.refuse_stale(map(_undone, changed))

    def _refuse_busy_intents(self, effects: Iterable[NewEvent]) -> None:
        """`ConflictError` when an intent is in a state in which what made it so cannot be undone."""
        for effect in effects:
            if effect.type == types.INTENT_ADVANCED:
                record = self.world.intents.get(IntentId(effect.stream.partition("/")[2]))
                advance(record.state, IntentEvent(str(effect.data["event"])))

    def _committed(self, transaction: TransactionId) -> Plan:
        summary = self.world.transactions.get(transaction)
        if summary.phase is not Phase.COMMITTED:
            raise ConflictError(
                f"transaction '{transaction}' is {summary.phase}, only a committed one can be rolled back",
                path=transaction,
            )
        return self._plan_of(summary)

    def _plan_of(self, summary: TransactionSummary) -> Plan:
        """Read back from the log what a transaction was planned to do."""
        event = next(iter(self.log.read(summary.position - 1, limit=1)))
        data: Json = event.data
        return plan_from_json(data["plan"])

    def _undo(
        self, undone: DevicePlan, leaving: set[ServiceId], colors: Mapping[Owner, Mapping[Path, str]]
    ) -> DevicePlan:
        """Withdraw what it wanted, and put back what those owners had wanted before.

        What stood before anybody came stays the device's own: it holds again when the others have left. Measurements
        come back by themselves where they are wanted. `colors`: the lines that tunnels have once VRFs have come or
        gone; tunnels of later want no colour on a VRF that goes.
        """
        known = self.world.network.device(undone.device)
        before = before_owner(undone.device)
        put_back = (wish for wish in undone.replaced if wish[1] != before and not is_measurement(wish[1]))
        restored = {(path, owner): value for path, owner, value in put_back}
        wanted = [(path, owner) for path, owner, _ in undone.delta.wanted if owner != before]
        delta = Delta(
            wanted=tuple((path, owner, value) for (path, owner), value in restored.items()),
            withdrawn=tuple(wish for wish in wanted if wish not in restored),
        )
        undoing = {owner for _, owner in wanted} | {owner for _, owner in restored}
        later = [
            known.contributions.replace_owner(owner, lines)
            for owner, lines in sorted(colors.items())
            if owner not in undoing
        ]
        return self._freed(plan_device(known.view(), merge_deltas([delta, *later])), leaving)

    def validate_services(self) -> Sequence[Finding]:
        """Findings in the whole ietf-l3vpn-svc instance as it is stored; empty means valid."""
        return self.validator.validate(orjson.dumps(self.world.services.document()))

    def _validate(self, edit: L3smEdit) -> None:
        document = orjson.dumps(touched_document(self.world.services, edit))
        findings = self.validator.validate(document)
        if findings:
            first = findings[0]
            more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
            raise InvalidInputError(
                f"not a valid ietf-l3vpn-svc document: {first.message}{more}", path=first.path, app_tag=first.app_tag
            )

    def _devices(
        self, *wanted: "_Wanted", leaving: Mapping[DeviceName, set[ServiceId]] | None = None
    ) -> tuple[DevicePlan, ...]:
        """`wanted` says by device and owner what lines there are to be; the owners of each are others."""
        owners: dict[DeviceName, dict[Owner, Mapping[Path, str]]] = {}
        for part in wanted:
            for name, by_owner in part.items():
                owners.setdefault(name, {}).update(by_owner)
        gone = leaving or {}
        return tuple(self._device(name, by_owner, gone.get(name, set())) for name, by_owner in sorted(owners.items()))

    def _device(
        self, name: DeviceName, by_owner: Mapping[Owner, Mapping[Path, str]], leaving: set[ServiceId]
    ) -> DevicePlan:
        known = self.world.network.device(name)
        delta = merge_deltas(
            known.contributions.replace_owner(owner, wanted) for owner, wanted in sorted(by_owner.items())
        )
        return self._freed(plan_device(known.view(), delta), leaving)

    def _freed(self, plan: DevicePlan, leaving: set[ServiceId]) -> DevicePlan:
        """With the end of the measurements of services that leave the device, and of all in VPNs that do."""
        known = self.world.network.device(plan.device)
        left = {one.owner for one in orphans(plan.device, known.contributions, plan.edit)}
        if leaving:
            left |= {one.owner for one in measurements_of(plan.device, known.contributions) if one.holder in leaving}
        if not left:
            return plan
        ends = [known.contributions.replace_owner(owner, {}) for owner in sorted(left)]
        return plan_device(known.view(), merge_deltas([plan.delta, *ends]))

    def orphans(self, plan: Plan) -> list[Measurement]:
        """Measurements that came after a plan, in VPNs that it takes away."""
        known = [(device, self.world.network.device(device.device)) for device in plan.devices]
        return [left for plan, now in known for left in orphans(plan.device, now.contributions, plan.edit)]

    def _next_id(self) -> PlanId:
        return PlanId(self.world.next_id("plan"))


_Wanted = dict[DeviceName, dict[Owner, Mapping[Path, str]]]


def _by_device(lines: Mapping[Fragment, Mapping[Path, str]]) -> _Wanted:
    found: _Wanted = {}
    for fragment, wanted in lines.items():
        found.setdefault(fragment.device, {})[fragment.owner] = wanted
    return found


def _leaving(changes: Iterable[L3smChange]) -> Mapping[DeviceName, set[ServiceId]]:
    """By router, the services of which no VRF is left there."""
    found: dict[DeviceName, set[ServiceId]] = {}
    for change in changes:
        come = {(one.device, service_of(one.owner)) for one in change.fragments_added if one.node is not None}
        gone = {(one.device, service_of(one.owner)) for one in change.fragments_removed if one.node is not None}
        for device, service in gone - come:
            found.setdefault(device, set()).add(service)
    return found


def _sessions(config: ConfigTree, own: Mapping[Path, str]) -> set[int]:
    """Numbers of the STAMP sessions that are on a device, less one's own."""
    return _numbers(path for path in config.below(STAMP) if path not in own)


def _numbers(paths: Iterable[Path]) -> set[int]:
    """Of the sessions whose entries are among the paths."""
    return {int(path[2].keys[0][1]) for path in paths if len(path) == 3 and path[2].keys}


def with_waves(plan: Plan, canary: Iterable[DeviceName]) -> Plan:
    """The same plan, committed on these devices first."""
    return replace(plan, waves=(tuple(canary),))


def _services_changed(change: L3smChange, back: L3smChange) -> NewEvent:
    return NewEvent("services", types.SERVICES_CHANGED, {"change": change.to_json(), "back": back.to_json()})


def _with_profiles_kept(effect: NewEvent) -> NewEvent:
    """Profiles that came with a service stay when it is undone: others may use them by now."""
    if effect.type != types.SERVICES_CHANGED:
        return effect
    data: Json = effect.data
    edit = data["change"]["edit"]
    if not any(edit[part] for part in edit if part != "profiles"):
        return effect
    parts = {name: {**data[name], "edit": {**data[name]["edit"], "profiles": None}} for name in ("change", "back")}
    return NewEvent(effect.stream, effect.type, parts)


def _undone(effect: NewEvent) -> NewEvent:
    if effect.type == types.INTENT_ADVANCED:
        return NewEvent(effect.stream, effect.type, undo_of(effect.data))
    return NewEvent(effect.stream, effect.type, {"change": effect.data["back"], "back": effect.data["change"]})
