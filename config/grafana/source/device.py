"""Owns the dashboard of devices: one that is chosen, then all of them beside each other."""

from config.grafana.source.panel import AT_DEVICES, AT_JOB, RATE, Board, Kind, Panel, Query, quantiles, stat

_ONE = f'{AT_JOB}, device="$device"'
_PROBED = f'{AT_DEVICES}, device="$device"'
_UP = (("0", "down", "red"), ("1", "up", "green"))

_CHOSEN = (
    stat(
        "Answers",
        "Whether a line of its configuration could be read at the last scrape.",
        "none",
        f"min(probe_success{{{_PROBED}}})",
        words=_UP,
        alerts=("AccordDeviceUnreachable",),
    ),
    stat("Session", "Whether the controller holds a session.", "none", f"max(accord_device_up{{{_ONE}}})", words=_UP),
    stat(
        "Availability",
        "Share of the scrapes that it answered, over the time shown.",
        "percentunit",
        f"avg(avg_over_time(probe_success{{{_PROBED}}}[$__range]))",
        thresholds=(0.999, 0.99),
    ),
    stat(
        "Time to answer",
        "How long reading one line took at the last scrape.",
        "s",
        f"max(probe_duration_seconds{{{_PROBED}}})",
    ),
    stat(
        "Lines drifted",
        "Lines that differ from what the controller configured, at the last check.",
        "none",
        f"max(accord_drift_lines{{{_ONE}}})",
        thresholds=(1, 20),
        alerts=("AccordDeviceDrifted",),
    ),
    stat("Lines", "Lines of its configuration.", "none", f"max(accord_device_config_lines{{{_ONE}}})"),
    Panel(
        "Time to answer, over time",
        "How long reading one line of configuration takes.",
        "s",
        (Query(f"max(probe_duration_seconds{{{_PROBED}}})", "$device"),),
    ),
    Panel(
        "Configuration, over time",
        "Lines that are known, and those of them that differ from what is meant.",
        "none",
        (
            Query(f"max(accord_device_config_lines{{{_ONE}}})", "lines"),
            Query(f"max(accord_drift_lines{{{_ONE}}})", "drifted"),
        ),
    ),
)

_ALL = (
    Panel(
        "Answering",
        "Each device at each scrape.",
        "none",
        (Query(f"min by (device) (probe_success{{{AT_DEVICES}}})", "{{device}}"),),
        kind=Kind.STATES,
        words=_UP,
        alerts=("AccordDeviceUnreachable",),
    ),
    Panel(
        "Sessions",
        "Devices by the state of their session; idle ones have not been needed yet.",
        "none",
        (
            Query(f"sum by (state) (accord_devices{{{AT_JOB}}})", "{{state}}"),
            Query(f"sum(accord_devices_leased{{{AT_JOB}}})", "held by a transaction or upkeep"),
            Query(f"sum(accord_devices_unread{{{AT_JOB}}})", "never read"),
        ),
    ),
    Panel(
        "Drift",
        "Lines that differ, by device, at their last check.",
        "none",
        (Query(f"max by (device) (accord_drift_lines{{{AT_JOB}}})", "{{device}}"),),
        alerts=("AccordDeviceDrifted",),
    ),
    Panel(
        "Slowest to answer",
        "The ten devices that take longest to read one line.",
        "s",
        (Query(f"topk(10, max by (device) (probe_duration_seconds{{{AT_DEVICES}}}))", "{{device}}"),),
    ),
    Panel(
        "Acts",
        "Acts on devices each second. Rejected: the device said no. Lost: no session, or no answer.",
        "ops",
        (Query(f"sum by (outcome) (rate(accord_rpcs_total{{{AT_JOB}}}{RATE}))", "{{outcome}}"),),
    ),
    Panel(
        "Duration of acts",
        "95th percentile, by act.",
        "s",
        quantiles("accord_rpc_duration_seconds", "act"),
    ),
)

DEVICE = Board(
    "device",
    "accord / Device",
    "One device, then all of them.",
    (("$device", _CHOSEN), ("All devices", _ALL)),
    with_device=True,
)
