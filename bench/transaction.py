"""Owns `make bench-transaction`: a network-wide commit beside the bare exchange of the same bytes with the same lab.

The routers are a process of their own. Ours is a whole commit through `Transactions`: leases, journal with its flushes,
locks, candidate, validation, confirmed commit, post-checks, read-back. The bare exchange sends, over asyncssh by hand,
exactly the messages that ours was seen to send, waits at the same three barriers, and looks at nothing but that every
answer is there and is no error. Both have their sessions open already and take turns. `python -m bench.transaction`.
"""

import asyncio
import base64
import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from bench.netconf_clients import _HELLO, _Bare
from bench.synthetic import edit, service, site
from bench.table import Row, row, write
from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Daemon, open_daemon
from controller.mapping.service_change import L3smEdit
from controller.model.identifiers import DeviceName
from controller.runtime.transactions import CommitOptions
from controller.serve import spare_collector
from controller.transaction.plan import Plan
from controller.transaction.states import Phase
from drivers.netconf.connector import _CIPHERS
from drivers.netconf.transport import NetconfTransport

DEVICES = (10, 100, 1000)
ROUNDS = {10: 5, 100: 3, 1000: 1}
LARGEST_FOR_NCCLIENT = 10
"""It takes over a second a device; its figure does not change with their number."""
AT_ONCE = 20
DELAY_SECONDS = 0.05
"""What a real router takes for an answer, where transactions at once are measured."""
_RATES = (10**7, 2 * 10**7)

# -- the routers and the daemon ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _lab(directory: Path, routers: int, delay_seconds: float = 0.0) -> Iterator[None]:
    directory.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.transaction_lab", str(routers), str(directory), str(delay_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise SystemExit("the lab did not start")
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def _daemon(directory: Path) -> AsyncIterator[Daemon]:
    settings = directory / "accord.yaml"
    settings.write_text(
        f"state_dir: {directory}/state\ninventory: {directory}/inventory.yaml\n"
        f"credentials: {directory}/credentials.yaml\ntokens: {directory}/tokens.yaml\n"
    )
    daemon = await open_daemon(load_settings(settings))
    try:
        names = list(daemon.controller.records())
        await _limited([daemon.controller.sync_from(name, "bench") for name in names], 32)
        spare_collector()  # as the daemon does when it has started
        yield daemon
    finally:
        await daemon.stop(10.0)


async def _limited(jobs: Sequence[Awaitable[Any]], most: int) -> list[Any]:
    gate = asyncio.Semaphore(most)

    async def run(job: Awaitable[Any]) -> Any:
        async with gate:
            return await job

    return await asyncio.gather(*map(run, jobs))


def _vpn(vpn_id: str, numbers: Sequence[int], rate: int) -> L3smEdit:
    """A VPN with a site in the city of each of these routers; `rate` in bit/s."""
    sites = [site(f"{vpn_id}-{number}", number, vpn_id, [number], rate) for number in numbers]
    return edit(service(vpn_id), *sites)


async def _commit_fresh(daemon: Daemon, wish: L3smEdit, summary: str) -> None:
    """Planned when it is committed: plans made side by side would choose the same numbers."""

    async def make_plan() -> Plan:
        return await daemon.controller.plan_services(wish, summary, "bench")

    done = await daemon.controller.commit_fresh(make_plan, CommitOptions(confirm_timeout_seconds=1800.0), "bench")
    if done.phase is not Phase.COMMITTED:
        raise SystemExit(f"the transaction ended as {done.phase}: {done.reason}")


async def _commit(daemon: Daemon, plan: Plan) -> None:
    summary = await daemon.controller.transactions.commit(plan, CommitOptions(confirm_timeout_seconds=1800.0), "bench")
    if summary.phase is not Phase.COMMITTED:
        raise SystemExit(f"the transaction ended as {summary.phase}: {summary.reason}")


async def _until_idle(daemon: Daemon) -> None:
    """A verdict comes before the last locks are given back: wait for these too, they belong to the commit."""
    while daemon.controller.transactions.running():  # noqa: ASYNC110 - nothing tells when; a millisecond is exact enough
        await asyncio.sleep(0.001)


# -- what ours sends ---------------------------------------------------------------------------------------------------


