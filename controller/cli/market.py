"""Owns `accord market`: what pricing by scarcity does.

`simulate` and `allot` need no daemon; `sensitivity` asks one how buyers have answered its prices.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from controller.cli.exits import UsageError
from controller.cli.session import Session, command, group
from controller.cli.terminal import record, table

if TYPE_CHECKING:
    from controller.negotiation.contention import Allotment
    from controller.negotiation.market import Outcome
    from controller.topology.network import Network

app = group("market", "The market for services: what pricing by scarcity does.")
_COLUMNS = (
    "pricing", "worth_per_hour", "worth_share", "worth_share_at_target", "revenue_per_hour", "served",
    "max_utilisation", "price_volatility", "moved_share", "settled_round",
)  # fmt: skip
_CELLS = ("begins", "class", "tier", "markup", "asked", "accepted")
_ALLOTTED = ("bidder", "result", "offering", "pays", "why")
_BANDS = ("baseline", "modest", "steep", "withdrawn")


TopologyOption = Annotated[
    str, typer.Option(metavar="FILE|NAME", help="A topology file (topology.file), or a name that topohub has.")
]
CatalogueOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="services.yaml and scarcity.yaml.  [default: accord's own]")
]


@command(
    app,
    "simulate",
    "market simulate",
    "market simulate --topology sndlib/germany50 --demand 3 --seed 7 -o json",
    "market simulate --topology network.yaml --catalogue config/catalogue",
)
def _simulate(
    session: Session,
    *,
    topology: TopologyOption = "sndlib/geant",
    catalogue: CatalogueOption = None,
    demand: Annotated[
        float, typer.Option(min=0.01, max=10, help="Of the busiest link's capacity, were all on their quickest path.")
    ] = 3.0,
    rounds: Annotated[int, typer.Option(min=12, max=2000, help="Of 10 s; an agreement lasts six.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="The same seed is the same market.")] = 1,
) -> None:
    """Simulate buyers who answer prices, and compare pricing by scarcity with flat pricing and with the optimum.

    A third of the buyers come late. Figures are means of the second half: what is served, by what it is worth to its
    buyers, also as a share of a linear program's optimum with links full, and as full as prices aim at; what is paid;
    the busiest link; how much a price differs from the one before; who moves at a renewal; and the round from which
    hardly anybody moves. Flat pricing serves who comes first.
    """
    from controller.adapters.catalogue import load_catalogue, load_market_policy
    from controller.adapters.resources import shared_directory
    from controller.negotiation.candidates import CandidatePaths
    from controller.negotiation.market import Simulation, optimum_of
    from controller.negotiation.market_flows import flows_of
    from controller.topology.te_database import TeDatabase

    directory = catalogue or shared_directory("config") / "catalogue"
    services, policy, network = load_catalogue(directory), load_market_policy(directory), _network(topology)
    with session.terminal.progress(f"simulating {rounds} rounds twice"):
        flows = flows_of(CandidatePaths(TeDatabase(network)), services, seed, demand)
        optimum = optimum_of(network, flows, policy)
        outcomes = []
        for follows in (True, False):
            simulation = Simulation(network, flows, services, policy, follows=follows)
            simulation.run(rounds)
            outcomes.append(simulation.outcome(optimum))
    head: dict[str, Any] = {
        "topology": topology,
        "nodes": len(network.nodes),
        "links": len(network.links),
        "buyers": len(flows),
        "rounds": rounds,
        "seed": seed,
        "demand": demand,
        "optimum_per_hour": f"{_amount(optimum.worth, services.currency)}",
        "optimum_per_hour_at_target": f"{_amount(optimum.worth_at_target, services.currency)}",
    }
    rows = [_row(outcome) for outcome in outcomes]
    session.terminal.show({**head, "outcomes": rows}, record(head), Text(""), table(rows, _COLUMNS))


@command(
    app,
    "allot",
    "market allot bids.yaml --topology network.yaml",
    "market allot bids.yaml --topology sndlib/geant --tier optical -o json",
)
def _allot(
    session: Session,
    *,
    bids: Annotated[Path, typer.Argument(metavar="BIDS", help="YAML: batch, and bids with bidder and worth.")],
    topology: TopologyOption = "sndlib/geant",
    catalogue: CatalogueOption = None,
    tier: Annotated[str, typer.Option("--tier", metavar="ip|optical", help="Whose room is allotted.")] = "ip",
) -> None:
    """Allot what is scarce to sealed bids that came at once: to whom it is worth most, for what the others lose by it.

    A bid is {bidder, worth, from, to, bandwidth} and perhaps {latency, availability, class, duration}. Nobody pays more
    than the bid, and nobody does better than by bidding what it is worth. The network is taken as empty.
    """
    from controller.adapters.bids_file import load_bids
    from controller.adapters.catalogue import load_catalogue, load_market_policy
    from controller.adapters.clock import SystemClock
    from controller.adapters.resources import shared_directory
    from controller.negotiation.catalogue import Tier
    from controller.negotiation.contention import allot
    from controller.negotiation.mesh import Mesh
    from controller.negotiation.quote import Seller
    from controller.topology.te_database import TeDatabase

    if tier not in set(Tier):
        raise UsageError(f"there is no tier '{tier}'", remedy=f"name one of {', '.join(Tier)}")
    directory, now = catalogue or shared_directory("config") / "catalogue", SystemClock().now()
    services, policy = load_catalogue(directory), load_market_policy(directory)
    batch, sealed = load_bids(bids, services.currency, now)
    mesh = Mesh.of(Tier(tier), TeDatabase(_network(topology)), services, policy)
    with session.terminal.progress(f"allotting {len(sealed)} bids"):
        found = allot(batch, sealed, mesh, Seller(services, policy, (mesh,)), now)
    rows = [_allotted(found, bid.request.id) for bid in sealed]
    session.terminal.show({"batch": batch, "tier": tier, "bids": rows}, table(rows, _ALLOTTED))


def _allotted(found: "Allotment", bidder: str) -> dict[str, Any]:
    """What became of a bid; where it would run is nobody's to know."""
    if (refusal := found.refused.get(bidder)) is not None:
        return {
            "bidder": bidder,
            "result": "refused",
            "offering": "",
            "pays": "",
            "why": f"{refusal.check}: {refusal.text}",
        }
    if (offer := found.offers.get(bidder)) is None:
        return {"bidder": bidder, "result": "outbid", "offering": "", "pays": "", "why": ""}
    quote = offer.quote
    return {"bidder": bidder, "result": "won", "offering": quote.offering, "pays": str(quote.total), "why": ""}


