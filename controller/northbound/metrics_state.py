"""Owns the metrics that are rendered from the state of the moment: a device that is deleted takes its series along."""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.intent.lifecycle import IntentState
from controller.mapping.tunnel_paths import TUNNEL_STATES
from controller.model.identifiers import DeviceName
from controller.runtime.controller import Controller
from controller.runtime.device_care import DeviceStatus
from controller.transaction.states import Phase

_DEVICE_STATES = ("connected", "failed", "idle")


@dataclass(frozen=True, slots=True)
class Reload:
    """How the last reload went; `success_time` in seconds since the epoch."""

    is_successful: bool
    success_time: float


@dataclass(frozen=True, slots=True, eq=False)
class StateMetrics(Collector):
    """Renders the controller's state at each scrape. `drift` gives the differing lines of each checked device."""

    controller: Controller
    drift: Callable[[], Mapping[DeviceName, int]]
    reload: Callable[[], Reload]
    readers: Callable[[], int]

    def describe(self) -> Iterable[Metric]:
        """Names only; nothing is looked at before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Every family, also those without series."""
        yield from self._devices(self.controller.devices())
        yield from self._transactions()
        yield from self._daemon()

    def _devices(self, devices: list[DeviceStatus]) -> Iterable[Metric]:
        states = Counter(device.state for device in devices)
        yield _labelled("accord_devices", "Devices by state of their session.", "state", _all(states, _DEVICE_STATES))
        unread = sum(1 for device in devices if not device.is_known)
        yield _single("accord_devices_unread", "Devices whose configuration was never read.", unread)
        up = {str(device.record.name): float(device.state == "connected") for device in devices}
        yield _labelled("accord_device_up", "1 while there is a session to the device.", "device", up)
        lines = {str(device.record.name): float(device.lines) for device in devices if device.is_known}
        yield _labelled("accord_device_config_lines", "Known lines of configuration.", "device", lines)
        drift = {str(name): float(count) for name, count in self.drift().items()}
        yield _labelled("accord_drift_lines", "Differing lines at the last check.", "device", drift)
        leased = sum(1 for device in devices if device.lease)
        yield _single("accord_devices_leased", "Devices held by a transaction or by upkeep.", leased)

    def _transactions(self) -> Iterable[Metric]:
        world = self.controller.world
        open_ = [world.transactions.get(id_).phase for id_ in world.transactions.open()]
        unknown = sum(1 for phase in open_ if phase is Phase.UNKNOWN)
        yield _single("accord_transactions_unknown", "Transactions whose outcome is not known yet.", unknown)
        running = len(open_) - unknown
        yield _single("accord_transactions_running", "Transactions on their way to a verdict.", running)
        yield _single("accord_services", "L3VPN services.", len(world.services.services))
        yield _single("accord_sites", "Sites of L3VPN services.", len(world.services.sites))
        tunnels = Counter(self.controller.tunnels.states().values())
        yield _labelled("accord_tunnels", "Tunnels by whether they carry.", "state", _all(tunnels, TUNNEL_STATES))
        states = Counter(record.state.value for record in world.intents)
        every = _all(states, [state.value for state in IntentState])
        yield _labelled("accord_intents", "Intents by where they stand.", "state", every)

    def _daemon(self) -> Iterable[Metric]:
        yield _single("accord_event_log_position", "Position of the newest event.", self.controller.log.last_position())
        failures = self.controller.log.failed_commits()
        yield CounterMetricFamily("accord_event_log_failures_total", "Commits that were not stored.", value=failures)
        yield _single("accord_event_stream_readers", "Open streams of the event feed.", self.readers())
        reload = self.reload()
        yield _single("accord_config_last_reload_successful", "1 if the last reload was.", float(reload.is_successful))
        yield _single(
            "accord_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read.",
            reload.success_time,
        )
        info = GaugeMetricFamily("accord_build_info", "What runs.", labels=["version", "python"])
        info.add_metric([_version(), platform.python_version()], 1)
        yield info


def _all(found: Mapping[str, int], known: Iterable[str]) -> dict[str, float]:
    """Every known label value, at zero where nothing was found."""
    return {label: float(found.get(label, 0)) for label in known}


def _single(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def _labelled(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for of, value in sorted(values.items()):
        family.add_metric([of], value)
    return family


def _version() -> str:
    try:
        return version("accord")
    except PackageNotFoundError:
        return "unknown"
