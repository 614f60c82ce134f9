"""Owns the intent wallet: what an agent may commit, of whose money, for which workloads, how good, and until when.

A wallet spends from an *envelope*. The envelope's name outlives the credential: re-issued wallets keep it, and the
ledger counts by it. A root's name begins with its issuer (`did:web:bank.example/line-7`), a delegated one's with its
parent's (`did:web:bank.example/line-7/retail`), so nobody can name, and fill, an envelope of somebody else's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.model.units import BitRate, Duration

_SEGMENT = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)
_DID = re.compile(r"did:[a-z0-9]{1,32}:[A-Za-z0-9._:%-]{1,200}", re.ASCII)
_CLASS = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
MOST_CLASSES = 64
MOST_DEPTH = 3
"""Delegations in series after the root: consumer, retail, wholesale, its carrier."""
LARGEST_MULTIPLIER = 100


@dataclass(frozen=True, slots=True)
class ServiceLevelFloor:
    """The least that may be bought: no bandwidth below, no latency above, no availability (share of time) below."""

    bandwidth: BitRate | None = None
    latency: Duration | None = None
    availability: Fraction | None = None

    def __post_init__(self) -> None:
        """A share of time is one."""
        if self.availability is not None and not 0 <= self.availability <= 1:
            raise InvalidInputError("an availability is a share of time, from 0 to 1")

    def broken_by(self, offered: "ServiceLevelFloor") -> str:
        """Which level of what is offered is below the floor, in words; empty when it honours all of them.

        A level that the offer says nothing of breaks a floor that there is.
        """
        if self.bandwidth and (offered.bandwidth is None or offered.bandwidth < self.bandwidth):
            return f"the bandwidth is {offered.bandwidth or 'not said'}, the floor {self.bandwidth}"
        if self.latency and (offered.latency is None or offered.latency > self.latency):
            return f"the latency is {offered.latency or 'not said'}, at most {self.latency} is allowed"
        if self.availability and (offered.availability is None or offered.availability < self.availability):
            said = "not said" if offered.availability is None else percent(offered.availability)
            return f"the availability is {said}, the floor {percent(self.availability)}"
        return ""


@dataclass(frozen=True, slots=True)
class ClassTerms:
    """What a workload class may have: its ceiling (None: the wallet's), and what that is multiplied with."""

    ceiling: Money | None = None
    multiplier: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        """A positive multiplier of sane size."""
        if not 0 < self.multiplier <= LARGEST_MULTIPLIER:
            raise InvalidInputError(f"a multiplier is over 0 and at most {LARGEST_MULTIPLIER}")


@dataclass(frozen=True, slots=True)
class DelegationRules:
    """How many delegations in series may follow, and to whom (nobody named: to anybody)."""

    depth: int = 0
    holders: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """A depth within what verifiers take."""
        if not 0 <= self.depth <= MOST_DEPTH:
            raise InvalidInputError(f"the depth of delegation is from 0 to {MOST_DEPTH}")
        for holder in self.holders:
            require_did(holder)


@dataclass(frozen=True, slots=True)
class WalletTerms:
    """The envelope. Times are whole seconds since the epoch; `valid_until` is the first second that is too late.

    `maximum_rate_per_hour` bounds what is newly taken within any sixty minutes, less what of that was given back.
    `operators` are those who may take it (nobody named: anybody): each keeps a ledger of his own, so a ceiling holds
    across operators only where one of them is named, or where each has a delegated share.
    """

    ceiling: Money
    classes: Mapping[str, ClassTerms]
    valid_from: int
    valid_until: int
    floor: ServiceLevelFloor = field(default_factory=ServiceLevelFloor)
    maximum_rate_per_hour: Money | None = None
    delegation: DelegationRules = field(default_factory=DelegationRules)
    operators: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """One currency, at least one class, a window that is not empty."""
        if self.ceiling.minor <= 0:
            raise InvalidInputError("a wallet's ceiling is more than nothing", remedy="give a sum such as 40.00")
        if not 0 < len(self.classes) <= MOST_CLASSES:
            raise InvalidInputError(f"a wallet names from 1 to {MOST_CLASSES} workload classes")
        if not 0 <= self.valid_from < self.valid_until:
            raise InvalidInputError("a wallet ends after it begins")
        for name in self.classes:
            if not _CLASS.fullmatch(name):
                raise InvalidInputError("a workload class is named with small letters, digits and hyphens")
        for operator in self.operators:
            require_did(operator)
        for amount in self._amounts():
            if amount.currency != self.ceiling.currency:
                raise InvalidInputError(f"all amounts of a wallet are in one currency, here {self.ceiling.currency}")
            if amount.minor < 0:
                raise InvalidInputError("no amount of a wallet is negative")

    def limit_of(self, workload_class: str) -> Money:
        """The most a class may have taken at a time: its ceiling times its multiplier, never over the wallet's own."""
        terms = self.classes[workload_class]
        base = terms.ceiling or self.ceiling
        exact = base.minor * terms.multiplier
        return self.ceiling if exact >= self.ceiling.minor else base.times(terms.multiplier)

    def _amounts(self) -> list[Money]:
        amounts = [terms.ceiling for terms in self.classes.values() if terms.ceiling is not None]
        return amounts + ([self.maximum_rate_per_hour] if self.maximum_rate_per_hour is not None else [])


@dataclass(frozen=True, slots=True)
class Wallet:
    """Who (`holder`) may spend what, by whose word (`issuer`). `parent`: the id of the wallet it was delegated from."""

    id: str
    envelope: str
    issuer: str
    holder: str
    terms: WalletTerms
    parent: str | None = None

    def __post_init__(self) -> None:
        """Names are DIDs, and a root's envelope is its issuer's."""
        require_did(self.issuer)
        require_did(self.holder)
        scopes_of(self.envelope)
        if self.parent is None and not (self.root == self.envelope and self.root.startswith(f"{self.issuer}/")):
            raise InvalidInputError("a root wallet's envelope is 'ISSUER/NAME'")

    @property
    def root(self) -> str:
        """The name of the root's envelope."""
        return root_of(self.envelope)


def root_of(envelope: str) -> str:
    """The root that an envelope belongs to."""
    return scopes_of(envelope)[0]


@lru_cache(maxsize=4096)
def scopes_of(envelope: str) -> tuple[str, ...]:
    """An envelope and those that it is a part of, the root's first; `InvalidInputError` when it is not a good name."""
    did, *segments = envelope.split("/")
    if not _DID.fullmatch(did) or not 1 <= len(segments) <= MOST_DEPTH + 1:
        raise InvalidInputError("an envelope is named 'DID/NAME', and 'DID/NAME/NAME' where it was delegated")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise InvalidInputError("the names in an envelope are letters, digits and -._~")
    return tuple("/".join([did, *segments[: count + 1]]) for count in range(len(segments)))


def require_did(text: str) -> str:
    """The text, if it is a decentralised identifier (W3C DID 1.0) of moderate length."""
    if not isinstance(text, str) or not _DID.fullmatch(text):
        raise InvalidInputError("a party is named by a DID, as did:web:bank.example")
    return text


def percent(share: Fraction) -> str:
    """A share of time as people write it: `99.95 %`."""
    return f"{float(share * 100):.6f}".rstrip("0").rstrip(".") + " %"
