"""Owns talking to the daemon: HTTPS with verified certificates, a bearer token, errors as the one error tree.

`requests` would let the environment (proxies, `REQUESTS_CA_BUNDLE`, .netrc) decide over what the operator said, so it
may not look there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import orjson
import requests

from controller.cli.connection import Connection
from controller.cli.exits import ApiError, UnreachableError
from controller.model.errors import OutcomeUnknownError, ProtocolViolationError

API = "/api/v1"
Json = Any
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
_WORK_SECONDS = 600.0
"""Planning and device work may read a whole fleet."""


class Client:
    """The daemon's API. Safe to share between threads: every request has a session of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, *segments: str, **query: str) -> Json:
        """A JSON document below `/api/v1`."""
        return _json(self._send("GET", _path(segments), query=query))

    def get_text(self, *segments: str, **query: str) -> str:
        """The same for what is text."""
        return self._send("GET", _path(segments), query=query).text

    def post(self, *segments: str, body: Json = None, seconds: float = _WORK_SECONDS, allow: int = 200) -> Json:
        """Ask for something; the answer's document. `allow` is a status over 299 that is an answer, not an error."""
        data = orjson.dumps(body or {})
        return _json(self._send("POST", _path(segments), data=data, seconds=seconds, allow=allow))

    def restconf(self, method: str, path: str, document: Json, query: str = "") -> Json:
        """A request at the RESTCONF door (RFC 8040), YANG data as JSON."""
        suffix = f"?{query}" if query else ""
        return _json(
            self._send(
                method,
                f"/restconf/data/{path}{suffix}",
                data=orjson.dumps(document),
                seconds=_WORK_SECONDS,
                media_type="application/yang-data+json",
            )
        )

    @contextmanager
    def stream(self, *segments: str, headers: Mapping[str, str], **query: str) -> Iterator[requests.Response]:
        """A response that is read as it comes."""
        response = self._send("GET", _path(segments), query=query, headers=headers, is_stream=True)
        try:
            with _connection_errors(self._connection, "GET"):
                yield response
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = _READ_SECONDS,
        media_type: str = "application/json",
        allow: int = 200,
        is_stream: bool = False,
    ) -> requests.Response:
        connection = self._connection
        sent = {"Accept": f"{media_type}, application/problem+json, */*;q=0.5", **(headers or {})}
        if data is not None:
            sent["Content-Type"] = media_type
        if connection.token:
            sent["Authorization"] = f"Bearer {connection.token}"
        with requests.Session() as session, _connection_errors(connection, method):
            session.trust_env = False
            response = session.request(
                method,
                connection.url + path,
                data=data,
                params=query,
                headers=sent,
                verify=str(connection.ca) if connection.ca else True,
                timeout=(_CONNECT_SECONDS, seconds),
                allow_redirects=False,
                stream=is_stream,
            )
        if response.status_code not in range(200, 300) and response.status_code != allow:
            raise problem_of(response)
        return response


def _path(segments: tuple[str, ...]) -> str:
    return "/".join((API, *(quote(segment, safe="") for segment in segments)))


@contextmanager
def _connection_errors(connection: Connection, method: str) -> Iterator[None]:
    where = connection.url
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise UnreachableError(
            f"the certificate of {where} is not trusted: {_innermost(error)}",
            remedy="name the daemon's CA or certificate with --ca FILE (STATE_DIR/tls/server.crt, if it made its own)",
        ) from error
    except requests.exceptions.ReadTimeout as error:
        raise OutcomeUnknownError(
            f"{where} has not answered in time; it may still be working on it",
            remedy="look at 'accord status' and 'accord transaction list'",
        ) from error
    except requests.exceptions.ConnectionError as error:
        if method != "GET" and "Connection aborted" in str(error):
            raise OutcomeUnknownError(
                f"{where} closed the connection before it answered: whether it did it is not known",
                remedy="look at 'accord transaction list' when it is back",
            ) from error
        raise UnreachableError(
            f"no daemon answers at {where}: {_innermost(error)}",
            remedy="start it with 'accord serve', or say where it is with --url or ACCORD_URL",
        ) from error
    except (requests.exceptions.RequestException, OSError) as error:
        raise UnreachableError(f"cannot talk to {where}: {error}") from error


def _innermost(error: BaseException) -> str:
    """The reason at the bottom of the layers of urllib3."""
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    words = str(reason)
    return words.rpartition("): ")[2] if "object at" in words or "Connection(" in words else words


def _json(response: requests.Response) -> Json:
    try:
        return orjson.loads(response.content) if response.content else {}
    except orjson.JSONDecodeError as error:
        raise ProtocolViolationError(
            f"{response.url} did not answer with JSON", remedy="is this the address of an accord daemon?"
        ) from error


def problem_of(response: requests.Response) -> ApiError:
    """The error that a response tells of."""
    try:
        document = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        document = None
    errors = document.get("ietf-restconf:errors", {}).get("error") if isinstance(document, dict) else None
    if errors:
        error = _restconf_error(errors)
    elif isinstance(document, dict) and "title" in document:
        error = _problem_details(document)
    else:
        error = ApiError(f"{response.url} answered {response.status_code} {response.reason}")
    error.status = response.status_code
    if response.status_code == 401:
        error.remedy = (
            "give a token with --token-file, ACCORD_TOKEN_FILE or ACCORD_TOKEN ('accord token add' makes one)"
        )
    return error


def _problem_details(document: Mapping[str, Json]) -> ApiError:
    names = ("remedy", "path", "device")
    error = ApiError(str(document["title"]), **{name: str(document.get(name, "")) for name in names})
    error.tag = str(document.get("error-tag", error.tag))
    error.causes = tuple(
        f"{cause.get('error-tag', '')}: {cause.get('message', '')} {cause.get('path', '')}".strip()
        for cause in document.get("causes", ())
    )
    return error


def _restconf_error(errors: list[Mapping[str, Json]]) -> ApiError:
    first = errors[0]
    error = ApiError(
        str(first.get("error-message") or first.get("error-tag", "")), path=str(first.get("error-path", ""))
    )
    error.tag = str(first.get("error-tag", error.tag))
    error.causes = tuple(str(other.get("error-message", "")) for other in errors[1:])
    return error
