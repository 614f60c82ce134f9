"""Owns who may do what at the northbound doors: bearer tokens (RFC 6750), roles, and the services they reach.

Tokens are random, so a plain SHA-256 of each is kept (no salt, no stretching: there is nothing to guess), in a YAML
file of mode 0600:

    tokens:
      - name: alice
        sha256: 9f86d081884c7d65...
        roles: [operator]
        services: ["acme-*"]          # optional; without it, all services
        expires: 2027-01-01T00:00:00Z # optional

The roles: a reader sees, an operator also changes services and devices, an approver also approves what needs a second
person; who approves may not have asked. `authorize` is a pure decision.
"""

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from controller.model.errors import AuthenticationFailedError, InvalidInputError, NotAuthorizedError, NotFoundError

_TOKEN_BYTES = 32
_MOST_TOKEN_CHARACTERS = 512


class Role(StrEnum):
    """What a token may be used for."""

    READER = "reader"
    OPERATOR = "operator"
    APPROVER = "approver"


class Action(StrEnum):
    """What is asked for."""

    READ = "read"
    PLAN = "plan"
    """A dry run: changes nothing, but shows configuration."""
    CHANGE = "change"
    """Services: create, modify, delete, commit, roll back."""
    MANAGE = "manage"
    """Devices and the daemon itself: inventory, sync, adoption, reload."""
    APPROVE = "approve"


_ALLOWED: Mapping[Role, frozenset[Action]] = {
    Role.READER: frozenset({Action.READ}),
    Role.OPERATOR: frozenset({Action.READ, Action.PLAN, Action.CHANGE, Action.MANAGE}),
    Role.APPROVER: frozenset({Action.READ, Action.PLAN, Action.APPROVE}),
}
_ALL_SERVICES = ("*",)


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who proved who they are. `services` are patterns (`acme-*`) of the service names they reach."""

    name: str
    roles: frozenset[Role]
    services: tuple[str, ...] = _ALL_SERVICES

    @property
    def is_scoped(self) -> bool:
        """Whether only some services are reached."""
        return "*" not in self.services

    def reaches(self, service: str) -> bool:
        """Whether `service` is in scope. Upper and lower case differ."""
        return any(fnmatchcase(service, pattern) for pattern in self.services)


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is on: a service, or (`service` empty) something that belongs to none or to all."""

    kind: str
    service: str = ""
    requested_by: str = ""
    """Who asked for what is to be approved."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes, or no with the reason."""

    is_allowed: bool
    reason: str = ""


def authorize(principal: Principal, action: Action, target: Target) -> Decision:
    """Decide. Whatever is not allowed by a role and within scope is refused.

    A scoped principal may act on its services only; on what belongs to no service it may do nothing, not even look.
    """
    by_role = authorize_role(principal, action)
    if not by_role.is_allowed:
        return by_role
    if principal.is_scoped and not (target.service and principal.reaches(target.service)):
        what = f"service '{target.service}'" if target.service else f"what is not one service ({target.kind})"
        return Decision(is_allowed=False, reason=f"{what} is outside the scope of '{principal.name}'")
    if action is Action.APPROVE and target.requested_by == principal.name:
        return Decision(is_allowed=False, reason=f"'{principal.name}' asked for it, so somebody else must approve it")
    return Decision(is_allowed=True)


def authorize_role(principal: Principal, action: Action) -> Decision:
    """What the roles alone say, before it is known what the action is on."""
    if any(action in _ALLOWED[role] for role in principal.roles):
        return Decision(is_allowed=True)
    needed = " or ".join(role for role, actions in _ALLOWED.items() if action in actions)
    return Decision(is_allowed=False, reason=f"'{principal.name}' is no {needed}, and may not {action} here")


def require(principal: Principal, action: Action, target: Target) -> None:
    """`NotAuthorizedError` (403, `access-denied`) unless `authorize` allows it."""
    decision = authorize(principal, action, target)
    if not decision.is_allowed:
        raise NotAuthorizedError(decision.reason, path=target.service or target.kind, tag="access-denied")


