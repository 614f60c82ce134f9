"""What telemetry and carriers tell becomes observations of today, not of before a carrier came back."""

from collections.abc import Iterator
from types import SimpleNamespace

from controller.assurance.root_cause_observations import Observation, ObservationKind
from controller.datastore.contributions import Contributions, Delta
from controller.mapping.measurement import Measurement
from controller.model.identifiers import DeviceName
from controller.runtime.collection_series import SeriesBook
from controller.runtime.localisation_observations import Witness
from controller.runtime.localisation_observations import _Held as Sessions
from controller.runtime.recovery_flows import Flows
from controller.telemetry.sample import Sample, SeriesKey
from controller.topology.network import LinkId
from controller.topology.te_database import TeDatabase
from tests.controller.test_tunnel_paths import database as ways
from tests.controller.topology_samples import drawn

LONDON, PARIS = DeviceName("lon1"), DeviceName("par1")
TICK = 10.0
DATABASE = TeDatabase(drawn((LONDON, PARIS, 1)))
PORTS = [link.source for link in DATABASE.network.links.values()]


class OneProbe(Witness):
    """Of one session, over the only wire."""

    def sessions(self, flows: object) -> Iterator[tuple[DeviceName, int, str, frozenset[str]]]:
        yield LONDON, 1, "probe", frozenset(map(str, DATABASE.network.links))


def tell(witness: Witness, time: float, lost_a_second: float, *, is_up: bool = True) -> list[Observation]:
    """Readings of all, then a look."""
    told = [(SeriesKey(point.node, "oper-status", point.name), float(is_up)) for point in PORTS]
    told += [(SeriesKey(LONDON, "sent-packets", "1"), 10.0), (SeriesKey(LONDON, "lost-packets", "1"), lost_a_second)]
    samples = [Sample(key, time, time, value) for key, value in told]
    witness.series.latest |= {sample.key: sample for sample in samples}
    witness.hear(samples)
    return list(witness.observations(DATABASE, SimpleNamespace(), {}, [], time))  # type: ignore[arg-type]  # not asked


def losses(found: list[Observation]) -> list[tuple[int, int]]:
    return [(one.sent, one.lost) for one in found if one.kind is ObservationKind.LOSS]


def test_what_was_lost_before_a_carrier_came_back_says_nothing_of_the_link_that_is_back() -> None:
    witness = OneProbe(SimpleNamespace(network={}), SeriesBook(TICK))  # type: ignore[arg-type]  # no probes of links
    times = iter(range(1_000, 2_000, round(TICK)))
    assert losses([one for _ in range(3) for one in tell(witness, next(times), 0.0)])[-1] == (200, 0)
    cut = [one for _ in range(3) for one in tell(witness, next(times), 10.0, is_up=False)]
    assert any(one.kind is ObservationKind.CARRIER and one.is_bad for one in cut)
    assert losses(cut)[-1] == (300, 300)
    assert losses(tell(witness, next(times), 4.0)) == []
    assert losses(tell(witness, next(times), 0.0)) == []
    assert losses(tell(witness, next(times), 0.0)) == [(100, 0)]
    assert losses(tell(witness, next(times), 3.0))[0] == (200, 30)


def test_a_burst_of_loss_is_over_when_no_window_that_is_looked_at_lost_anything() -> None:
    witness = OneProbe(SimpleNamespace(network={}), SeriesBook(TICK))  # type: ignore[arg-type]  # no probes of links
    was_calm = []
    for number in range(50):
        tell(witness, 1_000 + number * TICK, 5.0 if 5 <= number <= 11 else 0.0)
        was_calm.append(witness.is_calm)
    assert not any(was_calm[5:11])
    assert was_calm[-1]


class Held:
    """A network of one device, and the sessions that telemetry wants of it, by holder."""

    def __init__(self, *holders: str) -> None:
        self.names, self.version = (LONDON,), 0
        self.hold(*holders)

    def __iter__(self) -> Iterator[DeviceName]:
        return iter(self.names)

    def hold(self, *holders: str) -> None:
        self.version += 1
        sessions = [Measurement(one, LONDON, PARIS, "fd00::3", 1000) for one in holders]
        wanted = [
            (path, one.owner, value)
            for number, one in enumerate(sessions, start=20_001)
            for path, value in one.lines(number).items()
        ]
        self.contributions = Contributions()
        self.contributions.apply(Delta(tuple(wanted)))

    def device(self, name: DeviceName) -> "Held":
        return self


def test_what_a_session_told_is_forgotten_with_the_session() -> None:
    held = Held("campaign-1", "campaign-2")
    witness = Witness(SimpleNamespace(network=held), SeriesBook(TICK))  # type: ignore[arg-type]  # one device
    for time in (1_000.0, 1_010.0):
        for number in ("20001", "20002"):
            keys = [SeriesKey(LONDON, kind, number) for kind in ("sent-packets", "lost-packets")]
            witness.hear([Sample(key, time, time, 1.0) for key in keys])
    flows = Flows(DATABASE.network)
    assert len(list(witness.sessions(flows))) == 2
    assert [witness.tells(LONDON, number) for number in (20_001, 20_002)] == [True, True]
    held.hold("campaign-1")
    assert len(list(witness.sessions(flows))) == 1
    assert [witness.tells(LONDON, number) for number in (20_001, 20_002)] == [True, False]


LINK = ways().network.link(LinkId("a:m>m:a"))


class OneLink(Witness):
    """A witness of one link that a session of its own measures."""

    def _held_by(self, name: DeviceName) -> Sessions:
        return Sessions(0, ((7, LINK.segment),), ())


def delays(witness: Witness, time: float, *seconds: float) -> list[bool]:
    """What is observed of the link's delay after a reading that told this."""
    kinds = ("forward-delay", "last-forward-delay")
    samples = [
        Sample(SeriesKey(LINK.source.node, kind, "7"), time, time, value)
        for kind, value in zip(kinds, seconds * 2, strict=False)
    ]
    witness.hear(samples)
    found = witness.observations(ways(), Flows(ways().network), {}, (LINK.source.node,), time)
    return [one.is_bad for one in found if one.kind is ObservationKind.DELAY]


def late_link() -> tuple[Witness, float]:
    """A link that has taken 2 ms for a while, and the time of the next reading."""
    witness = OneLink(SimpleNamespace(network=(LINK.source.node,)), SeriesBook(TICK))  # type: ignore[arg-type]  # as above
    times = [1_000.0 + TICK * number for number in range(20)]
    assert [delays(witness, time, 0.002) for time in times][-1] == [False]
    return witness, times[-1] + TICK


def test_each_reading_in_a_row_that_is_far_later_than_usual_tells_more_of_it_up_to_a_bound() -> None:
    witness, start = late_link()
    told = [delays(witness, start + TICK * number, 0.010) for number in range(12)]
    assert [len(one) for one in told] == sorted(len(one) for one in told)
    assert told[-1] == [True] * 6
    assert delays(witness, start + 12 * TICK, 0.002) == [False]
    assert delays(witness, start + 13 * TICK, 0.0035) == [False], "a little more is no symptom"


def test_a_reading_in_which_only_one_packet_was_late_is_none() -> None:
    witness, start = late_link()
    assert [delays(witness, start + TICK * number, 0.002, 0.010) for number in range(12)][-1] in ([False], [])
    assert witness.is_calm


def test_what_has_been_late_for_an_hour_is_how_it_is() -> None:
    witness, start = late_link()
    told = [delays(witness, start + 30.0 * number, 0.010) for number in range(125)]
    assert told[100] == [True] * 6
    assert told[-1] == [False]
