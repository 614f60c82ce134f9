"""Owns loading an inventory: files in nornir's SimpleInventory shape become device records and targets.

Inheritance is nornir's: a host's own value, then its groups in order (each with its own groups), then the defaults; in
`data` it goes key by key. Credentials are named, never written: a literal secret is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controller.adapters.inventory_file import SECRET_KEYS, Document, Entry, HostData, SiteData
from controller.adapters.secrets import Credential, Secrets
from controller.adapters.yaml_files import read_mapping
from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.inventory import AccessPort, DeviceRecord, Loopback, OutOfBandRule, Place, Srv6Locator
from controller.model.units import BitRate
from controller.ports import DeviceTarget, Transport

MAPPING_PROFILES = frozenset({"ietf", "openconfig", "otn"})
LAB_PLATFORM = "accord_lab"
"""Emulated routers: their `profile` is the router's capabilities, not a mapping profile."""
_SPLIT_FILES = {"hosts": "hosts.yaml", "groups": "groups.yaml", "defaults": "defaults.yaml"}
_DEFAULT_PORTS = {Transport.NETCONF: 830, Transport.RESTCONF: 443, Transport.CLI: 22}
_NCCLIENT_TYPES = {"ios": "iosxe", "iosxe": "iosxe", "iosxr": "iosxr", "junos": "junos", "nxos": "nexus"}
_NETMIKO_TYPES = {
    "ios": "cisco_ios",
    "iosxe": "cisco_ios",
    "frr": "cisco_ios",
    "junos": "juniper_junos",
    "vyos": "vyos",
}


@dataclass(frozen=True, slots=True)
class InventoryDevice:
    """What a device is, and how to reach it."""

    record: DeviceRecord
    target: DeviceTarget


@dataclass(frozen=True, slots=True)
class Inventory:
    """All devices by name, in the file's order."""

    devices: Mapping[DeviceName, InventoryDevice] = field(default_factory=dict)

    @property
    def records(self) -> dict[DeviceName, DeviceRecord]:
        """The records alone, for what must not know how to reach a device."""
        return {name: device.record for name, device in self.devices.items()}

    def target(self, name: DeviceName) -> DeviceTarget:
        """The way to a device; `NotFoundError` when it is not in the inventory."""
        return self.device(name).target

    def device(self, name: DeviceName) -> InventoryDevice:
        """One device; `NotFoundError` when it is not in the inventory."""
        found = self.devices.get(name)
        if found is None:
            raise NotFoundError(
                f"no device '{name}' in the inventory", remedy="list them: accord device list", path=name
            )
        return found


def load_inventory(path: Path, secrets: Secrets) -> Inventory:
    """Read one YAML file, or a directory with nornir's hosts.yaml, groups.yaml and defaults.yaml.

    Raises `InvalidInputError` naming the file and the key that is wrong, `NotFoundError` for a missing file or a
    credential that is not there. All or nothing: a partly good inventory is not returned.
    """
    source = str(path)
    document = _checked(Document, _raw(path), source)
    devices: dict[DeviceName, InventoryDevice] = {}
    files = _Files(path if path.is_dir() else path.parent)
    for name in document.hosts:
        device = DeviceName(name)
        try:
            devices[device] = _Host(name, document, files).device(secrets)
        except AccordError as error:
            error.message = f"{source}: host '{name}': {error.message}"
            raise
    return Inventory(devices)


def _raw(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raw = read_mapping(path)
    else:
        raw = {key: read_mapping(path / name) for key, name in _SPLIT_FILES.items() if (path / name).exists()}
    _refuse_secrets(raw, str(path))
    return raw


def _refuse_secrets(value: object, source: str, where: tuple[str, ...] = ()) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            # What stands directly below hosts and groups are names, which may be any word.
            if key in SECRET_KEYS and where not in {("hosts",), ("groups",)} and inner not in {None, ""}:
                raise InvalidInputError(
                    f"{source}: {'.'.join((*where, str(key)))}: secrets do not belong into an inventory",
                    remedy="put it into the credentials file (mode 0600) and write data: {credential: NAME} here",
                    path=".".join((*where, str(key))),
                )
            _refuse_secrets(inner, source, (*where, str(key)))


def _checked(model: type[Any], value: object, source: str) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, source) from None


