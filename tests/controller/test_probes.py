"""Measurements that a change waits for: what counts as seen to work."""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.adapters.clock import SystemClock
from controller.model.identifiers import DeviceName
from controller.runtime.probes import Probes
from controller.transaction.stages import Cue, Probe

PROBE = Probe(DeviceName("pe1"), 1000, packets=10)


@dataclass
class Told:
    """Answers each look with the next (sent, lost, delay in microseconds), the last for ever."""

    looks: Iterator[tuple[int, int, int | None]]
    last: tuple[int, int, int | None] = (0, 0, None)

    async def ask(self, _device: DeviceName, _question: object) -> bytes:
        sent, lost, delay = self.last = next(self.looks, self.last)
        shown = "" if delay is None else f"<forward-delay>{delay}</forward-delay>"
        return (
            '<router xmlns="urn:accord:router"><oam><stamp-session><id>1000</id>'
            f"<sent-packets>{sent}</sent-packets><lost-packets>{lost}</lost-packets>{shown}</stamp-session></oam></router>"
        ).encode()


def probes(*looks: tuple[int, int, int | None]) -> tuple[Probes, Told]:
    told = Told(iter(looks))
    return Probes(told, SystemClock()), told


async def verified(found: Probes, seconds: float) -> Cue:
    return (await found.verify([PROBE], SystemClock().now() + seconds))[0]


async def test_a_session_that_begins_anew_is_counted_anew() -> None:
    found, told = probes((900, 3, 10), (20, 0, 10), (25, 0, 10), (31, 0, 10))
    assert await verified(found, 10.0) is Cue.GOOD
    assert told.last == (31, 0, 10), "10 packets after it began anew, not after 900"


async def test_packets_of_which_none_has_come_back_prove_nothing() -> None:
    found, _ = probes((10, 0, None), (40, 0, None), (90, 0, None))
    assert await verified(found, 0.5) is Cue.LATE


async def test_a_session_that_begins_anew_while_traffic_drains_has_lost_nothing() -> None:
    found, _ = probes((900, 3, 10), (20, 0, 10), (40, 0, 10))
    assert (await found.watch([PROBE], 0.35))[0] is Cue.DRAINED


async def test_a_loss_while_traffic_drains_is_bad() -> None:
    found, _ = probes((10, 0, 10), (20, 1, 10))
    assert (await found.watch([PROBE], 5.0))[0] is Cue.BAD
