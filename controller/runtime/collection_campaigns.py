"""Owns measurement campaigns: a question about a path becomes probes, faster reading and a test that stops by itself.

What a campaign takes - test packets of the probe budget, a STAMP session, readings - it gives back when its answer is
known, its time is over or somebody stops it. A restarted daemon goes on with it: what was seen is told now and then,
and its test packets have gone on meanwhile. What is concluded before the time is over holds for as long as the path
goes on as it did: the answer says how much of the time was seen.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import structlog

from controller.events import types
from controller.mapping.measurement import Measurement, measurements_of
from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.ports import Clock, Event, EventLog, NewEvent
from controller.runtime.collection import Collection
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.telemetry.budget import ProbeBudget
from controller.telemetry.campaign import Answer, Question, SequentialTest, samples_needed
from controller.telemetry.sample import Sample

_log = structlog.get_logger(__name__)
STREAM = "campaigns"
METRICS = {"one-way": "last-forward-delay", "round-trip": "last-round-trip-delay"}
_RENEW_SECONDS = 5.0
_TELL_SECONDS = 30.0
"""What a crash forgets of a campaign at most."""
_MOST_KEPT = 100
_RETRY_SECONDS = (1.0, 5.0, 15.0, 60.0)
_LONGEST_SECONDS = 30 * 86_400.0
Json = Any
CommitMeasurements = Callable[[Iterable[Measurement], Iterable[Measurement], str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class CampaignWish:
    """Whether the delay from here to there is above a bound more than now and then, until a time (seconds UTC)."""

    source: str
    target: str
    question: Question
    until: float
    metric: str = "one-way"
    packets_per_second: float = 10.0
    sample_seconds: float = 1.0


@dataclass(slots=True)
class Campaign:
    """A campaign as it stands. Times are seconds UTC; `source` and `target` are routers."""

    id: str
    wish: CampaignWish
    source: DeviceName
    target: DeviceName
    actor: str
    started: float
    test: SequentialTest
    state: str = "starting"
    """`starting`, `measuring`, `answered`, `undecided`, `stopped` or `failed`."""
    reason: str = ""
    ended: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether everything has been given back, or is about to be."""
        return self.state not in {"starting", "measuring"}

    def to_json(self) -> Json:
        """As shown and recorded."""
        question, test = self.wish.question, self.test
        low, high = test.interval()
        return {
            "id": self.id,
            "state": self.state,
            "answer": test.answer.value,
            "reason": self.reason,
            "source": self.source,
            "target": self.target,
            "metric": self.wish.metric,
            "above_seconds": question.bound,
            "confidence": question.confidence,
            "tolerated_ratio": question.tolerated_ratio,
            "until": self.wish.until,
            "started": self.started,
            "ended": self.ended,
            "actor": self.actor,
            "packets_per_second": self.wish.packets_per_second,
            "sample_seconds": self.wish.sample_seconds,
            "samples": test.taken,
            "samples_needed_if_quiet": samples_needed(question),
            "samples_above": test.above,
            "samples_lost": test.lost,
            "alike": test.alike,
            "effective_samples": round(test.taken * test.effective_share, 1),
            "highest_seconds": test.highest,
            "share_above": {"low": low, "high": high},
        }