def invalid(error: ValidationError, source: str) -> InvalidInputError:
    """Pydantic's first complaint in our words: file, key, reason."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    unknown = first["type"] == "extra_forbidden"
    why = "this key is not known" if unknown else first["msg"].removeprefix("Value error, ")
    remedy = "remove it, or put words of your own below data.labels" if unknown else ""
    return InvalidInputError(f"{source}: {where}: {why}", remedy=remedy, path=where)


class _Host:
    """One host with what it inherits."""

    def __init__(self, name: str, document: Document, files: "_Files") -> None:
        self._name = name
        self._document = document
        self._files = files
        self._own = document.hosts[name]
        self._entries = list(self._lineage())
        merged: dict[str, Any] = {}
        for entry in self._entries:
            merged = {**entry.data, **merged}
        self._data: HostData = _checked(HostData, merged, "data")

    def _lineage(self) -> Iterator[Entry]:
        yield self._own
        for group in self._group_names(self._own, ()):
            yield self._document.groups[group]
        yield self._document.defaults

    def _group_names(self, entry: Entry, above: tuple[str, ...]) -> Iterator[str]:
        for group in entry.groups:
            if group not in self._document.groups:
                raise InvalidInputError(f"there is no group '{group}'", path=f"groups.{group}")
            if group in above:
                raise InvalidInputError(f"group '{group}' is its own parent", path=f"groups.{group}")
            yield group
            yield from self._group_names(self._document.groups[group], (*above, group))

    def _first(self, attribute: str) -> Any:
        return next((value for entry in self._entries if (value := getattr(entry, attribute)) is not None), None)

    def device(self, secrets: Secrets) -> InventoryDevice:
        """Record and target."""
        return InventoryDevice(self._record(), self._target(secrets))

    def _record(self) -> DeviceRecord:
        data = self._data
        return DeviceRecord(
            name=DeviceName(self._name),
            role=data.role,
            profile=self._mapping_profile(),
            schema_set=data.schema_set,
            platform=self._first("platform") or "",
            place=_place(data.site),
            access_ports=tuple(
                AccessPort(
                    port.name,
                    _rate(port.bit_rate or data.access_bit_rate),
                    bearer_type=port.bearer_type,
                    bearer_reference=port.bearer_reference,
                    card=port.card,
                )
                for port in data.access_ports
            ),
            autonomous_system=data.autonomous_system or data.asn,
            router_id=data.router_id or data.loopback.ipv4,
            loopback=Loopback(data.loopback.interface, data.loopback.ipv4, data.loopback.ipv6),
            srv6_locator=Srv6Locator(data.srv6_locator.name, data.srv6_locator.prefix),
            out_of_band=tuple(
                OutOfBandRule(tuple(filter(None, rule.path.split("/"))), rule.policy) for rule in data.out_of_band
            ),
            groups=tuple(dict.fromkeys(self._group_names(self._own, ()))),
            labels=data.labels,
        )

    def _mapping_profile(self) -> str:
        is_lab = self._first("platform") == LAB_PLATFORM
        profile = self._data.mapping_profile or ("" if is_lab else self._data.profile) or "ietf"
        if profile not in MAPPING_PROFILES:
            raise InvalidInputError(
                f"data.profile: there is no mapping profile '{profile}'",
                remedy=f"use one of {', '.join(sorted(MAPPING_PROFILES))}",
                path="data.profile",
            )
        return profile

    def _target(self, secrets: Secrets) -> DeviceTarget:
        data = self._data
        transport = Transport(data.transport)
        if not data.credential:
            raise InvalidInputError("no credential", remedy="name one in data.credential", path="data.credential")
        credential = secrets.lookup(data.credential)
        timing = {
            key: value
            for key in ("connect_timeout_seconds", "rpc_timeout_seconds", "keepalive_seconds")
            if (value := getattr(data, key)) is not None
        }
        return DeviceTarget(
            name=DeviceName(self._name),
            hostname=self._first("hostname") or self._name,
            port=data.ports.get(data.transport) or self._first("port") or _DEFAULT_PORTS[transport],
            transport=transport,
            username=self._username(credential),
            password=credential.password,
            private_key=credential.private_key,
            host_key=data.host_key.strip(),
            known_hosts=self._files.text(data.known_hosts, "known_hosts"),
            tls_ca=self._files.text(data.tls_ca, "tls_ca"),
            device_type=self._device_type(transport),
            quirks=data.quirks,
            **timing,
        )

    def _username(self, credential: Credential) -> str:
        username = credential.username or self._first("username") or ""
        if not username:
            raise InvalidInputError("no username", remedy="give it in the credential or in the inventory")
        return str(username)

    def _device_type(self, transport: Transport) -> str:
        types = {Transport.NETCONF: _NCCLIENT_TYPES, Transport.CLI: _NETMIKO_TYPES}.get(transport, {})
        return self._data.device_type or types.get(self._first("platform") or "", "")


class _Files:
    """Files that the inventory names, each read once; relative paths start at the inventory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._texts: dict[str, str] = {}

    def text(self, value: str, key: str) -> str:
        """A text written in place (PEM, or of several lines), or the content of the file it names."""
        if not value or "\n" in value or value.startswith("-----BEGIN"):
            return value
        if value not in self._texts:
            path = self._directory / Path(value).expanduser()
            try:
                self._texts[value] = path.read_text(encoding="utf-8")
            except OSError as error:
                raise InvalidInputError(f"data.{key}: cannot read {path}: {error.strerror}", path=key) from error
        return self._texts[value]


def _place(data: SiteData) -> Place:
    return Place(data.city, data.country, data.pop, data.lat, data.lon, data.postal_code)


def _rate(bits_per_second: int | None) -> BitRate | None:
    return BitRate(bits_per_second) if bits_per_second else None
