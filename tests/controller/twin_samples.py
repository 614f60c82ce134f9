"""Samples for the twin's tests: a network configured by the real mapping, and its promises by the real reader."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from controller.datastore.config_tree import ConfigTree
from controller.datastore.diff import Edit, diff
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smEdit
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.model.yang_path import Path, parse_path
from controller.topology.network import Link, LinkId, Network, Node, TerminationPoint
from controller.twin.configuration import DeviceForwarding
from controller.twin.entry import State
from controller.twin.intended import Attachment, Intended, TunnelIntent
from controller.twin.intended_l3sm import read_site, read_vpn
from controller.twin.model import Model
from controller.twin.reading import read_device, reread
from tests.controller.mapping_samples import access, configuration, edit, make, service, site

DEVICES = ("lon1", "lon2", "par1", "mad1")
NUMBERS = {name: number for number, name in enumerate((*DEVICES, "p1", "p2"), start=1)}
WIRES = (
    ("lon1", "p1", 2),
    ("lon2", "p1", 2),
    ("lon1", "lon2", 1),
    ("p1", "p2", 3),
    ("p1", "par1", 4),
    ("p2", "par1", 6),
    ("p2", "mad1", 5),
    ("par1", "mad1", 9),
)
"""(a, b, milliseconds)."""


def lines(texts: Mapping[str, str]) -> dict[Path, str]:
    return {parse_path(path): value for path, value in texts.items()}


def ports_of(name: str) -> list[tuple[str, str, int]]:
    """(port, far end, milliseconds) in the order of the wires."""
    found = [(b if a == name else a, delay) for a, b, delay in WIRES if name in {a, b}]
    return [(f"core{index}", far, delay) for index, (far, delay) in enumerate(found)]


def port_towards(name: str, far: str) -> str:
    return next(port for port, other, _ in ports_of(name) if other == far)


def sid(name: str, far: str) -> str:
    """The End.X segment of a router over its link to another."""
    return f"fc00:0:{NUMBERS[name]}:{0xA000 + int(port_towards(name, far)[4:]):x}::"


def core_lines(name: str) -> dict[str, str]:
    """What a router is configured with before anybody's service."""
    number, loopback = NUMBERS[name], "/ietf-interfaces:interfaces/interface[name='lo0']"
    found = {
        loopback: "",
        f"{loopback}/type": "iana-if-type:softwareLoopback",
        f"{loopback}/ietf-ip:ipv6/address[ip='fc00:0:{number}::1']/prefix-length": "128",
        f"{loopback}/ietf-ip:ipv4/address[ip='10.0.0.{number}']/prefix-length": "32",
        f"{loopback}/accord-router:igp": "",
        "/accord-router:router/asn": "65000",
        "/accord-router:router/router-id": f"10.0.0.{number}",
        "/accord-router:router/srv6/locator[name='main']": "",
        "/accord-router:router/srv6/locator[name='main']/prefix": f"fc00:0:{number}::/48",
        "/accord-router:router/srv6/locator[name='main']/node-function": "57344",
    }
    for port, _, delay in ports_of(name):
        entry = f"/ietf-interfaces:interfaces/interface[name='{port}']"
        found |= {
            entry: "",
            f"{entry}/enabled": "true",
            f"{entry}/accord-router:igp": "",
            f"{entry}/accord-router:igp/metric": str(100 * delay),
            f"{entry}/accord-router:igp/adjacency-function": str(0xA000 + int(port[4:])),
        }
    for port in ("ge0", "ge1", "ge9"):
        found[f"/ietf-interfaces:interfaces/interface[name='{port}']"] = ""
        found[f"/ietf-interfaces:interfaces/interface[name='{port}']/enabled"] = "true"
    for far, other in NUMBERS.items():
        if far != name and not far.startswith("p1") and far in DEVICES and name in DEVICES:
            entry = f"/accord-router:router/bgp/neighbor[remote-address='10.0.0.{other}']"
            found |= {entry: "", f"{entry}/remote-as": "65000"}
    return found


def topology(**more: Any) -> Network:
    nodes = [Node(DeviceName(name), endpoint=f"fc00:0:{NUMBERS[name]}::1") for name in NUMBERS]
    links = []
    for a, b, delay in WIRES:
        for here, there in ((a, b), (b, a)):
            links.append(
                Link(
                    TerminationPoint(DeviceName(here), port_towards(here, there)),
                    TerminationPoint(DeviceName(there), port_towards(there, here)),
                    more.get("capacity", BitRate(10**10)),
                    delay_seconds=delay / 1000,
                    srlgs=frozenset({7}) if {a, b} in ({"p1", "p2"}, {"p1", "par1"}) else frozenset(),
                    segment=sid(here, there),
                )
            )
    return Network.of(nodes, links)


