"""In every state of a change without harm something carries, and it is either the old or the new."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.mapping.tunnel import Tunnel, number_paths, tunnel_lines, with_paths
from controller.mapping.tunnel_stages import replacement_reason, stages_in_place, stages_replacement
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import LinkId

SESSIONS = (1000, 1001, 1002)
CONTENTS = [((LinkId(f"a:{n}>b:{n}"),), (f"fc00:0:1:a{n:03x}::",)) for n in range(6)]


def tunnel(*contents, color=100):
    made = Tunnel("gold", DeviceName("a"), DeviceName("b"), color, "fc00:0:2::1", services=("acme",))
    return with_paths(made, *contents)


def moved_to(before, *contents):
    return replace(before, paths=number_paths(before.paths, contents))


def carrying(state):
    """The segments that traffic of the colour of the VRFs takes."""
    return state.ranked[0].segments


several = st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=2, unique=True)


@given(old=several, new=several)
def test_in_place_no_state_is_without_a_path_and_traffic_moves_once(old, new):
    before = tunnel(*old)
    stages = stages_in_place(before, moved_to(before, *new), SESSIONS)
    assert all(state.paths for state in stages.states)
    assert [carrying(state) for state in stages.states] == [old[0][1], old[0][1], new[0][1], new[0][1]]
    assert stages.built.color == stages.after.color == 100


@given(old=several, new=several)
def test_in_place_nothing_that_carries_is_rewritten_or_removed_in_the_same_step(old, new):
    before = tunnel(*old)
    states = stages_in_place(before, moved_to(before, *new), SESSIONS).states
    for earlier, later in pairwise(states):
        known = {path.discriminator: path.segments for path in earlier.paths}
        assert all(known.get(path.discriminator, path.segments) == path.segments for path in later.paths)
        assert known.get(earlier.ranked[0].discriminator) in {path.segments for path in later.paths}


@given(old=several, new=several)
def test_each_new_path_is_probed_until_the_old_is_gone(old, new):
    before = tunnel(*old)
    stages = stages_in_place(before, moved_to(before, *new), SESSIONS)
    fresh = {segments for _, segments in new} - {segments for _, segments in old}
    assert {probe.segments for probe in stages.built.probes} == fresh
    assert stages.built.probes == stages.moved.probes
    assert stages.after.probes == ()


def test_a_replacement_moves_the_colour_of_the_vrfs_from_one_whole_policy_to_another():
    before, after = tunnel(CONTENTS[0]), tunnel(CONTENTS[1], color=101)
    assert replacement_reason(before, after) == "its colour becomes 101"
    assert replacement_reason(before, before) == ""
    states = stages_replacement(before, after, SESSIONS).states
    colours = [[policy.color for policy in state.policies] for state in states]
    assert colours == [[100], [100, 101], [101, 100], [101]]
    assert all(policy.paths for state in states for policy in state.policies)
    assert [carrying(state) for state in states] == [CONTENTS[0][1]] * 2 + [CONTENTS[1][1]] * 2
    assert [len(state.probes) for state in states] == [0, 1, 1, 0]


@pytest.mark.parametrize("stages", [stages_in_place, stages_replacement])
@pytest.mark.parametrize("old, new", [(1, 5), (5, 1)])
def test_the_larger_bandwidth_is_held_before_the_move(stages, old, new):
    before = replace(tunnel(CONTENTS[0]), bandwidth=BitRate(old))
    after = replace(tunnel(CONTENTS[1]), bandwidth=BitRate(new))
    found = stages(before, after, SESSIONS)
    assert (found.built.bandwidth, found.after.bandwidth) == (BitRate(5), BitRate(new))


def test_services_are_steered_with_the_move_and_not_before():
    before = tunnel(CONTENTS[0])
    after = replace(moved_to(before, CONTENTS[1]), services=("acme", "globex"))
    stages = stages_in_place(before, after, SESSIONS)
    assert (stages.built.services, stages.moved.services) == (("acme",), ("acme", "globex"))


def test_names_of_policies_on_the_router_are_distinct_in_every_state():
    states = stages_replacement(tunnel(CONTENTS[0]), tunnel(CONTENTS[1], color=101), SESSIONS).states
    for state in states:
        names = [value for path, value in tunnel_lines(state, ()).items() if path[-1].name == "name"]
        assert len(set(names)) == len(state.policies)


@pytest.mark.parametrize("stages", [stages_in_place, stages_replacement])
def test_what_is_promised_of_the_delay_changes_when_the_new_path_begins_to_carry(stages):
    before = tunnel(CONTENTS[0])
    after = replace(tunnel(CONTENTS[1], color=101 if stages is stages_replacement else 100), delay_bound_seconds=0.005)
    bounds = [state.delay_bound_seconds for state in stages(before, after, SESSIONS).states]
    assert bounds == [None, None, 0.005, 0.005]
