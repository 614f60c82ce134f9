"""One configuration, three ways in: the lab's own inventory, every transport's driver, every codec."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.inventory import load_inventory
from controller.adapters.secrets import Secrets
from controller.adapters.yang_schema import PROFILE_MODULES, load_schema
from controller.datastore.cli_set_style import SetStyleSyntax
from controller.datastore.codec_cli import CliCodec
from controller.datastore.codec_restconf import RestconfCodec
from controller.datastore.codec_xml import XmlCodec
from controller.model.identifiers import DeviceName
from controller.ports import Transport
from drivers.cli import CliConnector
from drivers.netconf import NetconfConnector
from drivers.restconf import RestconfConnector
from drivers.threads import DriverThreads
from lab.inventory import write_files
from lab.network import LabNetwork
from lab.topology_file import load_topology

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"


@pytest.fixture
async def inventory(tmp_path):
    async with LabNetwork(load_topology(DEMO)) as network:
        router = next(iter(network))
        paths = write_files(
            tmp_path,
            network.running_routers(),
            username=router.username,
            password=router.password,
            authority_pem=network.authority_pem,
        )
        yield load_inventory(paths["inventory"], Secrets(paths["credentials"])), network


async def test_the_same_configuration_is_read_over_netconf_restconf_and_the_cli(inventory):
    devices, network = inventory
    schema = load_schema(PROFILE_MODULES["ietf"])
    threads = DriverThreads()
    name = next(name for name, record in devices.records.items() if record.role == "pe")
    router = network[name]
    ways = {
        Transport.NETCONF: (NetconfConnector(), XmlCodec(schema), router.netconf_port),
        Transport.RESTCONF: (RestconfConnector(threads), RestconfCodec(schema), router.restconf_port),
        Transport.CLI: (CliConnector(threads), CliCodec(SetStyleSyntax(schema)), router.cli_port),
    }
    target = replace(devices.target(DeviceName(name)), tls_ca=network.authority_pem.decode())
    readings = {}
    for transport, (connector, codec, port) in ways.items():
        session = await connector.connect(replace(target, transport=transport, port=port))
        readings[transport] = codec.decode((await session.read()).body)
        await session.close()
    threads.close()
    assert len(readings[Transport.NETCONF]) > 20
    assert readings[Transport.RESTCONF] == readings[Transport.NETCONF]
    assert readings[Transport.CLI] == readings[Transport.NETCONF]


async def test_the_same_modules_are_known_over_netconf_and_restconf(inventory):
    devices, network = inventory
    threads = DriverThreads()
    name = next(iter(devices.records))
    target = replace(devices.target(DeviceName(name)), tls_ca=network.authority_pem.decode())
    known = {}
    for transport, connector, port in (
        (Transport.NETCONF, NetconfConnector(), network[name].netconf_port),
        (Transport.RESTCONF, RestconfConnector(threads), network[name].restconf_port),
    ):
        session = await connector.connect(replace(target, transport=transport, port=port))
        known[transport] = set(session.capabilities.modules)
        await session.close()
    threads.close()
    assert "accord-router" in {module.name for module in known[Transport.NETCONF]}
    pushed = {"ietf-subscribed-notifications", "ietf-yang-push"}  # YANG-Push is offered over NETCONF alone
    assert known[Transport.RESTCONF] == {module for module in known[Transport.NETCONF] if module.name not in pushed}
