"""What a running configuration asks of the network: XML in the words of our module set, read for a data plane.

Owns the reading side of the IETF modules (RFC 8343, RFC 8344, RFC 8529) and accord-router, and the
interfaces of OpenConfig; another module set reads as a router that asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

from lxml import etree

from lab.planes import (
    BgpPeer,
    CandidatePath,
    Interface,
    PrefixExport,
    RouterForwarding,
    SegmentList,
    SrPolicy,
    StampSession,
    StaticRoute,
    VpnInstance,
)

IF = "{urn:ietf:params:xml:ns:yang:ietf-interfaces}"
IP = "{urn:ietf:params:xml:ns:yang:ietf-ip}"
NI = "{urn:ietf:params:xml:ns:yang:ietf-network-instance}"
ACCORD = "{urn:accord:router}"
OPENCONFIG_IF = "{http://openconfig.net/yang/interfaces}"
OPENCONFIG_IP = "{http://openconfig.net/yang/interfaces/ip}"
_FUNCTION_BITS = 16
_SRV6 = f"{ACCORD}srv6/"


def read_forwarding(config: etree._Element) -> RouterForwarding:
    """Read a <data> tree that its schema holds valid; what is absent is taken as its default."""
    interfaces = config.findall(f"{IF}interfaces/{IF}interface")
    locators = {
        _text(locator, f"{ACCORD}name"): _text(locator, f"{ACCORD}prefix")
        for locator in config.findall(f"{ACCORD}router/{ACCORD}srv6/{ACCORD}locator")
    }
    bound = _bound(interfaces)
    instances = tuple(
        _instance(element, bound.get(_text(element, f"{NI}name"), frozenset()), locators)
        for element in config.findall(f"{NI}network-instances/{NI}network-instance")
        if element.find(f"{ACCORD}l3vpn") is not None
    )
    router = config.find(f"{ACCORD}router")
    return RouterForwarding(
        interfaces={found.name: found for found in (*map(_interface, interfaces), *_openconfig_interfaces(config))},
        local_as=int(_text(router, f"{ACCORD}asn") or 0),
        router_id=_text(router, f"{ACCORD}router-id"),
        peers=(*_core_peers(router), *_customer_peers(config)),
        instances=instances,
        stamp_reflector=router is not None and router.find(f"{ACCORD}oam/{ACCORD}stamp-reflector") is not None,
        source_address=_text(router, f"{_SRV6}{ACCORD}source-address"),
        locators=tuple(locators.values()),
        node_segments=tuple(_node_segments(router, locators)),
        adjacency_segments=dict(_adjacency_segments(interfaces, locators)),
        policies=tuple(map(_policy, () if router is None else router.findall(f"{_SRV6}{ACCORD}policy"))),
        stamp_sessions=tuple(
            map(_stamp_session, () if router is None else router.findall(f"{ACCORD}oam/{ACCORD}stamp-session"))
        ),
    )


def _node_segments(router: etree._Element | None, locators: dict[str, str]) -> Iterator[str]:
    for locator in () if router is None else router.findall(f"{_SRV6}{ACCORD}locator"):
        function = _text(locator, f"{ACCORD}node-function")
        if function:
            yield _segment(locators[_text(locator, f"{ACCORD}name")], function)


def _adjacency_segments(interfaces: list[etree._Element], locators: dict[str, str]) -> Iterator[tuple[str, str]]:
    """An interface's segment is taken from every locator of the router."""
    for element in interfaces:
        function = _text(element, f"{ACCORD}igp/{ACCORD}adjacency-function")
        for locator in locators.values() if function else ():
            yield _segment(locator, function), _text(element, f"{IF}name")


