"""The domain in the words of accord-otn: tunnels read from a configuration, state and events written.

Delays are whole microseconds in the model and seconds everywhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from lxml import etree

from lab.optical.allocation import Wish
from lab.optical.domain import Client, OpticalDomain
from lab.optical.tunnels import Tunnel
from lab.router.xml import add, data, element

NAMESPACE = "urn:accord:otn"
_OTN = f"{{{NAMESPACE}}}"
_MICROSECONDS = 1_000_000
_MILLISECONDS = 1_000


def read_wishes(config: etree._Element) -> tuple[Wish, ...]:
    """The tunnels that a valid <data> tree configures, in its order."""
    return tuple(_wish(tunnel) for tunnel in config.findall(f"{_OTN}domain/{_OTN}tunnel"))


def tunnel_path(name: str) -> str:
    """The instance-identifier of a tunnel."""
    return f"/accord-otn:domain/accord-otn:tunnel[accord-otn:name='{name}']"


def state_tree(
    domain: OpticalDomain, free: Mapping[str, int], cut: Collection[str], tunnels: Iterable[Tunnel]
) -> etree._Element:
    """Everything that is `config false`, in a <data> tree."""
    tree = data()
    root = add(tree, f"{_OTN}domain")
    _leaves(
        root,
        {
            "slot-bandwidth": str(domain.slot_bit_rate),
            "setup-time": str(round(domain.setup_seconds * _MILLISECONDS)),
        },
    )
    _add_nodes(root, domain)
    _add_links(root, domain, free, cut)
    for tunnel in tunnels:
        _add_tunnel(root, tunnel)
    return tree


def status_event(tunnel: Tunnel) -> etree._Element:
    """The event that a tunnel entered another status."""
    event = element("tunnel-status-change", NAMESPACE)
    _leaves(event, {"name": tunnel.wish.name, "status": tunnel.status.value})
    return event


def _wish(tunnel: etree._Element) -> Wish:
    bound = tunnel.findtext(f"{_OTN}delay-bound")
    return Wish(
        name=tunnel.findtext(f"{_OTN}name", ""),
        source=_client(tunnel, "source"),
        target=_client(tunnel, "target"),
        slots=int(tunnel.findtext(f"{_OTN}slots", "0")),
        delay_bound_seconds=None if bound is None else int(bound) / _MICROSECONDS,
        enabled=tunnel.findtext(f"{_OTN}enabled", "true") == "true",
    )


def _client(tunnel: etree._Element, end: str) -> Client:
    return Client(
        tunnel.findtext(f"{_OTN}{end}/{_OTN}node", ""),
        tunnel.findtext(f"{_OTN}{end}/{_OTN}port", ""),
    )


def _add_nodes(root: etree._Element, domain: OpticalDomain) -> None:
    for node in domain.nodes:
        entry = add(root, f"{_OTN}node")
        _leaves(entry, {"name": node.name})
        for port in node.client_ports:
            _leaves(
                add(entry, f"{_OTN}client-port"),
                {
                    "name": port.name,
                    "slots": str(port.slots),
                    "client-node": port.router,
                    "client-node-port": port.router_port,
                },
            )


def _add_links(root: etree._Element, domain: OpticalDomain, free: Mapping[str, int], cut: Collection[str]) -> None:
    for link in domain.links:
        entry = add(root, f"{_OTN}link")
        _leaves(
            entry,
            {
                "name": link.name,
                "a-node": link.a,
                "b-node": link.b,
                "slots": str(link.slots),
                "free-slots": str(free[link.name]),
                "delay": str(_microseconds(link.delay_seconds)),
            },
        )
        for group in link.srlgs:
            _leaves(entry, {"srlg": str(group)})
        _leaves(entry, {"oper-status": "down" if link.name in cut else "up"})


def _add_tunnel(root: etree._Element, tunnel: Tunnel) -> None:
    entry = add(root, f"{_OTN}tunnel")
    _leaves(entry, {"name": tunnel.wish.name, "status": tunnel.status.value})
    if tunnel.reason:
        _leaves(entry, {"reason": tunnel.reason})
    _leaves(
        entry,
        {
            "delay": str(_microseconds(tunnel.route.delay_seconds)),
            "last-change": _date_and_time(tunnel.changed_at),
        },
    )
    for link in tunnel.route.links:
        _leaves(entry, {"route": link.name})


def _leaves(parent: etree._Element, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        add(parent, f"{_OTN}{name}", text)


def _microseconds(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)


def _date_and_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
