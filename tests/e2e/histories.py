"""Random service histories: a few VPNs that are created, changed, grown, shrunk, rolled back and deleted.

A `Historian` chooses what a customer or an operator does next, by a seeded source; a `Stage` (a controller over some
network) has it planned and committed. What must be true after each step is asked of the stage.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller.mapping.service_change import L3smEdit
from controller.mapping.service_inverse import whole
from controller.model.errors import BusyError, ConflictError, InvalidInputError, NotSupportedError
from controller.runtime.controller import Controller
from controller.runtime.transactions import CommitOptions
from controller.runtime.world import World
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.plan_json import plan_to_json
from controller.transaction.states import Phase
from tests.controller.mapping_samples import access, edit, service, site

Json = Any
REFUSALS = (BusyError, ConflictError, InvalidInputError, NotSupportedError)
"""Words a planner may answer a wish with; any other error is a fault."""
STEPS = (
    "create",
    "create",
    "modify",
    "modify",
    "add site",
    "add access",
    "remove access",
    "remove site",
    "delete",
    "rollback",
)


def routing(rng: random.Random, number: int, next_hop: str = "") -> Json:
    """One routing protocol towards the customer, whose router is at `next_hop`."""
    bgp = {"autonomous-system": 64512 + number, "address-family": ["ipv4"]}
    ospf = {"address-family": ["ipv4"], "area-address": "0.0.0.0"}
    static = {"lan": f"10.{number}.0.0/16", "next-hop": next_hop or f"192.0.{number}.2"}
    return rng.choice(
        [
            {"type": "ietf-l3vpn-svc:direct"},
            {"type": "ietf-l3vpn-svc:bgp", "bgp": bgp},
            {"type": "ietf-l3vpn-svc:ospf", "ospf": ospf},
            {
                "type": "ietf-l3vpn-svc:static",
                "static": {"cascaded-lan-prefixes": {"ipv4-lan-prefixes": [static]}},
            },
        ]
    )


@dataclass(slots=True)
class Historian:
    """Chooses steps. `cities`: (city, country) where routers stand."""

    rng: random.Random
    cities: Sequence[tuple[str, str]]
    vpns: int = 2
    _numbers: int = 0

    def step(self, world: World) -> tuple[str, L3smEdit | str]:
        """What to do next: an edit, or the transaction to roll back. A step that has no object gives way to another."""
        while True:
            name = self.rng.choice(STEPS)
            wish = getattr(self, f"_{name.replace(' ', '_')}")(world)
            if wish is not None:
                return name, wish

    def _create(self, world: World) -> L3smEdit | None:
        free = [vpn for n in range(self.vpns) if (vpn := f"vpn-{n}") not in world.services.services]
        if not free:
            return None
        vpn = self.rng.choice(free)
        topology = self.rng.choice(["any-to-any", "any-to-any", "hub-spoke"])
        sites = [self._site(vpn, topology, is_first=n == 0) for n in range(self.rng.randint(1, 3))]
        return edit(service(vpn, topology, customer=f"customer of {vpn}"), *sites)

    def _add_site(self, world: World) -> L3smEdit | None:
        vpn = self._any(world.services.services)
        if vpn is None:
            return None
        topology = world.services.services[vpn]["vpn-service-topology"].partition(":")[2]
        return edit(self._site(vpn, topology, is_first=False))

    def _modify(self, world: World) -> L3smEdit | None:
        document = self._any_site(world)
        if document is None:
            return None
        each = self.rng.choice(document["site-network-accesses"]["site-network-access"])
        match self.rng.randrange(4):
            case 0:
                each["service"]["svc-input-bandwidth"] = str(self.rng.randint(1, 9) * 10**7)
            case 1:
                each["service"]["svc-mtu"] = self.rng.choice([1400, 1500, 9000])
            case 2:
                customer = each["ip-connection"]["ipv4"]["addresses"]["customer-address"]
                each["routing-protocols"] = {"routing-protocol": [routing(self.rng, self._number(), customer)]}
            case _:
                city, country = self.rng.choice(self.cities)
                document["locations"]["location"][0] |= {"city": city, "country-code": country}
        return edit(document)

    def _add_access(self, world: World) -> L3smEdit | None:
        document = self._any_site(world)
        if document is None:
            return None
        accesses = document["site-network-accesses"]["site-network-access"]
        first = accesses[0]["vpn-attachment"]
        role = first["site-role"].partition(":")[2]
        number = self._number()
        accesses.append(self._access(number, f"a{number}", first["vpn-id"], role))
        return edit(document)

    def _remove_access(self, world: World) -> L3smEdit | None:
        document = self._any_site(world)
        if document is None:
            return None
        accesses = document["site-network-accesses"]["site-network-access"]
        if len(accesses) < 2:
            return None
        accesses.remove(self.rng.choice(accesses))
        return edit(document)

    def _remove_site(self, world: World) -> L3smEdit | None:
        name = self._any(world.services.sites)
        return None if name is None else edit(delete=[name])

    def _delete(self, world: World) -> L3smEdit | None:
        vpn = self._any(world.services.services)
        return None if vpn is None else deletion(world, vpn)

    def _rollback(self, world: World) -> str | None:
        return self._any([done.id for done in world.transactions if done.phase is Phase.COMMITTED][-4:])

    def _site(self, vpn: str, topology: str, *, is_first: bool) -> Json:
        city, country = self.rng.choice(self.cities)
        role = "any-to-any-role" if topology == "any-to-any" else "hub-role" if is_first else "spoke-role"
        accesses = [self._access(self._number(), f"a{n}", vpn, role) for n in range(self.rng.choice([1, 1, 2]))]
        return site(f"{vpn}/site {self._number()}", city, country, *accesses)

    def _access(self, number: int, name: str, vpn: str, role: str) -> Json:
        document = access(number, name, vpn, role)
        document["service"]["svc-mtu"] = self.rng.choice([1400, 1500])
        document["routing-protocols"] = {"routing-protocol": [routing(self.rng, number)]}
        return document

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers % 250 + 1

    def _any(self, names: Any) -> Any:
        return self.rng.choice(sorted(names)) if names else None

    def _any_site(self, world: World) -> Json:
        name = self._any(world.services.sites)
        return None if name is None else orjson.loads(orjson.dumps(world.services.sites[name]))


def deletion(world: World, vpn: str) -> L3smEdit:
    """The end of a VPN with its sites."""
    return edit(delete=sorted(world.services.vpn_sites.get(vpn, ())), delete_services=[vpn])


@dataclass(slots=True)
class Stage:
    """A controller over a network that tests can look into."""

    controller: Controller
    options: CommitOptions = field(default_factory=CommitOptions)
    log: list[str] = field(default_factory=list)
    """What happened, for whoever reads a failure."""

    @property
    def world(self) -> World:
        return self.controller.world

    async def plan(self, name: str, wish: L3smEdit | str) -> Plan | None:
        """The plan of a step; None when it was refused with a reason, and then nothing was noted.

        That nothing else changed either shows at the end, when the log tells the same story.
        """
        before = self.controller.log.last_position()
        try:
            if isinstance(wish, str):
                plan = await self.controller.plan_rollback(wish, "tester")
            else:
                plan = await self.controller.plan_services(wish, name, "tester")
        except REFUSALS as refusal:
            self.log.append(f"{name}: refused: {refusal}")
            assert self.controller.log.last_position() == before, "a refusal was written down"
            return None
        self.log.append(f"{name}: {plan.id} on {', '.join(device.device for device in plan.changed)}")
        return plan

    async def commit(self, plan: Plan) -> TransactionSummary:
        done = await self.controller.commit(plan.id, self.options, "tester", checksum=plan.checksum)
        assert done.phase is Phase.COMMITTED, f"{done}\n" + "\n".join(self.log)
        self.log.append(f"  {done.id}")
        return done

    async def delete_everything(self) -> None:
        """End every service."""
        for vpn in sorted(self.world.services.services):
            plan = await self.plan("the end", deletion(self.world, vpn))
            assert plan is not None, "\n".join(self.log)
            await self.commit(plan)


def services_of(world: World) -> Mapping[str, Json]:
    """Everything the mapping knows, without the counters that are zero."""
    services = world.services
    return {
        "documents": whole(services).to_json()
        | {"placed": None, "site_vpns": None, "allocated": None, "fragments_added": None},
        "placements": dict(services.placements),
        "load": {port: load for port, load in services.occupancy.load.items() if load},
        "nodes": services.occupancy.nodes,
        "site_vpns": services.site_vpns,
        "vpn_sites": services.vpn_sites,
        "pools": services.identifiers.pools,
        "fragments": services.fragments,
        "vpns": services.vpns,
    }


def state_of(world: World) -> dict[str, Json]:
    """Everything a world knows, to be compared with another's."""
    return {
        "services": services_of(world),
        "intents": orjson.loads(orjson.dumps(world.intents.to_json())),
        "transactions": orjson.loads(orjson.dumps(world.transactions.to_json())),
        "open": world.transactions.open().keys(),
        "plans": {id_: plan_to_json(world.plan(id_)) for id_ in list(world._plans)},
        "numbers": dict(world._numbers),
        "network": {key: orjson.loads(part) for key, part in world.network.to_parts().items()},
        "position": world.position,
    }