@dataclass(slots=True)
class Campaigns:
    """Every campaign of this daemon. `commit` makes measurements run and others end."""

    world: World
    log: EventLog
    clock: Clock
    collection: Collection
    topology: TopologyView
    commit: CommitMeasurements
    budget: ProbeBudget = field(default_factory=lambda: ProbeBudget(200.0))
    account: Callable[[], None] = lambda: None
    """Counts what else is measured against the budget; asked before anything is taken of it."""
    _campaigns: dict[str, Campaign] = field(default_factory=dict)
    _running: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _stopping: dict[str, asyncio.Event] = field(default_factory=dict)
    _last_number: int = 0

    def __iter__(self) -> Iterator[Campaign]:
        return iter(tuple(self._campaigns.values()))

    def get(self, id_: str) -> Campaign:
        """One campaign; `NotFoundError`."""
        try:
            return self._campaigns[id_]
        except KeyError:
            raise NotFoundError(
                f"there is no campaign '{id_}'", remedy="list them: accord telemetry campaign list", path=id_
            ) from None

    async def begin(self, wish: CampaignWish, actor: str) -> Campaign:
        """Take what is needed and set off; `BusyError` when the probe budget does not have it."""
        self._check(wish)
        source, target = self._router(wish.source), self._router(wish.target)
        if source == target:
            raise InvalidInputError(f"'{wish.source}' and '{wish.target}' are the same router, '{source}'", path="to")
        self._address(target)
        self._last_number += 1
        id_ = f"campaign-{self._last_number}"
        self.account()
        self.budget.take(id_, wish.packets_per_second)
        campaign = Campaign(id_, wish, source, target, actor, self.clock.now(), SequentialTest(wish.question))
        try:
            await self._record(types.CAMPAIGN_BEGUN, campaign, actor)
        except AccordError:
            self.budget.give_back(id_)
            raise
        self._keep(campaign)
        self._stopping[id_] = asyncio.Event()
        self._running[id_] = asyncio.get_running_loop().create_task(self._run(campaign), name=id_)
        return campaign

    async def finish(self, id_: str) -> Campaign:
        """Wait until a campaign is over and has given everything back."""
        campaign = self.get(id_)
        task = self._running.get(id_)
        if task is not None:
            await asyncio.shield(task)
        return campaign

    async def end(self, id_: str) -> Campaign:
        """Stop a campaign before it knows."""
        campaign = self.get(id_)
        if id_ in self._stopping:
            self._stopping[id_].set()
        return campaign

    async def stop(self) -> None:
        """The daemon ends: campaigns go on when it is started again, from what is told of them now."""
        tasks, self._running = list(self._running.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for campaign in self:
            if campaign.state == "measuring":
                await self._tell(campaign)

    def resume(self) -> None:
        """After a restart: campaigns that were under way go on, those that are over are known."""
        for campaign in _told(self.log.read(stream=STREAM)):
            self._last_number = max(self._last_number, int(campaign.id.rpartition("-")[2]))
            self._keep(campaign)
            if not campaign.is_over:
                self._go_on(campaign)

    def _go_on(self, campaign: Campaign) -> None:
        """Its time may be over meanwhile, and the budget another one: then it ends, and gives back what it has."""
        self._stopping[campaign.id] = asyncio.Event()
        try:
            self.budget.take(campaign.id, campaign.wish.packets_per_second)
        except AccordError as error:
            campaign.state, campaign.reason = "stopped", f"the daemon was started anew, and {error}"
        work = self._give_back(campaign) if campaign.is_over else self._run(campaign)
        self._running[campaign.id] = asyncio.get_running_loop().create_task(work, name=campaign.id)

    # -- what it is about --------------------------------------------------------------------------------------

    def _check(self, wish: CampaignWish) -> None:
        if wish.metric not in METRICS:
            raise InvalidInputError(
                f"'{wish.metric}' cannot be measured", remedy=f"known are: {', '.join(METRICS)}", path="metric"
            )
        left = wish.until - self.clock.now()
        if left <= 0:
            raise InvalidInputError("the end of the campaign is past", remedy="say a later time", path="until")
        if left > _LONGEST_SECONDS:
            raise InvalidInputError(
                "the campaign would go on for more than 30 days", remedy="say an earlier end", path="until"
            )
        if not 1 <= wish.packets_per_second <= 100:
            raise InvalidInputError("a session sends 1 to 100 test packets a second", path="rate")

    def _router(self, said: str) -> DeviceName:
        """A router by its name, or by the city of the only provider edge there."""
        records = self.collection.records()
        if said in records:
            return DeviceName(said)
        found = sorted(name for name, record in records.items() if _is_edge_in(record, said))
        if len(found) == 1:
            return found[0]
        listed = f": {', '.join(found)}" if found else ""
        raise InvalidInputError(
            f"'{said}' names {len(found) or 'no'} provider edges{listed}", remedy="name a router", path=said
        )

    def _address(self, target: DeviceName) -> str:
        node = self.topology.network.nodes.get(target)
        if node is None or not node.endpoint:
            raise InvalidInputError(
                f"'{target}' has no IPv6 loopback that test packets could go to",
                remedy="give it one, then: accord topology refresh",
                path=target,
            )
        return node.endpoint

    # -- running -----------------------------------------------------------------------------------------------

    async def _run(self, campaign: Campaign) -> None:
        try:
            measurement = await self._set_up(campaign)
            campaign.state = "measuring"
            await self._measure(campaign, measurement)
        except AccordError as error:
            campaign.state, campaign.reason = "failed", str(error)
        campaign.ended = self.clock.now()
        await self._give_back(campaign)

    async def _set_up(self, campaign: Campaign) -> Measurement:
        milliseconds = round(1000 / campaign.wish.packets_per_second)
        wanted = Measurement(
            campaign.id, campaign.source, campaign.target, self._address(campaign.target), milliseconds
        )
        if not self._held(campaign):
            await self.commit([wanted], [], f"measure for {campaign.id}", campaign.actor)
        return next(iter(self._held(campaign)))

    def _held(self, campaign: Campaign) -> list[Measurement]:
        known = self.world.network
        if campaign.source not in known:
            return []
        found = measurements_of(campaign.source, known.device(campaign.source).contributions)
        return [measurement for measurement in found if measurement.holder == campaign.id]

    async def _measure(self, campaign: Campaign, measurement: Measurement) -> None:
        observations = _Observations(campaign, str(measurement.number))
        leave = self.collection.series.subscribe(observations.hear)
        told_at = self.clock.now()
        try:
            while not observations.known.is_set() and not self._stopping[campaign.id].is_set():
                left = campaign.wish.until - self.clock.now()
                if left <= 0:
                    break
                self.collection.hasten([campaign.source], campaign.wish.sample_seconds, 2 * _RENEW_SECONDS)
                await self._wait(observations, self._stopping[campaign.id], min(left, _RENEW_SECONDS))
                if self.clock.now() - told_at >= _TELL_SECONDS:
                    told_at = self.clock.now()
                    await self._tell(campaign)
        finally:
            leave()
        _conclude(campaign, self.clock.now(), was_stopped=self._stopping[campaign.id].is_set())

    async def _wait(self, observations: "_Observations", stopping: asyncio.Event, seconds: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (observations.known, stopping)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _give_back(self, campaign: Campaign) -> None:
        """Everything it has taken; a device that cannot be told now is told later."""
        for attempt in range(1_000_000):
            try:
                held = self._held(campaign)
                await self.commit([], held, f"{campaign.id} is over", campaign.actor)
                break
            except AccordError as error:
                _log.warning("campaign_not_given_back", campaign=campaign.id, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
        numbers = {str(measurement.number) for measurement in held}
        gone = self.collection.series.keys(device=campaign.source)
        self.collection.series.retire(key for key in gone if key.object in numbers)
        self.budget.give_back(campaign.id)
        campaign.ended = campaign.ended or self.clock.now()
        try:
            await self._record(types.CAMPAIGN_ENDED, campaign, "accord")
        except AccordError as error:
            _log.warning("campaign_end_not_recorded", campaign=campaign.id, error=str(error))
        self._running.pop(campaign.id, None)
        self._stopping.pop(campaign.id, None)

    async def _tell(self, campaign: Campaign) -> None:
        try:
            await self._record(types.CAMPAIGN_MEASURED, campaign, "accord")
        except AccordError as error:
            _log.warning("campaign_not_recorded", campaign=campaign.id, error=str(error))

    async def _record(self, type_: str, campaign: Campaign, actor: str) -> None:
        await self.log.append([NewEvent(STREAM, type_, campaign.to_json())], actor=actor, cause=campaign.id)

    def _keep(self, campaign: Campaign) -> None:
        self._campaigns[campaign.id] = campaign
        over = [id_ for id_, known in self._campaigns.items() if known.is_over]
        for id_ in over[: max(0, len(self._campaigns) - _MOST_KEPT)]:
            del self._campaigns[id_]


@dataclass(slots=True)
class _Observations:
    """Picks a session's measurements out of what comes in: one for each reading that brought new test packets."""

    campaign: Campaign
    number: str
    known: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, samples: Sequence[Sample]) -> None:
        """A batch of samples."""
        device, number = self.campaign.source, self.number
        told = {one.key.kind: one for one in samples if one.key.device == device and one.key.object == number}
        sent, lost = (_rate(told.get(kind)) for kind in ("sent-packets", "lost-packets"))
        if sent <= 0:
            return
        delay = told.get(METRICS[self.campaign.wish.metric])
        if lost < sent and delay is not None and delay.is_usable:
            value = delay.value
        elif lost >= sent:
            value = inf
        else:
            return
        if self.campaign.test.take(value) is not Answer.UNKNOWN:
            self.known.set()


def _rate(sample: Sample | None) -> float:
    return sample.value if sample is not None and isfinite(sample.value) else 0.0


def _is_edge_in(record: DeviceRecord, city: str) -> bool:
    return bool(record.access_ports) and record.place.city.casefold() == city.casefold()


def _conclude(campaign: Campaign, now: float, *, was_stopped: bool) -> None:
    test, question = campaign.test, campaign.wish.question
    low, high = test.interval()
    seen = min(1.0, (now - campaign.started) / max(campaign.wish.until - campaign.started, 1e-9))
    share = f"between {low:.1%} and {high:.1%} of {test.taken} measurements were above {question.bound * 1000:g} ms"
    if test.answer is Answer.UNKNOWN:
        campaign.state = "stopped" if was_stopped else "undecided"
        campaign.reason = f"{'stopped' if was_stopped else 'its time is over'}: {share}"
        return
    campaign.state = "answered"
    what = "exceeds" if test.answer is Answer.EXCEEDS else "stays below"
    campaign.reason = (
        f"it {what} {question.bound * 1000:g} ms with {question.confidence:.0%} confidence: {share}; "
        f"{seen:.0%} of the time was seen"
    )


def _told(events: Iterable[Event]) -> Iterator[Campaign]:
    """Every campaign as the log has it last, in the order of their beginnings."""
    found: dict[str, Campaign] = {}
    for event in events:
        data: Json = event.data
        if event.type == types.CAMPAIGN_BEGUN:
            found[data["id"]] = _from_event(event)
        elif (campaign := found.get(data["id"])) is not None:
            test, highest = campaign.test, data["highest_seconds"]
            test.go_on(data["samples"], data["samples_above"], data["samples_lost"], highest, data.get("alike", 0.0))
            if event.type == types.CAMPAIGN_ENDED:
                test.answer = Answer(data["answer"])
                campaign.state, campaign.reason, campaign.ended = data["state"], data["reason"], data["ended"]
    yield from found.values()


def _from_event(event: Event) -> Campaign:
    data: Json = event.data
    question = Question(data["above_seconds"], data["confidence"], data["tolerated_ratio"])
    wish = CampaignWish(
        data["source"],
        data["target"],
        question,
        data["until"],
        data["metric"],
        data["packets_per_second"],
        data.get("sample_seconds", 1.0),
    )
    return Campaign(
        data["id"],
        wish,
        DeviceName(data["source"]),
        DeviceName(data["target"]),
        event.actor,
        data["started"],
        SequentialTest(question),
    )
