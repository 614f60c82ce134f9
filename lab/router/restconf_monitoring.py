"""Owns: ietf-restconf-monitoring's restconf-state: capabilities and streams (RFC 8040 section 9)."""

from functools import cache

from lxml import etree

from lab.router.json_codec import JsonCodec
from lab.router.managed import ManagedRouter
from lab.router.restconf_errors import refuse
from lab.router.restconf_media import media_type, write_resource
from lab.router.restconf_message import Reply, Request
from lab.router.restconf_query import parse_query
from lab.router.restconf_read import pruned
from lab.router.restconf_stream import STREAM_PATHS
from lab.router.restconf_target import resolve
from lab.router.restconf_uri import parse_api_path
from lab.router.schema import ModuleSet, Schema, load_schema
from lab.router.xml import add, data

_MODULE = "ietf-restconf-monitoring"
_CAPABILITY = "urn:ietf:params:restconf:capability:"
_CAPABILITIES = (
    f"{_CAPABILITY}defaults:1.0?basic-mode=explicit",
    f"{_CAPABILITY}depth:1.0",
    f"{_CAPABILITY}fields:1.0",
    f"{_CAPABILITY}with-defaults:1.0",
    f"{_CAPABILITY}yang-patch:1.0",
)


@cache
def _schema() -> Schema:
    return load_schema(ModuleSet("restconf-monitoring", (_MODULE,)))


class Monitoring:
    """Answers requests for restconf-state, which every router has whatever its own module set."""

    def __init__(self, router: ManagedRouter) -> None:
        self._router = router

    def covers(self, path: str) -> bool:
        """Whether a raw path below the datastore is in restconf-state."""
        return path.startswith(f"/{_MODULE}:")

    def handle(self, request: Request, path: str) -> Reply:
        """Answer a request for a node of restconf-state."""
        if request.method == "OPTIONS":
            return Reply(200, headers={"Allow": "OPTIONS, GET, HEAD"})
        if request.method not in {"GET", "HEAD"}:
            raise refuse("operation-not-supported", f"{request.method} is not allowed on restconf-state")
        query = parse_query(request.query, request.method)
        target = resolve(_schema(), parse_api_path(path))
        found = target.find(_state(request.base)) if query.content != "config" else []
        if not found:
            raise refuse("invalid-value", f"{target.path()} does not exist", status=404)
        encoding = request.reply_encoding
        shown = pruned(target.node, found, query.fields, query.depth)
        body = write_resource(JsonCodec(_schema()), target, shown, encoding)
        return Reply(200, body, {"Content-Type": media_type(encoding)})


def _state(base: str) -> etree._Element:
    """The restconf-state as seen by a client that reaches the router at `base`."""
    namespace = f"{{{_schema().namespaces[_MODULE]}}}"
    tree = data()
    state = add(tree, f"{namespace}restconf-state")
    capabilities = add(state, f"{namespace}capabilities")
    for uri in _CAPABILITIES:
        add(capabilities, f"{namespace}capability", uri)
    stream = add(add(state, f"{namespace}streams"), f"{namespace}stream")
    add(stream, f"{namespace}name", "NETCONF")
    add(stream, f"{namespace}description", "configuration changes")
    add(stream, f"{namespace}replay-support", "false")
    for encoding, path in STREAM_PATHS.items():
        access = add(stream, f"{namespace}access")
        add(access, f"{namespace}encoding", encoding)
        add(access, f"{namespace}location", base + path)
    return tree
