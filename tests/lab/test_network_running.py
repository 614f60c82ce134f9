"""A network of routers in one process, driven by stock clients."""

import asyncio
import base64
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport.errors import SSHUnknownHostError
from netmiko import ConnectHandler

from lab.faults import FaultScript
from lab.network import LabNetwork, NetworkError, NetworkOptions, _link_event, in_lab, running_lab
from lab.router.faults_point import Action, Fault
from lab.router.router import Router
from lab.router.schema import default_module_set
from lab.router.schema_loader import _read_modules
from lab.topology import Topology
from lab.topology_file import load_topology
from tests.patience import PATIENCE_SECONDS
from tests.ports import first_of_neighbours

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
NS = {"if": "urn:ietf:params:xml:ns:yang:ietf-interfaces", "a": "urn:accord:router"}
DESCRIPTION = """<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>access0</name>
  <description>{}</description></interface></interfaces></config>"""


@pytest.fixture(scope="module")
def demo() -> Topology:
    return load_topology(DEMO)


@pytest.fixture(scope="module")
def lab(demo: Topology) -> Iterator[LabNetwork]:
    options = NetworkOptions(profiles={"pe-madrid": "running", "p-lyon": "restconf", "p-brussels": "cli"})
    with running_lab(demo, options) as network:
        yield network


def connect(network: LabNetwork, name: str) -> manager.Manager:
    router = network[name]
    return manager.connect(
        host="127.0.0.1",
        port=router.netconf_port,
        username=router.username,
        password=router.password,
        hostkey_b64=router.host_key.split()[1],
        allow_agent=False,
        look_for_keys=False,
        timeout=PATIENCE_SECONDS,
    )


def test_stock_ncclient_reads_the_day_zero_configuration_of_every_netconf_router(lab: LabNetwork) -> None:
    for name in ("pe-london", "pe-paris", "pe-frankfurt", "pe-madrid"):
        with connect(lab, name) as session:
            config = session.get_config("running").data
        assert config.find(".//if:interface[if:name='lo0']", NS) is not None
        assert config.findtext("a:router/a:router-id", namespaces=NS) == f"10.255.0.{list_of(lab).index(name) + 1}"


def list_of(lab: LabNetwork) -> list[str]:
    return [router.name for router in lab]


def test_each_router_has_the_ports_of_its_profile_and_a_key_of_its_own(lab: LabNetwork) -> None:
    assert len({router.host_key for router in lab}) == 6
    assert lab["pe-london"].netconf_port
    assert lab["pe-london"].restconf_port
    assert lab["pe-london"].cli_port
    assert (lab["p-lyon"].netconf_port, lab["p-lyon"].cli_port) == (0, 0)
    assert (lab["p-brussels"].netconf_port, lab["p-brussels"].restconf_port) == (0, 0)
    assert lab["p-brussels"].cli_port
    ports = [port for r in lab for port in (r.netconf_port, r.restconf_port, r.cli_port) if port]
    assert len(set(ports)) == len(ports)


