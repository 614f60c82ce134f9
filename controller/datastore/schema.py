"""Owns what the core knows of a YANG schema: enough to encode, decode and diff instance data (RFC 7950).

Built by an adapter that parses modules (`controller.adapters.yang_schema`); here it is plain data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.model.errors import InvalidInputError
from controller.model.yang_path import Path, format_path


class NodeKind(StrEnum):
    """Kinds of data nodes; choice and case do not occur in data and are left out."""

    CONTAINER = "container"
    LIST = "list"
    LEAF = "leaf"
    LEAF_LIST = "leaf-list"


@dataclass(slots=True, eq=False)
class SchemaNode:
    """One data node of the schema tree. `type` is the built-in base type; children are keyed (module, name)."""

    module: str
    name: str
    kind: NodeKind
    type: str = ""
    keys: tuple[str, ...] = ()
    is_presence: bool = False
    is_config: bool = True
    is_user_ordered: bool = False
    default: str | None = None
    mandatory: bool = False
    children: dict[tuple[str, str], "SchemaNode"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Schema:
    """The compiled schema of one device type: its root's children, and each module's namespace."""

    root: SchemaNode
    namespaces: Mapping[str, str]
    modules: Mapping[str, str] = field(default_factory=dict)
    """Module name -> namespace's inverse: namespace -> module name."""
    identities: Mapping[str, str] = field(default_factory=dict)
    """Identity name -> defining module, for identityref values written without a prefix."""

    def node(self, path: Path) -> SchemaNode:
        """The schema node of a data path; `InvalidInputError` naming the path when there is none."""
        node = self.root
        for step in path:
            child = node.children.get((step.module, step.name))
            if child is None:
                raise InvalidInputError(
                    f"no node '{step.module}:{step.name}' in the schema",
                    path=format_path(path),
                    tag="unknown-element",
                )
            node = child
        return node
