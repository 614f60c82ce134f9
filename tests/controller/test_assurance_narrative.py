"""Narratives: plain sentences, every number of which can be computed again from the samples that it names."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.assurance.narrative import (
    CauseEvent,
    Clause,
    EventReference,
    LoadMove,
    Narrative,
    SeriesChange,
    doubts,
    explain,
)
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.telemetry.sample import Provenance, Sample, SeriesKey

DELAY = SeriesKey(DeviceName("pe1"), "forward-delay", "to-paris")
P3_P4 = SeriesKey(DeviceName("p3"), "out-octets", "p4")
WHOLE = SeriesKey(DeviceName("pe1"), "out-octets", "core")
BEGIN = datetime(2026, 11, 22, 2, 13, tzinfo=UTC).timestamp()
CUT = CauseEvent(EventReference(4711), BEGIN - 5, "p1-p2", "lost carrier", 0.95)


def samples(key, begin, *values, **more):
    return [Sample(key, begin + 60.0 * n, begin + 60.0 * n + 1, value, **more) for n, value in enumerate(values)]


CHANGE = SeriesChange(
    "one-way delay London to Paris",
    samples(DELAY, BEGIN - 600, 0.0100, 0.0102, 0.0101),
    samples(DELAY, BEGIN, 0.0138, 0.0139, 0.0140, 0.0139, 0.0139, 0.0140, 0.0138),
)
MOVE = LoadMove(
    "p3-p4",
    samples(P3_P4, BEGIN - 600, 2.0e6, 2.2e6),
    samples(P3_P4, BEGIN, 3.7e6, 3.9e6),
    samples(WHOLE, BEGIN, 10.0e6, 10.0e6),
)


def store_of(*groups):
    """What a store would answer: the test's own, and not the narrative's."""
    values = {(str(one.key), one.source_time): one.value for group in groups for one in group}
    return lambda reference: values[reference.series, reference.time]


STORE = store_of(CHANGE.before, CHANGE.during, MOVE.before, MOVE.during, MOVE.whole)


def test_a_rise_is_told_with_when_how_much_what_moved_and_what_began_it():
    assert str(explain(CHANGE, MOVE, CUT)) == (
        "Between 02:13 and 02:19 UTC one-way delay London to Paris rose 38 % (10.1 to 13.9 ms)"
        " because 17 % of the load moved to p3-p4 after p1-p2 lost carrier."
    )


def test_every_number_of_the_sentence_follows_from_the_samples_that_its_clause_names():
    story = explain(CHANGE, MOVE, CUT)
    when, what, because, after = story.to_json()["clauses"]

    def means(clause, number):
        groups = clause["figures"][number]["samples"]
        return [fmean(STORE(type("R", (), {"series": s, "time": t})) for s, t in group) for group in groups]

    times = [time for _, time in when["figures"][0]["samples"][0]]
    assert [datetime.fromtimestamp(at, UTC).strftime("%H:%M") for at in (min(times), max(times))] == ["02:13", "02:19"]
    old, new = means(what, 0)
    assert f"rose {(new - old) / old * 100:.0f} % ({old * 1000:.1f} to {new * 1000:.1f} ms)" in what["text"]
    before, meanwhile, whole = means(because, 0)
    assert f"{(meanwhile - before) / whole * 100:.0f} % of the load" in because["text"]
    assert after["events"] == [4711]
    numbers = re.findall(r"\d[\d.:]*", " ".join(one["text"] for one in (when, what)))
    assert numbers == ["02:13", "02:19", *(figure["text"] for figure in what["figures"])]
    assert list(doubts(story, STORE)) == []


def test_every_clause_rests_on_samples_or_events():
    for clause in explain(CHANGE, MOVE, CUT).clauses:
        assert clause.samples or clause.events


def test_a_store_that_says_otherwise_raises_doubts_about_just_the_figures_concerned():
    wrong = store_of(
        CHANGE.before,
        [replace(one, value=one.value * 2) for one in CHANGE.during],
        MOVE.before,
        MOVE.during,
        MOVE.whole,
    )
    found = list(doubts(explain(CHANGE, MOVE, CUT), wrong))
    assert [one.rpartition(": ")[2] for one in found] == ["38 should be 175", "13.9 should be 27.8"]


def test_a_lost_sample_is_named():
    with pytest.raises(KeyError, match="pe1/to-paris/forward-delay"):
        list(doubts(explain(CHANGE), store_of(CHANGE.before)))


def test_a_clause_that_rests_on_nothing_or_says_another_number_is_doubted():
    story = explain(CHANGE)
    when, what = story.clauses
    forged = Narrative((when, replace(what, text=what.text.replace("38", "83")), Clause("because of magic")))
    assert list(doubts(forged, STORE)) == [
        "'one-way delay London to Paris rose 83 % (10.1 to 13.9 ms)' doesn't say 38",
        "'because of magic' rests on nothing",
    ]


def test_a_fall_is_told_as_one_and_what_stays_stays():
    fell = explain(SeriesChange("delay", CHANGE.during, CHANGE.before))
    assert str(fell) == "Between 02:03 and 02:05 UTC delay fell 27 % (13.9 to 10.1 ms)."
    stayed = SeriesChange("delay", CHANGE.before, samples(DELAY, BEGIN, 0.0101))
    assert str(explain(stayed)) == "At 02:13 UTC delay stayed at 10.1 ms."
    assert list(doubts(fell, STORE)) == []
    assert list(doubts(explain(stayed), store_of(stayed.before, stayed.during))) == []


def test_from_nothing_there_is_no_percentage():
    loss = SeriesKey(DeviceName("pe1"), "loss-ratio", "to-paris")
    change = SeriesChange("loss", samples(loss, BEGIN - 600, 0.0, 0.0), samples(loss, BEGIN, 0.02, 0.02))
    assert str(explain(change)) == "Between 02:13 and 02:14 UTC loss rose from 0 to 2 %."


def test_a_doubtful_cause_is_probable_and_an_unknown_one_is_said_to_be():
    assert "probably because p1-p2 lost carrier" in str(explain(CHANGE, None, replace(CUT, confidence=0.7)))
    unknown = explain(CHANGE, None, CauseEvent(EventReference(12), BEGIN))
    assert str(unknown).endswith("(10.1 to 13.9 ms) and what began it is not known.")
    assert unknown.clauses[-1].events == (EventReference(12),)


def test_what_the_controller_did_about_it_is_told_after_what_began_it():
    own = CauseEvent(EventReference(4714), BEGIN - 4, "tx-8", "moved gold (repair after p1-p2)")
    story = explain(CHANGE, MOVE, CUT, own)
    assert str(story).endswith("moved to p3-p4 after p1-p2 lost carrier and then tx-8 moved gold (repair after p1-p2).")
    assert story.clauses[-1].events == (EventReference(4714),)


def test_load_that_did_not_move_is_not_mentioned():
    still = replace(MOVE, during=MOVE.before)
    assert str(explain(CHANGE, still, CUT)).endswith("(10.1 to 13.9 ms) because p1-p2 lost carrier.")


def test_over_midnight_the_dates_are_said():
    late = SeriesChange("delay", CHANGE.before, samples(DELAY, BEGIN - 2.3 * 3600, 0.0138, *[0.0139] * 12))
    assert str(explain(late)).startswith("Between 2026-11-21 23:55 and 2026-11-22 00:07 UTC delay rose")


def test_what_was_imputed_bears_no_sentence():
    guessed = samples(DELAY, BEGIN + 600, 0.9, provenance=Provenance.IMPUTED)
    assert explain(replace(CHANGE, during=[*CHANGE.during, *guessed])) == explain(CHANGE)
    with pytest.raises(InvalidInputError, match="nothing was measured of one-way delay"):
        explain(replace(CHANGE, during=guessed))


def test_a_cause_after_its_effect_is_refused():
    with pytest.raises(InvalidInputError, match="'p1-p2 lost carrier' came after"):
        explain(CHANGE, None, replace(CUT, time=BEGIN + 3600))


@pytest.mark.parametrize(
    "octets, text", [((1e9, 1.25e9), "8 to 10 Gbit/s"), ((1e6, 2e6), "8 to 16 Mbit/s"), ((1.0, 3.0), "8 to 24 bit/s")]
)
def test_rates_are_written_in_the_unit_that_fits(octets, text):
    change = SeriesChange("load", samples(P3_P4, BEGIN - 60, octets[0]), samples(P3_P4, BEGIN, octets[1]))
    assert text in str(explain(change))


LOSSES = SeriesKey(DeviceName("pe1"), "lost-packets", "1")


@pytest.mark.parametrize(
    "key, before, during, text",
    [
        (P3_P4, 0.25, 2.5e9, "rose from 2 bit/s to 20 Gbit/s."),
        (P3_P4, 2.5e9, 250.0, "fell from 20 Gbit/s to 2 kbit/s."),
        (P3_P4, 0.0, 2.5e9, "rose from 0 to 20 Gbit/s."),
        (P3_P4, 2.5e9, 0.0, "fell from 20 to 0 Gbit/s."),
        (P3_P4, 2.5e-7, 2.5e9, "rose from 0 to 20 Gbit/s."),
        (P3_P4, 0.0, 1e-9, "stayed at 0 bit/s."),
        (P3_P4, 1e15, 2e15, "rose 100 % (8000 to 16000 Tbit/s)."),
        (DELAY, 1e-9, 2e-2, "rose from 0.001 us to 20 ms."),
        (DELAY, 0.0009, 0.0011, "rose 22 % (0.9 to 1.1 ms)."),
        (DELAY, -0.002, 0.003, "rose from -2 to 3 ms."),
        (DELAY, -0.002, -0.003, "fell from -2 to -3 ms."),
        (DELAY, 1e-9, 1e9, "rose from 0.001 us to 1000000000 s."),
        (LOSSES, 1e-7, 5.0, "rose from 0 to 5."),
        (LOSSES, 0.2, 0.0, "fell from 0.2 to 0."),
        (LOSSES, 1.0, 1e-7, "fell from 1 to 0."),
    ],
)
def test_values_far_apart_are_each_written_in_a_unit_of_their_own(key, before, during, text):
    change = SeriesChange("it", samples(key, BEGIN - 60, before), samples(key, BEGIN, during))
    story = explain(change)
    assert str(story).endswith(f"it {text}")
    assert list(doubts(story, store_of(change.before, change.during))) == []


def test_what_is_no_number_bears_no_sentence():
    nothing = samples(DELAY, BEGIN + 600, float("nan"), float("inf"))
    assert explain(replace(CHANGE, during=[*CHANGE.during, *nothing])) == explain(CHANGE)


values = st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=5)


@given(values, values, values, values, values)
def test_whatever_is_told_follows_from_its_samples(before, during, old_load, new_load, whole):
    change = SeriesChange("delay", samples(DELAY, 0.0, *before), samples(DELAY, 5000.0, *during))
    move = LoadMove(
        "p3-p4", samples(P3_P4, 0.0, *old_load), samples(P3_P4, 5000.0, *new_load), samples(WHOLE, 5000.0, *whole)
    )
    story = explain(change, move, replace(CUT, time=10.0))
    assert list(doubts(story, store_of(change.before, change.during, move.before, move.during, move.whole))) == []
    rose = fmean(during) > fmean(before)
    assert (" rose " in str(story)) <= rose
    assert (" fell " in str(story)) <= (not rose)