class _Entry(BaseModel):
    """One token as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9@._-]+$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    roles: Annotated[frozenset[Role], Field(min_length=1)]
    services: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = _ALL_SERVICES
    expires: AwareDatetime | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: tuple[_Entry, ...] = ()


class TokenStore:
    """The tokens of one file. Replace it as a whole when the file is read again."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries = tuple(entries)

    def authenticate(self, token: str, now: float) -> Principal:
        """Whose token this is. `AuthenticationFailedError` (401, `access-denied`) tells no more than it must.

        `now` in seconds since the epoch. Every stored hash is compared, in constant time.
        """
        digest = _digest(token[:_MOST_TOKEN_CHARACTERS])
        matched: _Entry | None = None
        for entry in self._entries:
            if hmac.compare_digest(entry.sha256, digest):
                matched = entry
        if matched is None or (matched.expires is not None and matched.expires.timestamp() <= now):
            words = "the token is not known" if matched is None else "the token has expired"
            raise AuthenticationFailedError(words, remedy="ask for a new one", tag="access-denied")
        return Principal(matched.name, matched.roles, matched.services)

    def authenticate_header(self, authorization: str, now: float) -> Principal:
        """The same for the value of an `Authorization` header (RFC 6750 2.1); empty means there was none."""
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise AuthenticationFailedError(
                "no bearer token was given", remedy="send 'Authorization: Bearer TOKEN'", tag="access-denied"
            )
        return self.authenticate(token.strip(), now)


def load_tokens(file: Path) -> TokenStore:
    """Read the file. `NotFoundError` without it, `InvalidInputError` when others may read it or it is malformed."""
    return TokenStore(_read(file).tokens)


def new_token(
    name: str, roles: Sequence[Role], services: Sequence[str] = _ALL_SERVICES, expires: datetime | None = None
) -> tuple[str, Mapping[str, object]]:
    """A fresh token and its entry for the file. The token itself is shown once and kept nowhere."""
    token = f"accord_{secrets.token_urlsafe(_TOKEN_BYTES)}"
    entry: dict[str, object] = {"name": name, "sha256": _digest(token), "roles": sorted(str(role) for role in roles)}
    if tuple(services) != _ALL_SERVICES:
        entry["services"] = list(services)
    if expires is not None:
        entry["expires"] = expires.astimezone(UTC).isoformat()
    _validated({"tokens": [entry]}, Path(name))
    return token, entry


def add_token(file: Path, entry: Mapping[str, object]) -> None:
    """Add an entry, atomically; `InvalidInputError` when its name is taken. The file is created with mode 0600."""
    present = _read(file).tokens if file.exists() else ()
    entries = [*(_plain(old) for old in present), dict(entry)]
    document = {"tokens": entries}
    _validated(document, file)
    temporary = file.with_name(f".{file.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        if file.exists():
            # The file stays its owner's, so that root can add a token to a daemon that runs as somebody else.
            os.fchown(descriptor, file.stat().st_uid, file.stat().st_gid)
        yaml.safe_dump(document, stream, sort_keys=False)
        stream.flush()
        os.fsync(descriptor)
    temporary.replace(file)


def _read(file: Path) -> _File:
    try:
        mode = file.stat().st_mode
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no token file, so nobody can log in", remedy="make one with 'accord token add'", path=str(file)
        ) from error
    except OSError as error:
        raise InvalidInputError(f"the token file cannot be read: {error.strerror}", path=str(file)) from error
    except (UnicodeDecodeError, RecursionError, TypeError, yaml.YAMLError) as error:
        # The library's own words would show the line.
        raise InvalidInputError("the token file cannot be read: it is not good YAML", path=str(file)) from error
    if stat.S_IMODE(mode) & 0o077 and not _is_systemd_credential(file):
        raise InvalidInputError(
            f"the token file has mode {stat.S_IMODE(mode):04o}", remedy="make it 0600", path=str(file)
        )
    return _validated(document or {}, file)


def _is_systemd_credential(file: Path) -> bool:
    """Systemd grants its credentials by access control list, whose mask shows as bits of the group."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(directory) and file.parent == Path(directory)


def _validated(document: Any, file: Path) -> _File:
    try:
        checked = _File.model_validate(document)
    except ValidationError as error:
        words = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise InvalidInputError(f"the tokens are malformed: {words}", path=str(file)) from error
    names = [entry.name for entry in checked.tokens]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidInputError(f"several tokens are named {', '.join(repeated)}", path=str(file))
    return checked


def _plain(entry: _Entry) -> dict[str, object]:
    plain: dict[str, object] = {"name": entry.name, "sha256": entry.sha256, "roles": sorted(map(str, entry.roles))}
    if entry.services != _ALL_SERVICES:
        plain["services"] = list(entry.services)
    if entry.expires is not None:
        plain["expires"] = entry.expires.isoformat()
    return plain


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
