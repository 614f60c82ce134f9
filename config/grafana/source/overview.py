"""Owns the dashboard that is looked at first: what is wrong, and where one looks next."""

from config.grafana.source.panel import AT_DEVICES, AT_JOB, RATE, Board, Panel, Query, stat

_NOW = (
    stat(
        "Controller",
        "Whether the daemon answers. Without it no change can be made; what is configured goes on working.",
        "none",
        f"min(up{{{AT_JOB}}})",
        words=(("0", "down", "red"), ("1", "up", "green")),
        alerts=("AccordDown",),
    ),
    stat(
        "Devices answering",
        "Share of the devices that answered when they were asked last.",
        "percentunit",
        f"avg(probe_success{{{AT_DEVICES}}})",
        thresholds=(1, 0.9),
        alerts=("AccordDeviceUnreachable",),
    ),
    stat(
        "Devices drifted",
        "Devices that differ from what the controller configured, at their last check.",
        "none",
        f"sum(accord_drift_lines{{{AT_JOB}}} > bool 0)",
        thresholds=(1, 5),
        alerts=("AccordDeviceDrifted",),
    ),
    stat(
        "Tunnels down",
        "Tunnels whose every path is broken.",
        "none",
        f'sum(accord_tunnels{{{AT_JOB}, state="down"}})',
        thresholds=(1, 1),
        alerts=("AccordTunnelDown",),
    ),
    stat(
        "Transactions unknown",
        "Transactions whose outcome waits for a device that was lost.",
        "none",
        f"sum(accord_transactions_unknown{{{AT_JOB}}})",
        thresholds=(1, 1),
        alerts=("AccordTransactionUnknown",),
    ),
    stat(
        "Committed",
        "Share of the transactions that were committed, over the time shown. The objective is 99 %.",
        "percentunit",
        f'sum(increase(accord_transactions_total{{{AT_JOB}, outcome="committed"}}[$__range]))'
        f" / sum(increase(accord_transactions_total{{{AT_JOB}}}[$__range]))",
        thresholds=(0.99, 0.95),
        alerts=("AccordTransactionsBurnFast", "AccordTransactionsBurnSlow"),
    ),
)

_STATES = (
    Panel(
        "Intents",
        "Intents by where they stand in their life.",
        "none",
        (Query(f"sum by (state) (accord_intents{{{AT_JOB}}})", "{{state}}"),),
        is_stacked=True,
    ),
    Panel(
        "Tunnels",
        "Up: the first path carries. Switched: a second one does. Down: none.",
        "none",
        (Query(f"sum by (state) (accord_tunnels{{{AT_JOB}}})", "{{state}}"),),
        is_stacked=True,
    ),
    Panel(
        "Transactions",
        "Verdicts each second. An aborted one left the network as it was.",
        "ops",
        (Query(f"sum by (outcome) (rate(accord_transactions_total{{{AT_JOB}}}{RATE}))", "{{outcome}}"),),
    ),
    Panel(
        "Alerts",
        "Alerts of the shipped rules that are pending or firing. Each has a runbook of its own name.",
        "none",
        (Query('sum by (alertname, alertstate) (ALERTS{alertname=~"Accord.+"})', "{{alertname}} {{alertstate}}"),),
        is_stacked=True,
    ),
)

OVERVIEW = Board(
    "overview",
    "accord / Overview",
    "Is anything wrong, and where does one look next?",
    (("Now", _NOW), ("Over time", _STATES)),
)
