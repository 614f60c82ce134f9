"""The dashboards are what their source says, and keep the rules that make them work in anybody's Grafana."""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from config.grafana.source.boards import BOARDS
from config.grafana.source.build import text_of, write
from tests.controller.grafana_panels import DASHBOARDS, FILES, ROOT, SAMPLE, nodes, panels, queries, read, with_values
from tests.controller.grafana_schema import faults

RULES = yaml.safe_load((ROOT / "config/prometheus/rules/accord.yml").read_text())
RUNBOOKS = ROOT / "config/prometheus/runbooks"
PROVISIONING = ROOT / "config/grafana/provisioning"
METRICS = {
    line.split("|")[1].strip(" `"): line.split("|")[2].strip()
    for line in (ROOT / "config/prometheus/METRICS.md").read_text().splitlines()
    if line.startswith("| `")
}
OF_PROMETHEUS = {"up", "ALERTS", "probe_success", "probe_duration_seconds", "scrape_duration_seconds"}
OVER_COUNTERS = {"rate", "increase"}
WINDOWS = {"rate": "$__rate_interval", "deriv": "$__rate_interval", "increase": "$__range", "avg_over_time": "$__range"}
UNITS = {"none", "percentunit", "s", "ops", "reqps", "bytes", "dateTimeFromNow"}

every_dashboard = pytest.mark.parametrize("dashboard", [read(file) for file in FILES], ids=[f.stem for f in FILES])


def rules(kind: str) -> dict[str, dict[str, Any]]:
    return {rule[kind]: rule for group in RULES["groups"] for rule in group["rules"] if kind in rule}


# -- the files -----------------------------------------------------------------------------------------------------


def test_regeneration_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "gone.json").write_text("{}")
    write(BOARDS, tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in DASHBOARDS.iterdir()}, "make dashboards"


def test_the_dashboards_are_those_that_are_looked_for() -> None:
    assert [board.name for board in BOARDS] == [
        "overview",
        "service",
        "device",
        "transactions",
        "tunnels",
        "assurance",
        "telemetry",
        "negotiation",
        "internals",
    ]
    assert text_of(BOARDS[0]) != text_of(BOARDS[1])


@every_dashboard
def test_a_dashboard_is_what_grafanas_schema_allows(dashboard: dict[str, Any]) -> None:
    assert faults(dashboard) == []


@pytest.mark.parametrize(
    "path, value",
    [
        (("gridPos", "w"), "12"),
        (("gridPos", "wide"), 12),
        (("options", "colorMode"), "colourful"),
        (("targets", 0, "instant"), 1),
        (("fieldConfig", "defaults", "custom"), {"lineWidth": 2}),
        (("type",), "graph"),
    ],
)
def test_what_grafanas_schema_does_not_allow_is_found(path: tuple[Any, ...], value: object) -> None:
    dashboard = read(DASHBOARDS / "overview.json")
    at = next(panels(dashboard))
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert len(faults(dashboard)) == 1


# -- lint ----------------------------------------------------------------------------------------------------------


@every_dashboard
def test_a_dashboard_is_whole_and_cannot_be_edited_in_place(dashboard: dict[str, Any]) -> None:
    assert (dashboard["editable"], dashboard["schemaVersion"]) == (False, 41)
    assert re.fullmatch(r"accord-[a-z]+", dashboard["uid"])
    assert dashboard["title"].startswith("accord / ")
    assert dashboard["description"]
    assert dashboard["tags"] == ["accord"]
    assert "id" not in dashboard, "that is the database's of one Grafana"
    assert [variable["name"] for variable in dashboard["templating"]["list"]][:2] == ["datasource", "job"]


def test_no_two_dashboards_have_one_uid_or_title() -> None:
    for member in ("uid", "title"):
        assert len({read(file)[member] for file in FILES}) == len(FILES)