@dataclass
class Recording:
    """The messages of one transaction by device, in order, without message-ids."""

    messages: dict[str, list[tuple[str, bytes, bytes]]] = field(default_factory=dict)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        original = NetconfTransport.post

        def post(transport: Any, requests: Any, seconds: float) -> Any:
            parts = [(request.name, request.before_id, request.after_id) for request in requests]
            self.messages.setdefault(transport._device, []).extend(parts)  # noqa: SLF001 - a bench may look
            return original(transport, requests, seconds)

        NetconfTransport.post = post  # type: ignore[method-assign]
        try:
            yield
        finally:
            NetconfTransport.post = original  # type: ignore[method-assign]

    def steps(self) -> dict[str, list[list[bytes]]]:
        """Each device's messages, cut where the transaction waits for all devices."""
        return {device: _cut(messages) for device, messages in self.messages.items()}


def _cut(messages: list[tuple[str, bytes, bytes]]) -> list[list[bytes]]:
    steps: list[list[bytes]] = [[]]
    commits = 0
    for name, before, after in messages:
        commits += name == "commit"
        starts = (name == "commit") or (name == "get" and commits == 1) or (name == "unlock" and commits == 2)
        if starts and len(steps) <= 4:
            commits += name == "unlock"
            steps.append([])
        steps[-1].append(re.sub(rb"%", rb"%%", before) + b"%d" + re.sub(rb"%", rb"%%", after))
    return steps


# -- the bare exchange -------------------------------------------------------------------------------------------------


class _Session(_Bare):
    async def send(self, message: bytes) -> None:
        self.reply = asyncio.get_running_loop().create_future()
        self.number += 1
        request = message % self.number
        self.channel.write(b"\n#%d\n%b\n##\n" % (len(request), request))
        answer = await self.reply
        if b"<rpc-error" in answer or b"rpc-reply" not in answer:
            raise SystemExit(f"the bare exchange failed: {answer.decode()} to {request.decode()}")


async def _open_bare(target: Any) -> _Session:
    connection = await asyncssh.connect(
        target.hostname,
        target.port,
        username=target.username,
        password=target.password.reveal(),
        known_hosts=None,
        config=None,
        client_keys=None,
        agent_path=None,
        encryption_algs=_CIPHERS,
        login_timeout=120,
    )
    channel, session = await connection.create_session(_Session, subsystem="netconf", encoding=None)
    session.channel = channel
    session.connection = connection
    channel.write(_HELLO.encode() + b"]]>]]>")
    await session.reply
    session.end = b"\n##\n"
    return session


async def _exchange(sessions: dict[str, _Session], steps: dict[str, list[list[bytes]]]) -> None:
    async def send(device: str, messages: list[bytes]) -> None:
        for message in messages:
            await sessions[device].send(message)

    for number in range(max(map(len, steps.values()))):
        await asyncio.gather(*(send(device, own[number]) for device, own in steps.items() if number < len(own)))


# -- a loop of stock ncclient ------------------------------------------------------------------------------------------


def _open_ncclient(target: Any) -> Any:
    from ncclient import manager

    return manager.connect(
        host=target.hostname,
        port=target.port,
        username=target.username,
        password=target.password.reveal(),
        hostkey_b64=base64.b64encode(base64.b64decode(target.host_key.split()[1])).decode(),
        allow_agent=False,
        look_for_keys=False,
        timeout=120,
    )


def _loop_of_ncclient(sessions: dict[str, Any], edits: dict[str, tuple[str, str]]) -> None:
    """What people write: one device after another, the same steps, no wait for the others."""
    for device, session in sessions.items():
        config, filter_ = edits[device]
        with session.locked("running"), session.locked("candidate"):
            session.discard_changes()
            session.get_config("running", filter=("subtree", filter_))
            session.edit_config(config, target="candidate")
            session.validate("candidate")
            session.commit(confirmed=True, timeout="120", persist="loop")
            session.get_config("running", filter=("subtree", filter_))
            session.commit(persist_id="loop")
            session.get_config("running", filter=("subtree", filter_))


def _edits(daemon: Daemon, plan: Plan) -> dict[str, tuple[str, str]]:
    codecs = daemon.controller.codecs
    return {
        device.device: (
            codecs(device.device).encode_edit(device.edit).decode(),
            "".join(codecs(device.device).encode_filters(device.scope)),
        )
        for device in plan.changed
    }


# -- measuring ---------------------------------------------------------------------------------------------------------


