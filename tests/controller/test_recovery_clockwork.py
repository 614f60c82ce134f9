"""The clockwork of recoveries: it goes on looking, and takes nothing for over that nobody has seen to be well."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from controller.adapters.event_log_memory import MemoryEventLog
from controller.assurance.root_cause_observations import Observation, ObservationKind
from controller.events import types
from controller.mapping.tunnel import Tunnel
from controller.model.errors import ConflictError
from controller.model.identifiers import Owner
from controller.model.yang_path import Step
from controller.ports import NewEvent
from controller.recovery.history import Recovery, RecoveryHistory
from controller.recovery.remedies import Remedy
from controller.recovery.scoring import Candidate, Score
from controller.recovery.situation import Fault, FaultKind
from controller.recovery.states import Mode, RecoveryState
from controller.runtime.device_care import Difference, SyncReport
from controller.runtime.localisation import BLIND
from controller.runtime.localisation_observations import Patience
from controller.runtime.recovery import FORETOLD, Pace, Recoveries
from controller.runtime.recovery_work import Done
from controller.runtime.world import World
from controller.topology.network import Network
from controller.transaction.out_of_band import Policy
from tests.controller.assurance_world import LONDON, VirtualClock
from tests.controller.test_tunnel_paths import tunnel
from tests.controller.topology_samples import drawn
from tests.patience import PATIENCE_SECONDS

PACE = Pace(settle=2.0, settle_unknown=60.0, clear=5.0, calm=20.0)
NORTH = Fault(
    "link a>b", FaultKind.LINK.value, ("a>b", "b>a"), False, 0.97, ("probe: 9 of 90 lost",), reason="it loses"
)
SOUTH = Fault("link b>c", FaultKind.LINK.value, ("b>c", "c>b"), False, 0.97, ("probe: 9 of 90 lost",))
MOVE = Candidate(Remedy("reroute", "reroute gold"), Score(0.9, (("acme", 1.0),), 0.5, 1, ("because",)))


def symptom(*elements: str) -> Observation:
    return Observation(ObservationKind.LOSS, "probe", LONDON, frozenset(elements), sent=90, lost=9)


class Seeing:
    """Localisation that sees what the test says, and has been looking for ever."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.patience, self.topology = clock, Patience(), SimpleNamespace(network=Network({}, {}))
        self.faults: tuple[Fault, ...] = ()
        self.found: tuple[Observation, ...] = ()
        self.blind, self.now = "", SimpleNamespace(flows=())
        self.counts: tuple[int, int] = (90, 0)
        self.witness = self

    async def diagnose(self) -> None:
        """Nothing but what the test says."""

    def stop(self) -> None:
        """Nothing was begun."""

    def has_looked_since(self, seconds: float) -> bool:
        return True

    def touched(self, elements: object) -> frozenset[str]:
        return frozenset()

    def symptoms(self) -> tuple[Observation, ...]:
        return self.found

    def sessions(self, flows: object) -> list[tuple[str, int, str, frozenset[str]]]:
        return [(LONDON, 1, "probe", frozenset(NORTH.elements))]

    def loss(self, device: str, number: int, since: float) -> tuple[int, int]:
        return self.counts

    def sees(self, *faults: Fault) -> None:
        self.faults = faults
        self.found = tuple(symptom(*fault.elements) for fault in faults if fault.elements)

    def is_blinded(self) -> None:
        self.blind, self.found = "telemetry is lost", ()
        self.faults = (Fault(BLIND, FaultKind.UNKNOWN.value, reason=self.blind),)


