"""Owns the paths of data resources as a reader needs them (RFC 8040 3.5.3): what to GET, and what stands above it."""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from controller.model.errors import InvalidInputError

Namespaces = Mapping[str, str]
"""Module name -> namespace, as far as the device tells."""
Ancestor = tuple[str, str]
"""Namespace and name of a container above a resource."""


def resources(filters: Iterable[str], namespaces: Namespaces) -> list[str]:
    """The fewest resources that hold all the filters and can be placed in a tree, in order.

    A resource below a list entry is read as the outermost entry: the answer does not tell the entry's key leaves. Where
    the namespace of a container above is not known, the top-level resource is read. So a reading may hold more than was
    asked for, never less.
    """
    wanted = dict.fromkeys(_placeable(path.strip("/"), namespaces) for path in filters)
    return [path for path in wanted if not any(path.startswith(other + "/") for other in wanted)]


def _placeable(path: str, namespaces: Namespaces) -> str:
    steps = path.split("/")
    if not all(steps):
        raise InvalidInputError("a filter is a data-resource path like 'module:container/list=key'", path=path)
    entries = [index for index, step in enumerate(steps) if "=" in step]
    shortened = "/".join(steps[: entries[0] + 1]) if entries else path
    known = all(namespace for namespace, _ in ancestors(shortened, namespaces))
    return shortened if known else steps[0]


def ancestors(path: str, namespaces: Namespaces) -> list[Ancestor]:
    """The containers above a resource path; the namespace is empty where the device does not tell it."""
    module = ""
    above: list[Ancestor] = []
    for step in path.split("/")[:-1]:
        prefix, colon, name = unquote(step).rpartition(":")
        module = prefix if colon else module
        above.append((namespaces.get(module, ""), name))
    return above
