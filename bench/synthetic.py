"""Owns networks without devices: a fleet of known routers, services for them, and transactions that always succeed.

Everything between a request and the wire is real (mapping, planner, coordinator, journal, projections); only the
devices' answers are made up, each being what a device that obeys would say.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from controller.adapters.clock import SystemClock
from controller.adapters.event_log_memory import MemoryEventLog
from controller.adapters.validation import l3sm_validator
from controller.datastore.diff import to_json
from controller.events import types
from controller.mapping.infrastructure import Infrastructure, PeInfo, PortInfo
from controller.mapping.service_change import L3smEdit
from controller.model.identifiers import DeviceName, TransactionId
from controller.model.units import BitRate
from controller.model.yang_path import parse_path
from controller.ports import Event, EventLog, NewEvent, ParticipantClass
from controller.runtime.planner import Planner
from controller.runtime.world import World, plan_created
from controller.transaction.coordinator import Coordinator
from controller.transaction.messages import ChecksDone, Do, Output, Result, RunChecks
from controller.transaction.plan import Plan
from controller.transaction.plan_json import plan_to_json
from controller.transaction.states import Act, DeviceState, Signal

ROUTERS_PER_CITY = 2
_PORTS = ("ge0", "ge1", "ge2", "ge3")
_FOUND_TARGET = {DeviceState.CHECKING, DeviceState.VERIFYING, DeviceState.READING_BACK}


def infrastructure(routers: int) -> Infrastructure:
    """`routers` provider edges, two in each city."""
    ports = tuple(PortInfo(name, BitRate(100 * 10**9)) for name in _PORTS)
    return Infrastructure(
        tuple(
            PeInfo(
                device=DeviceName(f"pe{number:04}"),
                profile="ietf",
                city=f"City {number // ROUTERS_PER_CITY}",
                country="DE",
                asn=65000,
                loopback=f"10.255.{number // 250}.{number % 250 + 1}",
                ports=ports,
            )
            for number in range(routers)
        )
    )


def service(vpn_id: str) -> dict[str, Any]:
    """A VPN in which every site reaches every other."""
    return {"vpn-id": vpn_id, "customer-name": vpn_id, "vpn-service-topology": "ietf-l3vpn-svc:any-to-any"}


def site(site_id: str, city: int, vpn_id: str, accesses: Iterable[int], bandwidth: int = 10**6) -> dict[str, Any]:
    """A site with these accesses; an access's number makes its addresses."""
    return {
        "site-id": site_id,
        "locations": {"location": [{"location-id": "main", "city": f"City {city}", "country-code": "DE"}]},
        "management": {"type": "ietf-l3vpn-svc:customer-managed"},
        "site-network-accesses": {
            "site-network-access": [_access(number, vpn_id, bandwidth) for number in accesses],
        },
    }


def _access(number: int, vpn_id: str, bandwidth: int) -> dict[str, Any]:
    net = f"172.{16 + number // 16384}.{number // 64 % 256}.{number % 64 * 4}".rpartition(".")
    gateway, customer = f"{net[0]}.{int(net[2]) + 1}", f"{net[0]}.{int(net[2]) + 2}"
    return {
        "site-network-access-id": f"a{number}",
        "site-network-access-type": "ietf-l3vpn-svc:point-to-point",
        "location-reference": "main",
        "ip-connection": {
            "ipv4": {
                "address-allocation-type": "ietf-l3vpn-svc:static-address",
                "addresses": {"provider-address": gateway, "customer-address": customer, "prefix-length": 30},
            }
        },
        "service": {
            "svc-input-bandwidth": str(bandwidth),
            "svc-output-bandwidth": str(bandwidth),
            "svc-mtu": 1500,
        },
        "routing-protocols": {
            "routing-protocol": [
                {
                    "type": "ietf-l3vpn-svc:static",
                    "static": {
                        "cascaded-lan-prefixes": {
                            "ipv4-lan-prefixes": [
                                {"lan": f"10.{number // 256 % 256}.{number % 256}.0/24", "next-hop": customer}
                            ]
                        }
                    },
                }
            ]
        },
        "vpn-attachment": {"vpn-id": vpn_id, "site-role": "ietf-l3vpn-svc:any-to-any-role"},
    }


