"""Owns what a domain's agents know: every negotiation and agreement, folded from the tool calls in the domain's log.

Agents derive their state by subscribing: a record comes in once it is durable, and nothing else changes a desk. The
same records in the same order make the same desk, so a restarted domain goes on where its log ends.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.model.errors import ConflictError, NotFoundError
from controller.negotiation.dialogue import Cue, Stage, advance
from controller.negotiation.message_bodies import Action, Finding, Report
from controller.negotiation.messages import Message, MessageKind
from controller.negotiation.noting import heard, noted
from controller.negotiation.records import Dialogue, Record, Standing
from controller.negotiation.roles import Domain, Role, Tool
from controller.negotiation.standing_to_speak import agreement_of, refuse_elsewhere, refuse_misnamed, refuse_unlike

_USED: Mapping[Tool, Cue] = {
    Tool.DECLARE_INTENT: Cue.DECLARE,
    Tool.ATTACH_WALLET: Cue.AUTHORISE,
    Tool.PROPOSE: Cue.PROPOSE,
    Tool.SIGN_TERMS: Cue.SIGN,
    Tool.ACCEPT_OFFER: Cue.ACCEPT,
    Tool.COUNTER_OFFER: Cue.COUNTER,
    Tool.REFUSE_OFFER: Cue.REFUSE,
    Tool.DEBIT: Cue.SETTLE,
    Tool.WITHDRAW: Cue.WITHDRAW,
    Tool.VERIFY_WALLET: Cue.ADMIT,
    Tool.REFUSE_WALLET: Cue.REFUSE,
    Tool.ASK_FEASIBILITY: Cue.ASK,
    Tool.OFFER: Cue.OFFER,
    Tool.RESERVE_MONEY: Cue.RESERVE,
    Tool.SIGN_AGREEMENT: Cue.AGREE,
    Tool.ISSUE_ORDER: Cue.ORDER,
    Tool.COMMIT_MONEY: Cue.SETTLE,
    Tool.RELEASE_MONEY: Cue.RELEASE,
    Tool.REPORT_OUTCOME: Cue.REPORT,
    Tool.REFUSE_CONSUMER: Cue.REFUSE,
    Tool.LET_LAPSE: Cue.LAPSE,
    Tool.END_AGREEMENT: Cue.END,
    Tool.FIND_OFFERS: Cue.FIND,
    Tool.ANSWER_FEASIBILITY: Cue.OFFER,
    Tool.VALIDATE_ORDER: Cue.ADMIT,
    Tool.REFUSE_ORDER: Cue.REFUSE,
    Tool.PROVISION: Cue.PROVISION,
    Tool.REPORT_SERVICE: Cue.REPORT,
    Tool.FREE_CAPACITY: Cue.RELEASE,
    Tool.GIVE_UP: Cue.TURNED_AWAY,
}
"""Tools that move a negotiation when they succeed; the others are about something else."""
_HEARD: Mapping[MessageKind, Cue] = {
    MessageKind.PROPOSAL: Cue.GOT_PROPOSAL,
    MessageKind.FEASIBILITY: Cue.GOT_FEASIBILITY,
    MessageKind.QUOTE: Cue.GOT_QUOTE,
    MessageKind.COUNTER_OFFER: Cue.GOT_COUNTER_OFFER,
    MessageKind.ACCEPTANCE: Cue.GOT_ACCEPTANCE,
    MessageKind.REFUSAL: Cue.GOT_REFUSAL,
    MessageKind.WITHDRAWAL: Cue.GOT_WITHDRAWAL,
    MessageKind.ORDER: Cue.GOT_ORDER,
}
_REPORTED: Mapping[Finding, Cue] = {
    Finding.PROVISIONED: Cue.GOT_SERVICE,
    Finding.TERMINATED: Cue.GOT_SERVICE,
    Finding.FAILED: Cue.GOT_FAILURE,
    Finding.PREDICTED_BREACH: Cue.GOT_FLAG,
    Finding.RECOVERED: Cue.GOT_FLAG,
}
_STANDS = frozenset({Tool.DEBIT, Tool.COMMIT_MONEY, Tool.PROVISION})
"""Tools after which an agreement is in force, or over, as its domain sees it."""

OVER_KEPT = 5_000
"""Negotiations that are over and still told of; the log has all of them."""
HEARD_KEPT = 200_000
"""Messages that are known again: far more than come within the life of one."""


def cue_heard(message: Message) -> Cue | None:
    """What a message moves; None for one that assurance alone listens to."""
    if isinstance(message.body, Report):
        return _REPORTED[message.body.finding]
    return None if message.recipient is Role.OSS_ASSURANCE else _HEARD[message.kind]


@dataclass(frozen=True, slots=True)
class Step:
    """What a record makes of a negotiation, seen before it is stored."""

    record: Record
    after: Dialogue
    message: Message | None = None
    """What it takes in."""
    says: tuple[tuple[str, str], ...] = ()
    """What leaves once it is stored, as (party, token)."""
    is_move: bool = True
    """The negotiation stands elsewhere after it."""
    is_alone: bool = True
    """No agreement was looked at: whatever is stored in between, it comes to the same."""


class Desk:
    """The fold of one domain's records."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.dialogues: dict[str, Dialogue] = {}
        self.agreements: dict[str, Standing] = {}
        self.heard: dict[str, str] = {}
        """Message id -> its gist."""
        self.open: dict[str, None] = {}
        """Negotiations that are not over, in the order in which they began."""
        self.over: deque[str] = deque()
        self.flights: dict[str, dict[str, None]] = {}
        """Agreement -> the negotiations about it that are not over; those with an order last, as the orders came."""

    def dialogue(self, subject: str) -> Dialogue:
        """The negotiation; a new one where nobody has spoken of it."""
        return self.dialogues.get(subject) or Dialogue(subject)

    def standing(self, root: str) -> Standing:
        """An agreement that is in force; `NotFoundError` names one that is not."""
        found = self.agreements.get(root)
        if found is None or found.is_over:
            raise NotFoundError(
                f"there is no agreement '{root}' in force", remedy="list them: accord agreement list", path=root
            )
        return found

    def known(self, root: str) -> Standing:
        """An agreement, in force or over: one that ends meanwhile does not keep what was begun from its end."""
        found = self.agreements.get(root)
        return self.standing(root) if found is None else found

    def under_way(self, root: str) -> tuple[Dialogue, ...]:
        """The negotiations about an agreement that are not over; those with an order last, as the orders came."""
        return tuple(self.dialogues[subject] for subject in self.flights.get(root, ()))

    def is_ending(self, root: str) -> bool:
        """Whether the end of an agreement is under way."""
        return any(one.action is Action.DELETE for one in self.under_way(root))

    def ahead(self, before: Dialogue, record: Record, message: Message | None = None) -> Step:
        """What a record will make of a negotiation; `ConflictError` for a tool whose turn it is not.

        What is stored is folded again at each start, so what cannot be folded is not to be stored.
        """
        looked: list[str] = []

        def known(root: str) -> Standing:
            looked.append(root)
            return self.known(root)

        cue = _cue_used(record) if message is None else cue_heard(message)
        if cue is None:
            return Step(record, before, message, is_move=False)
        stage = advance(self.domain, before.stage, cue)
        after = noted(before, record, known) if message is None else heard(before, message, self.domain, known)
        after = replace(after, stage=stage, since=record.time, steps=before.steps + 1)
        return Step(record, after, message, is_alone=not looked)

    def refuse_turn(self, message: Message) -> None:
        """`ConflictError` for a message that does not follow what was said before."""
        dialogue = self.dialogue(message.correlation)
        across = {Domain.ENTERPRISE, Domain.BSS} == {self.domain, message.sender.domain}
        if dialogue.other and (across or self.domain is Domain.OSS) and dialogue.other != message.sender_party:
            raise ConflictError(f"negotiation '{dialogue.id}' is with '{dialogue.other}'", path=dialogue.id)
        cue = cue_heard(message)
        if cue is None:
            return
        advance(self.domain, dialogue.stage, cue)
        self._refuse_foreign(dialogue, message)
        refuse_unlike(dialogue, message)

    def _refuse_foreign(self, dialogue: Dialogue, message: Message) -> None:
        """An agreement is its own two parties' to speak of, and a negotiation is named after whoever opens it."""
        root = agreement_of(dialogue, message)
        if self.domain is Domain.OSS:
            # What has ended here meanwhile is for the answer to say.
            known = self.agreements.get(root or "")
            live, party = known, known.terms.provider if known else message.sender_party
        else:
            live = None if root is None else self.standing(root)
            if dialogue.stage is Stage.NEW:
                refuse_misnamed(message, root or "")
            is_consumers = message.sender.domain is Domain.ENTERPRISE
            party = (live.consumer if is_consumers else live.terms.provider) if live else message.sender_party
        if message.sender.domain is not Domain.OSS and party != message.sender_party:
            raise ConflictError(f"agreement '{root}' is not one of '{message.sender_party}'", path=root or "")
        if live is not None:
            refuse_elsewhere(live, message)

    def apply(self, record: Record, step: Step | None = None) -> None:
        """Fold one record; `step` is what was seen of it `ahead`, where that still holds."""
        before = self.dialogue(record.subject)
        if step is None:
            step = self.ahead(before, record, _message_in(record))
        if step.message is not None:
            self._hear(step.message.id, record.arguments["digest"])
        if not step.is_move:
            return
        after = replace(step.after, since=record.time)
        self.dialogues[record.subject] = after
        self._index(before, after)
        if record.tool in _STANDS and record.refusal is None:
            self._stand(after, record.time)

    def _hear(self, message: str, gist: str) -> None:
        self.heard[message] = gist
        if len(self.heard) > HEARD_KEPT:
            del self.heard[next(iter(self.heard))]

    def _index(self, before: Dialogue, dialogue: Dialogue) -> None:
        about = dialogue.agreement
        is_over, is_ordered = dialogue.stage.is_final, dialogue.stage is Stage.ORDERED
        if is_over or is_ordered or about != before.agreement:
            self._land(before)
        if not is_over:
            self.open[dialogue.id] = None
            if about in self.agreements:
                self.flights.setdefault(about, {})[dialogue.id] = None
            return
        self.open.pop(dialogue.id, None)
        self.over.append(dialogue.id)
        if len(self.over) > OVER_KEPT:
            self.dialogues.pop(self.over.popleft(), None)

    def _land(self, dialogue: Dialogue) -> None:
        flights = self.flights.get(dialogue.agreement, {})
        flights.pop(dialogue.id, None)
        if not flights:
            self.flights.pop(dialogue.agreement, None)

    def _stand(self, dialogue: Dialogue, now: float) -> None:
        signed = dialogue.signed
        if signed is None:
            return
        before = self.agreements.get(signed.root)
        if dialogue.action is Action.DELETE:
            if before is not None:
                self.agreements[signed.root] = replace(before, is_over=True, since=now)
            return
        issues = (*(before.issues if before else ()), signed)
        self.agreements[signed.root] = Standing(
            signed.root, signed.terms.consumer, issues, dialogue.service or (before.service if before else ""), now
        )


def _message_in(record: Record) -> Message | None:
    return Message.from_json(record.arguments["message"]) if record.tool is Tool.TAKE_IN else None


def _cue_used(record: Record) -> Cue | None:
    cue = _USED.get(record.tool)
    if cue is not None and record.refusal is not None:
        return Cue.FAIL if record.tool is Tool.PROVISION else Cue.DECLINE
    return cue
