"""Holds a dashboard's JSON against Grafana's schema, as its builders' models have it: members known, types right.

The builders take what they are given; a width in quotes or a misspelt mode would be seen in a browser only.
"""

import re
from collections.abc import Iterator
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard, prometheus, stat, statetimeline, timeseries

_PLUGINS = {"stat": stat, "state-timeline": statetimeline, "timeseries": timeseries}
_PLAIN = {str, bool, int, float}


def faults(document: dict[str, Any]) -> list[str]:
    """What is wrong and where; nothing for a dashboard that Grafana's schema allows."""
    return [*_object(document, dashboard.Dashboard, "dashboard")]


def _object(value: Any, model: type, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: {value!r} is not an object"
        return
    hints = get_type_hints(model)
    for key, member in value.items():
        name = re.sub(r"([A-Z])", r"_\1", key).lower()
        hint = hints.get(name, hints.get(f"{name}_val"))
        if hint is None:
            yield f"{at}.{key}: {model.__name__} has no such member"
        else:
            yield from _value(member, hint, f"{at}.{key}")
    if model is dashboard.Panel:
        yield from _plugin(value, at)


def _plugin(panel: dict[str, Any], at: str) -> Iterator[str]:
    """What a panel's kind says of its options, which the schema of dashboards leaves open."""
    plugin = _PLUGINS.get(panel["type"])
    if plugin is None:
        yield f"{at}.type: no panel '{panel['type']}'"
        return
    yield from _object(panel["options"], plugin.Options, f"{at}.options")
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    yield from _object(custom, getattr(plugin, "FieldConfig", object), f"{at}.fieldConfig.defaults.custom")


def _value(value: Any, hint: Any, at: str) -> Iterator[str]:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        yield from _one_of(value, parts, at)
    elif origin is list and isinstance(value, list):
        for number, member in enumerate(value):
            yield from _value(member, parts[0], f"{at}[{number}]")
    elif origin is dict and isinstance(value, dict):
        for key, member in value.items():
            yield from _value(member, parts[1], f"{at}.{key}")
    elif origin in {list, dict, Literal} or hint in _PLAIN or issubclass(hint, Enum):
        yield from () if _is_leaf(value, hint) else (f"{at}: {value!r} is not {hint}",)
    elif hint is not object:
        yield from _object(value, prometheus.Dataquery if hint is Dataquery else hint, at)


def _is_leaf(value: Any, hint: Any) -> bool:
    """Whole numbers are numbers too; true and false are none."""
    if get_origin(hint):
        return value in get_args(hint) if get_origin(hint) is Literal else False
    if hint not in _PLAIN:
        return value in [one.value for one in hint]
    allowed = (int, float) if hint is float else hint
    return isinstance(value, allowed) and isinstance(value, bool) == (hint is bool)


def _one_of(value: Any, parts: tuple[Any, ...], at: str) -> Iterator[str]:
    """The faults of the choice that fits best; a row is told from a panel by its type."""
    if dashboard.RowPanel in parts:
        parts = (dashboard.RowPanel if value["type"] == "row" else dashboard.Panel,)
    if value is None:
        yield from () if NoneType in parts else (f"{at}: must be there",)
        return
    yield from min(([*_value(value, part, at)] for part in parts if part is not NoneType), key=len)
