"""The inventory at the door: inheritance, strictness, credentials by reference, the lab's own file."""

import textwrap
from pathlib import Path

import pytest
import yaml

from controller.adapters.inventory import load_inventory
from controller.adapters.secrets import Secrets
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.ports import Transport
from lab.addressing import address_plan
from lab.inventory import RunningRouter, write_files
from lab.topology_file import load_topology

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "credentials.yaml", "credentials: {ops: {username: admin, password: s3cret-word}}", 0o600)
    return tmp_path


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.write_text(textwrap.dedent(text))
    path.chmod(mode)
    return path


def load(folder: Path, text: str):
    secrets = Secrets(folder / "credentials.yaml")
    return load_inventory(write(folder / "inventory.yaml", text), secrets)


WHOLE = """
    hosts:
      pe1:
        hostname: 192.0.2.1
        port: 2022
        groups: [london, pe]
        data:
          host_key: ssh-ed25519 AAAA
          access_ports: [eth1, {name: eth2, bit_rate: 10 Gbit/s}]
          access_bit_rate: 1000000000
          loopback: 198.51.100.1
          out_of_band: [{path: '/ietf-interfaces:interfaces/interface/description', policy: accept}]
      pe2:
        groups: [pe]
        data: {transport: cli, device_type: cisco_ios, rpc_timeout_seconds: 5}
    groups:
      pe: {groups: [core], data: {role: pe, asn: 64500}}
      core: {username: core-user, data: {role: p, schema_set: small}}
      london: {data: {site: {city: London, country: GB, lat: 51.5, lon: -0.1}}}
    defaults:
      username: nobody
      data: {credential: ops, profile: openconfig}
"""


def test_a_host_has_its_own_values_then_its_groups_then_the_defaults(folder):
    inventory = load(folder, WHOLE)
    record = inventory.records[DeviceName("pe1")]
    assert (record.role, record.autonomous_system, record.schema_set, record.profile) == (
        "pe",
        64500,
        "small",
        "openconfig",
    )
    assert (record.place.city, record.place.latitude) == ("London", 51.5)
    assert record.groups == ("london", "pe", "core")
    assert record.router_id == "198.51.100.1"


def test_access_ports_have_their_own_rate_or_the_hosts(folder):
    ports = load(folder, WHOLE).records[DeviceName("pe1")].access_ports
    assert [(port.name, port.bit_rate) for port in ports] == [("eth1", BitRate(10**9)), ("eth2", BitRate(10**10))]


def test_a_target_has_the_credential_resolved_and_never_shows_it(folder):
    target = load(folder, WHOLE).target(DeviceName("pe1"))
    assert (target.hostname, target.port, target.username) == ("192.0.2.1", 2022, "admin")
    assert target.password.reveal() == "s3cret-word"
    assert "s3cret-word" not in repr(target)


def test_a_port_left_out_is_the_transports_own(folder):
    target = load(folder, WHOLE).target(DeviceName("pe2"))
    assert (target.transport, target.port, target.hostname) == (Transport.CLI, 22, "pe2")
    assert (target.device_type, target.rpc_timeout_seconds) == ("cisco_ios", 5)


def test_out_of_band_rules_are_prefixes_of_node_names(folder):
    (rule,) = load(folder, WHOLE).records[DeviceName("pe1")].out_of_band
    assert rule.prefix == ("ietf-interfaces:interfaces", "interface", "description")
    assert rule.policy == "accept"


def test_nornirs_three_files_do_as_well_as_one(folder):
    whole = yaml.safe_load(textwrap.dedent(WHOLE))
    (folder / "inventory").mkdir()
    for part in ("hosts", "groups", "defaults"):
        write(folder / "inventory" / f"{part}.yaml", yaml.safe_dump(whole[part]))
    split = load_inventory(folder / "inventory", Secrets(folder / "credentials.yaml"))
    assert split == load(folder, WHOLE)


@pytest.mark.parametrize(
    "host,key",
    [
        ("{hostnam: x}", "hosts.r1.hostnam"),
        ("{data: {rolle: pe}}", "rolle"),
        ("{port: 70000}", "hosts.r1.port"),
        ("{data: {site: {lat: 91}}}", "site.lat"),
        ("{data: {site: {town: Rome}}}", "site.town"),
        ("{data: {transport: telnet}}", "transport"),
        ("{data: {out_of_band: [{path: /a, policy: shrug}]}}", "out_of_band.0.policy"),
        ("{data: {profile: openconfg}}", "data.profile"),
        ("{data: {asn: 1, autonomous_system: 2}}", "say different things"),
        ("{groups: [nowhere]}", "nowhere"),
        ("{groups: [a]}", "its own parent"),
        ("{data: {credential: ''}}", "no credential"),
        ("{data: {tls_ca: missing.pem}}", "tls_ca"),
        ("{data: {access_bit_rate: fast}}", "access_bit_rate"),
    ],
)
def test_what_is_wrong_is_refused_naming_file_host_and_key(folder, host, key):
    text = f"""
    hosts: {{r1: {host}}}
    groups: {{a: {{groups: [b]}}, b: {{groups: [a]}}}}
    defaults: {{data: {{credential: ops}}}}
    """
    with pytest.raises(InvalidInputError) as refusal:
        load(folder, text)
    message = str(refusal.value)
    assert "inventory.yaml" in message
    assert "r1" in message
    assert key in message


@pytest.mark.parametrize(
    "place",
    [
        "hosts: {r1: {password: hunter2}}",
        "hosts: {r1: {data: {password: hunter2}}}",
        "defaults: {password: hunter2}",
        "groups: {g: {connection_options: {netmiko: {extras: {secret: hunter2}}}}}",
    ],
)
def test_a_literal_secret_is_refused_with_the_way_out_and_not_repeated(folder, place):
    with pytest.raises(InvalidInputError) as refusal:
        load(folder, place)
    assert "credentials file" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_host_may_be_called_token(folder):
    assert DeviceName("token") in load(folder, "hosts: {token: {data: {credential: ops}}}").devices


