"""What recoveries do to tunnels: only their own are taken away, and a remedy may be carried out more than once."""

from dataclasses import replace
from types import SimpleNamespace

from controller.events import types
from controller.mapping.tunnel_book import TunnelBook, TunnelChange
from controller.mapping.tunnel_paths import placed
from controller.model.errors import BusyError
from controller.model.units import BitRate
from controller.recovery.remedies import candidates
from controller.recovery.scoring import Candidate, Score, ranked
from controller.recovery.situation import Promise, Situation
from controller.recovery.states import Cue
from controller.runtime.recovery_flows import Flows
from controller.runtime.recovery_work import Done, RecoveryWork
from controller.topology.network import LinkId
from controller.transaction.stages import Stage, StagedPlan
from controller.transaction.states import Phase
from controller.twin.verdict import CounterExample, Verdict
from controller.twin.verdict import Fault as TwinFault
from tests.controller.assurance_world import VirtualClock
from tests.controller.test_recovery_remedies import MIDDLE, NORTH, SOUTH, fault, flow, held, links
from tests.controller.test_recovery_states import folded, story
from tests.controller.test_tunnel_paths import GIGABIT, database, tunnel


class Network:
    """A book of tunnels, and staged changes that are done at once."""

    def __init__(self, *tunnels):
        self.tunnels, self.changes = TunnelBook(), []
        self.have(TunnelChange(tunnels))

    def have(self, change):
        self.tunnels.apply(SimpleNamespace(type=types.TUNNELS_CHANGED, data={"change": change.to_json()}))

    def plan(self, wanted, summary):
        return StagedPlan(summary, None, None, None, wanted)

    def staged(self, plan):
        return plan

    async def begin(self, plan, actor):
        self.have(plan.after)
        self.changes.append(SimpleNamespace(id=f"change-{len(self.changes) + 1}", plan=plan, stage=Stage.DONE))
        return self.changes[-1]

    async def commit_agreed(self, make_plan, summary, actor):
        self.have((await make_plan()).after)
        return SimpleNamespace(id="tx-1", phase=Phase.COMMITTED, reason="")

    async def finish(self, id_):
        return next(change for change in self.changes if change.id == id_)


def hands(network, *events):
    world = SimpleNamespace(tunnels=network.tunnels, changes=network.changes, recoveries=folded(events))

    async def current():
        return Flows(database().network)

    seeing = SimpleNamespace(flows=SimpleNamespace(current=current), clock=VirtualClock())
    topology = SimpleNamespace(database=database(), network=database().network)
    return RecoveryWork(world, topology, network, network, None, seeing, network)


def tried(remedy, *cues):
    """The events of a recovery that carries a remedy out, and then takes these cues."""
    found = Candidate(remedy, Score(0.9, (("acme", 1.0),), 0.5, 1, ("because",)))
    plan = (Cue.PLAN, {"candidates": [found.to_json()], "chosen": 0})
    begun, *following = story(Cue.LOCALISE, plan, Cue.PROVE, Cue.EXECUTE, *cues)
    return [replace(begun, data=begun.data | {"fault": fault(NORTH, is_down=False).to_json()}), *following]


async def carried_out(work, events):
    """The staged change by which a recovery did what it has to do."""
    done = await work.carry_out(folded(events).get("recovery-1"))
    assert not done.failure
    (id_,) = done.ids
    return id_


def test_of_tunnels_that_are_called_alike_only_those_that_a_remedy_made_are_taken_away():
    situation = Situation(fault(NORTH, is_down=False), database(), (), (flow(rate=1000),))
    remedy = ranked(situation, candidates(situation))[0].remedy
    network = Network(tunnel("recovery-spare"), *remedy.wanted.upserted)
    work = hands(network, *tried(remedy, Cue.COMMITTED, Cue.HELPED))
    assert tuple(work.made()) == remedy.before.deleted == ("recovery-acme-a-z",)
    assert "recovery-spare" in network.tunnels


