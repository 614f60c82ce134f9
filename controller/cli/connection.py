"""Owns how the command line finds the daemon: option, then environment, then `~/.config/accord/cli.yaml`."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from controller.cli.exits import ConfigurationError, configuration_errors
from controller.cli.terminal import Color, Output

DEFAULT_URL = "https://127.0.0.1:8443"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Preferences:
    """What was said on the command line, or what holds when nothing was; `None` and empty mean nothing was."""

    url: str = ""
    token_file: Path | None = None
    ca: Path | None = None
    output: Output | None = None
    color: Color | None = None
    token: str = field(default="", repr=False)
    """The token itself, where the environment holds it: over any file but one that was named on the command line."""

    def over(self, other: "Preferences") -> "Preferences":
        """This, with the gaps filled from `other`."""
        return Preferences(
            self.url or other.url,
            self.token_file or other.token_file,
            self.ca or other.ca,
            self.output or other.output,
            self.color or other.color,
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the daemon is and how to prove who asks. `ca` None trusts the public authorities of `certifi`."""

    url: str
    token: str = field(repr=False)
    ca: Path | None


def resolve(said: Preferences) -> Preferences:
    """All sources merged; `ConfigurationError` for a file or variable that is wrong."""
    token = "" if said.token_file else os.environ.get("ACCORD_TOKEN", "").strip()
    whole = said.over(_from_environment())
    return replace(whole.over(_from_file()), token=token)


def connection_of(preferences: Preferences) -> Connection:
    """The way to the daemon; `ConfigurationError` for a missing file, or where a token would travel in the clear."""
    url = (preferences.url or DEFAULT_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ConfigurationError(f"'{url}' is not a URL", remedy=f"write it like {DEFAULT_URL}", path="url")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(f"'{url}' would send the token in the clear", remedy="use https://", path="url")
    if preferences.ca and not preferences.ca.exists():
        raise ConfigurationError(
            "there is no such CA file",
            remedy="a daemon without a certificate makes STATE_DIR/tls/server.crt at its first start",
            path=str(preferences.ca),
        )
    token = preferences.token or (_read_token(preferences.token_file) if preferences.token_file else "")
    if not (token.isascii() and token.isprintable()) or " " in token:
        # It is not shown: what was taken for a token may be another secret.
        raise ConfigurationError(
            "what is given as the token is none", remedy="it is one line, as 'accord token add' said"
        )
    return Connection(url, token, preferences.ca)


def readable_by_others(file: Path) -> bool:
    """Whether a token file is open to more than its owner."""
    return file.is_file() and bool(stat.S_IMODE(file.stat().st_mode) & 0o077)


def _file() -> Path | None:
    """The person's file; none for a daemon's user, who may have no home or may not look into it."""
    try:
        file = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "accord" / "cli.yaml"
        return file if file.is_file() else None
    except (OSError, RuntimeError):
        return None


def _from_environment() -> Preferences:
    words = {name: os.environ.get(f"ACCORD_{name.upper()}", "") for name in ("url", "token_file", "ca", "output")}
    return _preferences({name: value for name, value in words.items() if value}, "the environment", Path())


def _from_file() -> Preferences:
    file = _file()
    if file is None:
        return Preferences()
    from controller.adapters.yaml_files import read_mapping

    with configuration_errors():
        return _preferences(read_mapping(file), str(file), file.parent)


def _preferences(raw: Mapping[str, Any], source: str, base: Path) -> Preferences:
    unknown = sorted(set(raw) - {"url", "token_file", "ca", "output", "color"})
    if unknown:
        raise ConfigurationError(
            f"{source}: unknown key '{unknown[0]}'", remedy="known are url, token_file, ca, output and color"
        )
    texts = {key: value for key, value in raw.items() if value is not None}
    if not all(isinstance(value, str) for value in texts.values()):
        raise ConfigurationError(f"{source}: every value is a text")
    try:
        return Preferences(
            texts.get("url", ""),
            base / Path(texts["token_file"]).expanduser() if texts.get("token_file") else None,
            base / Path(texts["ca"]).expanduser() if texts.get("ca") else None,
            Output(texts["output"]) if texts.get("output") else None,
            Color(texts["color"]) if texts.get("color") else None,
        )
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}") from error


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"the token file cannot be read: {reason}", path=str(file)) from error
