"""Owns: the datastore and data resources of one router: GET to DELETE (RFC 8040 sections 3.4, 3.5 and 4).

Edits apply to running in one step and are validated: a request takes effect as a whole or not at all.
"""

from lxml import etree

from lab.router import monitoring
from lab.router.edit import TreeEditor
from lab.router.filters import union
from lab.router.json_codec import JsonCodec
from lab.router.managed import ManagedRouter
from lab.router.restconf_edit import (
    Position,
    child_target,
    edit_of,
    graft,
    new_config,
    parse_point,
    replacement,
    require_config,
)
from lab.router.restconf_errors import RestconfError, entries_of, refuse
from lab.router.restconf_media import (
    PATCH_JSON,
    PATCH_XML,
    Encoding,
    body_encoding,
    media_type,
    read_datastore,
    read_single,
    write_resource,
)
from lab.router.restconf_message import Reply, Request, Version
from lab.router.restconf_query import Query, parse_query
from lab.router.restconf_read import pruned
from lab.router.restconf_target import Target, resolve, resource_path
from lab.router.restconf_uri import parse_api_path
from lab.router.rpc_errors import RpcError
from lab.router.validation import with_defaults
from lab.router.xml import data, nsmap
from lab.router.yang_patch import PatchFailedError, apply_patch, read_patch, status_document

_ACCEPT_PATCH = "application/yang-data+json, application/yang-data+xml, " + f"{PATCH_JSON}, {PATCH_XML}"


