"""Owns: RESTCONF's media types, and reading and writing bodies in them (RFC 8040 section 3.2)."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from lxml import etree

from lab.router.json_codec import JsonCodec
from lab.router.restconf_edit import graft
from lab.router.restconf_errors import RESTCONF_NS, RestconfError, errors_json, errors_xml, refuse
from lab.router.restconf_target import Target
from lab.router.schema import SchemaNode
from lab.router.xml import NC, YANG, local, namespace_of, nsmap, parse

Encoding = Literal["json", "xml"]

DATA_JSON = "application/yang-data+json"
DATA_XML = "application/yang-data+xml"
PATCH_JSON = "application/yang-patch+json"
PATCH_XML = "application/yang-patch+xml"
_ENCODINGS: dict[str, Encoding] = {
    DATA_JSON: "json",
    DATA_XML: "xml",
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "text/json": "json",
}
_WILDCARDS = ("*/*", "application/*")
_DATA_TAG = f"{{{RESTCONF_NS}}}data"


def media_type(encoding: Encoding) -> str:
    """The media type of data resources in `encoding`."""
    return DATA_JSON if encoding == "json" else DATA_XML


def accepted(accept: str, default: Encoding = "json") -> Encoding:
    """The encoding an Accept header asks for, by quality. Raises `RestconfError` (406) when it names none of ours."""
    ranked = sorted(_ranges(accept or "*/*"), key=lambda pair: -pair[1])
    for kind, quality in ranked:
        if quality > 0 and kind in _WILDCARDS:
            return default
        if quality > 0 and kind in _ENCODINGS:
            return _ENCODINGS[kind]
    raise refuse("invalid-value", f"Accept {accept!r} names neither {DATA_JSON} nor {DATA_XML}", status=406)


def _ranges(accept: str) -> list[tuple[str, float]]:
    ranges = []
    for part in accept.split(","):
        kind, *parameters = (item.strip().lower() for item in part.split(";"))
        quality = next((item[2:] for item in parameters if item.startswith("q=")), "1")
        try:
            ranges.append((kind, float(quality)))
        except ValueError:
            raise refuse("invalid-value", f"Accept {accept!r}: quality {quality!r} is not a number") from None
    return ranges


def body_encoding(content_type: str, allowed: Sequence[str] = ()) -> Encoding:
    """The encoding of a request body. Raises `RestconfError` (415) unless the type is a data type or in `allowed`."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in allowed:
        return "json" if kind.endswith("json") else "xml"
    if kind in _ENCODINGS and not allowed:
        return _ENCODINGS[kind]
    raise refuse("invalid-value", f"Content-Type {content_type!r} is not supported here", status=415)


def parse_xml(body: bytes) -> etree._Element:
    """Parse an XML body. Raises `RestconfError`: malformed-message, or unknown-attribute for NETCONF's edit attributes.

    `operation` and `insert` would be obeyed further down; in RESTCONF the method and the query say such things.
    """
    try:
        root = parse(body)
    except ValueError as error:
        raise refuse("malformed-message", f"the body cannot be read: {error}") from None
    for element in root.iter():
        for name in element.keys():  # noqa: SIM118  # an element is no mapping
            if namespace_of(str(name)) in {NC, YANG}:
                raise refuse("unknown-attribute", f"attribute {local(str(name))!r} of NETCONF is not used in RESTCONF")
    return root


def read_children(codec: JsonCodec, parent: SchemaNode, body: bytes, encoding: Encoding) -> list[etree._Element]:
    """The instances of children of `parent` that a body holds."""
    if encoding == "xml":
        return [parse_xml(body)]
    return codec.decode_members(parent, codec.decode_document(body))


def read_single(codec: JsonCodec, parent: SchemaNode, body: bytes, encoding: Encoding) -> etree._Element:
    """The one child instance a body holds. Raises `RestconfError` (malformed-message) for none or several."""
    if not body.strip():
        raise refuse("malformed-message", "the request needs a body")
    found = read_children(codec, parent, body, encoding)
    if len(found) != 1:
        raise refuse("malformed-message", f"the body must hold one resource, it holds {len(found)}")
    return found[0]


def read_datastore(codec: JsonCodec, body: bytes, encoding: Encoding) -> list[etree._Element]:
    """The top-level nodes in a body that stands for the whole datastore (`ietf-restconf:data`)."""
    if encoding == "xml":
        root = parse_xml(body)
        if local(root.tag) != "data":
            raise refuse("malformed-message", f"the body must be a <data> element, it is <{local(root.tag)}>")
        return list(root)
    document = codec.decode_document(body)
    members = document.get("ietf-restconf:data")
    if len(document) != 1 or not isinstance(members, dict):
        raise refuse("malformed-message", "the body must hold the object 'ietf-restconf:data' and nothing else")
    return codec.decode_members(codec.schema.root, members)


def write_resource(codec: JsonCodec, target: Target, found: list[etree._Element], encoding: Encoding) -> bytes:
    """A representation of the target's instances. Raises `RestconfError` for several in XML, which has one root."""
    if not target.places:
        return _write_datastore(codec, found[0], encoding)
    if encoding == "json":
        # Below a nameless parent every top-level member carries its module's name (RFC 8040 section 3.6.1).
        outer = SchemaNode("", "", "", "", "container", children={target.node.tag: target.node})
        return write_json(codec.encode_members(outer, found))
    if len(found) != 1:
        raise refuse("invalid-value", f"{target.path()} has {len(found)} instances: XML can show one, ask for JSON")
    return etree.tostring(found[0], with_tail=False)


def _write_datastore(codec: JsonCodec, tree: etree._Element, encoding: Encoding) -> bytes:
    if encoding == "json":
        return write_json({"ietf-restconf:data": codec.encode_members(codec.schema.root, tree)})
    root = etree.Element(_DATA_TAG, nsmap=nsmap(RESTCONF_NS))
    for child in tree:
        graft(root, child)
    return etree.tostring(root)


def write_json(value: Mapping[str, object]) -> bytes:
    """JSON for people to read: indented, UTF-8, with a final line end."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def write_errors(error: RestconfError, encoding: Encoding) -> bytes:
    """The errors document."""
    if encoding == "json":
        return write_json(errors_json(error.entries))
    return etree.tostring(errors_xml(error.entries))
