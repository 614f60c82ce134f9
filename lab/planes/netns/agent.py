"""The process of one router, inside its namespace: it applies programs, watches its ports, floods, repairs, measures.

Owns the loop and what is said to the lab. What must be quick (repair) needs nobody's answer; what can wait (counters,
measurements) is told once a second.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import selectors
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from lab.planes import PolicyState, StampResult, StampSession
from lab.planes.netns import kernel_links, namespaces
from lab.planes.netns.agent_forwarding import Forwarding
from lab.planes.netns.agent_repair import Flooding
from lab.planes.netns.agent_stamp import Reflector, Sender
from lab.planes.netns.channel import READY, Answer, ServerChannel
from lab.planes.netns.kernel_links import LINK_GROUP, LinkCounters, LinkNotice
from lab.planes.netns.netlink import Netlink, OverrunError
from lab.planes.netns.program import Program
from lab.planes.netns.wiring import Port

_REPORT_SECONDS = 1.0
_PAUSE_SECONDS = 0.005
_EAGER = -15  # niceness, where real-time scheduling is not allowed: repair does not wait for others


@dataclass(frozen=True, slots=True)
class Plug:
    """The wires are there: take these ports."""

    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """Do this from now on; answered with what the kernel refused."""

    program: Program


@dataclass(frozen=True, slots=True)
class FindHost:
    """The host behind an interface of a VRF; answered with its process and address."""

    instance: str
    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to a program: what the kernel refused, and the policies as they are now."""

    problems: tuple[str, ...]
    policies: tuple[PolicyState, ...]


