"""What a remedy is worth, number by number: each of them decides, and each stands in a sentence."""

from dataclasses import replace

import pytest

from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import along
from controller.model.units import BitRate
from controller.recovery.remedies import Remedy
from controller.recovery.scoring import score
from controller.recovery.situation import Promise, Situation
from controller.topology.network import LinkId
from tests.controller.test_recovery_remedies import MIDDLE, NORTH, SOUTH, fault, flow, held
from tests.controller.test_tunnel_paths import GIGABIT, database, tunnel


def path_over(base, way):
    return base.network.path([f"a:{way}>{way}:a", f"{way}:z>z:{way}"])


def moved(base, tunnel_, *flows, way=MIDDLE):
    """A remedy that leads a tunnel over a way and helps these flows."""
    wanted = TunnelChange((along(tunnel_, path_over(base, way)),))
    return Remedy("reroute", "reroute", wanted, TunnelChange((tunnel_,)), flows=tuple(one.name for one in flows))


def test_an_intent_counts_by_its_priority():
    base, (gold, tin) = held(database(), tunnel("gold"), tunnel("tin", color=101))
    flows = flow("gold", name="gold"), flow("tin", name="tin")
    promises = {"gold": Promise("gold", 1), "tin": Promise("tin", 9)}
    situation = Situation(fault(NORTH), base, (gold, tin), flows, promises)
    for_gold, for_tin = (score(situation, moved(base, one, each)) for one, each in zip((gold, tin), flows, strict=True))
    assert dict(for_gold.intents) == {"gold": 1.0, "tin": 0.0}
    assert dict(for_tin.intents) == {"gold": 0.0, "tin": 1.0}
    assert for_gold.value - for_tin.value == pytest.approx(0.85 * (9 - 1) / 10)
    assert any("gold (priority 1)" in reason for reason in for_gold.reasons)


def test_who_is_later_than_promised_gets_that_much_less():
    base, (gold,) = held(database(), tunnel("gold"))
    base = base.with_measured(LinkId(f"a:{MIDDLE}>{MIDDLE}:a"), delay_seconds=0.08)
    promises = {"gold": Promise("gold", delay_bound_seconds=0.02)}
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),), promises)
    late = score(situation, moved(base, gold, *situation.flows))
    assert dict(late.intents) == {"gold": pytest.approx(0.25, rel=0.01)}
    assert any("promised are 20 ms" in reason for reason in late.reasons)
    assert score(situation, moved(base, gold, *situation.flows, way=SOUTH)).value > late.value


def test_who_was_protected_and_has_one_path_left_gets_less():
    base, (gold,) = held(database(), tunnel("gold", protection="link"))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),))
    bare = score(situation, moved(base, gold, *situation.flows))
    assert dict(bare.intents) == {"gold": 0.9}
    assert any("without a second path" in reason for reason in bare.reasons)


def test_of_two_ways_that_serve_alike_the_one_that_leaves_more_free_is_worth_more():
    base, (gold,) = held(database(), tunnel("gold", bandwidth=BitRate(GIGABIT // 10)))
    base = base.with_reservation("other", path_over(base, MIDDLE), BitRate(GIGABIT // 2))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold"),))
    full, empty = (score(situation, moved(base, gold, *situation.flows, way=way)) for way in (MIDDLE, SOUTH))
    assert (full.free_ratio, empty.free_ratio) == (0.4, 0.9)
    assert empty.value - full.value == pytest.approx(0.1 * 0.5)


def test_what_is_measured_on_a_link_is_not_free_and_neither_is_what_comes_on_top():
    base, (gold,) = held(database(), tunnel("gold"))
    base = base.with_measured(LinkId(f"a:{MIDDLE}>{MIDDLE}:a"), load=BitRate(600_000_000))
    situation = Situation(fault(NORTH), base, (gold,), (flow("gold", name="gold", rate=100_000_000),))
    assert score(situation, moved(base, gold, *situation.flows)).free_ratio == pytest.approx(0.3)


def test_of_two_remedies_of_the_same_worth_the_one_that_changes_less_is_worth_more():
    base, (gold, tin) = held(database(), tunnel("gold"), tunnel("tin", color=101))
    situation = Situation(fault(NORTH), base, (gold, tin), (flow("gold", name="gold"),))
    one = moved(base, gold, *situation.flows)
    both = replace(one, wanted=TunnelChange((*one.wanted.upserted, along(tin, path_over(base, SOUTH)))))
    assert score(situation, one).value - score(situation, both).value == pytest.approx(0.05 / 2)
