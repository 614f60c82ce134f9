"""Owns the words that dashboards are described in: a board has rows, a row has panels, a panel asks queries.

In queries `$job` is the job that scrapes the daemon; its devices are scraped by `${job}-devices` (`prometheus.yml`).
"""

from dataclasses import dataclass, field
from enum import StrEnum

AT_JOB = 'job="$job"'
AT_DEVICES = 'job="${job}-devices"'
RATE = "[$__rate_interval]"


class Kind(StrEnum):
    """How a panel is drawn."""

    STAT = "stat"
    GRAPH = "timeseries"
    STATES = "state-timeline"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A question and how its answer is drawn. `width` is in 24ths of the page.

    `thresholds` are the values from which on it is amber and red, falling when the first is greater. `words` stand for
    values; `alerts` watch the same thing, and the description names their runbooks.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = Kind.GRAPH
    width: int = 12
    height: int = 8
    thresholds: tuple[float, float] | None = None
    words: tuple[tuple[str, str, str], ...] = ()
    """Value, text, colour."""
    alerts: tuple[str, ...] = ()
    is_stacked: bool = False
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. `rows` are titled; `with_device` adds the choice of one device."""

    name: str
    title: str
    description: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...] = field(default=())
    with_device: bool = False

    @property
    def uid(self) -> str:
        """What links to the dashboard hold on to."""
        return f"accord-{self.name}"


def stat(
    title: str, description: str, unit: str, expr: str, *, width: int = 4, legend: str = "", **more: object
) -> Panel:
    """One number, or one for each series."""
    return Panel(
        title,
        description,
        unit,
        (Query(expr, legend),),
        kind=Kind.STAT,
        width=width,
        height=4,
        **more,  # type: ignore[arg-type]
    )


def quantiles(family: str, by: str = "", of: str = AT_JOB) -> tuple[Query, ...]:
    """Median and 95th percentile of a histogram, or the latter for each value of one label."""
    if by:
        return (
            Query(
                f"histogram_quantile(0.95, sum by ({by}, le) (rate({family}_bucket{{{of}}}{RATE})))", f"{{{{{by}}}}}"
            ),
        )
    return tuple(
        Query(f"histogram_quantile({share}, sum by (le) (rate({family}_bucket{{{of}}}{RATE})))", legend)
        for share, legend in (("0.5", "median"), ("0.95", "95th percentile"))
    )
