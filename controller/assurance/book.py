"""Owns everything that assurance remembers: a fold of the event log, the same after a restart as before it.

What services and intents do moves their agreements: a plan is an offer, committing it the agreement, the commit's
effect provisioning; the owner's change of what is served is a modification. Everything else that happens to them the
closed loop says by events of its own. A service that is negotiated elsewhere takes the same edges.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.assurance.closed_loop import ClosedLoop
from controller.assurance.guards import GuardLimits
from controller.assurance.instance import TRANSITIONS, Happening, InstanceEvent, InstanceState
from controller.assurance.objectives import Availability, Objective, ObjectiveName, Spell
from controller.assurance.own_change import OwnChange, of_services, of_tunnels
from controller.events import types
from controller.mapping.codec import from_json, to_json
from controller.mapping.fragment import service_id
from controller.ports import Event

Json = Any
DECISIONS_KEPT = 20
POSITIONS_KEPT = 100
CARRIERS_KEPT = 200
CHANGES_KEPT = 200
DIAGNOSES_KEPT = 50
AGREEMENTS_KEPT = 1000
"""Terminated ones; the event log has all of them."""
LONGEST_WINDOW_SECONDS = 366 * 86_400.0
_PREFIX = "assurance/"
_UNKNOWN = "unknown"
"""What a fault is of which no cause is known."""
_S, _E = InstanceState, InstanceEvent


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something in the event log and where it stands there."""

    position: int
    time: float
    data: Json


@dataclass(frozen=True, slots=True)
class Carrier:
    """A carrier that came or went, and the links that end there."""

    position: int
    time: float
    is_up: bool
    links: tuple[str, ...]