class DataResources:
    """Answers requests below /restconf/data. Synchronous; refusals are `RestconfError` or `RpcError`."""

    def __init__(self, router: ManagedRouter) -> None:
        self._router = router
        self._codec = JsonCodec(router.store.schema)

    def handle(self, request: Request, path: str, session_id: int) -> Reply:
        """Answer `request` for the data resource at the raw `path` below the datastore."""
        target = resolve(self._router.schema, parse_api_path(path))
        if request.method == "OPTIONS":
            return _options(target)
        query = parse_query(request.query, request.method)
        if request.method in {"GET", "HEAD"}:
            return self._get(request, query, target)
        handlers = {"POST": self._post, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        if request.method not in _methods(target):
            raise _not_allowed(request.method, target)
        return handlers[request.method](request, query, target, session_id)

    @property
    def _version(self) -> Version:
        return Version(self._router.store.etag, self._router.store.last_modified)

    @property
    def _running(self) -> etree._Element:
        return self._router.store.get("running")

    def _get(self, request: Request, query: Query, target: Target) -> Reply:
        encoding = request.reply_encoding
        version = self._version.headers() if target.node.config else {}
        if query.content == "config" and self._version.is_fresh(request):
            return Reply(304, headers=version)
        found = _instances(target, self._tree(query, target))
        if not found:
            raise refuse("invalid-value", f"{target.path()} does not exist", status=404)
        found = pruned(target.node, found, query.fields, query.depth)
        body = write_resource(self._codec, target, found, encoding)
        return Reply(200, body, {**version, "Content-Type": media_type(encoding), "Cache-Control": "no-cache"})

    def _tree(self, query: Query, target: Target) -> etree._Element:
        config = self._running
        if query.with_defaults is not None and query.content != "nonconfig":
            config = with_defaults(self._router.schema, config, query.with_defaults)
        if query.content == "config":
            return config
        base = data() if query.content == "nonconfig" else config
        return union(self._router.schema, union(self._router.schema, base, self._state()), self._own_state(target))

    def _state(self) -> etree._Element:
        return self._router.operational.state_tree()

    def _own_state(self, target: Target) -> etree._Element:
        """The YANG library and the like; only what the target can show, for it is large."""
        wanted = frozenset({target.places[0].node.tag}) if target.places else None
        return monitoring.state(self._router, wanted)

    def _post(self, request: Request, query: Query, target: Target, session_id: int) -> Reply:
        value = read_single(self._codec, target.node, request.body, body_encoding(request.header("content-type")))
        child = child_target(target, value)
        self._require(target)
        self._version.check_edit(request, exists=True)
        self._edit(edit_of(child, "create", value, _position(query, target)), session_id)
        location = f"{request.base}/restconf/data{resource_path(child)}"
        return Reply(201, headers={**self._version.headers(), "Location": location})

    def _put(self, request: Request, query: Query, target: Target, session_id: int) -> Reply:
        encoding = body_encoding(request.header("content-type"))
        if not target.places:
            config = self._whole(request, encoding)
            wanted = data()
            TreeEditor(self._router.schema).apply(wanted, config, "merge")
            self._version.check_edit(request, exists=True)
            self._edit(replacement(self._router.schema, self._running, wanted), session_id)
            return Reply(204, headers=self._version.headers())
        value = read_single(self._codec, target.parent.node, request.body, encoding)
        config = edit_of(target, "replace", value, _position(query, target))
        self._require(target.parent)
        existed = bool(target.find(self._running))
        self._version.check_edit(request, exists=existed)
        self._edit(config, session_id)
        location = {} if existed else {"Location": f"{request.base}/restconf/data{resource_path(target)}"}
        return Reply(204 if existed else 201, headers={**self._version.headers(), **location})

    def _patch(self, request: Request, query: Query, target: Target, session_id: int) -> Reply:
        kind = request.header("content-type").partition(";")[0].strip().lower()
        if kind in {PATCH_JSON, PATCH_XML}:
            return self._yang_patch(request, target, session_id)
        encoding = body_encoding(kind)
        if target.places:
            value = read_single(self._codec, target.parent.node, request.body, encoding)
            config = edit_of(target, "merge", value, _position(query, target))
        else:
            config = self._whole(request, encoding)
        self._require(target)
        self._version.check_edit(request, exists=True)
        self._edit(config, session_id)
        return Reply(204, headers=self._version.headers())

    def _yang_patch(self, request: Request, target: Target, session_id: int) -> Reply:
        sent = body_encoding(request.header("content-type"), (PATCH_JSON, PATCH_XML))
        patch = read_patch(self._codec, request.body, sent)
        encoding = request.reply_encoding
        if target.places:
            require_config(target)
        self._require(target)
        self._version.check_edit(request, exists=True)
        failure, status = None, 200
        try:
            result = apply_patch(self._codec, target, self._running, patch)
            self._edit(replacement(self._router.schema, self._running, result), session_id)
        except PatchFailedError as error:
            failure, status = error, error.error.status
        except RpcError as error:
            refused = RestconfError(*entries_of(error))
            failure, status = PatchFailedError(None, refused), refused.status
        body = status_document(patch.patch_id, failure, encoding)
        return Reply(status, body, {**self._version.headers(), "Content-Type": media_type(encoding)})

    def _whole(self, request: Request, encoding: Encoding) -> etree._Element:
        config = new_config()
        for child in read_datastore(self._codec, request.body, encoding):
            graft(config, child)
        return config

    def _delete(self, request: Request, _query: Query, target: Target, session_id: int) -> Reply:
        config = edit_of(target, "delete", None)
        if not target.find(self._running):
            raise refuse("invalid-value", f"{target.path()} does not exist", status=404, path=target.path())
        self._version.check_edit(request, exists=True)
        self._edit(config, session_id)
        return Reply(204, headers=self._version.headers())

    def _require(self, target: Target) -> None:
        """Raises `RestconfError` (404) unless the target resource exists."""
        if not target.exists(self._running):
            raise refuse("invalid-value", f"{target.path()} does not exist", status=404, path=target.path())

    def _edit(self, config: etree._Element, session_id: int) -> None:
        """Edit running, with what RFC 8040 section 1.4 asks for where NETCONF is at work on the same router."""
        store = self._router.store
        pending = store.pending_commit
        if pending is not None and (pending.persist is not None or store.candidate_is_dirty):
            raise refuse("in-use", "a confirmed commit waits for its confirmation")
        if store.lock_holder("startup") not in {None, session_id}:
            raise refuse("in-use", "the startup datastore is locked")
        store.edit("running", config, session_id=session_id, error_option="rollback-on-error")
        if pending is not None:
            store.commit(pending.session_id)  # an edit is the confirmation, whoever makes it
        if self._router.profile.startup and store.get("startup") is not store.get("running"):
            store.copy("running", "startup", session_id=session_id)


def _instances(target: Target, tree: etree._Element) -> list[etree._Element]:
    found = target.find(tree)
    if not found and target.node.kind == "container" and target.exists(tree):
        return [etree.Element(target.node.tag, nsmap=nsmap(target.node.namespace))]
    return found


def _position(query: Query, target: Target) -> Position | None:
    if query.insert is None:
        return None
    return Position(query.insert, parse_point(target.schema, query.point) if query.point is not None else None)


def _methods(target: Target) -> tuple[str, ...]:
    """The methods a resource takes besides OPTIONS."""
    if not target.node.config:
        return ("GET", "HEAD")
    if not target.places:
        return ("GET", "HEAD", "POST", "PUT", "PATCH")
    edits = ("PUT", "PATCH", "DELETE")
    return ("GET", "HEAD", "POST", *edits) if target.node.kind in {"container", "list"} else ("GET", "HEAD", *edits)


def _options(target: Target) -> Reply:
    methods = ("OPTIONS", *_methods(target))
    headers = {"Allow": ", ".join(methods)}
    if "PATCH" in methods:
        headers["Accept-Patch"] = _ACCEPT_PATCH
    return Reply(200, headers=headers)


def _not_allowed(method: str, target: Target) -> RestconfError:
    allowed = ", ".join(("OPTIONS", *_methods(target)))
    return refuse("operation-not-supported", f"{method} is not allowed on {target.path()}; allowed: {allowed}")
