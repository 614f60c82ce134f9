"""Owns the dashboard of services: how many there are, where intents stand, how long asking for one takes."""

from config.grafana.source.panel import AT_JOB, RATE, Board, Panel, Query, quantiles, stat


def _p95(step: str) -> Query:
    buckets = f"accord_{step}_duration_seconds_bucket{{{AT_JOB}}}"
    return Query(f"histogram_quantile(0.95, sum by (le) (rate({buckets}{RATE})))", step)


_NOW = (
    stat("Services", "L3VPN services that are configured.", "none", f"sum(accord_services{{{AT_JOB}}})"),
    stat("Sites", "Sites of those services.", "none", f"sum(accord_sites{{{AT_JOB}}})"),
    stat(
        "Intents active",
        "Intents that are configured and fulfilled as far as the controller knows.",
        "none",
        f'sum(accord_intents{{{AT_JOB}, state="active"}})',
    ),
    stat(
        "Intents degraded",
        "Intents that are configured and not fulfilled.",
        "none",
        f'sum(accord_intents{{{AT_JOB}, state="degraded"}})',
        thresholds=(1, 1),
    ),
    stat(
        "Intents that wait for an answer",
        "Intents of which a word was not understood; whoever asked is asked back.",
        "none",
        f'sum(accord_intents{{{AT_JOB}, state="needs-clarification"}})',
    ),
    stat(
        "Intents failed",
        "Intents whose transaction was rolled back; the network is as it was before.",
        "none",
        f'sum(accord_intents{{{AT_JOB}, state="failed"}})',
        thresholds=(1, 1),
    ),
)

_ASKING = (
    Panel(
        "Intents by state",
        "Intents by where they stand in their life.",
        "none",
        (Query(f"sum by (state) (accord_intents{{{AT_JOB}}})", "{{state}}"),),
        is_stacked=True,
    ),
    Panel(
        "Services and sites",
        "What is configured, over time.",
        "none",
        (
            Query(f"sum(accord_services{{{AT_JOB}}})", "services"),
            Query(f"sum(accord_sites{{{AT_JOB}}})", "sites"),
        ),
    ),
    Panel(
        "Asked for",
        "Intents submitted each second, by the answer: 201 is a plan, 422 a question back.",
        "reqps",
        (
            Query(
                "sum by (code) (rate(accord_http_requests_total"
                f'{{{AT_JOB}, route="/api/v1/intents", method="POST"}}{RATE}))',
                "{{code}}",
            ),
        ),
    ),
    Panel(
        "From intent to plan",
        "95th percentile of planning, of rendering in it, and of proving the plan in the digital twin.",
        "s",
        tuple(_p95(name) for name in ("plan", "render", "prove")),
    ),
    Panel(
        "From plan to verdict",
        "How long committing takes, network-wide.",
        "s",
        quantiles("accord_transaction_duration_seconds", of=f'{AT_JOB}, outcome="committed"'),
    ),
    Panel(
        "Tunnels under the services",
        "Tunnels by whether they carry.",
        "none",
        (Query(f"sum by (state) (accord_tunnels{{{AT_JOB}}})", "{{state}}"),),
        is_stacked=True,
        alerts=("AccordTunnelDown",),
    ),
)

SERVICE = Board(
    "service",
    "accord / Service",
    "The services of customers, the intents behind them, and how long asking for one takes.",
    (("Now", _NOW), ("From asking to configured", _ASKING)),
)