def edit(*documents: dict[str, Any]) -> L3smEdit:
    """An edit that stores these services and sites."""
    return L3smEdit(
        upserted_services={each["vpn-id"]: each for each in documents if "vpn-id" in each},
        upserted_sites={each["site-id"]: each for each in documents if "site-id" in each},
    )


def joined(edits: Sequence[L3smEdit]) -> L3smEdit:
    """One edit out of several of different services."""
    return L3smEdit(
        upserted_services={key: document for each in edits for key, document in each.upserted_services.items()},
        upserted_sites={key: document for each in edits for key, document in each.upserted_sites.items()},
    )


def small_service(number: int, cities: int, bandwidth: int = 10**6) -> L3smEdit:
    """A VPN of two sites with one access each, in two cities."""
    vpn_id = f"vpn-{number}"
    here = [number % cities, (number * 7 + 1) % cities]
    sites = [site(f"{vpn_id}-{end}", city, vpn_id, [2 * number + end], bandwidth) for end, city in enumerate(here)]
    return edit(service(vpn_id), *sites)


def synced(infrastructure: Infrastructure) -> list[NewEvent]:
    """Every router as it is read before anybody has configured anything."""
    found = []
    for router in infrastructure.routers:
        lines: dict[str, str] = {}
        for port in router.ports:
            entry = f"/ietf-interfaces:interfaces/interface[name='{port.name}']"
            lines |= {entry: "", f"{entry}/type": "iana-if-type:ethernetCsmacd"}
        config = to_json({parse_path(path): value for path, value in lines.items()})
        data = {"device": router.device, "participant": ParticipantClass.PERSISTENT.value, "config": config}
        found.append(NewEvent(f"device/{router.device}", types.DEVICE_SYNCED, data))
    return found


class Fleet:
    """A world that knows a fleet, with its planner. The log is in memory unless another one is given."""

    def __init__(self, routers: int, log: EventLog | None = None, routers_at: Infrastructure | None = None) -> None:
        """`open` it before use. `routers_at`: these routers, each in a city of its own."""
        self.log = log or MemoryEventLog(clock=SystemClock())
        self.world = World()
        self.log.subscribe(self.world.apply_all)
        self.cities = routers if routers_at else routers // ROUTERS_PER_CITY
        self.planner = Planner(self.world, l3sm_validator(), routers_at or infrastructure(routers), self.log)

    async def open(self) -> "Fleet":
        """Make every router known."""
        await self.log.append(synced(self.planner.infrastructure), actor="bench")
        return self

    async def commit(self, plan: Plan) -> Sequence[Event]:
        """Store what a commit of the plan stores when every device obeys."""
        transaction = TransactionId(self.world.next_id("transaction"))
        stream = f"transaction/{transaction}"
        created = plan_created(plan)
        for expected in (stream, created.stream):
            self.world.expect(expected, plan)
        data = {"plan": plan_to_json(plan), "comment": "", "confirm_timeout_seconds": 120.0, "on_drift": "policy"}
        journal = _journal(Coordinator(transaction, plan))
        events = [
            created,
            NewEvent(stream, types.TRANSACTION_PLANNED, data),
            *(NewEvent(stream, f"transaction.{record.type}", record.data) for record in journal),
            *plan.effects,
        ]
        return await self.log.append(events, actor="bench", cause=transaction)


def _journal(coordinator: Coordinator) -> list[Any]:
    """The records of a transaction in which all goes well."""
    records = []
    waiting = [coordinator.start(0.0)]
    while waiting:
        output = waiting.pop()
        records += output.records
        waiting += [_answer(coordinator, instruction) for instruction in output.instructions if _asks(instruction)]
    return records


def _asks(instruction: object) -> bool:
    return isinstance(instruction, (Do, RunChecks))


def _answer(coordinator: Coordinator, instruction: Any) -> Output:
    if isinstance(instruction, RunChecks):
        return coordinator.handle(ChecksDone(0.0))
    device = coordinator.devices[instruction.device]
    observed = None
    if instruction.act is Act.READ:
        observed = device.target if instruction.state in _FOUND_TARGET else device.base
    return coordinator.handle(Result(instruction.device, instruction.state, Signal.DONE, 0.0, observed=observed))
