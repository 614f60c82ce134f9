"""Owns the pages that Prometheus reads: `/metrics` (the daemon), `/probe?target=` (one device), `/sd` (all devices)."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.northbound.problem import problem_response

_PROBE_SECONDS = 10.0
_MARGIN_SECONDS = 0.5
_Page = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class MetricsPages:
    """The pages. `probe` tells within a deadline why a device does not answer, or an empty string."""

    registry: CollectorRegistry
    records: Callable[[], Mapping[DeviceName, DeviceRecord]]
    probe: Callable[[DeviceName, float], Awaitable[str]]
    requires_token: bool

    def routes(self, door: Door) -> list[BaseRoute]:
        """Reading only. Behind the door when a token is asked for, else open as Prometheus expects."""
        pages: Mapping[str, _Page] = {"/metrics": self.metrics, "/probe": self.probe_device, "/sd": self.discover}
        if self.requires_token:
            return [door.route(path, {"GET": (Action.READ, _behind_door(page))}) for path, page in pages.items()]
        return [Route(path, _with_problems(page), methods=["GET"]) for path, page in pages.items()]

    async def metrics(self, request: Request) -> Response:
        """Everything the daemon exposes about itself, in the format that is asked for."""
        return _exposition(self.registry, request)

    async def probe_device(self, request: Request) -> Response:
        """Whether one device answers now; a dead one is an answer too (`probe_success 0`)."""
        name = DeviceName(request.query_params.get("target", ""))
        if not name:
            raise InvalidInputError("which device?", remedy="/probe?target=DEVICE", path="target")
        if name not in self.records():
            raise NotFoundError(f"no device '{name}' in the inventory", path=name)
        started = time.perf_counter()
        failure = await self.probe(name, _deadline(request))
        registry = CollectorRegistry()
        Gauge("probe_success", "1 if the device answered in time.", registry=registry).set(float(not failure))
        duration = Gauge("probe_duration_seconds", "How long that took.", registry=registry)
        duration.set(time.perf_counter() - started)
        return _exposition(registry, request)

    async def discover(self, _request: Request) -> Response:
        """The devices for `http_sd_configs`."""
        return json_response([{"targets": [name], "labels": _labels(r)} for name, r in self.records().items()])


def _labels(record: DeviceRecord) -> dict[str, Any]:
    labels = {
        "role": record.role,
        "profile": record.profile,
        "city": record.place.city,
        "country": record.place.country,
    }
    return {f"__meta_accord_{name}": str(value) for name, value in labels.items() if value}


def _deadline(request: Request) -> float:
    """A little less than Prometheus waits, as it says in the header."""
    try:
        allowed = float(request.headers.get("x-prometheus-scrape-timeout-seconds", _PROBE_SECONDS))
    except ValueError:
        allowed = _PROBE_SECONDS
    return min(max(allowed - _MARGIN_SECONDS, _MARGIN_SECONDS), 60.0)


def _exposition(registry: CollectorRegistry, request: Request) -> Response:
    encode, media = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"content-type": media})


def _behind_door(page: _Page) -> Callable[[Call], Awaitable[Response]]:
    async def handler(call: Call) -> Response:
        return await page(call.request)

    return handler


def _with_problems(page: _Page) -> _Page:
    async def handler(request: Request) -> Response:
        try:
            return await page(request)
        except AccordError as error:
            return problem_response(error)

    return handler
