"""The process that joins routers: in its namespace lie the far ends of their ports, two for each wire.

Owns making the pairs, cutting them, and the choice of who carries: the kernel where a wire does nothing to packets or
it can do what it must (netem), a `Lane` of this process where it cannot.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from lab.planes.netns import kernel_queues, namespaces
from lab.planes.netns.channel import READY, Answer, Question, ServerChannel
from lab.planes.netns.kernel_links import VethEnd, add_veth, links, look_at, set_link, set_sysctl
from lab.planes.netns.kernel_queues import Impairment
from lab.planes.netns.lanes import Lane, Schedule
from lab.planes.netns.netlink import KernelError, Netlink
from lab.planes.netns.wiring import CORE_MTU, Wire, mac_of

_TELL_SECONDS = 1.0


class WireState(Enum):
    """What a wire does: carry, lose everything and say so, or lose everything."""

    UP = auto()
    CUT = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class SetWire:
    """Have a wire do that from now on."""

    name: str
    state: WireState


@dataclass(frozen=True, slots=True)
class Drops:
    """News, once a second: how many packets each port has sent into a full queue, by port number."""

    packets: dict[int, int]


@dataclass(slots=True)
class _Joined:
    """A wire in place: the indices of its two ends, and its lanes when the kernel does not carry."""

    ends: tuple[int, int]
    ports: tuple[int, int]
    seen_by: tuple[tuple[Netlink, str], tuple[Netlink, str]]
    """The routers' ends: a socket in the namespace, and what the port is called there."""
    lanes: tuple[Lane, ...] = ()
    state: WireState = WireState.UP


class Wires:
    """The wires of one process."""

    def __init__(self, wires: tuple[Wire, ...]) -> None:
        set_sysctl("ipv6/conf/default/disable_ipv6", 1)
        self._netlink = Netlink()
        self._schedule = Schedule()
        self._joined: dict[str, _Joined] = {}
        self._routers: dict[int, Netlink] = {}
        self._netlink.ask(*(add_veth(*pair) for wire in wires for pair in _pairs(wire)))
        found = links(self._netlink)
        for wire in wires:
            ends = found[_end_name(wire.a.port.number)].index, found[_end_name(wire.b.port.number)].index
            self._joined[wire.name] = self._join(wire, ends)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """What this process carries itself."""
        return tuple(lane for joined in self._joined.values() for lane in joined.lanes)

    @property
    def schedule(self) -> Schedule:
        """The packets under way in this process."""
        return self._schedule

    def handle(self, question: object) -> object:
        """Answer the lab."""
        if isinstance(question, SetWire):
            self._set(self._joined[question.name], question.state)
            return None
        raise ValueError(f"wires do not know {question!r}")

    def _join(self, wire: Wire, ends: tuple[int, int]) -> _Joined:
        sides = wire.a, wire.b
        seen_by = tuple((self._inside(side.process), side.port.device) for side in sides)
        joined = _Joined(ends, (wire.a.port.number, wire.b.port.number), (seen_by[0], seen_by[1]))
        self._netlink.ask(*(set_link(end, up=True) for end in ends))
        if self._kernel_carries(wire.impairment, ends):
            self._netlink.ask(*(kernel_queues.take_ingress(end) for end in ends))
            self._pass_in_kernel(ends)
        else:
            names = _end_name(wire.a.port.number), _end_name(wire.b.port.number)
            joined.lanes = tuple(
                Lane(source, target, wire.impairment, self._schedule, random.Random(f"{wire.name} {source}"))  # noqa: S311
                for source, target in (names, reversed(names))
            )
            joined.lanes[0].answer_over(joined.lanes[1])
        return joined

    def _kernel_carries(self, wanted: Impairment, ends: tuple[int, int]) -> bool:
        """Whether the kernel does to packets what this wire must."""
        if wanted.delay_seconds or wanted.jitter_seconds or wanted.loss_ratio:
            try:
                self._netlink.ask(*(kernel_queues.impair(end, wanted) for end in ends))
            except KernelError:
                return False  # a kernel without netem
        elif wanted.bit_rate:
            rate, buffer_seconds = wanted.bit_rate, wanted.buffer_seconds
            self._netlink.ask(*(kernel_queues.limit_rate(end, rate, buffer_seconds) for end in ends))
        return True

    def _pass_in_kernel(self, ends: tuple[int, int]) -> None:
        self._netlink.ask(*(kernel_queues.pass_all(end, to) for end, to in (ends, reversed(ends))))

    def _set(self, joined: _Joined, state: WireState) -> None:
        was, joined.state = joined.state, state
        for lane in joined.lanes:
            lane.open = state is WireState.UP
        if not joined.lanes and (was is WireState.SILENT) != (state is WireState.SILENT):
            self._netlink.ask(*(kernel_queues.drop_filters(end) for end in joined.ends))
            if state is not WireState.SILENT:
                self._pass_in_kernel(joined.ends)
        if (was is WireState.CUT) != (state is WireState.CUT):
            for end, (router, port) in zip(joined.ends, joined.seen_by, strict=True):
                self._netlink.ask(set_link(end, up=state is not WireState.CUT))
                router.ask(look_at(port))  # light goes out at once; a worker of the kernel would say so in its own time

    def _inside(self, process: int) -> Netlink:
        """A socket in the namespace of a router."""
        if process not in self._routers:
            descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                with namespaces.inside(descriptor):
                    self._routers[process] = Netlink()
            finally:
                os.close(descriptor)
        return self._routers[process]

    def drops(self) -> Drops:
        """What queues have dropped; the kernel's queue for a port's packets is at the other end of the wire."""
        in_kernel = kernel_queues.queue_drops(self._netlink)
        counted = {}
        for joined in self._joined.values():
            for side in (0, 1):
                lost = joined.lanes[side].overflowed if joined.lanes else in_kernel.get(joined.ends[1 - side], 0)
                counted[joined.ports[side]] = lost
        return Drops(counted)


def run_wires(channel: ServerChannel, wires: tuple[Wire, ...]) -> None:
    """Carry packets and answer the lab until it is gone."""
    namespaces.wake_on_time()
    with contextlib.suppress(PermissionError):  # a late wire is a wrong delay
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    carried = Wires(wires)
    lanes = {lane.fileno(): lane for lane in carried.lanes}
    channel.send(Answer(READY))
    watched = [channel.fileno(), *lanes]
    tell_at = 0.0
    while True:
        now = time.monotonic()
        if now >= tell_at:
            tell_at = now + _TELL_SECONDS
            channel.send(carried.drops())
        due = carried.schedule.send_due(now)
        timeout = max(0.0, (tell_at if due is None else min(due, tell_at)) - time.monotonic())
        for descriptor in select.select(watched, (), (), timeout)[0]:
            lane = lanes.get(descriptor)
            if lane is not None:
                lane.take(time.monotonic)
            else:
                for question in channel.receive():
                    _answer(channel, carried, question)


def _answer(channel: ServerChannel, carried: Wires, question: Question) -> None:
    channel.answer(question, carried.handle)


def _end_name(port: int) -> str:
    return f"wire{port}"


def _pairs(wire: Wire) -> Iterator[tuple[VethEnd, VethEnd]]:
    for end in (wire.a, wire.b):
        near = VethEnd(_end_name(end.port.number), mtu=CORE_MTU)
        yield near, VethEnd(end.port.device, mac=mac_of(end.port.number), mtu=CORE_MTU, process=end.process)
