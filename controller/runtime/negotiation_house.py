"""Owns one party's part of the negotiation plane as it runs: messages in, agents asked, tools used, events.

Each use of a tool is an event first and everything else afterwards: the desk folds it, then its messages leave. Steps
that follow from one another in this house alone are stored together, up to the next one that moves money, touches a
device or depends on what else is under way. What an agent does next follows from the desk alone, so a restarted house
folds its log, sends again what may not have arrived, and goes on. The same code serves one process that holds all
parties and several that hold one each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

import structlog

from controller.model.errors import AccordError, TransientError
from controller.negotiation.agreement import verify_agreement
from controller.negotiation.desk import Desk, Step
from controller.negotiation.dialogue import Stage
from controller.negotiation.jose import KeyOf, SigningKey
from controller.negotiation.message_bodies import Countersigned
from controller.negotiation.messages import (
    LONGEST_SECONDS,
    Message,
    MessageCheck,
    MessageKind,
    MessageRefusedError,
    digest_of,
    expires,
    gist_of,
    opened,
    reseal,
    seal,
    unseal,
)
from controller.negotiation.records import Dialogue, Record, ToolCall
from controller.negotiation.roles import Domain, Role, Tool
from controller.negotiation.standing_to_speak import own_name
from controller.ports import Clock, Event, EventLog, NewEvent, Peers
from controller.runtime.negotiation_tally import UNSIGNED, TurnedAway
from controller.runtime.negotiation_turns import Turns

Json = Any
EVENT_PREFIX = "negotiation."
"""An event is named after the tool that was used."""
_RETRY_SECONDS = (0.05, 0.2, 1.0, 3.0, 10.0)
_MOST_REASON = 500
_DOORS = {Domain.ENTERPRISE: Role.ENTERPRISE_POLICY, Domain.BSS: Role.BSS_POLICY, Domain.OSS: Role.OSS_NEGOTIATION}
"""The agent that turns away what is for nobody."""
_log = structlog.get_logger(__name__)

Effect = Callable[[ToolCall, Dialogue, float], Awaitable[Json]]
"""What a tool does outside: its result is kept with the event. An `AccordError` is a refusal."""


_INSISTED = frozenset({Tool.RESERVE_MONEY, Tool.COMMIT_MONEY, Tool.RELEASE_MONEY})
"""Tools that a busy ledger only puts off: what was not answered may have been done, so it is asked again."""
_AFTER_STORED = _INSISTED | {Tool.VALIDATE_ORDER, Tool.PROVISION}
"""Tools that wait until what led to them is in the log: a crash then finds why money was moved or a device touched, and
other orders for the same agreement see this one."""


class _UnsettledError(Exception):
    """Money that could not be moved now."""


class Agent(Protocol):
    """One agent: what it does next about a negotiation."""

    def due(self, dialogue: Dialogue, now: float) -> ToolCall | None:
        """The tool that is due; None when it is somebody else's turn."""
        ...


class Follower(Protocol):
    """Who folds records beside the desk."""

    def apply(self, record: Record) -> None:
        """Fold one; the desk has folded it already."""
        ...


@runtime_checkable
class Kept(Protocol):
    """A follower that snapshots keep."""

    def to_json(self) -> Json:
        """What it has folded, for a snapshot."""
        ...

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        ...


