"""The table of make-before-break: it is total, it always ends, and something carries in every stage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import ConflictError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.ports import Event
from controller.transaction.stage_history import StagedHistory
from controller.transaction.stages import TRANSITIONS, WANTED, Cue, Probe, Stage, StagedPlan, advance

PLAN = StagedPlan(
    "move t1", {"is": "before"}, {"is": "built"}, {"is": "moved"}, {"is": "after"}, (Probe(DeviceName("pe1"), 7),)
)
CARRIES = {"before": {"old"}, "built": {"old"}, "moved": {"new"}, "after": {"new"}}
HOLDS = {"before": {"old"}, "built": {"old", "new"}, "moved": {"old", "new"}, "after": {"new"}}


def event(number, type_, data):
    return Event(number, "change/change-1", number, type_, 100.0 + number, "ada", "", data, "", "")


def test_every_stage_that_is_not_over_has_a_way_on_and_none_leads_out_of_the_end():
    for stage in Stage:
        ways = [cue for cue in Cue if (stage, cue) in TRANSITIONS]
        assert bool(ways) is not stage.is_over


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("cue", Cue)
def test_a_pair_is_in_the_table_or_refused_by_name(stage, cue):
    if (stage, cue) in TRANSITIONS:
        assert advance(stage, cue) is TRANSITIONS[stage, cue]
    else:
        with pytest.raises(ConflictError, match=f"'{cue}' while {stage}"):
            advance(stage, cue)


@given(st.lists(st.sampled_from(Cue), max_size=40))
def test_whatever_happens_what_carries_was_built_before_and_is_there_still(cues):
    stage, there = Stage.BUILDING, HOLDS["before"]
    for cue in cues:
        if (stage, cue) not in TRANSITIONS:
            continue
        if cue is Cue.COMMITTED:
            wanted = WANTED[stage]
            # While one transaction goes from what was there to what is wanted, what carries is in both.
            assert CARRIES[wanted] <= HOLDS[wanted]
            assert CARRIES[wanted] & there, f"{wanted} puts traffic on what is not there yet"
            there = HOLDS[wanted]
        stage = advance(stage, cue)
        if stage is Stage.MOVING:
            assert cue is Cue.GOOD, "traffic moves only to what was seen to work"
    if stage is Stage.DONE:
        assert there == {"new"}
    if stage is Stage.ABORTED:
        assert there == {"old"}


@pytest.mark.parametrize("start", [stage for stage in Stage if not stage.is_over])
def test_an_end_can_be_reached_from_every_stage(start):
    reached, waiting = set(), {start}
    while waiting:
        stage = waiting.pop()
        reached.add(stage)
        waiting |= {following for (one, _), following in TRANSITIONS.items() if one is stage} - reached
    assert reached & {Stage.DONE, Stage.ABORTED}


def test_a_plan_survives_its_json_form():
    assert StagedPlan.from_json(PLAN.to_json()) == PLAN


def test_the_history_is_the_fold_of_its_events_and_survives_a_snapshot():
    history = StagedHistory()
    history.apply(event(1, "change.begun", {"plan": PLAN.to_json()}))
    history.apply(event(2, "change.advanced", {"cue": "committed", "reason": "tx-1"}))
    history.apply(event(3, "change.advanced", {"cue": "bad", "reason": "probe 7 lost 3 packets"}))
    change = history.get("change-1")
    assert change.stage is Stage.UNBUILDING
    assert [(step.stage, step.reason) for step in change.steps][1:] == [
        (Stage.VERIFYING, "tx-1"),
        (Stage.UNBUILDING, "probe 7 lost 3 packets"),
    ]
    assert change.deadline == 101.0 + PLAN.deadline_seconds
    again = StagedHistory()
    again.load_json(history.to_json())
    assert list(again) == list(history)


def test_an_unknown_change_is_named():
    with pytest.raises(NotFoundError, match="change-9"):
        StagedHistory().get("change-9")
