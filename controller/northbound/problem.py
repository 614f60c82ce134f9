"""Owns how errors look to API callers: RFC 9457 problem details with the words of the one error tree."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from controller.model.errors import (
    AccordError,
    AuthenticationFailedError,
    BusyError,
    ConflictError,
    DeviceRejectedError,
    InvalidInputError,
    NotAuthorizedError,
    NotFoundError,
    NotSupportedError,
    ScheduledError,
    TransientError,
)

MEDIA_TYPE = "application/problem+json"
_STATUS: Mapping[type[AccordError], int] = {
    ScheduledError: 202,
    NotSupportedError: 422,
    InvalidInputError: 400,
    NotFoundError: 404,
    ConflictError: 409,
    NotAuthorizedError: 403,
    AuthenticationFailedError: 401,
    BusyError: 503,
    DeviceRejectedError: 502,
    TransientError: 503,
}


def status_of(error: AccordError) -> int:
    """The HTTP status of an error: the nearest class in the table, 500 where none is."""
    if error.tag == "too-big":
        return 413
    if error.app_tag == "rate-limit":
        return 429
    if error.device and isinstance(error, (AuthenticationFailedError, NotAuthorizedError)):
        return 502  # a device let us not in: that is no matter of the caller's token
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def problem(error: AccordError, status: int = 0) -> dict[str, object]:
    """The problem document: what happened, to which object, what to do next. `status` 0: what fits the error."""
    document: dict[str, object] = {
        "type": f"urn:accord:problem:{type(error).__name__.removesuffix('Error')}",
        "title": error.message,
        "status": status or status_of(error),
        "detail": str(error),
        "error-tag": error.tag,
    }
    for name in ("remedy", "path", "device", "app_tag"):
        value = getattr(error, name)
        if value:
            document[name.replace("_", "-")] = value
    causes = getattr(error, "causes", ())
    if causes:
        document["causes"] = [{"error-tag": c.tag, "message": c.message, "path": c.path} for c in causes]
    return document


def problem_response(error: AccordError, status: int = 0) -> Response:
    """The problem document as a response."""
    told = status or status_of(error)
    headers = {"WWW-Authenticate": 'Bearer realm="accord"'} if told == 401 else {}
    return Response(orjson.dumps(problem(error, told)), told, headers, MEDIA_TYPE)
