"""Owns what a RESTCONF client discovers: host-meta, API root, operations, library, capabilities (RFC 8040 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from controller.datastore.schema import Schema
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door
from controller.northbound.restconf_problem import MEDIA_TYPE, restconf_error_response

_LIBRARY_VERSION = "2016-06-21"
_IMPLEMENTED = {"ietf-l3vpn-svc": "2018-01-19"}
_READ_ONLY = {
    "ietf-network": "2018-02-26",
    "ietf-network-topology": "2018-02-26",
    "ietf-te-topology": "2020-08-06",
    "ietf-te": "2024-02-02",
    "ietf-vn": "2025-03-27",
}
"""Modules whose data `actn` answers; their types come with them."""
_CAPABILITIES = (
    "urn:ietf:params:restconf:capability:defaults:1.0?basic-mode=explicit",
    "urn:ietf:params:restconf:capability:depth:1.0",
)
_HOST_META = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0"><Link rel="restconf" href="/restconf"/></XRD>\n'
)
Json = Any


@dataclass(frozen=True, slots=True)
class RestconfRoot:
    """Everything that says what there is."""

    schema: Schema

    def routes(self, door: Door) -> list[Route]:
        """Fixed documents, each behind its own path."""
        documents: Mapping[str, Json] = {
            "/restconf": {
                "ietf-restconf:restconf": {
                    "data": {},
                    "operations": {},
                    "yang-library-version": _LIBRARY_VERSION,
                }
            },
            "/restconf/operations": {"ietf-restconf:operations": {}},
            "/restconf/yang-library-version": {"ietf-restconf:yang-library-version": _LIBRARY_VERSION},
            "/restconf/data/ietf-yang-library:modules-state": self._library(),
            "/restconf/data/ietf-restconf-monitoring:restconf-state": {
                "ietf-restconf-monitoring:restconf-state": {"capabilities": {"capability": list(_CAPABILITIES)}}
            },
        }
        routes = [_fixed(door, path, orjson.dumps(document), MEDIA_TYPE) for path, document in documents.items()]
        return [_fixed(door, "/.well-known/host-meta", _HOST_META, "application/xrd+xml"), *routes]

    def _library(self) -> Json:
        modules = [
            {
                "name": name,
                "revision": _IMPLEMENTED.get(name, ""),
                "namespace": namespace,
                "conformance-type": "implement" if name in _IMPLEMENTED else "import",
                **(_deviation() if name in _IMPLEMENTED else {}),
            }
            for name, namespace in sorted(self.schema.namespaces.items())
        ]
        modules += [
            {
                "name": name,
                "revision": revision,
                "namespace": f"urn:ietf:params:xml:ns:yang:{name}",
                "conformance-type": "implement",
            }
            for name, revision in _READ_ONLY.items()
        ]
        return {"ietf-yang-library:modules-state": {"module-set-id": "accord-l3sm-actn", "module": modules}}


def _deviation() -> Json:
    return {"deviation": [{"name": "accord-l3vpn-svc-deviations", "revision": ""}]}


def _fixed(door: Door, path: str, body: bytes, media: str) -> Route:
    async def answer(_call: Call) -> Response:
        return Response(body, 200, media_type=media)

    return door.route(path, {"GET": (Action.READ, answer)}, render=restconf_error_response)
