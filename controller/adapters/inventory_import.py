"""Owns importing inventories of others: nornir's SimpleInventory files and containerlab's topologies.

An import makes a document in our own form, for a person to look at and keep. What it leaves out it says. Secrets are
never taken over: imported hosts name a credential.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from controller.adapters.inventory import invalid
from controller.adapters.inventory_file import SECRET_KEYS, Document, HostData
from controller.adapters.yaml_files import read_mapping
from controller.model.errors import InvalidInputError

_NORNIR_FILES = {"hosts": "hosts.yaml", "groups": "groups.yaml", "defaults": "defaults.yaml"}
_PLAIN = ("hostname", "port", "username", "platform", "groups")
_CONNECTION_PORTS = {"ncclient": "netconf", "scrapli_netconf": "netconf", "netmiko": "cli", "scrapli": "cli"}
_KINDS: Mapping[str, tuple[str, str]] = {
    "nokia_srlinux": ("srlinux", "netconf"),
    "nokia_sros": ("sros", "netconf"),
    "nokia_srsim": ("sros", "netconf"),
    "arista_ceos": ("eos", "netconf"),
    "arista_veos": ("eos", "netconf"),
    "juniper_crpd": ("junos", "netconf"),
    "juniper_vmx": ("junos", "netconf"),
    "juniper_vjunosrouter": ("junos", "netconf"),
    "juniper_vjunosevolved": ("junos", "netconf"),
    "juniper_vjunosswitch": ("junos", "netconf"),
    "cisco_xrd": ("iosxr", "netconf"),
    "cisco_xrv9k": ("iosxr", "netconf"),
    "cisco_csr1000v": ("ios", "netconf"),
    "cisco_c8000v": ("ios", "netconf"),
    "cisco_n9kv": ("nxos", "netconf"),
    "vyosnetworks_vyos": ("vyos", "cli"),
}
"""containerlab kind -> nornir platform, transport."""
_OLD_KINDS = {
    "srl": "nokia_srlinux",
    "ceos": "arista_ceos",
    "crpd": "juniper_crpd",
    "xrd": "cisco_xrd",
    "vr-vmx": "juniper_vmx",
    "vr-sros": "nokia_sros",
    "vr-csr": "cisco_csr1000v",
    "vr-n9kv": "cisco_n9kv",
    "vr-xrv9k": "cisco_xrv9k",
    "vr-veos": "arista_veos",
}


@dataclass(slots=True)
class Imported:
    """A document in our inventory's form, and what was left out or needs a look."""

    document: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def as_yaml(self) -> str:
        """The text of the inventory file."""
        return yaml.safe_dump(self.document, sort_keys=False, allow_unicode=True)


def import_nornir(path: Path, *, credential: str) -> Imported:
    """From a directory with hosts.yaml (groups.yaml, defaults.yaml), or from one hosts file.

    `data` of the user's own becomes `labels`. Raises `InvalidInputError` for what is no such file.
    """
    result = Imported({"hosts": {}, "groups": {}, "defaults": {}})
    for part, raw in _nornir_parts(path).items():
        if part == "defaults":
            result.document[part] = _nornir_entry(part, raw, result.notes)
            continue
        for name, entry in raw.items():
            result.document[part][name] = _nornir_entry(
                f"{part}.{name}", _mapping(entry, f"{part}.{name}"), result.notes
            )
    result.document["defaults"].setdefault("data", {})["credential"] = credential
    return _checked(result, path)


