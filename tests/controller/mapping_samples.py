"""Samples for the mapping's tests: a small network, L3SM documents, and a libyang that checks device trees and L3SM."""

import copy
import functools
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

import oopt_gnpy_libyang as ly
import orjson
from lxml import etree

from controller.datastore.contributions import Contributions, resolve
from controller.mapping.fragment import Fragment, render
from controller.mapping.infrastructure import Infrastructure, PeInfo, PortInfo, QosClass
from controller.mapping.service import L3smState, touched_document
from controller.mapping.service_change import L3smChange, L3smEdit
from controller.model.identifiers import DeviceName, Owner
from controller.model.units import BitRate
from controller.model.yang_path import Path, parse_path

STANDARD = FilePath(sysconfig.get_path("data")) / "share/yang/modules"
OURS = FilePath(__file__).parents[2] / "yang"
SEARCH = f"{OURS}:{STANDARD}/ietf:{STANDARD}/iana"
NAMESPACES = {
    "ietf-interfaces": "urn:ietf:params:xml:ns:yang:ietf-interfaces",
    "ietf-ip": "urn:ietf:params:xml:ns:yang:ietf-ip",
    "ietf-network-instance": "urn:ietf:params:xml:ns:yang:ietf-network-instance",
    "accord-router": "urn:accord:router",
    "iana-if-type": "urn:ietf:params:xml:ns:yang:iana-if-type",
}


def port(name: str, gigabits: int = 10, **more: Any) -> PortInfo:
    return PortInfo(name, BitRate(gigabits * 10**9), **more)


def router(name: str, city: str, country: str, number: int, **more: Any) -> PeInfo:
    ports = more.pop("ports", (port("ge0", card="1"), port("ge1", card="2")))
    return PeInfo(
        DeviceName(name), more.pop("profile", "ietf"), city, country, 65000, f"10.0.0.{number}", ports, **more
    )


def network(*routers: PeInfo, **more: Any) -> Infrastructure:
    return Infrastructure(
        routers
        or (
            router("lon1", "London", "GB", 1, pop="docklands", lat=51.5, lon=-0.1),
            router("lon2", "London", "GB", 2, pop="slough", lat=51.5, lon=-0.6),
            router("par1", "Paris", "FR", 3, lat=48.9, lon=2.3),
            router("mad1", "Madrid", "ES", 4, ports=(port("ge0"), port("ge9", bearer_reference="B-77"))),
        ),
        qos_profiles={
            "gold": (QosClass("voice", "30.0", lowest_latency=True), QosClass("data", "50.0", direction="site-to-wan"))
        },
        bfd_profiles={"fast": 150},
        places={("reading", "gb"): (51.45, -0.97)},
        **more,
    )


def service(vpn_id: str = "acme", topology: str = "any-to-any", customer: str = "Acme") -> dict[str, Any]:
    return {"vpn-id": vpn_id, "customer-name": customer, "vpn-service-topology": f"ietf-l3vpn-svc:{topology}"}


def access(number: int, access_id: str = "a1", vpn_id: str = "acme", role: str = "any-to-any-role", **more: Any) -> Any:
    document = {
        "site-network-access-id": access_id,
        "site-network-access-type": "ietf-l3vpn-svc:point-to-point",
        "location-reference": "main",
        "ip-connection": {
            "ipv4": {
                "address-allocation-type": "ietf-l3vpn-svc:static-address",
                "addresses": {
                    "provider-address": f"192.0.{number}.1",
                    "customer-address": f"192.0.{number}.2",
                    "prefix-length": 30,
                },
            }
        },
        "service": {"svc-input-bandwidth": "100000000", "svc-output-bandwidth": "50000000", "svc-mtu": 1500},
        "routing-protocols": {"routing-protocol": [static((f"10.{number}.0.0/16", f"192.0.{number}.2"))]},
        "vpn-attachment": {"vpn-id": vpn_id, "site-role": f"ietf-l3vpn-svc:{role}"},
    }
    return document | {name.replace("_", "-"): value for name, value in more.items()}


def static(*routes: tuple[str, str]) -> dict[str, Any]:
    return {
        "type": "ietf-l3vpn-svc:static",
        "static": {
            "cascaded-lan-prefixes": {"ipv4-lan-prefixes": [{"lan": lan, "next-hop": hop} for lan, hop in routes]}
        },
    }


def site(site_id: str, city: str, country: str, *accesses: Any, **more: Any) -> dict[str, Any]:
    document = {
        "site-id": site_id,
        "locations": {"location": [{"location-id": "main", "city": city, "country-code": country}]},
        "management": {"type": "ietf-l3vpn-svc:customer-managed"},
        "site-network-accesses": {"site-network-access": list(accesses)},
    }
    return document | {name.replace("_", "-"): value for name, value in more.items()}


