"""Owns: YANG Patch documents and their yang-patch-status (RFC 8072). Nothing is applied to a datastore here."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, cast

from lxml import etree

from lab.router.edit import TreeEditor
from lab.router.json_codec import JsonCodec
from lab.router.json_values import Json
from lab.router.restconf_edit import Position, edit_of
from lab.router.restconf_errors import RestconfError, entries_of, errors_json, errors_xml, refuse
from lab.router.restconf_media import Encoding, parse_xml, write_json
from lab.router.restconf_query import Insert
from lab.router.restconf_target import Target, resolve
from lab.router.restconf_uri import parse_api_path
from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema
from lab.router.xml import local, nsmap

_NS = "urn:ietf:params:xml:ns:yang:ietf-yang-patch"
_WITH_VALUE = frozenset({"create", "insert", "merge", "replace"})
_OPERATIONS = _WITH_VALUE | {"delete", "move", "remove"}

PatchOperation = Literal["create", "delete", "insert", "merge", "move", "replace", "remove"]


@dataclass(frozen=True, slots=True)
class PatchEdit:
    """One edit: `value` is the JSON member object, or the XML element, that the edit's value holds."""

    edit_id: str
    operation: PatchOperation
    target: str
    value: dict[str, Json] | etree._Element | None = None
    where: str = "last"
    point: str | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """A parsed patch."""

    patch_id: str
    edits: tuple[PatchEdit, ...]


class PatchFailedError(Exception):
    """A patch that was not applied: which edit was refused and why (`edit_id` None: all of them together)."""

    def __init__(self, edit_id: str | None, error: RestconfError) -> None:
        super().__init__(str(error))
        self.edit_id = edit_id
        self.error = error


def read_patch(codec: JsonCodec, body: bytes, encoding: Encoding) -> Patch:
    """Parse a patch. Raises `RestconfError` (malformed-message, missing-element, invalid-value) or `RpcError`."""
    if encoding == "xml":
        root = parse_xml(body)
        if root.tag != f"{{{_NS}}}yang-patch":
            raise refuse("malformed-message", f"the body must be a <yang-patch>, it is <{local(root.tag)}>")
        fields, edits = _leaves(root), [_edit_from_xml(edit) for edit in root.iterchildren(f"{{{_NS}}}edit")]
    else:
        document = codec.decode_document(body).get("ietf-yang-patch:yang-patch")
        if not isinstance(document, dict):
            raise refuse("malformed-message", "the body must hold the object 'ietf-yang-patch:yang-patch'")
        fields, edits = document, [_edit_from_json(edit) for edit in _objects(document.get("edit", []))]
    _refuse_twins(edits)
    return Patch(_text(fields, "patch-id", "yang-patch"), tuple(edits))


def _refuse_twins(edits: list[PatchEdit]) -> None:
    ids = [edit.edit_id for edit in edits]
    for twin in {edit_id for edit_id in ids if ids.count(edit_id) > 1}:
        raise refuse("invalid-value", f"edit-id {twin!r} is used more than once")


