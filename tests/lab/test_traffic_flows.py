"""Generators and receivers as real processes, over loopback and in a namespace of their own."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from lab.planes import Attachment, FlowSpec
from lab.traffic import throughput
from lab.traffic.children import Child
from lab.traffic.flows import Flows
from lab.traffic.hosts import Host, TrafficError
from lab.traffic.packets import encode
from lab.traffic.throughput import measure_throughput
from tests.patience import PATIENCE_SECONDS

RATE = 2000.0
SOURCE, TARGET = Attachment("r1", "access0", "127.0.0.1"), Attachment("r2", "access0", "127.0.0.2")


def here(address: str) -> Host:
    return Host(os.getpid(), address)


def spec(rate: float = RATE, octets: int = 200) -> FlowSpec:
    return FlowSpec(SOURCE, TARGET, rate, octets)


@pytest.fixture
async def flows() -> AsyncIterator[Flows]:
    running = Flows("test")
    yield running
    await running.close()


async def start(flows: Flows, rate: float = RATE, octets: int = 200) -> str:
    return await flows.start(spec(rate, octets), here("127.0.0.1"), here("127.0.0.2"))


async def until_sent(flows: Flows, name: str, count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await flows._flows[name].sender.ask("report"))["sent"] < count:  # noqa: ASYNC110 - it tells when asked
            await asyncio.sleep(0.02)


def suspend(child: Child, *, running: bool = False) -> None:
    os.kill(child._process.pid, signal.SIGCONT if running else signal.SIGSTOP)


async def test_every_packet_of_an_undisturbed_flow_arrives_once_and_in_order(flows: Flows) -> None:
    name = await start(flows)
    await until_sent(flows, name, 1000)
    found = await flows.stop(name)
    assert (found.flow, found.plane) == (name, "test")
    assert found.sent >= 1000
    assert (found.received, found.lost, found.reordered, found.duplicated, found.missed) == (found.sent, 0, 0, 0, 0)
    assert found.delay_minimum_seconds is not None
    assert found.delay_median_seconds is not None
    assert found.delay_p99_seconds is not None
    assert found.delay_maximum_seconds is not None
    assert 0 < found.delay_minimum_seconds <= found.delay_median_seconds
    assert found.delay_median_seconds <= found.delay_p99_seconds <= found.delay_maximum_seconds


async def test_a_running_flow_is_reported_without_stopping_it(flows: Flows) -> None:
    name = await start(flows)
    await until_sent(flows, name, 50)
    (first,) = await flows.reports()
    await until_sent(flows, name, first.sent + 50)
    assert (first.flow, first.lost) == (name, 0)
    assert (await flows.stop(name)).sent > first.sent
    assert await flows.reports() == ()


async def test_a_sender_that_was_held_up_catches_up_and_says_so(flows: Flows) -> None:
    began = time.monotonic()
    name = await start(flows)
    await until_sent(flows, name, 20)
    suspend(flows._flows[name].sender)
    await asyncio.sleep(0.2)
    suspend(flows._flows[name].sender, running=True)
    await until_sent(flows, name, int(0.3 * RATE))
    found = await flows.stop(name)
    assert found.late >= 0.15 * RATE
    assert found.lost == 0
    assert found.sent <= (time.monotonic() - began) * RATE + 1
    assert found.longest_gap_seconds >= 0.15


async def test_what_the_receiver_itself_drops_is_not_the_networks_loss(flows: Flows) -> None:
    name = await start(flows, rate=20_000, octets=9000)
    suspend(flows._flows[name].receiver)
    await until_sent(flows, name, 20_000)
    suspend(flows._flows[name].receiver, running=True)
    found = await flows.stop(name)
    assert found.missed > 0
    assert found.lost == 0
    assert found.received + found.missed == found.sent


async def test_ipv6_is_carried_as_well(flows: Flows) -> None:
    name = await flows.start(spec(), here("::1"), here("::1"))
    await until_sent(flows, name, 20)
    assert (await flows.stop(name)).lost == 0


async def test_a_receiver_counts_what_a_network_does_to_packets() -> None:
    receiver, told = await Child.start(
        "receiver", "lab.traffic.receiver", {"process": os.getpid(), "address": "127.0.0.1"}
    )
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in (0, 1, 1, 4, 3, 5, 9):
                sender.sendto(encode(told["key"], number, time.time_ns(), b""), ("127.0.0.1", told["port"]))
            sender.sendto(encode(told["key"] + 1, 6, time.time_ns(), b""), ("127.0.0.1", told["port"]))
        found = await receiver.ask({"sent": 9, "first_sent": 0, "last_sent": 0})
        assert (found["received"], found["duplicated"], found["reordered"]) == (5, 1, 1)
    finally:
        await receiver.end()


async def test_a_receiver_that_was_held_up_counts_what_waited_for_it_before_it_answers() -> None:
    receiver, told = await Child.start(
        "receiver", "lab.traffic.receiver", {"process": os.getpid(), "address": "127.0.0.1"}
    )
    try:
        suspend(receiver)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(200):
                sender.sendto(encode(told["key"], number, time.time_ns(), b""), ("127.0.0.1", told["port"]))
        answer = asyncio.create_task(receiver.ask({"sent": 200, "first_sent": 0, "last_sent": 0}))
        await asyncio.sleep(0)  # it finds packets and question at once
        suspend(receiver, running=True)
        assert (await answer)["received"] == 200
    finally:
        await receiver.end()


async def test_packets_to_where_nobody_listens_are_lost_and_do_not_stop_the_sender(flows: Flows) -> None:
    name = await start(flows)
    receiver = flows._flows[name].receiver
    sender = flows._flows[name].sender
    receiver._process.kill()
    await receiver._process.wait()
    before = (await sender.ask("report"))["sent"]
    await until_sent(flows, name, before + 100)
    with pytest.raises(TrafficError, match=r"the receiver of flow-1 at r2:access0 has ended"):
        await flows.stop(name)


async def test_no_process_is_left_when_the_lab_closes_their_input(flows: Flows) -> None:
    name = await start(flows)
    children = (flows._flows[name].sender, flows._flows[name].receiver)
    for child in children:
        assert child._process.stdin is not None
        child._process.stdin.close()
    for child in children:
        assert await asyncio.wait_for(child._process.wait(), PATIENCE_SECONDS) == 0


@pytest.mark.parametrize(
    "rate, octets, words",
    [
        (0.0, 200, "0 packets/s"),
        (-5.0, 200, "-5 packets/s"),
        (1e6, 200, "1e\\+06 packets/s"),
        (RATE, 20, "packets of 20 octets to 127.0.0.2: give 48 to 9000"),
        (RATE, 70_000, "packets of 70000 octets"),
    ],
)
async def test_a_rate_or_size_that_cannot_be_is_refused(flows: Flows, rate: float, octets: int, words: str) -> None:
    with pytest.raises(TrafficError, match=words):
        await start(flows, rate, octets)
    assert await flows.reports() == ()


async def test_an_address_the_host_does_not_have_is_named(flows: Flows) -> None:
    with pytest.raises(TrafficError, match=r"the receiver of flow-1 at r2:access0: .*assign"):
        await flows.start(spec(), here("127.0.0.1"), here("192.0.2.1"))
    with pytest.raises(TrafficError, match=r"the sender of flow-2 at r1:access0: .*assign"):
        await flows.start(spec(), here("192.0.2.1"), here("127.0.0.2"))


async def test_a_flow_that_is_not_there_is_named_with_those_that_are(flows: Flows) -> None:
    name = await start(flows)
    with pytest.raises(KeyError, match=f"there is no flow 'flow-9' \\(running: {name}\\)"):
        await flows.stop("flow-9")


# -- hosts in a namespace ----------------------------------------------------------------------------------------------


def _refusal() -> str:
    """Why no namespace can be made here; empty when it can."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare (util-linux) and ip (iproute2) are needed"
    done = subprocess.run(
        ["unshare", "-Urn", "ip", "link", "set", "lo", "up"], capture_output=True, check=False, text=True
    )
    return done.stderr.strip() if done.returncode else ""


