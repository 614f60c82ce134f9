"""Owns the way from a described board to Grafana's JSON, through Grafana's own builders (schema 41, Grafana 11.6)."""

import json
from pathlib import Path

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

from config.grafana.source.panel import Board, Kind, Panel

RUNBOOKS = "config/prometheus/runbooks"
_SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
_AMBER, _RED, _GREEN = "#EAB839", "red", "green"
_Drawn = stat.Panel | timeseries.Panel | statetimeline.Panel


def text_of(board: Board) -> str:
    """The dashboard's file, the same bytes each time."""
    made = builder.Dashboard(board.title).uid(board.uid).description(board.description).tags(["accord"]).readonly()
    made = made.time("now-6h", "now").refresh("30s").timezone("browser")
    made = made.tooltip(dashboard.DashboardCursorSync.CROSSHAIR).link(_to_the_others())
    for variable in _variables(board):
        made = made.with_variable(variable)
    number = 0
    for title, panels in board.rows:
        number += 1
        made = made.with_row(builder.Row(title).id(number))
        for panel in panels:
            number += 1
            made = made.with_panel(_panel(panel, number))
    document = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    for variable in document["templating"]["list"]:
        # The builders give every kind of variable the members of an interval, which Grafana's schema has for that only.
        for member in ("auto", "auto_count", "auto_min"):
            del variable[member]
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(boards: tuple[Board, ...], directory: Path) -> None:
    """All of them, and nothing else stays in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for stale in directory.glob("*.json"):
        stale.unlink()
    for board in boards:
        (directory / f"{board.name}.json").write_text(text_of(board), encoding="utf-8")


def _to_the_others() -> builder.DashboardLink:
    link = builder.DashboardLink("accord").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["accord"])
    return link.as_dropdown(as_dropdown=True).include_vars(include_vars=True).keep_time(keep_time=True)


def _variables(board: Board) -> list[builder.DatasourceVariable | builder.QueryVariable]:
    found: list[builder.DatasourceVariable | builder.QueryVariable] = [
        builder.DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
        _choice("job", "Controller", "label_values(accord_build_info, job)"),
    ]
    if board.with_device:
        found.append(_choice("device", "Device", 'label_values(accord_device_up{job="$job"}, device)'))
    return found


def _choice(name: str, label: str, query: str) -> builder.QueryVariable:
    variable = builder.QueryVariable(name).label(label).datasource(_SOURCE).query(query)
    variable = variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(dashboard.VariableSort.ALPHABETICAL_ASC)


def _panel(panel: Panel, number: int) -> _Drawn:
    drawn = _look(panel).id(number).title(panel.title).description(_described(panel)).unit(panel.unit)
    drawn = drawn.datasource(_SOURCE).span(panel.width).height(panel.height).min(0)
    if panel.maximum is not None:
        drawn = drawn.max(panel.maximum)
    if panel.thresholds:
        drawn = drawn.thresholds(_steps(*panel.thresholds))
    if panel.words:
        words = {value: dashboard.ValueMappingResult(text=text, color=color) for value, text, color in panel.words}
        drawn = drawn.mappings([dashboard.ValueMap(options=words)])
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(_SOURCE)
        target = target.legend_format(query.legend or "__auto")
        drawn = drawn.with_target(_timed(target, panel.kind))
    return drawn


def _timed(target: prometheus.Dataquery, kind: Kind) -> prometheus.Dataquery:
    return target.instant() if kind is Kind.STAT else target.range()


def _described(panel: Panel) -> str:
    """What it shows, and where it is told what to do when an alert on it fires."""
    told = [f"Alert {alert}: {RUNBOOKS}/{alert}.md." for alert in panel.alerts]
    return "\n\n".join((panel.description, *told))


def _steps(amber: float, red: float) -> builder.ThresholdsConfig:
    """Good below amber and bad from red on, or the other way round where amber is above red."""
    colors = (_GREEN, _AMBER, _RED) if amber <= red else (_RED, _AMBER, _GREEN)
    values = (None, min(amber, red), max(amber, red))
    steps = [dashboard.Threshold(value=value, color=color) for value, color in zip(values, colors, strict=True)]
    return builder.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _look(panel: Panel) -> _Drawn:
    """The panel of its kind."""
    if panel.kind is Kind.STAT:
        newest = common_builder.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
        color = common.BigValueColorMode.VALUE if panel.thresholds or panel.words else common.BigValueColorMode.NONE
        drawn = stat.Panel().graph_mode(common.BigValueGraphMode.NONE).color_mode(color).reduce_options(newest)
        is_named = any(query.legend for query in panel.queries)
        return drawn.text_mode(common.BigValueTextMode.VALUE_AND_NAME if is_named else common.BigValueTextMode.AUTO)
    if panel.kind is Kind.STATES:
        return statetimeline.Panel().show_value(common.VisibilityMode.NEVER).row_height(0.8)
    legend = common_builder.VizLegendOptions().show_legend(show_legend=True)
    legend = legend.display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM)
    every = common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    graph = timeseries.Panel().legend(legend).tooltip(every).show_points(common.VisibilityMode.NEVER)
    if panel.is_stacked:
        stacked = common_builder.StackingConfig().mode(common.StackingMode.NORMAL)
        graph = graph.stacking(stacked).fill_opacity(20)
    return graph
