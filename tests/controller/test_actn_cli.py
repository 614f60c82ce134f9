"""`accord topology show` and `accord optical`: what is asked of the daemon and what is shown."""

import json

import pytest
from typer.testing import CliRunner

from controller.cli.client import Client
from controller.cli.exits import UsageError
from controller.cli.main import app
from controller.mapping.actn import Abstraction, DomainView
from controller.mapping.actn_topology import domain_network, networks_document
from tests.controller.optical_samples import A, B, C, database

VIEW = DomainView("ip", database(), dict.fromkeys((A, B, C), ("access0",)))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list:
    """A daemon with one domain of routers; the requests that it was sent."""
    requests: list = []

    def get(_self: Client, *segments: str, **query: str) -> dict:
        requests.append((segments, query))
        if segments == ("topology",):
            return {"nodes": [{"name": "pe-a"}], "links": [{"id": "pe-a:core0>p-1:core0", "is_up": True}], "unread": {}}
        if segments == ("optical",):
            return {"domains": [{"links": [{"name": "a--b", "free_slots": 70}], "tunnels": [{"name": "gold"}]}]}
        shown = domain_network(VIEW, Abstraction(query["abstraction"]))
        return {"domains": [{"name": "ip"}], **networks_document([shown])}

    def post(_self: Client, *segments: str, body: dict, **_: object) -> dict:
        requests.append((segments, body))
        if "carve" in segments:
            segment = {"kind": "optical", "resource": "pe-a:core2>pe-b:core2", "is_to_be_lit": True}
            done = [{"id": "tx-7", "phase": "committed", "summary": "s"}] if len(segments) > 2 else []
            return {"source": "site a", "segments": [segment], "transactions": done}
        return {"id": "plan-1", "summary": "s", "checksum": "c", "devices": [], "impact": {}}

    monkeypatch.setattr(Client, "get", get)
    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setenv("ACCORD_TOKEN", "any")
    monkeypatch.setenv("COLUMNS", "200")
    return requests


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_the_topology_is_shown_as_the_daemon_knows_it(asked: list) -> None:
    done = run("topology", "show")
    assert done.exit_code == 0, done.output
    assert asked == [(("topology",), {})]
    assert "pe-a:core0>p-1:core0" in done.output


def test_a_grey_topology_shows_what_is_between_borders(asked: list) -> None:
    done = run("topology", "show", "--abstraction", "grey")
    assert done.exit_code == 0, done.output
    assert asked == [(("topology", "abstract"), {"abstraction": "grey"})]
    assert "pe-a>pe-b" in done.output
    assert "0.008" in done.output
    assert "p-1" not in done.output


def test_json_is_data_of_the_published_modules(asked: list) -> None:
    done = run("topology", "show", "--abstraction", "black", "-o", "json")
    (network,) = json.loads(done.output)["ietf-network:networks"]["network"]
    assert network["network-id"] == "urn:accord:ip-black"


def test_a_domain_is_chosen_by_name_in_any_abstraction(asked: list) -> None:
    assert run("topology", "show", "--domain", "ip", "--abstraction", "grey").exit_code == 0
    wrong = run("topology", "show", "--domain", "moon")
    assert isinstance(wrong.exception, UsageError)
    assert "there is no domain 'moon': there is ip" in str(wrong.exception)


def test_an_abstraction_that_is_none_is_refused_without_asking(asked: list) -> None:
    wrong = run("topology", "show", "--abstraction", "pink")
    assert "'pink' is no abstraction: it is one of white, grey, black" in str(wrong.exception)
    assert asked == []


def test_optical_domains_are_listed_with_free_slots_and_tunnels(asked: list) -> None:
    done = run("optical", "list")
    assert done.exit_code == 0, done.output
    assert "a--b" in done.output
    assert "gold" in done.output


def test_a_dry_run_plans_a_tunnel_and_sends_nothing(asked: list) -> None:
    link = "pe-a:core2>pe-b:core2"
    words = ["optical", "create", "otn-domain", "gold", "--link", link, "--bandwidth", "300 Mbit/s", "--dry-run"]
    run(*words, "--delay", "3ms")
    assert asked[0] == (
        ("optical", "otn-domain", "tunnels"),
        {"name": "gold", "link": link, "bandwidth": "300 Mbit/s", "delay_bound": "3ms"},
    )
    run("optical", "delete", "otn-domain", "gold", "--dry-run")
    assert (("optical", "otn-domain", "tunnels", "gold", "delete"), {}) in asked
    assert not any("commit" in segments for segments, _ in asked)


def test_a_service_is_carved_as_it_was_asked_for(asked: list) -> None:
    done = run("optical", "carve", "acme", "--from", "a", "--to", "b", "--bandwidth", "40 Mbit/s", "--constant-delay")
    assert done.exit_code == 0, done.output
    body = {"service": "acme", "source": "a", "target": "b", "bandwidth": "40 Mbit/s", "constant_delay": True}
    assert asked == [(("optical", "carve"), body)]
    assert "pe-a:core2>pe-b:core2" in done.output


def test_a_carving_is_provisioned_under_a_name_when_agreed(asked: list) -> None:
    done = run("optical", "carve", "acme", "--delay", "5ms", "--provision", "gold", "--yes", "-o", "json")
    body = {"service": "acme", "delay_bound": "5ms"}
    assert asked == [(("optical", "carve"), body), (("optical", "carve", "gold"), body)]
    assert json.loads(done.output)["transactions"][0]["id"] == "tx-7"


def test_nothing_is_provisioned_where_nobody_agreed(asked: list) -> None:
    wrong = run("optical", "carve", "acme", "--provision", "gold")
    assert isinstance(wrong.exception, UsageError)
    assert asked == []
