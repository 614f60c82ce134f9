"""Owns the paths of data resources as a reader needs them (RFC 8040 3.5.3): what to GET, and what stands above it."""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from controller.model.errors import InvalidInputError

Prefix = tuple[str, str]
"""Namespace and name of a container above a resource."""


def resources(filters: Iterable[str]) -> list[str]:
    """The fewest resources that hold all the filters, in order.

    A resource below a list entry is read as the outermost entry: the answer does not tell the entry's key leaves, and
    without them what was read could not be placed. So a reading may hold more than was asked for, never less.
    """
    wanted: dict[str, None] = {}
    for path in filters:
        wanted[_to_outermost_entry(path.strip("/"))] = None
    return [path for path in wanted if not any(path.startswith(other + "/") for other in wanted)]


def _to_outermost_entry(path: str) -> str:
    steps = path.split("/")
    if not path or any(not step for step in steps):
        raise InvalidInputError("a filter is a data-resource path like 'module:container/list=key'", path=path)
    for index, step in enumerate(steps):
        if "=" in step:
            return "/".join(steps[: index + 1])
    return path


def containers_above(path: str, namespaces: Mapping[str, str]) -> list[Prefix]:
    """The containers above a resource path; `InvalidInputError` for a module the device did not tell."""
    module = ""
    above: list[Prefix] = []
    for step in path.split("/")[:-1]:
        prefix, colon, name = unquote(step).rpartition(":")
        module = prefix if colon else module
        if module not in namespaces:
            raise InvalidInputError(f"the device lists no module '{module}'", path=path, tag="unknown-namespace")
        above.append((namespaces[module], name))
    return above
