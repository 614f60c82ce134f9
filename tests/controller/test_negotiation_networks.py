"""What is sold of the network, and of which optical domain; nothing until each has told which links are its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from controller.mapping.optical import segment_owner
from controller.mapping.optical_domain import ClientPort, OpticalDomain, OpticalTunnel
from controller.model.errors import ConflictError, ConnectionFailedError
from controller.model.identifiers import DeviceName
from controller.model.inventory import Place
from controller.negotiation.agreement import Terms
from controller.negotiation.catalogue import Tier
from controller.runtime.negotiation_light import LightProvisioner
from controller.runtime.negotiation_networks import lightable, sold_networks
from controller.topology.network import LinkId, Network, Node
from controller.topology.te_database import TeDatabase
from tests.controller.negotiation_samples import terms as agreed
from tests.controller.optical_samples import OTN, domain, network, point, tunnel, wire

FAR = DeviceName("otn-far")
SERVICE = "naas-1"
NEAR_FIBRE, FAR_FIBRE = LinkId("a:a--b>b:a--b"), LinkId("fa:fa--fb>fb:fa--fb")


def far_domain(*tunnels: OpticalTunnel, nodes: tuple[str, str] = ("fa", "fb")) -> OpticalDomain:
    """Another domain, between two other routers."""
    near, (one, other) = domain(), nodes
    ports = [ClientPort(node, "client0", 100, point(f"pe-{node}", "core2")) for node in nodes]
    fibre = replace(near.links[0], name=f"{one}--{other}", a=one, b=other)
    return replace(near, device=FAR, nodes=nodes, client_ports=tuple(ports), links=(fibre,), tunnels=tunnels)


def both_networks() -> Network:
    """The routers around either domain; a link over either one's light."""
    near = network()
    nodes = [Node(DeviceName(f"pe-f{name}"), endpoint=f"2001:db8::f{name}") for name in "ab"]
    over = wire(point("pe-fa", "core2"), point("pe-fb", "core2"), is_up=False)
    ip = wire(point("pe-fa", "core0"), point("pe-fb", "core0"))
    return Network.of([*near.nodes.values(), *nodes], [*near.links.values(), *over, *ip])


@dataclass
class Daemon:
    """What is asked of the controller; `told` are the domains that answer. Light that is ordered is up at once."""

    told: dict[DeviceName, OpticalDomain] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)
    names: tuple[DeviceName, ...] = (OTN, FAR)
    is_refusing: bool = False

    def __post_init__(self) -> None:
        self.optical = SimpleNamespace(read=self.read, settled=self.settled)
        database = TeDatabase(both_networks())
        self.topology = SimpleNamespace(network=database.network, database=database, refresh=self.refresh)
        self.clock = SimpleNamespace(monotonic=count(0.0, 60.0).__next__)
        self.world = SimpleNamespace(network=self)

    def records(self) -> Mapping[DeviceName, Any]:
        return {name: SimpleNamespace(profile="otn", access_ports=(), place=Place()) for name in self.names}

    async def refresh(self, *_: object) -> None:
        """Nothing moves by itself."""

    async def read(self, name: DeviceName) -> OpticalDomain:
        if name not in self.told:
            raise ConnectionFailedError("no answer")
        return self.told[name]

    async def settled(self, name: DeviceName, service: str, _seconds: float) -> OpticalTunnel:
        found = self.told[name].tunnel(service)
        assert found is not None
        return found

    # -- what was ordered, as the world has it --

    def __contains__(self, name: DeviceName) -> bool:
        return name in self.names

    def device(self, name: DeviceName) -> Any:
        owned = {segment_owner(one.name) for one in self.told[name].tunnels} if name in self.told else set()
        return SimpleNamespace(contributions=SimpleNamespace(of=lambda owner: owner in owned))

    async def plan_optical(self, name: DeviceName, service: str, link: LinkId, *_: object, **__: object) -> Any:
        self.acts.append(f"light {name}")
        told = self.told[name]
        ends = self.topology.network.links[link]
        ports = [str(told.attached_to(end)) for end in (ends.source, ends.target)]
        self.told[name] = replace(told, tunnels=(tunnel(service, ports[0], ports[1], 10),))
        return SimpleNamespace(is_empty=True, effects=(), summary="light")

    async def plan_optical_removal(self, name: DeviceName, *_: object) -> Any:
        self.acts.append(f"dark {name}")
        self.told[name] = replace(self.told[name], tunnels=())
        return SimpleNamespace(is_empty=True, effects=(), summary="dark")

    # -- the tunnels over it --

    async def provision(self, _service: str, _terms: Terms, links: tuple[LinkId, ...]) -> str:
        self.acts.append(f"tunnels over {links[0]}")
        if self.is_refusing:
            raise ConflictError("the twin refuses this plan")
        return "done"

    change = provision

    async def remove(self, _service: str) -> str:
        self.acts.append("no tunnels")
        return "done"


def light() -> Terms:
    found = agreed()
    return replace(found, level=replace(found.level, tier=Tier.OPTICAL.value))


def provisioner(daemon: Daemon) -> LightProvisioner:
    return LightProvisioner(daemon, daemon, daemon.names)  # type: ignore[arg-type]  # what is asked of them


async def sold(daemon: Daemon, before: Mapping[DeviceName, OpticalDomain]) -> Any:
    return await sold_networks(daemon, before)  # type: ignore[arg-type]  # what is asked of it


async def test_nothing_is_sold_until_every_domain_has_told_which_links_are_its_own() -> None:
    assert await sold(Daemon(), {}) == ({}, {})
    half = Daemon({OTN: domain()})
    assert await sold(half, {}) == ({}, {OTN: domain()})


