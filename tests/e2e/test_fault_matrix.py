"""Every RPC boundary x every fault, on real sockets, with at least three participant classes in each transaction.

One cell: a transaction over four routers, one of which (the victim) suffers one fault at one RPC. Afterwards the
verdict must be what the routers hold, no lock or armed commit may be left, and an unrelated change must succeed.
"""

import asyncio
import itertools
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from controller.transaction.states import Phase
from lab.faults import FaultScript
from lab.router.faults_point import Action, Fault
from lab.router.faults_point import Phase as At
from lab.router.rpc_errors import RpcError
from tests.e2e.world import RPC_SECONDS, World, address, description, open_world, until
from tests.patience import PATIENCE_SECONDS

GROUPS = "abcdef"


@dataclass(frozen=True, slots=True)
class Boundary:
    """An RPC of a victim. `undone`: another router refuses late, so that the victim's undoing is reached."""

    kind: str
    rpc: str
    nth: int = 1
    undone: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.rpc} {self.nth}{' while undoing' if self.undone else ''}"


BOUNDARIES = [
    *(Boundary("full", rpc) for rpc in ("lock", "discard-changes", "get-config", "edit-config", "validate")),
    Boundary("full", "lock", 2),
    Boundary("full", "commit"),
    Boundary("full", "get-config", 2),
    Boundary("full", "commit", 2),  # the confirm
    Boundary("full", "get-config", 3),
    Boundary("full", "unlock"),
    Boundary("full", "cancel-commit", undone=True),
    Boundary("full", "get-config", 3, undone=True),
    *(Boundary("confirmed10", rpc) for rpc in ("lock", "edit-config", "validate", "commit", "unlock")),
    Boundary("confirmed10", "get-config", 2),
    Boundary("confirmed10", "commit", 2),  # the confirm
    Boundary("confirmed10", "close-session", undone=True),  # the cancel
    *(Boundary("candidate", rpc) for rpc in ("get-config", "validate", "commit", "unlock")),
    Boundary("candidate", "get-config", 2),
    Boundary("candidate", "commit", 2, undone=True),
    *(Boundary("running", rpc) for rpc in ("lock", "get-config", "edit-config", "unlock")),
    Boundary("running", "get-config", 2),
    Boundary("running", "edit-config", 2, undone=True),
    *(Boundary("restconf", f"restconf-{method}") for method in ("head", "get", "patch")),
    Boundary("restconf", "restconf-get", 2),
    Boundary("restconf", "restconf-patch", 2, undone=True),
    *(Boundary("cli", f"cli-{command}") for command in ("show", "configure", "rollback", "set", "commit", "exit")),
    Boundary("cli", "cli-commit", 2, undone=True),
]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault. `harmless`: the transaction must commit nevertheless, unless it was to be undone."""

    action: Action
    at: At | None = None
    harmless: bool = False
    only: Callable[[Boundary], bool] = lambda _: True


TROUBLES = {
    "closed before acting": Trouble(Action(Fault.CLOSE)),
    "closed after acting": Trouble(Action(Fault.CLOSE), "after"),
    "no reply, not applied": Trouble(Action(Fault.HANG)),
    "no reply, applied": Trouble(Action(Fault.LOSE_REPLY)),
    "rpc-error": Trouble(Action(Fault.REJECT, error=RpcError("operation-failed", "scripted refusal"))),
    "warning": Trouble(Action(Fault.WARN), harmless=True, only=lambda boundary: boundary.rpc != "cli-show"),
    "lock held": Trouble(Action(Fault.LOCK_HELD, session_id=4711)),
    "garbage": Trouble(Action(Fault.GARBAGE)),
    "reply of 5 MB": Trouble(Action(Fault.HUGE, octets=5_000_000), harmless=True),
    "reply split at every byte": Trouble(Action(Fault.SPLIT, octets=1), harmless=True),
    "reboot": Trouble(Action(Fault.REBOOT)),
    "reboot before acting": Trouble(Action(Fault.REBOOT), "before"),
    "delay": Trouble(Action(Fault.DELAY, seconds=0.3), harmless=True),
    "delay beyond the deadline": Trouble(Action(Fault.DELAY, seconds=RPC_SECONDS + 1.25)),
}


class Cells:
    """Runs cells in the groups of one world, each group by itself."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count(1)
        self.failures: list[str] = []

    async def run(self, cells: list[tuple[Boundary, Trouble]]) -> None:
        left = iter(cells)
        await asyncio.gather(*(self._work(group, left) for group in GROUPS))
        assert not self.failures, "\n".join([f"{len(self.failures)} of {len(cells)} cells:", *self.failures])

    async def _work(self, group: str, left: Iterator[tuple[Boundary, Trouble]]) -> None:
        for boundary, trouble in left:
            try:
                await self._cell(group, boundary, trouble)
            except Exception as error:  # noqa: BLE001 - the other cells shall be seen too
                where = traceback.extract_tb(error.__traceback__)[-1]
                self.failures.append(f"{boundary}: {type(error).__name__} in {where.name}: {error}"[:600])

    async def _cell(self, group: str, boundary: Boundary, trouble: Trouble) -> None:
        world, number = self._world, next(self._numbers)
        victim = f"{group}-{boundary.kind}"
        devices = sorted({victim, *(f"{group}-{kind}" for kind in ("full", "running", "restconf"))})
        label = f"cell {number}"
        wanted = description(label) | (address(number % 200 * 2) if number % 2 else {})
        plan, before = world.plan(devices, wanted), world.running(devices)
        fired = len(world.faults.history)
        world.faults.add(victim, boundary.rpc, trouble.action, phase=trouble.at, nth=boundary.nth)
        if boundary.undone:
            spoiler, rpc = ("restconf", "restconf-patch") if boundary.kind == "running" else ("running", "edit-config")
            world.faults.add(f"{group}-{spoiler}", rpc, Fault.REJECT)
        summary = await world.commit(plan)
        summary = await world.verdict_equals_readback(summary, before, label)
        struck = [entry.rpc for entry in list(world.faults.history)[fired:] if entry.router == victim]
        assert boundary.rpc in struck, f"the fault was never met ({summary.phase}: {summary.reason})"
        expected = Phase.ABORTED if boundary.undone else Phase.COMMITTED
        if trouble.harmless or boundary.undone:
            assert summary.phase is expected, f"{summary.phase}: {summary.reason}"
        if summary.phase is Phase.ABORTED:
            assert summary.reason
        for name in devices:
            world.faults.clear(name)
        await until(lambda: all(world.lab[name].is_up for name in devices), PATIENCE_SECONDS)
        await world.next_change_is_clean(devices, label)


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_verdict_is_what_the_routers_hold_whatever_fails_at_any_boundary(tmp_path, trouble, half):
    """In chequers: each half has every fault and every boundary, both together every pair."""
    suffered, row = TROUBLES[trouble], list(TROUBLES).index(trouble)
    patience = 30.0 if suffered.harmless else RPC_SECONDS
    async with open_world(tmp_path, GROUPS, rpc_seconds=patience) as world:
        chosen = [boundary for column, boundary in enumerate(BOUNDARIES) if (row + column) % 2 == half]
        await Cells(world).run([(boundary, suffered) for boundary in chosen if suffered.only(boundary)])


