"""The files a running lab leaves for its clients: an inventory, credentials, known hosts, the authority of its TLS.

Owns their forms. The inventory is nornir's SimpleInventory (hosts, groups, defaults) in one YAML document and holds no
secret: a host names its credential, and the credentials file, readable by its owner only, has the password.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.addressing import AUTONOMOUS_SYSTEM, LOOPBACK, RouterAddresses
from lab.day0 import LOCATOR
from lab.topology import Node

PLATFORM = "accord_lab"
CLI_DEVICE_TYPE = "juniper_junos"
"""What netmiko calls a router that speaks as ours do."""
CREDENTIAL = "lab"
FILES = {
    "inventory": "inventory.yaml",
    "credentials": "credentials.yaml",
    "known_hosts": "known_hosts",
    "ca": "ca.pem",
}
"""Their names by kind."""


@dataclass(frozen=True, slots=True)
class RunningRouter:
    """What a client has to know to reach a router. Ports are 0 for protocols that its profile lacks."""

    node: Node
    addresses: RouterAddresses
    profile: str
    address: str
    netconf_port: int
    restconf_port: int
    cli_port: int
    host_key: str
    openconfig: bool = False
    """Whether it is configured in OpenConfig's words."""

    @property
    def name(self) -> str:
        """Its name in the inventory."""
        return self.node.name

    @property
    def role(self) -> str:
        """What it does in the network."""
        return self.node.role.value

    @property
    def transport(self) -> str:
        """The best way in: netconf, else restconf, else cli."""
        return "netconf" if self.netconf_port else "restconf" if self.restconf_port else "cli"

    @property
    def port(self) -> int:
        """The port of that way in."""
        return self.netconf_port or self.restconf_port or self.cli_port


@dataclass(frozen=True, slots=True)
class RunningDomain:
    """What a client has to know to reach an optical domain's controller: RESTCONF only, in the words of accord-otn."""

    name: str
    address: str
    restconf_port: int
    role: str = "optical-domain"
    transport: str = "restconf"
    netconf_port: int = 0
    cli_port: int = 0
    host_key: str = ""

    @property
    def port(self) -> int:
        """The port of the way in."""
        return self.restconf_port


def inventory_document(routers: Iterable[RunningRouter | RunningDomain], *, username: str) -> dict[str, Any]:
    """The inventory of these routers."""
    found = list(routers)
    roles = dict.fromkeys(router.role for router in found)
    transports = dict.fromkeys(router.transport for router in found)
    return {
        "hosts": {
            router.name: _host(router) if isinstance(router, RunningRouter) else _domain_host(router)
            for router in found
        },
        "groups": {
            **{role: {"data": {"role": role}} for role in roles},
            **{transport: {"data": {"transport": transport}} for transport in transports},
        },
        "defaults": {"username": username, "data": {"credential": CREDENTIAL}},
    }


def write_files(
    directory: Path,
    routers: Iterable[RunningRouter | RunningDomain],
    *,
    username: str,
    password: str,
    authority_pem: bytes,
) -> dict[str, Path]:
    """Write the lab's files into the directory, each one whole or not at all; returns their paths by kind."""
    found = list(routers)
    paths = {kind: directory / name for kind, name in FILES.items()}
    secret = {"credentials": {CREDENTIAL: {"username": username, "password": password}}}
    write_file(paths["credentials"], _yaml(secret), mode=0o600)
    write_file(paths["known_hosts"], "".join(_known_hosts_lines(found)))
    write_file(paths["ca"], authority_pem.decode())
    write_file(paths["inventory"], _yaml(inventory_document(found, username=username)))
    return paths


def write_file(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file atomically; it never exists with wider permissions than `mode`."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def _host(router: RunningRouter) -> dict[str, Any]:
    node, site = router.node, router.node.site
    ports = {"netconf": router.netconf_port, "restconf": router.restconf_port, "cli": router.cli_port}
    return {
        "hostname": router.address,
        "port": router.port,
        "platform": PLATFORM,
        "groups": [node.role.value, router.transport],
        "data": {
            "transport": router.transport,
            "ports": {protocol: port for protocol, port in ports.items() if port},
            "credential": CREDENTIAL,
            "host_key": router.host_key,
            **({"tls_ca": FILES["ca"]} if router.restconf_port else {}),
            **({"mapping_profile": "openconfig"} if router.openconfig else {}),
            **({"device_type": CLI_DEVICE_TYPE} if router.transport == "cli" else {}),
            "profile": router.profile,
            "role": node.role.value,
            "site": {
                "city": site.city,
                "country": site.country,
                "pop": site.pop,
                "lat": site.latitude,
                "lon": site.longitude,
            },
            "access_ports": list(node.access_ports),
            "access_bit_rate": node.access_bit_rate,
            **_network_data(router.addresses),
        },
    }


def _domain_host(domain: RunningDomain) -> dict[str, Any]:
    return {
        "hostname": domain.address,
        "port": domain.port,
        "platform": PLATFORM,
        "groups": [domain.role, domain.transport],
        "data": {
            "transport": domain.transport,
            "ports": {"restconf": domain.restconf_port},
            "credential": CREDENTIAL,
            "tls_ca": FILES["ca"],
            "mapping_profile": "otn",
            "role": domain.role,
        },
    }


def _network_data(own: RouterAddresses) -> dict[str, Any]:
    return {
        "autonomous_system": AUTONOMOUS_SYSTEM,
        "router_id": own.loopback,
        "loopback": {"interface": LOOPBACK, "ipv4": own.loopback, "ipv6": own.loopback6},
        "srv6_locator": {"name": LOCATOR, "prefix": own.locator},
    }


def _known_hosts_lines(routers: Iterable[RunningRouter | RunningDomain]) -> Iterable[str]:
    for router in routers:
        for port in (router.netconf_port, router.cli_port):
            if port and router.host_key:
                yield f"[{router.address}]:{port} {router.host_key}\n"


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(dict(document), Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=1000)


class _PlainDumper(yaml.SafeDumper):
    """Writes equal objects twice rather than as anchors, which few inventory readers expect."""

    def ignore_aliases(self, data: object) -> bool:
        """Never use an anchor, whatever the object."""
        del data
        return True