async def test_the_light_of_every_domain_is_sold_as_light_and_none_of_it_as_ip() -> None:
    found, known = await sold(Daemon({OTN: domain(), FAR: far_domain()}), {})
    assert list(known) == [OTN, FAR]
    assert {NEAR_FIBRE, FAR_FIBRE} <= found[Tier.OPTICAL].database.network.links.keys()
    assert (found[Tier.OPTICAL].places["pe-a"], found[Tier.OPTICAL].places["pe-fa"]) == ("a", "fa")
    ip = found[Tier.IP].database.network.links
    assert {"pe-a:core0>p-1:core0", "pe-fa:core0>pe-fb:core0"} <= ip.keys()
    assert not [link for link in ip if "core2" in link and "p-1" not in link]


async def test_a_domain_that_does_not_answer_any_more_sells_nothing_and_its_links_are_none_of_ip() -> None:
    _, known = await sold(Daemon({OTN: domain(), FAR: far_domain()}), {})
    found, still = await sold(Daemon({OTN: domain()}), known)
    assert still == known
    assert FAR_FIBRE not in found[Tier.OPTICAL].database.network.links
    assert "pe-fa:core2>pe-fb:core2" not in found[Tier.IP].database.network.links
    gone, left = await sold(Daemon({OTN: domain()}, names=(OTN,)), known)
    assert list(left) == [OTN]
    assert "pe-fa:core2>pe-fb:core2" in gone[Tier.IP].database.network.links


async def test_of_two_domains_that_call_a_node_the_same_the_first_is_sold() -> None:
    found, _ = await sold(Daemon({OTN: domain(), FAR: far_domain(nodes=("a", "fb"))}), {})
    assert list(found[Tier.OPTICAL].database.network.nodes) == ["a", "b", "c"]


async def test_slots_of_a_service_that_moves_between_domains_are_taken_in_both() -> None:
    near = tunnel(SERVICE, "a:client0", "b:client0", 20, "a--b")
    far = replace(near, source="fa:client0", target="fb:client0", route=("fa--fb",))
    found, _ = await sold(Daemon({OTN: domain(near), FAR: far_domain(far)}), {})
    database = found[Tier.OPTICAL].database
    loads = {link: database.measured[link].load.bits_per_second for link in (NEAR_FIBRE, FAR_FIBRE)}
    assert loads == {NEAR_FIBRE: 200_000_000, FAR_FIBRE: 200_000_000}


def test_links_that_can_be_lit_are_counted_in_whichever_domain_they_are() -> None:
    daemon, domains = Daemon(), [domain(), far_domain()]
    ends = DeviceName("fa"), DeviceName("fb")
    assert lightable(daemon, domains, ends) == 1  # type: ignore[arg-type]  # what is asked of it
    taken = [domain(), far_domain(tunnel("other", "fa:client0", "fb:client0", 5))]
    assert lightable(daemon, taken, ends) == 0  # type: ignore[arg-type]  # what is asked of it


@pytest.mark.parametrize(
    "name, fibre, link", [(OTN, NEAR_FIBRE, "pe-a:core2>pe-b:core2"), (FAR, FAR_FIBRE, "pe-fa:core2>pe-fb:core2")]
)
async def test_light_is_ordered_of_the_domain_that_has_the_fibre_and_taken_down_there(
    name: DeviceName, fibre: LinkId, link: str
) -> None:
    daemon = Daemon({OTN: domain(), FAR: far_domain()})
    await provisioner(daemon).provision(SERVICE, light(), (fibre,))
    await provisioner(daemon).remove(SERVICE)
    assert daemon.acts == [f"light {name}", f"tunnels over {link}", "no tunnels", f"dark {name}"]


async def test_a_service_that_moves_to_another_domain_has_its_new_light_before_the_old_one_goes() -> None:
    daemon = Daemon({OTN: domain(), FAR: far_domain()})
    await provisioner(daemon).provision(SERVICE, light(), (NEAR_FIBRE,))
    daemon.acts.clear()
    await provisioner(daemon).change(SERVICE, light(), (FAR_FIBRE,))
    assert daemon.acts == [f"light {FAR}", "tunnels over pe-fa:core2>pe-fb:core2", f"dark {OTN}"]
    daemon.acts.clear()
    ip = replace(light(), level=replace(light().level, tier=Tier.IP.value))
    await provisioner(daemon).change(SERVICE, ip, (LinkId("pe-fa:core0>pe-fb:core0"),))
    assert daemon.acts == ["tunnels over pe-fa:core0>pe-fb:core0", f"dark {FAR}"]


async def test_a_move_that_is_refused_takes_down_the_new_light_and_leaves_the_old() -> None:
    daemon = Daemon({OTN: domain(), FAR: far_domain()})
    await provisioner(daemon).provision(SERVICE, light(), (NEAR_FIBRE,))
    daemon.acts.clear()
    daemon.is_refusing = True
    with pytest.raises(ConflictError, match="twin"):
        await provisioner(daemon).change(SERVICE, light(), (FAR_FIBRE,))
    assert daemon.acts[0] == f"light {FAR}"
    assert daemon.acts[-1] == f"dark {FAR}"
    assert daemon.told[OTN].tunnel(SERVICE) is not None


async def test_light_of_a_domain_that_does_not_answer_is_refused_by_name_of_the_fibre() -> None:
    with pytest.raises(ConflictError, match="fa--fb"):
        await provisioner(Daemon({OTN: domain()})).provision(SERVICE, light(), (FAR_FIBRE,))
