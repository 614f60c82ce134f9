"""Owns dataclass to JSON and back, by the types that the fields declare: so that a change can be an event.

Compiled once per class. A field that equals its default is left out. Supports what the mapping's records are made of:
str, int, bool, None, tuples, optional values, unions of dataclasses (by a `kind` the caller gives) and dataclasses.
"""

import types
from collections.abc import Callable, Hashable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from controller.model.errors import InvalidInputError

Json = Any
_Decoder = Callable[[Json], Any]
_PLAIN = (str, int, bool, type(None))


def to_json(value: Any) -> Json:
    """JSON of a record, a tuple of records, or a plain value."""
    if isinstance(value, (str, int, bool, type(None))):
        return value
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    defaults = _defaults(cast("Hashable", type(value)))
    return {name: to_json(item) for name, default in defaults if (item := getattr(value, name)) != default}


def from_json(kind: type[Any], document: Json) -> Any:
    """The record that `to_json` was given; `InvalidInputError` when the document has another shape."""
    try:
        return _decoder(cast("Hashable", kind))(document)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"not the JSON of a {kind.__name__}: {error}", tag="malformed-message") from error


@cache
def _defaults(kind: Hashable) -> tuple[tuple[str, Any], ...]:
    if not is_dataclass(kind):
        raise TypeError(f"{kind} is not a record")
    return tuple((field.name, field.default) for field in fields(kind))


@cache
def _decoder(hint: Hashable) -> _Decoder:
    if isinstance(hint, type) and is_dataclass(hint):
        return _record_decoder(hint)
    origin = get_origin(hint)
    if origin is tuple:
        return _tuple_decoder(get_args(hint))
    if origin in {Union, types.UnionType}:
        return _optional_decoder(get_args(hint))
    return _identity


def _identity(value: Json) -> Any:
    if isinstance(value, (dict, list)):
        raise TypeError(f"unexpected {type(value).__name__}")
    return value


def _record_decoder(kind: type[Any]) -> _Decoder:
    hints = get_type_hints(kind)
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    decoders = {f.name: _decoder(hints[f.name]) for f in fields(kind)}

    def decode(document: Json) -> Any:
        if missing := required - document.keys():
            raise KeyError(f"missing {sorted(missing)}")
        return kind(**{name: decoders[name](item) for name, item in document.items()})

    return decode


def _tuple_decoder(arguments: tuple[Any, ...]) -> _Decoder:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _decoder(arguments[0])
        return lambda document: tuple(map(item, document))
    decoders = tuple(_decoder(argument) for argument in arguments)
    return lambda document: tuple(decode(item) for decode, item in zip(decoders, document, strict=True))


def _optional_decoder(arguments: tuple[Any, ...]) -> _Decoder:
    decoders = [_decoder(argument) for argument in arguments if argument is not type(None)]
    if len(decoders) != 1:
        raise TypeError("a union of records needs its own codec")
    return lambda document: None if document is None else decoders[0](document)
