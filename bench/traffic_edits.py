"""Owns what the routers of the traffic benches are configured with, as XML: VPNs, the policy they follow, its paths."""

from collections.abc import Iterable, Mapping, Sequence

HEAD, TAIL = "pe1", "pe2"
VPN = "red"
"""The first; the others have a number behind it."""
COLOR = 100
_FIRST_VLAN = 100
_NOBODYS_TARGET = "0:65000:8"
_FIRST_TARGET = 1000
_NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
_IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_IP = "urn:ietf:params:xml:ns:yang:ietf-ip"
_NI = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
_IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"
_ACCORD = "urn:accord:router"


def interface_name(service: int) -> str:
    """The interface of the n-th VPN, at either end."""
    return f"access0.{_FIRST_VLAN + service}"


def host_address(router: str) -> str:
    """The customer's address at this router, in every VPN."""
    return f"10.{_site(router)}.0.2"


def policy_edit(endpoint: str, paths: Sequence[Sequence[str]], color: int = COLOR) -> str:
    """An edit that gives the policy these paths of segments and no others, the first preferred."""
    candidates = "".join(_candidate(number, segments) for number, segments in enumerate(paths, start=1))
    return _router(
        f'<policy nc:operation="replace"><color>{color}</color><endpoint>{endpoint}</endpoint>'
        f"<name>{VPN}-to-{TAIL}</name>{candidates}</policy>"
    )


def no_policy_edit(endpoint: str, color: int = COLOR) -> str:
    """An edit that removes the policy."""
    return _router(f'<policy nc:operation="remove"><color>{color}</color><endpoint>{endpoint}</endpoint></policy>')


def _candidate(number: int, segments: Sequence[str]) -> str:
    inside = "".join(
        f"<segment><index>{index}</index><sid>{sid}</sid></segment>" for index, sid in enumerate(segments, start=1)
    )
    return (
        f"<candidate-path><discriminator>{number}</discriminator><preference>{200 - number}</preference>"
        f"<segment-list><id>1</id>{inside}</segment-list></candidate-path>"
    )


def _site(router: str) -> int:
    return 1 if router == HEAD else 2


def vpn_edit(router: str, services: int = 1) -> str:
    """An edit that adds so many VPNs at this router, all with the same addresses."""
    numbers = range(services)
    return config(
        _instances(_vrf(router, number) for number in numbers), _interfaces(_interface(router, n) for n in numbers)
    )


def config(*edits: str) -> str:
    """One edit of several."""
    return f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">{"".join(edits)}</config>'


def _interfaces(inside: Iterable[str]) -> str:
    return f'<interfaces xmlns="{_IF}" xmlns:ianaift="{_IANA}">{"".join(inside)}</interfaces>'


def _interface(router: str, service: int) -> str:
    """An interface in the VPN, a VLAN of the access port."""
    vlan = _FIRST_VLAN + service
    address = f"<address><ip>10.{_site(router)}.0.1</ip><prefix-length>24</prefix-length></address>"
    return (
        f"<interface><name>access0.{vlan}</name><type>ianaift:l2vlan</type>"
        f'<bind-ni-name xmlns="{_NI}">{_name(service)}</bind-ni-name>'
        f'<vlan-subinterface xmlns="{_ACCORD}"><parent>access0</parent><vlan-id>{vlan}</vlan-id></vlan-subinterface>'
        f'<attachment xmlns="{_ACCORD}"><announce-subnet>true</announce-subnet></attachment>'
        f'<ipv4 xmlns="{_IP}">{address}</ipv4></interface>'
    )


def _instances(inside: Iterable[str]) -> str:
    return f'<network-instances xmlns="{_NI}" xmlns:nc="{_NC}">{"".join(inside)}</network-instances>'


def _vrf(router: str, service: int) -> str:
    """The VPN, steered into the policy."""
    target = _target(service)
    return _instance(
        service,
        f"<route-distinguisher>0:{65000 + _site(router)}:{service}</route-distinguisher>"
        f"<vpn-targets><import>{target}</import><export>{target}</export></vpn-targets>"
        f"<srv6><locator>main</locator><function>{1 + service}</function></srv6><color>{COLOR}</color>",
    )


def imports(targets: Mapping[str, Iterable[str]], *, away: bool) -> str:
    """Take away what VRFs import, or give it back. A VRF has to import something: what nobody exports instead."""
    inside = "".join(_imports(name, sorted(theirs), away=away) for name, theirs in targets.items())
    return f'<network-instances xmlns="{_NI}" xmlns:nc="{_NC}">{inside}</network-instances>'


def _imports(vrf: str, theirs: Sequence[str], *, away: bool) -> str:
    before, after = (theirs, [_NOBODYS_TARGET]) if away else ([_NOBODYS_TARGET], theirs)
    gone = "".join(f'<import nc:operation="remove">{target}</import>' for target in before)
    come = "".join(f"<import>{target}</import>" for target in after)
    return (
        f'<network-instance><name>{vrf}</name><l3vpn xmlns="{_ACCORD}"><vpn-targets>{gone}{come}</vpn-targets></l3vpn>'
        "</network-instance>"
    )


def _instance(service: int, inside: str) -> str:
    return (
        f'<network-instance><name>{_name(service)}</name><l3vpn xmlns="{_ACCORD}">{inside}</l3vpn></network-instance>'
    )


def _name(service: int) -> str:
    return f"{VPN}{service or ''}"


def _target(service: int) -> str:
    return f"0:65000:{_FIRST_TARGET + service}"


def _router(inside: str) -> str:
    return f'<router xmlns="{_ACCORD}" xmlns:nc="{_NC}"><srv6>{inside}</srv6></router>'
