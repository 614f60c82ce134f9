"""Owns reading and writing XML: a hardened parser, element construction with canonical namespaces, path spelling."""

import re
from typing import Any, cast

from lxml import etree

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG = "urn:ietf:params:xml:ns:yang:1"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
WITH_DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
DEFAULT_TAG = "urn:ietf:params:xml:ns:netconf:default:1.0"

DATA = f"{{{NC}}}data"
OPERATION = f"{{{NC}}}operation"

_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=True,
    remove_blank_text=True,
    remove_comments=True,
    remove_pis=True,
)
_STEP = re.compile(r"""/(?:([\w.-]+):)?([\w.-]+)((?:\[(?:[^\]'"]|'[^']*'|"[^"]*")*\])*)""")
_KEY = re.compile(r"""\[\s*([\w-][\w.-]*)\s*=""")


def parse(text: bytes) -> etree._Element:
    """Parse a document. Raises ValueError, also for a document type declaration (RFC 6241 section 3)."""
    try:
        root = etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not well-formed XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a document type declaration is not allowed")
    return root


def nsmap(default: str | None = None, **prefixes: str) -> dict[str, str]:
    """Return a namespace map for lxml; its stubs do not know that None is the default namespace's key."""
    mapping: dict[Any, str] = dict(prefixes)
    if default is not None:
        mapping[None] = default
    return cast("dict[str, str]", mapping)


def element(name: str, namespace: str) -> etree._Element:
    """Make an element in its own default namespace."""
    return etree.Element(f"{{{namespace}}}{name}", nsmap=nsmap(namespace))


def data() -> etree._Element:
    """Make an empty configuration tree."""
    return element("data", NC)


def add(parent: etree._Element, tag: str, text: str | None = None, **prefixes: str) -> etree._Element:
    """Append a child, declaring its namespace as the default only where it differs from the parent's."""
    namespace = tag[1 : tag.index("}")]
    if parent.tag.startswith(f"{{{namespace}}}"):
        child = etree.SubElement(parent, tag, nsmap=prefixes) if prefixes else etree.SubElement(parent, tag)
    else:
        child = etree.SubElement(parent, tag, nsmap=nsmap(namespace, **prefixes))
    if text:
        child.text = text
    return child


def graft(parent: etree._Element, source: etree._Element) -> None:
    """Append a copy of `source`, made anew: unlike a moved element it keeps the prefixes that its values use."""
    inherited = parent.nsmap
    prefixes = {prefix: uri for prefix, uri in source.nsmap.items() if prefix and inherited.get(prefix) != uri}
    made = add(parent, source.tag, source.text, **prefixes)
    for child in source:
        graft(made, child)


def arrange(parent: etree._Element, children: list[etree._Element], *, prefixed: bool) -> None:
    """Give `parent` these, its own children, in this order; `prefixed` as the schema says of them."""
    if not prefixed:
        parent[:] = children
        return
    for child in children:
        graft(parent, child)
        parent.remove(child)


def serialise(tree: etree._Element) -> bytes:
    """Write an element without declaration or indentation; canonical when the tree is."""
    return etree.tostring(tree, with_tail=False)


def local(tag: str) -> str:
    """Return the local name of a tag."""
    return tag[tag.index("}") + 1 :] if tag.startswith("{") else tag


def namespace_of(tag: str) -> str:
    """Return the namespace of a tag, empty when it has none."""
    return tag[1 : tag.index("}")] if tag.startswith("{") else ""


def quoted(value: str) -> str:
    """Spell a key's value in an instance-identifier; a value holding both quotes is escaped as an entity."""
    if "'" not in value:
        return f"'{value}'"
    return '"' + value.replace('"', "&quot;") + '"'


def qualified(path: str) -> str:
    """Turn a path that names a module only where it changes into one with a prefix on every step and key."""
    module = ""
    steps = []
    for prefix, name, predicates in _STEP.findall(path):
        module = prefix or module
        keys = _KEY.sub(rf"[{module}:\1=", predicates)
        steps.append(f"/{module}:{name}{keys}")
    return "".join(steps)
