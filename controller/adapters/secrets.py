"""Owns looking up credentials by name: in a file only its owner can read, or in systemd's credentials directory."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from controller.adapters.yaml_files import parse_mapping, read_mapping
from controller.model.errors import InvalidInputError, NotFoundError
from controller.ports import Secret

_FILE_REMEDY = "chmod 600 the file, and let the daemon's user own it"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a login needs; `username` may be empty, then the inventory names the user."""

    username: str = ""
    password: Secret | None = None
    private_key: Secret | None = None


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: str = ""
    password: SecretStr | None = None
    private_key: SecretStr | None = None
    private_key_file: str = ""

    @model_validator(mode="after")
    def _has_one_key(self) -> "_Entry":
        if self.private_key and self.private_key_file:
            raise ValueError("give private_key or private_key_file, not both")
        if not (self.password or self.private_key or self.private_key_file):
            raise ValueError("give password, private_key or private_key_file")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    credentials: dict[str, _Entry] = Field(default_factory=dict)


class Secrets:
    """Credentials by name. `$CREDENTIALS_DIRECTORY` (systemd.exec) comes first, then the credentials file.

    In the directory, the file `NAME` is either a private key (it begins with `-----BEGIN`), a YAML mapping as in the
    credentials file (it begins with `username:`, `password:` or `private_key:`), or a password.
    """

    def __init__(self, file: Path | None = None, directory: Path | None = None) -> None:
        self._directory = directory
        self._entries = _read_file(file) if file else {}
        self._base = file.parent if file else Path()
        self._found: dict[str, Credential] = {}

    @classmethod
    def from_environment(cls, file: Path | None = None) -> "Secrets":
        """With the directory that systemd made, where it did."""
        directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
        return cls(file, Path(directory) if directory else None)

    def lookup(self, name: str) -> Credential:
        """The credential; `NotFoundError` says where it was looked for."""
        if name not in self._found:
            self._found[name] = self._from_directory(name) or self._from_file(name)
        return self._found[name]

    def _from_directory(self, name: str) -> Credential | None:
        if self._directory is None or not name or "/" in name or name.startswith("."):
            return None
        path = self._directory / name
        if not path.is_file():
            return None
        text = path.read_text(encoding="utf-8")
        if text.startswith("-----BEGIN"):
            return Credential(private_key=Secret(text))
        if text.startswith(("username:", "password:", "private_key:")):
            return _credential(_entry(parse_mapping(text, str(path)), str(path)), self._directory)
        return Credential(password=Secret(text.rstrip("\r\n")))

    def _from_file(self, name: str) -> Credential:
        if name not in self._entries:
            places = " or ".join(["the credentials file", *([str(self._directory)] if self._directory else [])])
            raise NotFoundError(f"there is no credential '{name}'", remedy=f"add it to {places}", path=name)
        return _credential(self._entries[name], self._base)


def _read_file(path: Path) -> dict[str, _Entry]:
    require_private(path)
    try:
        return _File.model_validate(read_mapping(path)).credentials
    except ValidationError as error:
        raise _invalid(error, str(path)) from None


def _entry(value: dict[str, object], name: str) -> _Entry:
    try:
        return _Entry.model_validate(value)
    except ValidationError as error:
        raise _invalid(error, name) from None


def _invalid(error: ValidationError, name: str) -> InvalidInputError:
    # Only where and why: pydantic's own text would show the value.
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return InvalidInputError(f"{name}: {where}: {first['msg']}", path=where)


def _credential(entry: _Entry, base: Path) -> Credential:
    key = Secret(entry.private_key.get_secret_value()) if entry.private_key else None
    if entry.private_key_file:
        key = _key_of(base / Path(entry.private_key_file).expanduser())
    password = Secret(entry.password.get_secret_value()) if entry.password else None
    return Credential(entry.username, password, key)


def _key_of(path: Path) -> Secret:
    require_private(path)
    return Secret(path.read_text(encoding="utf-8"))


def require_private(path: Path) -> None:
    """Pass when only the owner, who is us or root, can read a file; `InvalidInputError` otherwise."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}", path=str(path)) from None
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(status.st_mode)
        raise InvalidInputError(
            f"{path} holds secrets and others may read it (mode {mode:04o})", remedy=_FILE_REMEDY, path=str(path)
        )
    if status.st_uid not in {0, os.geteuid()}:
        raise InvalidInputError(f"{path} holds secrets and somebody else owns it", remedy=_FILE_REMEDY, path=str(path))