needs_namespace = pytest.mark.skipif(bool(_refusal()), reason=f"no namespace: {_refusal()}")


@contextmanager
def namespace_with(address: str) -> Iterator[int]:
    """A process in a user and a network namespace of its own, where nothing is but 127.0.0.0/8 and that address."""
    setup = f"ip link set lo up && ip address add {address}/32 dev lo && echo ready && exec cat"
    words = ["unshare", "-Urn", "sh", "-c", setup]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid


@pytest.fixture
def namespace() -> Iterator[int]:
    with namespace_with("192.0.2.1") as process:
        yield process


@needs_namespace
async def test_generator_and_receiver_live_in_their_hosts_namespace(flows: Flows, namespace: int) -> None:
    inside = Host(namespace, "192.0.2.1")
    name = await flows.start(spec(), inside, inside)
    await until_sent(flows, name, 100)
    found = await flows.stop(name)
    assert (found.lost, found.received) == (0, found.sent)


@needs_namespace
async def test_a_host_without_a_route_to_the_other_is_told(flows: Flows) -> None:
    with (
        namespace_with("192.0.2.1") as here_only,
        namespace_with("198.51.100.1") as there,
        pytest.raises(TrafficError, match=r"the sender of flow-1 at r1:access0: .*unreachable"),
    ):
        await flows.start(spec(), Host(here_only, "192.0.2.1"), Host(there, "198.51.100.1"))


@needs_namespace
@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed: apt-get install iperf3")
async def test_tcp_is_measured_by_iperf3(namespace: int) -> None:
    inside = Host(namespace, "192.0.2.1")
    found = await measure_throughput("test", inside, inside, seconds=1)
    assert found.plane == "test"
    assert found.received_bit_rate > 1e6


async def test_without_iperf3_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput.shutil, "which", lambda _name: None)
    with pytest.raises(TrafficError, match="iperf3 is not installed, TCP cannot be measured: apt-get install iperf3"):
        await measure_throughput("test", here("127.0.0.1"), here("127.0.0.1"))


async def test_a_process_that_is_gone_is_named(flows: Flows) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    with pytest.raises(TrafficError, match=f"the receiver of flow-1 at r2:access0: .*/proc/{gone.pid}/ns/user"):
        await flows.start(spec(), here("127.0.0.1"), Host(gone.pid, "127.0.0.2"))