async def test_a_reply_of_fifty_megabytes_is_read_like_any_other(tmp_path):
    kinds = ("full", "running", "restconf")
    devices = [f"a-{kind}" for kind in kinds]
    async with open_world(tmp_path, "a", kinds, rpc_seconds=60.0) as world:
        for name, rpc in zip(devices, ("get-config", "edit-config", "restconf-get"), strict=True):
            world.faults.add(name, rpc, Action(Fault.HUGE, octets=50_000_000))
        before = world.running(devices)
        summary = await world.commit(world.plan(devices, description("huge")))
        summary = await world.verdict_equals_readback(summary, before, "huge")
        assert summary.phase is Phase.COMMITTED, summary.reason
        assert len(world.faults.history) == len(devices)


class SteppingScript(FaultScript):
    """Sets the controller's clock wrong at one RPC, which then takes its usual course."""

    def __init__(self, rpc: str, nth: int, step: Callable[[], None]) -> None:
        super().__init__()
        self._left, self._rpc, self._step = nth, rpc, step

    def armed(self, router: str) -> bool:
        return super().armed(router) or (router == "a-full" and self._left > 0)

    async def around(self, router: str, rpc: str, phase: At) -> Action | None:
        if (router, rpc, phase) == ("a-full", self._rpc, "before"):
            self._left -= 1
            if self._left == 0:
                self._step()
        return await super().around(router, rpc, phase)


CLOCK_STEPS = [(b.rpc, b.nth) for b in BOUNDARIES if b.kind == "full" and not b.undone]


@pytest.mark.parametrize("seconds", [3600.0, -3600.0], ids=["ahead", "back"])
async def test_a_clock_that_steps_an_hour_at_any_boundary_changes_no_outcome(tmp_path, seconds):
    kinds = ("full", "confirmed10", "restconf")
    devices = [f"a-{kind}" for kind in kinds]
    async with open_world(tmp_path, "a", kinds, rpc_seconds=30.0) as world:
        for number, (rpc, nth) in enumerate(CLOCK_STEPS):

            def step() -> None:
                world.clock.offset_seconds += seconds

            offset, label = world.clock.offset_seconds, f"step {number}"
            script = SteppingScript(rpc, nth, step)
            world.lab["a-full"].faults = script
            if rpc == "commit" and nth == 2:  # the first answer is lost: is there still time to try again?
                script.add("a-full", "commit", Fault.CLOSE, nth=2)
            before = world.running(devices)
            summary = await world.commit(world.plan(devices, description(label)))
            summary = await world.verdict_equals_readback(summary, before, label)
            assert summary.phase is Phase.COMMITTED, f"{rpc} {nth}: {summary.reason}"
            assert world.clock.offset_seconds == offset + seconds, f"{rpc} {nth} was not met"
        await world.next_change_is_clean(devices, "after the steps")
