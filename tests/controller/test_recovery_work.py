"""What recoveries do to tunnels: only their own are taken away, and a remedy may be carried out more than once."""

from dataclasses import replace
from types import SimpleNamespace

from controller.events import types
from controller.mapping.tunnel_book import TunnelBook, TunnelChange
from controller.mapping.tunnel_paths import placed
from controller.recovery.remedies import candidates
from controller.recovery.scoring import Candidate, Score, ranked
from controller.recovery.situation import Situation
from controller.recovery.states import Cue
from controller.runtime.recovery_flows import Flows
from controller.runtime.recovery_work import RecoveryWork
from controller.transaction.stages import Stage, StagedPlan
from tests.controller.test_recovery_remedies import NORTH, fault, flow
from tests.controller.test_recovery_states import folded, story
from tests.controller.test_tunnel_paths import database, tunnel


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

    async def finish(self, id_):
        return next(change for change in self.changes if change.id == id_)


def hands(network, *events):
    world = SimpleNamespace(tunnels=network.tunnels, changes=network.changes, recoveries=folded(events))

    async def current():
        return Flows(database().network)

    seeing = SimpleNamespace(flows=SimpleNamespace(current=current))
    topology = SimpleNamespace(database=database())
    return RecoveryWork(world, topology, network, network, None, seeing, None)


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
    assert work.made() == remedy.before.deleted == ("recovery-acme-a-z",)
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


APPROVED = (Cue.APPROVE, {"chosen": 0})
