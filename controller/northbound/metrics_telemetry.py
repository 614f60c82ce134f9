"""Owns the metrics of telemetry's collection: what came in, how late, what was missed, what probes may send."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.runtime.collection import LAG_SECONDS
from controller.runtime.controller import Controller
from controller.telemetry.sample import Provenance
from controller.telemetry.schedule import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class TelemetryMetrics(Collector):
    """Rendered from the collection at each scrape; no label has many values."""

    controller: Controller

    def describe(self) -> Iterable[Metric]:
        """Names only; nothing is looked at before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every family."""
        collection, budget = self.controller.collection, self.controller.campaigns.budget
        samples = CounterMetricFamily("accord_telemetry_samples", "Judged samples.", labels=["provenance"])
        for provenance in (Provenance.POLLED, Provenance.PROBED, Provenance.PUSHED, Provenance.NOTIFIED):
            samples.add_metric([provenance.value], collection.series.samples[provenance.value])
        yield samples
        polls = CounterMetricFamily("accord_telemetry_polls", "Readings of devices.", labels=["outcome"])
        for outcome in Outcome:
            polls.add_metric([outcome.value], collection.polls[outcome.value])
        yield polls
        yield CounterMetricFamily(
            "accord_telemetry_missed_cycles", "Readings that did not begin in time.", collection.schedule.missed
        )
        yield GaugeMetricFamily("accord_telemetry_series", "Series that are kept.", len(collection.series.latest))
        yield GaugeMetricFamily(
            "accord_telemetry_devices_pushing", "Devices that push by themselves.", len(collection.pushing)
        )
        yield GaugeMetricFamily(
            "accord_telemetry_devices_unread", "Devices whose last reading failed.", len(collection.unread)
        )
        yield GaugeMetricFamily(
            "accord_telemetry_series_contradicted",
            "Series that another witness contradicts.",
            len(self.controller.witnesses.contradicted),
        )
        quality = GaugeMetricFamily(
            "accord_telemetry_series_trusted", "Series by how far they can be trusted.", labels=["quality"]
        )
        for word, count in collection.series.trusted(self.controller.clock.now()).items():
            quality.add_metric([word], count)
        yield quality
        yield self._lag()
        yield GaugeMetricFamily(
            "accord_telemetry_probe_budget", "Test packets per second that may be sent.", budget.packets_per_second
        )
        yield GaugeMetricFamily(
            "accord_telemetry_probe_granted", "Test packets per second given out.", sum(budget.granted.values())
        )
        probes = self.controller.service_probes
        yield GaugeMetricFamily(
            "accord_telemetry_service_sessions",
            "STAMP sessions between the provider edges of services.",
            sum(len(probes.measurements_of(service)) for service in probes.services()),
        )
        yield GaugeMetricFamily(
            "accord_telemetry_services_unmeasured",
            "Services that could be measured and are not.",
            len(probes.unmeasured),
        )
        running = sum(not campaign.is_over for campaign in self.controller.campaigns)
        yield GaugeMetricFamily("accord_telemetry_campaigns_running", "Measurement campaigns under way.", running)

    def _lag(self) -> Metric:
        lags, total, buckets = self.controller.collection.lags, 0, []
        for bound, count in zip((*LAG_SECONDS, "+Inf"), lags.buckets, strict=True):
            total += count
            buckets.append((str(bound), total))
        family = HistogramMetricFamily("accord_telemetry_lag_seconds", "From when a reading was due to its samples.")
        family.add_metric([], buckets, lags.total_seconds)
        return family
