"""Owns what the daemon counts and times (base units, bounded labels; listed in `config/prometheus/METRICS.md`).

Flows are counted as they happen: from the event log, from acts on devices, from requests. No series here carries a
device or an id, so none outlives what it is about; what is about devices is rendered from state (`metrics_state`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.registry import Collector

from controller.events import types
from controller.model.identifiers import TransactionId
from controller.ports import Clock, Event
from controller.runtime.tunnel_repair import OUTCOMES as REPAIR_OUTCOMES
from controller.transaction.messages import PHASE_RECORDS
from controller.transaction.states import FINAL, Act, Phase

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types there
_CHANGE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_QUICK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REPAIR_SECONDS = (0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PHASES = {f"{types.TRANSACTION_PREFIX}{record}": phase for phase, record in PHASE_RECORDS.items()}
_TRACE_CHARACTERS = 80
"""An exemplar has 128 characters in all (OpenMetrics 1.0, Exemplars)."""
_OUTCOMES = tuple(sorted(phase.value for phase in FINAL))


@dataclass(slots=True)
class _Running:
    """A transaction as timed so far; seconds since the epoch."""

    started: float
    phase: str
    since: float


@dataclass(slots=True)
class Flows:
    """Counters and histograms. Feed it: the log's listener, the observers of transactions, planner and door."""

    clock: Clock
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))
    _running: dict[TransactionId, _Running] = field(default_factory=dict)
    _metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make every family; those with a fixed set of label values start at zero."""
        ProcessCollector(registry=self.registry)
        self._count("accord_transactions_total", "Transactions that reached their verdict.", ["outcome"])
        self._time("accord_transaction_duration_seconds", "From plan to verdict.", ["outcome"], _CHANGE_SECONDS)
        self._time("accord_transaction_phase_duration_seconds", "Time in a phase.", ["phase"], _CHANGE_SECONDS)
        self._count("accord_rpcs_total", "Acts on devices, each one or a few calls.", ["act", "outcome"])
        self._time("accord_rpc_duration_seconds", "Duration of acts on devices.", ["act"], _CHANGE_SECONDS)
        self._time("accord_plan_duration_seconds", "Validating, mapping and diffing an edit.", [], _QUICK_SECONDS)
        self._time("accord_render_duration_seconds", "Rendering the touched fragments.", [], _QUICK_SECONDS)
        self._time("accord_prove_duration_seconds", "Proving a plan in the digital twin.", [], _QUICK_SECONDS)
        self._time("accord_event_log_append_duration_seconds", "From append to durable and folded.", [], _QUICK_SECONDS)
        self._count("accord_http_requests_total", "Requests answered.", ["route", "method", "code"])
        self._time("accord_http_request_duration_seconds", "Until the answer began.", ["route"], _QUICK_SECONDS)
        self._count("accord_repairs_total", "Repairs of tunnels after links failed.", ["outcome"])
        self._time("accord_repair_seconds", "From the first event to the new path on the device.", [], _REPAIR_SECONDS)
        self._count("accord_assurance_happenings_total", "What happened to agreements.", ["event"])
        self._count("accord_assurance_decisions_total", "Decisions before a breach, by whether to act.", ["acts"])
        self._time("accord_assurance_tick_duration_seconds", "Looking at every service.", [], _QUICK_SECONDS)
        for acts in ("false", "true"):
            self._metrics["accord_assurance_decisions_total"].labels(acts)
        for outcome in REPAIR_OUTCOMES:
            self._metrics["accord_repairs_total"].labels(outcome)
        for outcome in _OUTCOMES:
            self._metrics["accord_transactions_total"].labels(outcome)
            self._metrics["accord_transaction_duration_seconds"].labels(outcome)
        for act in Act:
            self._metrics["accord_rpc_duration_seconds"].labels(act.value)

    def add(self, collector: Collector) -> None:
        """Expose what another collector renders as well."""
        self.registry.register(collector)

    # -- observers ---------------------------------------------------------------------------------------------

    def note_events(self, events: Sequence[Event]) -> None:
        """Listen to the log: how long appending took, and where transactions stand."""
        now = self.clock.now()
        append = self._metrics["accord_event_log_append_duration_seconds"]
        for event in events:
            append.observe(max(0.0, now - event.time))
            if event.type.startswith(types.TRANSACTION_PREFIX):
                self._note_transaction(event)
            elif event.type == types.ASSURANCE_HAPPENING:
                happened = self._metrics["accord_assurance_happenings_total"].labels(str(event.data["event"]))
                happened.inc(exemplar=_exemplar(event))
            elif event.type == types.ASSURANCE_DECISION:
                decided = self._metrics["accord_assurance_decisions_total"].labels(str(event.data["acts"]).lower())
                decided.inc(exemplar=_exemplar(event))

    def observe_act(self, act: Act, seconds: float, outcome: str) -> None:
        """An act on a device has ended."""
        self._metrics["accord_rpcs_total"].labels(act.value, str(outcome)).inc()
        self._metrics["accord_rpc_duration_seconds"].labels(act.value).observe(seconds)

    def observe_planning(self, what: str, seconds: float) -> None:
        """`plan` or `render` has ended."""
        self._metrics[f"accord_{what}_duration_seconds"].observe(seconds)

    def observe_repair(self, outcome: str, seconds: float) -> None:
        """Tunnels were repaired, or could not be; the time counts where they carry again."""
        self._metrics["accord_repairs_total"].labels(outcome).inc()
        if outcome == "repaired":
            self._metrics["accord_repair_seconds"].observe(seconds)

    def observe_assurance(self, seconds: float) -> None:
        """Every service was looked at."""
        self._metrics["accord_assurance_tick_duration_seconds"].observe(seconds)

    def observe_request(self, route: str, method: str, code: int, seconds: float) -> None:
        """A request was answered; `route` is the template, not what was asked for."""
        self._metrics["accord_http_requests_total"].labels(route, method, str(code)).inc()
        self._metrics["accord_http_request_duration_seconds"].labels(route).observe(seconds)

    def _note_transaction(self, event: Event) -> None:
        id_ = TransactionId(event.stream.partition("/")[2])
        if event.type == types.TRANSACTION_PLANNED:
            self._running[id_] = _Running(event.time, Phase.PREPARING.value, event.time)
            return
        phase, running = _PHASES.get(event.type), self._running.get(id_)
        if phase is None:
            return
        if running is not None:
            phases = self._metrics["accord_transaction_phase_duration_seconds"]
            phases.labels(running.phase).observe(max(0.0, event.time - running.since))
            running.phase, running.since = phase.value, event.time
        if phase in FINAL:
            self._ended(self._running.pop(id_, None), phase, event)

    def _ended(self, running: _Running | None, phase: Phase, event: Event) -> None:
        """A transaction taken up after a restart is counted, but its duration says nothing about the network."""
        self._metrics["accord_transactions_total"].labels(phase.value).inc(exemplar=_exemplar(event))
        if running is not None:
            durations = self._metrics["accord_transaction_duration_seconds"]
            seconds = max(0.0, event.time - running.started)
            durations.labels(phase.value).observe(seconds, exemplar=_exemplar(event))

    def _count(self, name: str, help_: str, labels: Sequence[str]) -> None:
        self._metrics[name] = Counter(name, help_, labels, registry=self.registry)

    def _time(self, name: str, help_: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._metrics[name] = Histogram(name, help_, labels, registry=self.registry, buckets=buckets)


def _exemplar(event: Event) -> dict[str, str]:
    """What leads from a number to what it counts: the trace (stream) and its event; cut to what OpenMetrics allows."""
    return {"trace_id": event.stream[:_TRACE_CHARACTERS], "event": str(event.position)}
