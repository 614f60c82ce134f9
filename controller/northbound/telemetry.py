"""Owns the API of telemetry under `/api/v1/telemetry`.

| method and path | does |
|---|---|
| GET /telemetry/series {device?, kind?, object?} | what is measured: value, time, where from, how far it is trusted |
| GET /telemetry/quality {device?, kind?, object?} | how far each series can be trusted, and why not; worst first |
| GET /telemetry/sessions {service?} | the STAMP sessions of services, and what they tell |
| GET /telemetry/collection | how often each router is read, and how that goes |
| POST /telemetry/enhance {devices, seconds?, interval?} | read an area more often, probe its links; ends by itself |
| GET, POST /telemetry/campaigns {from, to, above, ...} | measurement campaigns; ask a question about a path |
| POST /telemetry/questions {text} | the same in plain words; answers the campaign and what was assumed |
| GET /telemetry/campaigns/ID; POST /telemetry/campaigns/ID/stop | where one stands; stop it |

What is asked of a campaign: from, to (router or city), above ("15 ms"), until (RFC 3339, or a span such as "2 h"),
confidence, ratio (of the time that may be above), metric (one-way, round-trip), rate (test packets a second).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from controller.mapping.measurement import Measurement
from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName, ServiceId
from controller.model.units import Duration
from controller.northbound.auth import Action
from controller.northbound.door import Call, Door, json_response
from controller.runtime.collection_campaigns import CampaignWish
from controller.runtime.collection_series import value_of
from controller.runtime.controller import Controller
from controller.runtime.service_probes import series_of
from controller.telemetry.campaign import Question
from controller.telemetry.question import USUAL_SECONDS, read_question
from controller.telemetry.sample import SeriesKey

_MINUTES = re.compile(r"^([0-9.]+)\s*m$")
_ASKED = ("from", "to", "above", "until", "confidence", "ratio", "metric", "rate", "sample_seconds")
_ENHANCED_SECONDS = 300.0
_ENHANCED_INTERVAL_SECONDS = 1.0
_LONGEST_SECONDS = 86_400.0
Json = Any


@dataclass(frozen=True, slots=True)
class TelemetryDoor:
    """The handlers."""

    controller: Controller

    def routes(self, door: Door) -> list[Route]:
        """Every route."""
        read, change = Action.READ, Action.CHANGE
        table = {
            "/series": {"GET": (read, self.series)},
            "/quality": {"GET": (read, self.quality)},
            "/sessions": {"GET": (read, self.sessions)},
            "/collection": {"GET": (read, self.collection)},
            "/enhance": {"POST": (change, self.enhance)},
            "/campaigns": {"GET": (read, self.campaigns), "POST": (change, self.begin)},
            "/questions": {"POST": (change, self.ask)},
            "/campaigns/{id}": {"GET": (read, self.campaign)},
            "/campaigns/{id}/stop": {"POST": (change, self.stop)},
        }
        return [door.route(f"/api/v1/telemetry{path}", handlers) for path, handlers in table.items()]

    # -- series ------------------------------------------------------------------------------------------------

    async def series(self, call: Call) -> Response:
        """GET /telemetry/series."""
        call.require(Action.READ, "telemetry")
        return json_response([self._series_view(key) for key in self._asked_for(call)])

    async def quality(self, call: Call) -> Response:
        """GET /telemetry/quality."""
        call.require(Action.READ, "telemetry")
        now = self.controller.clock.now()
        scores = [self.controller.collection.series.score(key, now) for key in self._asked_for(call)]
        return json_response(
            [
                {"series": str(score.key), "quality": round(score.value, 3), "problems": list(score.problems)}
                for score in sorted(scores, key=lambda score: (score.value, score.key))
            ]
        )

    def _asked_for(self, call: Call) -> list[SeriesKey]:
        device = call.query("device")
        if device and device not in self.controller.records():
            raise NotFoundError(
                f"no device '{device}' in the inventory", remedy="list them: accord device list", path=device
            )
        return self.controller.collection.series.keys(device, call.query("kind"), call.query("object"))

    def _series_view(self, key: SeriesKey) -> Json:
        book = self.controller.collection.series
        sample = book.latest[key]
        return {
            "series": str(key),
            "device": key.device,
            "object": key.object,
            "kind": key.kind,
            "value": value_of(sample),
            "time": sample.source_time,
            "provenance": sample.provenance.value,
            "quality": round(book.score(key, self.controller.clock.now()).value, 3),
        }

    async def sessions(self, call: Call) -> Response:
        """GET /telemetry/sessions, of one service or all."""
        call.require(Action.READ, "telemetry")
        probes, wanted = self.controller.service_probes, call.query("service")
        services = [name for name in probes.services() if wanted in {"", name, name.partition(":")[2]}]
        if wanted and not services and wanted.rpartition(":")[2] not in self.controller.world.services.services:
            raise NotFoundError(f"there is no VPN '{wanted}'", remedy="list them: accord service list", path=wanted)
        return json_response(
            [self._session_row(service, one) for service in sorted(services) for one in probes.measurements_of(service)]
        )

    def _session_row(self, service: ServiceId, session: Measurement) -> Json:
        latest = self.controller.collection.series.latest
        told = {key.kind: latest[key] for key in series_of(session) if key in latest}
        delay, lost = told.get("forward-delay"), told.get("lost-packets")
        return {
            "service": service,
            "session": session.number,
            "source": session.device,
            "target": session.target,
            "through": session.instance or ("tunnel" if session.segments else "core"),
            "interval_seconds": session.interval_milliseconds / 1000,
            "delay_seconds": value_of(delay) if delay else None,
            "lost_packets_per_second": value_of(lost) if lost else None,
        }

    # -- collection --------------------------------------------------------------------------------------------

    async def collection(self, call: Call) -> Response:
        """GET /telemetry/collection."""
        call.require(Action.READ, "telemetry")
        return json_response(self._collection_view())

    async def enhance(self, call: Call) -> Response:
        """POST /telemetry/enhance."""
        call.require(Action.CHANGE, "telemetry")
        body = call.json(("devices", "seconds", "interval"))
        devices = body.get("devices")
        if not isinstance(devices, list) or not devices or not all(isinstance(name, str) for name in devices):
            raise InvalidInputError("'devices' lists the routers of the area", path="devices")
        seconds = _number(body, "seconds", _ENHANCED_SECONDS, most=_LONGEST_SECONDS)
        interval = _number(body, "interval", _ENHANCED_INTERVAL_SECONDS, most=_LONGEST_SECONDS)
        read = self.controller.collection.schedule.devices
        missing = [name for name in devices if name not in read]
        if missing:
            raise InvalidInputError(
                f"not read for telemetry: {', '.join(missing)}",
                remedy="see: accord telemetry collection",
                path=missing[0],
            )
        found = await self.controller.enhanced.begin(map(DeviceName, devices), interval, seconds, call.actor)
        return json_response(
            {
                "devices": list(found.devices),
                "interval_seconds": interval,
                "seconds": seconds,
                "probes": found.probes,
                "reason": found.reason,
            }
        )

    def _collection_view(self) -> Json:
        collection = self.controller.collection
        hastened = collection.schedule.hastened(self.controller.clock.monotonic())
        budget = self.controller.campaigns.budget
        return {
            "devices": [
                {
                    "device": name,
                    "interval_seconds": collection.schedule.interval_seconds(name),
                    "is_hastened": name in hastened,
                    "pushes": name in collection.pushing,
                    "error": collection.unread.get(name, ""),
                }
                for name in sorted(collection.schedule.devices)
            ],
            "polls": dict(collection.polls),
            "missed_cycles": collection.schedule.missed,
            "probe_packets_per_second": budget.packets_per_second,
            "probe_grants": dict(budget.granted),
            "services_unmeasured": dict(self.controller.service_probes.unmeasured),
        }

    # -- campaigns ---------------------------------------------------------------------------------------------

    async def campaigns(self, call: Call) -> Response:
        """GET /telemetry/campaigns, newest first."""
        call.require(Action.READ, "telemetry")
        return json_response([campaign.to_json() for campaign in reversed(list(self.controller.campaigns))])

    async def begin(self, call: Call) -> Response:
        """POST /telemetry/campaigns."""
        call.require(Action.CHANGE, "telemetry")
        wish = _wish(call.json(_ASKED), self.controller.clock.now())
        campaign = await self.controller.campaigns.begin(wish, call.actor)
        return json_response(campaign.to_json(), 202)

    async def ask(self, call: Call) -> Response:
        """POST /telemetry/questions: one sentence, of which every word counts."""
        call.require(Action.CHANGE, "telemetry")
        asked = read_question(_text(call.json(("text",)), "text"), self.controller.clock.now())
        usual = Question(asked.above_seconds)
        question = usual if asked.confidence is None else Question(asked.above_seconds, asked.confidence)
        wish = CampaignWish(asked.source, asked.target, question, asked.until, asked.metric)
        campaign = await self.controller.campaigns.begin(wish, call.actor)
        return json_response(campaign.to_json() | {"assumed": list(asked.assumed)}, 202)

    async def campaign(self, call: Call) -> Response:
        """GET /telemetry/campaigns/ID."""
        call.require(Action.READ, "telemetry")
        return json_response(self.controller.campaigns.get(call.path("id")).to_json())

    async def stop(self, call: Call) -> Response:
        """POST /telemetry/campaigns/ID/stop."""
        call.require(Action.CHANGE, "telemetry")
        return json_response((await self.controller.campaigns.end(call.path("id"))).to_json(), 202)


def _wish(body: Mapping[str, Json], now: float) -> CampaignWish:
    question = Question(
        Duration.parse(_text(body, "above")).seconds,
        _number(body, "confidence", 0.95, most=1.0),
        _number(body, "ratio", 0.01, most=1.0),
    )
    return CampaignWish(
        _text(body, "from"),
        _text(body, "to"),
        question,
        _until(body.get("until"), now),
        str(body.get("metric") or "one-way"),
        _number(body, "rate", 10.0, most=100.0),
        _number(body, "sample_seconds", 1.0, most=_LONGEST_SECONDS),
    )


def _until(said: Json, now: float) -> float:
    """A time, or a span from now on."""
    if said in {None, ""}:
        return now + USUAL_SECONDS
    if isinstance(said, str):
        try:
            time = datetime.fromisoformat(said)
        except ValueError:
            pass
        else:
            if time.tzinfo is None:
                raise InvalidInputError(f"'{said}' has no time zone", remedy=f"say {said}Z for UTC", path="until")
            return time.timestamp()
        try:
            return now + Duration.parse(_MINUTES.sub(r"\1 min", said)).seconds
        except AccordError:
            pass
    raise InvalidInputError(
        f"until '{said}' is neither a time nor a span from now",
        remedy="say 2026-11-22T23:00:00Z, or a span: 10 min (or 10m), 2 h, 1 d",
        path="until",
    )


def _text(body: Mapping[str, Json], member: str) -> str:
    value = body.get(member)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"'{member}' is a text and has to be there", path=member)
    return value


def _number(body: Mapping[str, Json], member: str, usual: float, *, most: float) -> float:
    value = body.get(member)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise InvalidInputError(f"'{member}' is a number above 0 and up to {most:g}", path=member)
    return float(value)
