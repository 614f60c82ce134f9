"""Owns who may do what in a negotiation: seven agents in three domains, the typed tools, and which agent has which.

Draft naas-agentic-negotiation, Cooperating Agents with Single Responsibilities: every change of state is one call of
one tool, attributable to one agent, and an event in its domain's log. What is not in the table is not allowed.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from controller.model.errors import NotAuthorizedError


class Domain(StrEnum):
    """A side of the negotiation with its own key and its own log; one process may hold several."""

    ENTERPRISE = "enterprise"
    BSS = "bss"
    OSS = "oss"


class Role(StrEnum):
    """The seven agents."""

    REQUIREMENT = "enterprise-requirement"
    """Turns what applications need, or an event about them, into an intent."""
    ENTERPRISE_POLICY = "enterprise-policy"
    """Holds the wallet, attaches it, picks within guardrails, decides on counter-offers, debits."""
    BSS_POLICY = "bss-policy"
    """Verifies the wallet before anything is priced, planned or asked of a model."""
    BSS_NEGOTIATION = "bss-negotiation"
    """Quotes, signs, orders, holds the money, and runs renegotiation."""
    OSS_NEGOTIATION = "oss-negotiation"
    """Validates orders: the thin interface between BSS and OSS."""
    OSS_PLANNING = "oss-planning"
    """Says what is feasible at which scarcity, provisions, changes and removes."""
    OSS_ASSURANCE = "oss-assurance"
    """Watches each agreement and tells of predicted breach and of recovery."""

    @property
    def domain(self) -> Domain:
        """Whose agent it is."""
        return Domain(self.value.partition("-")[0])


class Tool(StrEnum):
    """What an agent can do. A tool that reaches outside (marked so) brings a result, which its event holds."""

    DECLARE_INTENT = "declare-intent"
    ATTACH_WALLET = "attach-wallet"
    """Outside: the holder's proof of possession over the intent."""
    PROPOSE = "propose"
    SIGN_TERMS = "sign-terms"
    """Outside: the consumer's key."""
    ACCEPT_OFFER = "accept-offer"
    COUNTER_OFFER = "counter-offer"
    REFUSE_OFFER = "refuse-offer"
    DEBIT = "debit"
    """The consumer's own account of what it is bound to."""
    WITHDRAW = "withdraw"
    VERIFY_WALLET = "verify-wallet"
    """Outside: trust registry, status list, ledger."""
    REFUSE_WALLET = "refuse-wallet"
    ASK_FEASIBILITY = "ask-feasibility"
    OFFER = "offer"
    RESERVE_MONEY = "reserve-money"
    """Outside: the ledger; so are commit, release and refund."""
    SIGN_AGREEMENT = "sign-agreement"
    """Outside: the operator's key."""
    ISSUE_ORDER = "issue-order"
    COMMIT_MONEY = "commit-money"
    RELEASE_MONEY = "release-money"
    REPORT_OUTCOME = "report-outcome"
    REFUSE_CONSUMER = "refuse-consumer"
    END_AGREEMENT = "end-agreement"
    """The agreed time is over."""
    LET_LAPSE = "let-lapse"
    FIND_OFFERS = "find-offers"
    """Outside: catalogue, forecast, TE database; holds capacity until the offers expire."""
    ANSWER_FEASIBILITY = "answer-feasibility"
    VALIDATE_ORDER = "validate-order"
    """Outside: the keys of both sides, and the clock."""
    REFUSE_ORDER = "refuse-order"
    PROVISION = "provision"
    """Outside: plan, twin, transaction."""
    REPORT_SERVICE = "report-service"
    FREE_CAPACITY = "free-capacity"
    """Outside: what was held for offers that nobody took."""
    WATCH = "watch"
    """What assurance makes of an agreement: a step of its instance."""
    FLAG_RISK = "flag-risk"
    FLAG_RECOVERY = "flag-recovery"
    TAKE_IN = "take-in"
    """A message that passed every check."""
    TURN_AWAY = "turn-away"
    """A message that did not; nothing else happens."""
    GIVE_UP = "give-up"
    """What was said was turned away by the other side."""


