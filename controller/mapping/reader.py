"""Owns reading an L3SM instance (RFC 7951 JSON) so that nothing in it is ignored.

A `Reader` hands out values and remembers which were taken. `finish` refuses the first value that nobody took, with its
path. So a node is supported only if some code reads it; everything else is refused by construction.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from controller.mapping.refusals import reason_of
from controller.model.errors import InvalidInputError, NotSupportedError

MODULE: Final = "ietf-l3vpn-svc"
ROOT: Final = f"/{MODULE}:l3vpn-svc"
Json = Any
_INTEGER = re.compile(r"^[+-]?\d+$")


class Reader:
    """One container or list entry; paths are instance-identifiers, list keys included."""

    __slots__ = ("_children", "_containers", "_node", "_path", "_unread")

    def __init__(self, node: Json, path: str) -> None:
        if not isinstance(node, dict):
            raise InvalidInputError("an object is needed here", path=path)
        self._path = path
        self._node: dict[str, Any] = {_local(name): value for name, value in node.items()}
        self._unread = set(self._node)
        self._children: list[Reader] = []
        self._containers: dict[str, Reader] = {}

    @property
    def path(self) -> str:
        """Where this node stands."""
        return self._path

    def at(self, name: str) -> str:
        """Path of a child, for errors."""
        return f"{self._path}/{name}"

    def has(self, name: str) -> bool:
        """Whether a child is there; does not count as reading it."""
        return name in self._node

    def refuse(self, name: str, message: str, remedy: str = "") -> NotSupportedError:
        """The error that refuses a child."""
        return NotSupportedError(message, path=self.at(name), remedy=remedy)

    def wrong(self, name: str, message: str, remedy: str = "") -> InvalidInputError:
        """The error that calls a child wrong."""
        return InvalidInputError(message, path=self.at(name), remedy=remedy)

    def _take(self, name: str) -> Any:
        self._unread.discard(name)
        return self._node.get(name)

    def child(self, name: str) -> "Reader":
        """A container; an absent one reads as empty."""
        known = self._containers.get(name)
        if known is not None:
            return known
        reader = Reader(self._node.get(name, {}), self.at(name))
        self._unread.discard(name)
        self._children.append(reader)
        self._containers[name] = reader
        return reader

    def entries(self, name: str, *keys: str) -> Iterator["Reader"]:
        """The entries of a list, in document order."""
        items = self._take(name)
        if items is None:
            return
        if not isinstance(items, list):
            raise self.wrong(name, "a list is needed here")
        for item in items:
            reader = Reader(item, self.at(name))
            reader._path += "".join(f"[{key}='{_local_identity(reader._node.get(key))}']" for key in keys)
            self._children.append(reader)
            yield reader

    def text(self, name: str, default: str = "") -> str:
        """A string leaf."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "a string is needed here")
        return value

    def required(self, name: str) -> str:
        """A string leaf that has to be there."""
        value = self.text(name)
        if not value:
            raise self.wrong(name, f"'{name}' is needed", "add it")
        return value

    def identity(self, name: str, default: str = "") -> str:
        """An identityref, without its module prefix."""
        return _local(self.text(name, default))

    def integer(self, name: str, low: int = 0, high: int = 2**64 - 1) -> int | None:
        """A number leaf; 64-bit ones come as strings (RFC 7951 6.1)."""
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, str)) or not _INTEGER.match(str(value)):
            raise self.wrong(name, "a whole number is needed here")
        if not low <= int(value) <= high:
            raise self.wrong(name, f"{value} is outside {low}..{high}")
        return int(value)

    def identity_or_number(self, name: str) -> str | int | None:
        """A union of an identityref and a number; None when it is not there."""
        value = self._node.get(name)
        if isinstance(value, str) and not _INTEGER.match(value):
            return self.identity(name)
        return self.integer(name)

    def percent(self, name: str) -> str:
        """A decimal64 of 0 to 100 in canonical form, or ''."""
        value = self._take(name)
        if value is None:
            return ""
        try:
            number = Decimal(str(value))
        except InvalidOperation as error:
            raise self.wrong(name, "a decimal number is needed here") from error
        if not 0 <= number <= 100:
            raise self.wrong(name, f"{value} is outside 0..100")
        return canonical_decimal(number)

    def boolean(self, name: str, *, default: bool) -> bool:
        """A boolean leaf."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false is needed here")
        return value

    def empty(self, name: str) -> bool:
        """A leaf of type empty, `[null]` in JSON: whether it is there."""
        if name not in self._node:
            return False
        if self._take(name) != [None]:
            raise self.wrong(name, "an empty leaf is written [null]")
        return True

    def texts(self, name: str) -> tuple[str, ...]:
        """A leaf-list."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, "a list of strings is needed here")
        return tuple(value)

    def address(self, name: str, family: str) -> str:
        """An address of the family in canonical text, or ''."""
        return self._network_text(name, self.text(name), canonical_address, family)

    def prefix(self, name: str, family: str) -> str:
        """A prefix of the family in canonical text, or ''."""
        return self._network_text(name, self.text(name), canonical_prefix, family)

    def addresses(self, name: str, family: str) -> tuple[str, ...]:
        """A leaf-list of addresses."""
        return tuple(self._network_text(name, item, canonical_address, family) for item in self.texts(name))

    def prefixes(self, name: str, family: str) -> tuple[str, ...]:
        """A leaf-list of prefixes."""
        return tuple(self._network_text(name, item, canonical_prefix, family) for item in self.texts(name))

    def _network_text(self, name: str, value: str, canonical: Callable[[str, str], str], family: str) -> str:
        if not value:
            return ""
        try:
            return canonical(value, family)
        except ValueError as error:
            raise self.wrong(name, f"'{value}' is not of family {family}: {error}") from error

    def finish(self) -> None:
        """Refuse the first value below here that was not read."""
        for name in self._node:
            if name in self._unread and not _is_void(self._node[name]):
                path, schema_path = _first_leaf(self._node[name], self.at(name))
                raise NotSupportedError(
                    reason_of(schema_path), path=path, remedy="remove the node", tag="operation-not-supported"
                )
        for child in self._children:
            child.finish()