def test_stock_requests_reads_the_state_of_a_restconf_router(lab: LabNetwork, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(lab.authority_pem)
    answer = requests.get(
        f"https://localhost:{lab['p-lyon'].restconf_port}/restconf/data/ietf-interfaces:interfaces/interface=core0",
        auth=(lab.options.username, lab.password),
        headers={"Accept": "application/yang-data+json"},
        verify=str(authority),
        timeout=PATIENCE_SECONDS,
    )
    (interface,) = answer.json()["ietf-interfaces:interface"]
    assert interface["oper-status"] == "up"
    assert interface["accord-router:lldp-neighbor"] == [{"remote-system": "pe-london", "remote-port": "core1"}]


def test_stock_netmiko_reads_the_configuration_of_a_cli_router(lab: LabNetwork) -> None:
    with ConnectHandler(
        device_type="juniper_junos",
        host="127.0.0.1",
        port=lab["p-brussels"].cli_port,
        username=lab.options.username,
        password=lab.password,
    ) as session:
        shown = session.send_command("show configuration")
    assert "lo0" in shown


def test_a_wrong_host_key_is_noticed(lab: LabNetwork) -> None:
    wrong = lab["pe-paris"].host_key.split()[1]
    assert base64.b64decode(wrong)
    with pytest.raises(SSHUnknownHostError):
        manager.connect(
            host="127.0.0.1",
            port=lab["pe-london"].netconf_port,
            username="accord",
            password=lab.password,
            hostkey_b64=wrong,
            allow_agent=False,
            look_for_keys=False,
        )


def test_a_commit_on_one_router_is_seen_in_the_state_of_its_neighbour(lab: LabNetwork) -> None:
    link = lab.topology.links_of("pe-london")[0]
    far = link.other_end("pe-london")
    status = f".//if:interfaces/if:interface[if:name='{link.end_at('pe-london').port}']/if:oper-status"

    def seen() -> str | None:
        with connect(lab, "pe-london") as session:
            return session.get().data.findtext(status, namespaces=NS)

    assert seen() == "up"
    in_lab(lab, lambda: lab.set_link(link.name, up=False))
    assert seen() == "down"
    in_lab(lab, lambda: lab.set_link(link.name, up=True))
    assert seen() == "up"
    assert far.node == "p-brussels"


def test_a_subscriber_hears_that_a_link_went_down(lab: LabNetwork) -> None:
    link = lab.topology.links_of("pe-frankfurt")[0]
    with connect(lab, "pe-frankfurt") as session:
        session.create_subscription()
        in_lab(lab, lambda: lab.set_link(link.name, up=False))
        heard = session.take_notification(block=True, timeout=PATIENCE_SECONDS)
        in_lab(lab, lambda: lab.set_link(link.name, up=True))
    event = heard.notification_ele.find("a:interface-state-change", NS)
    assert event is not None
    assert event.findtext("a:name", namespaces=NS) == link.end_at("pe-frankfurt").port
    assert event.findtext("a:oper-status", namespaces=NS) == "down"


def test_the_event_of_an_interface_is_as_our_module_describes_it() -> None:
    module = _read_modules(default_module_set()).get_module("accord-router")
    described = next(item for item in module.i_children if item.keyword == "notification")
    event = _link_event("core0", up=False)
    assert event.tag == f"{{urn:accord:router}}{described.arg}"
    assert [leaf.tag for leaf in event] == [f"{{urn:accord:router}}{leaf.arg}" for leaf in described.i_children]
    states = described.i_children[1].search_one("type").search("enum")
    assert {_link_event("core0", up=up)[1].text for up in (True, False)} == {state.arg for state in states}


def test_bgp_sessions_follow_committed_configuration(lab: LabNetwork) -> None:
    edit = """<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><router xmlns="urn:accord:router">
        <asn>{}</asn></router></config>"""
    state = ".//a:router/a:bgp/a:neighbor[a:remote-address='10.255.0.2']/a:session-state"
    with connect(lab, "pe-london") as london, connect(lab, "pe-paris") as paris:
        assert london.get().data.findtext(state, namespaces=NS) == "established"
        for asn, expected in (("65123", "active"), ("65000", "established")):
            paris.edit_config(edit.format(asn), target="candidate")
            paris.commit()
            assert london.get().data.findtext(state, namespaces=NS) == expected


def test_a_scripted_fault_reaches_the_client_once(lab: LabNetwork) -> None:
    lab.faults.add("pe-paris", "edit-config", Fault.REJECT)
    with connect(lab, "pe-paris") as session:
        with pytest.raises(RPCError):
            session.edit_config(DESCRIPTION.format("x"), target="candidate")
        session.edit_config(DESCRIPTION.format("x"), target="candidate")
        session.discard_changes()
    with connect(lab, "pe-london") as session:
        session.edit_config(DESCRIPTION.format("x"), target="candidate")
        session.discard_changes()


def test_a_huge_reply_arrives_whole(lab: LabNetwork) -> None:
    lab.faults.add("pe-paris", "get-config", Action(Fault.HUGE, octets=2_000_000))
    with connect(lab, "pe-paris") as session:
        reply = session.get_config("running")
    assert len(reply.xml) > 2_000_000
    assert reply.data.find(".//if:interface", NS) is not None


def test_a_reply_split_at_every_octet_arrives_whole(lab: LabNetwork) -> None:
    lab.faults.add("pe-paris", "get-config", Action(Fault.SPLIT, octets=1))
    with connect(lab, "pe-paris") as session:
        assert session.get_config("running").data.find(".//if:interface", NS) is not None


async def test_a_network_stops_listening_when_it_is_left(demo: Topology) -> None:
    async with LabNetwork(demo) as network:
        port = network["pe-london"].netconf_port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)
    assert len(network) == 0


async def test_ports_can_be_numbered_upwards(demo: Topology) -> None:
    first = first_of_neighbours(6)
    async with LabNetwork(demo, NetworkOptions(profile="restconf", first_port=first)) as network:
        assert [router.restconf_port for router in network] == list(range(first, first + 6))


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_running(demo: Topology) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    network = LabNetwork(demo, NetworkOptions(profile="running", first_port=taken))
    with pytest.raises(OSError, match="address already in use"):
        async with network:
            pytest.fail("the port was taken")
    assert len(network) == 0
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "options,message",
    [
        (NetworkOptions(profile="magic"), "there is no profile magic: it is one of full"),
        (NetworkOptions(profiles={"r99": "full"}), "has no router r99"),
    ],
)
def test_an_impossible_network_is_refused(demo: Topology, options: NetworkOptions, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        LabNetwork(demo, options)


async def test_progress_counts_every_router(demo: Topology) -> None:
    seen: list[tuple[int, int]] = []
    async with LabNetwork(demo, progress=lambda started, total: seen.append((started, total))):
        pass
    assert seen == [(number, 6) for number in range(1, 7)]


async def test_more_routers_than_the_process_may_open_sockets_for_are_refused(
    demo: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(NetworkError, match=r"the limit is 64: raise it with `ulimit -n`"):
        await LabNetwork(demo).start()


async def test_two_networks_in_one_process_do_not_meet(demo: Topology) -> None:
    script = FaultScript()
    script.add("*", "*", Fault.CLOSE, count=None)
    async with LabNetwork(demo, faults=script) as one, LabNetwork(demo) as other:
        assert one.password != other.password
        assert one.faults.armed("pe-london")
        assert not other.faults.armed("pe-london")


async def test_an_unknown_router_is_named(demo: Topology) -> None:
    async with LabNetwork(demo) as network:
        with pytest.raises(KeyError, match="no router 'r99'"):
            network["r99"]
        assert isinstance(network["pe-paris"], Router)
