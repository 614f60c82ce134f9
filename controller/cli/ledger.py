"""Owns `accord ledger`: what is reserved and committed of each envelope, and proof that it is so, with no daemon."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.exits import Exit, configuration_errors
from controller.cli.serve import ConfigOption
from controller.cli.session import Session, command, group, leave
from controller.cli.terminal import record, table

app = group("ledger", "The ledger: what is reserved and committed of each wallet's envelope.")
LedgerOption = Annotated[
    Path | None, typer.Option("--ledger", metavar="FILE", help="The ledger; default: that of the settings.")
]


@command(app, "show", "ledger show", "ledger show did:web:bank.example/line-7 --entries -o json")
def _show(
    session: Session,
    *,
    root: Annotated[str, typer.Argument(metavar="ROOT", help="Only this root's envelope.")] = "",
    entries: Annotated[
        bool, typer.Option("--entries", help="Every entry with its two postings, oldest first.")
    ] = False,
    ledger: LedgerOption = None,
    config: ConfigOption = None,
) -> None:
    """List what each reservation holds. Reads only; the daemon may be running or not."""
    from controller.adapters.ledger_sqlite import entries_in, holdings_in, reader

    path = _path(ledger, config)
    with closing(reader(path)) as connection:
        if not entries:
            rows = [_holding(held) for held in holdings_in(connection, root)]
            columns: tuple[str, ...] = ("envelope", "reservation", "class", "reserved", "committed", "made")
        else:
            rows, after = [], 0
            while page := entries_in(connection, root, after):
                rows += [_entry(entry) for entry in page]
                after = page[-1].position
            columns = ("position", "time", "kind", "envelope", "reservation", "class", "amount", "debit", "credit")
    session.terminal.show_rows(rows, columns)


@command(app, "verify", "ledger verify", "ledger verify --ledger ledger.sqlite --expect-head 1042:9f86d0...")
def _verify(
    session: Session,
    *,
    ledger: LedgerOption = None,
    expect_head: Annotated[
        str,
        typer.Option(
            metavar="POSITION:HASH", help="A head that was kept out of reach of whoever can write the ledger."
        ),
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Compute every entry again: its hash, and that the envelope allowed it (exit 1 where anything differs)."""
    from controller.adapters.ledger_audit import verify_ledger

    with session.terminal.progress("verifying"):
        report = verify_ledger(_path(ledger, config), expect_head)
    findings = [{"position": finding.position, "message": finding.message} for finding in report.findings]
    found = {
        "path": report.path,
        "entries": report.entries,
        "head": report.head,
        "is_intact": report.is_intact,
        "findings": findings,
    }
    shown = record(found, ("path", "entries", "head", "is_intact"))
    session.terminal.show(found, shown, *([table(findings, ("position", "message"))] if findings else []))
    if not expect_head:
        session.terminal.say("what was cut off at the end shows only against a head kept elsewhere (--expect-head)")
    if not report.is_intact:
        session.terminal.fail(f"the ledger is not what was posted: {len(findings)} findings")
    leave(Exit.OK if report.is_intact else Exit.FAILURE)


def _path(ledger: Path | None, config: Path | None) -> Path:
    if ledger is not None:
        return ledger
    from controller.adapters.settings_loader import load_settings

    with configuration_errors():
        return load_settings(config).settings.state_dir / "ledger.sqlite"


def _holding(held: Any) -> dict[str, Any]:
    from controller.model.money import Money

    return {
        "envelope": held.envelope,
        "reservation": held.id,
        "class": held.workload_class,
        "reserved": str(Money(held.reserved, held.currency)),
        "committed": str(Money(held.committed, held.currency)),
        "made": _time(held.made_microseconds),
    }


def _entry(entry: Any) -> dict[str, Any]:
    source, target = entry.postings
    return {
        "position": entry.position,
        "time": _time(entry.time_microseconds),
        "kind": entry.kind.value,
        "envelope": entry.envelope,
        "reservation": entry.reservation,
        "class": entry.workload_class,
        "amount": str(entry.amount),
        "debit": source.account.value,
        "credit": target.account.value,
        "key": entry.key,
        "hash": entry.hash.hex(),
    }


def _time(microseconds: int) -> str:
    from controller.cli.terminal import timestamp

    return timestamp(microseconds / 1_000_000)
