"""Owns keeping parsed schemas on disk, for a large module set takes pyang seconds: JSON, so that reading runs no code.

An entry belongs to the exact modules, features, pyang release and files (name, size, modification time) it was made
from. One that is missing, damaged or older simply is not there; one that cannot be written is not kept.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyang

from controller.datastore.schema import NodeKind, Schema, SchemaNode

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SchemaCache:
    """Entries in one directory, which is created with mode 0700."""

    directory: Path

    def get_or_build(self, request: Sequence[object], path: Sequence[str], build: Callable[[], Schema]) -> Schema:
        """The schema kept for `request` (JSON-able) and the files on `path`, or else what `build` makes, now kept."""
        entry = self.directory / f"schema-{_fingerprint(request, path)}.json"
        with suppress(OSError, ValueError, KeyError, TypeError):
            return _decoded(orjson.loads(entry.read_bytes()))
        schema = build()
        with suppress(OSError):
            self._keep(entry, orjson.dumps(_encoded(schema)))
        return schema

    def _keep(self, entry: Path, document: bytes) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = entry.with_name(f"{entry.name}.{os.getpid()}")
        temporary.write_bytes(document)
        temporary.replace(entry)


def _fingerprint(request: Sequence[object], path: Sequence[str]) -> str:
    files = []
    for directory in path:
        for file in sorted(Path(directory).rglob("*.y[ai]*")):
            status = file.stat()
            files.append((str(file), status.st_size, status.st_mtime_ns))
    identity = orjson.dumps([_FORMAT, pyang.__version__, request, files])
    return hashlib.sha256(identity).hexdigest()[:32]


def _encoded(schema: Schema) -> dict[str, object]:
    return {
        "root": _encoded_node(schema.root),
        "namespaces": dict(schema.namespaces),
        "modules": dict(schema.modules),
        "identities": dict(schema.identities),
    }


def _encoded_node(node: SchemaNode) -> list[object]:
    """Every field in order, children last: a change of `SchemaNode` breaks this at once, not silently."""
    return [
        node.module,
        node.name,
        node.kind.value,
        node.type,
        list(node.keys),
        node.is_presence,
        node.is_config,
        node.is_user_ordered,
        node.default,
        node.mandatory,
        [_encoded_node(child) for child in node.children.values()],
    ]


def _decoded(document: dict[str, Any]) -> Schema:
    return Schema(_decoded_node(document["root"]), document["namespaces"], document["modules"], document["identities"])


def _decoded_node(fields: list[Any]) -> SchemaNode:
    module, name, kind, base, keys, is_presence, is_config, is_user_ordered, default, mandatory, children = fields
    nodes = [_decoded_node(child) for child in children]
    return SchemaNode(
        module=module,
        name=name,
        kind=NodeKind(kind),
        type=base,
        keys=tuple(keys),
        is_presence=is_presence,
        is_config=is_config,
        is_user_ordered=is_user_ordered,
        default=default,
        mandatory=mandatory,
        children={(node.module, node.name): node for node in nodes},
    )
