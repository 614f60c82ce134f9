"""No leaf of L3SM is ignored: each is used by some device line, or refused with its path."""

import copy
import functools
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyang import context, repository, statements

from controller.mapping.refusals import NOT_SUPPORTED, RESTRICTED
from controller.mapping.service import L3smState
from controller.model.errors import InvalidInputError, NotSupportedError
from tests.controller.l3sm_rich_instances import (
    ID,
    INSTANCES,
    PROFILES,
    Instance,
    access_level,
    all_protocols,
    custom_qos,
)
from tests.controller.mapping_samples import (
    OURS,
    configuration,
    device_errors,
    edit,
    l3sm_errors,
    lines,
    make,
    network,
    touched,
)

Steps = tuple[Any, ...]
ALTERNATIVES: dict[str, tuple[Any, ...]] = {
    "vpn-service-topology": tuple(f"{ID}{name}" for name in ("any-to-any", "hub-spoke", "hub-spoke-disjoint")),
    "site-role": tuple(f"{ID}{name}-role" for name in ("any-to-any", "hub", "spoke")),
    "site-vpn-flavor": tuple(f"{ID}site-vpn-flavor-{name}" for name in ("single", "multi", "sub", "nni")),
    "site-network-access-type": (f"{ID}point-to-point", f"{ID}multipoint"),
    "constraint-type": (f"{ID}pe-diverse", f"{ID}pop-diverse"),
    "direction": (f"{ID}both", f"{ID}site-to-wan", f"{ID}wan-to-site"),
    "match-application": (f"{ID}web", f"{ID}mail"),
    "protocol-field": (f"{ID}tcp", 89),
    "address-allocation-type": (f"{ID}static-address", f"{ID}provider-dhcp"),
    "requested-type": ("fibre",),
    "area-address": ("0.0.0.9",),
    "group-id": ("g1", "g2", "other"),
    "target-class-id": ("data", "voice", "none"),
}
KINDS = {
    "type": {
        "management": (f"{ID}provider-managed", f"{ID}co-managed"),
        "filter": (f"{ID}lan", f"{ID}ipv4", f"{ID}ipv6"),
        "routing-protocol": tuple(f"{ID}{name}" for name in ("direct", "static", "bgp", "ospf", "vrrp", "rip")),
    },
    "af": {"address-family": ("ipv4", "ipv6")},
}