async def test_a_remedy_that_was_undone_is_carried_out_once_more_when_an_operator_agrees_to_it():
    gold = placed(database(), tunnel("gold"))
    situation = Situation(fault(NORTH, is_down=False), database(), (gold,), (flow(name="gold"),))
    remedy = ranked(situation, candidates(situation))[0].remedy
    network = Network(gold)
    first = tried(remedy)
    work = hands(network, *first)
    assert [await carried_out(work, first) for _ in range(2)] == ["change-1"] * 2, "after a crash it is found again"
    assert network.tunnels.holds(remedy.wanted)
    assert (await work.undo(folded(first).get("recovery-1"))).failure == ""
    assert network.tunnels.holds(remedy.before)
    again = tried(remedy, Cue.COMMITTED, Cue.NO_HELP, ("undone", {}), Cue.EXHAUST, APPROVED, Cue.PROVE, Cue.EXECUTE)
    assert await carried_out(work, again) == "change-3"
    assert network.tunnels.holds(remedy.wanted)


def degraded():
    """A tunnel, and the remedy by which it goes on with half of its rate."""
    base, (gold, _) = held(
        database(), tunnel("gold", bandwidth=BitRate(GIGABIT)), tunnel("big", color=101, bandwidth=BitRate(GIGABIT))
    )
    base = base.with_reservation("third", base.network.path([f"a:{SOUTH}>{SOUTH}:a"]), BitRate(GIGABIT // 2))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),))
    return gold, ranked(situation, candidates(situation))[0].remedy


async def test_who_was_to_do_with_less_gets_what_was_promised_again_clear_of_what_is_bad_and_only_once():
    gold, remedy = degraded()
    assert remedy.less
    network = Network(gold)
    network.have(remedy.wanted)
    assert hands(network, *tried(remedy, Cue.COMMITTED)).owed() == {}, "the recovery is not over"
    work = hands(network, *tried(remedy, Cue.COMMITTED, Cue.HELPED))
    ((one, promised),) = work.owed().values()
    assert (promised.name, promised.bandwidth) == ("gold", gold.bandwidth)
    given, done = await work.give_back(one, (promised,), links(NORTH))
    assert (given, done.failure, done.ids) == (("gold",), "", ("change-1", "tx-1"))
    (moved,) = network.changes[0].plan.after.upserted
    assert moved.bandwidth < gold.bandwidth, "the way it comes from has no room for more"
    after = network.tunnels.get("gold")
    assert after.bandwidth == gold.bandwidth
    assert not {hop for path in after.paths for hop in path.hops} & set(links(NORTH))
    assert work.owed() == {}
    network.have(remedy.wanted)
    told = tried(remedy, Cue.COMMITTED, Cue.HELPED, ("undone", {"given_back": ["gold"]}))
    assert hands(network, *told).owed() == {}, "now it is an operator who wants less"


def late_remedy():
    """A tunnel, and a remedy that leads it another way and says that its service is late there."""
    base, (gold,) = held(database(), tunnel("gold", services=("acme",)))
    for way in (MIDDLE, SOUTH):
        base = base.with_measured(LinkId(f"a:{way}>{way}:a"), delay_seconds=0.08)
    promises = {"acme": Promise("acme", delay_bound_seconds=0.05)}
    situation = Situation(fault(NORTH, is_down=False), base, (gold,), (flow(name="gold"),), promises)
    return gold, next(one for one in candidates(situation) if one.late)


async def test_only_while_a_remedy_is_carried_out_that_says_so_its_services_may_be_late_and_later_they_go_back():
    gold, remedy = late_remedy()
    network = Network(gold)
    assert hands(network, *tried(remedy)[:-1]).late() == frozenset()
    assert hands(network, *tried(remedy)).late() == {"VPN acme"}
    network.have(remedy.wanted)
    work = hands(network, *tried(remedy, Cue.COMMITTED, Cue.HELPED))
    assert work.late() == frozenset()
    ((one, promised),) = work.owed().values()
    given, done = await work.give_back(one, (promised,), ())
    assert (given, done.failure) == (("gold",), "")
    assert network.tunnels.get("gold").paths[0].hops == gold.paths[0].hops


async def test_as_long_as_there_is_no_room_for_what_was_promised_nothing_is_changed():
    gold, remedy = degraded()
    network = Network(gold)
    network.have(remedy.wanted)
    work = hands(network, *tried(remedy, Cue.COMMITTED, Cue.HELPED))
    ((one, promised),) = work.owed().values()
    given, done = await work.give_back(one, (promised,), links(NORTH) + links(MIDDLE) + links(SOUTH))
    assert (given, bool(done.failure), network.changes) == ((), True, [])
    assert network.tunnels.holds(remedy.wanted)


async def test_of_a_tunnel_that_somebody_changed_meanwhile_nothing_is_owed():
    gold, remedy = degraded()
    network = Network(gold)
    (lesser,) = remedy.wanted.upserted
    network.have(TunnelChange((replace(lesser, bandwidth=BitRate(GIGABIT // 4)),)))
    assert hands(network, *tried(remedy, Cue.COMMITTED, Cue.HELPED)).owed() == {}


APPROVED = (Cue.APPROVE, {"chosen": 0})


def rerouted(*, is_down=False):
    """A tunnel, the remedy that leads it another way, and a recovery's events up to carrying it out."""
    gold = placed(database(), tunnel("gold"))
    situation = Situation(fault(NORTH, is_down=is_down), database(), (gold,), (flow(name="gold"),))
    remedy = ranked(situation, candidates(situation))[0].remedy
    return gold, remedy, folded(tried(remedy)).get("recovery-1")


async def test_a_tunnel_that_somebody_changed_meanwhile_is_neither_moved_nor_put_back():
    gold, _, one = rerouted()
    network = Network(gold)
    theirs = replace(gold, bandwidth=BitRate(GIGABIT // 8))
    network.have(TunnelChange((theirs,)))
    work = hands(network)
    assert "changed by somebody else" in (await work.carry_out(one)).failure
    assert "changed by somebody else" in (await work.undo(one)).failure
    assert (network.tunnels.get("gold"), network.changes) == (theirs, [])


async def test_a_remedy_is_not_undone_where_what_was_before_is_dead():
    gold, remedy, one = rerouted()
    network = Network(gold)
    network.have(remedy.wanted)
    work = hands(network)
    work.topology.database = database().with_link_state(list(map(LinkId, links(NORTH))), is_up=False)
    assert "what there was before is dead" in (await work.undo(one)).failure
    assert network.tunnels.holds(remedy.wanted)
    work.topology.database = database()
    assert (await work.undo(one)).failure == ""
    assert network.tunnels.holds(remedy.before)


async def test_what_is_as_it_is_wanted_already_is_not_done_again():
    gold, remedy, one = rerouted()
    network = Network(gold)
    network.have(remedy.wanted)
    assert await hands(network).carry_out(one) == Done()
    assert not network.changes


class Twin:
    """A proof that says what the test says."""

    def __init__(self, verdict):
        self.said = verdict

    async def verdict(self, plan, *, failures):
        return self.said

    def states(self, plan):
        return None, None


async def proved(monkeypatch, *, verdict=None, after=(), overbooked=""):
    """What comes of proving a remedy; `after` are the flows as the twin has them with it."""
    gold, remedy, _ = rerouted()
    network = Network(gold)
    work = hands(network)
    work.proof = Twin(verdict or Verdict())

    def refuse_overbooked(plan):
        if overbooked:
            raise BusyError(overbooked)

    network.refuse_overbooked = refuse_overbooked
    monkeypatch.setattr("controller.runtime.recovery_work.flows_in", lambda *_: Flows(database().network, after))
    return await work.prove(fault(NORTH), remedy, "reroute gold")


async def test_a_remedy_is_proved_where_the_twin_sees_everybody_clear_of_the_fault(monkeypatch):
    verdict, refused = await proved(monkeypatch, after=(flow(way=MIDDLE, name="gold"),))
    assert (verdict.is_proved, refused) == (True, "")


async def test_a_remedy_after_which_somebody_would_still_meet_the_fault_is_refused_by_name(monkeypatch):
    _, refused = await proved(monkeypatch, after=(flow(name="gold"),))
    assert refused == "the twin: acme from a to z would still take link m"


async def test_a_remedy_that_the_twin_finds_a_fault_with_is_refused_with_it(monkeypatch):
    wrong = Verdict((CounterExample(TwinFault.BLACKHOLE, "VPN acme", "a", "z", "nobody gets to z"),))
    verdict, refused = await proved(monkeypatch, verdict=wrong)
    assert not verdict.is_proved
    assert "nobody gets to z" in refused


async def test_a_remedy_for_which_there_is_no_room_is_refused_before_it_is_proved(monkeypatch):
    verdict, refused = await proved(monkeypatch, overbooked="m is full")
    assert (verdict, refused) == (None, "m is full")