@every_dashboard
def test_every_source_of_data_is_the_variable(dashboard: dict[str, Any]) -> None:
    def sources(node: Any) -> list[Any]:
        if isinstance(node, list):
            return [found for part in node for found in sources(part)]
        if not isinstance(node, dict):
            return []
        own = [node["datasource"]] if "datasource" in node else []
        return own + [found for part in node.values() for found in sources(part)]

    found = sources(dashboard)
    asking = sum(1 + len(panel["targets"]) for panel in panels(dashboard))
    assert len(found) >= asking
    assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in found)


@every_dashboard
def test_every_panel_has_a_title_a_description_a_unit_and_a_query(dashboard: dict[str, Any]) -> None:
    shown = list(panels(dashboard))
    assert shown
    for panel in shown:
        assert panel["title"]
        assert panel["description"].partition("\n")[0].endswith((".", "!", "?")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["targets"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters))
    titles = Counter(panel["title"] for panel in shown)
    assert not [title for title, count in titles.items() if count > 1]


@every_dashboard
def test_panels_are_numbered_once_and_none_lies_on_another(dashboard: dict[str, Any]) -> None:
    everything = [*dashboard["panels"], *(p for row in dashboard["panels"] for p in row.get("panels", ()))]
    numbers = [panel["id"] for panel in everything]
    assert len(numbers) == len(set(numbers))
    for panel in everything:
        at = panel["gridPos"]
        assert at["w"] > 0 < at["h"], panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
    for one, other in combinations(everything, 2):
        a, b = one["gridPos"], other["gridPos"]
        is_beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        is_above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert is_beside or is_above, (one["title"], other["title"])


@every_dashboard
def test_every_row_is_full(dashboard: dict[str, Any]) -> None:
    """No hole: what stands in one line fills the page or is the last of its row."""
    lines: Counter[int] = Counter()
    for panel in panels(dashboard):
        lines[panel["gridPos"]["y"]] += panel["gridPos"]["w"]
    assert set(lines.values()) == {24}


# -- queries -------------------------------------------------------------------------------------------------------


@every_dashboard
def test_every_query_is_promql_over_metrics_that_there_are(dashboard: dict[str, Any]) -> None:
    recorded = set(rules("record"))
    for asked in queries(dashboard, SAMPLE):
        names = {node.name for node, _ in nodes(asked.expression) if isinstance(node, promql_parser.VectorSelector)}
        assert names, asked
        assert {name for name in names if family(name) not in METRICS} <= OF_PROMETHEUS | recorded, asked
        assert "$" not in asked.expression, f"a variable that nothing sets: {asked}"


def family(name: str) -> str:
    """The metric in the list that a series is of."""
    return name if name in METRICS else re.sub(r"_(bucket|sum|count)$", "", name)


@every_dashboard
def test_every_selector_says_whose_series_it_means(dashboard: dict[str, Any]) -> None:
    for asked in queries(dashboard, {**SAMPLE, "$job": "JOB", "${job}": "JOB"}):
        for node, _ in nodes(asked.expression):
            if isinstance(node, promql_parser.VectorSelector) and node.name != "ALERTS":
                jobs = {matcher.value for matcher in node.matchers.matchers if matcher.name == "job"}
                assert jobs in ({"JOB"}, {"JOB-devices"}), asked


@every_dashboard
def test_counters_are_rated_and_only_then_aggregated(dashboard: dict[str, Any]) -> None:
    for asked in queries(dashboard, SAMPLE):
        for node, above in nodes(asked.expression):
            if not isinstance(node, promql_parser.VectorSelector):
                continue
            is_counter = METRICS.get(family(node.name)) in {"counter", "histogram"}
            calls = [one.func.name for one in above if isinstance(one, promql_parser.Call)]
            assert bool(OVER_COUNTERS.intersection(calls)) == is_counter, asked
            if is_counter:
                assert isinstance(above[-1], promql_parser.MatrixSelector), asked
                assert above[-2].func.name in OVER_COUNTERS, asked


