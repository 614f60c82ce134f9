"""Owns what negotiations are made of: tool calls, their records, and what a domain knows of each.

All of it is data; `noting` says what a record changes, `desk` folds them.
"""

from dataclasses import dataclass
from typing import Any

from controller.model.errors import ConflictError
from controller.negotiation.agreement import Agreement, Terms
from controller.negotiation.dialogue import Stage
from controller.negotiation.message_bodies import Action, Feasible, Refusal, Report, Variation
from controller.negotiation.messages import Draft
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Role, Tool, authorise

Json = Any
NO_OFFER_SECONDS = 30.0
"""How long a consumer may answer where nothing was offered."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What an agent wants done: one tool, about one negotiation, with its arguments.

    `says` are the messages that leave once the event is durable.
    """

    role: Role
    tool: Tool
    subject: str
    arguments: Json = None
    says: tuple[Draft, ...] = ()

    def __post_init__(self) -> None:
        """`NotAuthorizedError` for a tool that the agent does not have."""
        authorise(self.role, self.tool)


@dataclass(frozen=True, slots=True)
class Record:
    """A tool call that was carried out: what the log keeps and desks fold. Time in UTC seconds."""

    time: float
    role: Role
    tool: Tool
    subject: str
    arguments: Json = None
    result: Json = None
    """What a tool that reaches outside brought back; `refused` in it is a refusal."""

    @property
    def refusal(self) -> Refusal | None:
        """What the tool was refused with."""
        refused = self.result.get("refused") if isinstance(self.result, dict) else None
        return None if refused is None else Refusal(refused["check"], refused["text"])


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One negotiation as a domain sees it."""

    id: str
    stage: Stage = Stage.NEW
    steps: int = 0
    """How often it has moved: what is said at each step has a name of its own."""
    since: float = 0.0
    expires: float = 0.0
    """When what lies on the table, or is waited for, is over; 0 where nothing was offered."""
    other: str = ""
    """The party across the boundary."""
    agreement: str = ""
    """Root of the live agreement that it is about; empty for a new one."""
    action: Action = Action.ADD
    is_operators: bool = False
    """The operator opened it."""
    cause: str = ""
    round: int = 0
    asked: ServiceRequest | None = None
    request: ServiceRequest | None = None
    presentation: str = ""
    wallet: str = ""
    """Envelope that the wallet spends from, once it is admitted."""
    report: Report | None = None
    """What opened it, where assurance did; later how it ended."""
    variations: tuple[Variation, ...] = ()
    found: tuple[Feasible, ...] = ()
    held: tuple[str, ...] = ()
    """Reservations of every round."""
    offers: tuple[Terms, ...] = ()
    chosen: Terms | None = None
    signature: str = ""
    signed: Agreement | None = None
    parent: Agreement | None = None
    service: str = ""
    refusal: Refusal | None = None

    @property
    def ends(self) -> float:
        """When what lies on the table, or is waited for, is over."""
        return self.expires or self.since + NO_OFFER_SECONDS

    @property
    def terms(self) -> Terms:
        """Those that were chosen."""
        if self.chosen is None:
            raise ConflictError(f"nothing is chosen in negotiation '{self.id}'", path=self.id)
        return self.chosen

    @property
    def wanted(self) -> ServiceRequest:
        """What is asked for as it stands."""
        if self.request is None:
            raise ConflictError(f"nothing is asked for in negotiation '{self.id}'", path=self.id)
        return self.request

    @property
    def agreed(self) -> Agreement:
        """The agreement with both signatures."""
        if self.signed is None:
            raise ConflictError(f"nothing is signed in negotiation '{self.id}'", path=self.id)
        return self.signed


@dataclass(frozen=True, slots=True)
class Standing:
    """An agreement that is, or was, in force: its issues, oldest first."""

    root: str
    consumer: str
    issues: tuple[Agreement, ...]
    service: str = ""
    since: float = 0.0
    is_over: bool = False

    @property
    def current(self) -> Agreement:
        """The issue in force."""
        return self.issues[-1]

    @property
    def terms(self) -> Terms:
        """Of the issue in force."""
        return self.current.terms
