"""What every `EventLog` does; each adapter's test class inherits it and provides `log` and `clock`."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from controller.events.chain import GENESIS
from controller.events.upcasting import Upcasters
from controller.model.errors import ConflictError, InvalidInputError
from controller.ports import Event, EventLog, NewEvent


class SteppingClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.25

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def lifted() -> Upcasters:
    """`old` gained a unit in its second version and lost its length in the third."""
    upcasters = Upcasters()
    upcasters.register("old", 1, lambda data: {**data, "unit": "m"})
    upcasters.register("old", 2, lambda data: {"unit": data["unit"]})
    return upcasters


def something(stream: str = "s", **data: object) -> NewEvent:
    return NewEvent(stream, "happened", data)


class EventLogContract:
    """Inherit, and provide a fixture `log` built with `lifted()` and `SteppingClock` (fixture `clock`)."""

    async def test_events_come_back_as_they_were_appended(self, log: EventLog, clock: SteppingClock) -> None:
        stored = await log.append(
            [something(a=1, b=[None, True, 1.0, "ä\x00"]), something("t", c={"d": -(2**63)})], actor="me", cause="why"
        )
        assert [(e.position, e.stream, e.version) for e in stored] == [(1, "s", 1), (2, "t", 1)]
        assert stored[0].data == {"a": 1, "b": [None, True, 1.0, "ä\x00"]}
        assert {(e.actor, e.cause, e.type, e.time) for e in stored} == {("me", "why", "happened", clock.time)}
        assert list(log.read()) == list(stored)
        assert log.last_position() == 2

    async def test_of_events_that_are_appended_together_each_may_name_its_own_actor(self, log: EventLog) -> None:
        stored = await log.append([something(), NewEvent("s", "happened", {}, "another")], actor="me")
        assert [event.actor for event in stored] == ["me", "another"]
        assert list(log.read()) == list(stored)

    async def test_each_event_names_the_hash_of_the_one_before(self, log: EventLog) -> None:
        for _ in range(3):
            await log.append([something(), something("t")], actor="me")
        events = list(log.read())
        assert events[0].previous_hash == GENESIS.hex()
        assert all(one.hash == next_.previous_hash for one, next_ in itertools.pairwise(events))
        assert [e.version for e in log.read(stream="t")] == [1, 2, 3]

    async def test_reading_starts_after_a_position_and_stops_at_a_limit(self, log: EventLog) -> None:
        await log.append([something("st"[i % 2], i=i) for i in range(2_500)], actor="me")
        assert [e.position for e in log.read(2_498)] == [2_499, 2_500]
        assert [e.position for e in log.read(3, limit=2)] == [4, 5]
        assert [e.position for e in log.read(4, stream="t", limit=2)] == [6, 8]
        assert sum(1 for _ in log.read()) == 2_500
        assert sum(1 for _ in log.read(limit=2_100)) == 2_100
        assert sum(1 for _ in log.read(stream="t")) == 1_250
        assert list(log.read(2_500)) == list(log.read(stream="no such")) == []

    async def test_an_expected_version_that_moved_refuses_everything(self, log: EventLog) -> None:
        await log.append([something()], actor="me", expected_versions={"s": 0})
        with pytest.raises(ConflictError, match="'s' moved: it is at version 1, not 0"):
            await log.append([something("t"), something()], actor="me", expected_versions={"t": 0, "s": 0})
        with pytest.raises(ConflictError, match="not 7"):
            await log.append([something("t")], actor="me", expected_versions={"u": 7})
        assert log.last_position() == 1
        await log.append([something()], actor="me", expected_versions={"s": 1})
        assert [e.version for e in log.read(stream="s")] == [1, 2]

    async def test_of_many_who_expect_the_same_version_exactly_one_wins(self, log: EventLog) -> None:
        tries = [log.append([something(i=i)], actor="me", expected_versions={"s": 0}) for i in range(20)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 19
        assert log.last_position() == 1

    async def test_an_idempotency_key_seen_before_gives_the_events_stored_then(self, log: EventLog) -> None:
        first = await log.append([something(n=1), something(n=2)], actor="me", idempotency_key="k")
        again = await log.append([something(n=9)], actor="me", idempotency_key="k", expected_versions={"s": 0})
        assert list(again) == list(first)
        both = [log.append([something("u")], actor="me", idempotency_key="l") for _ in range(2)]
        one, two = await asyncio.gather(*both)
        assert list(one) == list(two)
        assert log.last_position() == 3

    async def test_concurrent_appends_are_gapless_and_each_stays_together(self, log: EventLog) -> None:
        batches = await asyncio.gather(
            *(log.append([something(f"s{i % 7}", i=i), something(f"s{i % 7}", i=i)], actor="me") for i in range(300))
        )
        assert [e.position for e in log.read()] == list(range(1, 601))
        for one, two in batches:
            assert (two.position, two.version) == (one.position + 1, one.version + 1)
        assert [e.version for e in log.read(stream="s0")] == list(range(1, 87))

    async def test_a_listener_sees_every_batch_once_in_order_and_before_append_returns(self, log: EventLog) -> None:
        seen: list[Event] = []
        seen_at_return: list[bool] = []

        async def append(i: int) -> None:
            (event,) = await log.append([something(i=i)], actor="me", idempotency_key=f"k{i % 40}")
            seen_at_return.append(event in seen)

        unsubscribe = log.subscribe(seen.extend)
        await asyncio.gather(*(append(i) for i in range(50)))
        assert seen == list(log.read())
        assert all(seen_at_return)
        unsubscribe()
        unsubscribe()
        await log.append([something()], actor="me")
        assert len(seen) == 40

    async def test_a_failing_listener_stops_neither_the_append_nor_the_others(self, log: EventLog) -> None:
        seen: list[Event] = []
        reported: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))

        def broken(_: Sequence[Event]) -> None:
            raise RuntimeError("broken")

        log.subscribe(broken)
        log.subscribe(seen.extend)
        await log.append([something()], actor="me")
        assert len(seen) == 1
        assert reported == ["a listener of the event log failed"]

    @pytest.mark.parametrize(
        "data",
        [{"x": float("nan")}, {"x": [float("inf")]}, {"x": 2**64}, {1: 2}, {"x": {3}}, {"x": b"b"}, {"x": "\ud800"}],
    )
    async def test_data_without_canonical_json_is_refused(self, log: EventLog, data: dict[str, object]) -> None:
        with pytest.raises(InvalidInputError):
            await log.append([something("s"), NewEvent("s", "happened", data)], actor="me")
        assert log.last_position() == 0

    async def test_names_without_a_unicode_form_are_refused(self, log: EventLog) -> None:
        bad = "\udc80"
        for attempt in (
            log.append([something(bad)], actor="me"),
            log.append([something()], actor=bad),
            log.append([something()], actor="me", cause=bad),
            log.append([something()], actor="me", idempotency_key=bad),
        ):
            with pytest.raises(InvalidInputError):
                await attempt
        assert log.last_position() == 0

    async def test_appending_nothing_stores_nothing(self, log: EventLog) -> None:
        assert list(await log.append([], actor="me", idempotency_key="k")) == []
        assert log.last_position() == 0

    async def test_what_the_caller_keeps_changing_does_not_change_the_log(self, log: EventLog) -> None:
        inner: list[object] = [1]
        (event,) = await log.append([something(inner=inner)], actor="me")
        inner.append(2)
        assert event.data == {"inner": [1]}

    async def test_old_events_are_read_in_their_newest_shape_with_their_stored_hash(self, log: EventLog) -> None:
        events = [NewEvent("s", "old", {"length": 3}), NewEvent("s", "old@2", {"unit": "km"})]
        appended = await log.append([*events, NewEvent("s", "old@3", {}), NewEvent("s", "a@b", {})], actor="me")
        read = list(log.read())
        assert [e.type for e in read] == ["old@3", "old@3", "old@3", "a@b"]
        assert [e.data for e in read] == [{"unit": "m"}, {"unit": "km"}, {}, {}]
        assert read == list(appended)
        assert all(one.hash == next_.previous_hash for one, next_ in itertools.pairwise(read))

    async def test_a_snapshot_is_replaced_whole(self, log: EventLog) -> None:
        await log.append([something(), something()], actor="me")
        assert log.load_snapshot("state") is None
        log.save_snapshot("state", 1, {"a": b"1", "b": b"\x00\xff"})
        log.save_snapshot("state", 2, {"c": b"2"})
        log.save_snapshot("other", 0, {})
        snapshot = log.load_snapshot("state")
        assert snapshot is not None
        assert snapshot.position == 2
        assert list(snapshot.keys()) == ["c"]
        assert snapshot.part("c") == b"2"
        assert snapshot.part("a") is None
        with pytest.raises(InvalidInputError, match="no event 3"):
            log.save_snapshot("state", 3, {})

    async def test_a_snapshot_keeps_the_parts_it_is_told_to_and_refuses_to_keep_what_is_not_there(
        self, log: EventLog
    ) -> None:
        await log.append([something(), something()], actor="me")
        log.save_snapshot("state", 1, {"a": b"1", "b": b"1", "c": b"1"})
        log.save_snapshot("state", 2, {"b": b"2"}, kept=["a"])
        with pytest.raises(InvalidInputError, match="no part 'c' to keep"):
            log.save_snapshot("state", 2, {"b": b"3"}, kept=["a", "c"])
        snapshot = log.load_snapshot("state")
        assert snapshot is not None
        assert {key: snapshot.part(key) for key in snapshot.keys()} == {"a": b"1", "b": b"2"}  # noqa: SIM118
