"""Owns the dashboard of the daemon itself: requests (rate, errors, duration), resources, and its event log."""

from config.grafana.source.panel import AT_JOB, RATE, Board, Panel, Query, quantiles, stat

_REQUESTS_TOTAL = f"accord_http_requests_total{{{AT_JOB}}}"

_NOW = (
    stat(
        "Version",
        "What runs.",
        "none",
        f"max by (version, python) (accord_build_info{{{AT_JOB}}})",
        legend="{{version}}",
        words=(("1", "runs", "green"),),
    ),
    stat(
        "Running since",
        "Start of the process.",
        "dateTimeFromNow",
        f"max(process_start_time_seconds{{{AT_JOB}}}) * 1000",
    ),
    stat(
        "Configuration",
        "Whether the last reload was accepted; else the last good configuration goes on.",
        "none",
        f"min(accord_config_last_reload_successful{{{AT_JOB}}})",
        words=(("0", "refused", "red"), ("1", "accepted", "green")),
        alerts=("AccordReloadFailed",),
    ),
    stat(
        "Configuration read",
        "When the configuration in force was read.",
        "dateTimeFromNow",
        f"max(accord_config_last_reload_success_timestamp_seconds{{{AT_JOB}}}) * 1000",
    ),
    stat(
        "Event streams",
        "Open streams of the event feed.",
        "none",
        f"sum(accord_event_stream_readers{{{AT_JOB}}})",
    ),
    stat(
        "Commits not stored",
        "What the event log could not store in the time shown, as on a full disk.",
        "none",
        f"sum(increase(accord_event_log_failures_total{{{AT_JOB}}}[$__range]))",
        thresholds=(1, 1),
        alerts=("AccordEventLogFailing", "AccordEventLogStuck"),
    ),
)

_API = (
    Panel(
        "Requests",
        "Answers each second, by status.",
        "reqps",
        (Query(f"sum by (code) (rate({_REQUESTS_TOTAL}{RATE}))", "{{code}}"),),
    ),
    Panel(
        "Errors",
        "Share of the answers that say the request was wrong (4xx), or that the controller or a device failed (5xx).",
        "percentunit",
        tuple(
            Query(
                f'sum(rate(accord_http_requests_total{{{AT_JOB}, code=~"{digit}.."}}{RATE}))'
                f" / sum(rate({_REQUESTS_TOTAL}{RATE}))",
                f"{digit}xx",
            )
            for digit in (4, 5)
        ),
        alerts=("AccordApiErrors",),
    ),
    Panel("Duration of answers", "Until the answer began.", "s", quantiles("accord_http_request_duration_seconds")),
    Panel(
        "Slowest routes",
        "95th percentile of the ten slowest routes.",
        "s",
        (
            Query(
                "topk(10, histogram_quantile(0.95, "
                f"sum by (route, le) (rate(accord_http_request_duration_seconds_bucket{{{AT_JOB}}}{RATE}))))",
                "{{route}}",
            ),
        ),
    ),
)

_LOG = (
    Panel(
        "Events",
        "Growth of the event log, in events each second.",
        "ops",
        (Query(f"sum(deriv(accord_event_log_position{{{AT_JOB}}}{RATE}))", "events"),),
        alerts=("AccordEventLogStuck",),
    ),
    Panel(
        "Time to store",
        "From append to durable and folded. Every change waits for it several times.",
        "s",
        quantiles("accord_event_log_append_duration_seconds"),
    ),
)

_PROCESS = (
    Panel(
        "CPU",
        "Cores in use by the process.",
        "none",
        (Query(f"sum by (instance) (rate(process_cpu_seconds_total{{{AT_JOB}}}{RATE}))", "{{instance}}"),),
    ),
    Panel(
        "Memory",
        "Resident and virtual memory of the process.",
        "bytes",
        (
            Query(f"sum by (instance) (process_resident_memory_bytes{{{AT_JOB}}})", "{{instance}} resident"),
            Query(f"sum by (instance) (process_virtual_memory_bytes{{{AT_JOB}}})", "{{instance}} virtual"),
        ),
    ),
    Panel(
        "File descriptors",
        "Share of the file descriptors that are in use; sessions, streams and requests hold one each.",
        "percentunit",
        (
            Query(
                f"max by (instance) (process_open_fds{{{AT_JOB}}}) / max by (instance) (process_max_fds{{{AT_JOB}}})",
                "{{instance}}",
            ),
        ),
    ),
    Panel(
        "Scraping",
        "How long the daemon takes to expose its metrics.",
        "s",
        (Query(f"max by (instance) (scrape_duration_seconds{{{AT_JOB}}})", "{{instance}}"),),
    ),
)

INTERNALS = Board(
    "internals",
    "accord / Controller internals",
    "The daemon itself: its API, its event log, its process.",
    (("Now", _NOW), ("API", _API), ("Event log", _LOG), ("Process", _PROCESS)),
)
