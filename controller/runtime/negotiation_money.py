"""Owns what BSS agents do outside: verify wallets at the door, move money in the ledger, sign agreements.

The ledger is asked in the order reserve, commit, release, refund (`negotiation.ledger`); each order has a key of its
own, so that one that is asked again after a crash happens once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from controller.model.errors import ConflictError, InvalidInputError
from controller.model.money import Money
from controller.model.units import Duration
from controller.negotiation.agreement import Terms, sign_terms, verify_signature
from controller.negotiation.checks import Check, Refusal, RefusedError
from controller.negotiation.desk import Desk
from controller.negotiation.holder import read_presentation
from controller.negotiation.jose import KeyOf, SigningKey
from controller.negotiation.ledger import EntryKind, Holding, Ledger, Order
from controller.negotiation.records import Dialogue, ToolCall
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Tool
from controller.negotiation.verification import Asked, Door, read_chain, verify_wallet
from controller.negotiation.wallet import ServiceLevelFloor, Wallet, root_of
from controller.runtime.negotiation_house import Effect

Json = Any
_DENOMINATOR = 1_000_000_000


def refused(check: str, text: str) -> Json:
    """The result of a tool that was refused."""
    return {"refused": {"check": check, "text": text}}


@dataclass(frozen=True, slots=True)
class BusinessTools:
    """The tools of BSS. `door` is asked each time: trust and status lists change."""

    desk: Desk
    key: SigningKey
    key_of: KeyOf
    ledger: Ledger
    door: Callable[[], Door]

    def effects(self) -> Mapping[Tool, Effect]:
        """By tool."""
        return {
            Tool.VERIFY_WALLET: self.verify,
            Tool.RESERVE_MONEY: self.reserve,
            Tool.SIGN_AGREEMENT: self.sign,
            Tool.COMMIT_MONEY: self.commit,
            Tool.RELEASE_MONEY: self.release,
        }

    async def verify(self, call: ToolCall, dialogue: Dialogue, now: float) -> Json:
        """The wallet end to end; the second time with the signature over the terms that it is to pay for."""
        said = call.arguments
        answer = verify_wallet(said["presentation"], _asked(said), now, self.door())
        if isinstance(answer, Refusal):
            return refused(answer.check, answer.text)
        if answer.wallet.holder != said["holder"]:
            return refused(Check.HOLDER, f"it is held by '{answer.wallet.holder}', and '{said['holder']}' asks")
        if said["wallet"] and said["wallet"] != answer.wallet.envelope:
            return refused(Check.POLICY, f"it spends from '{answer.wallet.envelope}' instead of '{said['wallet']}'")
        if dialogue.chosen is not None:
            try:
                verify_signature(dialogue.chosen, dialogue.signature, dialogue.other, self.key_of)
            except InvalidInputError as error:
                return refused("terms", error.message)
        return {"wallet": answer.wallet.envelope}

    async def reserve(self, call: ToolCall, dialogue: Dialogue, now: float) -> Json:
        """Take the money out of the envelope, against everything that counts there."""
        answer = await self._reserve(call.arguments, dialogue, now)
        if "refused" in answer:
            # It may have been taken already, by one who died before saying so.
            await self._settle(EntryKind.RELEASE, call.arguments["wallet"], call.arguments["key"], now)
        return answer

    async def _reserve(self, said: Json, dialogue: Dialogue, now: float) -> Json:
        amount, key = Money.from_json(said["amount"]), said["key"]
        late = self._late(dialogue, now)
        if late is not None:
            return late
        if not amount.minor:
            return {"reserved": amount.to_json()}
        try:
            chain = self._chain(dialogue)
        except RefusedError as error:
            return refused(error.refusal.check, error.refusal.text)
        order = Order.reserve(chain, said["class"], reservation=key, key=f"{key}/reserve", amount=amount)
        answer = await asyncio.to_thread(self.ledger.post, order, now)
        if isinstance(answer, Refusal):
            return refused(answer.check, answer.text)
        held = self._held(said["wallet"], key)
        if held is None or held.taken < amount.minor:
            # The same order again is the same entry again, also when what it took was given back since.
            return refused(Check.LEDGER, f"what '{key}' reserved was given back")
        return {"reserved": amount.to_json(), "entry": answer.entry.position}

    def _late(self, dialogue: Dialogue, now: float) -> Json | None:
        """Why it is too late to buy; None while it is not."""
        if dialogue.terms.quote.valid_until <= now:
            return refused("expiry", "the quote ran out meanwhile")
        if dialogue.agreement and self.desk.known(dialogue.agreement).is_over:
            return refused("agreement", "what it would change has ended meanwhile")
        return None

    async def sign(self, call: ToolCall, _dialogue: Dialogue, _now: float) -> Json:
        """The operator's signature."""
        return {"signature": sign_terms(Terms.from_json(call.arguments["terms"]), self.key)}

    async def commit(self, call: ToolCall, _dialogue: Dialogue, now: float) -> Json:
        """What was provisioned is paid for; what it replaced is given back as far as it was not used up."""
        said = call.arguments
        await self._settle(EntryKind.COMMIT, said["wallet"], said["key"], now)
        return {"given_back": (await self._give_back(call.subject, said, now)).to_json()}

    async def release(self, call: ToolCall, _dialogue: Dialogue, now: float) -> Json:
        """Compensation: it was not provisioned."""
        await self._settle(EntryKind.RELEASE, call.arguments["wallet"], call.arguments["key"], now)
        return {"released": call.arguments["key"]}

    async def _settle(self, kind: EntryKind, wallet: str, key: str, now: float) -> None:
        held = self._held(wallet, key)
        if held is not None and held.reserved:
            await self._post(Order.of(kind, wallet, reservation=key, key=f"{key}/{kind}"), now)

    async def _give_back(self, subject: str, said: Json, now: float) -> Money:
        """Out of the reservations of the agreement's issues, the latest first.

        What is left to give back shrinks with time: what was given back before a crash is not given back once more.
        """
        left = back = Money.from_json(said["back"])
        standing = self.desk.agreements.get(said["agreement"])
        for issue in reversed(standing.issues if standing else ()):
            key = f"{subject}/refund/{issue.id}"
            known = self.ledger.entry_of(root_of(said["wallet"]), key)
            if known is not None:
                left -= known.amount
                continue
            held = self._held(said["wallet"], issue.id)
            part = Money(min(left.minor, held.committed if held else 0), left.currency)
            if part.minor > 0:
                order = Order.of(EntryKind.REFUND, said["wallet"], reservation=issue.id, key=key, amount=part)
                await self._post(order, now)
                left -= part
        return back - left

    async def _post(self, order: Order, now: float) -> None:
        answer = await asyncio.to_thread(self.ledger.post, order, now)
        if isinstance(answer, Refusal):
            raise ConflictError(f"the ledger refused to {order.kind} '{order.reservation}': {answer.text}")

    def _held(self, wallet: str, reservation: str) -> Holding | None:
        return self.ledger.holding(root_of(wallet), reservation)

    def _chain(self, dialogue: Dialogue) -> Sequence[Wallet]:
        """The wallets that were admitted, read again: nothing has to be remembered between two tools."""
        presented = read_presentation(dialogue.presentation)
        return [each.wallet for each in read_chain(presented, self.door())]


def _asked(said: Json) -> Asked:
    """What the wallet is to pay for: the intent's level at first, then that of the terms."""
    if said["terms"] is not None:
        terms = Terms.from_json(said["terms"])
        request, level = terms.request, terms.level.as_floor
    else:
        request = ServiceRequest.from_json(said["request"])
        level = _level(request)
    return Asked(said["digest"], request.workload_class, request.start, request.start + request.duration_seconds, level)


def _level(request: ServiceRequest) -> ServiceLevelFloor:
    late = request.latency_seconds
    return ServiceLevelFloor(
        request.bandwidth,
        None if late is None else Duration(round(late * 1_000_000)),
        Fraction(request.availability).limit_denominator(_DENOMINATOR),
    )
