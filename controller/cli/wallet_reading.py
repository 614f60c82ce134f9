"""Owns what the wallet commands do with files: reading them, telling what they say, delegating, and the checks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from controller.adapters.clock import SystemClock
from controller.adapters.ledger_sqlite import Rows, SqliteLedger, reader
from controller.adapters.status_lists import StatusLists
from controller.adapters.trust_file import load_trust
from controller.adapters.wallet_files import Identity, allot, new_id
from controller.cli.exits import UsageError, configuration_errors
from controller.cli.wallet_terms import Said
from controller.model.errors import ConflictError, InvalidInputError, NotFoundError
from controller.negotiation import credential
from controller.negotiation.checks import Check, Refusal, RefusedError
from controller.negotiation.credential import Credential
from controller.negotiation.delegation import widened
from controller.negotiation.holder import MOST_OCTETS, Presentation, read_presentation, read_proof, require_bound
from controller.negotiation.ledger import EntryKind, Limit, Order
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.verification import (
    DEFAULT_SKEW_SECONDS,
    Door,
    check_dates,
    check_policy,
    check_status,
    read_chain,
)
from controller.negotiation.wallet import Wallet, percent
from controller.negotiation.wallet_codec import decimal_to_json, time_to_json

_DELEGATED = "(delegated)"
"""Stands where a reservation has its class; no class is called so."""


def read_wallet(path: Path) -> Presentation:
    """The wallet in a file, not verified; `InvalidInputError` when there is none in it."""
    try:
        return read_presentation(_text(path))
    except RefusedError as error:
        raise InvalidInputError(f"this is no wallet: {error.refusal}", path=str(path)) from error


def write_wallet(credentials: list[str], out: Path | None) -> str:
    """The text of a wallet's file; written to `out`, where that is said and not there yet."""
    text = Presentation(tuple(credentials)).text() + "\n"
    if out is not None:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    return text


def refuse_existing(out: Path | None) -> None:
    """A wallet is never written over. Asked before a place is allotted, or money reserved, for one."""
    if out is not None and out.exists():
        raise ConflictError(
            "the file is there already", remedy="name another with --out, or take it away", path=str(out)
        )


def shown(path: Path) -> list[dict[str, Any]]:
    """What each wallet of a file says, the root first."""
    return [_said(each) for each in _unverified(read_wallet(path))]


def id_of(which: str) -> str:
    """The id of the last wallet in a file, or what was written where there is no such file."""
    path = Path(which)
    return _unverified(read_wallet(path))[-1].wallet.id if which and path.is_file() else which


def digest_of_file(path: Path) -> str:
    """SHA-256 of an intent's file, in hexadecimal."""
    return sha256(path.read_bytes()).hexdigest()


def delegated(
    identity: Identity, path: Path, *, name: str, holder: str, said: Said, now: float, ledger: Path | None
) -> list[str]:
    """The credentials of a child, behind those of its parent; its ceiling reserved in the ledger, if there is one."""
    parents = read_wallet(path).credentials
    chain = [each.wallet for each in _unverified(Presentation(parents))]
    parent = chain[-1]
    if parent.holder != identity.did:
        raise ConflictError(f"'{parent.holder}' holds this wallet, not '{identity.did}'", path=str(path))
    terms = said.terms(int(now), parent.terms)
    child = Wallet(new_id(), f"{parent.envelope}/{name}", identity.did, holder, terms, parent.id)
    fault = widened(child, parent)
    if fault:
        raise ConflictError(f"this would go beyond what you hold: {fault}", path=str(path))
    if ledger is not None:
        _reserve(chain, child, ledger, now)
    status = allot(identity, child.id) if identity.status_list else None
    return [*parents, credential.issue(child, identity.key, status)]


def verified(path: Path, trust: Path, audience: str, intent: Path | None, ledger: Path | None) -> dict[str, Any]:
    """The result of each check, in their order, up to the first that is not passed."""
    with configuration_errors():
        registry = load_trust(trust)
    clock = SystemClock()
    lists = StatusLists(registry, clock)
    faults = lists.refresh()
    if bool(audience) is not bool(intent):
        raise UsageError("the holder's proof is for an operator and an intent: say --audience and --intent")
    report = _Report()
    door = Door(audience, registry.trust, lists.get, LedgerState(), ())
    try:
        presented = read_presentation(_text(path))
        chain = read_chain(presented, door)
        report.passed(Check.SIZE, Check.HEADER, Check.ISSUER, Check.SIGNATURE, Check.FORM)
        report.run(Check.DATES, lambda: check_dates(chain, clock.now(), DEFAULT_SKEW_SECONDS))
        report.run(Check.STATUS, lambda: check_status(chain, clock.now(), door))
        if intent is not None:
            report.run(Check.HOLDER, lambda: _check_holder(presented, chain, door, intent, clock.now()))
        report.run(Check.POLICY, lambda: check_policy(chain, None, door))
        if ledger is not None:
            report.run(Check.LEDGER, lambda: _check_ledger(chain, ledger))
    except RefusedError as error:
        report.refused(error.refusal)
    return {"path": str(path), **report.document(), "unreadable_lists": dict(faults)}


