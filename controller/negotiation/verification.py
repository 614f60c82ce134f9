"""Owns the verification of a wallet, whole, before any effort is spent on what it came with.

The order (the NaaS draft's "before any quoting effort", and ours by what a check costs and whom it trusts): size,
header, issuer, signature and form of each credential from the root on; then dates, status, the holder, the policy and
the ledger. The first check that is not passed ends it. Only an `Admitted` lets anybody price, plan or judge, and only
this module makes one.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from controller.negotiation.checks import Check, Refusal, RefusedError, Work
from controller.negotiation.credential import Credential, read
from controller.negotiation.delegation import widened
from controller.negotiation.holder import Presentation, read_presentation, read_proof, require_bound
from controller.negotiation.jose import PublicKey, shown
from controller.negotiation.ledger import LedgerView, limits_of
from controller.negotiation.status_list import Lists, require_good
from controller.negotiation.trust import Trust
from controller.negotiation.wallet import ServiceLevelFloor, Wallet

DEFAULT_SKEW_SECONDS = 30.0
Spent = Callable[[Work], None]
"""Told of each piece of effort as it is spent."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the wallet came with: the intent's digest, its class, when it is wanted (seconds), and how good."""

    digest: str
    workload_class: str
    starts: float
    ends: float
    level: ServiceLevelFloor = field(default_factory=ServiceLevelFloor)


@dataclass(frozen=True, slots=True)
class Door:
    """What the verifier knows, and who it is: `audience` is its own DID."""

    audience: str
    trust: Trust
    status: Lists
    ledger: LedgerView
    catalogue_classes: Collection[str]
    skew_seconds: float = DEFAULT_SKEW_SECONDS
    spent: Spent = lambda work: None  # noqa: ARG005 - nobody counts


@dataclass(frozen=True, slots=True)
class Admitted:
    """A wallet that passed every check: its chain, the root's first, and for what it did."""

    chain: tuple[Wallet, ...]
    asked: Asked

    @property
    def wallet(self) -> Wallet:
        """The one that pays."""
        return self.chain[-1]

    @property
    def root(self) -> str:
        """What the ledger counts it by."""
        return self.chain[0].envelope


def verify_wallet(presentation: str, asked: Asked, now: float, door: Door) -> Admitted | Refusal:
    """Whether a presented wallet may pay for what is asked; a refusal names the check."""
    try:
        presented = read_presentation(presentation)
        chain = read_chain(presented, door)
        check_dates(chain, now, door.skew_seconds)
        check_status(chain, now, door)
        _check_holder(presented, chain, asked, now, door)
        check_policy(chain, asked, door)
        _check_ledger(chain, asked, door)
    except RefusedError as error:
        return error.refusal
    return Admitted(tuple(each.wallet for each in chain), asked)


def read_chain(presented: Presentation, door: Door) -> tuple[Credential, ...]:
    """The credentials, each signed by whom it must be: the root by an issuer, a child by its parent's holder."""
    chain: list[Credential] = []
    for secured in presented.credentials:
        holder = chain[-1].wallet.holder if chain else ""
        chain.append(read(secured, _keys(holder, door)))
    if chain[0].wallet.parent is not None:
        raise RefusedError(Check.ISSUER, "the first credential is delegated; the root's comes first")
    return tuple(chain)


def check_dates(chain: Sequence[Credential], now: float, skew_seconds: float) -> None:
    """Pass when every wallet is valid now, give or take the skew."""
    for each in chain:
        if now < each.wallet.terms.valid_from - skew_seconds:
            raise RefusedError(Check.DATES, "it is not valid yet; is a clock wrong?")
        if now >= each.wallet.terms.valid_until + skew_seconds:
            raise RefusedError(Check.DATES, "it has expired")