async def _timed(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Seconds of wall, seconds of this process's CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    await work()
    return time.perf_counter() - start, time.process_time() - cpu


@dataclass
class _Sides:
    """The same change there and back, in our words and as bytes."""

    daemon: Daemon
    numbers: range
    steps: list[dict[str, list[list[bytes]]]] = field(default_factory=list)

    def plan(self, which: int) -> Plan:
        return self.daemon.controller.planner.services(_vpn("vpn", self.numbers, _RATES[which]), "another rate")

    async def prepare(self) -> None:
        """Create the VPN, then change it there and back, watching."""
        await self.ours(0)
        for which in (1, 0):
            recording = Recording()
            with recording():
                await self.ours(which)
            self.steps.append(recording.steps())

    async def ours(self, which: int) -> tuple[float, float]:
        plan = self.plan(which)

        async def commit() -> None:
            await _commit(self.daemon, plan)
            await _until_idle(self.daemon)

        return await _timed(commit)


async def _measure(devices: int, directory: Path) -> list[Row]:
    async with _daemon(directory) as daemon:
        sides = _Sides(daemon, range(devices))
        await sides.prepare()
        targets = {name: daemon.catalogue.target(DeviceName(name)) for name in daemon.controller.records()}
        opened = await _limited([_open_bare(target) for target in targets.values()], 32)
        bare = dict(zip(targets, opened, strict=True))
        ours, theirs = [], []
        for _ in range(ROUNDS[devices]):
            ours += [await sides.ours(1), await sides.ours(0)]
            theirs += [await _timed(lambda n=n: _exchange(bare, sides.steps[n])) for n in (0, 1)]
        rows = _rows(devices, ours, theirs)
        for session in opened:
            session.connection.abort()
        if devices <= LARGEST_FOR_NCCLIENT:
            rows.append(await _beside_ncclient(sides, targets, statistics.median(wall for wall, _ in ours)))
        return rows


def _rows(devices: int, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> list[Row]:
    name = "bare exchange"
    wall = [1000 * statistics.median(side[0] for side in times) for times in (ours, theirs)]
    cpu = [1000 * statistics.median(side[1] for side in times) / devices for times in (ours, theirs)]
    return [
        row("commit", devices, *wall, name, "ms", less_is_better=True),
        row("controller CPU per device ms", devices, *cpu, name, "ms", less_is_better=True),
    ]


async def _beside_ncclient(sides: _Sides, targets: dict[str, Any], ours: float) -> Row:
    edits = [_edits(sides.daemon, sides.plan(1))]
    sessions = {name: _open_ncclient(target) for name, target in targets.items()}
    start = time.perf_counter()
    await asyncio.to_thread(_loop_of_ncclient, sessions, edits[0])
    theirs = time.perf_counter() - start
    await asyncio.to_thread(lambda: [session.close_session() for session in sessions.values()])
    return row(
        "commit beside a loop", len(targets), 1000 * ours, 1000 * theirs, "loop of ncclient", "ms", less_is_better=True
    )


async def _at_once(directory: Path, devices: int, delay: str) -> list[Row]:
    """Twenty transactions on devices of their own beside one of them alone."""
    async with _daemon(directory) as daemon:
        each = devices // AT_ONCE
        groups = [range(first, first + each) for first in range(0, devices, each)]

        async def commit(wanted: Sequence[int], rate: int) -> float:
            edits = [(number, _vpn(f"vpn-{number}", groups[number], rate)) for number in wanted]

            async def run() -> None:
                await asyncio.gather(*(_commit_fresh(daemon, wish, f"vpn {number}") for number, wish in edits))
                await _until_idle(daemon)

            return (await _timed(run))[0]

        one: list[float] = []
        many: list[float] = []
        for turn in range(5):
            one.append(await commit(range(1), _RATES[turn % 2] + 1))
            many.append(await commit(range(AT_ONCE), _RATES[turn % 2]))
        name = f"one of them alone, {delay}"
        wall = [1000 * statistics.median(times[1:]) for times in (many, one)]
        return [row(f"{AT_ONCE} transactions at once", devices, *wall, name, "ms", less_is_better=True)]


async def _all(directory: Path) -> list[Row]:
    rows: list[Row] = []
    for devices in DEVICES:
        home = directory / str(devices)
        with _lab(home, devices):
            rows += await _measure(devices, home)
        print(
            f"  {devices} devices: {[(found.name, found.ratio) for found in rows if found.n == devices]}",
            file=sys.stderr,
        )
    devices = 2 * AT_ONCE
    for delay, name in ((DELAY_SECONDS, f"routers take {1000 * DELAY_SECONDS:.0f} ms an answer"), (0.0, "no delay")):
        home = directory / f"at-once-{delay}"
        with _lab(home, devices, delay):
            rows += await _at_once(home, devices, name)
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        write("transaction", asyncio.run(_all(Path(directory))))


if __name__ == "__main__":
    main()
