"""`accord twin what-if`: how it is asked, what it shows, the picture it draws."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from controller.cli import twin
from controller.cli.client import Client
from controller.cli.exits import UsageError
from controller.cli.main import app
from controller.model.errors import InvalidInputError
from controller.runtime.what_if import question_from, to_json
from controller.twin.what_if import answer
from tests.controller.twin_samples import Twinned, any_to_any, topology


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """A daemon with a network of six routers that answers what-if; the bodies it was sent."""
    network = Twinned(any_to_any(), on=topology())
    bodies: list[dict] = []

    def post(_self: Client, *segments: str, body: dict, **_: object) -> dict:
        assert segments == ("twin", "what-if")
        bodies.append(body)
        now = network.standing()
        return to_json(answer(now, now, question_from(body)), now, {}, body.get("plan"), None)

    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setenv("ACCORD_TOKEN", "any")
    return bodies


def run(*words: str):
    return CliRunner().invoke(app, ["twin", "what-if", *words])


def test_a_failure_is_asked_and_what_breaks_is_shown(asked: list[dict]) -> None:
    done = run("--node-down", "p1", "--demand", "x2")
    assert done.exit_code == 0, done.output
    assert asked == [{"link_down": [], "node_down": ["p1"], "srlg_down": [], "demand": 2.0}]
    assert "node p1 down, demand x2" in done.output
    assert "blackhole" in done.output


def test_a_picture_shows_every_router_and_both_directions_of_every_link(asked: list[dict], tmp_path: Path) -> None:
    file = tmp_path / "network.svg"
    assert run("--link-down", "p1-p2", "--svg", str(file)).exit_code == 0
    picture = ET.parse(file).getroot()
    texts = {each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"lon1", "lon2", "par1", "mad1", "p1", "p2", "link p1-p2 down"} <= texts
    lines = list(picture.iter("{http://www.w3.org/2000/svg}line"))
    assert len(lines) == 16
    assert sum("stroke-dasharray" in line.attrib for line in lines) == 2


@pytest.mark.parametrize("text, factor", [("x2", 2.0), ("1.5", 1.5), ("150%", 1.5)])
def test_demand_may_be_said_in_several_ways(text: str, factor: float) -> None:
    assert twin._factor(text) == factor


@pytest.mark.parametrize("text", ["twice", "-1", "x", "x2x"])
def test_a_demand_that_is_no_factor_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a factor"):
        twin._factor(text)


@pytest.mark.parametrize(
    "body", [{"demand": "much"}, {"demand": True}, {"link_down": "p1-p2"}, {"node_down": [1]}, {"srlg_down": ["7"]}]
)
def test_a_question_of_another_shape_is_refused_with_its_key(body: dict) -> None:
    with pytest.raises(InvalidInputError) as refused:
        question_from(body)
    assert refused.value.path == next(iter(body))
