"""Owns the judge: which of several admitted options is taken. Rules choose; a model could only pick among the same.

Draft naas-agentic-negotiation, The Intent Wallet and a Bounded Model: the deterministic floor (wallet, debit gate,
capacity filter, service-level honour, strategy chooser) has passed every option that comes here, and what a judge says
that is none of them counts for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.negotiation.agreement import Strategy, Terms
from controller.negotiation.strategy import CHOICES, Temper, temper_of


class Judge(Protocol):
    """Picks one of the options by its id, or none of them by an empty text."""

    def choose(self, options: Sequence[Terms]) -> str:
        """The id of the terms to take."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """The deterministic judge.

    A service-level-sensitive class takes the strategies in its own order and then what costs least; the others take
    what costs least and then the strategies in their order.
    """

    def choose(self, options: Sequence[Terms]) -> str:
        """The id of the terms to take; empty when there are none."""
        return min(options, key=_rank).id if options else ""


def decided(judge: Judge, options: Sequence[Terms]) -> Terms | None:
    """What the judge picks among the options; the rules decide where it names none of them."""
    by_id = {one.id: one for one in options}
    picked = by_id.get(judge.choose(options))
    return picked if picked is not None else by_id.get(Rules().choose(options))


def _rank(terms: Terms) -> tuple[int, int, str]:
    temper = temper_of(terms.request.workload_class)
    order = (Strategy.AS_ASKED, Strategy.STEP_BACK, *CHOICES[temper])
    fit, cost = order.index(terms.strategy) if terms.strategy in order else len(order), terms.quote.total.minor
    return (fit, cost, terms.id) if temper is Temper.SERVICE_LEVEL else (cost, fit, terms.id)
