"""The optical domain in a running lab: spoken to over RESTCONF, its tunnels are links between routers."""

import asyncio
import json

import pytest
import requests

from lab.control import LabService
from lab.control_socket import ControlError
from lab.faults import FaultScript
from lab.inventory import inventory_document
from lab.network import LabNetwork, NetworkOptions
from lab.router.faults_point import Fault
from lab.topology import TopologyError
from lab.topology_file import parse_topology, topology_document, topology_from_document
from tests.lab.conftest import eventually
from tests.patience import PATIENCE_SECONDS
from tests.ports import first_of_neighbours

TOPOLOGY = """
name: two cities
nodes:
  - name: pe-a
    role: pe
    site: {city: Arnhem, latitude: 51.98, longitude: 5.91, pop: ARN}
    core_ports: [core0, core1]
    access_ports: [access0]
  - name: pe-b
    role: pe
    site: {city: Breda, latitude: 51.59, longitude: 4.78, pop: BRE}
    core_ports: [core0, core1]
    access_ports: [access0]
links:
  - {name: fibre, a: "pe-a:core0", b: "pe-b:core0", capacity: 10G}
  - {name: light, a: "pe-a:core1", b: "pe-b:core1", capacity: 1G, over: otn-domain}
optical:
  setup_seconds: 0.05
  nodes:
    - {name: otn-a, client_ports: [{name: client0, attached: "pe-a:core1", slots: 100}]}
    - {name: otn-b, client_ports: [{name: client0, attached: "pe-b:core1", slots: 100}]}
    - {name: otn-c}
  links:
    - {a: otn-a, b: otn-b, slots: 40, delay_milliseconds: 0.5}
    - {a: otn-a, b: otn-c, slots: 100, delay_milliseconds: 0.6}
    - {a: otn-c, b: otn-b, slots: 100, delay_milliseconds: 0.6}
"""


class Domain:
    """The domain's RESTCONF API, as a client sees it."""

    def __init__(self, network: LabNetwork, ca_file) -> None:
        self.base = f"https://localhost:{network['otn-domain'].restconf_port}/restconf/data"
        self.auth = (network.options.username, network.password)
        self.ca_file = str(ca_file)

    async def __call__(self, method: str, path: str, body=None) -> requests.Response:
        def run() -> requests.Response:
            with requests.Session() as session:
                session.trust_env = False
                return session.request(
                    method,
                    f"{self.base}/{path}",
                    auth=self.auth,
                    verify=self.ca_file,
                    timeout=PATIENCE_SECONDS,
                    data=None if body is None else json.dumps(body),
                    headers={"Content-Type": "application/yang-data+json", "Accept": "application/yang-data+json"},
                )

        return await asyncio.to_thread(run)

    async def put(self, name: str, slots: int, **leaves) -> requests.Response:
        ends = {
            end: {"node": f"otn-{end_node}", "port": "client0"} for end, end_node in (("source", "a"), ("target", "b"))
        }
        entry = {"name": name, "slots": slots, **ends, **leaves}
        return await self("PUT", f"accord-otn:domain/tunnel={name}", {"accord-otn:tunnel": [entry]})

    async def tunnel(self, name: str) -> dict:
        reply = await self("GET", f"accord-otn:domain/tunnel={name}")
        assert reply.status_code == 200, reply.text
        return reply.json()["accord-otn:tunnel"][0]


@pytest.fixture
async def network():
    async with LabNetwork(parse_topology(TOPOLOGY)) as network:
        yield network


@pytest.fixture
def domain(network, tmp_path):
    (tmp_path / "ca.pem").write_bytes(network.authority_pem)
    return Domain(network, tmp_path / "ca.pem")


def has_carrier(network, link="light"):
    return link not in network.plane.cut_links()


def errors_of(reply):
    return reply.json()["ietf-restconf:errors"]["error"]


