"""A small network of emulated routers and a controller over it, joined by real sockets, with the questions tests ask.

Routers come in groups that hold one of every participant class, named `GROUP-PROFILE` (`a-full`, `b-cli`, ...).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Catalogue, build_controller, connectors, load_catalogue
from controller.model.identifiers import DeviceName, Owner, PlanId
from controller.model.yang_path import Path as YangPath
from controller.model.yang_path import parse_path
from controller.runtime.controller import Controller
from controller.runtime.sessions import SessionPool
from controller.runtime.transactions import CommitOptions
from controller.runtime.world import World as Projections
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan, plan_device
from controller.transaction.states import Phase
from drivers.threads import DriverThreads
from lab.faults import FaultScript
from lab.inventory import inventory_document, write_files
from lab.network import LabNetwork, NetworkOptions
from lab.topology import Node, Role, Site, Topology
from tests.patience import PATIENCE_SECONDS

KINDS = ("full", "confirmed10", "candidate", "running", "restconf", "cli")
PORTS = ("access0", "access1", "access2")
RPC_SECONDS = 4.0
"""Where answers are waited for in vain."""
SERVICE = Owner("service:matrix")
OTHER = Owner("service:unrelated")
QUICK = CommitOptions(confirm_timeout_seconds=2 * PATIENCE_SECONDS, lease_wait_seconds=PATIENCE_SECONDS)
"""A commit that was left armed stays armed for longer than anybody waits here, and is found."""
_IETF = "{urn:ietf:params:xml:ns:yang:ietf-interfaces}"


@dataclass(slots=True)
class SteppingClock:
    """The system's clock, and a wall time that a test can set wrong."""

    offset_seconds: float = 0.0

    def now(self) -> float:
        return time.time() + self.offset_seconds

    def monotonic(self) -> float:
        return time.monotonic()


def topology(groups: Iterable[str], kinds: Sequence[str] = KINDS) -> Topology:
    """Routers without links: what a transaction needs of a network is its devices."""
    nodes = tuple(
        Node(f"{group}-{kind}", Role.PE, Site("London", "GB", 51.5, -0.1, "LON1"), access_ports=PORTS)
        for group in groups
        for kind in kinds
    )
    return Topology("faults", nodes, ())


def lab_network(
    groups: Iterable[str], kinds: Sequence[str] = KINDS, faults: FaultScript | None = None, first_port: int = 0
) -> LabNetwork:
    """The network, not started."""
    shape = topology(groups, kinds)
    profiles = {node.name: node.name.rpartition("-")[2] for node in shape.nodes}
    return LabNetwork(shape, NetworkOptions(profiles=profiles, first_port=first_port), faults=faults)


def write_configuration(directory: Path, lab: LabNetwork, *, rpc_seconds: float = 30.0) -> Path:
    """Inventory, credentials and settings of a controller over this lab; returns the settings file."""
    routers = lab.running_routers()
    write_files(
        directory,
        routers,
        username=lab.options.username,
        password=lab.password,
        authority_pem=lab.authority_pem,
    )
    document = inventory_document(routers, username=lab.options.username)
    document["defaults"]["data"] |= {"rpc_timeout_seconds": rpc_seconds, "connect_timeout_seconds": PATIENCE_SECONDS}
    (directory / "inventory.yaml").write_text(yaml.safe_dump(document))
    settings = {
        "state_dir": str(directory / "state"),
        "inventory": str(directory / "inventory.yaml"),
        "credentials": str(directory / "credentials.yaml"),
        "tokens": str(directory / "tokens.yaml"),
        "transactions": {"lock_wait_seconds": 10.0},
    }
    path = directory / "accord.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@dataclass(slots=True)
