"""Owns one party's part of the negotiation plane as it runs: messages in, agents asked, tools used, events.

Each use of a tool is an event first and everything else afterwards: the desk folds it, then its messages leave. What an
agent does next follows from the desk alone, so a restarted house folds its log, sends again what may not have arrived,
and goes on. The same code serves one process that holds all parties and several that hold one each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

import structlog

from controller.model.errors import AccordError, ConnectionFailedError
from controller.negotiation.agreement import verify_agreement
from controller.negotiation.desk import Desk
from controller.negotiation.jose import KeyOf, SigningKey
from controller.negotiation.message_bodies import Countersigned
from controller.negotiation.messages import (
    LONGEST_SECONDS,
    Draft,
    Message,
    MessageCheck,
    MessageRefusedError,
    digest_of,
    expires,
    gist_of,
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
    _records: dict[str, int] = field(default_factory=dict)
    """By negotiation: how many records there are."""
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
        return {"said": said, "records": dict(self._records), "opened": self._opened}

    def load_told(self, document: Json) -> None:
        """Put back what `told` gave."""
        self._said = {
            subject: (time, tuple((party, token) for party, token in says))
            for subject, (time, says) in document["said"].items()
        }
        self._records, self._opened = dict(document["records"]), document["opened"]

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
        try:
            self.desk.refuse_turn(message)
            if isinstance(message.body, Countersigned):
                verify_agreement(message.body.agreement, self.key_of)
        except AccordError as error:
            refused = MessageRefusedError(str(error), check=MessageCheck.TURN, signer=message.sender_party)
            await self._turn_away(token, refused, message)
            raise refused from error
        digest = gist_of(message)
        said = {"message": message.to_json(), "digest": digest}
        record = Record(self.clock.now(), message.recipient, Tool.TAKE_IN, message.correlation, said)
        self.desk.fresh[digest] = message
        try:
            await self._store(record, ())
        finally:
            self.desk.fresh.pop(digest, None)

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
        await self._store(Record(self.clock.now(), role, Tool.TURN_AWAY, subject, said), ())

    # -- agents and tools --------------------------------------------------------------------------------------

    async def _run(self, subject: str) -> None:
        """Ask the agents until it is nobody's turn here."""
        async with self._turns.of(subject):
            while (call := self._due(subject)) is not None:
                try:
                    await self._use(call)
                except _UnsettledError as error:
                    _log.warning("money_waits", party=self.party, negotiation=subject, error=str(error))
                    return

    def _due(self, subject: str) -> ToolCall | None:
        dialogue, now = self.desk.dialogue(subject), self.clock.now()
        if dialogue.stage.is_final:
            return None
        return next((call for agent in self.agents if (call := agent.due(dialogue, now)) is not None), None)

    async def _use(self, call: ToolCall) -> None:
        now, effect = self.clock.now(), self.tools.get(call.tool)
        result = None if effect is None else await self._outside(effect, call, now)
        says = tuple(self._sealed(call, number, draft, now) for number, draft in enumerate(call.says))
        await self._store(Record(now, call.role, call.tool, call.subject, call.arguments, result), says)
        self._send(call.subject, says)

    async def _outside(self, effect: Effect, call: ToolCall, now: float) -> Json:
        try:
            return await effect(call, self.desk.dialogue(call.subject), now)
        except AccordError as error:
            if call.tool in _INSISTED:
                raise _UnsettledError(str(error)) from error
            return {"refused": {"check": call.tool.value, "text": str(error)[:_MOST_REASON]}}

    def _sealed(self, call: ToolCall, number: int, draft: Draft, now: float) -> tuple[str, str]:
        """Named after its place in the negotiation, so that a record that is made again after a crash says the same."""
        place = f"{self.party}\0{call.subject}\0{self._records.get(call.subject, 0)}\0{number}"
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

    async def _store(self, record: Record, says: Sequence[tuple[str, str]]) -> None:
        self.desk.refuse_record(record)
        data: dict[str, object] = {"subject": record.subject, "arguments": record.arguments, "result": record.result}
        if says:
            data["says"] = [list(one) for one in says]
        stream = f"negotiation/{self.party}/{record.subject}"
        event = NewEvent(stream, f"{EVENT_PREFIX}{record.tool}", data)
        self._storing += 1
        try:
            for stored in await self.log.append([event], actor=record.role, cause=record.subject):
                self.fold(stored)
        finally:
            self._storing -= 1

    def fold(self, event: Event) -> None:
        """Take in one record of this party, as it is stored or when a log is read again."""
        data: Json = event.data
        tool = Tool(event.type.removeprefix(EVENT_PREFIX))
        record = Record(event.time, Role(event.actor), tool, data["subject"], data["arguments"], data["result"])
        self.desk.apply(record)
        self._records[record.subject] = self._records.get(record.subject, 0) + 1
        for follower in self.followers:
            follower.apply(record)
        if data.get("says"):
            self._said[record.subject] = (event.time, tuple((party, token) for party, token in data["says"]))
        if record.subject not in self.desk.open:
            for waiter in self._waiting.pop(record.subject, ()):
                if not waiter.done():
                    waiter.set_result(None)
        if tool in _OPENING and record.subject.startswith(f"{self.domain}-"):
            self._opened = max(self._opened, int(record.subject.rpartition("-")[2]))

    # -- going out ---------------------------------------------------------------------------------------------

    def _send(self, subject: str, says: Sequence[tuple[str, str]]) -> None:
        for party, token in says:
            self._start(self._deliver(party, subject, token))

    async def _deliver(self, party: str, subject: str, token: str) -> None:
        """One after another in each negotiation; what cannot be delivered now is tried again at each tick."""
        async with self._lanes.of(f"{party} {subject}"):
            if (party, subject) in self._late or not await self._is_there(party, token):
                self._late.setdefault((party, subject), []).append(token)

    async def _is_there(self, party: str, token: str) -> bool:
        """Whether it is taken, or turned away for good."""
        for wait in _RETRY_SECONDS:
            try:
                await self.peers.deliver(party, token)
            except ConnectionFailedError:
                await asyncio.sleep(wait)
            except AccordError as error:
                _log.warning("message_not_taken", party=party, error=str(error))
                return True
            else:
                return True
        _log.warning("message_not_delivered", party=party)
        return False

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


_OPENING = frozenset({Tool.DECLARE_INTENT, Tool.WITHDRAW, Tool.END_AGREEMENT})
