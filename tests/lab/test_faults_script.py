"""When scripted faults strike, and when they do not."""

import pytest
from pydantic import ValidationError

from lab.faults import DEFAULT_PHASE, FaultRequest, FaultScript
from lab.router.faults_point import Action, Fault


async def strikes(script: FaultScript, router: str, rpc: str, phase: str = "before", times: int = 1) -> list[bool]:
    return [await script.around(router, rpc, phase) is not None for _ in range(times)]  # type: ignore[arg-type]  # plain text in tests


async def test_a_fault_strikes_once_unless_told_otherwise() -> None:
    script = FaultScript()
    script.add("r1", "commit", Fault.CLOSE)
    assert await strikes(script, "r1", "commit", times=3) == [True, False, False]
    assert not script.armed("r1")


async def test_a_fault_strikes_at_its_nth_occurrence_and_count_times() -> None:
    script = FaultScript()
    script.add("r1", "get", Fault.CLOSE, nth=2, count=2)
    assert await strikes(script, "r1", "get", times=5) == [False, True, True, False, False]


async def test_a_fault_without_a_count_strikes_for_ever() -> None:
    script = FaultScript()
    script.add("r1", "get", Fault.CLOSE, count=None)
    assert await strikes(script, "r1", "get", times=50) == [True] * 50
    assert script.armed("r1")


async def test_a_fault_strikes_its_router_rpc_and_phase_only() -> None:
    script = FaultScript()
    script.add("r1", "commit", Fault.LOSE_REPLY)
    assert not (await strikes(script, "r2", "commit", "reply"))[0]
    assert not (await strikes(script, "r1", "get", "reply"))[0]
    assert not (await strikes(script, "r1", "commit", "before"))[0]
    assert (await strikes(script, "r1", "commit", "reply"))[0]


async def test_a_star_stands_for_every_router_and_every_rpc() -> None:
    script = FaultScript()
    script.add("*", "*", Fault.CLOSE, count=2)
    assert script.armed("whoever")
    assert await strikes(script, "r7", "get") == [True]
    assert await strikes(script, "r8", "lock") == [True]


async def test_two_faults_at_one_rpc_strike_one_after_the_other() -> None:
    script = FaultScript()
    script.add("r1", "get", Fault.CLOSE)
    script.add("r1", "get", Action(Fault.DELAY, seconds=1.0))
    first, second = [await script.around("r1", "get", "before") for _ in range(2)]
    assert first is not None
    assert second is not None
    assert (first.fault, second.fault) == (Fault.CLOSE, Fault.DELAY)
    assert [fired.fault for fired in script.history] == [Fault.CLOSE, Fault.DELAY]


async def test_clearing_disarms_one_router_or_all() -> None:
    script = FaultScript()
    for router in ("r1", "r2"):
        script.add(router, "get", Fault.CLOSE)
    assert script.clear("r1") == 1
    assert [rule.router for rule in script.rules()] == ["r2"]
    assert script.clear() == 1
    assert not script.armed("r2")


def test_every_fault_has_a_phase_of_its_own() -> None:
    assert set(DEFAULT_PHASE) == set(Fault)


def test_occurrences_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="start at 1"):
        FaultScript().add("r1", "get", Fault.CLOSE, nth=0)


async def test_a_request_scripts_a_rejection_with_its_tag() -> None:
    script = FaultScript()
    FaultRequest(router="r1", rpc="commit", action=Fault.REJECT, tag="resource-denied", message="full").script(script)
    action = await script.around("r1", "commit", "before")
    assert action is not None
    assert action.error is not None
    assert (action.error.tag, action.error.message) == ("resource-denied", "full")


@pytest.mark.parametrize(
    "members",
    [
        {"action": "explode"},
        {"action": "delay"},
        {"action": "huge"},
        {"action": "close", "nth": 0},
        {"action": "close", "phase": "later"},
        {"action": "close", "colour": "red"},
        {"action": "close", "router": ""},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultRequest.model_validate({"router": "r1", "rpc": "get"} | members)