class Hands:
    """One remedy there is, which does what it has to; `taken` are the tunnels that were to be taken away."""

    def __init__(self) -> None:
        self.sufferers: tuple[str, ...] = ("acme",)
        self.taken: list[tuple[str, ...]] = []
        self.given: list[tuple[str, ...]] = []
        self.made_by: dict[str, Recovery] = {}
        self.owed_by: dict[str, tuple[Recovery, Tunnel]] = {}

    async def suffering(self, fault: Fault) -> tuple[str, ...]:
        return self.sufferers

    async def candidates(self, fault: Fault) -> tuple[Candidate, ...]:
        return (MOVE,)

    async def prove(self, *_: Any) -> tuple[None, str]:
        return None, ""

    async def carry_out(self, recovery: Recovery) -> Done:
        return Done("", ("tx-1",))

    def made(self) -> dict[str, Recovery]:
        return self.made_by

    def owed(self) -> dict[str, tuple[Recovery, Tunnel]]:
        return self.owed_by

    async def give_back(
        self, recovery: Recovery, promised: tuple[Tunnel, ...], bad: list[str]
    ) -> tuple[tuple[str, ...], Done]:
        names = tuple(tunnel.name for tunnel in promised)
        self.given.append(names)
        self.owed_by = {}
        return names, Done("", ("tx-9",))

    async def take_away(self, names: tuple[str, ...]) -> Done:
        """A router does not answer: nobody knows when this ends."""
        self.taken.append(names)
        await asyncio.Event().wait()
        return Done()


class Plant:
    """Real recoveries on a virtual clock, with their log."""

    def __init__(self, mode: Mode = Mode.ASK) -> None:
        self.clock, self.world, self.hands = VirtualClock(), World(), Hands()
        self.log = MemoryEventLog(clock=self.clock)
        self.log.subscribe(self.world.apply_all)
        self.seeing = Seeing(self.clock)
        collection = SimpleNamespace(hasten=lambda *_: None)
        self.recoveries = Recoveries(
            self.world,
            self.log,
            self.clock,
            collection,  # type: ignore[arg-type]  # only asked to read more often
            self.seeing,  # type: ignore[arg-type]  # sees what the test says
            self.hands,  # type: ignore[arg-type]  # changes no network
            lambda: mode,
            PACE,
        )

    async def tick(self, count: int = 1) -> None:
        """Seconds, in each of which everything that can go on does."""
        for _ in range(count):
            self.clock.time += 1.0
            await self.recoveries.tick()
            for _ in range(40):
                await asyncio.sleep(0)

    async def waiting(self) -> Recovery:
        """A recovery that an operator has to agree to."""
        self.seeing.sees(NORTH)
        await self.tick(5)
        (one,) = self.world.recoveries.inbox
        return one

    def state(self, one: Recovery) -> RecoveryState:
        return self.world.recoveries.get(one.id).state

    async def helped(self) -> Recovery:
        """A recovery that is over and changed something, and its fault not seen any more."""
        one = await self.recoveries.begin(NORTH, ("acme",))
        await self.tick()
        assert self.state(one) is RecoveryState.RECOVERED
        changed = NewEvent(f"recovery/{one.id}", types.RECOVERY_UNDONE, {"transactions": ["tx-1"]})
        await self.log.append([changed], actor="accord")
        return self.world.recoveries.get(one.id)


async def test_what_waits_goes_on_waiting_while_nobody_can_see_whether_the_fault_is_gone() -> None:
    plant = Plant()
    one = await plant.waiting()
    plant.seeing.is_blinded()
    await plant.tick(2 * round(PACE.clear))
    assert plant.state(one) is RecoveryState.ESCALATED
    plant.seeing.blind = ""
    plant.seeing.sees()
    await plant.tick(2 * round(PACE.clear))
    assert plant.state(one) is RecoveryState.RECOVERED


async def test_nothing_is_begun_against_a_fault_that_nobody_can_see_any_more() -> None:
    plant = Plant(Mode.AUTO)
    plant.seeing.sees(NORTH)
    one = await plant.recoveries.begin(NORTH, ("acme",))
    plant.seeing.is_blinded()
    await plant.tick(3)
    assert plant.state(one) is RecoveryState.DETECTED


async def test_a_fault_whose_cause_has_got_another_name_is_not_gone() -> None:
    plant = Plant()
    one = await plant.waiting()
    plant.seeing.faults = ()
    await plant.tick(2 * round(PACE.clear))
    assert plant.state(one) is RecoveryState.ESCALATED


@pytest.mark.parametrize("counts, is_over", [((0, 0), False), ((90, 90), False), ((90, 0), True)])
async def test_a_loss_is_gone_only_when_packets_have_come_over_it(counts: tuple[int, int], is_over: bool) -> None:
    plant = Plant()
    one = await plant.waiting()
    plant.seeing.sees()
    plant.seeing.counts = counts
    await plant.tick(2 * round(PACE.clear))
    assert plant.world.recoveries.get(one.id).is_over is is_over
    plant.hands.sufferers = ()
    await plant.tick()
    assert plant.state(one) is RecoveryState.RECOVERED, "nobody crosses it"


