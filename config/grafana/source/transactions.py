"""Owns the dashboard of transactions: verdicts, the budget of those that fail, and where the time goes."""

from config.grafana.source.panel import AT_JOB, RATE, Board, Panel, Query, quantiles, stat

_BURN = ("AccordTransactionsBurnFast", "AccordTransactionsBurnSlow")

_NOW = (
    stat("Running", "On their way to a verdict.", "none", f"sum(accord_transactions_running{{{AT_JOB}}})"),
    stat(
        "Unknown",
        "Their outcome waits for a device that was lost; recovery resumes when it is back.",
        "none",
        f"sum(accord_transactions_unknown{{{AT_JOB}}})",
        thresholds=(1, 1),
        alerts=("AccordTransactionUnknown",),
    ),
    stat(
        "Verdicts",
        "Transactions that ended in the time shown, by outcome.",
        "none",
        f"sum by (outcome) (increase(accord_transactions_total{{{AT_JOB}}}[$__range]))",
        width=8,
        legend="{{outcome}}",
    ),
    stat(
        "Burn rate",
        "How many times faster than allowed (1 %) transactions were aborted in the last hour.",
        "none",
        f"max(job:accord_transactions_aborted:ratio_rate1h{{{AT_JOB}}}) / 0.01",
        thresholds=(1, 14.4),
        alerts=_BURN,
    ),
    stat(
        "Devices held",
        "Devices that a transaction or upkeep has for itself now.",
        "none",
        f"sum(accord_devices_leased{{{AT_JOB}}})",
    ),
)

_VERDICTS = (
    Panel(
        "Verdicts each second",
        "Committed on every device concerned, or aborted and as before on every one.",
        "ops",
        (Query(f"sum by (outcome) (rate(accord_transactions_total{{{AT_JOB}}}{RATE}))", "{{outcome}}"),),
    ),
    Panel(
        "Burn rates",
        "Times the allowed share of aborted transactions (1 %). An alert needs both windows of a pair: 5 minutes and "
        "1 hour above 14.4, or 30 minutes and 6 hours above 6.",
        "none",
        tuple(
            Query(f"max(job:accord_transactions_aborted:ratio_rate{window}{{{AT_JOB}}}) / 0.01", window)
            for window in ("5m", "30m", "1h", "6h")
        ),
        alerts=_BURN,
    ),
)

_TIME = (
    Panel(
        "Duration",
        "From plan to verdict, of those that were committed.",
        "s",
        quantiles("accord_transaction_duration_seconds", of=f'{AT_JOB}, outcome="committed"'),
    ),
    Panel(
        "Duration of those aborted",
        "From plan to the network being as it was before.",
        "s",
        quantiles("accord_transaction_duration_seconds", of=f'{AT_JOB}, outcome="aborted"'),
    ),
    Panel(
        "Where the time goes",
        "Mean time of a transaction in each phase.",
        "s",
        (
            Query(
                f"sum by (phase) (rate(accord_transaction_phase_duration_seconds_sum{{{AT_JOB}}}{RATE}))"
                f" / sum by (phase) (rate(accord_transaction_phase_duration_seconds_count{{{AT_JOB}}}{RATE}))",
                "{{phase}}",
            ),
        ),
        is_stacked=True,
    ),
    Panel(
        "Duration of acts on devices",
        "95th percentile, by act.",
        "s",
        quantiles("accord_rpc_duration_seconds", "act"),
    ),
    Panel(
        "Acts that went wrong",
        "Rejected: the device said no. Lost: no session, or no answer.",
        "ops",
        (
            Query(
                f'sum by (act, outcome) (rate(accord_rpcs_total{{{AT_JOB}, outcome=~"rejected|lost"}}{RATE}))',
                "{{act}} {{outcome}}",
            ),
        ),
    ),
    Panel(
        "Proving",
        "Proof of a plan in the digital twin, before anything is sent.",
        "s",
        quantiles("accord_prove_duration_seconds"),
    ),
)

TRANSACTIONS = Board(
    "transactions",
    "accord / Transactions",
    "Changes of the network: their verdicts, the budget of those that fail, and where the time goes.",
    (("Now", _NOW), ("Verdicts", _VERDICTS), ("Time", _TIME)),
)