def promises(state: L3smState, tunnels: tuple[TunnelIntent, ...] = ()) -> Intended:
    """What the documents promise, where the mapping placed the accesses."""
    intended = Intended(tunnels={each.name: each for each in tunnels})
    intended.vpns = {name: read_vpn(document) for name, document in state.services.items()}
    for site_id, document in state.sites.items():
        places = {
            access_id: Attachment(each.device, each.port, each.vlan)
            for (site, access_id), each in state.placements.items()
            if site == site_id
        }
        for name, member in read_site(document, places):
            intended.put(f"{site_id}/{name}", member)
    return intended


class Twinned:
    """A network whose services have been rendered and are about to be committed on routers that have none."""

    def __init__(
        self,
        *edits: L3smEdit,
        on: Network | None = None,
        tunnels: tuple[TunnelIntent, ...] = (),
        extra: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`extra`: further lines that are rendered, by device."""
        self.state, _ = make(*edits)
        self.network = on
        day0 = {name: ConfigTree(lines(core_lines(name))) for name in NUMBERS}
        self.blank = State(Model(_devices(day0), on), Intended())
        self.trees = {name: ConfigTree(self._rendered(name, dict((extra or {}).get(name, {})))) for name in NUMBERS}
        self.devices = _devices(self.trees)
        self.intended = promises(self.state, tunnels)

    def _rendered(self, name: str, extra: Mapping[str, str]) -> dict[Path, str]:
        services = configuration(self.state, name) if name in DEVICES else {}
        return {**lines(core_lines(name)), **services, **lines(extra)}

    def right(self) -> State:
        """The network after the change, as it was rendered."""
        return State(self.blank.model.changed(tuple(self.devices.values())), self.intended)

    def wrong(self, name: str, change: Mapping[str, str | None]) -> State:
        """The network after the change with other lines on one device: set, or gone with all below them (None)."""
        device = DeviceName(name)
        other = reread(self.devices[device], self.trees[name], (), self.edit(name, change))
        return State(self.blank.model.changed(tuple({**self.devices, device: other}.values())), self.intended)

    def standing(self) -> State:
        """The network as it is once the change is committed."""
        return State(Model(self.devices, self.network), self.intended)

    def after(self, now: State, name: str, change: Mapping[str, str | None]) -> State:
        """What a further change of one device makes of a standing network."""
        device = DeviceName(name)
        other = reread(self.devices[device], self.trees[name], (), self.edit(name, change))
        return State(now.model.changed([other]), self.intended)

    def edit(self, name: str, change: Mapping[str, str | None]) -> Edit:
        before = dict(self.trees[name])
        after = dict(before)
        for text, value in change.items():
            path = parse_path(text)
            if value is None:
                for gone in self.trees[name].below(path):
                    after.pop(gone, None)
        after.update({parse_path(text): value for text, value in change.items() if value is not None})
        return diff(before, after)


def _devices(trees: Mapping[str, ConfigTree]) -> dict[DeviceName, DeviceForwarding]:
    return {DeviceName(name): read_device(DeviceName(name), tree) for name, tree in trees.items()}


def policy_lines(color: int, far: str, *paths: tuple[int, tuple[str, ...]]) -> dict[str, str]:
    """A policy towards a router, with (preference, segments) of each path."""
    root = f"/accord-router:router/srv6/policy[color='{color}'][endpoint='fc00:0:{NUMBERS[far]}::1']"
    found = {root: "", f"{root}/name": f"to-{far}"}
    for number, (preference, segments) in enumerate(paths, start=1):
        path = f"{root}/candidate-path[discriminator='{number}']"
        found |= {path: "", f"{path}/preference": str(preference), f"{path}/segment-list[id='1']": ""}
        for index, segment in enumerate(segments, start=1):
            found[f"{path}/segment-list[id='1']/segment[index='{index}']/sid"] = segment
    return found


def along(*nodes: str) -> tuple[str, ...]:
    """The segments of a path through these routers."""
    return tuple(sid(a, b) for a, b in pairwise(nodes))


def hops(*nodes: str) -> tuple[LinkId, ...]:
    """The links of a path through these routers."""
    return tuple(LinkId(f"{a}:{port_towards(a, b)}>{b}:{port_towards(b, a)}") for a, b in pairwise(nodes))


def any_to_any() -> L3smEdit:
    """A VPN of three sites on three routers, and another customer's of two."""
    return edit(
        service(),
        service("zeta", customer="Zeta"),
        site("l", "London", "GB", access(1)),
        site("p", "Paris", "FR", access(2)),
        site("m", "Madrid", "ES", access(3)),
        site("zl", "London", "GB", access(11, vpn_id="zeta")),
        site("zp", "Paris", "FR", access(12, vpn_id="zeta")),
    )


def hub_and_spokes() -> L3smEdit:
    """A hub in Paris, spokes in London and Madrid."""
    return edit(
        service("star", "hub-spoke"),
        site("hub", "Paris", "FR", access(21, vpn_id="star", role="hub-role")),
        site("s1", "London", "GB", access(22, vpn_id="star", role="spoke-role")),
        site("s2", "Madrid", "ES", access(23, vpn_id="star", role="spoke-role")),
    )