_R, _T = Role, Tool
_DOORS = frozenset(_R) - {_R.REQUIREMENT}
AUTHORITY: Mapping[Tool, frozenset[Role]] = MappingProxyType(
    {
        _T.DECLARE_INTENT: frozenset({_R.REQUIREMENT}),
        _T.ATTACH_WALLET: frozenset({_R.ENTERPRISE_POLICY}),
        _T.PROPOSE: frozenset({_R.ENTERPRISE_POLICY}),
        _T.SIGN_TERMS: frozenset({_R.ENTERPRISE_POLICY}),
        _T.ACCEPT_OFFER: frozenset({_R.ENTERPRISE_POLICY}),
        _T.COUNTER_OFFER: frozenset({_R.ENTERPRISE_POLICY}),
        _T.REFUSE_OFFER: frozenset({_R.ENTERPRISE_POLICY}),
        _T.DEBIT: frozenset({_R.ENTERPRISE_POLICY}),
        _T.WITHDRAW: frozenset({_R.ENTERPRISE_POLICY}),
        _T.VERIFY_WALLET: frozenset({_R.BSS_POLICY}),
        _T.REFUSE_WALLET: frozenset({_R.BSS_POLICY}),
        _T.ASK_FEASIBILITY: frozenset({_R.BSS_NEGOTIATION}),
        _T.OFFER: frozenset({_R.BSS_NEGOTIATION}),
        _T.RESERVE_MONEY: frozenset({_R.BSS_NEGOTIATION}),
        _T.SIGN_AGREEMENT: frozenset({_R.BSS_NEGOTIATION}),
        _T.ISSUE_ORDER: frozenset({_R.BSS_NEGOTIATION}),
        _T.COMMIT_MONEY: frozenset({_R.BSS_NEGOTIATION}),
        _T.RELEASE_MONEY: frozenset({_R.BSS_NEGOTIATION}),
        _T.REPORT_OUTCOME: frozenset({_R.BSS_NEGOTIATION}),
        _T.REFUSE_CONSUMER: frozenset({_R.BSS_NEGOTIATION}),
        _T.END_AGREEMENT: frozenset({_R.BSS_NEGOTIATION}),
        _T.LET_LAPSE: frozenset({_R.BSS_NEGOTIATION, _R.ENTERPRISE_POLICY}),
        _T.FIND_OFFERS: frozenset({_R.OSS_PLANNING}),
        _T.ANSWER_FEASIBILITY: frozenset({_R.OSS_PLANNING}),
        _T.VALIDATE_ORDER: frozenset({_R.OSS_NEGOTIATION}),
        _T.REFUSE_ORDER: frozenset({_R.OSS_NEGOTIATION}),
        _T.PROVISION: frozenset({_R.OSS_PLANNING}),
        _T.REPORT_SERVICE: frozenset({_R.OSS_PLANNING}),
        _T.FREE_CAPACITY: frozenset({_R.OSS_PLANNING}),
        _T.WATCH: frozenset({_R.OSS_ASSURANCE}),
        _T.FLAG_RISK: frozenset({_R.OSS_ASSURANCE}),
        _T.FLAG_RECOVERY: frozenset({_R.OSS_ASSURANCE}),
        _T.TAKE_IN: _DOORS,
        _T.TURN_AWAY: _DOORS,
        _T.GIVE_UP: frozenset({_R.ENTERPRISE_POLICY, _R.BSS_NEGOTIATION}),
    }
)
"""Who has which tool."""


def authorise(role: Role, tool: Tool) -> None:
    """Raise `NotAuthorizedError` unless the table gives the tool to the agent."""
    if role not in AUTHORITY[tool]:
        raise NotAuthorizedError(
            f"agent '{role}' has no tool '{tool}'",
            remedy=f"it belongs to {', '.join(sorted(AUTHORITY[tool]))}",
            path=tool,
        )
