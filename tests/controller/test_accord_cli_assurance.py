"""`accord assurance`, `explain` and the overlays: what is asked, and what people see of the answers."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from controller.cli.assurance import sparkline
from controller.cli.client import Client
from controller.cli.main import app
from controller.model.amounts import amount

OBJECTIVE = {
    "objective": "delay-one-way",
    "subject": "pe-london>pe-paris",
    "unit": "s",
    "target": 0.015,
    "observed": 0.0138,
    "quality": 0.97,
    "reason": "",
    "series": ["pe-london/20000/last-forward-delay"],
    "forecast": 0.0149,
    "forecast_lower": 0.0140,
    "forecast_upper": 0.0161,
    "horizon_seconds": 300.0,
    "breach_probability": 0.42,
    "anomaly": "level-shift",
    "error_budget": None,
    "recent": [0.010, None, 0.012, 0.0138],
}
AVAILABILITY = OBJECTIVE | {
    "objective": "availability",
    "subject": "",
    "unit": "ratio",
    "target": 0.999,
    "observed": None,
    "quality": 0.0,
    "forecast": None,
    "breach_probability": None,
    "reason": "availability is not measured: no test packets of the service are told",
    "anomaly": "",
    "error_budget": {"window_seconds": 3600, "measured_seconds": 60, "bad_seconds": 1, "remaining_ratio": 0.5},
    "recent": [],
}
AGREEMENT = {
    "service": "acme-1",
    "state": "at-risk",
    "since": 1_700_000_000.0,
    "health": 70,
    "worst": "delay-one-way pe-london>pe-paris",
    "breach_probability": 0.42,
    "quality": 0.97,
    "objectives": [OBJECTIVE, AVAILABILITY],
    "symptoms": [
        {"id": "l3vpn:acme-1/pe-london>pe-paris/delay-one-way/broken", "reason": ""},
        {"id": "acme-1/unusual", "reason": "jitter (drift)"},
    ],
    "steps": [
        {
            "time": 1_700_000_000.0,
            "state": "at-risk",
            "event": "predict-breach",
            "cause": "",
            "reason": "",
            "position": 9,
        }
    ],
    "decisions": [
        {
            "time": 1_700_000_001.0,
            "event": 10,
            "acts": False,
            "remedy": "",
            "reasons": [{"ground": "proof", "holds": False, "text": "nobody is there to propose a remedy"}],
        }
    ],
}
STORY = {
    "service": "acme-1",
    "state": "at-risk",
    "sentences": [
        {
            "text": "At 02:13 UTC one-way delay London to Paris rose 38 % (10.1 to 13.9 ms) after p1-p2 lost carrier.",
            "clauses": [
                {
                    "text": "one-way delay London to Paris rose 38 % (10.1 to 13.9 ms)",
                    "events": [],
                    "figures": [{"text": "38", "unit": "%", "rule": "change", "samples": [[["s", 1.0]], [["s", 2.0]]]}],
                },
                {"text": "after p1-p2 lost carrier", "events": [4711], "figures": []},
            ],
        }
    ],
    "samples": {},
    "events": {},
}
LINKS = {
    "of": "load",
    "nodes": [{"name": name, "latitude": None, "longitude": None, "is_up": True} for name in ("a", "b")],
    "links": [
        {
            "link": "a:0>b:0",
            "source": "a",
            "target": "b",
            "is_up": True,
            "capacity_bit_rate": 10**10,
            "bit_rate": 5e9,
            "value": 0.5,
            "from": "counters",
            "utilisation": 0.5,
        }
    ],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was sent to a daemon that answers with the samples above."""
    sent: list[Any] = []
    answers: dict[tuple[str, ...], Any] = {
        ("assurance",): [AGREEMENT | {"objectives": 2, "symptoms": ["broken", "unusual"]}],
        ("assurance", "acme-1"): AGREEMENT,
        ("assurance", "acme-1", "explanation"): STORY,
        ("topology", "overlay"): LINKS,
        ("services", "acme-1"): {
            "service": {"vpn-id": "acme-1"},
            "placements": [],
            "agreements": [],
            "assurance": AGREEMENT,
        },
    }

    def get(_self: Client, *segments: str, **query: str) -> Any:
        sent.append((segments, query))
        return answers[segments]

    def post(_self: Client, *segments: str, body: Any) -> Any:
        sent.append((segments, body))
        return body

    monkeypatch.setattr(Client, "get", get)
    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setenv("ACCORD_TOKEN", "any")
    return sent


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_services_are_listed_with_what_is_nearest_to_a_breach(asked: list[Any]) -> None:
    shown = run("assurance", "list")
    assert "acme-1" in shown
    assert "at-risk" in shown
    assert "delay-one-way pe-london>pe-paris" in shown


@pytest.mark.parametrize("words", [("assurance", "show", "acme-1"), ("service", "show", "acme-1")])
def test_an_objective_is_shown_beside_its_target_with_forecast_budget_and_sparkline(
    asked: list[Any], words: tuple[str, ...]
) -> None:
    shown = run(*words)
    for text in (
        "15 ms",
        "13.8 ms",
        "14.9 ms (14 ms to 16.1 ms) in 300 s",
        "42%",
        "level-shift",
        "▁ ▅█",
        "50.0%",
        "99.9 %",
        "70 of 100",
    ):
        assert text in shown, text
    assert "availability is not measured" in shown