def check_status(chain: Sequence[Credential], now: float, door: Door) -> None:
    """Pass when no credential is revoked. A root must have a status; a child may do without, it falls with its root."""
    if chain[0].status is None:
        raise RefusedError(Check.STATUS, "a root wallet says where its revocation would be found")
    for each in chain:
        if each.status is not None:
            door.spent(Work.STATUS)
            owner = door.trust.status_lists.get(each.status.address)
            if owner != each.wallet.issuer:
                raise RefusedError(Check.STATUS, "its issuer does not sign the list that it names")
            require_good(each.status, door.status, now, door.skew_seconds)


def check_policy(chain: Sequence[Credential], asked: Asked | None, door: Door) -> None:
    """Pass when no child is wider than its parent and what is asked fits the wallet.

    None asks for nothing; then an empty audience is nowhere, and may be anywhere.
    """
    wallets = [each.wallet for each in chain]
    for parent, child in pairwise(wallets):
        fault = widened(child, parent)
        if fault:
            raise RefusedError(Check.POLICY, f"the delegated wallet: {fault}")
    terms = wallets[-1].terms
    is_somewhere = asked is not None or door.audience
    if is_somewhere and terms.operators and door.audience not in terms.operators:
        raise RefusedError(Check.POLICY, "it may not be spent at this operator")
    if asked is not None:
        _check_asked(wallets[-1], asked, door)


def _check_asked(wallet: Wallet, asked: Asked, door: Door) -> None:
    terms, name = wallet.terms, shown(asked.workload_class)
    if asked.workload_class not in door.catalogue_classes:
        raise RefusedError(Check.POLICY, f"nothing is offered for workload class '{name}'")
    if asked.workload_class not in terms.classes:
        raise RefusedError(Check.POLICY, f"it does not pay for workload class '{name}'")
    if not terms.valid_from <= asked.starts < asked.ends <= terms.valid_until:
        raise RefusedError(Check.POLICY, "the service would not lie within its validity")
    fault = terms.floor.broken_by(asked.level)
    if fault:
        raise RefusedError(Check.POLICY, f"below its service-level floor: {fault}")


def _keys(holder: str, door: Door) -> Callable[[str], PublicKey | None]:
    """The keys that may sign the next credential; finding one is what the verification of a signature follows."""

    def key_of(key_id: str) -> PublicKey | None:
        key = door.trust.key_of_party(key_id, holder) if holder else door.trust.issuer_key(key_id)
        if key is not None:
            door.spent(Work.SIGNATURE)
        return key

    return key_of


def _check_holder(presented: Presentation, chain: Sequence[Credential], asked: Asked, now: float, door: Door) -> None:
    holder = chain[-1].wallet.holder
    proof = read_proof(presented.proof, _keys(holder, door))
    require_bound(proof, chain, audience=door.audience, intent=asked.digest, now=now, skew_seconds=door.skew_seconds)
    door.spent(Work.LEDGER)
    if not door.ledger.claim_nonce(holder, proof.nonce, proof.expires + door.skew_seconds, now):
        raise RefusedError(Check.HOLDER, "this presentation was used before")


def _check_ledger(chain: Sequence[Credential], asked: Asked, door: Door) -> None:
    """Pass when there is anything left; whether it is enough is asked when the price is known, by the ledger itself."""
    wallets = [each.wallet for each in chain]
    door.spent(Work.LEDGER)
    currency = door.ledger.currency_of(wallets[0].envelope)
    if currency and currency != wallets[0].terms.ceiling.currency:
        raise RefusedError(Check.LEDGER, f"this root is counted in {currency}")
    for limit in limits_of(wallets, asked.workload_class):
        if door.ledger.taken(limit.scope) >= limit.ceiling:
            raise RefusedError(Check.LEDGER, f"nothing is left of the ceiling of '{limit.scope}'")
        if door.ledger.taken(limit.scope, asked.workload_class) >= limit.class_ceiling:
            raise RefusedError(Check.LEDGER, f"nothing is left for its class in '{limit.scope}'")
