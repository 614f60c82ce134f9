"""The network-wide commit against a simulated network: the verdict must always equal the read-back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.identifiers import DeviceName
from controller.model.yang_path import Step
from controller.ports import ParticipantClass as Kind
from controller.transaction.messages import Result, Woken
from controller.transaction.out_of_band import Policy, PolicyRule
from controller.transaction.recovery import resume
from controller.transaction.states import (
    BACKWARD,
    FORWARD,
    ON_ENTRY,
    Act,
    DeviceState,
    Phase,
    Signal,
)
from tests.controller.simulated_network import BASE, EDIT, KINDS, TARGET, CrashError, Network, make_plan

FAULTS = ["rejected", "down", "lost-before", "lost-after", "reboot"]
ACTS = list(Act)


def none(_act, _device):
    return None


def run(kinds, fault=none, seed=0, **kwargs):
    network = Network(make_plan(kinds, kwargs.pop("waves", ())), fault, **kwargs)
    network.take(network.coordinator.start(network.now))
    network.run(random.Random(seed))
    return network


def assert_verdict_equals_read_back(network):
    network.settle()
    phase = network.coordinator.phase
    running = {name: device.running for name, device in network.devices.items()}
    if phase is Phase.COMMITTED:
        assert all(config == TARGET for config in running.values()), running
    else:
        assert phase is Phase.ABORTED, phase
        assert all(config == BASE for config in running.values()), running
    assert not any(device.holds_lock for device in network.devices.values())
    assert network.released == set(network.devices)


def test_every_class_commits_and_nothing_is_left_armed():
    network = run(KINDS)
    assert network.coordinator.phase is Phase.COMMITTED
    assert all(device.before is None for device in network.devices.values())
    assert_verdict_equals_read_back(network)


def test_late_classes_are_written_only_after_every_two_phase_device_is_tentative():
    network = run(KINDS)
    acts = [act for _, act in network.sent]
    assert acts.index(Act.APPLY) > max(n for n, act in enumerate(acts) if act is Act.COMMIT)
    assert max(n for n, act in enumerate(acts) if act is Act.APPLY) < acts.index(Act.CONFIRM)


def test_the_commit_record_is_written_before_any_confirm_leaves():
    network = Network(make_plan([Kind.PERSISTENT]), none)
    network.take(network.coordinator.start(0.0))
    seen = []

    def fault(act, _device):
        if act is Act.CONFIRM:
            seen.append([record.type for record in network.journal])

    network.fault = fault
    network.run(random.Random(0))
    assert seen
    assert "confirming" in seen[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("other", KINDS)
def test_one_fault_at_any_boundary_leaves_all_or_nothing(kind, act, fault, other):
    struck = []

    def strike(at, device):
        if at is act and device == "d0" and not struck:
            struck.append(at)
            return fault
        return None

    network = run([kind, other, Kind.PERSISTENT], strike)
    assert_verdict_equals_read_back(network)


@pytest.mark.parametrize("record", range(1, 14))
@pytest.mark.parametrize("kinds", [[Kind.PERSISTENT, Kind.SESSION_BOUND, Kind.IMMEDIATE], [Kind.PERSISTENT] * 3])
def test_killed_after_any_record_it_finishes_or_undoes_itself(kinds, record):
    network = Network(make_plan(kinds), none)
    try:
        network.take(network.coordinator.start(0.0), crash_after=record)
        network.run(random.Random(record), crash_after=record)
    except CrashError:
        restart(network)
        network.run(random.Random(record))
    assert_verdict_equals_read_back(network)


def restart(network):
    for device in network.devices.values():
        device.session_died()
    network.pending.clear()
    network.released.clear()
    network.coordinator = network._coordinator()
    network.take(resume(network.coordinator, list(network.journal), network.now))
    if network.coordinator.is_final:
        network.released.update(network.devices)  # the sessions died with the controller, and their locks with them


@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.integers(0, 40),
    st.sampled_from([0.05, 0.2, 0.5]),
    st.booleans(),
)
def test_any_mix_of_faults_and_crashes_ends_with_a_verdict_equal_to_the_read_back(
    kinds, seed, crashes_at, rate, checks_fail
):
    rng = random.Random(seed)
    budget = [rng.randrange(8)]

    def strike(_act, _device):
        if budget[0] and rng.random() < rate:
            budget[0] -= 1
            return rng.choice(FAULTS)
        return None

    network = Network(make_plan(kinds), strike)
    network.check_failure = "the probe found no way through" if checks_fail else ""
    crash = crashes_at
    try:
        network.take(network.coordinator.start(0.0), crash_after=crash or None)
        network.run(rng, crash_after=crash or None)
    except CrashError:
        restart(network)
        network.run(rng)
    assert_verdict_equals_read_back(network)


def test_a_device_that_stays_away_makes_the_verdict_unknown_until_it_answers():
    network = Network(make_plan([Kind.IMMEDIATE, Kind.IMMEDIATE]), none)

    def strike(act, device):
        if act is Act.APPLY and device == "d1":
            network.devices["d1"].is_down = True

    network.fault = strike
    network.take(network.coordinator.start(0.0))
    rng = random.Random(1)
    for _ in range(200):
        if not network.pending or network.coordinator.phase is Phase.UNKNOWN:
            break
        network.pending.rotate(rng.randrange(len(network.pending)))
        for event in network.carry_out(network.pending.popleft()):
            network.take(network.coordinator.handle(event))
    assert network.coordinator.phase is Phase.UNKNOWN
    assert network.coordinator.astray == ["d1"]
    assert network.journal[-1].type == "unknown"
    network.devices["d1"].is_down = False
    network.run(rng)
    assert_verdict_equals_read_back(network)


def test_a_moved_base_is_refused_naming_the_path_and_nothing_is_sent():
    network = Network(make_plan([Kind.PERSISTENT, Kind.PERSISTENT]), none)
    network.devices["d1"].running = {**BASE, (Step("m", "mtu"),): "1400"}
    network.take(network.coordinator.start(0.0))
    network.run(random.Random(0))
    assert network.coordinator.phase is Phase.ABORTED
    assert "/m:mtu" in network.coordinator.reason
    assert "1400" in network.coordinator.reason
    assert Act.COMMIT not in {act for _, act in network.sent}


@pytest.mark.parametrize("policy, undone", [(Policy.ACCEPT, "1400"), (Policy.ADOPT, "1400"), (Policy.RESTORE, "1500")])
def test_out_of_band_policy_decides_what_undoing_restores(policy, undone):
    network = Network(make_plan([Kind.PERSISTENT]), none, rules=lambda _: (PolicyRule(("m:mtu",), policy),))
    network.devices["d0"].running = {**BASE, (Step("m", "mtu"),): "1400"}
    network.take(network.coordinator.start(0.0))
    network.run(random.Random(0))
    assert network.coordinator.phase is Phase.COMMITTED
    participant = network.coordinator.devices[DeviceName("d0")]
    assert participant.base[Step("m", "mtu"),] == undone
    assert bool(participant.adopted) is (policy is Policy.ADOPT)


def test_waves_commit_the_canary_first_and_a_failed_gate_spares_the_rest():
    waves = ((DeviceName("d0"),),)
    network = Network(make_plan([Kind.PERSISTENT] * 3, waves), none)
    network.check_failure = "the canary dropped packets"
    network.take(network.coordinator.start(0.0))
    network.run(random.Random(0))
    assert network.coordinator.phase is Phase.ABORTED
    assert {device for device, act in network.sent if act is Act.COMMIT} == {"d0"}


def test_a_value_rewritten_by_the_device_counts_as_committed_and_is_learnt():
    network = Network(make_plan([Kind.PERSISTENT]), none)
    original = network.perform

    def rewrite(device, do):
        answer = original(device, do)
        if do.act is Act.COMMIT:
            device.running[Step("m", "mtu"),] = "9001"
        return answer

    network.perform = rewrite
    network.take(network.coordinator.start(0.0))
    network.run(random.Random(0))
    assert network.coordinator.phase is Phase.COMMITTED
    assert network.journal[-1].data["observed"] == {"d0": [["/m:mtu", "9000", "9001"]]}


def test_a_device_that_says_ok_and_does_nothing_is_found_out_before_the_confirm():
    network = Network(make_plan([Kind.PERSISTENT, Kind.PERSISTENT]), none)
    original = network.perform

    def drop(device, do):
        if do.act is Act.COMMIT and do.device == "d0":
            return Signal.DONE, None
        return original(device, do)

    network.perform = drop
    network.take(network.coordinator.start(0.0))
    network.run(random.Random(0))
    assert network.coordinator.phase is Phase.ABORTED
    assert Act.CONFIRM not in {act for _, act in network.sent}
    assert_verdict_equals_read_back(network)


def test_late_and_foreign_answers_change_nothing():
    network = run([Kind.PERSISTENT])
    output = network.coordinator.handle(Result(DeviceName("d0"), DeviceState.LOCKING, Signal.LOST, 1.0))
    assert not output.records
    assert not output.instructions
    assert not network.coordinator.handle(Woken(DeviceName("d0"), 1.0)).instructions


def test_every_answer_to_every_instruction_is_handled_going_backward():
    answers = {
        Act.READ: [Signal.FOUND_BASE, Signal.FOUND_TARGET, Signal.FOUND_OTHER, Signal.REJECTED, Signal.LOST],
    }
    default = [Signal.DONE, Signal.REJECTED, Signal.LOST]
    for state, act in ON_ENTRY.items():
        for signal in answers.get(act, default):
            assert (state, signal) in BACKWARD, (state, signal)
    for state in DeviceState:
        if state not in ON_ENTRY and state is not DeviceState.AT_BASE:
            assert (state, Signal.GIVE_UP) in BACKWARD, state


def test_every_state_is_reached_and_left():
    reached = {*FORWARD.values(), *BACKWARD.values(), DeviceState.IDLE}
    left = {state for state, _ in (*FORWARD, *BACKWARD)}
    assert reached == set(DeviceState)
    assert left == set(DeviceState) - {DeviceState.AT_BASE}
    assert EDIT
