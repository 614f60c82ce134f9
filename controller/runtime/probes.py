"""Owns looking at measurements that a change waits for: STAMP sessions of devices (RFC 8762), read as state."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from controller.datastore.codec_xml import parse
from controller.model.errors import AccordError
from controller.ports import Clock, DeviceSession, Transport
from controller.runtime.sessions import SessionPool
from controller.transaction.stages import Cue, Probe

_ROUTER = "urn:accord:router"
_LOOK_SECONDS = 0.1
_MICROSECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a session says of itself: test packets so far, and the median one-way delay in seconds, if known."""

    sent: int
    lost: int
    delay_seconds: float | None

    @property
    def returned(self) -> int:
        """Test packets that came back."""
        return self.sent - self.lost


@dataclass(frozen=True, slots=True)
class Probes:
    """Reads measurements until they say enough."""

    sessions: SessionPool
    clock: Clock

    async def verify(self, probes: Sequence[Probe], deadline: float) -> tuple[Cue, str]:
        """GOOD when each probe's packets have come back in a row; BAD beyond its bound; LATE at the deadline (UTC)."""
        waiting = dict.fromkeys(probes, "no answer yet")
        since: dict[Probe, Measurement] = {}
        while waiting:
            for probe in list(waiting):
                found = await self._look(probe)
                if isinstance(found, str):
                    waiting[probe] = found
                    continue
                if problem := _too_long(probe, found):
                    return Cue.BAD, problem
                first = since[probe] = _since(since.get(probe), found)
                if first.lost != found.lost:
                    waiting[probe] = f"it lost {found.lost} of {found.sent} packets"
                    since[probe] = found
                if found.delay_seconds is not None and found.returned - since[probe].returned >= probe.packets:
                    del waiting[probe]
            if waiting and self.clock.now() >= deadline:
                probe, why = next(iter(waiting.items()))
                return Cue.LATE, f"{_name(probe)} is not good enough in time: {why}"
            await asyncio.sleep(_LOOK_SECONDS if waiting else 0)
        return Cue.GOOD, f"{len(probes)} probes came through"

    async def watch(self, probes: Sequence[Probe], seconds: float) -> tuple[Cue, str]:
        """DRAINED after that time, unless a probe loses packets meanwhile or takes too long."""
        end = self.clock.monotonic() + seconds
        since: dict[Probe, Measurement] = {}
        while True:
            left = end - self.clock.monotonic()
            for probe in probes:
                found = await self._look(probe)
                if isinstance(found, str):
                    continue
                first = since[probe] = _since(since.get(probe), found)
                if problem := _too_long(probe, found) or _lost_since(probe, first, found):
                    return Cue.BAD, problem
            if left <= 0:
                return Cue.DRAINED, f"{seconds:g} s of overlap"
            await asyncio.sleep(min(left, _LOOK_SECONDS))

    async def _look(self, probe: Probe) -> Measurement | str:
        """What the session says, or why it says nothing."""
        try:
            body = await self.sessions.ask(probe.device, lambda session: _read(session, probe.session))
        except AccordError as error:
            return str(error)
        return _measurement(body, probe.session) if body else "the device's transport shows no state"


def _since(first: Measurement | None, found: Measurement) -> Measurement:
    """Where counting begins: at the first look, and again when the session itself has begun anew."""
    return found if first is None or found.sent < first.sent else first


def _too_long(probe: Probe, found: Measurement) -> str:
    bound, delay = probe.delay_bound_seconds, found.delay_seconds
    if bound is None or delay is None or delay <= bound:
        return ""
    return f"{_name(probe)} takes {delay * 1000:.3f} ms, allowed are {bound * 1000:.3f} ms"


def _lost_since(probe: Probe, before: Measurement, found: Measurement) -> str:
    lost, sent = found.lost - before.lost, found.sent - before.sent
    return f"{_name(probe)} lost {lost} of {sent} packets" if lost else ""


def _name(probe: Probe) -> str:
    return f"probe {probe.session} of {probe.device}"


async def _read(session: DeviceSession, number: int) -> bytes:
    transport = session.capabilities.transport
    if transport is Transport.CLI:
        return b""
    if transport is Transport.RESTCONF:
        return (await session.read_state([f"accord-router:router/oam/stamp-session={number}"])).body
    wanted = f"<stamp-session><id>{number}</id></stamp-session>"
    return (await session.read_state([f'<router xmlns="{_ROUTER}"><oam>{wanted}</oam></router>'])).body


def _measurement(body: bytes, number: int) -> Measurement | str:
    for session in parse(body).iter(f"{{{_ROUTER}}}stamp-session"):
        if session.findtext(f"{{{_ROUTER}}}id") == str(number):
            sent = session.findtext(f"{{{_ROUTER}}}sent-packets")
            if sent is None:
                return "nothing was measured yet"
            return Measurement(int(sent), int(_leaf(session, "lost-packets") or 0), _delay(session))
    return "the device has no such session"


def _delay(session: etree._Element) -> float | None:
    text = _leaf(session, "forward-delay")
    return None if text is None else int(text) * _MICROSECONDS


def _leaf(session: etree._Element, name: str) -> str | None:
    return session.findtext(f"{{{_ROUTER}}}{name}")
