"""Owns the time from an intent to the first packet over its new service, on emulated routers.

The whole of it: negotiation, signatures, ledger, plan, twin, a network-wide transaction over NETCONF, and the packet's
own way. Beside it what no way of doing it can leave out: the same two routers given an SR policy each by stock
ncclient, whose sessions are open already, with nobody's proof and nobody's agreement. `python -m bench.first_packet`.
"""

import asyncio
import statistics
import time
from contextlib import ExitStack
from typing import Any

from ncclient import manager

from bench.table import Row, row, write
from bench.traffic_edits import config, no_policy_edit, policy_edit
from controller.adapters.catalogue import load_catalogue, load_market_policy
from controller.adapters.resources import shared_directory
from controller.negotiation.catalogue import Tier
from controller.negotiation.dialogue import Stage
from controller.scenarios.episodes import wallet_of
from controller.scenarios.surroundings import Market
from controller.scenarios.theatre import Theatre
from lab.network import LabNetwork
from lab.stage.lab_stage import LabStage, on_lab

RUNS = 20
ENDS = ("london", "frankfurt")
_DIRECTORY = shared_directory("config") / "catalogue"
_WIRES = {Tier.IP: (("london", "paris", 3.0, 10.0), ("paris", "frankfurt", 3.0, 10.0))}
_COLOR, _ENDPOINT = 4_000_000, "fc00:0:ffff::1"


async def ours(stage: LabStage, market: Market) -> list[float]:
    """Milliseconds from each intent until a packet each way has come through; each service ends before the next."""
    theatre = Theatre(wallet_of(market.catalogue, "100000.00"), stage, market)
    await theatre.warm_up(ticks=6)
    taken = []
    for _ in range(RUNS):
        wish = theatre.wish(*ENDS, 10, "order-execution", latency_seconds=0.02)
        started = time.monotonic()
        done = await theatre.negotiate(wish)
        assert done.stage is Stage.DONE, done.refusal
        taken.append(1000 * (stage.provisioner.first_packets[done.service] - started))
        await theatre.end(done.terms.root)
        await theatre.wait(60)
    return sorted(taken)


def bare(lab: LabNetwork) -> list[float]:
    """Milliseconds of locking, editing and committing at both routers, one after the other."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(_session(lab, place)) for place in ENDS]
        segments = [list(lab.forwarding(place).adjacency_segments)[:1] for place in ENDS]
        taken = []
        for _ in range(RUNS):
            started = time.monotonic()
            for session, path in zip(sessions, segments, strict=True):
                _edit(session, policy_edit(_ENDPOINT, [path], _COLOR))
            taken.append(1000 * (time.monotonic() - started))
            for session in sessions:
                _edit(session, no_policy_edit(_ENDPOINT, _COLOR))
    return sorted(taken)


def _edit(session: Any, edit: str) -> None:
    with session.locked("candidate"):
        session.edit_config(target="candidate", config=config(edit))
        session.commit()


def _session(lab: LabNetwork, place: str) -> Any:
    return manager.connect(
        host=lab[place].host,
        port=lab[place].netconf_port,
        username=lab.options.username,
        password=lab.password,
        hostkey_verify=False,  # the routers are this process's own, with keys of the moment
        allow_agent=False,
        look_for_keys=False,
    )


async def rows() -> list[Row]:
    """Middle and late of both."""
    market = Market(load_catalogue(_DIRECTORY), load_market_policy(_DIRECTORY))
    async with on_lab(_WIRES, market, lambda _seconds, _words: None) as stage:
        mine, theirs = await ours(stage, market), await asyncio.to_thread(bare, stage.lab)
    figures = {"p50": (statistics.median(mine), statistics.median(theirs)), "p99": (mine[-1], theirs[-1])}
    return [
        row(
            f"intent to first packet on the lab, {name}",
            RUNS,
            one,
            other,
            "ncclient, in turn",
            "ms",
            less_is_better=True,
        )
        for name, (one, other) in figures.items()
    ]


if __name__ == "__main__":
    write("first_packet", asyncio.run(rows()))
