"""Owns the five episodes of draft naas-agentic-negotiation (Illustrative Use Cases): what surrounds the agents.

Each sets topology, other people's traffic, and wallets, then lets time go by; what happens is decided by the agents,
and the outcome is read off what they agreed. `dials` can be turned from outside, and turn the outcome.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.agreement import Strategy
from controller.negotiation.catalogue import Catalogue, Tier
from controller.negotiation.dialogue import Stage
from controller.negotiation.roles import Tool
from controller.negotiation.wallet import ClassTerms, ServiceLevelFloor, WalletTerms
from controller.scenarios.attempts import Attempts
from controller.scenarios.simulation import simulated
from controller.scenarios.surroundings import START, Market, OpenSurroundings, Spur, Tell, Wire, Wires
from controller.scenarios.theatre import Theatre
from controller.scenarios.words import told

Json = Any
_DAY = 86_400
_SQUARE: tuple[Wire, ...] = (
    ("london", "paris", 3, 10),
    ("paris", "frankfurt", 3, 10),
    ("london", "amsterdam", 6, 10),
    ("amsterdam", "frankfurt", 6, 10),
)
"""The short way takes 6 ms, the long one 12 ms."""
_SHORT = (("london", "paris"), ("paris", "frankfurt"))
_BOTH = {Tier.IP: _SQUARE, Tier.OPTICAL: _SQUARE}
_SLOW_WAY_ROUND: tuple[Wire, ...] = (
    ("london", "paris", 3, 10),
    ("paris", "frankfurt", 3, 10),
    ("london", "amsterdam", 11, 10),
    ("amsterdam", "frankfurt", 11, 10),
)
"""The IP network's way round takes longer than the money path may."""
_OTHER_DUCTS: tuple[Wire, ...] = (
    ("london", "amsterdam", 4, 10),
    ("amsterdam", "frankfurt", 4, 10),
    ("london", "paris", 5, 10),
    ("paris", "frankfurt", 5, 10),
)


@dataclass(frozen=True, slots=True)
class Dials:
    """What can be turned: how full the scarce links are of other traffic, and the wallet's ceiling in euros."""

    load: float
    ceiling: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: a word for it, and the facts."""

    verdict: str
    facts: Mapping[str, Json] = field(default_factory=dict)


Play = Callable[[Theatre, Dials], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """An episode, and the networks that it has."""

    name: str
    summary: str
    dials: Dials
    play: Play
    wires: Wires = field(default_factory=lambda: {Tier.IP: _SQUARE})
    spur: Spur | None = None

    async def run(
        self, market: Market, tell: Tell, dials: Dials | None = None, *, surroundings: OpenSurroundings = simulated
    ) -> Outcome:
        """Play it."""
        turned = dials or self.dials
        wallet = wallet_of(market.catalogue, turned.ceiling)
        async with surroundings(self.wires, market, tell, self.spur) as around:
            theatre = Theatre(wallet, around, market, tell, told)
            outcome = await self.play(theatre, turned)
            for flow in await flows(theatre):
                theatre.say(f"{flow['class']}: {flow['sent']} packets sent, {flow['lost']} lost")
            return outcome


def wallet_of(catalogue: Catalogue, ceiling: str, **changes: Any) -> WalletTerms:
    """A wallet for everything that is sold, for a month."""
    said: dict[str, Any] = {
        "ceiling": Money.parse(ceiling, catalogue.currency),
        "classes": {name: ClassTerms() for name in catalogue.classes},
        "valid_from": int(START) - _DAY,
        "valid_until": int(START) + 30 * _DAY,
        "floor": ServiceLevelFloor(BitRate(10_000_000)),
    }
    return WalletTerms(**{**said, **changes})


async def packets(theatre: Theatre) -> dict[str, Json]:
    """What became of every packet of the consumer's services, all together and by flow."""
    found = await theatre.delivered()
    return {"sent": found.sent, "lost": found.lost, "flows": await flows(theatre)}


async def flows(theatre: Theatre) -> list[Json]:
    """Each agreement's packets."""
    standings = [one for one in theatre.negotiations.agreements() if one.service]
    found = [(one, await theatre.delivered(one.root)) for one in standings]
    return [
        {"class": one.terms.request.workload_class, "service": one.service, "sent": said.sent, "lost": said.lost}
        for one, said in found
    ]