@command(app, "sensitivity", "market sensitivity", "market sensitivity -o json")
def _sensitivity(session: Session) -> None:
    """Show how demand answers prices: how many were asked a markup over the base price, and how many took it.

    Of periods that are over, of enough different askers together, in rounded counts; never of one. For operators.
    """
    found = session.client.get("market", "sensitivity")
    rows = [
        {**cell, "begins": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(cell["begins"]))} for cell in found["cells"]
    ]
    session.terminal.show(found, table(rows, _CELLS))
    if not rows:
        session.terminal.say(f"no period that is over has {found['least_labels']} askers with the same class and price")


def _network(topology: str) -> "Network":
    from controller.adapters.published_topology import published_network
    from controller.adapters.topology_file import load_topology
    from controller.topology.network import Network

    file = Path(topology)
    if not file.is_file():
        return published_network(topology)
    found = load_topology(file)
    return Network.of(found.nodes, found.links)


def _amount(minor: float, currency: str) -> str:
    from controller.model.money import Money

    return str(Money(round(minor), currency))


def _row(outcome: "Outcome") -> dict[str, Any]:
    shares = ("worth_share", "worth_share_at_target", "served", "max_utilisation", "price_volatility", "moved_share")
    return {
        "pricing": outcome.pricing,
        "worth_per_hour": str(outcome.worth_per_hour),
        "revenue_per_hour": str(outcome.revenue_per_hour),
        "settled_round": outcome.settled_round,
        **{name: round(getattr(outcome, name), 4) for name in shares},
        "bands": dict(zip(_BANDS, outcome.bands, strict=True)),
    }
