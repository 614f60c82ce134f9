"""A provider's network of emulated routers and the whole controller over it, built by bootstrap as the daemon is.

async with open_provider(tmp_path, topology, {"par1": "restconf"}) as provider:
    await provider.commit(edit)
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import yaml

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Daemon, open_daemon
from controller.mapping.service_change import L3smEdit
from controller.model.identifiers import DeviceName
from controller.runtime.controller import Controller
from controller.runtime.transactions import CommitOptions
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.states import Phase
from lab.inventory import write_files
from lab.network import LabNetwork, NetworkOptions
from lab.topology import Node, Role, Site, Topology

QUICK = CommitOptions(confirm_timeout_seconds=60.0, lease_wait_seconds=60.0)
ACTOR = "tester"


@dataclass(slots=True)
class Provider:
    """A started lab and the daemon's parts over it."""

    lab: LabNetwork
    daemon: Daemon

    @property
    def controller(self) -> Controller:
        """The use cases."""
        return self.daemon.controller

    def running(self) -> dict[str, bytes]:
        """Each router's running configuration, byte for byte, asked behind the controller's back."""
        return {router.name: router.store.serialised("running") for router in self.lab}

    async def commit(self, edit: L3smEdit, summary: str = "a change of the test") -> Plan:
        """Plan and commit an edit; it has to succeed."""
        plan = await self.controller.plan_services(edit, summary, ACTOR)
        await self.commit_plan(plan)
        return plan

    async def commit_plan(self, plan: Plan) -> TransactionSummary:
        """Commit a plan; it has to succeed."""
        done = await self.controller.commit(plan.id, QUICK, ACTOR)
        assert done.phase is Phase.COMMITTED, f"{done.phase}: {done.reason}"
        return done

    async def restart(self) -> None:
        """Another daemon in place of the one that was stopped: it knows what the log says."""
        self.daemon = await open_daemon(self.daemon.settings.loaded)

    async def assert_read_back_equal(self, devices: Iterable[str]) -> None:
        """Every router is what the controller takes it for, and holds every line that anybody owns."""
        for name in devices:
            for report in (
                await self.controller.check_sync(DeviceName(name)),
                await self.controller.compare(DeviceName(name)),
            ):
                assert report.is_in_sync, (name, [found.explain() for found in report.differences])


@asynccontextmanager
async def open_provider(
    directory: Path,
    topology: Topology,
    options: NetworkOptions | None = None,
    *,
    yang_path: Sequence[Path] = (),
    ports: Mapping[str, Sequence[Mapping[str, str]]] = MappingProxyType({}),
) -> AsyncIterator[Provider]:
    """The network, started, and a controller that has read every router.

    `ports` says by router what the inventory tells of its access ports beside their names.
    """
    async with LabNetwork(topology, options) as lab:
        provider = Provider(lab, await open_daemon(load_settings(_write_settings(directory, lab, yang_path, ports))))
        try:
            controller = provider.controller
            await asyncio.gather(*(controller.sync_from(name, ACTOR) for name in controller.records()))
            yield provider
        finally:
            await provider.daemon.stop(10.0)


def _write_settings(
    directory: Path, lab: LabNetwork, yang_path: Sequence[Path], ports: Mapping[str, Sequence[Mapping[str, str]]]
) -> Path:
    files = write_files(
        directory,
        lab.running_routers(),
        username=lab.options.username,
        password=lab.password,
        authority_pem=lab.authority_pem,
    )
    inventory = yaml.safe_load(files["inventory"].read_text())
    for name, told in ports.items():
        inventory["hosts"][name]["data"]["access_ports"] = [dict(port) for port in told]
    files["inventory"].write_text(yaml.safe_dump(inventory))
    settings = {
        "state_dir": str(directory / "state"),
        "inventory": str(files["inventory"]),
        "credentials": str(files["credentials"]),
        "tokens": str(directory / "tokens.yaml"),
        "yang_path": [str(path) for path in yang_path],
    }
    file = directory / "accord.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def edge(name: str, city: str, country: str, pop: str, ports: int = 2) -> Node:
    """A provider edge with some access ports."""
    site = Site(city, country, 50.0, 5.0, pop)
    return Node(name, Role.PE, site, access_ports=tuple(f"ge{number}" for number in range(ports)))


def edges(*nodes: Node) -> Topology:
    """Provider edges without links: configuration needs none."""
    return Topology("edges", nodes, ())


def profiles(names: Mapping[str, str]) -> NetworkOptions:
    """Capability profiles by router."""
    return NetworkOptions(profiles=dict(names))
