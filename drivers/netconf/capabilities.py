"""Owns what capabilities mean: participant class, options, modules (RFC 6241 8, RFC 7950 5.6.4, RFC 8525)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import parse_qs

from lxml import etree
from ncclient.capabilities import Capabilities as NcclientCapabilities

from controller.ports import Capabilities, ModuleRevision, ParticipantClass, Transport
from drivers.netconf.hello import Hello
from drivers.netconf.xml import parse

YANG_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
LIBRARY_FILTERS = (f'<yang-library xmlns="{YANG_LIBRARY}"/>', f'<modules-state xmlns="{YANG_LIBRARY}"/>')


def participant_class(capabilities: NcclientCapabilities) -> ParticipantClass:
    """Decide how a device takes part in a transaction."""
    if ":candidate" not in capabilities:
        return ParticipantClass.IMMEDIATE
    if ":confirmed-commit:1.1" in capabilities:
        return ParticipantClass.PERSISTENT
    if ":confirmed-commit" in capabilities:
        return ParticipantClass.SESSION_BOUND
    return ParticipantClass.CANDIDATE


def describe(hello: Hello, modules: tuple[ModuleRevision, ...] | None = None) -> Capabilities:
    """Return what a session knows about its device; `modules` when the hello did not list them."""
    offered = hello.capabilities
    return Capabilities(
        transport=Transport.NETCONF,
        participant=participant_class(offered),
        urns=_urns(offered),
        modules=modules_in_hello(offered) if modules is None else modules,
        supports_validate=":validate" in offered,
        supports_startup=":startup" in offered,
        session_id=hello.session_id,
    )


@lru_cache(maxsize=128)  # a hello that is shared by many devices is described once
def _urns(capabilities: NcclientCapabilities) -> frozenset[str]:
    return frozenset(capabilities)


@lru_cache(maxsize=128)
def modules_in_hello(capabilities: NcclientCapabilities) -> tuple[ModuleRevision, ...]:
    """Return the modules listed as `namespace?module=NAME&revision=DATE`."""
    return tuple(_modules(capabilities))


def _modules(uris: Iterable[str]) -> Iterator[ModuleRevision]:
    for uri in uris:
        namespace, _, query = uri.partition("?")
        parameters = parse_qs(query.replace("&amp;", "&"))
        if name := parameters.get("module"):
            yield ModuleRevision(name[0], parameters.get("revision", [""])[0], namespace)


def modules_in_library(data: bytes) -> tuple[ModuleRevision, ...]:
    """Return the implemented modules of a yang-library document: RFC 8525, or the older RFC 7895."""
    root = parse(data)
    found: dict[tuple[str, str], ModuleRevision] = {}
    for module in root.iter(f"{{{YANG_LIBRARY}}}module"):
        if _is_implemented(module):
            revision = ModuleRevision(_leaf(module, "name"), _leaf(module, "revision"), _leaf(module, "namespace"))
            found[revision.name, revision.revision] = revision
    return tuple(found.values())


def _is_implemented(module: etree._Element) -> bool:
    return _leaf(module, "conformance-type") in {"", "implement"} and _leaf(module, "namespace") != ""


def _leaf(module: etree._Element, name: str) -> str:
    return (module.findtext(f"{{{YANG_LIBRARY}}}{name}") or "").strip()
