"""Owns dataclass to JSON and back, by the types that the fields declare: so that a change can be an event.

Compiled once per class. A field that equals its default is left out. Supports what the mapping's records are made of:
str, int, float, bool, None, tuples, optional values and records of these. Documents come from our own log: plain values
are taken as they are.
"""

import types
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from controller.model.errors import InvalidInputError

Json = Any
_Decoder = Callable[[Json], Any]


def to_json(value: Any) -> Json:
    """JSON of a record, a tuple of records, or a plain value."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    defaults = _defaults(cast("Hashable", type(value)))
    return {name: to_json(item) for name, default in defaults if (item := getattr(value, name)) != default}


def from_json(kind: Any, document: Json) -> Any:
    """The record that `to_json` was given; `InvalidInputError` when the document has another shape."""
    try:
        return _decoder(cast("Hashable", kind))(document)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"not the JSON of {kind}: {error}", tag="malformed-message") from error


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
    return _plain


def _plain(value: Json) -> Any:
    return value


def _record_decoder(kind: type[Any]) -> _Decoder:
    hints = get_type_hints(kind)
    decoders = ((f.name, _decoder(hints[f.name])) for f in fields(kind))
    nested = tuple((name, decode) for name, decode in decoders if decode is not _plain)

    def decode(document: Json) -> Any:
        values = dict(document)
        for name, decoder in nested:
            if name in values:
                values[name] = decoder(values[name])
        return kind(**values)

    return decode


def _tuple_decoder(arguments: tuple[Any, ...]) -> _Decoder:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _decoder(arguments[0])
        if item is _plain:
            return tuple
        return lambda document: tuple(map(item, document))
    decoders = tuple(_decoder(argument) for argument in arguments)
    if all(decode is _plain for decode in decoders):
        return _plain_tuple_decoder(len(decoders))
    return lambda document: tuple(decode(item) for decode, item in zip(decoders, document, strict=True))


def _plain_tuple_decoder(size: int) -> _Decoder:
    def decode(document: Json) -> Any:
        if len(document) != size:
            raise ValueError(f"{size} values expected, not {len(document)}")
        return tuple(document)

    return decode


def _optional_decoder(arguments: tuple[Any, ...]) -> _Decoder:
    decoders = [_decoder(argument) for argument in arguments if argument is not type(None)]
    if len(decoders) != 1:
        raise TypeError("a union of records needs its own codec")
    return lambda document: None if document is None else decoders[0](document)
