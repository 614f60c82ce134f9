"""The OpenConfig profile: valid against the published modules, no leaf ignored, and what it cannot say refused."""

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import oopt_gnpy_libyang as ly
import pytest

from controller.mapping.infrastructure import Infrastructure
from controller.mapping.service import L3smState
from controller.model.errors import NotSupportedError
from controller.model.yang_path import Path, parse_path
from tests.controller.l3sm_rich_instances import ID, PROFILES, Instance, basics, bfd, dual_stack
from tests.controller.mapping_samples import (
    STANDARD,
    access,
    configuration,
    device_xml,
    edit,
    errors,
    make,
    network,
    service,
    site,
    two_sites,
)
from tests.controller.test_l3sm_every_leaf import leaves, mutations, outcome, schema_path

YANG_PATH = os.environ.get("ACCORD_TEST_YANG_PATH", "")
MODULES = (
    "openconfig-network-instance",
    "openconfig-interfaces",
    "openconfig-if-ip",
    "openconfig-vlan",
    "openconfig-routing-policy",
    "openconfig-qos",
    "openconfig-bfd",
)
needs_modules = pytest.mark.skipif(
    not any(FilePath(YANG_PATH).glob("openconfig-network-instance*.yang")) if YANG_PATH else True,
    reason="ACCORD_TEST_YANG_PATH names no folder with OpenConfig's modules",
)


@functools.cache
def openconfig() -> tuple[ly.Context, Mapping[str, str]]:
    ly.set_log_options(ly.LogOptions.Store)
    context = ly.Context(f"{YANG_PATH}:{STANDARD}/ietf:{STANDARD}/iana", ly.ContextOptions.AllImplemented)
    for name in MODULES:
        context.load_module(name)
    found = {}
    for file in FilePath(YANG_PATH).glob("openconfig-*.yang"):
        text = file.read_text()
        if match := re.search(r'namespace\s+"([^"]+)"', text):
            found[file.name.partition("@")[0].removesuffix(".yang")] = match[1]
    return context, found


def openconfig_network() -> Infrastructure:
    known = network()
    return replace(known, routers=tuple(replace(router, profile="openconfig") for router in known.routers))


def openconfig_errors(flat: Mapping[Path, str]) -> list[tuple[str, str]]:
    context, namespaces = openconfig()
    base = {}
    for name in ("ge0", "ge1"):
        path = f"/openconfig-interfaces:interfaces/interface[name='{name}']"
        base |= {parse_path(path): "", parse_path(f"{path}/config/name"): name}
        base[parse_path(f"{path}/config/type")] = "iana-if-type:ethernetCsmacd"
    spaces = {**namespaces, "iana-if-type": "urn:ietf:params:xml:ns:yang:iana-if-type"}
    return errors(context, device_xml({**base, **flat}, spaces), ly.DataFormat.XML)


def protocols(number: int) -> dict[str, Any]:
    lans = {
        "ipv4-lan-prefixes": [{"lan": f"10.{number}.0.0/16", "next-hop": f"192.0.{number}.2"}],
        "ipv6-lan-prefixes": [{"lan": f"fd10:{number}::/48", "next-hop": f"fd00:{number}::2"}],
    }
    both = ["ipv4", "ipv6"]
    return {
        "routing-protocol": [
            {"type": f"{ID}direct"},
            {"type": f"{ID}static", "static": {"cascaded-lan-prefixes": lans}},
            {"type": f"{ID}bgp", "bgp": {"autonomous-system": 64600, "address-family": both}},
            {"type": f"{ID}ospf", "ospf": {"address-family": ["ipv4"], "area-address": "0.0.0.7", "metric": 20}},
            {"type": f"{ID}vrrp", "vrrp": {"address-family": both}},
        ]
    }


def qos() -> dict[str, Any]:
    flow = {
        "dscp": 46,
        "ipv4-src-prefix": "10.1.0.0/16",
        "ipv4-dst-prefix": "10.2.0.0/16",
        "l4-src-port-range": {"lower-port": 1000, "upper-port": 2000},
        "l4-dst-port-range": {"lower-port": 80, "upper-port": 90},
        "protocol-field": f"{ID}udp",
    }
    return {
        "qos-classification-policy": {
            "rule": [
                {"id": "r1", "match-flow": flow, "target-class-id": "voice"},
                {"id": "r2", "match-flow": {"ipv6-dst-prefix": "fd20::/48"}, "target-class-id": "data"},
            ]
        },
        "qos-profile": {
            "classes": {
                "class": [
                    {
                        "class-id": "voice",
                        "latency": {"use-lowest-latency": [None]},
                        "rate-limit": "40.0",
                        "bandwidth": {"guaranteed-bw-percent": "30.0"},
                    },
                    {
                        "class-id": "data",
                        "direction": f"{ID}site-to-wan",
                        "bandwidth": {"guaranteed-bw-percent": "20.0"},
                    },
                ]
            }
        },
    }


