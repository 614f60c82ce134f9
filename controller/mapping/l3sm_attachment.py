"""Owns reading which VPNs an access belongs to and in what role (RFC 8299 6.2.1, 6.5), as VRFs to be.

Accesses share a VRF where they may reach each other directly. A spoke may not reach another spoke even on the same
router, nor a disjoint hub another hub: they get a VRF per site. A VPN policy gets one per site as well.
"""

from collections.abc import Callable
from dataclasses import dataclass

from controller.mapping.reader import Reader
from controller.model.errors import InvalidInputError

ANY, HUB, SPOKE = "any-to-any-role", "hub-role", "spoke-role"
_ROLES = {"any-to-any": (ANY,), "hub-spoke": (HUB, SPOKE), "hub-spoke-disjoint": (HUB, SPOKE)}


@dataclass(frozen=True, slots=True)
class VpnService:
    """A VPN as its customer ordered it."""

    vpn_id: str
    customer_name: str
    topology: str


@dataclass(frozen=True, slots=True)
class Filter:
    """The LANs of a policy entry."""

    entry: str
    prefixes: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a VRF exchanges with one VPN: everything, or only what the filters name."""

    vpn: VpnService
    role: str
    filters: tuple[Filter, ...] = ()
    exports_all: bool = True


@dataclass(frozen=True, slots=True)
class Attachment:
    """The VRF that an access needs. `key` is the same for accesses that share it; `label` is what people see."""

    key: str
    label: str
    description: str
    exchanges: tuple[Exchange, ...]

    @property
    def vpn_ids(self) -> tuple[str, ...]:
        """The VPNs, sorted."""
        return tuple(sorted(exchange.vpn.vpn_id for exchange in self.exchanges))


@dataclass(frozen=True, slots=True)
class Policy:
    """A VPN policy: what is exchanged with each VPN, and the names of its entries."""

    entries: tuple[str, ...]
    exchanges: tuple[Exchange, ...]


FindService = Callable[[str], VpnService | None]
Policies = dict[str, Policy]


def read_service(vpn_id: str, reader: Reader) -> VpnService:
    """One vpn-service; refuses whatever is not supported."""
    if reader.required("vpn-id") != vpn_id:
        raise reader.wrong("vpn-id", f"the entry's key is '{vpn_id}'")
    topology = reader.identity("vpn-service-topology", "any-to-any")
    if topology not in _ROLES:
        raise reader.refuse("vpn-service-topology", f"the topology '{topology}' is not offered")
    service = VpnService(vpn_id, reader.text("customer-name"), topology)
    reader.finish()
    return service


def read_policies(site: Reader, find: FindService) -> Policies:
    """A site's VPN policies: policy id -> what it exchanges with each VPN."""
    policies: Policies = {}
    for policy in site.child("vpn-policies").entries("vpn-policy", "vpn-policy-id"):
        exchanges: dict[str, Exchange] = {}
        names = tuple(_read_entry(entry, find, exchanges) for entry in policy.entries("entries", "id"))
        if not exchanges:
            raise InvalidInputError("the policy names no VPN", path=policy.path, remedy="add an entry with a VPN")
        policies[policy.required("vpn-policy-id")] = Policy(names, tuple(exchanges.values()))
    return policies


def _read_entry(entry: Reader, find: FindService, exchanges: dict[str, Exchange]) -> str:
    found = _read_filters(entry)
    for vpn in entry.entries("vpn", "vpn-id"):
        service, role = _role(vpn, find)
        before = exchanges.get(service.vpn_id)
        if before and before.role != role:
            raise vpn.wrong("site-role", f"another entry has the role '{before.role}' in this VPN")
        is_filtered = bool(found.prefixes or found.tags)
        if before and before.exports_all == is_filtered:
            raise vpn.wrong("vpn-id", "one entry exports everything to this VPN and another filters", "keep one")
        filters = before.filters if before else ()
        exchanges[service.vpn_id] = Exchange(
            service, role, filters=(*filters, found) if is_filtered else filters, exports_all=not is_filtered
        )
    return found.entry


def _read_filters(entry: Reader) -> Filter:
    prefixes: list[str] = []
    tags: list[str] = []
    for found in entry.child("filters").entries("filter", "type"):
        kind = found.identity("type")
        if kind == "lan":
            tags.extend(found.texts("lan-tag"))
        elif kind in {"ipv4", "ipv6"}:
            prefixes.extend(found.prefixes(f"{kind}-lan-prefix", kind))
        else:
            raise found.refuse("type", f"'{kind}' is not a known filter type")
    return Filter(entry.required("id"), tuple(sorted(prefixes)), tuple(sorted(tags)))


def _role(holder: Reader, find: FindService) -> tuple[VpnService, str]:
    vpn_id = holder.required("vpn-id")
    service = find(vpn_id)
    if service is None:
        raise InvalidInputError(
            f"there is no VPN service '{vpn_id}'",
            path=holder.at("vpn-id"),
            remedy="create it first",
            tag="data-missing",
        )
    role = holder.identity("site-role", ANY)
    if role not in _ROLES[service.topology]:
        allowed = " or ".join(_ROLES[service.topology])
        raise holder.wrong(
            "site-role", f"'{role}' has no place in a VPN of topology {service.topology}", f"use {allowed}"
        )
    return service, role


def read_attachment(access: Reader, site_id: str, policies: Policies, find: FindService) -> Attachment:
    """The VRF an access needs."""
    holder = access.child("vpn-attachment")
    if holder.has("vpn-policy-id"):
        return _by_policy(holder, site_id, policies)
    service, role = _role(holder, find)
    per_site = role == SPOKE or (role == HUB and service.topology == "hub-spoke-disjoint")
    where = f"/{site_id}" if per_site else ""
    return Attachment(
        key=f"vpn/{service.vpn_id}/{role}{where}",
        label=service.vpn_id,
        description=" ".join(filter(None, (service.customer_name, service.vpn_id, "" if role == ANY else role))),
        exchanges=(Exchange(service, role),),
    )


def _by_policy(holder: Reader, site_id: str, policies: Policies) -> Attachment:
    policy = holder.required("vpn-policy-id")
    if policy not in policies:
        raise holder.wrong("vpn-policy-id", f"the site has no VPN policy '{policy}'", "define it or name another")
    exchanges = policies[policy].exchanges
    entries = ", ".join(policies[policy].entries)
    customers = ", ".join(sorted({exchange.vpn.customer_name for exchange in exchanges} - {""}))
    return Attachment(
        key=f"policy/{site_id}/{policy}",
        label=f"{site_id}-{policy}",
        description=" ".join(filter(None, (customers, f"site {site_id}", f"policy {policy} ({entries})"))),
        exchanges=exchanges,
    )