def _objects(value: Json) -> list[dict[str, Json]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return cast("list[dict[str, Json]]", value)
    raise refuse("malformed-message", "'edit' must be an array of objects")


def _leaves(element: etree._Element) -> dict[str, Json]:
    return {local(str(child.tag)): child.text or "" for child in element.iterchildren(f"{{{_NS}}}*")}


def _edit_from_xml(element: etree._Element) -> PatchEdit:
    holder = element.find(f"{{{_NS}}}value")
    value = None
    if holder is not None:
        if len(holder) != 1:
            raise refuse("invalid-value", f"the value of an edit must hold one resource, it holds {len(holder)}")
        value = holder[0]
    return _edit(_leaves(element), value)


def _edit_from_json(fields: dict[str, Json]) -> PatchEdit:
    value = fields.get("value")
    if value is not None and (not isinstance(value, dict) or len(value) != 1):
        raise refuse("invalid-value", "the value of an edit must be an object that holds one resource")
    return _edit(fields, value)


def _edit(fields: dict[str, Json], value: dict[str, Json] | etree._Element | None) -> PatchEdit:
    edit_id = _text(fields, "edit-id", "edit")
    operation = _text(fields, "operation", f"edit {edit_id!r}")
    if operation not in _OPERATIONS:
        raise refuse("invalid-value", f"edit {edit_id!r}: operation {operation!r} is none of RFC 8072's")
    if (operation in _WITH_VALUE) != (value is not None):
        raise refuse("invalid-value", f"edit {edit_id!r}: operation {operation!r} and 'value' do not go together")
    point = _text(fields, "point", "edit") if "point" in fields else None
    target = _text(fields, "target", f"edit {edit_id!r}")
    where = _text(fields, "where", "edit") if "where" in fields else "last"
    if where not in {"before", "after", "first", "last"}:
        raise refuse("invalid-value", f"edit {edit_id!r}: where={where!r} is none of before, after, first, last")
    if (where in {"before", "after"}) != (point is not None):
        raise refuse("invalid-value", f"edit {edit_id!r}: 'point' goes with where=before and where=after only")
    return PatchEdit(edit_id, cast("PatchOperation", operation), target, value, where, point)


def _text(fields: dict[str, Json], name: str, owner: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise refuse("missing-element", f"{owner} needs the string {name!r}")
    return value


def apply_patch(codec: JsonCodec, base: Target, tree: etree._Element, patch: Patch) -> etree._Element:
    """The tree that the edits make of `tree`, in their order; `base` is the request's target, `tree` stays as it is.

    Raises `PatchFailedError` at the first edit that is refused.
    """
    result = deepcopy(tree)
    for edit in patch.edits:
        try:
            config = _config_of(codec, base, result, edit)
            TreeEditor(codec.schema).apply(result, config, "merge")
        except RestconfError as error:
            raise PatchFailedError(edit.edit_id, error) from None
        except RpcError as error:
            raise PatchFailedError(edit.edit_id, RestconfError(*entries_of(error))) from None
    return result


def _config_of(codec: JsonCodec, base: Target, tree: etree._Element, edit: PatchEdit) -> etree._Element:
    target = _edit_target(codec.schema, base, edit.target)
    if not target.places:
        raise refuse("invalid-value", "the target of an edit must be below the datastore")
    if not target.parent.exists(tree):
        raise refuse("data-missing", f"{target.parent.path()} does not exist", path=target.parent.path())
    if edit.operation == "move":
        return edit_of(target, "merge", _present(target, tree), _position(edit, base))
    if edit.operation == "insert":
        return edit_of(target, "create", _value(codec, target, edit), _position(edit, base))
    return edit_of(target, edit.operation, _value(codec, target, edit))


def _edit_target(schema: Schema, base: Target, path: str) -> Target:
    """An edit's target is relative to the request's; its first step inherits the module of the request's target."""
    if not path.startswith("/"):
        raise refuse("invalid-value", f"target {path!r} must start with '/'")
    return resolve(schema, (*base.steps(), *parse_api_path(path)))


def _position(edit: PatchEdit, base: Target) -> Position:
    if edit.point is None:
        return Position(cast("Insert", edit.where))
    target = _edit_target(base.schema, base, edit.point)
    return Position(cast("Insert", edit.where), target)


def _present(target: Target, tree: etree._Element) -> etree._Element:
    found = target.find(tree)
    if not found or target.is_bare_list:
        raise refuse("data-missing", f"{target.path()} does not exist, it cannot be moved", path=target.path())
    holder = etree.Element("holder")
    return target.shell(holder)


def _value(codec: JsonCodec, target: Target, edit: PatchEdit) -> etree._Element | None:
    if not isinstance(edit.value, dict):
        return edit.value
    elements = codec.decode_members(target.parent.node, edit.value, target.parent.path().rstrip("/"))
    if len(elements) != 1:
        raise refuse("invalid-value", f"the value must hold one resource, it holds {len(elements)}")
    return elements[0]


def status_document(patch_id: str, failure: PatchFailedError | None, encoding: Encoding) -> bytes:
    """The yang-patch-status: `ok`, the errors of one edit, or errors of the whole patch."""
    if encoding == "json":
        return write_json({"ietf-yang-patch:yang-patch-status": _status_json(patch_id, failure)})
    return etree.tostring(_status_xml(patch_id, failure))


def _status_json(patch_id: str, failure: PatchFailedError | None) -> dict[str, object]:
    if failure is None:
        return {"patch-id": patch_id, "ok": [None]}
    errors = errors_json(failure.error.entries)["ietf-restconf:errors"]
    if failure.edit_id is None:
        return {"patch-id": patch_id, "errors": errors}
    return {"patch-id": patch_id, "edit-status": {"edit": [{"edit-id": failure.edit_id, "errors": errors}]}}


def _status_xml(patch_id: str, failure: PatchFailedError | None) -> etree._Element:
    root = etree.Element(f"{{{_NS}}}yang-patch-status", nsmap=nsmap(_NS))
    etree.SubElement(root, f"{{{_NS}}}patch-id").text = patch_id
    if failure is None:
        etree.SubElement(root, f"{{{_NS}}}ok")
        return root
    holder = root
    if failure.edit_id is not None:
        holder = etree.SubElement(etree.SubElement(root, f"{{{_NS}}}edit-status"), f"{{{_NS}}}edit")
        etree.SubElement(holder, f"{{{_NS}}}edit-id").text = failure.edit_id
    holder.append(errors_xml(failure.error.entries, namespace=_NS))
    return root
