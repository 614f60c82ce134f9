"""Load, delay and loss of links out of telemetry: while they are fresh, and not a moment longer."""

import pytest

from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.runtime.topology_measurements import LinkMeasurements
from controller.telemetry.sample import Provenance, Sample, SeriesKey, imputed
from controller.topology.constraints import Constraint, PathRequest
from controller.topology.paths import NoPathError, shortest_path
from controller.topology.te_database import Measurement, TeDatabase
from tests.controller.optical_samples import A, C, P, network

UP, DOWN = "pe-a:core0>p-1:core0", "p-1:core0>pe-a:core0"
SESSIONS = {A: {100: ("fd00::a",)}}
INTERVAL = 10.0


class Telemetry:
    """Series of the network's links at a clock of its own."""

    def __init__(self):
        self.time = 1000.0
        self.links = LinkMeasurements(lambda: self.time, lambda _: INTERVAL)

    def tell(self, device, name, **values):
        self.links.take([self.sample(device, kind.replace("_", "-"), name, value) for kind, value in values.items()])

    def sample(self, device, kind, name, value):
        return Sample(SeriesKey(DeviceName(device), kind, name), self.time, self.time, value)

    def known(self, told=None):
        return self.links.of(network(), SESSIONS, told or {})[0]


@pytest.fixture
def telemetry():
    return Telemetry()


def test_the_load_of_a_link_is_what_its_port_sends(telemetry):
    telemetry.tell("pe-a", "core0", out_octets=125_000.0)
    telemetry.tell("p-1", "core0", out_octets=250.0)
    assert telemetry.known() == {UP: Measurement(BitRate(1_000_000)), DOWN: Measurement(BitRate(2000))}


def test_delay_and_loss_are_those_of_the_session_over_the_link_alone(telemetry):
    telemetry.tell("pe-a", "100", forward_delay=0.0042, sent_packets=1.0, lost_packets=0.25)
    telemetry.tell("pe-a", "7", forward_delay=0.9, sent_packets=1.0, lost_packets=1.0)
    assert telemetry.known() == {UP: Measurement(None, 0.0042, 0.25)}


def test_loss_is_told_over_the_last_readings_together(telemetry):
    for lost in (1.0, 0.0, 0.0, 0.0):
        telemetry.time += 1
        telemetry.tell("pe-a", "100", sent_packets=1.0, lost_packets=lost)
    assert telemetry.known()[UP].loss_ratio == 0.25
    for _ in range(6):
        telemetry.time += 1
        telemetry.tell("pe-a", "100", sent_packets=1.0, lost_packets=0.0)
    assert telemetry.known()[UP].loss_ratio == 0.0


def test_where_no_test_packet_was_sent_nothing_is_known_of_loss(telemetry):
    telemetry.tell("pe-a", "100", sent_packets=0.0, lost_packets=0.0)
    assert telemetry.known() == {}


def test_what_is_stale_is_dropped_and_the_moment_is_told_beforehand(telemetry):
    telemetry.tell("pe-a", "core0", out_octets=125_000.0)
    _, until = telemetry.links.of(network(), SESSIONS, {})
    assert until == telemetry.time + 3 * INTERVAL
    telemetry.time = until
    assert telemetry.known() == {}


def test_what_nobody_measured_is_not_taken(telemetry):
    key = SeriesKey(A, "out-octets", "core0")
    telemetry.links.take([imputed(key, telemetry.time, 9.0, 1.0)])
    telemetry.links.take([Sample(key, telemetry.time, telemetry.time, float("nan"))])
    telemetry.links.take([Sample(key, telemetry.time, telemetry.time, 9.0, 0.0, Provenance.POLLED)])
    assert (telemetry.known(), telemetry.links.version) == ({}, 0)


def test_a_delay_told_with_the_topology_stands_only_where_telemetry_never_told_one(telemetry):
    assert telemetry.known({UP: 0.003}) == {UP: Measurement(delay_seconds=0.003)}
    telemetry.tell("pe-a", "100", forward_delay=0.0042)
    assert telemetry.known({UP: 0.003})[UP].delay_seconds == 0.0042
    telemetry.time += 3 * INTERVAL
    assert telemetry.known({UP: 0.003}) == {}


def test_a_path_keeps_off_links_that_are_measured_to_lose_too_much(telemetry):
    telemetry.tell("pe-a", "100", sent_packets=1.0, lost_packets=0.02)
    database = TeDatabase(network()).with_measurements(telemetry.known())
    assert shortest_path(database, PathRequest(A, C, link_loss_limit=0.02)).nodes == (A, P, C)
    with pytest.raises(NoPathError, match="link loss") as caught:
        shortest_path(database, PathRequest(A, C, link_loss_limit=0.01))
    assert Constraint.LINK_LOSS in caught.value.constraints
