"""Questions about a path in plain words: read whole, or asked back with the words that are unclear."""

from datetime import UTC, datetime

import pytest

from controller.model.errors import InvalidInputError
from controller.telemetry.question import AskedPath, read_question

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MORNING = datetime(2026, 11, 23, 6, tzinfo=UTC)


def read(text: str, now: datetime = NOON) -> AskedPath:
    return read_question(text, now.timestamp())


def test_the_question_of_the_draft_is_understood_and_what_it_leaves_unsaid_is_told() -> None:
    asked = read("tell me if latency between London and Paris could exceed 15 ms tonight")
    assert (asked.source, asked.target, asked.above_seconds, asked.metric) == ("London", "Paris", 0.015, "one-way")
    assert asked.until == MORNING.timestamp()
    assert asked.assumed == ("a night ends at 06:00 UTC", "one way, from London to Paris")


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("could delay from London to Paris exceed 15 ms within 2 hours?", 7200),
        ("Could the delay from London to Paris go above 15ms in the next 10 minutes", 600),
        ("please check whether delay from London to Paris may rise over 15 milliseconds for 1 d", 86_400),
        ("let me know if delay from London to Paris is above 15 msec until 13:30 UTC", 5400),
        ("let me know if delay from London to Paris is above 0.015 s until 2026-11-22T14:00Z.", 7200),
        ("find out whether delay from London to Paris gets higher than 15 ms until 11:00 UTC", 23 * 3600),
        ("say whether delay from London to Paris will exceed 15 ms today", 12 * 3600),
        ("say whether delay from London to Paris will exceed 15 ms", 3600),
    ],
)
def test_it_may_be_put_in_many_ways_and_says_until_when(text: str, seconds: float) -> None:
    asked = read(text)
    assert (asked.source, asked.target, asked.above_seconds) == ("London", "Paris", 0.015)
    assert asked.until - NOON.timestamp() == seconds


def test_before_the_morning_tonight_is_the_night_that_is() -> None:
    text = "tell me if latency from London to Paris could exceed 15 ms tonight"
    assert read(text, datetime(2026, 11, 23, 2, tzinfo=UTC)).until == MORNING.timestamp()


def test_there_and_back_and_how_sure_are_said_in_words_too_and_names_keep_their_case() -> None:
    asked = read("round-trip delay between New York and PE-paris.2 could exceed 1 s with 99 % confidence")
    assert (asked.source, asked.target) == ("New York", "PE-paris.2")
    assert (asked.metric, asked.confidence) == ("round-trip", 0.99)
    assert asked.assumed == ("for an hour from now",)
    assert read("could rtt from a to b exceed 1 s today").metric == "round-trip"


@pytest.mark.parametrize(
    "text, named",
    [
        ("tell me if latency between London and Paris could exceed 15 ms tomorrow", "'tomorrow': what does this mean"),
        ("tell me if latency between London and Paris could not exceed 15 ms", "'could not': what does this mean"),
        ("tell me if latency between London and Paris could exceed 15 ms until 23:00", "'until 23:00': what does"),
        ("tell me if latency between London and Paris could exceed 15 ms or 20 ms", "'or 20 ms': what does this mean"),
        ("tell me if latency between London and Paris could exceed 15", "above what"),
        ("tell me if latency could exceed 15 ms tonight", "from where to where"),
        ("tell me if load between London and Paris could exceed 15 ms", "of what"),
        ("say if delay from London to Paris will exceed 15 ms until 25:00 UTC", "'25:00 utc' is no time"),
        ("could " * 100, "longer than"),
        ("", "from where to where"),
    ],
)
def test_what_is_not_understood_is_asked_back_by_its_words(text: str, named: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read(text)
    assert named in str(refused.value)