async def test_the_domain_shows_its_nodes_links_and_client_ports(domain):
    shown = (await domain("GET", "accord-otn:domain")).json()["accord-otn:domain"]
    assert shown["slot-bandwidth"] == "10000000"
    assert shown["setup-time"] == 50
    assert shown["node"][0] == {
        "name": "otn-a",
        "client-port": [{"name": "client0", "slots": 100, "client-node": "pe-a", "client-node-port": "core1"}],
    }
    assert shown["link"][0] == {
        "name": "otn-a--otn-b",
        "a-node": "otn-a",
        "b-node": "otn-b",
        "slots": 40,
        "free-slots": 40,
        "delay": 500,
        "oper-status": "up",
    }


async def test_a_tunnel_becomes_a_link_between_the_routers_when_it_is_up(network, domain):
    assert not has_carrier(network)
    assert (await domain.put("t", 10)).status_code == 201
    assert (await domain.tunnel("t"))["status"] in {"setting-up", "up"}
    await eventually(lambda: has_carrier(network))
    tunnel = await domain.tunnel("t")
    assert (tunnel["status"], tunnel["delay"], tunnel["route"]) == ("up", 500, ["otn-a--otn-b"])
    assert [found.neighbour for found in network.plane.adjacencies("pe-a") if found.port == "core1"] == ["pe-b"]


async def test_a_tunnel_that_is_removed_takes_the_link_and_frees_its_slots(network, domain):
    await domain.put("t", 10)
    await eventually(lambda: has_carrier(network))
    assert (await domain("GET", "accord-otn:domain/link=otn-a--otn-b/free-slots")).json() == {
        "accord-otn:free-slots": 30
    }
    assert (await domain("DELETE", "accord-otn:domain/tunnel=t")).status_code == 204
    assert not has_carrier(network)
    assert (await domain("GET", "accord-otn:domain/link=otn-a--otn-b/free-slots")).json() == {
        "accord-otn:free-slots": 40
    }


async def test_a_tunnel_is_resized_while_the_link_stays_up(network, domain):
    await domain.put("t", 10)
    await eventually(lambda: has_carrier(network))
    changed = []
    network.optical.state.subscribe(lambda tunnel, _: changed.append(tunnel.status))
    assert (await domain.put("t", 40)).status_code == 204
    assert (await domain.tunnel("t"))["status"] == "up"
    assert changed == []


async def test_more_slots_than_the_route_has_are_refused_naming_the_link(network, domain):
    await domain.put("t", 10)
    reply = await domain.put("t", 50)
    assert reply.status_code == 409
    (error,) = errors_of(reply)
    assert error["error-tag"] == "resource-denied"
    assert error["error-app-tag"] == "slots-exhausted"
    assert error["error-message"] == "link otn-a--otn-b has 40 of 40 slots free and tunnel t wants 50"
    assert error["error-path"].endswith("accord-otn:tunnel[accord-otn:name='t']")
    assert (await domain.tunnel("t"))["slots"] == 10


async def test_a_tunnel_whose_delay_bound_cannot_be_kept_is_refused(domain):
    (error,) = errors_of(await domain.put("t", 50, **{"delay-bound": 1000}))
    assert error["error-message"] == (
        "tunnel t would take 1.2 ms over otn-a--otn-c, otn-c--otn-b, and its bound is 1 ms"
    )


async def test_a_fibre_cut_takes_the_link_and_mending_it_brings_it_back(network, domain):
    await domain.put("t", 10)
    await eventually(lambda: has_carrier(network))
    network.set_link("otn-a--otn-b", up=False)
    assert not has_carrier(network)
    tunnel = await domain.tunnel("t")
    assert (tunnel["status"], tunnel["reason"]) == ("failed", "otn-a--otn-b is cut")
    network.set_link("otn-a--otn-b", up=True)
    await eventually(lambda: has_carrier(network))


async def test_a_link_over_the_domain_is_not_cut_by_hand(network):
    with pytest.raises(KeyError, match="link light goes and comes with its tunnel: cut or mend a link of otn-domain"):
        network.set_link("light", up=False)


