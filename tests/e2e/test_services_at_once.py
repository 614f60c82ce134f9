"""Twenty services planned and committed at once: all come true or are told to plan again, no number is given twice."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from controller.mapping.service_change import L3smEdit
from controller.model.errors import ConflictError, NotAuthorizedError, StalePlanError, UndecidedError
from controller.runtime.controller import Controller
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.states import Phase
from lab.network import NetworkOptions
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, QUICK, Provider, edge, edges, open_provider

COUNT = 20
MANY = edges(*(edge(f"pe{number:02}", f"Town {number:02}", "DE", f"pop{number:02}") for number in range(COUNT)))
FEW = edges(*(edge(f"pe{number}", f"Town {number:02}", "DE", f"pop{number}") for number in range(2)))
MIXED = NetworkOptions(profiles={"pe0": "full", "pe1": "restconf"})


def wish(number: int, town: int) -> L3smEdit:
    """A VPN of its own with one site."""
    vpn = f"vpn-{number:02}"
    inner = access(number, vpn_id=vpn)
    return edit(service(vpn), site(f"site-{number:02}", f"Town {town:02}", "DE", inner))


def assert_numbers_differ(controller: Controller) -> None:
    state = controller.world.services
    for name, pool in state.identifiers.pools.items():
        twice = [number for number, times in Counter(pool.taken.values()).items() if times > 1]
        assert not twice, (name, twice)
    told = [fragment.node for fragment in state.fragments.values() if fragment.node]
    for values in (
        [node.route_distinguisher for node in told],
        [target for node in told for target in node.export_targets],
        [(at.device, at.port, at.vlan) for at in state.placements.values()],
    ):
        assert len(values) == len(set(values)) == len(state.placements)


async def commit_fresh(controller: Controller, wanted: L3smEdit) -> TransactionSummary:
    async def make_plan() -> Plan:
        return await controller.plan_services(wanted, "at once", ACTOR)

    return await controller.commit_fresh(make_plan, QUICK, ACTOR)


async def assert_all_true_then_gone(provider: Provider, before: dict[str, bytes]) -> None:
    controller = provider.controller
    assert len(controller.world.services.services) == COUNT
    assert_numbers_differ(controller)
    await provider.assert_read_back_equal(before)
    for vpn in list(controller.world.services.services):
        await provider.commit_plan(await controller.plan_service_deletion(vpn, ACTOR))
    assert provider.running() == before


async def test_on_routers_of_their_own_all_succeed(tmp_path: Path) -> None:
    async with open_provider(tmp_path, MANY) as provider:
        before = provider.running()
        wishes = [wish(number, number) for number in range(COUNT)]
        done = await asyncio.gather(*(commit_fresh(provider.controller, wanted) for wanted in wishes))
        assert [summary.phase for summary in done] == [Phase.COMMITTED] * COUNT
        await assert_all_true_then_gone(provider, before)


async def test_on_the_same_routers_all_succeed(tmp_path: Path) -> None:
    async with open_provider(tmp_path, FEW, MIXED) as provider:
        before = provider.running()
        wishes = [wish(number, number % 2) for number in range(COUNT)]
        done = await asyncio.gather(*(commit_fresh(provider.controller, wanted) for wanted in wishes))
        assert [summary.phase for summary in done] == [Phase.COMMITTED] * COUNT
        await assert_all_true_then_gone(provider, before)


async def test_plans_made_at_once_succeed_or_are_told_to_plan_again(tmp_path: Path) -> None:
    async with open_provider(tmp_path, FEW, MIXED) as provider:
        controller = provider.controller

        async def once(wanted: L3smEdit) -> TransactionSummary | ConflictError:
            plan = await controller.plan_services(wanted, "at once", ACTOR)
            await asyncio.sleep(0)
            try:
                return await controller.commit(plan.id, QUICK, ACTOR)
            except (StalePlanError, UndecidedError) as error:
                return error

        found = await asyncio.gather(*(once(wish(number, number % 2)) for number in range(COUNT)))
        done = [each for each in found if isinstance(each, TransactionSummary)]
        assert done
        assert all("plan again" in str(each) for each in found if isinstance(each, ConflictError))
        assert all(summary.phase is Phase.COMMITTED for summary in done)
        assert len(controller.world.services.services) == len(done) < COUNT
        assert_numbers_differ(controller)
        await provider.assert_read_back_equal(["pe0", "pe1"])


async def test_intents_said_at_once_all_come_true(tmp_path: Path) -> None:
    async with open_provider(tmp_path, FEW, MIXED) as provider:
        controller, before = provider.controller, provider.running()

        async def say(number: int) -> TransactionSummary:
            said = f"Connect Town 00 and Town 01 with {number + 1} Mbit/s for acme"
            outcome = await controller.submit_intent(said, ACTOR)
            assert outcome.plan is not None, outcome.result
            return await controller.commit_intent(outcome.plan.id, QUICK, ACTOR)

        done = await asyncio.gather(*(say(number) for number in range(5)))
        assert [summary.phase for summary in done] == [Phase.COMMITTED] * 5
        records = list(controller.world.intents)
        assert len({record.vpn_id for record in records}) == 5
        assert {record.vpn_id for record in records} == set(controller.world.services.services)
        await provider.assert_read_back_equal(before)
        for record in records:
            await provider.commit_plan(await controller.withdraw_intent(record.id, ACTOR))
        assert provider.running() == before


async def test_what_was_planned_anew_is_not_committed_without_permission(tmp_path: Path) -> None:
    async with open_provider(tmp_path, FEW) as provider:
        controller = provider.controller
        said = "Connect Town 00 and Town 01 with 20 Mbit/s for acme"
        one, two = [await controller.submit_intent(said, ACTOR) for _ in range(2)]
        assert one.plan is not None
        assert two.plan is not None
        await provider.commit_plan(one.plan)
        before, asked = provider.running(), list[str]()

        def refuse(made: Plan) -> None:
            asked.append(made.id)
            raise NotAuthorizedError("not this one")

        with pytest.raises(NotAuthorizedError, match="not this one"):
            await controller.commit_intent(two.plan.id, QUICK, ACTOR, permit=refuse)
        assert len(asked) == 1
        assert provider.running() == before
        done = await controller.commit_intent(two.plan.id, QUICK, ACTOR, permit=lambda _: None)
        assert done.phase is Phase.COMMITTED
