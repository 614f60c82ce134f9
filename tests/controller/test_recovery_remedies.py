"""What could help against a fault, and what each remedy is worth to whom."""

from dataclasses import replace

import pytest

from controller.mapping.tunnel_paths import along, placed
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.recovery.remedies import NAME, Remedy, candidates
from controller.recovery.scoring import Candidate, ranked
from controller.recovery.situation import FALLBACK, Fault, FaultKind, Flow, Promise, RemedyKind, Situation, fallback_of
from controller.topology.network import LinkId
from tests.controller.test_tunnel_paths import GIGABIT, database, tunnel

NORTH, MIDDLE, SOUTH = "m", "n", "o"


def links(way):
    """Both directions of both wires of a way from a to z."""
    return tuple(sorted(link for link in database().network.links if way in link.replace(">", ":").split(":")))


def fault(*ways, kind=FaultKind.LINK, **more):
    found = tuple(link for way in ways for link in links(way))
    return Fault(f"link {ways[0]}", kind.value, found, **{"is_down": True, "confidence": 0.97} | more)


def flow(service="acme", way=NORTH, name="", rate=0):
    return Flow(
        service,
        DeviceName("a"),
        DeviceName("z"),
        (LinkId(f"a:{way}>{way}:a"), LinkId(f"{way}:z>z:{way}")),
        (DeviceName(way),),
        name,
        rate,
    )


def held(base, *tunnels):
    """The tunnels where they are best, and the database with what they take."""
    placed_ones = []
    for each in tunnels:
        made = placed(base, each)
        placed_ones.append(made)
        known = base.network.links
        base = base.with_reservation(
            made.name, type(base.network.path([]))(tuple(known[hop] for hop in sorted(made.links))), made.bandwidth
        )
    return base, tuple(placed_ones)


def ways(remedy):
    return {one.name: one.ranked[0].hops[0].partition(">")[2].partition(":")[0] for one in remedy.wanted.upserted}


def kinds(found):
    return [one.kind for one in found]


def test_a_tunnel_over_a_faulty_link_goes_another_way_and_the_way_back_is_known():
    base, (gold,) = held(database(), tunnel("gold", services=("acme",)))
    situation = Situation(fault(NORTH), base, (gold,), (flow(name="gold"),))
    (best, *_) = ranked(situation, candidates(situation))
    assert (best.remedy.kind, ways(best.remedy)) == ("reroute", {"gold": MIDDLE})
    assert best.remedy.before.upserted == (gold,)
    assert best.score.intents == (("acme", 1.0),)


def test_a_diverse_path_keeps_away_from_what_shares_a_risk_with_the_fault():
    base, (gold,) = held(database(m={"srlgs": frozenset({7})}, n={"srlgs": frozenset({7})}), tunnel("gold"))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),))
    assert [ways(one)["gold"] for one in candidates(situation)] == [SOUTH, MIDDLE]


def test_what_takes_the_shortest_path_gets_a_tunnel_of_its_own_that_can_be_taken_away_again():
    situation = Situation(fault(NORTH, is_down=False), database(), (), (flow(rate=1000),))
    (best, *_) = ranked(situation, candidates(situation))
    (made,) = best.remedy.wanted.upserted
    assert made.name == f"{NAME}-acme-a-z"
    assert (made.services, made.bandwidth, ways(best.remedy)) == (("acme",), BitRate(1000), {made.name: MIDDLE})
    assert best.remedy.before.deleted == (made.name,)


def test_a_path_that_waits_carries_and_another_one_is_built_beside_it():
    base, (gold,) = held(database(), tunnel("gold", protection="link"))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),))
    protect = next(one for one in candidates(situation) if one.kind == "protect")
    (after,) = protect.wanted.upserted
    assert [path.hops[0].partition(">")[2][:1] for path in after.ranked] == [MIDDLE, SOUTH]


def test_a_link_that_flaps_is_not_relied_on():
    base, (gold,) = held(database(), tunnel("gold"))
    shunned = frozenset(map(LinkId, links(MIDDLE)))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),), shunned=shunned)
    assert {ways(one)["gold"] for one in candidates(situation)} == {SOUTH}


