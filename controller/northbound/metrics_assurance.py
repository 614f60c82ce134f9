"""Owns the metrics of assurance: services and their objectives as they stand, and how full links are.

A service that ends takes its series along. Labels are bounded: a service has objectives for so many pairs at most, and
beyond a number of objectives those nearest to a breach are shown.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite

from prometheus_client.core import GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.assurance.instance import InstanceState
from controller.assurance.objectives_l3sm import vpn_of
from controller.runtime.assurance import ObjectiveStanding
from controller.runtime.controller import Controller
from controller.runtime.topology_overlay import load_ratios

MOST_OBJECTIVES = 5000
_LABELS = ("service", "objective", "subject")
_UNITS = "In seconds, bit/s or a ratio, as the objective has it."


@dataclass(frozen=True, slots=True, eq=False)
class AssuranceMetrics(Collector):
    """Rendered from the state of the moment at each scrape."""

    controller: Controller

    def describe(self) -> Iterable[Metric]:
        """Names only; nothing is looked at before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every family."""
        yield from self._services()
        yield from self._objectives()
        load = GaugeMetricFamily("accord_link_load_ratio", "Share of a link in use.", labels=["device", "interface"])
        for (device, port), ratio in sorted(load_ratios(self.controller.topology.database).items()):
            load.add_metric([device, port], ratio)
        yield load

    def _services(self) -> Iterator[Metric]:
        assurance = self.controller.assurance
        states = StateSetMetricFamily(
            "accord_service_state", "Where the agreement of a service is.", labels=["service"]
        )
        health = GaugeMetricFamily("accord_service_health_ratio", "Health (RFC 9417), 1 is whole.", labels=["service"])
        symptoms = GaugeMetricFamily(
            "accord_service_symptoms", "Symptoms that take of the health of a service.", labels=["service", "kind"]
        )
        for instance in self.controller.world.assurance.loop:
            if instance.state.is_final:
                continue
            states.add_metric([instance.agreement], {state.value: state is instance.state for state in _STATES})
            if (standing := assurance.standings.get(instance.agreement)) is not None:
                health.add_metric([instance.agreement], standing.health / 100)
                for kind, count in sorted(Counter(one.kind for one in standing.symptoms).items()):
                    symptoms.add_metric([instance.agreement, kind], count)
        yield states
        yield health
        yield symptoms

    def _objectives(self) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(f"accord_objective_{name}", text, labels=_LABELS) for name, text in _FAMILIES
        }
        for standing in self._shown():
            objective = standing.objective
            labels = [vpn_of(objective.service), objective.name.value, objective.subject]
            for name, value in _values(standing):
                if isfinite(value):
                    families[name].add_metric(labels, value)
        yield from families.values()

    def _shown(self) -> list[ObjectiveStanding]:
        standings = self.controller.assurance.standings.values()
        every = [one for standing in standings for one in standing.objectives]
        if len(every) > MOST_OBJECTIVES:
            every.sort(key=lambda one: -one.breach.confidence)
        return every[:MOST_OBJECTIVES]


_STATES = tuple(state for state in InstanceState if not state.is_final)
_FAMILIES = (
    ("target", f"What is promised. {_UNITS}"),
    ("observed", f"What is measured. {_UNITS}"),
    ("forecast", f"What is foreseen where a breach is likeliest. {_UNITS}"),
    ("forecast_lower", f"Lower bound of the 90 % interval. {_UNITS}"),
    ("forecast_upper", f"Upper bound of the 90 % interval. {_UNITS}"),
    ("breach_probability", "Probability of a breach within the horizon."),
    ("quality", "How far what is measured can be trusted, 0 to 1."),
    ("error_budget_ratio", "Share of the error budget that is left, below 0 when overdrawn."),
    ("burn_rate", "How many times faster than allowed the error budget is used."),
)


def _values(standing: ObjectiveStanding) -> Iterator[tuple[str, float]]:
    yield "target", standing.objective.target
    yield "observed", standing.measured.value
    yield "quality", standing.measured.quality
    breach = standing.breach
    if isfinite(breach.point):
        yield "forecast", breach.point
        yield "forecast_lower", breach.lower
        yield "forecast_upper", breach.upper
        yield "breach_probability", breach.probability
    if (budget := standing.budget) is not None:
        yield "error_budget_ratio", budget.remaining_ratio
        yield "burn_rate", budget.burn_rate