@dataclass(slots=True)
class House:
    """One party: its desk, agents, tools and key. `usual` names the party of each other domain that is spoken to."""

    party: str
    domain: Domain
    key: SigningKey
    key_of: KeyOf
    domain_of: Mapping[str, Domain]
    """The domain that each known party speaks for, this one's too: a role of another domain is not its to play."""
    log: EventLog
    clock: Clock
    peers: Peers
    desk: Desk
    agents: Sequence[Agent]
    tools: Mapping[Tool, Effect] = field(default_factory=dict)
    followers: Sequence[Follower] = ()
    usual: Mapping[Domain, str] = field(default_factory=dict)
    _turns: Turns = field(default_factory=Turns)
    _turned_away: TurnedAway = field(default_factory=TurnedAway)
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)
    _said: dict[str, tuple[float, tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    """By negotiation: what was said last and when, as (party, token); forgotten when nobody waits for it any more."""
    _lanes: Turns = field(default_factory=Turns)
    _late: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """What could not be delivered yet, by party and negotiation, in the order in which it was said."""
    _opened: int = 0
    _storing: int = 0
    """Records on their way to the log, or from there to the desk."""
    _waiting: "dict[str, list[asyncio.Future[None]]]" = field(default_factory=dict)

    # -- restarting --------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """When the log is folded: send again what may not have arrived, and go on with what is not over."""
        now = self.clock.now()
        # However long nobody was here: what was said last may not have arrived, and is said again as of now.
        self._forget(max((time for time, _ in self._said.values()), default=now))
        for subject, (_, says) in self._said.items():
            self._send(subject, [(party, self._good(token, now)) for party, token in says])
        for subject in tuple(self.desk.open):
            self._start(self._run(subject))

    async def stop(self) -> None:
        """Leave every negotiation where the log says it is."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until nothing is under way here."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def over(self, subject: str) -> Dialogue:
        """Wait until a negotiation is over here; whoever waits bounds the time."""
        if not self.desk.dialogue(subject).stage.is_final:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(subject, []).append(waiter)
            await waiter
        return self.desk.dialogue(subject)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way here."""
        return not self._tasks

    # -- snapshots ---------------------------------------------------------------------------------------------

    @property
    def is_storing(self) -> bool:
        """Whether the log may have a record that is not folded yet."""
        return self._storing > 0

    def told(self) -> Json:
        """What was said and is waited for, and how far names are used up: what a snapshot keeps beside the desk."""
        said = {subject: [time, [list(one) for one in says]] for subject, (time, says) in self._said.items()}
        return {"said": said, "opened": self._opened}

    def load_told(self, document: Json) -> None:
        """Put back what `told` gave."""
        self._said = {
            subject: (time, tuple((party, token) for party, token in says))
            for subject, (time, says) in document["said"].items()
        }
        self._opened = document["opened"]

    # -- coming in ---------------------------------------------------------------------------------------------

    def new_subject(self) -> str:
        """A name for a negotiation that this party opens; never used twice."""
        self._opened += 1
        return own_name(self.domain, self.party, self._opened)

    async def begin(self, call: ToolCall) -> None:
        """Carry out a call that nobody's turn brought about: an intent, the end of an agreement, a flag."""
        async with self._turns.of(call.subject):
            await self._use(call)
        self._start(self._run(call.subject))

    async def receive(self, token: str) -> None:
        """Take a message in; `MessageRefusedError` names the check it does not pass, which is recorded as well."""
        try:
            message = unseal(token, self.key_of, self.party, self.clock.now())
            self._refuse_role(message)
            known = self.desk.heard.get(message.id, "")
            _refuse_other(message, known)
        except MessageRefusedError as error:
            await self._turn_away(token, error)
            raise
        if known:
            return
        async with self._turns.of(message.correlation):
            await self._take_in(message, token)
        self._start(self._run(message.correlation))

    def _refuse_role(self, message: Message) -> None:
        """A party speaks for its own domain only, to agents of this one."""
        if self.domain_of.get(message.sender_party) is not message.sender.domain:
            text, check = f"'{message.sender_party}' does not speak as '{message.sender}'", MessageCheck.SENDER
        elif message.recipient.domain is not self.domain:
            text, check = f"'{self.party}' has no agent '{message.recipient}'", MessageCheck.RECIPIENT
        else:
            return
        raise MessageRefusedError(text, check=check, signer=message.sender_party)

    async def tick(self) -> None:
        """Look at negotiations whose time may be over, or that something outside has kept from going on."""
        now = self.clock.now()
        self._forget(now)
        late, self._late = self._late, {}
        for (party, subject), tokens in late.items():
            wanted = [one for one in tokens if subject in self.desk.open or expires(one) > now]
            self._send(subject, [(party, self._good(token, now)) for token in wanted])
        for subject in tuple(self.desk.open):
            if subject not in self._turns:
                self._start(self._run(subject))

    def _forget(self, now: float) -> None:
        """What nobody waits for any more: sent again, it would be known or late."""
        late = [one for one, (time, _) in self._said.items() if now - time > LONGEST_SECONDS]
        for subject in late:
            if subject not in self.desk.open:
                del self._said[subject]

    def _good(self, token: str, now: float) -> str:
        return token if expires(token) > now else reseal(token, self.key, now)

    async def _take_in(self, message: Message, token: str) -> None:
        if message.id in self.desk.heard:
            return
        said = {"message": message.to_json(), "digest": gist_of(message)}
        record = Record(self.clock.now(), message.recipient, Tool.TAKE_IN, message.correlation, said)
        try:
            self.desk.refuse_turn(message)
            if isinstance(message.body, Countersigned):
                verify_agreement(message.body.agreement, self.key_of)
            step = self.desk.ahead(self.desk.dialogue(record.subject), record, message)
        except AccordError as error:
            refused = MessageRefusedError(str(error), check=MessageCheck.TURN, signer=message.sender_party)
            await self._turn_away(token, refused, message)
            raise refused from error
        await self._go_on(step)

    async def _turn_away(self, token: str, error: MessageRefusedError, message: Message | None = None) -> None:
        """Nothing happens but the record of it; `more` are those before that were not written down one by one."""
        digest = digest_of(token)
        more = self._turned_away.count(error.signer or UNSIGNED, digest, self.clock.now())
        _log.warning("message_turned_away", party=self.party, sender=error.signer, check=error.check.value)
        if more is None:
            return
        said = {"check": error.check.value, "text": str(error)[:_MOST_REASON], "digest": digest, "more": more}
        role = message.recipient if message else _DOORS[self.domain]
        subject = message.correlation if message else "unread"
        record = Record(self.clock.now(), role, Tool.TURN_AWAY, subject, said)
        await self._store([self.desk.ahead(self.desk.dialogue(subject), record)])

    # -- agents and tools --------------------------------------------------------------------------------------

    async def _run(self, subject: str) -> None:
        """Ask the agents until it is nobody's turn here."""
        async with self._turns.of(subject):
            while (call := self._due(self.desk.dialogue(subject))) is not None:
                try:
                    await self._use(call)
                except _UnsettledError as error:
                    _log.warning("money_waits", party=self.party, negotiation=subject, error=str(error))
                    return

    def _due(self, dialogue: Dialogue) -> ToolCall | None:
        if dialogue.stage.is_final:
            return None
        now = self.clock.now()
        return next((call for agent in self.agents if (call := agent.due(dialogue, now)) is not None), None)

    async def _use(self, call: ToolCall) -> None:
        await self._go_on(await self._step(call, self.desk.dialogue(call.subject)))

    async def _go_on(self, step: Step) -> None:
        """Store a step and those that follow from it; then what they say leaves."""
        steps = [step]
        # One that fails is used again by `_run`, and fails there: what led to it is stored first.
        with suppress(Exception):
            while (call := self._due(steps[-1].after)) is not None and call.tool not in _AFTER_STORED:
                steps.append(await self._step(call, steps[-1].after))
        await self._store(steps)
        for one in steps:
            self._send(one.record.subject, one.says)

    async def _step(self, call: ToolCall, before: Dialogue) -> Step:
        """Use a tool: what it does outside, and what is to be said of it."""
        now, effect = self.clock.now(), self.tools.get(call.tool)
        result = None if effect is None else await self._outside(effect, call, before, now)
        record = Record(now, call.role, call.tool, call.subject, call.arguments, result)
        says = tuple(self._sealed(call, before.steps, number, now) for number in range(len(call.says)))
        return replace(self.desk.ahead(before, record), says=says)

    async def _outside(self, effect: Effect, call: ToolCall, dialogue: Dialogue, now: float) -> Json:
        try:
            return await effect(call, dialogue, now)
        except AccordError as error:
            if call.tool in _INSISTED:
                raise _UnsettledError(str(error)) from error
            return {"refused": {"check": call.tool.value, "text": str(error)[:_MOST_REASON]}}

    def _sealed(self, call: ToolCall, steps: int, number: int, now: float) -> tuple[str, str]:
        """Named after its place in the negotiation, so that a record that is made again after a crash says the same."""
        place = f"{self.party}\0{call.subject}\0{call.tool}\0{steps}\0{number}"
        draft = call.says[number]
        party = draft.party or self.usual[draft.recipient.domain]
        message = Message(
            id=f"m-{sha256(place.encode()).hexdigest()[:32]}",
            kind=draft.kind,
            correlation=call.subject,
            sender=draft.sender,
            sender_party=self.party,
            recipient=draft.recipient,
            recipient_party=party,
            sent=now,
            expires=now + draft.lifetime_seconds,
            body=draft.body,
        )
        return party, seal(message, self.key)

    # -- the log -----------------------------------------------------------------------------------------------

    async def _store(self, steps: Sequence[Step]) -> None:
        """All of them or none: one append."""
        subject = steps[0].record.subject
        events = [self._event(step) for step in steps]
        self._storing += 1
        try:
            stored = await self.log.append(events, actor=steps[0].record.role, cause=subject)
            is_so = all(step.is_alone for step in steps)
            for event, step in zip(stored, steps, strict=True):
                self._fold(replace(step.record, time=event.time), step.says, step if is_so else None)
        finally:
            self._storing -= 1

    def _event(self, step: Step) -> NewEvent:
        record = step.record
        data: dict[str, object] = {"subject": record.subject, "arguments": record.arguments, "result": record.result}
        if step.says:
            data["says"] = [list(one) for one in step.says]
        stream = f"negotiation/{self.party}/{record.subject}"
        return NewEvent(stream, f"{EVENT_PREFIX}{record.tool}", data, record.role)

    def fold(self, event: Event) -> None:
        """Take in one record of this party when a log is read again."""
        data: Json = event.data
        tool = Tool(event.type.removeprefix(EVENT_PREFIX))
        record = Record(event.time, Role(event.actor), tool, data["subject"], data["arguments"], data["result"])
        self._fold(record, tuple((party, token) for party, token in data.get("says", ())), None)

    def _fold(self, record: Record, says: tuple[tuple[str, str], ...], step: Step | None) -> None:
        self.desk.apply(record, step)
        for follower in self.followers:
            follower.apply(record)
        if says:
            self._said[record.subject] = (record.time, says)
        if record.subject not in self.desk.open:
            for waiter in self._waiting.pop(record.subject, ()):
                if not waiter.done():
                    waiter.set_result(None)
        if record.tool in _OPENING and record.subject.startswith(f"{self.domain}-"):
            self._opened = max(self._opened, int(record.subject.rpartition("-")[2]))

    # -- going out ---------------------------------------------------------------------------------------------

    def _send(self, subject: str, says: Sequence[tuple[str, str]]) -> None:
        for party, token in says:
            self._start(self._deliver(party, subject, token))

    async def _deliver(self, party: str, subject: str, token: str) -> None:
        """One after another in each negotiation; what cannot be delivered now is tried again at each tick."""
        async with self._lanes.of(f"{party} {subject}"):
            if (party, subject) in self._late or not await self._is_there(party, subject, token):
                self._late.setdefault((party, subject), []).append(token)

    async def _is_there(self, party: str, subject: str, token: str) -> bool:
        """Whether it is taken, or turned away for good."""
        for wait in _RETRY_SECONDS:
            try:
                await self.peers.deliver(party, token)
            except TransientError:
                await asyncio.sleep(wait)
            except AccordError as error:
                _log.warning("message_not_taken", party=party, error=str(error))
                await self._give_up(subject, token, error)
                return True
            else:
                return True
        _log.warning("message_not_delivered", party=party)
        return False

    async def _give_up(self, subject: str, token: str, error: AccordError) -> None:
        """What does not follow what was said before gets no answer: who waits for one waits no more.

        Every other check is made before it is seen whether the message was taken once, so nothing follows from it.
        """
        if not isinstance(error, MessageRefusedError) or error.check is not MessageCheck.TURN:
            return
        async with self._turns.of(subject):
            dialogue, said = self.desk.dialogue(subject), opened(token)
            if said.kind not in _AWAITED.get((self.domain, dialogue.stage), ()):
                return
            told = {"check": error.check.value, "text": error.message[:_MOST_REASON], "kind": said.kind.value}
            record = Record(self.clock.now(), said.sender, Tool.GIVE_UP, subject, told)
            await self._go_on(self.desk.ahead(dialogue, record))
        self._start(self._run(subject))

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("negotiation_stopped", party=self.party, exc_info=error)


def _refuse_other(message: Message, known: str) -> None:
    """A name that was used already is good for the same message only."""
    if known and known != gist_of(message):
        raise MessageRefusedError(
            f"message '{message.id}' said something else", check=MessageCheck.IDENTITY, signer=message.sender_party
        )


_AWAITED: Mapping[tuple[Domain, Stage], frozenset[MessageKind]] = {
    (Domain.ENTERPRISE, Stage.PROPOSED): frozenset({MessageKind.PROPOSAL, MessageKind.COUNTER_OFFER}),
    (Domain.ENTERPRISE, Stage.ACCEPTED): frozenset({MessageKind.ACCEPTANCE}),
    (Domain.BSS, Stage.ASKED): frozenset({MessageKind.FEASIBILITY}),
    (Domain.BSS, Stage.ORDERED): frozenset({MessageKind.ORDER}),
}
"""What an answer is waited for to."""
_OPENING = frozenset({Tool.DECLARE_INTENT, Tool.WITHDRAW, Tool.END_AGREEMENT})
