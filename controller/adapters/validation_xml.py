"""Owns taking XML instance data out of what a device wraps around it (RFC 6241 `data`, `config`; RFC 8040 `data`)."""

from lxml import etree

_WRAPPERS = {"data", "config"}
_NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
_RESTCONF = "urn:ietf:params:xml:ns:yang:ietf-restconf"


def unwrapped(document: bytes) -> str:
    """The top-level data nodes of an XML document, out of a `<data>` or `<config>` around them."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)
    root = etree.fromstring(document, parser)
    name = etree.QName(root)
    if name.localname in _WRAPPERS and name.namespace in {None, _NETCONF, _RESTCONF}:
        return "".join(etree.tostring(child, encoding="unicode", with_tail=False) for child in root)
    return etree.tostring(root, encoding="unicode")
