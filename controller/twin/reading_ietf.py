"""Owns reading ietf-interfaces (RFC 8343), ietf-ip (RFC 8344), ietf-network-instance (RFC 8529) and accord-router."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from controller.model.yang_path import Path, Step, parse_path
from controller.twin.configuration import (
    CandidatePath,
    Instance,
    Interface,
    Locator,
    Peer,
    Policy,
    PrefixExport,
    Router,
    SegmentList,
    StaticRoute,
    bare_target,
)

INTERFACES = parse_path("/ietf-interfaces:interfaces/interface")
INSTANCES = parse_path("/ietf-network-instance:network-instances/network-instance")
ROUTER = parse_path("/accord-router:router")
Lines = Mapping[Path, str]
Names = tuple[str, ...]


def is_router(path: Path) -> bool:
    """Whether a line is of the router itself."""
    return path[: len(ROUTER)] == ROUTER


def key_of(step: Step) -> str:
    """The first key's value of a list entry, or what a leaf-list entry is."""
    return step.keys[0][1]


def keys_of(step: Step) -> dict[str, str]:
    """All keys of a list entry."""
    return dict(step.keys)


def relative(entry: Path, lines: Lines) -> Iterator[tuple[Names, Path, str]]:
    """Each line as the names below the entry, the steps below it, and the value."""
    depth = len(entry)
    for path, value in lines.items():
        below = path[depth:]
        yield tuple(step.name for step in below), below, value


def read_interface(entry: Path, lines: Lines) -> tuple[str, Interface | None]:
    """An interface and all that is on it."""
    name = key_of(entry[-1])
    if not lines:
        return name, None
    leaves: dict[Names, str] = {}
    addresses: list[str] = []
    is_off: set[str] = set()
    for names, steps, value in relative(entry, lines):
        if names[1:] == ("address", "prefix-length"):
            addresses.append(f"{key_of(steps[1])}/{value}")
        elif names in {("ipv4", "enabled"), ("ipv6", "enabled")} and value == "false":
            is_off.add(names[0])
        else:
            leaves[names] = value
    bound = [leaves.get((*family, "bind-ni-name"), "") for family in ((), ("ipv4",), ("ipv6",))]
    kept = [each for each in addresses if ("ipv6" if ":" in each else "ipv4") not in is_off]
    return name, Interface(
        name=name,
        enabled=leaves.get(("enabled",)) != "false",
        instance=next(filter(None, bound), ""),
        parent=leaves.get(("vlan-subinterface", "parent"), ""),
        vlan=int(leaves.get(("vlan-subinterface", "vlan-id"), "0")),
        addresses=tuple(sorted(kept)),
        announces_subnet=leaves.get(("attachment", "announce-subnet")) == "true",
        preference=int(leaves.get(("attachment", "local-preference"), "100")),
        metric=int(leaves.get(("igp", "metric"), "10")) if any(names[:1] == ("igp",) for names in leaves) else None,
        adjacency_function=int(leaves.get(("igp", "adjacency-function"), "0")),
    )


def read_instance(entry: Path, lines: Lines) -> tuple[str, Instance | None]:
    """A layer 3 VPN's instance; another kind of instance, or none, is None."""
    name = key_of(entry[-1])
    leaves: dict[Names, str] = {}
    lists: dict[Names, list[Path]] = {}
    for names, steps, value in relative(entry, lines):
        leaves[names] = value
        lists.setdefault(names, []).append(steps)
    if ("l3vpn",) not in leaves:
        return name, None

    def texts(*names: str) -> frozenset[str]:
        return frozenset(bare_target(key_of(steps[-1])) for steps in lists.get(("l3vpn", *names), ()))

    return name, Instance(
        name=name,
        enabled=leaves.get(("enabled",)) != "false",
        locator=leaves.get(("l3vpn", "srv6", "locator"), ""),
        function=int(leaves.get(("l3vpn", "srv6", "function"), "0")),
        imports=texts("vpn-targets", "import"),
        exports=texts("vpn-targets", "export"),
        prefix_exports=_prefix_exports(entry, lines),
        static_routes=_static_routes(entry, lines),
        neighbours=tuple(sorted(key_of(steps[-1]) for steps in lists.get(("l3vpn", "bgp", "neighbor"), ()))),
        ospf=frozenset(
            (key_of(steps[1]), key_of(steps[3])) for steps in lists.get(("l3vpn", "ospf", "area", "interface"), ())
        ),
        color=int(leaves.get(("l3vpn", "color"), "0")),
    )


