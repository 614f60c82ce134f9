"""Owns the consumer's floor: what terms its policy agent may accept, whatever anybody would judge.

Draft naas-agentic-negotiation, The Intent Wallet and a Bounded Model: an unaffordable offer is rejected, a change that
breaks the service level is blocked. The checks are those of the wallet that the consumer itself has signed, against the
consumer's own account of what it is bound to; the operator's ledger makes the same sure again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.model.money import Money
from controller.negotiation.agreement import Terms
from controller.negotiation.wallet import WalletTerms


class OfferCheck(StrEnum):
    """Why terms cannot be accepted, in the order in which it is looked at."""

    EXPIRY = "expiry"
    REQUEST = "request"
    """They are not about what was asked."""
    WORKLOAD_CLASS = "workload-class"
    WINDOW = "window"
    CURRENCY = "currency"
    AMOUNT = "amount"
    """What is to be paid on top does not follow from the price."""
    SERVICE_LEVEL = "service-level"
    CEILING = "ceiling"
    CLASS_CEILING = "class-ceiling"
    RATE = "rate"
    GAIN = "gain"
    """A switch would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class OfferRefusal:
    """The check that terms do not pass, and the sentence that says why."""

    check: OfferCheck
    text: str


@dataclass(frozen=True, slots=True)
class Account:
    """What the consumer is bound to under one wallet: by class, and what was newly taken within the last hour."""

    bound: Mapping[str, Money] = field(default_factory=dict)
    within_the_hour: Money | None = None

    def total(self, currency: str) -> Money:
        """Of all classes."""
        made = Money.zero(currency)
        for amount in self.bound.values():
            made += amount
        return made


def refusal_of(terms: Terms, wallet: WalletTerms, account: Account, now: float) -> OfferRefusal | None:
    """Why these terms cannot be accepted under this wallet; None when they can."""
    checks = (_untimely, _outside, _breaking, _unaffordable)
    return next((found for check in checks if (found := check(terms, wallet, account, now))), None)


def _untimely(terms: Terms, wallet: WalletTerms, _account: Account, now: float) -> OfferRefusal | None:
    if terms.quote.valid_until <= now:
        return OfferRefusal(OfferCheck.EXPIRY, f"the quote ran out {now - terms.quote.valid_until:.0f} s ago")
    if not wallet.valid_from <= now < wallet.valid_until:
        return OfferRefusal(OfferCheck.WINDOW, "the wallet is not valid now")
    return None


def _outside(terms: Terms, wallet: WalletTerms, _account: Account, _now: float) -> OfferRefusal | None:
    if terms.request.workload_class not in wallet.classes:
        return OfferRefusal(
            OfferCheck.WORKLOAD_CLASS, f"the wallet is not for workloads of class '{terms.request.workload_class}'"
        )
    currencies = {terms.quote.total.currency, terms.amount.currency, wallet.ceiling.currency}
    if len(currencies) > 1:
        return OfferRefusal(
            OfferCheck.CURRENCY, f"it costs {terms.quote.total}, the wallet is in {wallet.ceiling.currency}"
        )
    if terms.amount.minor < 0 or terms.amount > terms.quote.total:
        return OfferRefusal(OfferCheck.AMOUNT, f"{terms.amount} is to be paid for what costs {terms.quote.total}")
    return None


def _breaking(terms: Terms, wallet: WalletTerms, _account: Account, _now: float) -> OfferRefusal | None:
    broken = wallet.floor.broken_by(terms.level.as_floor)
    return OfferRefusal(OfferCheck.SERVICE_LEVEL, broken) if broken else None


def _unaffordable(terms: Terms, wallet: WalletTerms, account: Account, _now: float) -> OfferRefusal | None:
    currency, name = wallet.ceiling.currency, terms.request.workload_class
    left = wallet.ceiling - account.total(currency)
    if terms.amount > left:
        return OfferRefusal(OfferCheck.CEILING, f"it takes {terms.amount} and {left} of {wallet.ceiling} is left")
    limit = wallet.limit_of(name)
    left = limit - account.bound.get(name, Money.zero(currency))
    if terms.amount > left:
        return OfferRefusal(
            OfferCheck.CLASS_CEILING, f"it takes {terms.amount} and {left} of the {limit} for '{name}' is left"
        )
    rate = wallet.maximum_rate_per_hour
    taken = account.within_the_hour or Money.zero(currency)
    if rate is not None and taken + terms.amount > rate:
        return OfferRefusal(OfferCheck.RATE, f"it takes {terms.amount} after {taken} within the hour, at most {rate}")
    return None