def test_the_latest_decision_is_shown_with_every_reason(asked: list[Any]) -> None:
    shown = run("assurance", "show", "acme-1")
    assert "(event 10): do nothing" in shown
    assert "no   proof: nobody is there to propose a remedy" in shown


def test_a_story_is_printed_with_what_each_clause_rests_on(asked: list[Any]) -> None:
    shown = run("explain", "service", "acme-1")
    assert "rose 38 % (10.1 to 13.9 ms) after p1-p2 lost carrier." in shown
    assert "2 samples of s" in shown
    assert "event 4711" in shown


def test_objectives_are_set_in_the_units_that_people_use(asked: list[Any]) -> None:
    words = ("delay-one-way=15ms", "availability=99.9%", "loss@pe-a>pe-b=0.1%", "bandwidth=200Mbit/s", "jitter=0.002")
    run("assurance", "set", "acme-1", *(part for word in words for part in ("--objective", word)))
    (_, body) = asked[-1]
    found = [(one["name"], one["subject"], one["target"]) for one in body["objectives"]]
    assert found == [
        ("delay-one-way", "", 0.015),
        ("availability", "", 0.999),
        ("loss", "pe-a>pe-b", 0.001),
        ("bandwidth", "", 2e8),
        ("jitter", "", 0.002),
    ]


@pytest.mark.parametrize("wrong", ["delay-one-way", "=15ms", "jitter=", "jitter=soon"])
def test_an_objective_that_makes_no_sense_is_a_question_of_usage(asked: list[Any], wrong: str) -> None:
    done = CliRunner().invoke(app, ["assurance", "set", "acme-1", "--objective", wrong])
    assert done.exit_code != 0
    assert asked == []


def test_an_overlay_is_a_table_with_bars_and_of_loads_a_picture(asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "load.svg"
    shown = run("topology", "show", "--overlay", "load", "--svg", str(file))
    assert asked[0] == (("topology", "overlay"), {"of": "load"})
    assert "50 %" in shown
    assert "██████████··········" in shown
    assert ET.parse(file).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    "words", [("--overlay", "colour"), ("--overlay", "delay", "--svg", "x.svg"), ("--svg", "x.svg")]
)
def test_an_overlay_that_is_none_is_refused(asked: list[Any], words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["topology", "show", *words]).exit_code != 0
    assert asked == []


def test_a_small_load_is_told_with_three_digits(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    links = LINKS | {"links": [LINKS["links"][0] | {"value": 0.168606}]}
    monkeypatch.setattr(Client, "get", lambda *_, **__: links)
    assert "16.9 %" in run("topology", "show", "--overlay", "load")
    links["links"][0]["value"] = 5.03e-8
    assert " 0 %" in run("topology", "show", "--overlay", "load")


def test_series_are_told_with_six_digits_and_a_campaign_its_share_in_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        ("telemetry", "series"): [{"series": "a/b/out-octets", "value": 2508721441.073164, "quality": 1.0}],
        ("telemetry", "campaigns", "c-1"): {"id": "c-1", "share_above": {"low": 0.0, "high": 0.020794790045}},
        ("diagnosis",): {"causes": [{"cause": "link x", "confidence": 0.952858691}, {"cause": "?"}], "symptoms": []}
        | {"silent": {"pe1": "connection refused"}}
        | {"suspected": [{"symptom": "a-b takes 20 ms, 2 ms are expected of its length", "confidence": 0.3}]},
        ("recoveries",): [{"id": "recovery-1", "reason": "refused\n  packet from a"}],
    }
    monkeypatch.setattr(Client, "get", lambda _, *segments, **__: answers[segments])
    monkeypatch.setenv("ACCORD_TOKEN", "any")
    assert "2508720000 " in run("telemetry", "series")
    assert "0 to 2.08 %" in run("telemetry", "campaign", "show", "c-1")
    assert " 95%" in run("recovery", "diagnosis")
    assert "30%" in run("recovery", "diagnosis")
    assert "pe1: connection refused" in run("recovery", "diagnosis")
    assert "packet" not in run("recovery", "list")


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (0.015, "s", "15 ms"),
        (0.0, "s", "0 us"),
        (1e8, "bit/s", "100 Mbit/s"),
        (0.999, "ratio", "99.9 %"),
        (1.0, "ratio", "100 %"),
        (0.0001, "ratio", "0.01 %"),
        (None, "s", "-"),
        (float("nan"), "bit/s", "-"),
        (2e-6, "bit/s", "0 bit/s"),
        (1.23456e-7, "s", "0.123 us"),
        (1e-12, "s", "0 us"),
        (-0.0004, "s", "-400 us"),
        (4321.0, "s", "4321 s"),
        (2.5e13, "bit/s", "25 Tbit/s"),
        (1e-9, "ratio", "under 0.0001 %"),
        (0.0, "ratio", "0 %"),
    ],
)
def test_values_are_written_as_people_read_them(value: float | None, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_a_sparkline_of_nothing_or_of_one_value_is_no_surprise() -> None:
    assert sparkline([]) == ""
    assert sparkline([None, None]) == ""
    assert sparkline([5.0, 5.0]) == "▁▁"
    assert sparkline([0.0, None, 7.0]) == "▁ █"