def tell_measured(theatre: Theatre, tier: Tier, *wires: tuple[str, str]) -> None:
    """What is counted on these wires now, with all headers."""
    found = [f"{_megabits(theatre.measured(tier, wire))} from {wire[0]} to {wire[1]}" for wire in wires]
    theatre.say(f"measured ({tier}): {', '.join(found)}")


def _megabits(rate: BitRate) -> str:
    return f"{rate.bits_per_second / 1e6:.0f} Mbit/s"


# -- 1: service switching ----------------------------------------------------------------------------------------------


async def switching(theatre: Theatre, dials: Dials) -> Outcome:
    """A burst wants the deterministic network, which others have made dear."""
    theatre.say(f"others fill the optical network by {dials.load:.0%}; the IP network is quiet")
    await theatre.load(Tier.OPTICAL, dials.load)
    await theatre.warm_up()
    tell_measured(theatre, Tier.OPTICAL, *_SHORT)
    theatre.say("a workload bursts: premium transport is wanted")
    wish = theatre.wish("london", "frankfurt", 200, "order-execution", latency_seconds=0.01, tier=Tier.OPTICAL)
    done = await theatre.negotiate(wish)
    if done.stage is not Stage.DONE:
        return Outcome("refused", {"check": done.refusal.check if done.refusal else ""})
    root, routes = done.terms.root, [await theatre.route(done.terms.root)]
    if done.terms.level.tier != Tier.OPTICAL:
        await theatre.wait(300)
        theatre.say("the others leave the optical network")
        await theatre.load(Tier.OPTICAL, 0.05)
        await theatre.wait_for(lambda: theatre.standing(root).terms.level.tier == Tier.OPTICAL, 1500)
    await theatre.wait(60)
    routes.append(await theatre.route(root))
    standing = theatre.standing(root)
    tiers = [issue.terms.level.tier for issue in standing.issues]
    facts = {"tiers": tiers, "routes": routes, "taken": str(theatre.taken), **await packets(theatre)}
    verdict = "optical at once" if tiers[0] == "optical" else "IP first, then optical" if len(tiers) > 1 else "IP only"
    return Outcome(verdict, facts)


# -- 2: volatile open --------------------------------------------------------------------------------------------------

_CLASSES = (
    ("market-data", 50, None),
    ("order-execution", 10, 0.02),
    ("risk-replication", 200, 0.02),
    ("block-synchronisation", 200, None),
    ("bulk-transfer", 200, None),
)
"""Five flow classes over one private spur: rate in Mbit/s, latency in seconds."""
_SPUR: Spur = ("docklands", "london", 0.1, 1)
_SPUR_FULL = 0.9
"""So far the firm fills its spur: headers come on top of what is agreed."""


