"""Owns `accord audit`: proving that the event log is what was written, without the daemon."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.exits import Exit, configuration_errors
from controller.cli.serve import ConfigOption
from controller.cli.session import Session, command, group, leave
from controller.cli.terminal import record, table

app = group("audit", "Proof that the log is what was written.")


@command(
    app,
    "verify",
    "audit verify",
    "audit verify --log /var/lib/accord/events.sqlite --expect-head 1042:9f86d0...",
)
def _verify(
    session: Session,
    log: Annotated[Path | None, typer.Option(help="The event log; default: that of the settings.")] = None,
    expect_head: Annotated[
        str,
        typer.Option(metavar="POSITION:HASH", help="A head that was kept out of reach of whoever can write the log."),
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Find any flipped, missing, swapped or added record (exit 1). Reads only; the daemon may be running or not."""
    from controller.adapters.event_log_audit import verify
    from controller.adapters.settings_loader import load_settings

    if log is None:
        with configuration_errors():
            log = load_settings(config).settings.state_dir / "events.sqlite"
    with session.terminal.progress("verifying"):
        report = verify(log, expect_head)
    findings = [{"position": item.position, "message": item.message} for item in report.findings]
    found = {
        "path": report.path,
        "events": report.events,
        "head": report.head,
        "compared_with": list(report.heads),
        "is_intact": report.is_intact,
        "is_complete": report.is_complete,
        "findings": findings,
    }
    shown = record(found, ("path", "events", "head", "compared_with", "is_intact", "is_complete"))
    session.terminal.show(found, shown, *([table(findings, ("position", "message"))] if findings else []))
    session.terminal.say(report.limits)
    if not report.is_intact:
        session.terminal.fail(f"the log is not what was written: {len(findings)} findings")
    leave(Exit.OK if report.is_intact else Exit.FAILURE)