class AssuranceBook:
    """The state of assurance. Changed by `apply` only."""

    def __init__(self, limits: GuardLimits | None = None) -> None:
        self.loop = ClosedLoop(limits)
        self.version = 0
        """Grows when agreements come, go or change, so that what is derived from them is derived once."""
        self._decisions: dict[str, list[Recorded]] = {}
        self._positions: dict[str, list[int]] = {}
        """Of the events behind the steps of an instance, in their order."""
        self._objectives: dict[str, tuple[Objective, ...]] = {}
        self._reports: dict[str, Recorded] = {}
        self._vpns: dict[str, str] = {}
        """The VPN of each intent."""
        self._availability: dict[str, Availability] = {}
        self._told: dict[str, str] = {}
        """How each service was, from `_told_at` on."""
        self._told_at = 0.0
        self._carriers: list[Carrier] = []
        self._diagnoses: list[Recorded] = []
        self._changes: list[OwnChange] = []
        self._handlers: Mapping[str, Callable[[Event, Json], None]] = {
            types.SERVICES_CHANGED: self._services_changed,
            types.TUNNELS_CHANGED: self._tunnels_changed,
            types.INTENT_ADVANCED: self._intent_advanced,
            types.ASSURANCE_HAPPENING: self._happened,
            types.ASSURANCE_DECISION: self._decided,
            types.ASSURANCE_OBJECTIVES: self._objectives_set,
            types.ASSURANCE_AVAILABILITY: self._available,
            types.ASSURANCE_REPORTED: self._reported,
            types.LINK_CHANGED: self._link_changed,
            types.DIAGNOSIS_CHANGED: self._diagnosed,
            types.DAEMON_STARTED: self._started,
        }

    # -- what is asked of it -----------------------------------------------------------------------------------

    @property
    def agreements(self) -> Iterator[str]:
        """Those that live."""
        return (one.agreement for one in self.loop if not one.state.is_final)

    def decisions(self, agreement: str) -> tuple[Recorded, ...]:
        """The latest decisions about an agreement, oldest first."""
        return tuple(self._decisions.get(agreement, ()))

    def positions(self, agreement: str) -> tuple[int, ...]:
        """The events behind the steps that its instance keeps, in the same order."""
        steps = len(self.loop.get(agreement).steps)
        return tuple(self._positions.get(agreement, ())[-steps:]) if steps else ()

    def objectives(self, agreement: str) -> tuple[Objective, ...]:
        """What was set beside the service's own."""
        return self._objectives.get(agreement, ())

    def report(self, agreement: str) -> Recorded | None:
        """The last report about an agreement."""
        return self._reports.get(agreement)

    def availability(self, agreement: str) -> Availability:
        """When it was measured, and when it was bad."""
        return self._availability.get(agreement, Availability())

    def told(self, agreement: str) -> str:
        """How it was told to be last: `good`, `bad` or `unknown`."""
        return self._told.get(agreement, "unknown")

    @property
    def told_at(self) -> float:
        """When all were told last, in UTC seconds."""
        return self._told_at

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The latest that came or went, oldest first."""
        return tuple(self._carriers)

    @property
    def changes(self) -> tuple[OwnChange, ...]:
        """The latest of our own that moved traffic, oldest first."""
        return tuple(self._changes)

    @property
    def diagnoses(self) -> tuple[Recorded, ...]:
        """The latest that name causes, oldest first: `causes` with confidence and reason, surest first; `services`."""
        return tuple(self._diagnoses)

    # -- folding -----------------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Fold one event."""
        handler = self._handlers.get(event.type)
        if handler is not None:
            handler(event, event.data)

    def _services_changed(self, event: Event, data: Json) -> None:
        change = data["change"]
        deleted = set(change["edit"]["deleted-services"])
        touched = {vpn for _, vpns in change["site_vpns"] for vpn in vpns} | set(change["edit"]["upserted-services"])
        self._keep_change(of_services(event, touched))
        for vpn in sorted(touched - deleted):
            self._provisioned(vpn, event)
        for vpn in sorted(deleted):
            self._happen(vpn, _E.TERMINATE, event)

    def _provisioned(self, vpn: str, event: Event) -> None:
        """The network carries it as asked, from here on or anew."""
        if self._state(vpn) in {None, _S.DECLARED}:
            self._offer(vpn, event)
        if self._state(vpn) is _S.NEGOTIATED:
            self._happen(vpn, _E.AGREE, event)
        if self._state(vpn) is _S.AGREED:
            self._happen(vpn, _E.PROVISION, event)
            return
        if self._state(vpn) is not _S.RENEGOTIATED:
            self._happen(vpn, _E.MODIFY, event, cause="owner")
        self._happen(vpn, _E.CHANGE_COMMITTED, event)

    def _intent_advanced(self, event: Event, data: Json) -> None:
        intent = event.stream.partition("/")[2]
        vpn = str(data.get("vpn_id") or self._vpns.get(intent, ""))
        if not vpn:
            return
        self._vpns[intent] = vpn
        state = self._state(vpn)
        is_served = state is not None and state.is_serving
        match data["event"]:
            case "plan" if not is_served:
                self._offer(vpn, event)
            case "commit":
                self._happen(vpn, _E.MODIFY if is_served else _E.AGREE, event, cause="owner")
            case "rolled-back":
                failed = _E.CHANGE_FAILED if state is _S.RENEGOTIATED else _E.PROVISIONING_FAILED
                self._happen(vpn, failed, event, reason=str(data.get("reason", "")))
            case "drop-plan" if not is_served:
                self._happen(vpn, _E.LAPSE, event)
            case "reject" | "withdraw" if not is_served:
                self._happen(vpn, _E.TERMINATE, event, reason=str(data.get("reason", "")))

    def _offer(self, vpn: str, event: Event) -> None:
        if self._state(vpn) is None:
            self.loop.declare(vpn, event.time)
            self._forget(vpn)
        self._happen(vpn, _E.NEGOTIATE, event)

    def _happen(self, vpn: str, what: InstanceEvent, event: Event, cause: str = "", reason: str = "") -> None:
        """What cannot happen in this state has happened already, in other words."""
        state = self._state(vpn)
        if state is not None and (state, what) in TRANSITIONS:
            self._apply(Happening(vpn, what, event.time, cause, reason), event.position)

    def _happened(self, event: Event, data: Json) -> None:
        agreement = event.stream.removeprefix(_PREFIX)
        what = InstanceEvent(data["event"])
        state = self._state(agreement)
        if state is not None and (state, what) in TRANSITIONS:
            self._apply(Happening(agreement, what, data["time"], data["cause"], data["reason"]), event.position)

    def _apply(self, happening: Happening, position: int) -> None:
        self.loop.apply(happening)
        self.version += 1
        positions = self._positions.setdefault(happening.agreement, [])
        positions.append(position)
        del positions[:-POSITIONS_KEPT]
        if happening.event in {_E.TERMINATE, _E.EXPIRE}:
            self._told.pop(happening.agreement, None)
            self._availability.pop(happening.agreement, None)
            for gone in self.loop.drop_ended(AGREEMENTS_KEPT):
                self._forget(gone)

    def _state(self, agreement: str) -> InstanceState | None:
        """None where no instance lives."""
        state = self.loop.get(agreement).state if agreement in self.loop else _S.TERMINATED
        return None if state.is_final else state

    def _forget(self, agreement: str) -> None:
        """What was known of an instance that has ended."""
        kept: dict[str, Any]
        for kept in (self._decisions, self._positions, self._reports, self._objectives):
            kept.pop(agreement, None)

    def _decided(self, event: Event, data: Json) -> None:
        kept = self._decisions.setdefault(event.stream.removeprefix(_PREFIX), [])
        kept.append(Recorded(event.position, event.time, dict(data)))
        del kept[:-DECISIONS_KEPT]

    def _objectives_set(self, event: Event, data: Json) -> None:
        agreement = event.stream.removeprefix(_PREFIX)
        self._objectives[agreement] = tuple(objective_from_json(agreement, one) for one in data["objectives"])
        self.version += 1

    def _reported(self, event: Event, data: Json) -> None:
        self._reports[event.stream.removeprefix(_PREFIX)] = Recorded(event.position, data["time"], dict(data))

    def _available(self, _event: Event, data: Json) -> None:
        for agreement, told in self._told.items():
            known = self._availability.get(agreement, Availability())
            self._availability[agreement] = known.measured(
                self._told_at, data["time"], is_good=told == "good", window_seconds=LONGEST_WINDOW_SECONDS
            )
        self._told_at = data["time"]
        for agreement, told in data["changed"].items():
            if told == "unknown":
                self._told.pop(agreement, None)
            elif self._state(agreement) is not None:
                self._told[agreement] = told

    def _link_changed(self, event: Event, data: Json) -> None:
        links = tuple(sorted(str(link) for link in data["links"]))
        self._carriers.append(Carrier(event.position, event.time, bool(data["up"]), links))
        del self._carriers[:-CARRIERS_KEPT]

    def _diagnosed(self, event: Event, data: Json) -> None:
        known = [one for one in data["causes"] if one["kind"] != _UNKNOWN]
        if known and data["services"]:
            causes = [{key: one.get(key, "") for key in ("cause", "confidence", "reason")} for one in known]
            kept = {"causes": causes, "services": data["services"]}
            self._diagnoses.append(Recorded(event.position, event.time, kept))
            del self._diagnoses[:-DIAGNOSES_KEPT]

    def _tunnels_changed(self, event: Event, _data: Json) -> None:
        self._keep_change(of_tunnels(event))

    def _keep_change(self, change: OwnChange | None) -> None:
        if change is not None:
            self._changes.append(change)
            del self._changes[:-CHANGES_KEPT]

    def _started(self, _event: Event, _data: Json) -> None:
        """Nobody looked since what was told last."""
        self._told.clear()

    # -- snapshots ---------------------------------------------------------------------------------------------

    def to_json(self) -> Json:
        """The state, for a snapshot."""
        return {
            "loop": self.loop.to_json(),
            "decisions": {name: [_recorded_json(one) for one in kept] for name, kept in self._decisions.items()},
            "positions": self._positions,
            "objectives": {name: [objective_to_json(one) for one in kept] for name, kept in self._objectives.items()},
            "reports": {name: _recorded_json(one) for name, one in self._reports.items()},
            "vpns": self._vpns,
            "availability": {
                name: [[spell.start, spell.end, spell.bad_ratio] for spell in one.spells]
                for name, one in self._availability.items()
            },
            "carriers": [[one.position, one.time, one.is_up, list(one.links)] for one in self._carriers],
            "changes": [to_json(one) for one in self._changes],
            "diagnoses": [_recorded_json(one) for one in self._diagnoses],
            "told": self._told,
            "told-at": self._told_at,
        }

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self.loop.load_json(document["loop"])
        self._decisions = {name: [Recorded(*one) for one in kept] for name, kept in document["decisions"].items()}
        self._positions = {name: list(kept) for name, kept in document["positions"].items()}
        self._objectives = {
            name: tuple(objective_from_json(name, one) for one in kept) for name, kept in document["objectives"].items()
        }
        self._reports = {name: Recorded(*one) for name, one in document["reports"].items()}
        self._vpns = dict(document["vpns"])
        self._availability = {
            name: Availability(tuple(Spell(*spell) for spell in spells))
            for name, spells in document["availability"].items()
        }
        self._carriers = [
            Carrier(position, time, up, tuple(links)) for position, time, up, links in document["carriers"]
        ]
        self._changes = [from_json(OwnChange, one) for one in document["changes"]]
        self._diagnoses = [Recorded(*one) for one in document.get("diagnoses", ())]
        self._told, self._told_at = dict(document["told"]), document["told-at"]
        self.version += 1


def _recorded_json(recorded: Recorded) -> Json:
    return [recorded.position, recorded.time, recorded.data]


def objective_to_json(objective: Objective) -> Json:
    """An objective that was set."""
    return {
        "name": objective.name.value,
        "target": objective.target,
        "window_seconds": objective.window_seconds,
        "subject": objective.subject,
    }


def objective_from_json(agreement: str, document: Json) -> Objective:
    """The objective that `objective_to_json` was given."""
    return Objective(
        service_id(agreement),
        ObjectiveName(document["name"]),
        float(document["target"]),
        float(document["window_seconds"]),
        document["subject"],
    )