class World:
    """A lab and a controller over it."""

    lab: LabNetwork
    controller: Controller
    log: SqliteEventLog
    sessions: SessionPool
    clock: SteppingClock
    faults: FaultScript = field(default_factory=FaultScript)

    # -- changes -----------------------------------------------------------------------------------------------

    def plan(
        self,
        devices: Iterable[str],
        wanted: Mapping[str, str],
        owner: Owner = SERVICE,
    ) -> Plan:
        """The plan that makes `owner` want exactly these lines (path text -> value) on each device."""
        return plan_of(self.controller, devices, wanted, owner)

    async def commit(self, plan: Plan, options: CommitOptions = QUICK) -> TransactionSummary:
        """Commit; returns at the verdict or at UNKNOWN."""
        return await self.controller.transactions.commit(plan, options, "tester")

    async def final(self, summary: TransactionSummary, seconds: float = PATIENCE_SECONDS) -> TransactionSummary:
        """Wait until an UNKNOWN transaction has healed and nothing of it runs any more."""
        transactions = self.controller.transactions

        def ended() -> bool:
            now = self.controller.world.transactions.get(summary.id)
            return now.is_final and summary.id not in transactions.running()

        await until(ended, seconds, lambda: f"{self.controller.world.transactions.get(summary.id)}")
        return self.controller.world.transactions.get(summary.id)

    # -- what stands on the routers ----------------------------------------------------------------------------

    def running(self, devices: Iterable[str]) -> dict[str, bytes]:
        """Each router's running configuration, byte for byte, asked behind the controller's back."""
        return {name: self.lab[name].store.serialised("running") for name in devices}

    def descriptions(self, devices: Iterable[str], port: str = "access0") -> dict[str, str | None]:
        """What each router holds as the description of a port."""
        found: dict[str, str | None] = {}
        for name in devices:
            tree = self.lab[name].store.get("running")
            ports = {entry.findtext(f"{_IETF}name"): entry for entry in tree.iter(f"{_IETF}interface")}
            found[name] = ports[port].findtext(f"{_IETF}description") if port in ports else None
        return found

    def left_behind(self, devices: Iterable[str]) -> dict[str, str]:
        """Locks, armed timers and dirty candidates, by router; empty when all is clean."""
        found = {}
        for name in devices:
            store = self.lab[name].store
            locks = [ds for ds in ("running", "candidate") if store.lock_holder(ds) is not None]
            what = [f"lock on {ds}" for ds in locks]
            what += ["an armed commit"] if store.pending_commit is not None else []
            what += ["a dirty candidate"] if store.candidate_is_dirty else []
            if what:
                found[name] = ", ".join(what)
        return found

    async def verdict_equals_readback(
        self, summary: TransactionSummary, before: Mapping[str, bytes], expected: str, port: str = "access0"
    ) -> TransactionSummary:
        """Assert that the verdict, once there is one, is what the routers hold, and that nothing is left behind."""
        devices = list(before)
        if summary.phase is Phase.UNKNOWN:
            assert summary.astray, "an unknown verdict names the devices that it is about"
        summary = await self.final(summary)
        if summary.phase is Phase.COMMITTED:
            held = self.descriptions(devices, port)
            assert held == dict.fromkeys(devices, expected), f"COMMITTED, but the routers hold {held}"
        else:
            changed = [name for name, running in self.running(devices).items() if running != before[name]]
            assert not changed, f"{summary.phase} ({summary.reason}), but {changed} are not at their base"
        await until(
            lambda: not self.left_behind(devices), PATIENCE_SECONDS, lambda: f"left behind: {self.left_behind(devices)}"
        )
        return summary

    async def next_change_is_clean(self, devices: Sequence[str], label: str) -> None:
        """Assert that an unrelated change succeeds, and that the controller's picture of each device is true."""
        before = self.running(devices)
        summary = await self.commit(self.plan(devices, description(label, "access2"), OTHER))
        assert summary.phase is Phase.COMMITTED, f"the next change: {summary.phase}: {summary.reason}"
        await self.verdict_equals_readback(summary, before, label, "access2")
        for name in devices:
            report = await self.controller.check_sync(DeviceName(name))
            assert report.is_in_sync, [difference.explain() for difference in report.differences]


def plan_of(controller: Controller, devices: Iterable[str], wanted: Mapping[str, str], owner: Owner = SERVICE) -> Plan:
    """The plan that makes `owner` want exactly these lines (path text -> value) on each device."""
    lines: dict[YangPath, str] = {parse_path(path): value for path, value in wanted.items()}
    shares = []
    for name in sorted(devices):
        known = controller.world.network.device(DeviceName(name))
        shares.append(plan_device(known.view(), known.contributions.replace_owner(owner, lines)))
    return Plan(PlanId(controller.world.next_id("plan")), "a change of the test", tuple(shares))


def description(text: str, port: str = "access0") -> dict[str, str]:
    """Lines that want a description on a port."""
    return {f"/ietf-interfaces:interfaces/interface[name='{port}']/description": text}


def address(number: int, port: str = "access1") -> dict[str, str]:
    """Lines that want an IPv4 address on a port: containers and list entries come and go with it."""
    ipv4 = f"/ietf-interfaces:interfaces/interface[name='{port}']/ietf-ip:ipv4"
    entry = f"{ipv4}/address[ip='192.0.2.{number}']"
    return {ipv4: "", entry: "", f"{entry}/prefix-length": "31"}


async def until(
    condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str] = lambda: "it did not happen"
) -> None:
    """Wait for a condition; AssertionError with `otherwise` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def open_world(
    directory: Path,
    groups: Iterable[str] = "a",
    kinds: Sequence[str] = KINDS,
    faults: FaultScript | None = None,
    rpc_seconds: float = 30.0,
) -> AsyncIterator[World]:
    """A started lab and a controller that has read every device."""
    script = faults or FaultScript()
    async with lab_network(groups, kinds, script) as lab, _controller(directory, lab, script, rpc_seconds) as world:
        await asyncio.gather(*(world.controller.sync_from(name, "tester") for name in world.controller.records()))
        yield world


@asynccontextmanager
async def _controller(
    directory: Path, lab: LabNetwork, faults: FaultScript, rpc_seconds: float
) -> AsyncIterator[World]:
    settings = load_settings(write_configuration(directory, lab, rpc_seconds=rpc_seconds)).settings
    settings.state_dir.mkdir(mode=0o700)
    catalogue: Catalogue = load_catalogue(settings)
    clock = SteppingClock()
    projections, threads = Projections(), DriverThreads()
    log = SqliteEventLog(settings.state_dir / "events.sqlite", clock=clock)
    log.subscribe(projections.apply_all)
    sessions = SessionPool(connectors(threads), catalogue.target, clock)
    controller = build_controller(
        world=projections, log=log, clock=clock, sessions=sessions, catalogue=catalogue, settings=settings
    )
    try:
        yield World(lab, controller, log, sessions, clock, faults)
    finally:
        await controller.transactions.drain(1.0)
        await sessions.close()
        threads.close()
        log.close()