async def test_a_fault_is_seen_while_tunnels_are_taken_away_and_nobody_knows_when_that_ends() -> None:
    plant = Plant(Mode.AUTO)
    plant.hands.made_by = {"recovery-acme": await plant.helped()}
    async with asyncio.timeout(60):
        await plant.tick(round(PACE.calm) + 1)
        assert plant.hands.taken == [("recovery-acme",)]
        plant.seeing.sees(NORTH)
        await plant.tick(2 * round(PACE.calm))
    assert NORTH.cause in plant.recoveries.faults.now
    assert len(plant.hands.taken) == 1, "one at a time"
    await plant.recoveries.stop()


@pytest.mark.parametrize("counts", [(0, 0), (90, 90)])
async def test_a_tunnel_stays_much_longer_where_nobody_sees_that_the_loss_it_was_made_for_is_over(
    counts: tuple[int, int],
) -> None:
    plant = Plant(Mode.AUTO)
    plant.hands.made_by = {"recovery-acme": await plant.helped()}
    plant.seeing.counts = counts
    await plant.tick(5 * round(PACE.calm))
    assert plant.hands.taken == []
    await plant.tick(2 * round(PACE.calm))
    assert plant.hands.taken == [("recovery-acme",)]
    await plant.recoveries.stop()


async def test_a_tunnel_stays_longer_each_time_that_what_it_was_made_for_comes_back() -> None:
    plant = Plant(Mode.AUTO)
    await plant.helped()
    await plant.helped()
    plant.hands.made_by = {"recovery-acme": await plant.helped()}
    await plant.tick(round(3.5 * PACE.calm))
    assert plant.hands.taken == []
    await plant.tick(round(PACE.calm))
    assert plant.hands.taken == [("recovery-acme",)]
    await plant.recoveries.stop()


async def test_who_gets_less_than_was_promised_gets_all_again_when_its_own_fault_is_over_whatever_else_there_is() -> (
    None
):
    plant = Plant(Mode.ASK)
    one = await plant.helped()
    plant.seeing.sees(NORTH)
    await plant.tick()
    plant.hands.owed_by = {"gold": (one, tunnel("gold"))}
    await plant.tick(2 * round(PACE.calm))
    assert plant.hands.given == []
    plant.seeing.sees(SOUTH)
    await plant.tick(round(PACE.clear + PACE.calm) + 2)
    assert plant.hands.given == [("gold",)]
    over = plant.world.recoveries.get(one.id)
    assert (over.given_back, over.transactions[-1], over.state) == (("gold",), "tx-9", RecoveryState.RECOVERED)
    again = RecoveryHistory()
    again.load_json(plant.world.recoveries.to_json())
    assert again.get(one.id) == over


async def test_a_device_that_was_restored_is_not_restored_again_for_what_was_read_of_it_before() -> None:
    plant = Plant(Mode.AUTO)
    line = Difference((Step("accord-router", "hostname"),), "lon1", "lon2", (Owner("l3vpn:acme"),), "restore")
    plant.recoveries.faults.drift = lambda: {LONDON: SyncReport(LONDON, (line,))}

    async def in_sync(device: str) -> SyncReport:
        return SyncReport(LONDON, ())

    plant.recoveries.recheck = in_sync
    await plant.tick(4)
    assert [one.is_over for one in plant.world.recoveries] == [True]
    await plant.tick(5)
    assert len(list(plant.world.recoveries)) == 1


async def test_what_was_foretold_and_is_dismissed_is_over_and_may_be_foretold_again() -> None:
    plant = Plant()
    risk = Fault("risk to acme", FaultKind.CONGESTION.value, ("a>b",), reason=f"{FORETOLD}: too late")
    async with asyncio.timeout(60):
        one = await plant.recoveries.adopt(risk, ("acme",), MOVE, "ada")
    assert one.is_waiting
    await plant.tick(2)
    assert plant.state(one) is RecoveryState.ESCALATED
    await plant.recoveries.dismiss(one.id, "ada")
    await plant.tick()
    assert plant.world.recoveries.open_for(risk.cause) is None


