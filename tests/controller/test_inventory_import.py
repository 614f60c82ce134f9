"""Inventories of others, as their tools write them, become ours."""

import json
import textwrap

import pytest

from controller.adapters.inventory import load_inventory
from controller.adapters.inventory_import import import_containerlab, import_nornir
from controller.adapters.secrets import Secrets
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.ports import Transport


@pytest.fixture
def secrets(tmp_path):
    path = tmp_path / "credentials.yaml"
    path.write_text("credentials: {ops: {username: admin, password: word}}")
    path.chmod(0o600)
    return Secrets(path)


def write(path, text):
    path.write_text(textwrap.dedent(text))
    return path


def reloaded(imported, tmp_path, secrets):
    return load_inventory(write(tmp_path / "imported.yaml", imported.as_yaml()), secrets)


@pytest.fixture
def nornir(tmp_path):
    folder = tmp_path / "nornir"
    folder.mkdir()
    write(
        folder / "hosts.yaml",
        """
        ---
        rtr00:
            hostname: 198.51.100.10
            port: 65022
            password: do-not-take
            platform: junos
            groups: [bru]
            data:
                role: pe
                site: bru
                vlans: {100: frontend}
                enable_secret: {}
                token: abc
            connection_options:
                ncclient: {port: 22830}
                napalm: {extras: {optional_args: {secret: abc}}}
        rtr01:
        """,
    )
    write(folder / "groups.yaml", "bru: {data: {asn: 65100}}")
    write(folder / "defaults.yaml", "{username: ops-user, password: also-not, data: {domain: example.net}}")
    return folder


def test_nornirs_hosts_keep_address_groups_and_data(nornir, tmp_path, secrets):
    inventory = reloaded(import_nornir(nornir, credential="ops"), tmp_path, secrets)
    record = inventory.records[DeviceName("rtr00")]
    target = inventory.target(DeviceName("rtr00"))
    assert (target.hostname, target.port, target.device_type) == ("198.51.100.10", 22830, "junos")
    assert (record.role, record.autonomous_system) == ("pe", 65100)
    assert DeviceName("rtr01") in inventory.devices


def test_nornirs_free_data_becomes_labels(nornir, tmp_path, secrets):
    labels = reloaded(import_nornir(nornir, credential="ops"), tmp_path, secrets).records[DeviceName("rtr00")].labels
    assert labels["site"] == "bru"
    assert json.loads(labels["vlans"]) == {"100": "frontend"}


def test_no_secret_is_taken_over_and_what_is_left_out_is_told(nornir):
    imported = import_nornir(nornir, credential="ops")
    for secret in ("do-not-take", "also-not", "abc"):
        assert secret not in imported.as_yaml()
    notes = "\n".join(imported.notes)
    for word in ("hosts.rtr00: the password", "data.token", "connection_options.napalm", "defaults: the password"):
        assert word in notes


CLAB = """
    name: vpn
    topology:
      defaults: {kind: nokia_srlinux}
      kinds: {ceos: {image: 'ceos:latest', labels: {vendor: arista}}}
      groups: {edge: {kind: ceos}}
      nodes:
        pe1: {mgmt-ipv4: 172.20.20.11}
        pe2: {group: edge}
        client: {kind: linux}
      links: [{endpoints: ['pe1:e1-1', 'pe2:eth1']}]
"""


def test_a_containerlab_topology_gives_nodes_by_kind_with_inheritance(tmp_path, secrets):
    imported = import_containerlab(write(tmp_path / "vpn.clab.yml", CLAB), credential="ops")
    inventory = reloaded(imported, tmp_path, secrets)
    pe1, pe2 = (inventory.devices[DeviceName(name)] for name in ("pe1", "pe2"))
    assert (pe1.target.hostname, pe1.record.platform) == ("172.20.20.11", "srlinux")
    assert (pe2.target.hostname, pe2.record.platform) == ("clab-vpn-pe2", "eos")
    assert pe2.record.groups == ("edge", "arista_ceos")
    assert imported.notes == ["node client: kind 'linux' was left out"]


@pytest.mark.parametrize("prefix,name", [("", "pe2"), ("__lab-name", "vpn-pe2"), ("x", "x-vpn-pe2")])
def test_containerlabs_prefix_makes_the_host_name(tmp_path, prefix, name):
    path = write(tmp_path / "vpn.clab.yml", CLAB.replace("name: vpn", f"name: vpn\n    prefix: '{prefix}'"))
    assert import_containerlab(path, credential="ops").document["hosts"]["pe2"]["hostname"] == name


def test_a_deployed_lab_tells_its_addresses(tmp_path, secrets):
    data = {
        "name": "vpn",
        "type": "clab",
        "nodes": {
            "x": {
                "kind": "cisco_xrd",
                "mgmt-ipv4-address": "172.20.20.5",
                "longname": "clab-vpn-x",
                "labels": {"a": "b"},
            },
            "v": {"kind": "vyosnetworks_vyos", "mgmt-ipv6-address": "3fff::2"},
        },
        "links": [],
    }
    path = write(tmp_path / "topology-data.json", json.dumps(data))
    inventory = reloaded(import_containerlab(path, credential="ops"), tmp_path, secrets)
    assert inventory.target(DeviceName("x")).hostname == "172.20.20.5"
    assert inventory.records[DeviceName("x")].labels == {"a": "b"}
    assert (inventory.target(DeviceName("v")).transport, inventory.target(DeviceName("v")).device_type) == (
        Transport.CLI,
        "vyos",
    )


@pytest.mark.parametrize("text", ["", "name: x", "topology: {nodes: {a: {kind: linux}}}", "topology: []"])
def test_a_topology_without_routers_is_refused(tmp_path, text):
    with pytest.raises(InvalidInputError):
        import_containerlab(write(tmp_path / "x.clab.yml", text), credential="ops")


def test_broken_json_is_refused_naming_the_file(tmp_path):
    with pytest.raises(InvalidInputError, match=r"topology-data\.json"):
        import_containerlab(write(tmp_path / "topology-data.json", "{"), credential="ops")


def test_a_folder_without_hosts_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"hosts\.yaml"):
        import_nornir(tmp_path, credential="ops")
