"""Owns RESTCONF northbound (RFC 8040) for ietf-l3vpn-svc (RFC 8299): services as a datastore, each write a transaction.

A write is planned (validated, mapped, diffed) and committed network-wide; the answer comes at the verdict:

| verdict | answer |
|---|---|
| committed | 201 with `Location` or 204, `ETag` of the resource as it is now |
| aborted, the network is as before | 502, reason in the errors document |
| refused: out of date, held by another, nothing was sent | 409 |
| unknown, the daemon goes on resolving it | 202, `Location` of the transaction |

`?dry-run` answers 200 with the plan and sends nothing. Every write's answer names `Accord-Plan` and
`Accord-Transaction`. `If-Match` and `If-None-Match` hold for the target resource. JSON only.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from controller.datastore.schema import Schema, SchemaNode
from controller.model.errors import InvalidInputError
from controller.northbound import restconf_tree as tree
from controller.northbound.auth import Action, Target, authorize
from controller.northbound.door import Call, Door, parse_json
from controller.northbound.restconf_commit import Committer, Write
from controller.northbound.restconf_edit import created, document_of, edit_between, top_of, visible_to, written
from controller.northbound.restconf_path import Step, format_url, parse
from controller.northbound.restconf_problem import MEDIA_TYPE, RefusedError, restconf_error_response
from controller.northbound.restconf_root import RestconfRoot
from controller.runtime.controller import Controller

Json = Any
_DATA = b"/restconf/data"
_QUERY = frozenset({"content", "depth", "dry-run", "comment"})
_ACCEPTED = frozenset({MEDIA_TYPE, "application/json", "application/*", "*/*"})
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(slots=True)
class Restconf:
    """The datastore resource and everything below it."""

    controller: Controller
    schema: Schema
    confirm_timeout_seconds: Callable[[], float]
    _top: SchemaNode = field(init=False)
    _committer: Committer = field(init=False)

    def __post_init__(self) -> None:
        """Cut the schema to what is served."""
        self._top = top_of(self.schema)
        self._committer = Committer(self.controller, self.confirm_timeout_seconds)

    def routes(self, door: Door) -> list[Route]:
        """Discovery, then data. A write needs the right to plan; a commit asks for more when it is known of what."""
        read, plan = Action.READ, Action.PLAN
        handlers = {
            "GET": (read, self.read),
            "OPTIONS": (read, self.options),
            **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), (plan, self.write)),
        }
        data = [
            door.route(path, handlers, render=restconf_error_response)
            for path in ("/restconf/data", "/restconf/data/{path:path}")
        ]
        return [*RestconfRoot(self.schema).routes(door), *data]

    # -- reading -----------------------------------------------------------------------------------------------

    async def read(self, call: Call) -> Response:
        """GET and HEAD."""
        _must_accept(call)
        steps = self._steps(call)
        _refuse_unknown_query(call)
        document = self._visible(call)
        value = tree.find(document, steps) if steps else document
        if value is tree.ABSENT or (steps and steps[-1].is_whole_list and not value):
            if steps and len(steps) == 1:
                value = {}  # the root container is always there (RFC 8040 3.4), if only empty
            else:
                raise tree.missing(steps[-1])
        tag = entity_tag(value)
        if _names(call, "if-none-match", tag):
            return Response(status_code=304, headers={"ETag": tag})
        return Response(_encoded(steps, value, _depth(call)), 200, {"ETag": tag}, MEDIA_TYPE)

    async def options(self, call: Call) -> Response:
        """OPTIONS (RFC 8040 4.1)."""
        steps = self._steps(call)
        allowed = [method for method in _METHODS if steps or method not in {"PUT", "DELETE"}]
        headers = {"Allow": ", ".join(allowed), "Accept-Patch": MEDIA_TYPE}
        return Response(status_code=204, headers=headers)

    def _visible(self, call: Call) -> dict[str, Json]:
        state = self.controller.world.services
        document = document_of(state)
        if not call.principal.is_scoped:
            return document
        reaches = {
            vpn_id: authorize(call.principal, Action.READ, Target("service", vpn_id)).is_allowed
            for vpn_id in state.services
        }
        return visible_to(document, state, reaches)

    # -- writing -----------------------------------------------------------------------------------------------

    async def write(self, call: Call) -> Response:
        """POST, PUT, PATCH, DELETE: one transaction, or its plan."""
        _must_accept(call)
        _refuse_unknown_query(call)
        steps = self._steps(call)
        method = call.request.method
        body = _body(call) if method != "DELETE" else None
        if not steps and method in {"PUT", "DELETE"}:
            raise RefusedError(f"{method} is not offered on the whole datastore", status=405, tag="invalid-value")
        return await self._committer.answer(call, lambda: self._write(call, method, steps, body))

    def _write(self, call: Call, method: str, steps: tuple[Step, ...], body: Json) -> Write:
        """What the write means now; asked again when the state has moved before the commit."""
        before = document_of(self.controller.world.services)
        path = steps
        was = tree.find(before, steps) if steps else before
        _check_preconditions(call, was)
        if method == "POST":
            after, path = created(before, steps, body, self._top)
        elif not steps:
            after = self._patched_whole(before, body)
        else:
            after = written(before, method, steps, body)
        now = tree.find(after, path) if path else after
        return Write(
            edit=edit_between(before, after),
            url=format_url(path) if path else "/restconf/data",
            is_new=method == "POST" or (was is tree.ABSENT and method == "PUT"),
            entity_tag="" if now is tree.ABSENT else entity_tag(now),
        )

    def _patched_whole(self, before: Json, body: Json) -> Json:
        steps = parse(b"ietf-l3vpn-svc:l3vpn-svc", self._top)
        inner = body.get("ietf-restconf:data") if isinstance(body, dict) and len(body) == 1 else None
        start = before or {"l3vpn-svc": {}}
        return written(start, "PATCH", steps, inner if inner is not None else body)

    def _steps(self, call: Call) -> tuple[Step, ...]:
        raw: bytes = call.request.scope.get("raw_path") or call.request.url.path.encode()
        return parse(raw.partition(b"?")[0].removeprefix(_DATA), self._top)


def entity_tag(value: Json) -> str:
    """The same for the same content, whatever the order of members."""
    digest = hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f'"{digest[:32]}"'


def _encoded(steps: Sequence[Step], value: Json, depth: int) -> bytes:
    """A value under its name; one entry of a list stands in an array of one (RFC 8040 4.3)."""
    shown = tree.pruned(value, depth) if depth else value
    if not steps:
        return orjson.dumps({"ietf-restconf:data": {f"ietf-l3vpn-svc:{name}": inner for name, inner in shown.items()}})
    node, has_keys = steps[-1].node, bool(steps[-1].keys)
    return orjson.dumps({f"{node.module}:{node.name}": [shown] if has_keys else shown})


def _body(call: Call) -> Json:
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {MEDIA_TYPE, "application/json"}:
        raise RefusedError(
            f"the body is {kind or 'of no named type'}", remedy=f"send {MEDIA_TYPE}", status=415, tag="invalid-value"
        )
    if not call.body:
        raise InvalidInputError("there is no body", tag="malformed-message")
    return parse_json(call.body, call.limits.depth)


def _must_accept(call: Call) -> None:
    accepted = call.request.headers.get("accept", "*/*")
    kinds = {kind.partition(";")[0].strip().lower() for kind in accepted.split(",")}
    if not kinds & _ACCEPTED:
        raise RefusedError("only JSON is spoken here", remedy=f"accept {MEDIA_TYPE}", status=406, tag="invalid-value")


def _refuse_unknown_query(call: Call) -> None:
    """Unknown parameters are refused, not ignored (RFC 8040 4.8)."""
    names = [name for name, _ in call.request.query_params.multi_items()]
    for name in names:
        if name not in _QUERY or names.count(name) > 1:
            raise InvalidInputError(f"query parameter '{name}' is not known here, or given twice", path=name)
    is_read = call.request.method in {"GET", "HEAD"}
    if (is_read and {"dry-run", "comment"} & set(names)) or (not is_read and {"content", "depth"} & set(names)):
        raise InvalidInputError(f"{call.request.method} takes none of these: {', '.join(names)}")
    if call.query("content", "all") not in {"all", "config"}:
        raise InvalidInputError("there is configuration here and nothing else", remedy="content=config", path="content")


def _depth(call: Call) -> int:
    """0 for all of it."""
    text = call.query("depth", "unbounded")
    if text == "unbounded":
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or not 1 <= int(text) <= 65_535:
        raise InvalidInputError("depth is a number from 1 to 65535, or 'unbounded'", path="depth")
    return int(text)


def _names(call: Call, header: str, tag: str) -> bool:
    """Whether a header of entity tags names this one; `*` names every resource that is there."""
    text = call.request.headers.get(header, "")
    tags = {part.strip().removeprefix("W/") for part in text.split(",")} if text else set()
    return "*" in tags or tag in tags


def _check_preconditions(call: Call, value: Json) -> None:
    """`If-Match` and `If-None-Match` (RFC 9110 13.1) against the target as it is now."""
    tag = "" if value is tree.ABSENT else entity_tag(value)
    wants_match = "if-match" in call.request.headers
    if wants_match and not (tag and _names(call, "if-match", tag)):
        raise RefusedError("the resource is not as If-Match says", remedy="read it again", status=412)
    if tag and _names(call, "if-none-match", tag):
        raise RefusedError("the resource is there, against If-None-Match", status=412)