def _policy(element: etree._Element) -> SrPolicy:
    return SrPolicy(
        color=int(_text(element, f"{ACCORD}color")),
        endpoint=str(IPv6Address(_text(element, f"{ACCORD}endpoint"))),
        name=_text(element, f"{ACCORD}name"),
        paths=tuple(
            CandidatePath(
                discriminator=int(_text(path, f"{ACCORD}discriminator")),
                preference=int(_text(path, f"{ACCORD}preference") or 100),
                segment_lists=tuple(
                    SegmentList(_segments(found), int(_text(found, f"{ACCORD}weight") or 1))
                    for found in path.findall(f"{ACCORD}segment-list")
                ),
            )
            for path in element.findall(f"{ACCORD}candidate-path")
        ),
    )


def _stamp_session(element: etree._Element) -> StampSession:
    return StampSession(
        number=int(_text(element, f"{ACCORD}id")),
        remote_address=_text(element, f"{ACCORD}remote-address"),
        remote_port=int(_text(element, f"{ACCORD}remote-port") or 862),
        instance=_text(element, f"{ACCORD}network-instance"),
        interval_seconds=int(_text(element, f"{ACCORD}interval") or 1000) / 1000,
        segments=_segments(element),
    )


def _segments(element: etree._Element) -> tuple[str, ...]:
    found = sorted(element.findall(f"{ACCORD}segment"), key=lambda segment: int(_text(segment, f"{ACCORD}index")))
    return tuple(str(IPv6Address(_text(segment, f"{ACCORD}sid"))) for segment in found)


def _text(parent: etree._Element | None, path: str) -> str:
    found = None if parent is None else parent.findtext(path)
    return (found or "").strip()


def _interface(element: etree._Element) -> Interface:
    addresses = [
        f"{_text(address, f'{IP}ip')}/{_text(address, f'{IP}prefix-length')}"
        for family in ("ipv4", "ipv6")
        for address in element.findall(f"{IP}{family}/{IP}address")
        if address.find(f"{IP}prefix-length") is not None and _text(element, f"{IP}{family}/{IP}enabled") != "false"
    ]
    return Interface(
        name=_text(element, f"{IF}name"),
        enabled=_text(element, f"{IF}enabled") != "false",
        parent=_text(element, f"{ACCORD}vlan-subinterface/{ACCORD}parent"),
        loopback=_text(element, f"{IF}type").endswith("softwareLoopback"),
        addresses=tuple(addresses),
        announce_subnet=_text(element, f"{ACCORD}attachment/{ACCORD}announce-subnet") == "true",
        local_preference=int(_text(element, f"{ACCORD}attachment/{ACCORD}local-preference") or 100),
        metric=_metric(element),
        input_bit_rate=int(_text(element, f"{ACCORD}qos/{ACCORD}input-bandwidth") or 0),
        output_bit_rate=int(_text(element, f"{ACCORD}qos/{ACCORD}output-bandwidth") or 0),
        neighbours=tuple(
            (found.text or "").strip() for found in element.findall(f"{ACCORD}attachment/{ACCORD}neighbor")
        ),
    )


def _metric(element: etree._Element) -> int | None:
    igp = element.find(f"{ACCORD}igp")
    return None if igp is None else int(_text(igp, f"{ACCORD}metric") or 10)


def _openconfig_interfaces(config: etree._Element) -> Iterator[Interface]:
    """Ports and loopbacks with the addresses of their subinterfaces; other subinterfaces are not told apart."""
    for element in config.findall(f"{OPENCONFIG_IF}interfaces/{OPENCONFIG_IF}interface"):
        addresses = element.iterfind(f".//{OPENCONFIG_IP}address/{OPENCONFIG_IP}config")
        yield Interface(
            name=_text(element, f"{OPENCONFIG_IF}name"),
            enabled=_text(element, f"{OPENCONFIG_IF}config/{OPENCONFIG_IF}enabled") != "false",
            loopback=_text(element, f"{OPENCONFIG_IF}config/{OPENCONFIG_IF}type").endswith("softwareLoopback"),
            addresses=tuple(
                f"{_text(address, f'{OPENCONFIG_IP}ip')}/{_text(address, f'{OPENCONFIG_IP}prefix-length')}"
                for address in addresses
                if address.find(f"{OPENCONFIG_IP}prefix-length") is not None
            ),
        )


