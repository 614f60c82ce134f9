"""Owns the facts that clauses of a sentence state, each with the exact words that state it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from controller.intent.model import (
    AddressFamily,
    Property,
    PropertyExpectation,
    Routing,
    ServiceType,
    SiteReference,
    Topology,
)
from controller.intent.reading import Question


class Action(StrEnum):
    """What is to be done."""

    CREATE = "create"
    RAISE = "raise"
    LOWER = "lower"
    SET = "set"
    EXTEND = "extend"
    ADD = "add"
    REMOVE = "remove"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the sentence and every place of the knowledge base that it may be."""

    words: str
    start: int
    options: tuple[SiteReference, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something the sentence states; `start` is the offset of `words` in it."""

    field: ClassVar[str] = ""
    words: str
    start: int


@dataclass(frozen=True, slots=True)
class ActionFact(Fact):
    """The verb."""

    field: ClassVar[str] = "action"
    value: Action


@dataclass(frozen=True, slots=True)
class CountFact(Fact):
    """How many sites are announced."""

    field: ClassVar[str] = "site-count"
    value: int


@dataclass(frozen=True, slots=True)
class SitesFact(Fact):
    """A list of places. `pairwise` when it is written as a pair (`London to Paris`)."""

    field: ClassVar[str] = "sites"
    value: tuple[Place, ...]
    pairwise: bool


@dataclass(frozen=True, slots=True)
class HubsFact(Fact):
    """Places named as hubs."""

    field: ClassVar[str] = "hubs"
    value: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class SpokesFact(Fact):
    """Places named as spokes."""

    field: ClassVar[str] = "spokes"
    value: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class CustomerFact(Fact):
    """Who it is for."""

    field: ClassVar[str] = "customer"
    value: str


@dataclass(frozen=True, slots=True)
class VpnFact(Fact):
    """A running VPN, by its identifier."""

    field: ClassVar[str] = "vpn"
    value: str


@dataclass(frozen=True, slots=True)
class VpnNameFact(Fact):
    """The identifier a new VPN is to have."""

    field: ClassVar[str] = "vpn"
    value: str


@dataclass(frozen=True, slots=True)
class ServiceFact(Fact):
    """The service is mentioned; `value` is None for words as general as `VPN`."""

    field: ClassVar[str] = "service-type"
    value: ServiceType | None


@dataclass(frozen=True, slots=True)
class ExpectationFact(Fact):
    """A property with its condition and value."""

    field: ClassVar[str] = "property"
    value: PropertyExpectation


@dataclass(frozen=True, slots=True)
class MentionFact(Fact):
    """A property's name, its value elsewhere in the sentence."""

    field: ClassVar[str] = "property"
    value: Property


@dataclass(frozen=True, slots=True)
class TopologyFact(Fact):
    """The topology."""

    field: ClassVar[str] = "topology"
    value: Topology


@dataclass(frozen=True, slots=True)
class ServiceModelFact(Fact):
    """The YANG service model to use."""

    field: ClassVar[str] = "service-model"
    value: str


@dataclass(frozen=True, slots=True)
class TemplateFact(Fact):
    """The service template to fill up from."""

    field: ClassVar[str] = "template"
    value: str


@dataclass(frozen=True, slots=True)
class PriorityFact(Fact):
    """1 (most important) to 9."""

    field: ClassVar[str] = "priority"
    value: int


@dataclass(frozen=True, slots=True)
class AddressFamilyFact(Fact):
    """IPv4, IPv6 or both."""

    field: ClassVar[str] = "address-family"
    value: AddressFamily


@dataclass(frozen=True, slots=True)
class RoutingFact(Fact):
    """The protocol towards the customer's edge."""

    field: ClassVar[str] = "routing"
    value: Routing


@dataclass(frozen=True, slots=True)
class StartFact(Fact):
    """When it begins."""

    field: ClassVar[str] = "from"
    value: datetime


@dataclass(frozen=True, slots=True)
class EndFact(Fact):
    """The first moment at which it is over."""

    field: ClassVar[str] = "until"
    value: datetime


@dataclass(frozen=True, slots=True)
class LastsFact(Fact):
    """How long it lasts from its beginning, in calendar months and days."""

    field: ClassVar[str] = "until"
    months: int
    days: int


@dataclass(frozen=True, slots=True)
class Match:
    """A clause that reaches up to token `end`: what it states, and what is unclear in it."""

    end: int
    facts: tuple[Fact, ...] = ()
    questions: tuple[Question, ...] = ()