async def test_faults_reach_the_domain_as_they_reach_routers(network, domain):
    network.faults.add("otn-domain", "restconf-put", Fault.REJECT)
    reply = await domain.put("t", 10)
    assert reply.status_code >= 400
    assert not network.optical.state.tunnels.get("t")


async def test_an_optical_link_costs_so_much_that_only_who_is_steered_takes_it(network):
    metrics = {name: port.metric for name, port in network.forwarding("pe-a").interfaces.items()}
    assert metrics["core1"] == 16777214
    assert metrics["core0"] < 1000


def test_a_link_over_the_domain_has_the_delay_of_the_light_path():
    light = next(link for link in parse_topology(TOPOLOGY).links if link.name == "light")
    assert light.delay_seconds == 0.0005


async def test_the_inventory_names_the_domain_with_its_profile_and_no_secret(network):
    host = inventory_document(network.running_routers(), username="accord")["hosts"]["otn-domain"]
    assert host["data"]["mapping_profile"] == "otn"
    assert host["data"]["ports"] == {"restconf": network["otn-domain"].restconf_port}
    assert network.password not in json.dumps(host)


async def test_the_lab_tells_of_the_domain_and_cuts_its_links(network, tmp_path):
    service = LabService(network, tmp_path)
    assert await service.handle("link", {"link": "otn-a--otn-c", "state": "down"})
    optical = (await service.handle("status", {}))["optical"]
    assert optical["links"] == {"otn-a--otn-b": "up", "otn-a--otn-c": "down", "otn-c--otn-b": "up"}
    assert optical["tunnels"] == {}
    with pytest.raises(ControlError, match="goes and comes with its tunnel"):
        await service.handle("link", {"link": "light", "state": "up"})


def test_a_topology_with_a_domain_is_written_as_it_is_read():
    topology = parse_topology(TOPOLOGY)
    assert topology.optical.setup_seconds == 0.05
    assert topology_from_document(topology_document(topology), source="again") == topology


@pytest.mark.parametrize(
    "was, now, words",
    [
        ("over: otn-domain", "over: elsewhere", "link light: there is no optical domain elsewhere"),
        ('attached: "pe-b:core1"', 'attached: "pe-x:core1"', "client port otn-b:client0: there is no node pe-x"),
        ('attached: "pe-b:core1"', 'attached: "pe-b:core7"', "node pe-b has no core port core7"),
        ('attached: "pe-b:core1"', 'attached: "pe-b:core0"', "pe-b:core0 carries a link of its own"),
        ('attached: "pe-b:core1"', 'attached: "pe-b:core0"', "link light: pe-b:core1 is not attached to otn-domain"),
        ("a: otn-a, b: otn-b", "a: otn-a, b: otn-z", "there is no node otn-z"),
        ("{a: otn-a, b: otn-b", "{name: fibre, a: otn-a, b: otn-b", "optical link fibre: a link has this name already"),
        ("optical:", "optical:\n  name: pe-a", "optical domain pe-a: a router or a link has this name already"),
        ("delay_milliseconds: 0.5", "delay_milliseconds: -1", "delay -0.001 s is negative"),
        ("slots: 40", "slots: 0", "link otn-a--otn-b has 0 slots"),
    ],
)
def test_a_domain_that_does_not_fit_the_routers_is_refused_by_name(was, now, words):
    assert was in TOPOLOGY
    with pytest.raises(TopologyError) as caught:
        parse_topology(TOPOLOGY.replace(was, now, 1))
    assert any(words in problem for problem in caught.value.problems), caught.value


async def test_ports_of_the_domain_follow_those_of_the_routers():
    script = FaultScript()
    topology = parse_topology(TOPOLOGY)
    first = first_of_neighbours(7)
    async with LabNetwork(topology, NetworkOptions(first_port=first), faults=script) as network:
        assert network["otn-domain"].restconf_port == first + 6