def edit(
    *documents: Any, delete: Iterable[str] = (), delete_services: Iterable[str] = (), profiles: Any = None
) -> L3smEdit:
    return L3smEdit(
        upserted_services={each["vpn-id"]: each for each in documents if "vpn-id" in each},
        upserted_sites={each["site-id"]: each for each in documents if "site-id" in each},
        deleted_sites=tuple(delete),
        deleted_services=tuple(delete_services),
        profiles=profiles,
    )


def two_sites() -> L3smEdit:
    return edit(service(), site("l", "London", "GB", access(1)), site("p", "Paris", "FR", access(2)))


def make(*edits: L3smEdit, on: Infrastructure | None = None) -> tuple[L3smState, list[L3smChange]]:
    """A state after some edits; each change goes through its JSON form on the way."""
    state, changes = L3smState(), []
    for each in edits:
        change = state.change(each, on or network())
        state.apply(L3smChange.from_json(orjson.loads(orjson.dumps(change.to_json()))))
        changes.append(change)
    return state, changes


def lines(fragments: Iterable[Fragment]) -> dict[tuple[str, Owner, Path], str]:
    return {(f.device, f.owner, path): value for f in fragments for path, value in render(f).items()}


def configuration(state: L3smState, device: str) -> dict[Path, str]:
    """What all owners together want on a device; conflicts fail."""
    contributions = Contributions()
    for fragment in state.fragments.values():
        if fragment.device == device:
            contributions.apply(contributions.replace_owner(fragment.owner, render(fragment)))
    for path, wishes in contributions.by_path.items():
        assert len(set(wishes.values())) == 1, (path, wishes)
    return {path: resolve(wishes) or "" for path, wishes in contributions.by_path.items()}


@functools.cache
def device_context() -> ly.Context:
    ly.set_log_options(ly.LogOptions.Store)
    context = ly.Context(SEARCH, ly.ContextOptions.AllImplemented)
    for name in NAMESPACES:
        context.load_module(name)
    return context


@functools.cache
def l3sm_context() -> ly.Context:
    ly.set_log_options(ly.LogOptions.Store)
    context = ly.Context(SEARCH, ly.ContextOptions.AllImplemented)
    context.load_module("ietf-l3vpn-svc", None, ["*"])
    return context


def errors(context: ly.Context, document: str, kind: ly.DataFormat) -> list[tuple[str, str]]:
    """What libyang has against a document: (path, message)."""
    try:
        options = ly.ValidationOptions.Present | ly.ValidationOptions.NoState
        context.parse_data(document, kind, ly.ParseOptions.Strict | ly.ParseOptions.NoState, options)
    except ly.Error as error:
        found = [(e.data_path or "", e.message) for e in context.errors()] or [("", str(error))]
        context.clean_all_errors()
        return found
    return []


def l3sm_errors(document: Any) -> list[tuple[str, str]]:
    return errors(l3sm_context(), orjson.dumps(document).decode(), ly.DataFormat.JSON)


def device_errors(flat: Mapping[Path, str], base: Mapping[Path, str] | None = None) -> list[tuple[str, str]]:
    return errors(device_context(), device_xml({**(base or day0()), **flat}, NAMESPACES), ly.DataFormat.XML)


def day0(ports: Iterable[str] = ("ge0", "ge1", "ge9")) -> dict[Path, str]:
    flat = {}
    for name in ports:
        flat[parse_path(f"/ietf-interfaces:interfaces/interface[name='{name}']")] = ""
        flat[parse_path(f"/ietf-interfaces:interfaces/interface[name='{name}']/type")] = "iana-if-type:ethernetCsmacd"
    locator = "/accord-router:router/srv6/locator[name='main']"
    return flat | {parse_path(locator): "", parse_path(f"{locator}/prefix"): "fc00:0:1::/48"}


def device_xml(flat: Mapping[Path, str], namespaces: Mapping[str, str]) -> str:
    """The XML of a flat configuration: keys first, identities with the module's name as prefix."""
    root = etree.Element("root", nsmap=dict(namespaces))
    made: dict[Path, etree._Element] = {(): root}
    for path, value in sorted(flat.items()):
        element = _element(made, path, namespaces)
        if value:
            element.text = value
    return "".join(etree.tostring(child).decode() for child in root)


def _element(made: dict[Path, etree._Element], path: Path, namespaces: Mapping[str, str]) -> etree._Element:
    if path not in made:
        step = path[-1]
        parent = _element(made, path[:-1], namespaces)
        made[path] = etree.SubElement(parent, f"{{{namespaces[step.module]}}}{step.name}")
        for key, value in step.keys:
            if key == ".":
                made[path].text = value
            else:
                etree.SubElement(made[path], f"{{{namespaces[step.module]}}}{key}").text = value
    return made[path]


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a document with one node replaced."""
    copied = copy.deepcopy(document)
    node = copied
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return copied


def touched(state: L3smState, each: L3smEdit) -> Any:
    return touched_document(state, each)
