"""Owns what the consumer's policy agent does outside: present its wallet, and sign terms with its key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.negotiation.agreement import sign_terms
from controller.negotiation.desk import Desk
from controller.negotiation.enterprise import Purse
from controller.negotiation.holder import present
from controller.negotiation.jose import SigningKey
from controller.negotiation.records import Dialogue, ToolCall
from controller.negotiation.roles import Tool
from controller.runtime.negotiation_house import Effect
from controller.runtime.negotiation_money import refused

Json = Any


@dataclass(frozen=True, slots=True)
class HeldWallet:
    """A wallet that the consumer holds: its credentials, the root's first, and what it allows."""

    credentials: tuple[str, ...]
    purse: Purse


@dataclass(slots=True)
class HolderTools:
    """The tools of the consumer's policy agent. `nonce` gives a text that was never used before."""

    desk: Desk
    key: SigningKey
    nonce: Callable[[], str]
    wallets: dict[str, HeldWallet] = field(default_factory=dict)
    """By envelope."""

    def purse_of(self, workload_class: str) -> Purse | None:
        """The wallet that pays for a class; of several the first that was given."""
        for held in self.wallets.values():
            if workload_class in held.purse.terms.classes:
                return held.purse
        return None

    def effects(self) -> Mapping[Tool, Effect]:
        """By tool."""
        return {Tool.ATTACH_WALLET: self.attach, Tool.SIGN_TERMS: self.sign}

    async def attach(self, call: ToolCall, _dialogue: Dialogue, now: float) -> Json:
        """The proof of possession over the intent."""
        return self._presented(call.arguments, now)

    async def sign(self, call: ToolCall, dialogue: Dialogue, now: float) -> Json:
        """The consumer's signature over terms, and the wallet bound to them."""
        said = call.arguments
        terms = next(one for one in dialogue.offers if one.id == said["terms"])
        made = self._presented(said, now)
        return made if "refused" in made else {**made, "signature": sign_terms(terms, self.key)}

    def _presented(self, said: Json, now: float) -> Json:
        held = self.wallets.get(said["wallet"])
        if held is None:
            return refused("wallet", f"no wallet is held for '{said.get('class') or said['wallet']}'")
        shown = present(
            held.credentials, self.key, audience=said["audience"], intent=said["digest"], nonce=self.nonce(), now=now
        )
        return {"presentation": shown.text()}
