"""Out-of-band changes: what somebody does to a router behind the controller's back.

Owns the edits that `drift` makes to running: a description or the state of an interface, or any edit given as XML.
"""

from __future__ import annotations

from typing import Protocol

from lxml import etree

from lab.router.datastore import ConfigStore
from lab.router.sessions import Sessions
from lab.router.xml import NC, add, element, parse

OPERATOR = "operator"
_IF = "{urn:ietf:params:xml:ns:yang:ietf-interfaces}"
_ACCORD = "{urn:accord:router}"


class DriftError(Exception):
    """The change cannot be made; names the router and why."""


class Drifting(Protocol):
    """What of a router an out-of-band change needs."""

    name: str
    store: ConfigStore
    sessions: Sessions


def interface_edit(
    router: Drifting, *, interface: str = "", description: str | None = None, enabled: bool | None = None
) -> etree._Element:
    """An edit of one interface; without a name the first VLAN of a customer, else the first access port.

    Without anything to set, the description is changed. Raises `DriftError` when the router has no such interface.
    """
    running = router.store.get("running")
    names = [found.findtext(f"{_IF}name", "") for found in running.iterfind(f"{_IF}interfaces/{_IF}interface")]
    if interface and interface not in names:
        raise DriftError(f"{router.name}: interface {interface} is not configured (configured: {', '.join(names)})")
    chosen = interface or _first_customer_interface(router, running)
    if description is None and enabled is None:
        description = "changed out of band"
    config = element("config", NC)
    entry = add(add(config, f"{_IF}interfaces"), f"{_IF}interface")
    add(entry, f"{_IF}name", chosen)
    if description is not None:
        add(entry, f"{_IF}description", description)
    if enabled is not None:
        add(entry, f"{_IF}enabled", "true" if enabled else "false")
    return config


def parse_edit(router: Drifting, text: str) -> etree._Element:
    """An edit given as XML: a <config> or <data> element, or one top-level node. Raises `DriftError`."""
    try:
        root = parse(text.encode())
    except ValueError as error:
        raise DriftError(f"{router.name}: the edit is not XML: {error}") from error
    if etree.QName(root).localname in {"config", "data"}:
        return root
    config = element("config", NC)
    config.append(root)
    return config


def drift(router: Drifting, config: etree._Element) -> None:
    """Edit running as another user would, at once. Raises the router's `RpcError` when it refuses."""
    session_id = router.sessions.open(OPERATOR, "cli", lambda: None)
    try:
        router.store.edit("running", config, session_id=session_id, error_option="rollback-on-error")
    finally:
        router.sessions.close(session_id)


def _first_customer_interface(router: Drifting, running: etree._Element) -> str:
    interfaces = running.findall(f"{_IF}interfaces/{_IF}interface")
    customers = [found for found in interfaces if found.find(f"{_ACCORD}vlan-subinterface") is not None]
    access = [found for found in interfaces if not _is_core(found)]
    for found in (*customers, *access, *interfaces):
        return found.findtext(f"{_IF}name", "")
    raise DriftError(f"{router.name}: no interface is configured: give the edit as XML")


def _is_core(interface: etree._Element) -> bool:
    return interface.find(f"{_ACCORD}igp") is not None