def _bound(interfaces: list[etree._Element]) -> dict[str, frozenset[str]]:
    """By instance, the interfaces in it."""
    paths = (f"{NI}bind-ni-name", f"{IP}ipv4/{NI}bind-ni-name", f"{IP}ipv6/{NI}bind-ni-name")
    found: dict[str, set[str]] = {}
    for element in interfaces:
        for instance in {_text(element, path) for path in paths}:
            found.setdefault(instance, set()).add(_text(element, f"{IF}name"))
    return {instance: frozenset(names) for instance, names in found.items()}


def _instance(element: etree._Element, interfaces: frozenset[str], locators: dict[str, str]) -> VpnInstance:
    vpn = element.find(f"{ACCORD}l3vpn")
    targets = f"{ACCORD}l3vpn/{ACCORD}vpn-targets"
    locator = locators.get(_text(vpn, f"{ACCORD}srv6/{ACCORD}locator"), "")
    return VpnInstance(
        name=_text(element, f"{NI}name"),
        enabled=_text(element, f"{NI}enabled") != "false",
        route_distinguisher=_text(vpn, f"{ACCORD}route-distinguisher"),
        segment=_segment(locator, _text(vpn, f"{ACCORD}srv6/{ACCORD}function")),
        imports=_texts(element, f"{targets}/{ACCORD}import"),
        exports=_texts(element, f"{targets}/{ACCORD}export"),
        prefix_exports=tuple(
            PrefixExport(
                _texts(entry, f"{ACCORD}route-target"),
                _texts(entry, f"{ACCORD}prefix"),
                _texts(entry, f"{ACCORD}tag"),
            )
            for entry in element.findall(f"{targets}/{ACCORD}prefix-export")
        ),
        interfaces=interfaces,
        color=int(_text(vpn, f"{ACCORD}color") or 0),
        static_routes=tuple(
            StaticRoute(_text(r, f"{ACCORD}prefix"), _text(r, f"{ACCORD}next-hop"), _text(r, f"{ACCORD}tag"))
            for r in element.findall(f"{ACCORD}l3vpn/{ACCORD}static-route")
        ),
    )


def _texts(parent: etree._Element, path: str) -> frozenset[str]:
    return frozenset((element.text or "").strip() for element in parent.findall(path))


def _segment(locator: str, function: str) -> str:
    """The segment's address: locator, then the function (RFC 8986 section 3.1)."""
    if not locator or not function:
        return ""
    network = IPv6Network(locator)
    shift = max(0, 128 - network.prefixlen - _FUNCTION_BITS)
    return str(IPv6Address(int(network.network_address) + (int(function) << shift)))


def _core_peers(router: etree._Element | None) -> Iterator[BgpPeer]:
    for element in () if router is None else router.findall(f"{ACCORD}bgp/{ACCORD}neighbor"):
        yield BgpPeer(
            address=_text(element, f"{ACCORD}remote-address"),
            remote_as=int(_text(element, f"{ACCORD}remote-as") or 0),
            families=_texts(element, f"{ACCORD}address-family"),
            reflector_client=_text(element, f"{ACCORD}route-reflector-client") == "true",
        )


def _customer_peers(config: etree._Element) -> Iterator[BgpPeer]:
    for instance in config.findall(f"{NI}network-instances/{NI}network-instance"):
        for element in instance.findall(f"{ACCORD}l3vpn/{ACCORD}bgp/{ACCORD}neighbor"):
            yield BgpPeer(
                address=_text(element, f"{ACCORD}remote-address"),
                remote_as=int(_text(element, f"{ACCORD}remote-as") or 0),
                families=_texts(element, f"{ACCORD}address-family"),
                instance=_text(instance, f"{NI}name"),
            )
