"""Owns turning YANG modules into `controller.datastore.schema.Schema` (RFC 7950), with pyang as the parser.

Choice and case disappear, augments and deviations are applied, types are resolved through typedefs and leafrefs to
their built-in base. A parsed set is kept for the life of the process: schemas are never changed. pyang itself is loaded
when there is something to parse: a start that finds its schemas in the cache does without.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.adapters.resources import shared_directory, standard_yang_directories
from controller.adapters.yang_schema_cache import SchemaCache
from controller.datastore.schema import NodeKind, Schema, SchemaNode
from controller.model.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pyang.context import Context

PROFILE_MODULES: Mapping[str, tuple[str, ...]] = {
    "ietf": (
        "ietf-interfaces",
        "iana-if-type",
        "ietf-ip",
        "ietf-network-instance",
        "ietf-routing",
        "accord-router",
    ),
    "openconfig": (
        "openconfig-interfaces",
        "openconfig-if-ip",
        "openconfig-if-ethernet",
        "openconfig-vlan",
        "openconfig-network-instance",
        "openconfig-routing-policy",
        "openconfig-qos",
        "openconfig-bfd",
        "iana-if-type",
    ),
    "otn": ("accord-otn",),
}
"""The modules of each device profile. Those of OpenConfig come from the configured search path: no wheel has them."""

Features = Mapping[str, Sequence[str]]
"""Module name -> the features it supports. A module that is not named supports all of its features."""

_KINDS = {kind.value: kind for kind in NodeKind}
_FLATTENED = {"choice", "case"}
_MAJOR = 2
"""pyang's levels: 1 critical, 2 major, 3 minor, 4 warning. Published modules have minor ones; they are usable."""

_schemas: dict[object, Schema] = {}
_parsing = threading.RLock()
"""pyang keeps tables of its own for the whole process."""


def default_search_path() -> tuple[str, ...]:
    """Directories with the published IETF and IANA modules and with our own."""
    return (*(str(directory) for directory in standard_yang_directories()), str(shared_directory("yang")))


def load_schema(
    modules: Sequence[str],
    search_path: Sequence[str] = (),
    *,
    features: Features | None = None,
    cache: Path | None = None,
) -> Schema:
    """The schema of a device that implements `modules` (`name` or `name@revision`, the newest found if none is named).

    Directories are searched recursively; an empty `search_path` means the default one. With `cache`, a directory, a
    parsed set is also kept between processes. Raises `NotFoundError` for a module that is in none of the directories,
    `InvalidInputError` with file and line for a module that does not compile.
    """
    path = tuple(search_path) or default_search_path()
    wanted = {name: tuple(sorted(names)) for name, names in (features or {}).items()}
    key = (tuple(modules), path, tuple(sorted(wanted.items())))

    def build() -> Schema:
        return _Builder(compile_modules(modules, path, wanted)).build(modules)

    with _parsing:
        if key not in _schemas:
            _schemas[key] = SchemaCache(cache).get_or_build(key, path, build) if cache else build()
        return _schemas[key]


def compile_modules(modules: Sequence[str], path: Sequence[str], features: Features) -> "Context":
    """A validated pyang context holding `modules` and what they import; errors as `load_schema` has them."""
    with _parsing:
        return _compile(modules, path, features)


def _compile(modules: Sequence[str], path: Sequence[str], features: Features) -> "Context":
    from pyang import error as pyang_error
    from pyang.context import Context
    from pyang.repository import FileRepository

    existing = [str(Path(directory)) for directory in path if Path(directory).is_dir()]
    context = Context(FileRepository(os.pathsep.join(existing), use_env=False))
    context.features = {name: list(names) for name, names in features.items()}
    here = pyang_error.Position("accord")
    for module in modules:
        name, _, revision = module.partition("@")
        if context.search_module(here, name, revision or None, primary_module=True) is None:
            _refuse_errors(context)
            raise NotFoundError(f"YANG module '{module}' is not on the search path", path=os.pathsep.join(path))
    context.validate()
    _refuse_errors(context)
    for statement in context.modules.values():
        statement.prune()
    return context


