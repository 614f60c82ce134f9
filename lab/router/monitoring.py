"""Owns what a router says about itself: ietf-yang-library (RFC 8525, RFC 7895) and netconf-state (RFC 6022)."""

import functools
from copy import deepcopy
from hashlib import sha256
from typing import Protocol

from lxml import etree

from lab.router import yang_push
from lab.router.datastore import ConfigStore
from lab.router.profiles import Profile
from lab.router.schema import ModuleInfo, Schema
from lab.router.sessions import Sessions
from lab.router.xml import add, data, element

LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
_DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_LIBRARY_CAPABILITY = "urn:ietf:params:netconf:capability:yang-library:1"


class Monitored(Protocol):
    """The parts of a router that monitoring shows."""

    schema: Schema
    profile: Profile
    store: ConfigStore
    sessions: Sessions


def content_id(schema: Schema) -> str:
    """Return what changes when the module set does (RFC 8525 section 3.1)."""
    names = ",".join(f"{info.name}@{info.revision}" for info in schema.modules.values())
    return sha256(names.encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=32)
def hello_capabilities(schema: Schema, profile: Profile) -> tuple[str, ...]:
    """Return every URI of <hello>: protocol capabilities, YANG library, and modules unless the quirk hides them."""
    uris = list(profile.capabilities())
    if profile.quirks.hello_without_modules:
        return tuple(uris)
    revision = schema.modules["ietf-yang-library"].revision
    identifier = content_id(schema)
    uris.extend(
        (
            f"{_LIBRARY_CAPABILITY}.0?revision={revision}&module-set-id={identifier}",
            f"{_LIBRARY_CAPABILITY}.1?revision={revision}&content-id={identifier}",
        )
    )
    uris.extend(_module_uri(info) for info in schema.modules.values() if info.implemented)
    uris.extend(yang_push.CAPABILITIES if profile.notifications else ())
    return tuple(uris)


def _module_uri(info: ModuleInfo) -> str:
    features = f"&features={','.join(info.features)}" if info.features else ""
    return f"{info.namespace}?module={info.name}&revision={info.revision}{features}"


def state(router: Monitored, wanted: frozenset[str] | None) -> etree._Element:
    """Return a <data> tree of the library and monitoring; `wanted` limits it to these top-level tags."""
    tree = data()
    for child in _library(router.schema):
        if wanted is None or child.tag in wanted:
            tree.append(deepcopy(child))
    if wanted is None or f"{{{MONITORING}}}netconf-state" in wanted:
        tree.append(_netconf_state(router))
    return tree


@functools.lru_cache(maxsize=8)
def _library(schema: Schema) -> tuple[etree._Element, etree._Element]:
    return _yang_library(schema), _modules_state(schema)


def _yang_library(schema: Schema) -> etree._Element:
    library = element("yang-library", LIBRARY)
    module_set = _add(library, "module-set")
    _add(module_set, "name", "all")
    implemented = [info for info in schema.modules.values() if info.implemented]
    for info in implemented:
        _describe(_add(module_set, "module"), info)
    for info in schema.modules.values():
        if not info.implemented:
            _describe(_add(module_set, "import-only-module"), info)
    all_modules = _add(library, "schema")
    _add(all_modules, "name", "all")
    _add(all_modules, "module-set", "all")
    for name in ("running", "operational"):
        datastore = _add(library, "datastore")
        add(datastore, f"{{{LIBRARY}}}name", f"ds:{name}", ds=_DATASTORES)
        _add(datastore, "schema", "all")
    _add(library, "content-id", content_id(schema))
    return library


def _describe(entry: etree._Element, info: ModuleInfo) -> None:
    _add(entry, "name", info.name)
    if info.revision or not info.implemented:
        _add(entry, "revision", info.revision)
    _add(entry, "namespace", info.namespace)
    for feature in info.features if info.implemented else ():
        _add(entry, "feature", feature)


def _modules_state(schema: Schema) -> etree._Element:
    modules = element("modules-state", LIBRARY)
    _add(modules, "module-set-id", content_id(schema))
    for info in schema.modules.values():
        entry = _add(modules, "module")
        _add(entry, "name", info.name)
        _add(entry, "revision", info.revision)
        _add(entry, "namespace", info.namespace)
        for feature in info.features:
            _add(entry, "feature", feature)
        _add(entry, "conformance-type", "implement" if info.implemented else "import")
    return modules


def _netconf_state(router: Monitored) -> etree._Element:
    state_element = element("netconf-state", MONITORING)
    capabilities = _add_monitoring(state_element, "capabilities")
    for uri in hello_capabilities(router.schema, router.profile):
        _add_monitoring(capabilities, "capability", uri)
    _add_datastores(state_element, router)
    schemas = _add_monitoring(state_element, "schemas")
    for info in router.schema.modules.values():
        _add_schema(schemas, info)
    _add_sessions(state_element, router.sessions)
    return state_element


def _add_datastores(parent: etree._Element, router: Monitored) -> None:
    names = ["running"]
    names += ["candidate"] if router.profile.candidate else []
    names += ["startup"] if router.profile.startup else []
    datastores = _add_monitoring(parent, "datastores")
    for name in names:
        entry = _add_monitoring(datastores, "datastore")
        _add_monitoring(entry, "name", name)
        holder = router.store.lock_holder(name)
        session = router.sessions.get(holder) if holder is not None else None
        if session is not None:
            lock = _add_monitoring(_add_monitoring(entry, "locks"), "global-lock")
            _add_monitoring(lock, "locked-by-session", str(holder))
            _add_monitoring(lock, "locked-time", session.login_time.isoformat())


def _add_schema(schemas: etree._Element, info: ModuleInfo) -> None:
    entry = _add_monitoring(schemas, "schema")
    _add_monitoring(entry, "identifier", info.name)
    _add_monitoring(entry, "version", info.revision)
    _add_monitoring(entry, "format", "yang")
    _add_monitoring(entry, "namespace", info.namespace)
    _add_monitoring(entry, "location", "NETCONF")


def _add_sessions(parent: etree._Element, sessions: Sessions) -> None:
    listed = _add_monitoring(parent, "sessions")
    for session in sessions:
        if session.transport != "netconf-ssh":
            continue
        entry = _add_monitoring(listed, "session")
        _add_monitoring(entry, "session-id", str(session.session_id))
        _add_monitoring(entry, "transport", session.transport)
        _add_monitoring(entry, "username", session.username)
        _add_monitoring(entry, "source-host", session.source_host)
        _add_monitoring(entry, "login-time", session.login_time.isoformat())
        for name in ("in-rpcs", "in-bad-rpcs", "out-rpc-errors", "out-notifications"):
            _add_monitoring(entry, name, str(getattr(session, name.replace("-", "_"))))


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    return add(parent, f"{{{LIBRARY}}}{name}", text)


def _add_monitoring(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    return add(parent, f"{{{MONITORING}}}{name}", text)
