"""Transactions beside each other: serialised on one device, free on disjoint ones; foreign locks; nothing to do."""

import asyncio
import itertools
from dataclasses import replace

import asyncssh
import pytest

from controller.model.errors import BusyError, ConflictError
from controller.model.identifiers import DeviceName, Owner
from controller.transaction.states import Phase
from lab.router.faults_point import Fault
from tests.e2e.world import OTHER, QUICK, RPC_SECONDS, World, description, open_world
from tests.patience import PATIENCE_SECONDS

GROUPS = [f"g{number:02}" for number in range(20)]
THREE = ("full", "running", "restconf")


async def test_work_of_two_on_one_device_is_done_one_after_the_other_and_none_is_lost(tmp_path):
    async with open_world(tmp_path, "a", ("full", "confirmed10", "restconf")) as world:
        devices = ["a-full", "a-confirmed10", "a-restconf"]
        owners = {f"access{number}": Owner(f"service:{number}") for number in range(3)}
        plans = [world.plan(devices, description(port, port), owner) for port, owner in owners.items()]
        summaries = await asyncio.gather(*(world.commit(plan) for plan in plans))
        assert [summary.phase for summary in summaries] == [Phase.COMMITTED] * 3
        for port in owners:
            assert set(world.descriptions(devices, port).values()) == {port}
        times = sorted((summary.started, summary.ended) for summary in summaries)
        assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(times)), times


async def test_the_second_of_two_changes_of_one_line_is_refused_and_not_half_done(tmp_path):
    async with open_world(tmp_path, "a", THREE) as world:
        devices = [f"a-{kind}" for kind in THREE]
        first = world.plan(devices, description("first"))
        second = world.plan(devices, description("second"), OTHER)
        outcomes = await asyncio.gather(world.commit(first), world.commit(second), return_exceptions=True)
        assert isinstance(outcomes[1], ConflictError)
        assert "out of date" in str(outcomes[1])
        assert set(world.descriptions(devices).values()) == {"first"}


async def test_twenty_disjoint_transactions_at_once_all_succeed(tmp_path):
    async with open_world(tmp_path, GROUPS, THREE, rpc_seconds=30.0) as world:
        plans = [world.plan([f"{group}-{kind}" for kind in THREE], description(group)) for group in GROUPS]
        summaries = await asyncio.gather(*(world.commit(plan) for plan in plans))
        assert [(summary.phase, summary.reason) for summary in summaries] == [(Phase.COMMITTED, "")] * len(GROUPS)
        for group in GROUPS:
            assert set(world.descriptions([f"{group}-{kind}" for kind in THREE]).values()) == {group}


async def netconf_lock(world: World, name: str) -> tuple[asyncssh.SSHClientConnection, int]:
    """Lock running as somebody else would; the connection holds it, and the session-id is returned beside it."""
    router = world.lab[name]
    connection = await asyncssh.connect(
        router.host, router.netconf_port, username=router.username, password=router.password, known_hosts=None
    )
    writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
    base = "<capability>urn:ietf:params:netconf:base:1.0</capability>"
    hello = '<hello xmlns="{0}"><capabilities>' + base + "</capabilities></hello>"
    lock = '<rpc xmlns="{0}" message-id="1"><lock><target><running/></target></lock></rpc>'
    for message in (hello, lock):
        writer.write(message.format("urn:ietf:params:xml:ns:netconf:base:1.0").encode() + b"]]>]]>")
    await reader.readuntil(b"]]>]]>")
    assert b"<ok/>" in await reader.readuntil(b"]]>]]>")
    holder = router.store.lock_holder("running")
    assert holder is not None
    return connection, holder


@pytest.mark.parametrize("kind", ["full", "confirmed10", "candidate", "running"])
async def test_a_foreign_lock_is_waited_for_a_while_and_reported_with_its_session_id(tmp_path, kind):
    async with open_world(tmp_path, "a", tuple({kind: 0, "full": 0, "restconf": 0})) as world:
        devices = sorted({f"a-{kind}", "a-full", "a-restconf"})
        before = world.running(devices)
        connection, holder = await netconf_lock(world, f"a-{kind}")
        world.controller.transactions.lock_wait_seconds = 1.0
        summary = await world.commit(world.plan(devices, description("mine")))
        assert summary.phase is Phase.ABORTED
        assert str(holder) in summary.reason, summary.reason
        assert world.running(devices) == before
        assert world.lab[f"a-{kind}"].store.lock_holder("running") == holder
        world.controller.transactions.lock_wait_seconds = PATIENCE_SECONDS
        pending = asyncio.create_task(world.commit(world.plan(devices, description("mine"))))
        await asyncio.sleep(0.3)  # within the bounded wait: the lock goes, and the change with it succeeds
        connection.abort()
        summary = await pending
        assert summary.phase is Phase.COMMITTED, summary.reason
        await world.verdict_equals_readback(summary, before, "mine")


async def test_a_plan_that_changes_nothing_sends_nothing(tmp_path):
    kinds = ("full", "confirmed10", "candidate", "running")
    devices = [f"a-{kind}" for kind in kinds]
    async with open_world(tmp_path, "a", kinds) as world:
        await world.final(await world.commit(world.plan(devices, description("there"))))
        same = world.plan(devices, description("there"))
        assert same.is_empty

        def received() -> dict[str, list[int]]:
            return {name: [session.in_rpcs for session in world.lab[name].sessions] for name in devices}

        before, running = received(), world.running(devices)
        assert all(counts and counts[0] for counts in before.values())
        summary = await world.commit(same)
        assert summary.phase is Phase.COMMITTED
        assert received() == before
        assert world.running(devices) == running


async def test_a_device_that_is_unknown_is_held_and_the_others_are_free_at_once(tmp_path):
    devices = [f"a-{kind}" for kind in THREE]
    async with open_world(tmp_path, "a", THREE, rpc_seconds=RPC_SECONDS) as world:
        before = world.running(devices)
        world.faults.add("a-full", "cancel-commit", Fault.HANG, count=None)
        world.faults.add("a-running", "edit-config", Fault.REJECT)
        unknown = await world.commit(world.plan(devices, description("lost")))
        assert unknown.phase is Phase.UNKNOWN
        assert unknown.astray == ("a-full",)
        lease = world.controller.leases.holder(DeviceName("a-full"))
        assert lease is not None
        with pytest.raises(BusyError, match="a-full"):
            await world.commit(world.plan(["a-full"], description("mine")), replace(QUICK, lease_wait_seconds=0.2))
        survivors = devices[1:]
        again = await world.commit(world.plan(survivors, description("next")))
        assert again.phase is Phase.COMMITTED, again.reason
        world.faults.clear()
        healed = await world.final(unknown)
        assert healed.phase is Phase.ABORTED
        assert world.running(["a-full"])["a-full"] == before["a-full"]
        assert set(world.descriptions(survivors).values()) == {"next"}, "healing undid a later transaction"
        for name in devices:
            report = await world.controller.check_sync(DeviceName(name))
            assert report.is_in_sync, [difference.explain() for difference in report.differences]
