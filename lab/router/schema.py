"""Owns what the router knows about its YANG modules: light schema nodes, one set per process and module set (RFC 7950)."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModuleSet:
    """Which modules a router implements. `search_path` comes before pyang's own modules and our yang/ folder."""

    name: str
    modules: tuple[str, ...]
    search_path: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module of the set: what <hello>, yang-library and get-schema say about it."""

    name: str
    revision: str
    namespace: str
    features: tuple[str, ...]
    source: Path
    implemented: bool = True


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A leaf's type with typedefs resolved. `members` are a union's; a leafref carries its target's as `members[0]`."""

    base: str
    members: tuple["TypeInfo", ...] = ()
    enums: tuple[str, ...] = ()
    fraction_digits: int = 0


@dataclass(slots=True, eq=False)
class SchemaNode:
    """A data node. `children` is keyed by lxml tag and flattened over choices; `choices` holds (choice, case) outside in.

    kind: container, list, leaf, leaf-list, anydata, anyxml.
    """

    tag: str
    name: str
    module: str
    namespace: str
    kind: str
    config: bool = True
    order: int = 0
    parent: "SchemaNode | None" = None
    children: "dict[str, SchemaNode]" = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    """lxml tags of a list's keys, in the order of the key statement."""
    user_ordered: bool = False
    presence: bool = False
    mandatory: bool = False
    default: str | None = None
    type: TypeInfo | None = None
    choices: tuple[tuple[str, str], ...] = ()

    def child(self, name: str, module: str | None = None) -> "SchemaNode | None":
        """Find a child by local name, and module when given (else this node's module first, then any)."""
        raise NotImplementedError


class Schema:
    """A parsed module set: data tree, modules, validation context. Shared by all routers of the process."""

    module_set: ModuleSet
    root: SchemaNode
    """A nameless container that holds the top-level nodes of all modules."""
    modules: dict[str, ModuleInfo]
    namespaces: dict[str, str]
    """Namespace by module name."""
    module_names: dict[str, str]
    """Module name by namespace."""
    identities: dict[str, tuple[str, ...]]
    """Modules defining an identity, by its local name."""


def load_schema(module_set: ModuleSet) -> Schema:
    """Return the (cached) schema of a set. Raises LookupError naming a module that no search path holds."""
    raise NotImplementedError


def default_module_set() -> ModuleSet:
    """Return the `accord` set: IETF interfaces, IP, network instances, routing, and ours where present."""
    raise NotImplementedError