def assert_consistent(stage: Stage) -> None:
    """No service is half there: what refers to something finds it, and no number has two holders."""
    try:
        _assert_consistent(stage.world)
    except AssertionError as error:
        raise AssertionError(f"{error}\n" + "\n".join(stage.log)) from error


def _assert_consistent(world: World) -> None:
    """No service is half there: what refers to something finds it, and no number has two holders."""
    services = world.services
    assert set(services.vpn_sites) <= set(services.services), "a site is in a VPN that is not there"
    assert set(services.site_vpns) <= set(services.sites)
    assert {site for site, _ in services.placements} <= set(services.sites)
    for name, pool in services.identifiers.pools.items():
        assert len(set(pool.taken.values())) == len(pool.taken), f"pool {name} gave a number twice: {pool.taken}"
        assert set(pool.free).isdisjoint(pool.taken.values()), f"pool {name} would give a number twice"
    owners = {owner for name in world.network for owner in world.network.device(name).contributions.owners()}
    wanting = {owner for owner in owners if not owner.startswith(("device:", "oob@"))}
    assert wanting == set(services.fragments), "the fragments are not what stands on the devices"
    nodes = {(f.device, f.node.vrf) for f in services.fragments.values() if f.node}
    for fragment in services.fragments.values():
        if fragment.access is not None:
            assert (fragment.device, fragment.access.vrf) in nodes, f"{fragment.owner} is in a VRF that is gone"