def test_a_key_that_occurs_twice_is_refused_with_its_line(folder):
    with pytest.raises(InvalidInputError, match=r"inventory.yaml.*line 4: the key 'r1' occurs twice"):
        load(folder, "\nhosts:\n  r1: {}\n  r1: {}\n")


@pytest.mark.parametrize("text", ["hosts: [a]", "- a", "hosts: {a: {data: [1]}}", "hosts: {a", "hosts: {1: {}}", "x"])
def test_what_is_no_inventory_is_refused(folder, text):
    with pytest.raises(InvalidInputError, match=r"inventory\.yaml"):
        load(folder, text)


def test_a_missing_file_and_a_missing_credential_are_not_found(folder):
    with pytest.raises(NotFoundError, match="no file"):
        load_inventory(folder / "nothing.yaml", Secrets())
    with pytest.raises(NotFoundError, match="host 'r1': there is no credential 'nobody'"):
        load(folder, "hosts: {r1: {data: {credential: nobody}}}")


def test_an_empty_inventory_has_no_devices(folder):
    assert load(folder, "").devices == {}


def test_files_named_by_the_inventory_are_read_from_beside_it(folder):
    write(folder / "ca.pem", PEM)
    inventory = load(folder, "hosts: {r1: {data: {credential: ops, transport: restconf, tls_ca: ca.pem}}}")
    assert inventory.target(DeviceName("r1")).tls_ca == PEM


class TestSecrets:
    def test_a_file_that_others_may_read_is_refused(self, tmp_path):
        path = write(tmp_path / "credentials.yaml", "credentials: {}", 0o640)
        with pytest.raises(InvalidInputError, match=r"0640.*chmod 600"):
            Secrets(path)

    def test_what_is_wrong_in_the_file_is_told_without_the_values(self, tmp_path):
        path = write(tmp_path / "credentials.yaml", "credentials: {a: {pasword: hunter2}}", 0o600)
        with pytest.raises(InvalidInputError) as refusal:
            Secrets(path)
        assert "pasword" in str(refusal.value)
        assert "hunter2" not in str(refusal.value)

    def test_the_credentials_directory_comes_first(self, tmp_path):
        path = write(tmp_path / "credentials.yaml", "credentials: {ops: {password: from-file}}", 0o600)
        directory = tmp_path / "credentials"
        directory.mkdir()
        write(directory / "ops", "from-directory\n", 0o400)
        assert Secrets(path, directory).lookup("ops").password.reveal() == "from-directory"

    def test_a_credential_of_the_directory_may_be_a_key_or_a_mapping(self, tmp_path):
        write(tmp_path / "key", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", 0o400)
        write(tmp_path / "pair", "username: admin\npassword: 'p'\n", 0o400)
        secrets = Secrets(None, tmp_path)
        assert secrets.lookup("key").private_key.reveal().startswith("-----BEGIN")
        assert (secrets.lookup("pair").username, secrets.lookup("pair").password.reveal()) == ("admin", "p")

    @pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", ".hidden", "", "absent"])
    def test_a_name_stays_within_the_directory(self, tmp_path, name):
        write(tmp_path / ".hidden", "x", 0o400)
        with pytest.raises(NotFoundError):
            Secrets(None, tmp_path).lookup(name)

    def test_a_key_file_is_named_beside_the_credentials_and_as_closed(self, tmp_path):
        text = "credentials: {ops: {private_key_file: id}}"
        path = write(tmp_path / "credentials.yaml", text, 0o600)
        key = write(tmp_path / "id", "KEY", 0o644)
        with pytest.raises(InvalidInputError, match="0644"):
            Secrets(path).lookup("ops")
        key.chmod(0o600)
        assert Secrets(path).lookup("ops").private_key.reveal() == "KEY"

    def test_the_environment_names_the_directory(self, tmp_path, monkeypatch):
        write(tmp_path / "ops", "word", 0o400)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert Secrets.from_environment().lookup("ops").password.reveal() == "word"


def test_the_labs_inventory_loads_as_it_is(tmp_path):
    topology = load_topology(DEMO)
    addresses = address_plan(topology)
    edges = topology.edge_nodes()[:3]
    ways = [(8301, 0, 0), (0, 8443, 0), (0, 0, 2022)]
    ports = {node.name: way for node, way in zip(edges, ways, strict=True)}
    routers = [
        RunningRouter(node, addresses[node.name], "full", "127.0.0.1", *ports[node.name], "ssh-ed25519 AAAA")
        for node in edges
    ]
    paths = write_files(tmp_path, routers, username="lab", password="lab-word", authority_pem=PEM.encode())
    inventory = load_inventory(paths["inventory"], Secrets(paths["credentials"]))
    targets = [inventory.target(DeviceName(name)) for name in ports]
    assert [target.transport for target in targets] == [Transport.NETCONF, Transport.RESTCONF, Transport.CLI]
    assert [target.port for target in targets] == [8301, 8443, 2022]
    assert targets[1].tls_ca == PEM
    assert all(target.password.reveal() == "lab-word" for target in targets)
    record = inventory.records[DeviceName(edges[0].name)]
    assert (record.role, record.profile, record.place.city) == ("pe", "ietf", edges[0].site.city)
    assert record.autonomous_system
    assert record.loopback.ipv4
    assert record.srv6_locator.prefix
    assert record.access_ports[0].bit_rate == BitRate(edges[0].access_bit_rate)