def _nornir_parts(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_dir():
        return {"hosts": read_mapping(path)}
    if not (path / _NORNIR_FILES["hosts"]).exists():
        raise InvalidInputError(f"{path} has no hosts.yaml", path=str(path))
    return {part: read_mapping(path / name) for part, name in _NORNIR_FILES.items() if (path / name).exists()}


def _nornir_entry(where: str, raw: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    entry = {key: raw[key] for key in _PLAIN if raw.get(key) is not None}
    entry["data"] = data = _nornir_data(_mapping(raw.get("data"), f"{where}.data"), where, notes)
    for connection, options in _mapping(raw.get("connection_options"), where).items():
        port = _mapping(options, where).get("port")
        if port and connection in _CONNECTION_PORTS:
            data.setdefault("ports", {})[_CONNECTION_PORTS[connection]] = port
        else:
            notes.append(f"{where}: connection_options.{connection} was left out")
    if raw.get("password"):
        notes.append(f"{where}: the password was left out; put it into the credentials file")
    notes += [
        f"{where}: {key} was left out" for key in raw if key not in {*_PLAIN, "data", "connection_options", "password"}
    ]
    return entry


def _nornir_data(raw: Mapping[str, Any], where: str, notes: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for key, value in raw.items():
        if key in SECRET_KEYS:
            notes.append(f"{where}: data.{key} looks like a secret and was left out")
        elif key in HostData.model_fields and _fits(key, value):
            data[key] = value
        else:
            labels[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return data | ({"labels": {**data.get("labels", {}), **labels}} if labels else {})


def _fits(key: str, value: Any) -> bool:
    # `site: lon1` is a common word of users' own; ours is a mapping.
    try:
        HostData.model_validate({key: value})
    except ValidationError:
        return False
    return True


def import_containerlab(path: Path, *, credential: str) -> Imported:
    """From a `*.clab.yml` topology, or from the `topology-data.json` that a deployed lab leaves (it has addresses)."""
    result = Imported({"hosts": {}, "groups": {}, "defaults": {"data": {"credential": credential}}})
    nodes = _topology_data(path) if path.suffix == ".json" else _clab_topology(path)
    for name, node in nodes:
        _add_node(result, name, node)
    if not result.document["hosts"]:
        raise InvalidInputError(f"{path} has no node of a kind we can manage", path=str(path))
    return _checked(result, path)


def _add_node(result: Imported, name: str, node: Mapping[str, Any]) -> None:
    kind = str(node.get("kind", ""))
    kind = _OLD_KINDS.get(kind, kind)
    if kind not in _KINDS:
        result.notes.append(f"node {name}: kind '{kind}' was left out")
        return
    platform, transport = _KINDS[kind]
    group = str(node.get("group") or "")
    labels = {str(key): str(value) for key, value in _mapping(node.get("labels"), name).items()}
    host: dict[str, Any] = {"hostname": node["hostname"], "platform": platform}
    host["groups"] = [item for item in (group, kind) if item]
    host["data"] = {"labels": labels} if labels else {}
    result.document["hosts"][name] = host
    result.document["groups"].setdefault(kind, {"data": {"transport": transport}})
    if group:
        result.document["groups"].setdefault(group, {})


def _clab_topology(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    raw = read_mapping(path)
    topology = _mapping(raw.get("topology"), "topology")
    kinds, groups = _mapping(topology.get("kinds"), "kinds"), _mapping(topology.get("groups"), "groups")
    defaults = _mapping(topology.get("defaults"), "defaults")
    for name, value in _mapping(topology.get("nodes"), "nodes").items():
        node = _mapping(value, f"nodes.{name}")
        group = _mapping(groups.get(str(node.get("group", defaults.get("group", "")))), "groups")
        kind = node.get("kind") or group.get("kind") or defaults.get("kind")
        whole = {**defaults, **_mapping(kinds.get(str(kind)), "kinds"), **group, **node, "kind": kind}
        whole["hostname"] = node.get("mgmt-ipv4") or node.get("mgmt-ipv6") or _container_name(raw, name)
        yield str(name), whole


def _container_name(raw: Mapping[str, Any], node: str) -> str:
    prefix = raw.get("prefix", "clab")
    if prefix == "":
        return node
    lab = str(raw.get("name", ""))
    return f"{lab}-{node}" if prefix == "__lab-name" else f"{prefix}-{lab}-{node}"


def _topology_data(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}", path=str(path)) from error
    for name, value in _mapping(_mapping(raw, str(path)).get("nodes"), "nodes").items():
        node = dict(_mapping(value, f"nodes.{name}"))
        address = node.get("mgmt-ipv4-address") or node.get("mgmt-ipv6-address")
        node["hostname"] = address or node.get("longname") or name
        yield str(name), node


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInputError(f"{where} must be a mapping", path=where)
    return value


def _checked(result: Imported, path: Path) -> Imported:
    try:
        Document.model_validate(result.document)
    except ValidationError as error:
        raise invalid(error, str(path)) from None
    return result
