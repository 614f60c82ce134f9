"""Owns `accord wallet`: issuing, showing, verifying, delegating and revoking wallets, with files and no daemon."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from controller.cli.exits import Exit, UsageError
from controller.cli.session import Session, command, group, leave
from controller.cli.terminal import record, table
from controller.cli.wallet_terms import (
    CeilingOption,
    ClassOption,
    DelegateToOption,
    DepthOption,
    FloorAvailabilityOption,
    FloorBandwidthOption,
    FloorLatencyOption,
    ForOption,
    OperatorOption,
    RateOption,
    Said,
)

app = group("wallet", "Intent wallets: what an agent may commit, of whose money, for which workloads.")
DirectoryArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Directory with key.pem, made by init.")]
WalletArgument = Annotated[Path, typer.Argument(metavar="WALLET", help="The wallet's file.")]
HolderOption = Annotated[str, typer.Option("--holder", metavar="DID", help="Who may spend it.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it here, not to stdout.")]
_TERMS = ("holder", "envelope", "ceiling", "classes", "floor", "rate_per_hour", "valid_from", "valid_until")
_MORE = ("delegation", "operators", "issuer", "id", "parent", "status")


@command(
    app,
    "init",
    "wallet init bank --id did:web:bank.example --status-list https://bank.example/status/1",
    "wallet init shop",
)
def _init(
    session: Session,
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
    did: Annotated[str, typer.Option("--id", metavar="DID", help="Whose it is; default: named by its key.")] = "",
    status_list: Annotated[
        str,
        typer.Option(
            "--status-list",
            metavar="URL",
            help="Where its status list is served; an issuer has one, who delegates may.",
        ),
    ] = "",
) -> None:
    """Make a directory with a key, to issue wallets or to hold them. The key stays in it, mode 0600."""
    from controller.adapters.clock import SystemClock
    from controller.adapters.wallet_files import create_identity

    identity = create_identity(directory, did, status_list, now=SystemClock().now())
    session.terminal.show(dict(identity.public), record(identity.public))
    if status_list:
        session.terminal.say(f"serve {directory}/status.jwt at {status_list}; operators trust {directory}/trust.yaml")


@command(
    app,
    "issue",
    "wallet issue bank --name line-7 --holder did:key:z6Mk... --ceiling '500.00 EUR' --class bulk --for 30d > w.json",
    "wallet issue bank --name line-7 --holder did:key:z6Mk... --ceiling '500.00 EUR' --class premium=200.00:1.5 \\\n"
    "    --class bulk=:0.1 --floor-latency '50 ms' --rate 100.00 --depth 1 --for 30d --out wallet.json",
)
def _issue(
    session: Session,
    *,
    directory: DirectoryArgument,
    name: Annotated[str, typer.Option(help="The envelope's name; the same name again re-issues, and adds nothing.")],
    holder: HolderOption,
    ceiling: CeilingOption,
    workload_class: ClassOption,
    lasts: ForOption,
    floor_bandwidth: FloorBandwidthOption = "",
    floor_latency: FloorLatencyOption = "",
    floor_availability: FloorAvailabilityOption = "",
    rate: RateOption = "",
    depth: DepthOption = 0,
    delegate_to: DelegateToOption = None,
    operator: OperatorOption = None,
    embedded_proof: Annotated[
        bool, typer.Option("--embedded-proof", help="Sign it by eddsa-jcs-2022 instead of as a vc+jwt.")
    ] = False,
    out: OutOption = None,
) -> None:
    """Sign a wallet for a holder; it may be spent until it ends or is revoked."""
    from controller.adapters.clock import SystemClock
    from controller.adapters.wallet_files import allot, load_identity, new_id
    from controller.cli.wallet_reading import refuse_existing
    from controller.negotiation import credential
    from controller.negotiation.wallet import Wallet

    refuse_existing(out)
    now, identity = int(SystemClock().now()), load_identity(directory)
    if not identity.status_list:
        raise UsageError(
            "a root wallet can be revoked, so its issuer has a status list", remedy="init --status-list URL"
        )
    said = Said(
        ceiling, tuple(workload_class), lasts, floor_bandwidth, floor_latency, floor_availability, rate, depth,
        tuple(delegate_to or ()), tuple(operator or ()),
    )  # fmt: skip
    wallet = Wallet(new_id(), f"{identity.did}/{name}", identity.did, holder, said.terms(now))
    status = allot(identity, wallet.id)
    sign = credential.issue_with_proof if embedded_proof else credential.issue
    _write(session, [sign(wallet, identity.key, status)], out)


@command(
    app,
    "delegate",
    "wallet delegate shop wallet.json --name retail --holder did:key:z6Mk... --ceiling '100.00 EUR' > child.json",
    "wallet delegate shop wallet.json --name retail --holder did:web:retail.example --ceiling '100.00 EUR' \\\n"
    "    --ledger ledger.sqlite --out child.json",
)
def _delegate(
    session: Session,
    *,
    directory: DirectoryArgument,
    path: WalletArgument,
    name: Annotated[str, typer.Option(help="The name of the delegated part of the envelope.")],
    holder: HolderOption,
    ceiling: CeilingOption,
    workload_class: ClassOption = (),  # type: ignore[assignment]  # typer gives a list
    lasts: ForOption = "",
    floor_bandwidth: FloorBandwidthOption = "",
    floor_latency: FloorLatencyOption = "",
    floor_availability: FloorAvailabilityOption = "",
    rate: RateOption = "",
    depth: DepthOption = 0,
    delegate_to: DelegateToOption = None,
    operator: OperatorOption = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Reserve its ceiling here, so that it is not spent twice.")
    ] = None,
    out: OutOption = None,
) -> None:
    """Hand on a part of a wallet that you hold: narrower in every term, counted against the whole.

    It falls with the wallet it is from; where DIR has a status list, it can be revoked by itself as well.

    What is not said is as in the parent. A class is given with its terms; only classes of the parent can be.
    """
    from controller.adapters.clock import SystemClock
    from controller.adapters.wallet_files import load_identity
    from controller.cli.wallet_reading import delegated, refuse_existing

    refuse_existing(out)
    said = Said(
        ceiling, tuple(workload_class), lasts, floor_bandwidth, floor_latency, floor_availability, rate, depth,
        tuple(delegate_to or ()), tuple(operator or ()),
    )  # fmt: skip
    credentials = delegated(
        load_identity(directory), path, name=name, holder=holder, said=said, now=SystemClock().now(), ledger=ledger
    )
    _write(session, credentials, out)


@command(app, "show", "wallet show wallet.json", "wallet show wallet.json -o json")
def _show(session: Session, *, path: WalletArgument) -> None:
    """Print what a wallet says, from the root on. Nothing is verified: a forged one is shown as well."""
    from controller.cli.wallet_reading import shown

    wallets = shown(path)
    session.terminal.show(list(wallets), *(record(wallet, (*_TERMS, *_MORE)) for wallet in wallets))
    session.terminal.say("as it says itself; accord wallet verify tells whether it is so")


@command(
    app,
    "present",
    "wallet present shop wallet.json --audience did:web:operator.example --intent intent.json > presentation.json",
)
def _present(
    session: Session,
    *,
    directory: DirectoryArgument,
    path: WalletArgument,
    audience: Annotated[str, typer.Option(metavar="DID", help="The operator that it is presented to.")],
    intent: Annotated[Path, typer.Option(metavar="FILE", exists=True, help="The intent that it is to pay for.")],
    seconds: Annotated[int, typer.Option(min=1, max=300, help="How long the presentation is good.")] = 60,
) -> None:
    """Prove that you hold a wallet: for one intent, to one operator, once."""
    from controller.adapters.clock import SystemClock
    from controller.adapters.wallet_files import load_identity, new_nonce
    from controller.cli.wallet_reading import digest_of_file, read_wallet
    from controller.negotiation.holder import present

    identity, wallet = load_identity(directory), read_wallet(path)
    made = present(
        wallet.credentials,
        identity.key,
        audience=audience,
        intent=digest_of_file(intent),
        nonce=new_nonce(),
        now=SystemClock().now(),
        seconds=seconds,
    )
    session.terminal.write(made.text() + "\n")


@command(
    app,
    "verify",
    "wallet verify wallet.json --trust trust.yaml",
    "wallet verify presentation.json --trust trust.yaml --audience did:web:operator.example --intent intent.json \\\n"
    "    --ledger ledger.sqlite",
)
def _verify(
    session: Session,
    *,
    path: WalletArgument,
    trust: Annotated[Path, typer.Option(metavar="FILE", help="Whose wallets are taken: keys and status lists.")],
    audience: Annotated[str, typer.Option(metavar="DID", help="The operator that it was presented to.")] = "",
    intent: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, help="The intent that it was presented for.")
    ] = None,
    ledger: Annotated[Path | None, typer.Option(help="See that something is left in it.")] = None,
) -> None:
    """Go through the checks in their order and tell the first that is not passed (exit 4). Nothing is recorded.

    The holder is checked where --audience and --intent are given, what is left where --ledger is.
    """
    from controller.cli.wallet_reading import verified

    with session.terminal.progress("verifying"):
        report = verified(path, trust, audience, intent, ledger)
    checks = report["checks"]
    session.terminal.show(report, table(checks, ("check", "result")))
    if report["refused_by"]:
        session.terminal.fail(f"refused by check '{report['refused_by']}': {report['reason']}")
    leave(Exit.REFUSED if report["refused_by"] else Exit.OK)


@command(
    app, "revoke", "wallet revoke bank wallet.json", "wallet revoke bank urn:uuid:3f0c...", "wallet revoke bank --renew"
)
def _revoke(
    session: Session,
    *,
    directory: DirectoryArgument,
    which: Annotated[str, typer.Argument(metavar="WALLET|ID", help="The wallet's file, or its id.")] = "",
    renew: Annotated[bool, typer.Option("--renew", help="Revoke none; sign the list anew before it ends.")] = False,
) -> None:
    """Revoke a wallet, and with it all that was delegated from it, and sign the status list anew.

    DIR is that of whoever issued or delegated it.
    """
    from controller.adapters.clock import SystemClock
    from controller.adapters.wallet_files import load_identity, revoke
    from controller.cli.wallet_reading import id_of

    if bool(which) is renew:
        raise UsageError("name a wallet, or say --renew, not both")
    identity, wallet = load_identity(directory), id_of(which)
    issued = revoke(identity, wallet, SystemClock().now())
    said = {"revoked": wallet, "status_list": str(directory / "status.jwt"), "issued": issued}
    session.terminal.show(said, record(said))
    session.terminal.say(f"serve {directory}/status.jwt at {identity.status_list}; it is believed within five minutes")


def _write(session: Session, credentials: list[str], out: Path | None) -> None:
    from controller.cli.wallet_reading import write_wallet

    text = write_wallet(credentials, out)
    if out is None:
        session.terminal.write(text)
    else:
        session.terminal.show({"wallet": str(out), "credentials": len(credentials)}, Text(f"wrote {out}"))
