"""Owns: a RESTCONF request and reply apart from their transport, and conditional requests (RFC 8040 section 3.4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from lab.router.restconf_errors import refuse
from lab.router.restconf_media import Encoding, accepted

_NO_VALUE = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request: `path` and `query` are raw (still percent-encoded), header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> str:
        """The value of a header, empty when absent."""
        return self.headers.get(name, _NO_VALUE)

    @property
    def base(self) -> str:
        """The origin the client used, for Location."""
        return f"https://{self.header('host') or 'localhost'}"

    @property
    def reply_encoding(self) -> Encoding:
        """The encoding the client wants. Raises `RestconfError` (406)."""
        # A client that sends XML and does not say what it accepts can surely read XML.
        sent = self.header("content-type").partition(";")[0].strip().lower()
        return accepted(self.header("accept"), "xml" if sent.endswith("xml") else "json")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; `headers` besides the length."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """A datastore's entity-tag (without quotes) and the time of its last change."""

    etag: str
    last_modified: datetime

    def headers(self) -> dict[str, str]:
        """The ETag and Last-Modified headers."""
        moment = self.last_modified.astimezone(UTC)
        return {"ETag": f'"{self.etag}"', "Last-Modified": format_datetime(moment, usegmt=True)}

    def check_edit(self, request: Request, *, exists: bool) -> None:
        """Raises `RestconfError` (operation-failed, 412) when a condition of an edit does not hold."""
        match, none_match = request.header("if-match"), request.header("if-none-match")
        if match and not (exists if match.strip() == "*" else self._is_in(match)):
            raise _precondition(f'If-Match {match} does not hold, the entity-tag is "{self.etag}"')
        if none_match and (exists if none_match.strip() == "*" else self._is_in(none_match)):
            raise _precondition(f"If-None-Match {none_match} does not hold")
        since = _date(request.header("if-unmodified-since"))
        if since is not None and not match and self._seconds() > since.timestamp():
            raise _precondition("the datastore was modified since the time given in If-Unmodified-Since")

    def is_fresh(self, request: Request) -> bool:
        """Whether a retrieval's client has this version already (the answer is 304)."""
        none_match = request.header("if-none-match")
        if none_match:
            return none_match.strip() == "*" or self._is_in(none_match)
        since = _date(request.header("if-modified-since"))
        return since is not None and self._seconds() <= since.timestamp()

    def _is_in(self, header: str) -> bool:
        return f'"{self.etag}"' in (tag.strip().removeprefix("W/") for tag in header.split(","))

    def _seconds(self) -> float:
        """HTTP dates have whole seconds."""
        return self.last_modified.replace(microsecond=0).timestamp()


def _precondition(message: str) -> Exception:
    return refuse("operation-failed", message, status=412)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None  # RFC 9110 section 13.1.3: a date that is none is ignored
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
