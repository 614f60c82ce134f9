"""Owns what episode 5 tries: a purchase each time, with a paper or a network that is not as it ought to be."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.dialogue import Stage
from controller.negotiation.enterprise import Purse
from controller.negotiation.jose import SigningKey
from controller.negotiation.records import Dialogue
from controller.negotiation.wallet import WalletTerms
from controller.runtime.negotiation_holder import HeldWallet
from controller.scenarios.surroundings import START
from controller.scenarios.theatre import ENVELOPE, TREASURY, Theatre

_THIEF = "did:web:thief.example"


@dataclass(slots=True)
class Attempts:
    """Attempts with one good wallet's terms to begin with; after each, all is well again."""

    theatre: Theatre
    good: WalletTerms = field(init=False)
    paid: Money = field(init=False)
    """By all of them."""
    found: dict[str, str] = field(default_factory=dict)
    """By name, the check that refused it, or how far it came."""

    def __post_init__(self) -> None:
        """The wallet that the theatre has is the good one."""
        self.good = self.theatre.wallet
        self.paid = Money.zero(self.good.ceiling.currency)

    async def buy(self) -> Dialogue:
        """What is asked for each time."""
        return await self.theatre.negotiate(
            self.theatre.wish("london", "frankfurt", 200, "order-execution", latency_seconds=0.02)
        )

    async def attempt(
        self,
        name: str,
        why: str,
        prepare: Callable[[], None] = lambda: None,
        act: Callable[[], Awaitable[Dialogue]] | None = None,
    ) -> Dialogue:
        """Spoil something, try, note what came of it, mend it."""
        theatre = self.theatre
        theatre.say(f"-- {name}: {why}")
        prepare()
        before = theatre.taken
        done = await (act or self.buy)()
        self.paid += theatre.taken - before
        self.found[name] = done.refusal.check if done.refusal and done.stage is not Stage.DONE else str(done.stage)
        theatre.is_revoked = False
        theatre.surroundings.refuse(is_refusing=False)
        theatre.reissue(self.good)
        return done

    async def papers(self) -> None:
        """With wallets that are no good, or not good enough."""
        good = self.good
        forger, cent = SigningKey.of(f"{TREASURY}#key-1", bytes([250] * 32)), Money(1, good.ceiling.currency)
        expired, poor = replace(good, valid_until=int(START) - 3600), replace(good, ceiling=cent)
        await self.attempt("revoked", "the treasury has revoked the wallet", self._revoke)
        await self.attempt("expired", "its last hour is over", self._held(expired))
        await self.attempt("forged", "somebody else has signed it in the treasury's name", self._held(good, key=forger))
        await self.attempt("wrong holder", f"it was issued to {_THIEF}", self._held(good, holder=_THIEF))
        believed = f"it has {cent}, its holder believes {good.ceiling}"
        await self.attempt("over its ceiling", believed, self._held(poor))
        await self.attempt("unaffordable", f"it has {cent}, and its holder knows", lambda: self.theatre.reissue(poor))

    async def twice(self) -> None:
        """With what was used already: a proposal, or the money of one root."""
        theatre, ten = self.theatre, Money(1000, self.good.ceiling.currency)
        await self.attempt("replayed", "somebody sends the last proposal again", act=theatre.replay)
        theatre.say(f"two children of one root, each with all of its {ten}; the first of them buys")
        self._hold_child(ten, "north")
        first = await self.buy()
        await self.attempt("forked", "the second buys too", lambda: self._hold_child(ten, "south"))
        if first.stage is Stage.DONE:
            theatre.say("the first ends what it bought")
            await theatre.end(first.terms.root)

    async def offers(self) -> None:
        """Of what the wallet does not pay for, and of what routers will not carry."""
        theatre = self.theatre
        floor = replace(self.good, floor=replace(self.good.floor, bandwidth=BitRate(10**9)))
        await self.attempt(
            "below the floor", "the wallet pays for nothing below 1 Gbit/s", lambda: theatre.reissue(floor)
        )
        await self.attempt(
            "provisioning fails",
            "routers refuse what is committed",
            lambda: theatre.surroundings.refuse(is_refusing=True),
        )

    def _revoke(self) -> None:
        self.theatre.is_revoked = True

    def _held(self, terms: WalletTerms, **signed: Any) -> Callable[[], None]:
        """A bad paper in the hands of an agent that believes it to be good."""

        def prepare() -> None:
            self.theatre.reissue(terms, **signed)
            held = self.theatre.holder.wallets[ENVELOPE]
            self.theatre.holder.wallets[ENVELOPE] = HeldWallet(held.credentials, Purse(ENVELOPE, self.good))

        return prepare

    def _hold_child(self, ceiling: Money, name: str) -> None:
        self.theatre.wallet = replace(self.good, ceiling=ceiling)
        self.theatre.fork(name)