def leaves(node: Any, at: Steps = ()) -> Iterator[Steps]:
    """Every leaf and leaf-list entry below a node."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from leaves(value, (*at, name))
    elif isinstance(node, list) and node != [None]:
        for index, value in enumerate(node):
            yield from leaves(value, (*at, index))
    else:
        yield at


def schema_path(at: Steps) -> str:
    return "/" + "/".join(str(step) for step in at if not isinstance(step, int))


def get(document: Any, at: Steps) -> Any:
    for step in at:
        document = document[step]
    return document


def mutations(document: Any, at: Steps) -> Iterator[Any]:
    """Copies of a document in which one leaf says something else; an empty leaf or a leaf-list entry goes."""
    value = get(document, at)
    if value == [None] or isinstance(at[-1], int):
        copied = copy.deepcopy(document)
        del get(copied, at[:-1])[at[-1]]
        yield copied
        return
    names = [step for step in at if not isinstance(step, int)]
    given = KINDS.get(names[-1], {}).get(names[-2] if len(names) > 1 else "") or ALTERNATIVES.get(names[-1])
    for other in given or other_values(value):
        if other != value:
            copied = copy.deepcopy(document)
            get(copied, at[:-1])[at[-1]] = other
            yield copied


def other_values(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value,)
    return (value + 1, value - 1) if isinstance(value, int) else (other_text(value),)


def other_text(value: str) -> str:
    if value.isdigit():
        return str(int(value) + 1)
    if value.replace(".", "", 1).isdigit():
        return str(float(value) + 1)
    if "/" in value:
        return value.replace("10.", "11.").replace("fd", "fc")
    if ":" in value or value.count(".") == 3:
        return value[:-1] + ("5" if value[-1] != "5" else "6")
    return value + "x"


def outcome(instance: Instance, documents: tuple[Any, ...], profiles: Any) -> Any:
    """The lines an instance becomes, or the path it is refused at."""
    try:
        state, _ = make(edit(*documents, profiles=profiles), on=instance.on)
    except InvalidInputError as error:
        refused = error.path
    else:
        return lines(state.fragments.values())
    assert refused.startswith("/ietf-l3vpn-svc:l3vpn-svc/")
    return refused


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: instance.name)
def test_a_rich_instance_is_valid_and_becomes_valid_configuration(instance: Instance) -> None:
    asked = edit(*instance.documents, profiles=instance.profiles)
    assert l3sm_errors(touched(L3smState(), asked)) == []
    state, _ = make(asked, on=instance.on)
    for name in {fragment.device for fragment in state.fragments.values()}:
        assert device_errors(configuration(state, name)) == []


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: instance.name)
def test_every_leaf_of_a_rich_instance_is_used_or_refused(instance: Instance) -> None:
    whole = [list(instance.documents), instance.profiles]
    before = outcome(instance, instance.documents, instance.profiles)
    ignored = [
        schema_path(at)
        for at in leaves(whole)
        if at not in {(1,), ()}
        and all(outcome(instance, tuple(docs), profiles) == before for docs, profiles in mutations(whole, at))
    ]
    assert ignored == []


@functools.cache
def schema_leaves() -> tuple[str, ...]:
    """Every configuration and state leaf of ietf-l3vpn-svc, below /l3vpn-svc, without choices and cases."""
    module = _pyang()[0]

    def walk(statement: Any, path: str) -> Iterator[str]:
        for child in getattr(statement, "i_children", ()):
            if child.keyword in {"choice", "case"}:
                yield from walk(child, path)
            elif child.keyword in {"leaf", "leaf-list"}:
                yield f"{path}/{child.arg}"
            else:
                yield from walk(child, f"{path}/{child.arg}")

    return tuple(path.removeprefix("/l3vpn-svc") for path in walk(module, ""))


@functools.cache
def _pyang() -> tuple[Any, Any]:
    standard = Path(sysconfig.get_path("data")) / "share/yang/modules"
    files = repository.FileRepository(f"{OURS}:{standard}", use_env=False)
    parsed = context.Context(files)
    service_module = parsed.read_module("ietf-l3vpn-svc")
    statements.validate_module(parsed, service_module)
    return service_module, parsed.read_module("accord-l3vpn-svc-deviations")


def rich_leaves() -> set[str]:
    found = {f"/vpn-profiles{schema_path(at)}" for at in leaves(PROFILES)}
    for instance in INSTANCES:
        for document in instance.documents:
            root = "/vpn-services/vpn-service" if "vpn-id" in document else "/sites/site"
            found |= {root + schema_path(at) for at in leaves(document)}
    return found


def is_refused(path: str) -> bool:
    return any(path == node or path.startswith(f"{node}/") for node in NOT_SUPPORTED)


def test_every_leaf_of_the_schema_is_in_a_rich_instance_or_in_the_list_of_refusals() -> None:
    missing = [path for path in schema_leaves() if path not in rich_leaves() and not is_refused(path)]
    assert missing == []
    assert [path for path in rich_leaves() if is_refused(path)] == []


@pytest.mark.parametrize("path", [path for path in schema_leaves() if is_refused(path)])
def test_a_leaf_in_the_list_of_refusals_is_refused_with_its_path(path: str) -> None:
    instance = copy.deepcopy(access_level())
    profiles: Any = instance.profiles
    documents = list(instance.documents)
    documents[1] |= {"service": {"qos": custom_qos()}, "routing-protocols": all_protocols(2)}
    for holder in (documents[1], documents[1]["site-network-accesses"]["site-network-access"][0]):
        holder["routing-protocols"]["routing-protocol"].sort(key=lambda entry: "ospf" not in entry)
    whole: Any = {
        "vpn-profiles": profiles,
        "vpn-services": {"vpn-service": documents[:1]},
        "sites": {"site": documents[1:]},
    }
    plant(whole, path.strip("/").split("/"))
    with pytest.raises(NotSupportedError) as refusal:
        L3smState().change(edit(*documents, profiles=profiles), network())
    named = "/".join(part.partition("[")[0] for part in refusal.value.path.split("/")[2:])
    assert f"/{named}" == path
    assert refusal.value.message in NOT_SUPPORTED.values()


def plant(node: Any, steps: list[str]) -> None:
    """Put a leaf into a document, through the first entry of each list on the way."""
    *above, last = steps
    for name in above:
        node = node.setdefault(name, {})
        if isinstance(node, list):
            node = node[0]
    node[last] = "planted"


def test_the_deviation_module_lists_the_same_nodes_as_the_refusals() -> None:
    module = _pyang()[1]
    unsupported, restricted = set(), {}
    for deviation in module.search("deviation"):
        path = data_path(deviation)
        deviate = deviation.search_one("deviate")
        if deviate.arg == "not-supported":
            unsupported.add(path)
        else:
            restricted[path] = deviate.search_one("must").arg
    assert unsupported == set(NOT_SUPPORTED)
    assert restricted == {path: must for path, (must, _) in RESTRICTED.items()}


def data_path(deviation: Any) -> str:
    """The deviation's target below /l3vpn-svc, without choices and cases."""
    choices = {"location-flavor": "device", "match-type": "match-flow"}
    kept: list[str] = []
    steps = iter(step.partition(":")[2] for step in deviation.arg.strip("/").split("/"))
    for step in steps:
        if step in choices:
            assert next(steps) == choices[step]
        else:
            kept.append(step)
    return "/" + "/".join(kept[1:])
