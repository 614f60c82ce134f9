"""Owns the dashboard of telemetry: whether it comes, how late, how far it can be trusted, and what probes take."""

from config.grafana.source.panel import AT_JOB, RATE, Board, Panel, Query, quantiles, stat

_STALE = ("AccordTelemetryStale",)
_DOUBTED = ("AccordTelemetryContradicted",)

_NOW = (
    stat("Series", "Series that are kept.", "none", f"sum(accord_telemetry_series{{{AT_JOB}}})"),
    stat(
        "Below the floor",
        "Series that nothing is done upon unasked.",
        "none",
        f'sum(accord_telemetry_series_trusted{{{AT_JOB}, quality="below-floor"}})',
        thresholds=(1, 50),
    ),
    stat(
        "Contradicted",
        "Series that the other end of a link, or probes, contradict.",
        "none",
        f"sum(accord_telemetry_series_contradicted{{{AT_JOB}}})",
        thresholds=(1, 1),
        alerts=_DOUBTED,
    ),
    stat(
        "Devices unread",
        "Devices whose last reading failed.",
        "none",
        f"sum(accord_telemetry_devices_unread{{{AT_JOB}}})",
        thresholds=(1, 1),
        alerts=_STALE,
    ),
    stat(
        "Devices that push",
        "They tell by themselves (RFC 8641) and are polled seldom.",
        "none",
        f"sum(accord_telemetry_devices_pushing{{{AT_JOB}}})",
    ),
    stat(
        "Campaigns",
        "Measurement campaigns under way.",
        "none",
        f"sum(accord_telemetry_campaigns_running{{{AT_JOB}}})",
    ),
)

_COMING = (
    Panel(
        "Samples",
        "Judged samples each second, by how they came.",
        "ops",
        (Query(f"sum by (provenance) (rate(accord_telemetry_samples_total{{{AT_JOB}}}{RATE}))", "{{provenance}}"),),
        is_stacked=True,
    ),
    Panel(
        "Readings",
        "Readings of devices each second: read, failed, or left alone for a change's sake.",
        "ops",
        (Query(f"sum by (outcome) (rate(accord_telemetry_polls_total{{{AT_JOB}}}{RATE}))", "{{outcome}}"),),
        alerts=_STALE,
    ),
    Panel(
        "Lag",
        "From when a reading was due to its samples.",
        "s",
        quantiles("accord_telemetry_lag_seconds"),
    ),
    Panel(
        "Missed cycles",
        "Readings each second that did not begin in time.",
        "ops",
        (Query(f"sum(rate(accord_telemetry_missed_cycles_total{{{AT_JOB}}}{RATE}))", "missed"),),
    ),
)

_TRUST = (
    Panel(
        "Trust",
        "Series by how far they can be trusted: sound from 0.9 on, below the floor under 0.6.",
        "none",
        (Query(f"sum by (quality) (accord_telemetry_series_trusted{{{AT_JOB}}})", "{{quality}}"),),
        is_stacked=True,
    ),
    Panel(
        "Contradicted series",
        "What another witness says otherwise: the other end of a link, or probes over it.",
        "none",
        (Query(f"sum(accord_telemetry_series_contradicted{{{AT_JOB}}})", "contradicted"),),
        alerts=_DOUBTED,
    ),
)

_PROBES = (
    Panel(
        "Probe budget",
        "Test packets a second that may be sent, and that are given out.",
        "ops",
        (
            Query(f"sum(accord_telemetry_probe_budget{{{AT_JOB}}})", "budget"),
            Query(f"sum(accord_telemetry_probe_granted{{{AT_JOB}}})", "given out"),
        ),
    ),
    Panel(
        "Sessions of services",
        "STAMP sessions between provider edges, and services that could have some and have none.",
        "none",
        (
            Query(f"sum(accord_telemetry_service_sessions{{{AT_JOB}}})", "sessions"),
            Query(f"sum(accord_telemetry_services_unmeasured{{{AT_JOB}}})", "services unmeasured"),
        ),
    ),
)

TELEMETRY = Board(
    "telemetry",
    "accord / Telemetry quality",
    "Whether telemetry comes, how late, how far it can be trusted, and what probes take.",
    (("Now", _NOW), ("What comes in", _COMING), ("How far it can be trusted", _TRUST), ("Probes", _PROBES)),
)
