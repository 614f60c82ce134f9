"""A plan that needs what running transactions are about to reserve waits for those, and for no others."""

from collections.abc import Callable

import pytest

from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import Avoidance, placed, reservations
from controller.model.errors import UndecidedError
from controller.model.identifiers import DeviceName, TransactionId
from controller.model.units import BitRate
from controller.runtime.tunnels import Tunnels
from controller.topology.te_database import TeDatabase
from tests.controller.test_tunnel_paths import GIGABIT, network, way
from tests.controller.test_tunnel_repair import A, Z, stage

MOST = BitRate(6 * GIGABIT // 10)
LEFT = "a:m>m:a"


def wide(name: str, *avoided: str, bandwidth: BitRate = MOST) -> Tunnel:
    """A tunnel that leaves no room for another such on its links."""
    avoid = Avoidance(nodes=frozenset(map(DeviceName, avoided)))
    return placed(TeDatabase(network()), Tunnel(name, A, Z, 100, "fc00::1", bandwidth=bandwidth), avoid)


async def contended(*before: Tunnel) -> tuple[Tunnels, Callable[..., None]]:
    """The tunnels there are, and how a transaction that wants others comes to run."""
    found = await stage(*before)
    found.topology.database = TeDatabase(network(), reservations(before, network().links))

    def run(transaction: str, *wanted: Tunnel) -> None:
        plan = found.repair.tunnels.plan(TunnelChange(wanted), transaction)
        found.world.reservations.reserve(TransactionId(transaction), plan)

    return found.repair.tunnels, run


async def test_only_the_transaction_that_takes_the_link_is_waited_for():
    tunnels, run = await contended()
    run("tx-1", wide("elsewhere", "m"))
    run("tx-2", wide("there"))
    plan = tunnels.plan(TunnelChange((wide("also"),)), "a third")
    with pytest.raises(UndecidedError, match="tx-2 is about to reserve") as refused:
        tunnels.refuse_overbooked(plan)
    assert refused.value.path == "tx-2"
    assert "tx-1" not in str(refused.value)


async def test_a_transaction_that_would_take_more_on_a_link_that_it_leaves_is_waited_for_as_it_carries_there_yet():
    leaving = wide("leaving", bandwidth=BitRate(3 * GIGABIT // 10))
    tunnels, run = await contended(leaving)
    run("tx-1", wide("elsewhere", "m", "n"))
    run("tx-2", wide("leaving", "m"))
    plan = tunnels.plan(TunnelChange((wide("also"),)), "a third")
    assert (way(leaving.paths[0]), way(wide("leaving", "m").paths[0])) == ("m", "n")
    with pytest.raises(UndecidedError, match=f"tx-2 is about to reserve .* of link '{LEFT}'") as refused:
        tunnels.refuse_overbooked(plan)
    assert refused.value.path == "tx-2"