@dataclass(frozen=True, slots=True)
class Repaired:
    """News: policies took other paths."""

    policies: tuple[PolicyState, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """News, once a second: what the router has counted and measured."""

    counters: dict[str, LinkCounters]
    results: tuple[StampResult, ...]


@dataclass(frozen=True, slots=True)
class Carrier:
    """News: a port has gained or lost its carrier."""

    port: str
    up: bool


class Agent:
    """One router's process."""

    def __init__(self, channel: ServerChannel) -> None:
        self._channel = channel
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._forwarding = Forwarding(lambda: self._flooding.dead)
        self._flooding = Flooding(self._repair)
        self._notices = Netlink(groups=LINK_GROUP)
        self._port_names: dict[int, str] = {}
        self._carriers: dict[str, bool] = {}
        self._reflectors: dict[str, Reflector] = {}
        self._senders: dict[StampSession, Sender] = {}
        self._counting = self._forwarding.counters()
        self._counted: dict[str, LinkCounters] = {}
        self._watch(channel.fileno(), self._questions)
        self._watch(self._flooding.fileno(), self._flooding.receive)
        self._watch(self._notices.fileno(), self._link_notices)

    def run(self) -> None:
        """Serve until the lab is gone, which raises EOFError."""
        self._channel.send(Answer(READY))
        self._at(time.monotonic() + _REPORT_SECONDS, self._count)
        while True:
            timeout = max(0.0, self._timers[0][0] - time.monotonic())
            for key, _ in self._selector.select(timeout):
                key.data()
            while self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()

    def _watch(self, descriptor: int, act: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def _at(self, when: float, act: Callable[[], None]) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, act))

    def _questions(self) -> None:
        for question in self._channel.receive():
            self._channel.answer(question, self._handle)

    def _handle(self, content: object) -> Any:
        match content:
            case Plug(ports):
                return self._plug(ports)
            case Apply(program):
                with _at_leisure():
                    problems = self._forwarding.apply(program)
                self._measure()
                return Applied(problems, self._forwarding.policies())
            case FindHost(instance, interface, address):
                return self._forwarding.vrfs[instance].access.host(interface, address)
        raise ValueError(f"an agent does not know {content!r}")

    def _plug(self, ports: tuple[Port, ...]) -> None:
        self._forwarding.plug(ports)
        self._flooding.plug(ports)
        self._port_names = {self._forwarding.core.index(port.device): port.name for port in ports}
        self._carriers = {port.name: True for port in ports}

    def _link_notices(self) -> None:
        try:
            while datagram := self._notices.notices():
                self._take_notices(kernel_links.link_notices(datagram))
        except OverrunError:
            self._take_notices(kernel_links.links(self._forwarding.core.netlink).values())

    def _take_notices(self, notices: Iterable[LinkNotice]) -> None:
        for notice in notices:
            name = self._port_names.get(notice.index)
            if name is not None and self._carriers[name] != notice.carrier:
                self._carriers[name] = notice.carrier
                self._flooding.own_port(name, up=notice.carrier)
                self._channel.send(Carrier(name, notice.carrier))

    def _repair(self) -> None:
        self._forwarding.repair()
        self._channel.send(Repaired(self._forwarding.policies()))

    # Measurements

    def _measure(self) -> None:
        """Have a reflector in every namespace of a router that reflects, and a sender for each session."""
        program, vrfs = self._forwarding.program, self._forwarding.vrfs
        places = {"": self._forwarding.core.descriptor} if program.reflects else {}
        places |= {vrf.device: vrf.descriptor for vrf in vrfs.values()} if program.reflects else {}
        for name in [name for name in self._reflectors if name not in places]:
            self._selector.unregister(self._reflectors[name].fileno())
            self._reflectors.pop(name).close()
        for name, place in places.items():
            if name not in self._reflectors:
                with namespaces.inside(place):
                    reflector = self._reflectors[name] = Reflector()
                self._watch(reflector.fileno(), reflector.receive)
        for session in [session for session in self._senders if session not in program.sessions]:
            self._selector.unregister(self._senders[session].fileno())
            self._senders.pop(session).close()
        for session in program.sessions:
            if session not in self._senders and (not session.instance or session.instance in vrfs):
                self._start(session)

    def _start(self, session: StampSession) -> None:
        if session.instance:
            with namespaces.inside(self._forwarding.vrfs[session.instance].descriptor):
                sender = Sender(session, "")
        else:
            sender = Sender(session, self._forwarding.source_of(ip_address(session.remote_address).version))
        self._senders[session] = sender
        self._watch(sender.fileno(), sender.receive)
        self._send(session, sender, time.monotonic())

    def _send(self, session: StampSession, sender: Sender, due: float) -> None:
        if self._senders.get(session) is sender:
            sender.send()
            again = due + session.interval_seconds
            self._at(again, lambda: self._send(session, sender, again))

    # Reports

    def _count(self) -> None:
        """Count the interfaces of a few VRFs at a time, so that repair never waits for counting; then report."""
        part = next(self._counting, None)
        if part is not None:
            self._counted |= part
            self._at(time.monotonic() + _PAUSE_SECONDS, self._count)
            return
        results = tuple(self._senders[s].result() for s in self._forwarding.program.sessions if s in self._senders)
        self._channel.send(Report(self._counted, results))
        self._counting, self._counted = self._forwarding.counters(), {}
        self._at(time.monotonic() + _REPORT_SECONDS, self._count)


def run_agent(channel: ServerChannel, _argument: object) -> None:
    """Be a router until the lab is gone."""
    namespaces.wake_on_time()
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _EAGER)
        _schedule(os.SCHED_RR, 1)
    Agent(channel).run()


@contextlib.contextmanager
def _at_leisure() -> Iterator[None]:
    """What takes long and can wait does not hold up others; afterwards the router is prompt again."""
    before = os.sched_getscheduler(0)
    try:
        if before == os.SCHED_RR:
            _schedule(os.SCHED_OTHER, 0)
        yield
    finally:
        if before == os.SCHED_RR:
            _schedule(before, 1)


def _schedule(policy: int, priority: int) -> None:
    os.sched_setscheduler(0, policy, os.sched_param(priority))
