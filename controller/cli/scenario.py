"""Owns `accord scenario`: the draft's episodes, played by the real agents, simulated or on emulated routers.

Where they can be played beside the simulation is told by entry points of the group `accord.stages`: nothing here names
a package, so production never imports the lab.
"""

import importlib.metadata
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plugins import missing
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, record, table
from controller.model.errors import NotFoundError

if TYPE_CHECKING:
    from controller.scenarios.surroundings import OpenSurroundings

GROUP = "accord.stages"
SIMULATION = "simulation"
app = group("scenario", "Episodes of negotiation: the surroundings are played, the agents decide.")
_COLUMNS = ("name", "tiers", "load", "ceiling", "summary")


@command(app, "list", "scenario list", "scenario list -o json")
def _list(session: Session) -> None:
    """List the scenarios."""
    from controller.scenarios.episodes import SCENARIOS

    rows = [
        {"name": one.name, "tiers": [tier.value for tier in one.wires], "summary": one.summary, **asdict(one.dials)}
        for one in SCENARIOS.values()
    ]
    session.terminal.show(rows, table(rows, _COLUMNS))


@command(
    app,
    "run",
    "scenario run service-switching --watch",
    "scenario run service-switching --load 0.3 -o json",
    "scenario run foreign-congestion --on lab --watch",
    "scenario run energy-shock --ceiling 0.50 --on lab",
)
def _run(
    session: Session,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    on: Annotated[
        str,
        typer.Option("--on", metavar="simulation|lab", help="Numbers, in seconds; or emulated routers and packets."),
    ] = SIMULATION,
    watch: Annotated[bool, typer.Option("--watch", help="Tell the story while it happens.")] = False,
    load: Annotated[
        float | None, typer.Option("--load", help="How full the scarce links are of other traffic, 0 to 1.")
    ] = None,
    ceiling: Annotated[
        str, typer.Option("--ceiling", metavar="EUROS", help="What the wallet has to spend, such as 40.00.")
    ] = "",
) -> None:
    """Play a scenario and tell what the agents did.

    Turn --load or --ceiling, in simulation or on the lab, and they decide otherwise; `accord scenario list` has both.
    """
    import asyncio

    from controller.adapters.catalogue import load_catalogue, load_market_policy
    from controller.adapters.logging import configure_logging
    from controller.adapters.resources import shared_directory
    from controller.scenarios.episodes import dials_of, scenario_of
    from controller.scenarios.surroundings import Market

    directory = shared_directory("config") / "catalogue"
    scenario, story, surroundings = scenario_of(name), list[Json](), _surroundings(on)

    def tell(seconds: float, words: str) -> None:
        story.append({"seconds": seconds, "what": words})
        if watch:
            session.terminal.say(f"[{seconds:6.0f} s] {words}")

    configure_logging("error")  # what agents turn away is part of the story
    market = Market(load_catalogue(directory), load_market_policy(directory))
    dials = dials_of(scenario, load, ceiling)
    with session.terminal.progress(f"playing {name} ({on})"):
        outcome = asyncio.run(scenario.run(market, tell, dials, surroundings=surroundings))
    found = {
        "name": name,
        "on": on,
        "verdict": outcome.verdict,
        **asdict(dials),
        "facts": dict(outcome.facts),
        "story": story,
    }
    lines = [] if watch else [f"[{one['seconds']:6.0f} s] {one['what']}" for one in story]
    facts = {"verdict": outcome.verdict, **{name: _words(value) for name, value in outcome.facts.items()}}
    session.terminal.show(found, *lines, "", record(facts, tuple(facts)))


def _words(value: Json) -> str:
    """A fact as people read it: routes as ways, what has names by its names."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_words(one)}" for name, one in value.items())
    if isinstance(value, tuple):
        return " > ".join(value)
    return "; ".join(_words(one) for one in value) if isinstance(value, list) else str(value)


def _surroundings(name: str) -> "OpenSurroundings":
    """What opens the surroundings of that name."""
    from controller.scenarios.simulation import simulated

    if name == SIMULATION:
        return simulated
    stages = importlib.metadata.entry_points(group=GROUP)
    if name not in stages.names:
        known = ", ".join((SIMULATION, *sorted(stages.names)))
        raise NotFoundError(f"nothing can be played on '{name}'", remedy=f"play it on one of: {known}", path="on")
    try:
        found: OpenSurroundings = stages[name].load()
    except ImportError as error:
        raise missing(error, name) from error
    return found
