"""Owns the form of inventory files: nornir's SimpleInventory (hosts, groups, defaults), and what `data` may hold."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from controller.model.errors import InvalidInputError
from controller.model.units import BitRate

SECRET_KEYS = frozenset({"password", "secret", "private_key", "passphrase", "token", "key"})
"""Words that stand for a secret; none may be in an inventory."""


def _bit_rate(value: Any) -> Any:
    try:
        return BitRate.parse(value).bits_per_second if isinstance(value, str) else value
    except InvalidInputError as error:
        raise ValueError(str(error)) from error


BitsPerSecond = Annotated[int, BeforeValidator(_bit_rate), Field(gt=0)]
"""A whole number of bit/s, or a text such as `10 Gbit/s`."""
Seconds = Annotated[float, Field(gt=0, le=86400)]
PortNumber = Annotated[int, Field(gt=0, lt=65536)]
TransportName = Literal["netconf", "restconf", "cli"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class SiteData(_Strict):
    """Where a device stands; degrees."""

    city: str = ""
    country: str = ""
    pop: str = ""
    lat: Annotated[float | None, Field(ge=-90, le=90)] = None
    lon: Annotated[float | None, Field(ge=-180, le=180)] = None
    postal_code: str = ""


class AccessPortData(_Strict):
    """An access port; a bare name stands for one without a rate of its own."""

    name: str
    bit_rate: BitsPerSecond | None = None
    bearer_type: str = "ethernet"
    bearer_reference: str = ""
    card: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class LoopbackData(_Strict):
    """The loopback; a bare address stands for its IPv4 address, or IPv6 where it has a colon."""

    interface: str = ""
    ipv4: str = ""
    ipv6: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: Any) -> Any:
        return {"ipv6" if ":" in value else "ipv4": value} if isinstance(value, str) else value


class LocatorData(_Strict):
    """The SRv6 locator."""

    name: str = ""
    prefix: str = ""


class OutOfBandData(_Strict):
    """What becomes of out-of-band changes below a path of node names (`/ietf-interfaces:interfaces/interface`)."""

    path: str = "/"
    policy: Literal["accept", "restore", "adopt", "abort"]


class HostData(_Strict):
    """Everything a host's, a group's or the defaults' `data` may hold."""

    transport: TransportName = "netconf"
    ports: dict[TransportName, PortNumber] = Field(default_factory=dict)
    credential: str = ""
    host_key: str = ""
    known_hosts: str = ""
    tls_ca: str = ""
    device_type: str = ""
    quirks: frozenset[str] = frozenset()
    connect_timeout_seconds: Seconds | None = None
    rpc_timeout_seconds: Seconds | None = None
    keepalive_seconds: Seconds | None = None
    mapping_profile: str = ""
    profile: str = ""
    schema_set: str = ""
    role: str = ""
    site: SiteData = Field(default_factory=SiteData)
    access_ports: tuple[AccessPortData, ...] = ()
    access_bit_rate: BitsPerSecond | None = None
    asn: Annotated[int | None, Field(ge=1, le=4294967295)] = None
    autonomous_system: Annotated[int | None, Field(ge=1, le=4294967295)] = None
    router_id: str = ""
    loopback: LoopbackData = Field(default_factory=LoopbackData)
    srv6_locator: LocatorData = Field(default_factory=LocatorData)
    out_of_band: tuple[OutOfBandData, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_autonomous_system(self) -> "HostData":
        if self.asn and self.autonomous_system and self.asn != self.autonomous_system:
            raise ValueError("asn and autonomous_system say different things; give one of them")
        return self


class Entry(_Strict):
    """A host, a group or the defaults, before inheritance; `data` is checked once it is whole."""

    hostname: str | None = None
    port: PortNumber | None = None
    username: str | None = None
    platform: str | None = None
    groups: tuple[str, ...] = ()
    data: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_all_defaults(cls, value: Any) -> Any:
        return {} if value is None else value


class Document(_Strict):
    """A whole inventory in one file."""

    hosts: dict[str, Entry] = Field(default_factory=dict)
    groups: dict[str, Entry] = Field(default_factory=dict)
    defaults: Entry = Field(default_factory=Entry)
