"""Owns the metrics of recovery: what is wrong, what was recovered, what waits for an operator."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.events import types
from controller.ports import Event
from controller.recovery.situation import FaultKind
from controller.recovery.states import Cue, Mode, RecoveryState
from controller.runtime.controller import Controller

OUTCOMES = {
    Cue.HELPED: "recovered",
    Cue.CLEAR: "cleared",
    Cue.NO_HELP: "undone",
    Cue.ABSTAIN: "escalated",
    Cue.NOTHING: "escalated",
    Cue.EXHAUST: "escalated",
    Cue.ASK: "asked",
}


@dataclass(slots=True, eq=False)
class RecoveryMetrics(Collector):
    """Rendered at each scrape; outcomes are counted from the log since the start of the process."""

    controller: Controller
    _outcomes: Counter[str] = field(default_factory=Counter)

    def note_events(self, events: Sequence[Event]) -> None:
        """Count how steps of recoveries ended."""
        for event in events:
            if event.type == types.RECOVERY_ADVANCED:
                data: Any = event.data
                outcome = OUTCOMES.get(Cue(data["cue"]))
                if outcome is not None:
                    self._outcomes[outcome] += 1

    def describe(self) -> Iterable[Metric]:
        """Names only; nothing is looked at before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every family."""
        history = self.controller.world.recoveries
        outcomes = CounterMetricFamily("accord_recoveries", "Recoveries by what came of them.", labels=["outcome"])
        for outcome in sorted(set(OUTCOMES.values())):
            outcomes.add_metric([outcome], self._outcomes[outcome])
        yield outcomes
        paused = GaugeMetricFamily(
            "accord_agent_paused", "1 while nothing is done without an operator.", labels=["agent"]
        )
        paused.add_metric(["recovery"], float(self.controller.recoveries.mode() is not Mode.AUTO))
        yield paused
        states = Counter(one.state for one in history if not one.is_over)
        open_ = GaugeMetricFamily("accord_recoveries_open", "Recoveries that are not over, by state.", labels=["state"])
        for state in RecoveryState:
            if state is not RecoveryState.RECOVERED:
                open_.add_metric([state.value], states[state])
        yield open_
        yield GaugeMetricFamily("accord_inbox_items", "Recoveries that wait for an operator.", len(history.inbox))
        kinds = Counter(fault.kind for fault in self.controller.localisation.faults)
        faults = GaugeMetricFamily("accord_faults", "Faults that are seen now, by kind.", labels=["kind"])
        for kind in FaultKind:
            faults.add_metric([kind.value], kinds[kind])
        yield faults