def canonical_decimal(number: Decimal) -> str:
    """Canonical decimal64: at least one digit after the point, no more than needed (RFC 7950 9.3.2)."""
    text = f"{number:.5f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def canonical_address(text: str, family: str) -> str:
    """Canonical address of a family; `ValueError` otherwise."""
    return str(ipaddress.IPv6Address(text) if family == "ipv6" else ipaddress.IPv4Address(text))


def canonical_prefix(text: str, family: str) -> str:
    """Canonical prefix of a family, host bits cleared (RFC 6991); `ValueError` otherwise."""
    if family == "ipv6":
        return str(ipaddress.IPv6Network(text, strict=False))
    return str(ipaddress.IPv4Network(text, strict=False))


def _local(name: str) -> str:
    return name.rpartition(":")[2] if name.startswith(f"{MODULE}:") else name


def _local_identity(value: Any) -> str:
    return _local(value) if isinstance(value, str) else str(value)


def _is_void(value: Json) -> bool:
    """Containers without presence say nothing while they hold nothing (RFC 7950 7.5.1)."""
    return value == [] or (isinstance(value, dict) and all(map(_is_void, value.values())))


def _first_leaf(value: Json, path: str) -> tuple[str, str]:
    """Path of the first leaf in an unread value, and the schema path to look a reason up by."""
    while True:
        if isinstance(value, dict) and value:
            name = next(name for name in value if not _is_void(value[name]))
            value, path = value[name], f"{path}/{_local(name)}"
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            value = value[0]
        else:
            return path, re.sub(r"\[[^\]]*='[^']*'\]", "", path)
