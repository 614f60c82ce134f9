"""Owns the dashboard of tunnels and the topology below them: what carries, what was repaired, how fast."""

from config.grafana.source.panel import AT_DEVICES, AT_JOB, RATE, Board, Panel, Query, quantiles, stat

_NOW = (
    *(
        stat(
            f"Tunnels {state}",
            meaning,
            "none",
            f'sum(accord_tunnels{{{AT_JOB}, state="{state}"}})',
            thresholds=thresholds,
            alerts=alerts,
        )
        for state, meaning, thresholds, alerts in (
            ("up", "Their first path carries.", None, ()),
            ("switched", "Their first path is broken and a second one carries.", (1, 100), ()),
            ("down", "No path carries.", (1, 1), ("AccordTunnelDown",)),
        )
    ),
    stat(
        "Repairs",
        "Repairs in the time shown, by outcome.",
        "none",
        f"sum by (outcome) (increase(accord_repairs_total{{{AT_JOB}}}[$__range]))",
        width=12,
        legend="{{outcome}}",
        alerts=("AccordRepairFailed",),
    ),
)

_TUNNELS = (
    Panel(
        "Tunnels by state",
        "Up: the first path carries. Switched: a second one does. Down: none.",
        "none",
        (Query(f"sum by (state) (accord_tunnels{{{AT_JOB}}})", "{{state}}"),),
        is_stacked=True,
        alerts=("AccordTunnelDown",),
    ),
    Panel(
        "Repairs each second",
        "Repaired: traffic has a path again. Protected: a second path is there again. Failed: refused or rolled back. "
        "Unroutable: there is no path.",
        "ops",
        (Query(f"sum by (outcome) (rate(accord_repairs_total{{{AT_JOB}}}{RATE}))", "{{outcome}}"),),
        alerts=("AccordRepairFailed",),
    ),
    Panel(
        "Duration of repairs",
        "From the first event of a failed link to the new path on the device.",
        "s",
        quantiles("accord_repair_seconds"),
    ),
    Panel(
        "Recoveries by outcome",
        "In the time shown. Recovered: a remedy was seen to help. Cleared: nobody suffered any more. Undone: it did "
        "not help. Escalated and asked: an operator decides.",
        "none",
        (Query(f"sum by (outcome) (increase(accord_recoveries_total{{{AT_JOB}}}[$__range]))", "{{outcome}}"),),
    ),
    Panel(
        "Operators' inbox",
        "Recoveries that wait for an operator's word.",
        "none",
        (Query(f"sum(accord_inbox_items{{{AT_JOB}}})", "waiting"),),
        alerts=("AccordInboxWaiting",),
    ),
    Panel(
        "Proving",
        "A repair is proved in the digital twin before it is sent; this is part of its duration.",
        "s",
        quantiles("accord_prove_duration_seconds"),
    ),
)

_TOPOLOGY = (
    Panel(
        "Routers answering, by role",
        "How many routers of each role answer.",
        "none",
        (Query(f"sum by (role) (probe_success{{{AT_DEVICES}}})", "{{role}}"),),
        alerts=("AccordDeviceUnreachable",),
    ),
    Panel(
        "Routers, by role",
        "How many routers of each role there are.",
        "none",
        (Query(f"count by (role) (probe_success{{{AT_DEVICES}}})", "{{role}}"),),
    ),
)

TUNNELS = Board(
    "tunnels",
    "accord / Tunnels and topology",
    "What carries the services, what was repaired after failures, and how fast.",
    (("Now", _NOW), ("Tunnels", _TUNNELS), ("Topology", _TOPOLOGY)),
)