async def test_where_no_cause_is_known_the_suspected_area_is_probed_for_a_while_and_nothing_else_is_done() -> None:
    plant, looks = Plant(), list[tuple[Any, ...]]()
    network = drawn(("a", "b", 1), ("b", "c", 1), ("c", "d", 1))
    plant.seeing.topology = SimpleNamespace(network=network)
    plant.recoveries.look_closer = lambda *look: looks.append(look)
    plant.seeing.faults = (Fault("unknown", FaultKind.UNKNOWN.value, reason="no cause known"),)
    plant.seeing.found = (symptom("a:core0>b:core0", "b:core1>c:core0", "b"),)
    await plant.tick(int(PACE.settle_unknown) - 1)
    assert not looks, "a packet may be lost by chance"
    await plant.tick(5)
    assert looks == [(["a", "b", "c"], PACE.watch_interval, PACE.watch)]
    (one,) = plant.world.recoveries.inbox
    assert not one.transactions


async def test_whether_a_router_that_is_silent_forwards_is_asked_of_its_neighbours() -> None:
    plant, looks = Plant(), list[tuple[Any, ...]]()
    plant.seeing.topology = SimpleNamespace(network=drawn(("a", "b", 1), ("b", "c", 1), ("c", "d", 1)))
    plant.recoveries.look_closer = lambda *look: looks.append(look)
    plant.seeing.faults = (Fault("unknown", FaultKind.UNKNOWN.value, reason="no cause known"),)
    plant.seeing.found = (Observation(ObservationKind.SILENCE, "b", "management", frozenset({"b"}), is_bad=True),)
    await plant.tick(int(PACE.settle_unknown) + 2)
    assert [area for area, *_ in looks] == [["a", "b", "c"]]


async def test_the_area_of_a_fault_is_looked_at_more_closely_when_it_is_over() -> None:
    plant, looks = Plant(), list[tuple[Any, ...]]()
    plant.seeing.topology = SimpleNamespace(network=drawn(("a", "b", 1), ("b", "c", 1)))
    plant.recoveries.look_closer = lambda *look: looks.append(look)
    fault = replace(NORTH, elements=("a:core0>b:core0",), symptoms=())
    await plant.recoveries.begin(fault, ("acme",))
    assert not looks
    await plant.tick(2)
    assert looks == [(["a", "b"], PACE.watch_interval, PACE.watch)]


async def test_telemetry_that_is_lost_is_not_probed_for() -> None:
    plant, looks = Plant(), list[tuple[Any, ...]]()
    plant.recoveries.look_closer = lambda *look: looks.append(look)
    plant.seeing.is_blinded()
    await plant.tick(10)
    assert [one.cause for one in plant.world.recoveries] == [BLIND]
    assert not looks


async def test_a_fault_has_to_last_before_a_recovery_begins() -> None:
    plant = Plant()
    plant.seeing.sees(NORTH)
    await plant.tick(int(PACE.settle))
    assert not list(plant.world.recoveries)
    plant.seeing.sees()
    await plant.tick(int(PACE.clear) + 1)
    plant.seeing.sees(NORTH)
    await plant.tick(int(PACE.settle))
    assert not list(plant.world.recoveries), "it was gone meanwhile"
    await plant.tick()
    assert [one.cause for one in plant.world.recoveries] == [NORTH.cause]


async def test_of_one_cause_there_is_one_recovery_at_a_time() -> None:
    plant = Plant()
    one = await plant.recoveries.begin(NORTH, ("acme",))
    with pytest.raises(ConflictError, match=f"'{one.id}' sees to {NORTH.cause} already"):
        await plant.recoveries.begin(NORTH, ("beta",))
    assert [each.id for each in plant.world.recoveries] == [one.id]


async def test_two_recoveries_do_not_change_the_network_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plant, acting = Plant(Mode.AUTO), list[str]()
    done = asyncio.Event()

    async def carry_out(recovery: Recovery) -> Done:
        acting.append(recovery.cause)
        await done.wait()
        return Done("it cannot be done")

    monkeypatch.setattr(plant.hands, "carry_out", carry_out)
    plant.seeing.sees(NORTH, SOUTH)
    await plant.tick(5)
    assert len(acting) == 1
    assert {one.state for one in plant.world.recoveries} == {RecoveryState.EXECUTING}
    done.set()
    await plant.tick()
    assert set(acting) == {NORTH.cause, SOUTH.cause}


