"""Owns adding to inventory files that people wrote: comments and order stay, the result is valid or nothing changes.

New entries are put as text at the end of their block; the file is then read back and must mean exactly what was there
plus what was added. Where the text cannot be extended so (a block in `{}` style), it is written anew without comments.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from controller.adapters.inventory import load_inventory
from controller.adapters.secrets import Secrets
from controller.adapters.settings_loader import load_settings
from controller.adapters.yaml_files import parse_mapping, read_mapping
from controller.model.errors import ConflictError, InvalidInputError

Additions = Mapping[str, Mapping[str, Any]]
"""`hosts` and `groups`, each name with its entry."""


@dataclass(frozen=True, slots=True)
class InventoryFiles:
    """An inventory (one file, or nornir's directory) and the credentials that its devices name."""

    inventory: Path
    credentials: Path | None

    @classmethod
    def of(cls, inventory: Path | None, config: Path | None) -> "InventoryFiles":
        """Those that were named, or those of the settings."""
        settings = load_settings(config).settings
        credentials = settings.credentials if settings.credentials.exists() else None
        return cls(inventory or settings.inventory, credentials)

    def add(self, additions: Additions) -> None:
        """Add hosts and groups. `ConflictError` for a name that is taken, `InvalidInputError` if it is not valid."""
        before = {block: self._read(block) for block in additions}
        for block, entries in additions.items():
            for name in entries:
                if name in before[block] and before[block][name] != entries[name]:
                    raise ConflictError(f"the inventory already has '{name}'", path=f"{block}.{name}")
                if name in before[block] and block == "hosts":
                    raise ConflictError(f"the inventory already has '{name}'", path=f"{block}.{name}")
        texts: dict[Path, str] = {}
        for block, entries in additions.items():
            new = {name: entry for name, entry in entries.items() if name not in before[block]}
            if new:
                file = self._file(block)
                texts[file] = _extended(texts.get(file, _text(file)), self._keys(block), new, str(file))
        self._refuse_invalid(texts)
        for file, text in texts.items():
            _replace(file, text)

    def _file(self, block: str) -> Path:
        return self.inventory / f"{block}.yaml" if self.inventory.is_dir() else self.inventory

    def _keys(self, block: str) -> tuple[str, ...]:
        return () if self.inventory.is_dir() else (block,)

    def _read(self, block: str) -> dict[str, Any]:
        file = self._file(block)
        document = read_mapping(file) if file.exists() or not self.inventory.is_dir() else {}
        return document if self.inventory.is_dir() else document.get(block) or {}

    def _refuse_invalid(self, texts: Mapping[Path, str]) -> None:
        """Load the inventory as it would be, from a copy that stands where its relative paths still hold."""
        secrets = Secrets.from_environment(self.credentials)
        if not self.inventory.is_dir():
            with tempfile.NamedTemporaryFile("w", dir=self.inventory.parent, suffix=".yaml", encoding="utf-8") as trial:
                trial.write(texts[self.inventory])
                trial.flush()
                _load(Path(trial.name), secrets, self.inventory)
            return
        with tempfile.TemporaryDirectory(dir=self.inventory) as directory:
            trial_directory = Path(directory)
            for present in self.inventory.iterdir():
                if present.is_file():
                    (trial_directory / present.name).write_bytes(present.read_bytes())
            for file, text in texts.items():
                (trial_directory / file.name).write_text(text, encoding="utf-8")
            _load(trial_directory, secrets, self.inventory)


def foldable(document: Mapping[str, Any], group: str) -> Additions:
    """An imported document as additions: its defaults become the last group of each host, which inherits the same."""
    defaults = document.get("defaults") or {}
    hosts = {name: {**entry, "groups": [*entry.get("groups", ()), group]} for name, entry in document["hosts"].items()}
    return {"groups": {**document.get("groups", {}), group: dict(defaults)}, "hosts": hosts}


def _load(path: Path, secrets: Secrets, named: Path) -> None:
    try:
        load_inventory(path, secrets)
    except InvalidInputError as error:
        error.message = error.message.replace(str(path), str(named))
        error.remedy = error.remedy or "nothing was changed"
        raise


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _extended(text: str, keys: tuple[str, ...], new: Mapping[str, Any], name: str) -> str:
    expected = _merged(parse_mapping(text, name), keys, new)
    candidate = _inserted(text, keys, new)
    try:
        if parse_mapping(candidate, name) == expected:
            return candidate
    except InvalidInputError:
        pass  # the block's style does not allow it; the plain form below always does
    return _dump(expected)


def _merged(document: dict[str, Any], keys: tuple[str, ...], new: Mapping[str, Any]) -> dict[str, Any]:
    if not keys:
        return {**document, **new}
    return {**document, keys[0]: {**(document.get(keys[0]) or {}), **new}}


def _inserted(text: str, keys: tuple[str, ...], new: Mapping[str, Any]) -> str:
    """The text with the entries put right after the last line of the block's last entry."""
    text = text if text.endswith("\n") or not text else f"{text}\n"
    block = _block(yaml.compose(text, Loader=yaml.CSafeLoader) if text.strip() else None, keys)
    if block is None or not block.value:
        return text + _dump({keys[0]: dict(new)} if keys else dict(new))
    lines = text.splitlines(keepends=True)
    at = _end(block.value[-1][1])
    while not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#"):
        at -= 1
    indent = " " * block.value[0][0].start_mark.column
    added = "".join(f"{indent}{line}\n" for line in _dump(dict(new)).splitlines())
    return "".join((*lines[:at], added, *lines[at:]))


def _end(node: yaml.Node) -> int:
    """The line after a value: a block ends where the next thing begins, anything else on its own last line."""
    is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    return int(node.end_mark.line) + (0 if is_block else 1)


def _block(root: yaml.Node | None, keys: tuple[str, ...]) -> yaml.MappingNode | None:
    node = root
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node if isinstance(node, yaml.MappingNode) else None


def _dump(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)


def _replace(file: Path, text: str) -> None:
    """Atomically, keeping mode and owner."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            if file.exists():
                present = file.stat()
                os.fchmod(descriptor, present.st_mode & 0o7777)
                os.fchown(descriptor, present.st_uid, present.st_gid)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
