"""Owns the dashboard of assurance: how services stand, what is foreseen of their objectives, and what was done."""

from config.grafana.source.panel import AT_JOB, RATE, Board, Panel, Query, quantiles, stat

_BREACH = ("AccordBreachPredicted",)
_BUDGET = ("AccordErrorBudgetBurnsFast",)
_EACH = "{{service}} {{objective}} {{subject}}"


def _objective(name: str, of: str = "") -> Query:
    return Query(f"accord_objective_{name}{{{AT_JOB}{of}}}", _EACH)


def _with_interval(title: str, description: str, unit: str, objective: str) -> Panel:
    of = f', objective="{objective}"'
    parts = (("observed", "now"), ("forecast", "foreseen"), ("forecast_lower", "from"), ("forecast_upper", "to"))
    lines = (
        Query(f"accord_objective_{part}{{{AT_JOB}{of}}}", f"{word} {{{{service}}}} {{{{subject}}}}")
        for part, word in parts
    )
    target = Query(f"accord_objective_target{{{AT_JOB}{of}}}", "promised {{service}} {{subject}}")
    return Panel(title, description, unit, (*lines, target), width=24, height=9)


_NOW = (
    stat(
        "Services assured",
        "Agreements that are provisioned and watched.",
        "none",
        f"count(accord_service_health_ratio{{{AT_JOB}}})",
    ),
    stat(
        "Worst health",
        "Health of the worst service (RFC 9417): 1 is whole.",
        "percentunit",
        f"min(accord_service_health_ratio{{{AT_JOB}}})",
        thresholds=(0.9, 0.5),
    ),
    stat(
        "Likeliest breach",
        "The highest probability that an objective is broken within the horizon.",
        "percentunit",
        f"max(accord_objective_breach_probability{{{AT_JOB}}})",
        thresholds=(0.3, 0.8),
        alerts=_BREACH,
    ),
    stat(
        "Least trusted",
        "How far the least trusted objective's telemetry can be trusted; below 0.6 nothing is done unasked.",
        "percentunit",
        f"min(accord_objective_quality{{{AT_JOB}}})",
        thresholds=(0.9, 0.6),
    ),
    stat(
        "Least error budget left",
        "Of the service that has least of it.",
        "percentunit",
        f"min(accord_objective_error_budget_ratio{{{AT_JOB}}})",
        thresholds=(0.5, 0.1),
        alerts=_BUDGET,
    ),
    stat(
        "Agents paused",
        "Agents that do nothing without an operator.",
        "none",
        f"sum(accord_agent_paused{{{AT_JOB}}})",
        thresholds=(1, 1),
        alerts=("AccordAgentPaused",),
    ),
)

_SERVICES = (
    Panel(
        "Agreements by state",
        "Where the agreements of services are in their life.",
        "none",
        (Query(f"sum by (accord_service_state) (accord_service_state{{{AT_JOB}}})", "{{accord_service_state}}"),),
        is_stacked=True,
    ),
    Panel(
        "Health",
        "Of each service, 1 is whole.",
        "percentunit",
        (Query(f"accord_service_health_ratio{{{AT_JOB}}}", "{{service}}"),),
        maximum=1.0,
    ),
)

_FORESEEN = (
    _with_interval(
        "One-way delay",
        "What is measured, what is foreseen with its 90 % interval, and what is promised.",
        "s",
        "delay-one-way",
    ),
    Panel(
        "Probability of a breach",
        "Within the horizon, as forecast. It is acted upon from 0.8 on, if the telemetry can be trusted.",
        "percentunit",
        (_objective("breach_probability"),),
        maximum=1.0,
        alerts=_BREACH,
    ),
    Panel(
        "Quality of objectives",
        "How far what is measured can be trusted; below 0.6 nothing is done unasked.",
        "percentunit",
        (_objective("quality"),),
        maximum=1.0,
    ),
)

_BUDGETS = (
    Panel(
        "Error budget left",
        "Share of what the window allows; below 0 it is overdrawn.",
        "percentunit",
        (_objective("error_budget_ratio"),),
        alerts=_BUDGET,
    ),
    Panel(
        "Burn rate",
        "How many times faster than allowed the budget is used: at 1 it lasts exactly the window.",
        "none",
        (_objective("burn_rate"),),
        alerts=_BUDGET,
    ),
)

_DONE = (
    Panel(
        "Happenings",
        "What the closed loop made happen to agreements, each second.",
        "ops",
        (Query(f"sum by (event) (rate(accord_assurance_happenings_total{{{AT_JOB}}}{RATE}))", "{{event}}"),),
        width=8,
    ),
    Panel(
        "Decisions",
        "Decisions before a breach, by whether to act.",
        "ops",
        (Query(f"sum by (acts) (rate(accord_assurance_decisions_total{{{AT_JOB}}}{RATE}))", "{{acts}}"),),
        width=8,
    ),
    Panel(
        "A look at every service",
        "How long a tick of assurance takes.",
        "s",
        quantiles("accord_assurance_tick_duration_seconds"),
        width=8,
    ),
)

ASSURANCE = Board(
    "assurance",
    "accord / Assurance and forecast",
    "How services stand, what is foreseen of their objectives, what is left of their error budgets.",
    (
        ("Now", _NOW),
        ("Services", _SERVICES),
        ("Foreseen", _FORESEEN),
        ("Error budgets", _BUDGETS),
        ("What was done", _DONE),
    ),
)