def _refuse_errors(context: "Context") -> None:
    """Raise for what makes a module unusable, in pyang's own words."""
    from pyang import error as pyang_error

    words = [
        f"{position}: {pyang_error.err_to_str(tag, arguments)}"
        for position, tag, arguments in context.errors
        if pyang_error.err_level(tag) <= _MAJOR and tag not in {"MODULE_NOT_FOUND", "MODULE_NOT_FOUND_REV"}
    ]
    missing = [
        str(arguments) for _, tag, arguments in context.errors if tag in {"MODULE_NOT_FOUND", "MODULE_NOT_FOUND_REV"}
    ]
    if missing:
        raise NotFoundError(f"YANG modules not on the search path: {', '.join(sorted(set(missing)))}")
    if words:
        raise InvalidInputError(f"YANG modules do not compile: {'; '.join(words[:3])}")


@dataclass(slots=True)
class _Builder:
    """Walks one compiled context. pyang is untyped: statements are `Any` here and nowhere else."""

    context: "Context"
    namespaces: dict[str, str] = field(default_factory=dict)

    def build(self, modules: Sequence[str]) -> Schema:
        """The schema with the data nodes of `modules`, and of whatever augments them, below one root."""
        root = SchemaNode(module="", name="", kind=NodeKind.CONTAINER)
        for statement in self._modules():
            self.namespaces[statement.arg] = statement.search_one("namespace").arg
        for name in modules:
            self._add_children(root, self._module(name))
        inverse = {namespace: name for name, namespace in self.namespaces.items()}
        return Schema(root, self.namespaces, inverse, self._identities(modules))

    def _modules(self) -> Iterator[Any]:
        return (statement for statement in self.context.modules.values() if statement.keyword == "module")

    def _module(self, module: str) -> Any:
        name, _, revision = module.partition("@")
        return self.context.get_module(name, revision or None)

    def _identities(self, modules: Sequence[str]) -> dict[str, str]:
        """Identity -> module; where two modules define one name, the one that was asked for first holds it."""
        ordered = [self._module(name) for name in modules] + list(self._modules())
        found: dict[str, str] = {}
        for statement in ordered:
            for name in statement.i_identities:
                found.setdefault(name, statement.arg)
        return found

    def _add_children(self, parent: SchemaNode, statement: Any) -> None:
        for child in statement.i_children:
            if child.keyword in _FLATTENED:
                self._add_children(parent, child)
            elif child.keyword in _KINDS:
                node = _node(child)
                parent.children[node.module, node.name] = node
                if hasattr(child, "i_children"):
                    self._add_children(node, child)


def _node(statement: Any) -> SchemaNode:
    """One data node, without its children."""
    kind = _KINDS[statement.keyword]
    base = _base_type(statement) if kind in {NodeKind.LEAF, NodeKind.LEAF_LIST} else ""
    ordered_by = statement.search_one("ordered-by")
    return SchemaNode(
        module=statement.i_module.i_modulename,
        name=statement.arg,
        kind=kind,
        type=base,
        keys=tuple(key.arg for key in getattr(statement, "i_key", None) or ()),
        is_presence=statement.search_one("presence") is not None,
        is_config=bool(statement.i_config),
        is_user_ordered=ordered_by is not None and ordered_by.arg == "user",
        default=_default(statement, base) if kind is NodeKind.LEAF else None,
        mandatory=_is_mandatory(statement),
    )


def _base_type(leaf: Any) -> str:
    """The built-in type; a leafref's is its target's (RFC 7950 9.9)."""
    kind = leaf.search_one("type")
    while kind.i_typedef is not None:
        kind = kind.i_typedef.search_one("type")
    if kind.arg == "leafref" and leaf.i_leafref_ptr is not None:
        return _base_type(leaf.i_leafref_ptr[0])
    return str(kind.arg)


def _default(leaf: Any, base: str) -> str | None:
    """The default in use, also a typedef's; an identityref's as `module:name` (RFC 7951 6.8)."""
    if leaf.i_default is None:
        return None
    if base == "identityref":
        identity = leaf.i_default
        return f"{identity.i_module.i_modulename}:{identity.arg}"
    return str(leaf.i_default_str)


def _is_mandatory(statement: Any) -> bool:
    """Whether the node must be there wherever its parent is; inside a choice, wherever its case is."""
    mandatory = statement.search_one("mandatory")
    least = statement.search_one("min-elements")
    return (mandatory is not None and mandatory.arg == "true") or (least is not None and int(least.arg) > 0)