def _static_routes(entry: Path, lines: Lines) -> tuple[StaticRoute, ...]:
    tags: dict[tuple[str, str], str] = {}
    for names, steps, value in relative(entry, lines):
        if names[:2] == ("l3vpn", "static-route"):
            keys = keys_of(steps[1])
            route = (str(ip_network(keys["prefix"], strict=False)), str(ip_address(keys["next-hop"])))
            tags.setdefault(route, "")
            if names[2:] == ("tag",):
                tags[route] = value
    return tuple(StaticRoute(prefix, next_hop, tag) for (prefix, next_hop), tag in sorted(tags.items()))


def _prefix_exports(entry: Path, lines: Lines) -> tuple[PrefixExport, ...]:
    found: dict[str, dict[str, set[str]]] = {}
    for names, steps, _ in relative(entry, lines):
        if names[:3] == ("l3vpn", "vpn-targets", "prefix-export"):
            export = found.setdefault(key_of(steps[2]), {"route-target": set(), "prefix": set(), "tag": set()})
            if len(names) > 3:
                export[names[3]].add(key_of(steps[3]))
    return tuple(
        PrefixExport(
            frozenset(map(bare_target, each["route-target"])), frozenset(each["prefix"]), frozenset(each["tag"])
        )
        for _, each in sorted(found.items())
    )


def read_router(lines: Lines) -> Router:
    """Sessions, locators and policies."""
    leaves: dict[Names, str] = {}
    peers: dict[str, dict[str, str]] = {}
    locators: dict[str, dict[str, str]] = {}
    policies: dict[tuple[int, str], list[tuple[Names, Path, str]]] = {}
    for names, steps, value in relative(ROUTER, lines):
        if names[:2] == ("bgp", "neighbor"):
            peers.setdefault(key_of(steps[1]), {})[names[-1]] = value
        elif names[:2] == ("srv6", "locator"):
            locators.setdefault(key_of(steps[1]), {})[names[-1]] = value
        elif names[:2] == ("srv6", "policy"):
            keys = keys_of(steps[1])
            key = (int(keys["color"]), str(ip_address(keys["endpoint"])))
            policies.setdefault(key, []).append((names[2:], steps[2:], value))
        else:
            leaves[names] = value
    return Router(
        autonomous_system=int(leaves.get(("asn",), "0")),
        router_id=leaves.get(("router-id",), ""),
        peers=tuple(
            Peer(
                str(ip_address(address)), int(each.get("remote-as", "0")), each.get("route-reflector-client") == "true"
            )
            for address, each in sorted(peers.items())
        ),
        locators={
            name: Locator(each["prefix"], int(each.get("node-function", "0")))
            for name, each in locators.items()
            if "prefix" in each
        },
        policies={key: _policy(key, found) for key, found in policies.items()},
    )


def _policy(key: tuple[int, str], found: list[tuple[Names, Path, str]]) -> Policy:
    name = ""
    preferences: dict[int, int] = {}
    weights: dict[tuple[int, int], int] = {}
    segments: dict[tuple[int, int], dict[int, str]] = {}
    for names, steps, value in found:
        if names == ("name",):
            name = value
        if names[:1] != ("candidate-path",):
            continue
        path = int(key_of(steps[0]))
        preferences.setdefault(path, 100)
        if names[1:] == ("preference",):
            preferences[path] = int(value)
        if names[1:2] == ("segment-list",):
            carried = (path, int(key_of(steps[1])))
            segments.setdefault(carried, {})
            if names[2:] == ("weight",):
                weights[carried] = int(value)
            if names[2:] == ("segment", "sid"):
                segments[carried][int(key_of(steps[2]))] = str(ip_address(value))
    paths = tuple(
        CandidatePath(
            number,
            preference,
            tuple(
                SegmentList(tuple(sid for _, sid in sorted(sids.items())), weights.get(carried, 1))
                for carried, sids in sorted(segments.items())
                if carried[0] == number
            ),
        )
        for number, preference in sorted(preferences.items())
    )
    return Policy(key[0], key[1], name, paths)
