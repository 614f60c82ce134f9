"""A lab as a service: the directory it lives in, the files it writes, and what can be asked of it while it runs.

Owns the operations behind the control socket: `status`, `fault`, `faults`, `clear`, `drift`, `link`, `reboot`, `down`,
and those of `lab.traffic.service`. It writes the inventory, credentials, known hosts and topology into the directory.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from inspect import isawaitable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lab.control_socket import ControlError, ControlServer
from lab.drift import DriftError, drift, interface_edit, parse_edit
from lab.faults import ANY, FaultRequest, FaultRule
from lab.home import TOPOLOGY
from lab.inventory import write_file, write_files
from lab.network import LabNetwork
from lab.router.router import Router
from lab.router.rpc_errors import RpcError
from lab.topology_file import topology_document
from lab.traffic.service import TrafficService


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Nothing(_Request):
    """An operation without members."""


class _ClearRequest(_Request):
    router: str | None = None


class _DriftRequest(_Request):
    router: str
    interface: str = ""
    description: str | None = None
    enabled: bool | None = None
    xml: str | None = None


class _LinkRequest(_Request):
    link: str
    state: Literal["up", "down"]
    silent: bool = False
    delay_milliseconds: Annotated[float, Field(ge=0, le=60_000)] | None = None
    loss_ratio: Annotated[float, Field(ge=0, le=1)] | None = None


class _RebootRequest(_Request):
    router: str
    down_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.0


class LabService:
    """A started network in a directory, until somebody asks it to go down."""

    def __init__(self, network: LabNetwork, directory: Path) -> None:
        self._network = network
        self._directory = directory
        self._down = asyncio.Event()
        self._server = ControlServer(directory, self.handle)
        self._reboots: set[asyncio.Task[None]] = set()
        self._traffic = TrafficService(network.topology, network.plane, network.forwarding)

    async def start(self) -> None:
        """Write the files, then listen: whoever can connect finds them."""
        write_files(
            self._directory,
            self._network.running_routers(),
            username=self._network.options.username,
            password=self._network.password,
            authority_pem=self._network.authority_pem,
        )
        write_file(self._directory / TOPOLOGY, json.dumps(topology_document(self._network.topology), indent=1) + "\n")
        await self._server.start()

    async def stop(self) -> None:
        """Stop listening; the other files are for who lives in the directory to remove (`lab.home`)."""
        await self._server.stop()

    def go_down(self) -> None:
        """End `wait_down`."""
        self._down.set()

    async def wait_down(self) -> None:
        """Return when the lab is to go down."""
        await self._down.wait()

    async def handle(self, operation: str, members: Mapping[str, Any]) -> Any:
        """Carry out a request of the control socket; raises `ControlError` to refuse it."""
        operations: dict[str, tuple[Callable[[Any], Any], type[BaseModel]]] = {
            "status": (self._status, _Nothing),
            "fault": (self._fault, FaultRequest),
            "faults": (self._faults, _Nothing),
            "clear": (self._clear, _ClearRequest),
            "drift": (self._drift, _DriftRequest),
            "link": (self._link, _LinkRequest),
            "reboot": (self._reboot, _RebootRequest),
            "down": (self._go_down, _Nothing),
            **self._traffic.operations(),
        }
        if operation not in operations:
            raise ControlError(f"the lab cannot {operation}: it can {', '.join(operations)}")
        carry_out, form = operations[operation]
        try:
            request = form.model_validate(dict(members))
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or operation}: {e['msg']}" for e in error.errors())
            raise ControlError(f"{operation}: {problems}") from error
        answer = carry_out(request)
        return await answer if isawaitable(answer) else answer

    def _status(self, _: _Nothing) -> dict[str, Any]:
        network = self._network
        return {
            "topology": network.topology.name,
            "plane": network.plane.name,
            "pid": os.getpid(),
            "directory": str(self._directory.resolve()),
            "links": {link.name: self._link_state(link.name) for link in network.topology.links},
            **self._optical_status(),
            "faults": len(network.faults.rules()),
            "routers": [self._router_status(router) for router in network],
        }

    def _link_state(self, link: str) -> str:
        return "down" if link in self._network.plane.cut_links() else "up"

    def _optical_status(self) -> dict[str, Any]:
        """The optical domain, in a network that has one."""
        optical = self._network.optical
        if optical is None:
            return {}
        tunnels = optical.state.tunnels
        return {
            "optical": {
                "name": optical.domain.name,
                "restconf_port": optical.router.restconf_port,
                "links": {link.name: "down" if link.name in tunnels.cut else "up" for link in optical.domain.links},
                "tunnels": {tunnel.wish.name: tunnel.status.value for tunnel in tunnels},
            }
        }

    def _router_status(self, router: Router) -> dict[str, Any]:
        node = self._network.topology.node(router.name)
        return {
            "name": router.name,
            "role": node.role.value,
            "city": node.site.city,
            "profile": router.profile.name,
            "address": router.host,
            "netconf_port": router.netconf_port,
            "restconf_port": router.restconf_port,
            "cli_port": router.cli_port,
            "sessions": sum(1 for _ in router.sessions),
            "etag": router.store.etag,
        }

    def _fault(self, request: FaultRequest) -> dict[str, Any]:
        if request.router != ANY:
            self._router(request.router)
        return _rule_document(request.script(self._network.faults))

    def _faults(self, _: _Nothing) -> list[dict[str, Any]]:
        return [_rule_document(rule) for rule in self._network.faults.rules()]

    def _clear(self, request: _ClearRequest) -> dict[str, Any]:
        return {"cleared": self._network.faults.clear(request.router)}

    def _drift(self, request: _DriftRequest) -> dict[str, Any]:
        router = self._router(request.router)
        try:
            edit = self._edit(router, request)
            drift(router, edit)
        except DriftError as error:
            raise ControlError(str(error)) from error
        except RpcError as error:
            raise ControlError(f"{router.name} refuses the change: {error}") from error
        return {"router": router.name, "etag": router.store.etag}

    def _edit(self, router: Router, request: _DriftRequest) -> Any:
        if request.xml is not None:
            return parse_edit(router, request.xml)
        return interface_edit(
            router, interface=request.interface, description=request.description, enabled=request.enabled
        )

    def _link(self, request: _LinkRequest) -> dict[str, Any]:
        try:
            self._network.set_link(request.link, up=request.state == "up", silent=request.silent)
            if request.delay_milliseconds is not None:
                self._network.slow_link(request.link, request.delay_milliseconds / 1000)
            if request.loss_ratio is not None:
                self._network.lose_on_link(request.link, request.loss_ratio)
        except (KeyError, ValueError) as error:
            raise ControlError(str(error.args[0])) from error
        return {"link": request.link, "state": request.state}

    def _reboot(self, request: _RebootRequest) -> dict[str, Any]:
        router = self._router(request.router)
        task = asyncio.get_running_loop().create_task(router.reboot(down_seconds=request.down_seconds))
        self._reboots.add(task)
        task.add_done_callback(self._reboots.discard)
        return {"router": router.name, "down_seconds": request.down_seconds}

    def _go_down(self, _: _Nothing) -> dict[str, Any]:
        asyncio.get_running_loop().call_soon(self.go_down)
        return {"pid": os.getpid()}

    def _router(self, name: str) -> Router:
        try:
            return self._network[name]
        except KeyError as error:
            raise ControlError(f"{error.args[0]}: `accord lab status` lists them") from error


def _rule_document(rule: FaultRule) -> dict[str, Any]:
    return {
        "number": rule.number,
        "router": rule.router,
        "rpc": rule.rpc,
        "action": rule.action.fault.value,
        "phase": rule.phase,
        "nth": rule.nth,
        "count": rule.count,
        "seen": rule.seen,
        "fired": rule.fired,
    }