@pytest.mark.parametrize("policy, is_asked", [(Policy.ABORT, True), (Policy.RESTORE, False)])
async def test_drift_that_policy_forbids_to_overwrite_needs_a_word_and_other_drift_does_not(
    policy: Policy, is_asked: bool
) -> None:
    plant = Plant(Mode.AUTO)
    line = Difference((Step("accord-router", "hostname"),), "lon1", "lon2", (Owner("l3vpn:acme"),), policy.value)
    plant.recoveries.faults.drift = lambda: {LONDON: SyncReport(LONDON, (line,))}

    async def recheck(_device: object) -> SyncReport:
        return SyncReport(LONDON, (line,))

    plant.recoveries.recheck = recheck
    await plant.tick(5)
    (one,) = plant.world.recoveries
    assert one.is_asked is one.is_waiting is is_asked
    assert any(step.state == RecoveryState.EXECUTING for step in one.steps) is not is_asked


class DeliberateLog(MemoryEventLog):
    """Takes its time to store, as a disk does; others go on meanwhile."""

    async def append(self, *events: Any, **how: Any) -> Any:
        for _ in range(5):
            await asyncio.sleep(0)
        return await super().append(*events, **how)


def slow_plant(mode: Mode) -> Plant:
    plant = Plant(mode)
    plant.log = plant.recoveries.log = plant.recoveries.tidying.log = DeliberateLog(clock=plant.clock)
    plant.log.subscribe(plant.world.apply_all)
    return plant


def as_told(plant: Plant) -> list[Recovery]:
    """The recoveries as a daemon that is started anew has them."""
    world = World()
    world.apply_all(list(plant.log.read()))
    return list(world.recoveries)


async def test_what_assurance_takes_up_while_the_clockwork_ticks_is_planned_once() -> None:
    plant = slow_plant(Mode.ASK)
    risk = Fault("risk to acme", FaultKind.CONGESTION.value, ("a>b",), reason=f"{FORETOLD}: too late")
    taken_up = asyncio.create_task(plant.recoveries.adopt(risk, ("acme",), MOVE, "ada"))
    for _ in range(20):
        await asyncio.sleep(0)
        await plant.recoveries.tick()
    async with asyncio.timeout(PATIENCE_SECONDS):
        done = await taken_up
    assert done.state is RecoveryState.ESCALATED
    assert [step.cue for step in done.steps] == ["", "localise", "plan", "prove", "ask"]
    assert {step.actor for step in done.steps[:3]} == {"ada"}
    assert as_told(plant) == list(plant.world.recoveries)


async def test_a_cause_that_two_take_up_at_once_has_one_recovery() -> None:
    plant = slow_plant(Mode.ASK)
    taken = await asyncio.gather(*(plant.recoveries.begin(NORTH, ("acme",)) for _ in range(2)), return_exceptions=True)
    assert [type(one) for one in taken] == [Recovery, ConflictError]
    assert len(as_told(plant)) == 1


@pytest.mark.parametrize("is_first", [True, False])
async def test_an_operator_who_decides_while_the_clockwork_does_too_decides_or_is_told(is_first: bool) -> None:
    plant = slow_plant(Mode.ASK)
    one = await plant.waiting()
    plant.hands.sufferers = ()
    plant.seeing.sees()
    approving = plant.recoveries.approve(one.id, "ada")
    if is_first:
        decided = asyncio.create_task(approving)
        await asyncio.sleep(0)
        await plant.tick()
    else:
        plant.recoveries.go_on(one.id)
        await asyncio.sleep(0)
        decided = asyncio.create_task(approving)
        await plant.tick(2)
    (outcome,) = await asyncio.gather(decided, return_exceptions=True)
    assert isinstance(outcome, Recovery if is_first else ConflictError), outcome
    assert as_told(plant) == list(plant.world.recoveries)
    assert plant.state(one) is RecoveryState.RECOVERED
