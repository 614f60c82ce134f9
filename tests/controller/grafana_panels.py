"""Reads the dashboards in `config/grafana/dashboards` for tests: their panels, queries, and what queries select."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "config" / "grafana" / "dashboards"
FILES = sorted(DASHBOARDS.glob("*.json"))
SAMPLE = {"$__rate_interval": "5m", "$__range": "10m", "${job}": "accord", "$job": "accord", "$device": "pe-london"}


@dataclass(frozen=True)
class Asked:
    """A query of a panel, as Grafana sends it."""

    dashboard: str
    panel: str
    expression: str

    def __str__(self) -> str:
        return f"{self.dashboard}, {self.panel}: {self.expression}"


def read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8")))


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that asks something; rows are none."""
    for panel in dashboard["panels"]:
        yield from (panel, *panel.get("panels", ())) if panel["type"] != "row" else panel.get("panels", ())


def queries(dashboard: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Asked]:
    """Every query with its variables set."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Asked(dashboard["uid"], panel["title"], with_values(target["expr"], values))


def with_values(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def nodes(expression: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node of the parsed expression, with those that it stands in, outermost first."""
    pending: list[tuple[Any, tuple[Any, ...]]] = [(promql_parser.parse(expression), ())]
    while pending:
        node, above = pending.pop()
        yield node, above
        parts = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
        parts += list(getattr(node, "args", ()))
        pending += [(part, (*above, node)) for part in parts if part is not None]


def selectors(expression: str) -> set[str]:
    """The series that it selects."""
    return {node.prettify() for node, _ in nodes(expression) if isinstance(node, promql_parser.VectorSelector)}