def rich() -> Instance:
    inner = access(
        1,
        ip_connection=dual_stack(1, **bfd(**{"fixed-value": 300})),
        service=basics(qos=qos()),
        routing_protocols=protocols(1),
    )
    limits = {"address-family": [{"af": "ipv4", "maximum-routes": 100}, {"af": "ipv6", "maximum-routes": 200}]}
    return Instance(
        "all that OpenConfig can say",
        (service(), site("l", "London", "GB", inner, maximum_routes=limits)),
        on=openconfig_network(),
    )


def slaac() -> Instance:
    connection = {
        "ipv6": {
            "address-allocation-type": f"{ID}slaac",
        }
    }
    inner = access(1, ip_connection=connection, routing_protocols={"routing-protocol": [{"type": f"{ID}direct"}]})
    return Instance("SLAAC", (service(), site("l", "London", "GB", inner)), on=openconfig_network())


@needs_modules
@pytest.mark.parametrize("instance", [rich(), slaac()], ids=lambda instance: instance.name)
def test_a_service_becomes_valid_openconfig(instance: Instance) -> None:
    state, _ = make(edit(*instance.documents), on=instance.on)
    assert openconfig_errors(configuration(state, "lon1")) == []


@needs_modules
def test_two_sites_and_their_sharing_of_a_vrf_become_valid_openconfig() -> None:
    more = edit(site("l2", "Paris", "FR", access(7)))
    state, _ = make(two_sites(), more, on=openconfig_network())
    for device in ("lon1", "par1"):
        assert openconfig_errors(configuration(state, device)) == []


@pytest.mark.parametrize("instance", [rich(), slaac()], ids=lambda instance: instance.name)
def test_every_leaf_is_used_or_refused_on_openconfig_too(instance: Instance) -> None:
    whole = [list(instance.documents), None]
    before = outcome(instance, instance.documents, None)
    assert isinstance(before, dict)
    ignored = [
        schema_path(at)
        for at in leaves(whole)
        if at != (1,)
        and all(outcome(instance, tuple(docs), profiles) == before for docs, profiles in mutations(whole, at))
    ]
    assert ignored == []


def rule(**flow: Any) -> dict[str, Any]:
    inner = {"id": "r", "match-flow": flow, "target-class-id": "voice"}
    return {"service": basics(qos=qos() | {"qos-classification-policy": {"rule": [inner]}})}


@pytest.mark.parametrize(
    "more, path",
    [
        ({"site_network_access_type": f"{ID}multipoint"}, "site-network-access-type"),
        ({"availability": {"access-priority": 50}}, "availability/access-priority"),
        (rule(dot1p=3), "service/qos/qos-classification-policy/rule[id='r']"),
        ({"service": basics(qos={"qos-profile": {"profile": "gold"}})}, None),
    ],
)
def test_what_openconfig_cannot_say_is_refused_with_the_node_and_the_router(more: Any, path: str | None) -> None:
    asked = edit(service(), site("l", "London", "GB", access(1, **more)), profiles=PROFILES)
    if path is None:
        L3smState().change(asked, openconfig_network())
        return
    with pytest.raises(NotSupportedError, match="OpenConfig's models cannot") as refusal:
        L3smState().change(asked, openconfig_network())
    assert refusal.value.path.endswith(f"/site-network-access[site-network-access-id='a1']/{path}")
    assert refusal.value.device == "lon1"


def test_an_export_filter_is_refused_on_openconfig_with_the_site() -> None:
    lan = {"type": f"{ID}ipv4", "ipv4-lan-prefix": ["10.1.0.0/16"]}
    entry = {"id": "e", "filters": {"filter": [lan]}, "vpn": [{"vpn-id": "acme", "site-role": f"{ID}any-to-any-role"}]}
    policy = {"vpn-policy": [{"vpn-policy-id": "p", "entries": [entry]}]}
    asked = edit(
        service(), site("l", "London", "GB", access(1, vpn_attachment={"vpn-policy-id": "p"}), vpn_policies=policy)
    )
    with pytest.raises(NotSupportedError) as refusal:
        L3smState().change(asked, openconfig_network())
    assert refusal.value.path == "/ietf-l3vpn-svc:l3vpn-svc/sites/site[site-id='l']/vpn-policies"


def test_an_unknown_profile_is_named() -> None:
    known = network()
    strange = replace(known, routers=(replace(known.routers[0], profile="telex"),))
    with pytest.raises(NotSupportedError, match="no device profile 'telex'"):
        L3smState().change(edit(service(), site("l", "London", "GB", access(1))), strange)
