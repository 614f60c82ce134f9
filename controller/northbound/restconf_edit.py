"""Owns turning one RESTCONF write into an edit of services: what differs between the document before and after it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.datastore.schema import Schema, SchemaNode
from controller.mapping.service import L3smState, l3sm_document
from controller.mapping.service_change import L3smEdit
from controller.model.errors import InvalidInputError
from controller.northbound import restconf_tree as tree
from controller.northbound.restconf_path import Step, child_named, key_of
from controller.northbound.restconf_problem import RefusedError

Json = Any
MODULE = "ietf-l3vpn-svc"
_ROOT = f"{MODULE}:l3vpn-svc"


def document_of(state: L3smState) -> dict[str, Json]:
    """The datastore as the children of its root, without prefixes and without empty containers."""
    inner: Json = l3sm_document(state.profiles, state.services.values(), state.sites.values())[_ROOT]
    whole = {name: value for name, value in inner.items() if name == "vpn-profiles" or any(value.values())}
    return {"l3vpn-svc": whole} if whole else {}


def visible_to(document: Mapping[str, Json], state: L3smState, reaches: Mapping[str, bool]) -> dict[str, Json]:
    """The document without the services, and the sites of services, that a caller does not reach."""
    whole = document.get("l3vpn-svc", {})
    services = [s for s in whole.get("vpn-services", {}).get("vpn-service", ()) if reaches[s["vpn-id"]]]
    sites = [s for s in whole.get("sites", {}).get("site", ()) if _is_in_reach(state, s["site-id"], reaches)]
    seen = {
        **({"vpn-profiles": whole["vpn-profiles"]} if "vpn-profiles" in whole else {}),
        **({"vpn-services": {"vpn-service": services}} if services else {}),
        **({"sites": {"site": sites}} if sites else {}),
    }
    return {"l3vpn-svc": seen} if seen else {}


def _is_in_reach(state: L3smState, site_id: str, reaches: Mapping[str, bool]) -> bool:
    vpns = state.site_vpns.get(site_id, ())
    return bool(vpns) and all(reaches.get(vpn_id, False) for vpn_id in vpns)


def written(document: Json, method: str, steps: Sequence[Step], body: Json) -> Json:
    """The document after PUT, PATCH or DELETE of the target with a body."""
    target = steps[-1]
    if target.is_whole_list:
        raise RefusedError(f"name one entry of '{target.node.name}' by its key", status=405, tag="invalid-value")
    if method == "DELETE":
        return tree.changed(document, steps, tree.remove(target))
    if len(steps) > 1 and steps[-2].is_list and target.node.name in steps[-2].node.keys:
        raise InvalidInputError(f"'{target.node.name}' is a key and stays as it is", path=target.node.name)
    value = content_of(target, body)
    change = tree.replace_with(value) if method == "PUT" else tree.merge_into(target, value)
    return tree.changed(document, steps, change)


def created(document: Json, steps: Sequence[Step], body: Json, root: SchemaNode) -> tuple[Json, tuple[Step, ...]]:
    """The document after POST below the target, and where the new resource is."""
    parent = steps[-1].node if steps else root
    if not isinstance(body, dict) or len(body) != 1:
        raise InvalidInputError("POST takes exactly one new child", tag="malformed-message")
    name, value = next(iter(body.items()))
    node = _top(parent, name)
    normal = tree.normal(node, value)
    child = Step(node)
    if child.is_list:
        if len(normal) != 1:
            raise InvalidInputError(f"POST creates exactly one entry of '{node.name}'", tag="malformed-message")
        normal = normal[0]
        child = Step(node, key_of(node, normal) if node.keys else (str(normal),))
    if steps and tree.find(document, steps) is tree.ABSENT and (steps[-1].keys or steps[-1].node.is_presence):
        raise tree.missing(steps[-1])
    path = (*steps, child)
    return tree.changed(document, path, tree.create(child, normal)), path


def content_of(target: Step, body: Json) -> Json:
    """What a body says about the target, as it is stored; the body has the target as its only member."""
    if not isinstance(body, dict) or len(body) != 1:
        raise InvalidInputError(f"the body holds exactly '{MODULE}:{target.node.name}'", tag="malformed-message")
    name, value = next(iter(body.items()))
    if name not in {f"{target.node.module}:{target.node.name}", target.node.name}:
        raise InvalidInputError(f"the body holds '{name}', the URL names '{target.node.name}'", tag="malformed-message")
    normal = tree.normal(target.node, value)
    if not target.keys:
        return normal
    if len(normal) != 1 or not target.matches(normal[0]):
        raise InvalidInputError(f"the body is not the entry {','.join(target.keys)} that the URL names")
    return normal[0]


def _top(parent: SchemaNode, name: str) -> SchemaNode:
    try:
        return child_named(parent, name)
    except RefusedError as error:
        raise InvalidInputError(f"there is no '{name}' below '{parent.name}'", tag="unknown-element") from error


def edit_between(before: Mapping[str, Json], after: Mapping[str, Json]) -> L3smEdit:
    """Services and sites that differ."""
    services = (
        _by_key(before, "vpn-services", "vpn-service", "vpn-id"),
        _by_key(after, "vpn-services", "vpn-service", "vpn-id"),
    )
    sites = _by_key(before, "sites", "site", "site-id"), _by_key(after, "sites", "site", "site-id")
    profiles = [document.get("l3vpn-svc", {}).get("vpn-profiles", {}) for document in (before, after)]
    return L3smEdit(
        upserted_services=_upserted(*services),
        deleted_services=tuple(sorted(services[0].keys() - services[1].keys())),
        upserted_sites=_upserted(*sites),
        deleted_sites=tuple(sorted(sites[0].keys() - sites[1].keys())),
        profiles=profiles[1] if profiles[0] != profiles[1] else None,
    )


def _by_key(document: Mapping[str, Json], container: str, name: str, key: str) -> dict[str, Json]:
    entries = document.get("l3vpn-svc", {}).get(container, {}).get(name, ())
    return {str(entry[key]): entry for entry in entries}


def _upserted(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in after.items() if before.get(key) is not value and before.get(key) != value}


def services_touched(state: L3smState, edit: L3smEdit) -> list[str]:
    """VPNs that an edit reaches; the empty one stands for what belongs to none of them."""
    found = {*edit.upserted_services, *edit.deleted_services}
    for site_id in (*edit.upserted_sites, *edit.deleted_sites):
        named = set(state.site_vpns.get(site_id, ())) | set(_vpn_ids(edit.upserted_sites.get(site_id)))
        found |= named or {""}
    if edit.profiles is not None:
        found.add("")
    return sorted(found)


def _vpn_ids(node: Json) -> Iterator[str]:
    if isinstance(node, list):
        for entry in node:
            yield from _vpn_ids(entry)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "vpn-id" and isinstance(value, str):
                yield value
            else:
                yield from _vpn_ids(value)


def top_of(schema: Schema) -> SchemaNode:
    """The part of a schema that is served: its root with `l3vpn-svc` alone."""
    kept = {key: node for key, node in schema.root.children.items() if key == (MODULE, "l3vpn-svc")}
    return SchemaNode(module="", name="", kind=schema.root.kind, children=kept)
