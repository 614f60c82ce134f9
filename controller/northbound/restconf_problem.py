"""Owns how errors look to RESTCONF clients: the errors document of RFC 8040 section 7, and its status codes."""

from dataclasses import dataclass

import orjson
from starlette.responses import Response

from controller.model.errors import (
    AccordError,
    BusyError,
    ConnectionFailedError,
    InvalidInputError,
    LockedError,
    PermanentError,
)
from controller.northbound.problem import status_of

MEDIA_TYPE = "application/yang-data+json"
_PROTOCOL_TAGS = frozenset({"malformed-message", "too-big", "access-denied"})


@dataclass(slots=True, eq=False)
class RefusedError(PermanentError):
    """A refusal that has an HTTP status of its own: 404, 405, 406, 412, 415."""

    status: int = 400


def restconf_status(error: AccordError) -> int:
    """The status of RFC 8040 section 7 for an error."""
    if isinstance(error, RefusedError):
        return error.status
    if isinstance(error, (BusyError, LockedError)) and error.app_tag != "rate-limit":
        return 409
    if isinstance(error, ConnectionFailedError):
        return 502
    if isinstance(error, InvalidInputError) and error.tag != "too-big":
        return 409 if error.tag in {"data-exists", "data-missing"} else 400
    return status_of(error)


def restconf_errors(error: AccordError) -> dict[str, object]:
    """The errors document: one entry for the error, one for each thing a device said."""
    main: dict[str, object] = {
        "error-type": "protocol" if error.tag in _PROTOCOL_TAGS else "application",
        "error-tag": error.tag,
        "error-message": str(error),
    }
    if error.app_tag:
        main["error-app-tag"] = error.app_tag
    if error.path.startswith("/"):
        main["error-path"] = error.path
    causes = [
        {"error-type": "application", "error-tag": cause.tag, "error-message": cause.message}
        for cause in getattr(error, "causes", ())
    ]
    return {"ietf-restconf:errors": {"error": [main, *causes]}}


def restconf_error_response(error: AccordError) -> Response:
    """The errors document as a response."""
    status = restconf_status(error)
    headers = {"WWW-Authenticate": 'Bearer realm="accord"'} if status == 401 else {}
    return Response(orjson.dumps(restconf_errors(error)), status, headers, MEDIA_TYPE)
