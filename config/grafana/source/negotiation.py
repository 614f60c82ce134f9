"""Owns the dashboard of negotiation: what is offered at which price, what is refused and why, how agreements fare."""

from config.grafana.source.panel import AT_JOB, RATE, Board, Panel, Query, stat

_NOW = (
    stat(
        "Agreements",
        "By what assurance makes of them; cooling ones are held back by a guard.",
        "none",
        f"sum by (state) (accord_negotiation_agreements{{{AT_JOB}}}) > 0",
        width=12,
        legend="{{state}}",
    ),
    stat(
        "Committed",
        "What agreements in force cost for their time.",
        "none",
        f"sum by (currency) (accord_negotiation_committed_money{{{AT_JOB}}})",
        legend="{{currency}}",
    ),
    stat(
        "Reserved",
        "For what is agreed and not provisioned yet.",
        "none",
        f"sum by (currency) (accord_negotiation_reserved_money{{{AT_JOB}}})",
        legend="{{currency}}",
    ),
    stat(
        "Accepted",
        "Share of offers that were accepted in the time shown.",
        "percentunit",
        f"sum(increase(accord_negotiation_acceptances_total{{{AT_JOB}}}[$__range]))"
        f" / sum(increase(accord_negotiation_offers_total{{{AT_JOB}}}[$__range]))",
    ),
)

_TRADE = (
    Panel(
        "Offers",
        "Terms offered, by the scarcest of their bands.",
        "ops",
        (Query(f"sum by (band) (rate(accord_negotiation_offers_total{{{AT_JOB}}}{RATE}))", "{{band}}"),),
        width=8,
        is_stacked=True,
    ),
    Panel(
        "Acceptances",
        "Terms agreed, by class of workload.",
        "ops",
        (Query(f"sum by (class) (rate(accord_negotiation_acceptances_total{{{AT_JOB}}}{RATE}))", "{{class}}"),),
        width=8,
        is_stacked=True,
    ),
    Panel(
        "Price of an hour",
        "Mean of what was offered, by class and band, in units of the currency.",
        "none",
        (
            Query(
                f"sum by (class, band) (rate(accord_negotiation_price_per_hour_sum{{{AT_JOB}}}{RATE}))"
                f" / sum by (class, band) (rate(accord_negotiation_price_per_hour_count{{{AT_JOB}}}{RATE}))",
                "{{class}} {{band}}",
            ),
        ),
        width=8,
    ),
    Panel(
        "Refusals",
        "By the check that said no.",
        "ops",
        (Query(f"sum by (check) (rate(accord_negotiation_refusals_total{{{AT_JOB}}}{RATE}))", "{{check}}"),),
        is_stacked=True,
    ),
    Panel(
        "Refusals by class",
        "By the class that asked, and the scarcest band that it was offered; none where nothing was.",
        "ops",
        (
            Query(
                f"sum by (class, band) (rate(accord_negotiation_refusals_total{{{AT_JOB}}}{RATE}))",
                "{{class}} {{band}}",
            ),
        ),
        is_stacked=True,
    ),
)

_SCARCE = (
    Panel(
        "Scarce links",
        "Links that are sold, by the band that is published of them above baseline, on each axis of each tier.",
        "none",
        (
            Query(
                f'sum by (tier, axis, band) (accord_market_links{{{AT_JOB}, band!="baseline"}})',
                "{{tier}} {{axis}} {{band}}",
            ),
        ),
    ),
    Panel(
        "Money by class",
        "What agreements in force cost for their time, by class of workload and the band that they were agreed at.",
        "none",
        (
            Query(
                f"sum by (class, band, currency) (accord_negotiation_committed_money{{{AT_JOB}}}) > 0",
                "{{class}} {{band}} {{currency}}",
            ),
        ),
    ),
)

_LIFE = (
    Panel(
        "Changes of live agreements",
        "By how they came about; failed ones gave their money back.",
        "ops",
        (
            Query(
                f"sum by (class, strategy, outcome) (rate(accord_negotiation_changes_total{{{AT_JOB}}}{RATE}))",
                "{{class}} {{strategy}} {{outcome}}",
            ),
        ),
    ),
    Panel(
        "Held back",
        "Agreements at risk, and those that cool: a change of them is too young, or was refused.",
        "none",
        (
            Query(
                f"sum by (class, state)"
                f' (accord_negotiation_agreements{{{AT_JOB}, state=~"at-risk|cooling|renegotiated"}})',
                "{{class}} {{state}}",
            ),
        ),
    ),
)

NEGOTIATION = Board(
    "negotiation",
    "accord / Negotiation",
    "What is offered at which price, what is refused and why, and how agreements fare.",
    (("Now", _NOW), ("Trade", _TRADE), ("Scarcity", _SCARCE), ("Life", _LIFE)),
)