async def volatile_open(theatre: Theatre, dials: Dials) -> Outcome:
    """The market opens; the firm's own spur to the operator is the bottleneck, and only the firm's traffic is on it."""
    capacity = round(_SPUR[3] * 1e9)
    theatre.say(f"the firm's own spur has {BitRate(capacity)}; its other traffic takes {dials.load:.0%} of that")
    await theatre.load(Tier.IP, dials.load, _SPUR[:2])
    await theatre.warm_up(ticks=20)
    tell_measured(theatre, Tier.IP, _SPUR[:2])
    beside = theatre.measured(Tier.IP, _SPUR[:2]).bits_per_second
    roots: dict[str, str] = {}
    for name, megabits, latency in _CLASSES:
        done = await theatre.negotiate(theatre.wish(_SPUR[0], "frankfurt", megabits, name, latency_seconds=latency))
        if done.stage is Stage.DONE:
            roots[name] = done.terms.root
    await theatre.wait(120)
    before = theatre.measured(Tier.IP, _SPUR[:2])
    tell_measured(theatre, Tier.IP, _SPUR[:2])
    wanted = {"market-data": 200, "order-execution": 50}
    theatre.say(f"the market opens: {' and '.join(f'{name} wants {rate} Mbit/s' for name, rate in wanted.items())}")
    ceiling = theatre.wallet.ceiling.times(2)
    theatre.say(f"for the day the wallet's ceiling is raised to {ceiling}")
    theatre.reissue(replace(theatre.wallet, ceiling=ceiling))
    standings = {name: theatre.standing(root) for name, root in roots.items()}
    room = BitRate(max(0, round(capacity * _SPUR_FULL) - beside))
    requirement = theatre.negotiations.consumer().requirement
    for name, megabits in requirement.relieved(standings, wanted, room, theatre.market.catalogue).items():
        theatre.say(f"the firm takes {name} down to {megabits} Mbit/s: its spur has {_megabits(room)} for all of them")
        await theatre.change(roots[name], bandwidth=BitRate(megabits * 1_000_000))
    for name, megabits in wanted.items():
        if name in roots:
            await theatre.change(roots[name], bandwidth=BitRate(megabits * 1_000_000))
    await theatre.wait(60)
    levels = {name: theatre.standing(root).terms.level.bit_rate // 10**6 for name, root in roots.items()}
    after = theatre.measured(Tier.IP, _SPUR[:2])
    tell_measured(theatre, Tier.IP, _SPUR[:2])
    is_good = all(levels.get(name, 0) >= megabits for name, megabits in wanted.items())
    verdict = "money path paid for" if is_good else "money path held back"
    facts = {
        "levels": levels,
        "routes": [await theatre.route(root) for root in roots.values()],
        "on_spur_megabits": {
            "beside": round(beside / 1e6),
            "before": round(before.bits_per_second / 1e6),
            "after": round(after.bits_per_second / 1e6),
            "capacity": round(capacity / 1e6),
        },
        "taken": str(theatre.taken),
        **await packets(theatre),
    }
    bulk = standings.get("bulk-transfer")
    is_lowered = bulk is not None and levels["bulk-transfer"] * 10**6 < bulk.terms.level.bit_rate
    verdict += ", bulk not agreed" if bulk is None else ", bulk lowered" if is_lowered else ", bulk kept"
    return Outcome(f"{verdict}{', packets lost' if facts['lost'] else ''}", facts)


# -- 3: energy shock ---------------------------------------------------------------------------------------------------


async def energy_shock(theatre: Theatre, dials: Dials) -> Outcome:
    """One event, two opposite negotiations."""
    theatre.say(f"energy and metals jump: everybody computes, the short way fills to {dials.load:.0%}")
    await theatre.load(Tier.IP, dials.load, *_SHORT)
    await theatre.load(Tier.OPTICAL, dials.load, *_SHORT)
    await theatre.warm_up()
    for tier in (Tier.IP, Tier.OPTICAL):
        tell_measured(theatre, tier, *_SHORT)
    risk = await theatre.negotiate(theatre.wish("london", "frankfurt", 200, "risk-replication", latency_seconds=0.01))
    block = await theatre.negotiate(theatre.wish("london", "frankfurt", 200, "block-synchronisation"))
    await theatre.wait(60)
    facts = await packets(theatre)
    for name, done in (("risk", risk), ("block", block)):
        if done.stage is Stage.DONE:
            facts[name] = {
                "route": await theatre.route(done.terms.root),
                "per_hour": str(done.terms.quote.price_per_hour),
                "bands": {axis.value: band.value for axis, band in done.terms.quote.bands.items()},
            }
    if not {"risk", "block"} <= facts.keys():
        return Outcome("not both agreed", facts)
    apart = facts["risk"]["route"] != facts["block"]["route"]
    return Outcome("risk pays for the short way, block goes round" if apart else "both take the short way", facts)


# -- 4: foreign congestion ---------------------------------------------------------------------------------------------


async def foreign_congestion(theatre: Theatre, dials: Dials) -> Outcome:
    """Somebody else congests a core path under a live agreement, and the way round cannot keep its latency."""
    await theatre.warm_up(ticks=20)
    asked = {"latency_seconds": 0.02, "availability": 0.999, "duration_seconds": _DAY, "tier": Tier.IP}
    done = await theatre.negotiate(theatre.wish("london", "frankfurt", 1000, "order-execution", **asked))
    if done.stage is not Stage.DONE:
        return Outcome("refused", {"check": done.refusal.check if done.refusal else ""})
    root, routes = done.terms.root, [await theatre.route(done.terms.root)]
    theatre.say("an unrelated tenant grows on the way from London to Paris")
    for step in range(1, 13):
        await theatre.load(Tier.IP, dials.load * step / 12, ("london", "paris"))
        await theatre.wait(30)
    await theatre.wait(120)
    tell_measured(theatre, Tier.IP, _SHORT[0])
    routes.append(await theatre.route(root))
    theatre.say("the tenant leaves")
    await theatre.load(Tier.IP, 0.0, ("london", "paris"))
    is_moved = routes[0] != routes[1]
    await theatre.wait_for(
        lambda: theatre.standing(root).terms.strategy is Strategy.STEP_BACK, 1800 if is_moved else 60
    )
    await theatre.wait(60)
    routes.append(await theatre.route(root))
    standing, delivered = theatre.standing(root), await packets(theatre)
    issues = [issue.terms for issue in standing.issues]
    facts = {
        "strategies": [terms.strategy.value for terms in issues],
        "tiers": [terms.level.tier for terms in issues],
        "per_hour": [str(terms.quote.price_per_hour) for terms in issues],
        "routes": routes,
        "service": standing.service,
        **delivered,
        "flags": theatre.used(Tool.FLAG_RISK),
    }
    is_back = issues[-1].strategy is Strategy.STEP_BACK
    if is_moved:
        return Outcome(f"renegotiated in flight{', and back' if is_back else ''}", facts)
    return Outcome("congested, and nothing else could be paid" if delivered["lost"] else "left alone", facts)


# -- 5: refusals -------------------------------------------------------------------------------------------------------


async def refusals(theatre: Theatre, dials: Dials) -> Outcome:
    """What must not be, is not: each by the name of the check, for no money."""
    tried = Attempts(theatre)
    await tried.papers()
    await tried.twice()
    await tried.offers()
    await _fill(theatre, dials.load)
    await tried.attempt("withdrawn", "it is asked for once more")
    effort = sorted({work.value for work in theatre.work})
    facts = {"checks": tried.found, "paid": str(tried.paid), "effort": effort, **await packets(theatre)}
    good_ones = [name for name, check in tried.found.items() if check == Stage.DONE]
    is_free = tried.paid.minor == 0 and not good_ones
    return Outcome("all refused, nothing paid" if is_free else f"went through: {', '.join(good_ones)}", facts)


async def _fill(theatre: Theatre, share: float) -> None:
    theatre.say(f"others fill every link by {share:.0%}")
    await theatre.load(Tier.IP, share)
    await theatre.wait(120)
    tell_measured(theatre, Tier.IP, *(wire[:2] for wire in _SQUARE))


SCENARIOS: Mapping[str, Scenario] = {
    one.name: one
    for one in (
        Scenario(
            "service-switching",
            "a premium burst, a surging deterministic tier, a compromise on IP, and the way up when it clears",
            Dials(0.95, "30.00"),
            switching,
            _BOTH,
        ),
        Scenario(
            "volatile-open",
            "the private spur is the bottleneck: order execution pays up, bulk backup drops to its lowest grade",
            Dials(0.2, "60.00"),
            volatile_open,
            spur=_SPUR,
        ),
        Scenario(
            "energy-shock",
            "one event: risk replication pays for the shortest way, block synchronisation goes round",
            Dials(0.95, "400.00"),
            energy_shock,
            _BOTH,
        ),
        Scenario(
            "foreign-congestion",
            "another tenant congests a core path: renegotiated in flight, and back when it clears",
            Dials(0.97, "4000.00"),
            foreign_congestion,
            {Tier.IP: _SLOW_WAY_ROUND, Tier.OPTICAL: _OTHER_DUCTS},
        ),
        Scenario("refusals", "bad wallets, bad offers, and provisioning that fails", Dials(1.0, "40.00"), refusals),
    )
}


def scenario_of(name: str) -> Scenario:
    """One by its name."""
    if name not in SCENARIOS:
        raise NotFoundError(f"there is no scenario '{name}'", remedy=f"name one of {', '.join(SCENARIOS)}", path=name)
    return SCENARIOS[name]


def dials_of(scenario: Scenario, load: float | None, ceiling: str) -> Dials:
    """The scenario's dials with what is turned; `InvalidInputError` for what no dial can show."""
    if load is not None and not 0 <= load <= 1:
        raise InvalidInputError(f"a load of {load} is no share", remedy="give one from 0 to 1", path="load")
    return Dials(scenario.dials.load if load is None else load, ceiling or scenario.dials.ceiling)
