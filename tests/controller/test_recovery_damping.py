"""Links that keep going and coming back are not relied on until they have been quiet, also after a restart."""

from controller.events import types
from controller.ports import Event
from controller.recovery.damping import FlapDamping, FlapLimits
from controller.recovery.history import RecoveryHistory
from controller.topology.network import LinkId

WIRE = LinkId("a:0>b:0")
LIMITS = FlapLimits(half_life_seconds=100.0)


def flapped(times, every=10.0, begin=1000.0):
    damping = FlapDamping(LIMITS)
    for number in range(times):
        damping.down(WIRE, begin + number * every)
    return damping


def test_one_cut_is_no_flapping_and_a_third_soon_after_is():
    assert flapped(1).suppressed(1001.0) == ()
    assert flapped(3).suppressed(1021.0) == (WIRE,)


def test_cuts_that_are_far_apart_are_no_flapping():
    assert flapped(10, every=500.0).suppressed(1000.0 + 9 * 500.0 + 1) == ()


def test_it_is_relied_on_again_after_it_was_quiet_and_not_before():
    damping = flapped(4)
    quiet = damping.quiet_at(WIRE)
    assert damping.suppressed(quiet - 1) == (WIRE,)
    assert damping.suppressed(quiet + 1) == ()


def test_each_cut_makes_the_wait_longer_and_it_stays_bounded():
    waits = [flapped(times).quiet_at(WIRE) - (1000.0 + (times - 1) * 10.0) for times in (3, 4, 8, 100)]
    assert waits == sorted(waits)
    assert waits[-1] <= 300.0


def test_carrier_events_of_the_log_are_what_counts_and_a_snapshot_keeps_it():
    history = RecoveryHistory()
    for number in range(3):
        for is_up in (False, True):
            data = {"device": "a", "port": "0", "up": is_up, "links": ["b:0>a:0", "a:0>b:0"]}
            history.apply(Event(number, "topology", number, types.LINK_CHANGED, 1000.0 + number, "", "", data, "", ""))
    again = RecoveryHistory()
    again.load_json(history.to_json())
    assert history.damping.suppressed(1003.0) == again.damping.suppressed(1003.0) == (WIRE,)
