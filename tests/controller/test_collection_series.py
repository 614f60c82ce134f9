"""From what devices answer to judged samples."""

from math import isnan

import pytest

from controller.model.errors import NotFoundError, ProtocolViolationError
from controller.model.identifiers import DeviceName
from controller.runtime.collection_reading import Told, read_answer, read_push
from controller.runtime.collection_series import SeriesBook
from controller.telemetry.sample import Problem, Provenance, Reading, SeriesKey

PE = DeviceName("pe1")
OUT = SeriesKey(PE, "out-octets", "core0")
ANSWER = b"""<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>core0</name>
<oper-status>up</oper-status><speed>1000000000</speed><statistics>
<discontinuity-time>2026-11-22T05:00:00Z</discontinuity-time><out-octets>%d</out-octets></statistics></interface>
<interface><name>core1</name><oper-status>down</oper-status></interface></interfaces>
<r:router xmlns:r="urn:accord:router"><r:oam><r:stamp-session><r:id>7</r:id>
<r:round-trip-delay>1500</r:round-trip-delay>
<r:sent-packets>10</r:sent-packets></r:stamp-session></r:oam></r:router></data>"""


def answer(octets: int, at: float) -> Told:
    return read_answer(PE, ANSWER % octets, at, at)


def test_an_answer_becomes_readings_of_interfaces_and_measurements() -> None:
    told = answer(1000, 5.0)
    found = {str(reading.key): reading for reading in told.readings}
    assert found["pe1/core0/oper-status"].value == 1.0
    assert found["pe1/core1/oper-status"].value == 0.0
    assert found["pe1/core0/out-octets"].discontinuity == 1795323600.0
    assert found["pe1/7/round-trip-delay"].value == 0.0015
    assert found["pe1/7/round-trip-delay"].provenance is Provenance.PROBED
    assert told.speeds == {"core0": 10**9}
    assert len(told.readings) == 5


def test_one_interface_alone_is_read_as_one_of_many() -> None:
    entry = b"<interface><name>a</name><oper-status>up</oper-status></interface>"
    one = b'<data><interfaces xmlns="x">' + entry + b"</interfaces></data>"
    assert [str(reading.key) for reading in read_answer(PE, one, 1.0, 1.0).readings] == ["pe1/a/oper-status"]


def test_what_frr_shows_is_read_as_well() -> None:
    shown = b'{"eth0":{"operationalStatus":"up","speed":10000},"lo":{"operationalStatus":"down"}}'
    told = read_answer(PE, shown, 1.0, 1.0)
    assert {(reading.key.object, reading.value) for reading in told.readings} == {("eth0", 1.0), ("lo", 0.0)}
    assert told.speeds == {"eth0": 10**10}


@pytest.mark.parametrize("body", [b"<data><interfaces></data>", b"{broken", b"\xff\xfe"])
def test_an_answer_that_cannot_be_read_is_refused_with_the_device(body: bytes) -> None:
    with pytest.raises(ProtocolViolationError) as refused:
        read_answer(PE, body, 1.0, 1.0)
    assert refused.value.device == PE


def test_a_push_has_the_time_of_its_source() -> None:
    message = (
        b'<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">'
        b"<eventTime>2026-11-22T05:00:10Z</eventTime>"
        b'<push-update xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-push"><id>3</id><datastore-contents>'
        + ANSWER % 5
        + b"</datastore-contents></push-update></notification>"
    )
    told = read_push(PE, message, 1795323611.0)
    assert told is not None
    assert {reading.source_time for reading in told.readings} == {1795323610.0}
    assert Provenance.PUSHED in {reading.provenance for reading in told.readings}


def test_another_notification_is_no_push() -> None:
    message = b'<notification xmlns="n"><eventTime>2026-11-22T05:00:10Z</eventTime><link-down/></notification>'
    assert read_push(PE, message, 1.0) is None


def test_counters_become_rates_and_listeners_hear_of_each_batch() -> None:
    book, heard = SeriesBook(), []
    leave = book.subscribe(heard.append)
    book.take(PE, answer(1000, 100.0), 10.0)
    book.take(PE, answer(11_000, 110.0), 10.0)
    leave()
    book.take(PE, answer(21_000, 120.0), 10.0)
    rates = [sample.value for batch in heard for sample in batch if sample.key == OUT]
    assert isnan(rates[0])
    assert rates[1:] == [1000.0]
    assert book.latest[OUT].value == 1000.0
    assert book.score(OUT, 120.0).value > 0.9
    assert len(book.store.samples(OUT, 0.0, 200.0)) == 3


def test_a_rate_above_the_speed_of_the_interface_is_impossible() -> None:
    book = SeriesBook()
    book.take(PE, answer(0, 100.0), 10.0)
    sample = next(one for one in book.take(PE, answer(10**11, 110.0), 10.0) if one.key == OUT)
    assert Problem.IMPOSSIBLE in sample.problems


def test_series_are_found_by_what_they_are_of_and_go_with_their_device() -> None:
    book = SeriesBook()
    book.take(PE, answer(0, 100.0), 10.0)
    book.take(
        DeviceName("pe2"), Told((Reading(SeriesKey(DeviceName("pe2"), "oper-status", "a"), 1.0, 1.0, 1.0),)), 10.0
    )
    assert [str(key) for key in book.keys(kind="oper-status")] == [
        "pe1/core0/oper-status",
        "pe1/core1/oper-status",
        "pe2/a/oper-status",
    ]
    book.retire_devices([DeviceName("pe2")])
    assert [str(key) for key in book.keys(device="")] == ["pe2/a/oper-status"]
    assert not book.speeds
    assert book.score(OUT, 100.0).value == 0.0
    with pytest.raises(NotFoundError, match="no series 'pe1/core0/out-octets'"):
        book.judge(OUT)


def test_what_a_poll_and_a_push_tell_of_the_same_is_the_same() -> None:
    head = b'<notification xmlns="n"><eventTime>2026-11-22T05:00:10Z</eventTime><push-update>'
    pushed = read_push(PE, head + ANSWER % 5 + b"</push-update></notification>", 1795323610.0)
    assert pushed is not None
    polled = read_answer(PE, ANSWER % 5, 1795323610.0, 1795323610.0)
    assert [one._replace(provenance=Provenance.POLLED) for one in pushed.readings] == [
        one._replace(provenance=Provenance.POLLED) for one in polled.readings
    ]
    assert pushed.speeds == polled.speeds