def test_where_nothing_else_is_left_it_is_carried_with_less_than_was_promised_and_said_so():
    base, (gold, _) = held(
        database(), tunnel("gold", bandwidth=BitRate(GIGABIT)), tunnel("big", color=101, bandwidth=BitRate(GIGABIT))
    )
    base = base.with_reservation("third", base.network.path([f"a:{SOUTH}>{SOUTH}:a"]), BitRate(GIGABIT // 2))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),))
    (best, *others) = ranked(situation, candidates(situation))
    assert not others
    assert (best.remedy.kind, ways(best.remedy)) == ("degrade", {"gold": SOUTH})
    assert best.remedy.less == (("gold", "500 Mbit/s of 1 Gbit/s"),)
    assert best.score.intents == (("gold", 0.5),)


def test_a_fallback_policy_forbids_what_it_does_not_name():
    base, (gold,) = held(database(), tunnel("gold", services=("acme",), delay_bound_seconds=0.5))
    promises = {"acme": Promise("acme", fallback=fallback_of("protect, degrade"))}
    situation = Situation(fault(NORTH), base, (gold,), (flow(name="gold"),), promises)
    assert ranked(situation, candidates(situation)) == ()
    assert fallback_of("") == FALLBACK
    with pytest.raises(InvalidInputError, match="'pray' is no way to recover"):
        fallback_of("reroute, pray")


def test_of_a_full_link_the_least_important_goes_elsewhere_and_the_rest_stays():
    base, tunnels = held(database(), tunnel("gold", color=100), tunnel("tin", color=101))
    for link in links(NORTH):
        base = base.with_measured(LinkId(link), load=BitRate(950_000_000))
    promises = {"gold": Promise("gold", 1), "tin": Promise("tin", 9)}
    flows = (flow("gold", name="gold", rate=550_000_000), flow("tin", name="tin", rate=400_000_000))
    congested = fault(NORTH, kind=FaultKind.CONGESTION, is_down=False)
    situation = Situation(congested, base, tunnels, flows, promises)
    found = candidates(situation)
    assert [sorted(ways(one)) for one in found] == [["tin"], ["gold"], ["gold", "tin"]]
    assert set(kinds(found)) == {"shift"}
    best, *_, worst = ranked(situation, found)
    assert sorted(ways(best.remedy)) != ["gold", "tin"] == sorted(ways(worst.remedy)), "who stays is relieved as well"
    assert dict(best.score.intents) == {"gold": 1.0, "tin": 1.0}


def test_of_a_link_that_is_full_both_ways_each_direction_is_relieved_by_one_remedy():
    back = replace(tunnel("gold-back"), source=DeviceName("z"), target=DeviceName("a"))
    base, tunnels = held(database(), tunnel("gold"), back)
    for link in links(NORTH):
        base = base.with_measured(LinkId(link), load=BitRate(950_000_000))
    flows = (flow("gold", name="gold", rate=500_000_000), backwards(flow("gold", name="gold-back", rate=500_000_000)))
    congested = fault(NORTH, kind=FaultKind.CONGESTION, is_down=False)
    found = candidates(Situation(congested, base, tunnels, flows))
    assert [sorted(ways(one)) for one in found] == [["gold", "gold-back"]]
    (best,) = ranked(Situation(congested, base, tunnels, flows), found)
    assert best.score.intents == (("gold", 1.0),)


def test_what_flows_on_a_full_link_send_is_what_is_measured_there_each_direction_for_itself():
    base = database()
    for link in links(NORTH):
        load = 900_000_000 if link in flow().links else 300_000_000
        base = base.with_measured(LinkId(link), load=BitRate(load))
    there, back = flow(rate=100), backwards(flow(rate=100))
    situation = Situation(fault(NORTH, kind=FaultKind.CONGESTION, is_down=False), base, (), (there, back))
    assert (situation.sent(there), situation.sent(back)) == (900_000_000, 300_000_000)
    assert Situation(fault(NORTH), base, (), (there, back)).sent(there) == 100


def late(seconds, bound, **also):
    """A flow in a tunnel with a bound on its delay, over a link that takes this long; `also`: what other ways take."""
    base, (gold,) = held(database(), tunnel("gold", services=("acme",), delay_bound_seconds=0.1))
    for way, delay in {NORTH: seconds, **also}.items():
        base = base.with_measured(LinkId(f"a:{way}>{way}:a"), delay_seconds=delay)
    gold = replace(gold, delay_bound_seconds=bound)
    kind = fault(NORTH, kind=FaultKind.DELAY, is_down=False)
    return Situation(kind, base, (gold,), (flow(name="gold"), flow("tin")))


def test_of_a_link_that_is_late_only_those_suffer_who_were_promised_less():
    assert late(0.05, bound=0.03).services == ("acme",)
    assert late(0.05, bound=0.2).services == late(0.05, bound=None).services == ()
    assert ranked(late(0.05, bound=0.2), candidates(late(0.05, bound=0.2))) == ()
    (best, *_) = ranked(late(0.05, bound=0.03), candidates(late(0.05, bound=0.03)))
    assert ways(best.remedy) == {"gold": MIDDLE}


def test_nobody_leaves_a_link_that_is_late_for_a_way_that_takes_as_long():
    situation = late(0.05, bound=0.03, **{MIDDLE: 0.06, SOUTH: 0.07})
    assert situation.services == ("acme",)
    assert ranked(situation, candidates(situation)) == ()


def test_who_was_promised_a_delay_that_no_way_keeps_is_carried_late_and_that_is_said_where_its_policy_allows_it():
    base, (gold,) = held(database(), tunnel("gold", services=("acme",)))
    for way in (MIDDLE, SOUTH):
        base = base.with_measured(LinkId(f"a:{way}>{way}:a"), delay_seconds=0.08)

    def found(policy):
        promises = {"acme": Promise("acme", delay_bound_seconds=0.05, fallback=fallback_of(policy))}
        flows = (flow(name="gold"),)
        situation = Situation(fault(NORTH, is_down=False), base, (gold,), flows, promises)
        return [(one.remedy.kind, one.remedy.late, one.remedy.less) for one in ranked(situation, candidates(situation))]

    assert found("") == [("reroute", frozenset(), ()), ("degrade", {"acme"}, (("acme", "later than 50 ms"),))]
    assert found("reroute") == [("reroute", frozenset(), ())]


def backwards(one):
    """The same flow the other way."""
    hops = tuple(LinkId(">".join(reversed(hop.split(">")))) for hop in reversed(one.links))
    return replace(one, source=one.target, target=one.source, links=hops)


def test_a_remedy_is_worth_more_the_more_important_those_are_whom_it_helps():
    base, tunnels = held(
        database(),
        tunnel("gold", color=100, bandwidth=BitRate(GIGABIT // 2)),
        tunnel("tin", color=101, bandwidth=BitRate(GIGABIT // 2)),
    )
    for way in (MIDDLE, SOUTH):
        taken = base.network.path([f"a:{way}>{way}:a"])
        base = base.with_reservation(f"other {way}", taken, BitRate(GIGABIT // 2 if way == MIDDLE else GIGABIT))
    flows = (flow("gold", name="gold"), flow("tin", name="tin"))
    for important, other in (("gold", "tin"), ("tin", "gold")):
        promises = {important: Promise(important, 1), other: Promise(other, 9)}
        situation = Situation(fault(NORTH), base, tunnels, flows, promises)
        (best, *_) = ranked(situation, candidates(situation))
        assert dict(best.score.intents)[important] == 1.0


def test_whoever_is_crowded_out_by_a_remedy_counts_as_well():
    base, (gold,) = held(database(), tunnel("gold", bandwidth=BitRate(GIGABIT)))
    crowded = base.with_reservation("other", base.network.path([f"a:{MIDDLE}>{MIDDLE}:a"]), BitRate(GIGABIT))
    situation = Situation(fault(NORTH), crowded, (gold,), (flow("gold", name="gold"), flow("other", MIDDLE)))
    moved = along(gold, base.network.path([f"a:{MIDDLE}>{MIDDLE}:a", f"{MIDDLE}:z>z:{MIDDLE}"]))
    forced = next(iter(candidates(situation)))
    forced = replace(forced, wanted=replace(forced.wanted, upserted=(moved,)))
    (only,) = ranked(situation, [forced])
    assert dict(only.score.intents) == {"gold": 0.5, "other": 0.5}
    assert any("2 Gbit/s is asked of" in reason for reason in only.score.reasons)


def test_a_drifted_device_gets_back_what_its_owners_want():
    drift = Fault("drift on a", FaultKind.DRIFT.value, ("a",))
    (only,) = candidates(Situation(drift, database(), (), (flow(),)))
    assert (only.kind, only.devices, only.wanted.names) == (RemedyKind.RESTORE.value, ("a",), ())


def test_nothing_is_proposed_where_nobody_suffers():
    assert candidates(Situation(fault(NORTH), database(), (), (flow(way=SOUTH),))) == ()


def test_scores_are_the_same_each_time_and_survive_the_log():
    base, tunnels = held(database(), tunnel("gold", protection="link"), tunnel("tin", color=101))
    situation = Situation(fault(NORTH), base, tunnels, (flow("gold", name="gold"), flow("tin", name="tin")))
    first, second = (ranked(situation, candidates(situation)) for _ in range(2))
    assert first == second
    assert tuple(Candidate.from_json(one.to_json()) for one in first) == first
    assert [one.score.value for one in first] == sorted((one.score.value for one in first), reverse=True)
    assert all(isinstance(one.remedy, Remedy) and one.score.reasons for one in first)