@every_dashboard
def test_windows_follow_what_is_shown(dashboard: dict[str, Any]) -> None:
    """A rate's window is Grafana's, at least four scrapes; a sum is over the time shown."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            found = re.findall(r"([a-z_]+)\((?:[^()\[\]]*)\[([^\]]*)\]", target["expr"])
            assert len(found) == target["expr"].count("["), target["expr"]
            assert all(WINDOWS[function] == window for function, window in found), target["expr"]


@every_dashboard
def test_quantiles_keep_the_label_of_the_buckets(dashboard: dict[str, Any]) -> None:
    for asked in queries(dashboard, SAMPLE):
        for node, _ in nodes(asked.expression):
            if isinstance(node, promql_parser.Call) and node.func.name == "histogram_quantile":
                aggregate = node.args[1]
                assert isinstance(aggregate, promql_parser.AggregateExpr), asked
                assert "le" in aggregate.modifier.labels, asked


@every_dashboard
def test_choices_ask_for_metrics_that_there_are(dashboard: dict[str, Any]) -> None:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()
            assert promql_parser.parse(with_values(series, SAMPLE)).name in METRICS
            assert label == variable["name"]


# -- alerts and their runbooks -------------------------------------------------------------------------------------


def test_every_alert_has_a_runbook_and_a_dashboard_that_names_it() -> None:
    shown = {panel["description"] for file in FILES for panel in panels(read(file))}
    by_uid = {read(file)["uid"]: read(file) for file in FILES}
    for name, rule in rules("alert").items():
        told = rule["annotations"]
        runbook = ROOT / told["runbook_url"]
        assert runbook == RUNBOOKS / f"{name}.md"
        assert re.match(rf"# {name}\n\n.+\n\n## Look\n\n1\. .+\n\n## Do\n\n- ", runbook.read_text(), re.DOTALL), name
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert told["summary"].endswith(".")
        on = by_uid[told["dashboard_url"].removeprefix("/d/")]
        assert any(f"Alert {name}: {told['runbook_url']}." in panel["description"] for panel in panels(on)), name
        assert any(f"Alert {name}:" in text for text in shown)


def test_every_runbook_is_of_an_alert_and_its_links_lead_somewhere() -> None:
    assert {file.stem for file in RUNBOOKS.iterdir()} == set(rules("alert"))
    linked = {name for file in RUNBOOKS.iterdir() for name in re.findall(r"\]\((\S+?)\)", file.read_text())}
    assert linked
    assert all((RUNBOOKS / name).exists() for name in linked)


def test_every_alert_that_a_panel_names_is_a_rule() -> None:
    text = "".join(panel["description"] for file in FILES for panel in panels(read(file)))
    assert set(re.findall(r"Alert (\w+):", text)) == set(rules("alert"))


def test_every_rule_is_over_metrics_that_there_are() -> None:
    everything = rules("record") | rules("alert")
    for name, rule in everything.items():
        found = {node.name for node, _ in nodes(rule["expr"]) if isinstance(node, promql_parser.VectorSelector)}
        assert {one for one in found if family(one) not in METRICS} <= OF_PROMETHEUS | set(rules("record")), name


# -- provisioning --------------------------------------------------------------------------------------------------


def test_provisioning_loads_the_dashboards_from_files_and_names_no_uid() -> None:
    provider = yaml.safe_load((PROVISIONING / "dashboards/accord.yaml").read_text())
    assert provider["apiVersion"] == 1
    (only,) = provider["providers"]
    assert (only["type"], only["allowUiUpdates"]) == ("file", False)
    assert only["options"]["path"].startswith("/")
    source = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text())
    (prometheus,) = source["datasources"]
    assert (source["apiVersion"], prometheus["type"]) == (1, "prometheus")
    assert "uid" not in prometheus
    scraping = yaml.safe_load((ROOT / "config/prometheus/prometheus.yml").read_text())
    assert prometheus["jsonData"]["timeInterval"] == scraping["global"]["scrape_interval"]
