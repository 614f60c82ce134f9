"""Owns reading `controller.settings.Settings` from its sources, and telling where each value came from.

An unknown key, a value out of bounds or a broken file refuses everything, naming the source, the key and the nearest
key there is. A reload that is refused keeps the settings that were good.
"""

import difflib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from controller.adapters.yaml_files import read_mapping
from controller.model.errors import InvalidInputError, NotFoundError
from controller.settings import Settings

DEFAULT_FILE = Path("/etc/accord/accord.yaml")
PREFIX = "ACCORD_"
CREDENTIAL_PREFIX = "accord."
NEED_RESTART = ("state_dir", "listen.", "yang_path", "api.", "metrics.", "transactions.lock_wait_seconds", "log.format")
"""Keys (or beginnings of keys) whose change only a restart brings into force."""
_FOREIGN = (
    "ACCORD_TEST_",
    "ACCORD_LAB_DIR",
    "ACCORD_URL",
    "ACCORD_TOKEN",
    "ACCORD_CONFIG",
    "ACCORD_CA",
    "ACCORD_OUTPUT",
)
_HIDDEN = "********"
_Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """One key: its value as it may be shown (secrets hidden) and the source that said it."""

    key: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Valid settings with their sources."""

    settings: Settings
    file: Path | None
    sources: Mapping[str, str]

    def origins(self) -> Sequence[Origin]:
        """Every key there is, in the order of the model, with value and source."""
        return [Origin(key, _shown(value), self._source(key)) for key, value in _leaves(self.settings)]

    def _source(self, key: str) -> str:
        """Where a value comes from; one with entries of its own, from where the first of them does."""
        within = (name for known, name in self.sources.items() if known.startswith(f"{key}."))
        return self.sources.get(key) or next(within, "default")


@dataclass(slots=True)
class ReloadableSettings:
    """The settings in force. `last_reload_*` are for the metrics of the same name."""

    loaded: LoadedSettings
    last_reload_successful: bool = True
    last_reload_success_time: float = field(default_factory=time.time)
    """Seconds since the epoch."""

    @property
    def current(self) -> Settings:
        """The last good settings."""
        return self.loaded.settings

    def reload(self) -> Sequence[str]:
        """Read all sources again; the keys that changed. Raises as `load_settings` does, and then nothing changed."""
        self.last_reload_successful = False
        fresh = load_settings(self.loaded.file)
        before = dict(_leaves(self.current))
        changed = [key for key, value in _leaves(fresh.settings) if before.get(key) != value]
        self.loaded = fresh
        self.last_reload_successful, self.last_reload_success_time = True, time.time()
        return changed


def needs_restart(keys: Sequence[str]) -> Sequence[str]:
    """Those of the changed keys that a running daemon cannot take over."""
    return [key for key in keys if key.startswith(NEED_RESTART)]


def load_settings(file: Path | None = None) -> LoadedSettings:
    """Read the settings; without `file`, `/etc/accord/accord.yaml` if it is there.

    Raises `NotFoundError` when a named file is missing and `InvalidInputError`, one line for each problem, otherwise.
    """
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    layers = [_systemd_layer(), *([_file_layer(chosen)] if chosen else []), _environment_layer(), _credential_layer()]
    merged: _Tree = {}
    sources: dict[str, str] = {}
    for tree, names in layers:
        _merge(merged, tree)
        sources.update(names)
    problems = list(_unknown_variables())
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        problems += [_problem(detail, sources) for detail in error.errors()]
    if problems:
        raise InvalidInputError("\n".join(problems), remedy="see 'accord config show'")
    return LoadedSettings(settings, chosen, sources)


_Layer = tuple[_Tree, dict[str, str]]


def _systemd_layer() -> _Layer:
    """`StateDirectory=` of the unit takes the place of the default."""
    directory = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return ({"state_dir": directory}, {"state_dir": "systemd STATE_DIRECTORY"}) if directory else ({}, {})


def _file_layer(file: Path) -> _Layer:
    try:
        tree = read_mapping(file)
    except NotFoundError as error:
        raise NotFoundError("there is no such configuration file", path=str(file)) from error
    if not all(isinstance(key, str) for key, _ in _flat(tree)):
        raise InvalidInputError("the configuration file is not a mapping of names to values", path=str(file))
    # A section whose lines are all commented out is an empty one.
    tree = {key: value for key, value in tree.items() if value is not None or key in _keys()}
    for key in _path_keys():
        _rebase(tree, key.split("."), file.resolve().parent)
    return tree, {key: f"file {file}" for key, _ in _flat(tree)}


def _environment_layer() -> _Layer:
    try:
        tree = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise InvalidInputError(f"the environment: {error}: {error.__cause__}") from error
    return tree, {key: f"environment {PREFIX}{key.replace('.', '__').upper()}" for key, _ in _flat(tree)}


def _credential_layer() -> _Layer:
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    tree: _Tree = {}
    names: dict[str, str] = {}
    for file in sorted(Path(directory).glob(f"{CREDENTIAL_PREFIX}*")) if directory else ():
        key = file.name.removeprefix(CREDENTIAL_PREFIX)
        value = str(file) if key in _path_keys() else _credential(file)
        branch = tree
        *sections, leaf = key.split(".")
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[leaf] = value
        names[key] = f"credential {file.name}"
    return tree, names


def _credential(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the credential cannot be read: {error}", path=str(file)) from error


def _unknown_variables() -> Iterator[str]:
    """Environment variables that look like settings and are none; those of the command line are not ours to judge."""
    known = {f"{PREFIX}{key.replace('.', '__').upper()}" for key in _keys()}
    for section in Settings.model_fields:
        known.add(f"{PREFIX}{section.upper()}")
    for name in sorted(os.environ):
        if not name.startswith(PREFIX) or (name.startswith(_FOREIGN) and name not in known) or name.upper() in known:
            continue
        section = name.removeprefix(PREFIX).split("__")[0].lower()
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if section not in Settings.model_fields and (near or "__" in name):
            yield f"environment: unknown variable {name}{_did_you_mean(near)}"


def _problem(detail: Any, sources: Mapping[str, str]) -> str:
    """One line for one complaint of pydantic's: source, key, words. The value is left out: it may be a secret."""
    key = ".".join(str(part) for part in detail["loc"])
    source = next((name for known, name in sources.items() if known == key or known.startswith(f"{key}.")), "")
    source = source or next((name for known, name in sources.items() if key.startswith(f"{known}.")), "settings")
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, [*_keys(), *Settings.model_fields], n=1, cutoff=0.6)
        return f"{source}: unknown key '{key}'{_did_you_mean(near)}"
    return f"{source}: {key or 'settings'}: {detail['msg']}"


def _did_you_mean(near: Sequence[str]) -> str:
    return f"; did you mean '{near[0]}'?" if near else ""


def _keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _keys(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _path_keys(model: type[BaseModel] = Settings, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found |= _path_keys(info.annotation, f"{prefix}{name}.")
        elif info.annotation is Path or Path in get_args(info.annotation):
            found.add(f"{prefix}{name}")
    return found


def _rebase(tree: _Tree, key: Sequence[str], base: Path) -> None:
    """Relative paths in the file start where the file stands."""
    branch: Any = tree
    for section in key[:-1]:
        branch = branch.get(section) if isinstance(branch, dict) else None
    value = branch.get(key[-1]) if isinstance(branch, dict) else None
    if isinstance(value, str):
        branch[key[-1]] = os.path.normpath(base / value)
    elif isinstance(value, list):
        branch[key[-1]] = [os.path.normpath(base / item) if isinstance(item, str) else item for item in value]


def _merge(into: _Tree, tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, dict) else value


def _flat(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[Any, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield (f"{prefix}{key}" if isinstance(key, str) else key), value


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return _HIDDEN
    if isinstance(value, tuple):
        return ":".join(str(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
