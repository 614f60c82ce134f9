"""Owns what a router knows of its YANG modules: light nodes, read once per process and module set (RFC 7950)."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import oopt_gnpy_libyang as libyang

Kind = Literal["container", "list", "leaf", "leaf-list", "anydata", "anyxml"]

SERVER_MODULES = (
    "ietf-yang-library",
    "ietf-netconf-monitoring",
    "ietf-netconf-with-defaults",
    "ietf-netconf-notifications",
)
"""What every router has besides its model."""


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
    prefix: str
    features: tuple[str, ...]
    text: str
    implemented: bool = True


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A leaf's type with typedefs resolved. `members` are a union's; a leafref has its target's as `members[0]`."""

    base: str
    members: tuple["TypeInfo", ...] = ()
    enums: tuple[str, ...] = ()
    fraction_digits: int = 0

    def resolved(self) -> "TypeInfo":
        """Return the type that values have: a leafref's target's."""
        return self.members[0].resolved() if self.base == "leafref" and self.members else self


@dataclass(slots=True, eq=False)
class SchemaNode:
    """A data node. `children` is keyed by lxml tag, flattened over choices; `choices`: (choice, case), outside in."""

    tag: str
    name: str
    module: str
    namespace: str
    kind: Kind
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
    prefixed: bool = False
    """A value here or below may need a prefix for a namespace already in scope: libxml2 drops it in a move."""

    def child(self, name: str, module: str | None = None) -> "SchemaNode | None":
        """Find a child by local name, in `module` when given, else in this node's own module first, then in any."""
        found = [node for node in self.children.values() if node.name == name and module in {None, node.module}]
        own = [node for node in found if node.module == self.module]
        return next(iter(own or found), None)

    @property
    def pruned_when_empty(self) -> bool:
        """True of a container without presence: it means nothing by itself (RFC 7950 section 7.5.1)."""
        return self.kind == "container" and not self.presence


@dataclass(slots=True, eq=False)
class Schema:
    """A parsed module set: data tree, modules, validation context. Shared by all routers of the process."""

    module_set: ModuleSet
    root: SchemaNode
    """A nameless container that holds the top-level nodes of all modules."""
    modules: dict[str, ModuleInfo]
    context: libyang.Context
    namespaces: dict[str, str]
    """Namespace by module name."""
    module_names: dict[str, str]
    """Module name by namespace."""
    identities: dict[str, tuple[str, ...]]
    """Modules defining an identity, by its local name."""


def load_schema(module_set: ModuleSet) -> Schema:
    """Return the schema of a set, read once. Raises LookupError naming a module that no search path holds."""
    return _load(module_set)


@functools.cache
def _load(module_set: ModuleSet) -> Schema:
    from lab.router.schema_loader import load  # pyang takes its time: only who loads a schema pays

    return load(module_set)


def default_module_set() -> ModuleSet:
    """Return the `accord` set: IETF interfaces, IP, network instances, routing, and ours where present."""
    from lab.router.schema_loader import has_module

    names = ("ietf-interfaces", "iana-if-type", "ietf-ip", "ietf-network-instance", "ietf-routing")
    return ModuleSet("accord", (*names, "accord-router") if has_module("accord-router") else names)