@dataclass(slots=True)
class _Report:
    """Which checks were passed, and which was not."""

    _passed: list[Check] = field(default_factory=list)
    _refusal: Refusal | None = None

    def passed(self, *checks: Check) -> None:
        self._passed.extend(checks)

    def run(self, check: Check, action: Callable[[], None]) -> None:
        action()
        self._passed.append(check)

    def refused(self, refusal: Refusal) -> None:
        self._refusal = refusal
        if not self._passed:
            self._passed = list(Check)[: list(Check).index(refusal.check)]

    def document(self) -> dict[str, Any]:
        refused = self._refusal.check if self._refusal else None
        results = [
            {"check": check.value, "result": "refused" if check is refused else self._result(check)} for check in Check
        ]
        text = self._refusal.text if self._refusal else ""
        return {"refused_by": refused.value if refused else "", "reason": text, "checks": results}

    def _result(self, check: Check) -> str:
        return "passed" if check in self._passed else "not looked at"


def _check_holder(presented: Presentation, chain: tuple[Credential, ...], door: Door, intent: Path, now: float) -> None:
    holder = chain[-1].wallet.holder
    proof = read_proof(presented.proof, lambda key_id: door.trust.key_of_party(key_id, holder))
    digest = digest_of_file(intent)
    require_bound(proof, chain, audience=door.audience, intent=digest, now=now, skew_seconds=door.skew_seconds)


def _check_ledger(chain: tuple[Credential, ...], ledger: Path) -> None:
    connection = reader(ledger)
    try:
        rows = Rows(connection)
        for each in chain:
            if rows.taken(each.wallet.envelope) >= each.wallet.terms.ceiling.minor:
                raise RefusedError(Check.LEDGER, f"nothing is left of the ceiling of '{each.wallet.envelope}'")
    finally:
        connection.close()


def _reserve(chain: list[Wallet], child: Wallet, path: Path, now: float) -> None:
    """Hold a child's whole ceiling in the delegator's own ledger, of no class, as somebody else will spend it."""
    limits = tuple(Limit(each.envelope, each.terms.ceiling.minor, each.terms.ceiling.minor) for each in chain)
    key, amount = f"delegated:{child.envelope}", child.terms.ceiling
    order = Order(EntryKind.RESERVE, chain[-1].envelope, key, key, amount.minor, amount.currency, _DELEGATED, limits)
    ledger = SqliteLedger(path)
    try:
        answer = ledger.post(order, now)
    finally:
        ledger.close()
    if isinstance(answer, Refusal):
        raise ConflictError(f"its ceiling cannot be reserved: {answer.text}", path=str(path))


def _unverified(presented: Presentation) -> list[Credential]:
    """The credentials as they read, whoever signed them."""
    try:
        return [credential.read_unverified(each) for each in presented.credentials]
    except RefusedError as error:
        raise InvalidInputError(f"this is no wallet: {error.refusal}") from error


def _said(each: Credential) -> dict[str, Any]:
    wallet, terms = each.wallet, each.wallet.terms
    floor = terms.floor
    floors = [f"at least {floor.bandwidth}"] if floor.bandwidth else []
    floors += [f"at most {floor.latency}"] if floor.latency else []
    floors += [f"{percent(floor.availability)} of the time"] if floor.availability else []
    return {
        "id": wallet.id,
        "envelope": wallet.envelope,
        "issuer": wallet.issuer,
        "holder": wallet.holder,
        "parent": wallet.parent or "",
        "ceiling": str(terms.ceiling),
        "classes": [
            f"{name} up to {terms.limit_of(name)} (x{decimal_to_json(of.multiplier)})"
            for name, of in terms.classes.items()
        ],
        "floor": floors,
        "rate_per_hour": str(terms.maximum_rate_per_hour or ""),
        "valid_from": time_to_json(terms.valid_from),
        "valid_until": time_to_json(terms.valid_until),
        "delegation": f"{terms.delegation.depth} deep" if terms.delegation.depth else "",
        "delegate_to": sorted(terms.delegation.holders),
        "operators": sorted(terms.operators),
        "status": f"{each.status.address}#{each.status.index}" if each.status else "",
        "digest": each.digest,
    }


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except FileNotFoundError:
        raise NotFoundError("there is no such file", path=str(path)) from None
    return octets.decode("utf-8", "surrogateescape").strip()
