"""Owns the vocabulary: the fixed phrases of the grammar, and those that come from a knowledge base."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache

from controller.intent.facts import Action
from controller.intent.knowledge import KnowledgeBase, normalised
from controller.intent.model import AddressFamily, Condition, Property, Routing, ServiceType, SiteReference, Topology
from controller.intent.reading import Question, QuestionKind
from controller.intent.tokens import FILLERS, Meaning, Phrases, Token, keyed, phrases, tokenise, words_of

ACTIONS: Phrases[Action] = phrases(
    {
        **dict.fromkeys(
            (
                "connect", "connecting", "interconnect", "interconnecting", "link", "linking", "join", "joining",
                "create", "build", "set up", "setup", "provision", "establish", "order", "deploy",
                "need", "needs", "want", "wants",
                "i need", "we need", "i want", "we want", "i would like", "we would like", "i'd like", "we'd like",
            ),
            Action.CREATE,
        ),
        **dict.fromkeys(("raise", "increase", "upgrade", "boost"), Action.RAISE),
        **dict.fromkeys(("lower", "reduce", "decrease", "downgrade"), Action.LOWER),
        **dict.fromkeys(("set", "change", "modify", "update"), Action.SET),
        **dict.fromkeys(("extend", "prolong"), Action.EXTEND),
        "add": Action.ADD,
        **dict.fromkeys(
            ("delete", "remove", "drop", "withdraw", "terminate", "tear down", "decommission", "cancel"), Action.REMOVE
        ),
        "disconnect": Action.DISCONNECT,
    }
)  # fmt: skip
ASKING = phrases(dict.fromkeys(("can you", "could you", "would you"), True))
WISHING = phrases(
    dict.fromkeys(
        ("i need to", "we need to", "i want to", "we want to", "i would like to", "we would like to", "i'd like to",
         "we'd like to"),
        True,
    )
)  # fmt: skip
CONNECTORS = frozenset({"and", "&", ",", ";", ":", "with", "using", "having", ".", "!"})
FINAL_MARKS = frozenset({".", "!"})
NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "without",
        "except",
        "excluding",
        "exclude",
        "unless",
        "instead",
        "neither",
        "nor",
        "don't",
        "dont",
        "doesn't",
        "won't",
        "can't",
        "cannot",
        "avoid",
        "avoiding",
        "minus",
        "but",
        "isn't",
        "aren't",
        "none",
        "nothing",
    ]
)
COUNTS = {
    word: number
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=1
    )
}
SITE_NOUNS = frozenset(["site", "sites", "location", "locations", "office", "offices", "branch", "branches"])
SITE_KINDS = phrases(dict.fromkeys(("vpn", "l3vpn", "customer", "vpn customer"), True))
SERVICES: Phrases[ServiceType | None] = phrases(
    {
        **dict.fromkeys(("vpn", "vpns", "vpn service", "vpn connection", "service", "connection",
                          "connectivity"), None),
        **dict.fromkeys(
            ("l3vpn", "l3vpns", "l3vpn service", "layer 3 vpn", "layer 3 vpn service", "l3 vpn", "l3 vpn service",
             "ip vpn", "ip vpn service", "layer-3 vpn"),
            ServiceType.L3VPN,
        ),
    }
)  # fmt: skip
SERVICE_MODELS: Phrases[str] = phrases(
    dict.fromkeys(
        ("l3sm", "l3sm model", "l3sm service model", "rfc 8299", "rfc8299", "ietf-l3vpn-svc", "service model l3sm"),
        "ietf-l3vpn-svc",
    )
)
TOPOLOGIES: Phrases[Topology] = phrases(
    {
        name + suffix: topology
        for suffix in ("", " topology")
        for names, topology in (
            (("any-to-any", "any to any", "full mesh", "full-mesh", "fully meshed"), Topology.ANY_TO_ANY),
            (("hub-and-spoke", "hub and spoke", "hub-spoke", "hub & spoke"), Topology.HUB_SPOKE),
            (
                ("hub-and-spoke-disjoint", "hub-spoke-disjoint", "hub and spoke disjoint", "disjoint hub and spoke"),
                Topology.HUB_SPOKE_DISJOINT,
            ),
        )
        for name in names
    }
)
ADDRESS_FAMILIES: Phrases[AddressFamily] = phrases(
    {
        "ipv4": AddressFamily.IPV4,
        "ipv6": AddressFamily.IPV6,
        **dict.fromkeys(
            ("dual stack", "dual-stack", "ipv4 and ipv6", "ipv6 and ipv4", "both ipv4 and ipv6"),
            AddressFamily.DUAL_STACK,
        ),
    }
)
ROUTINGS: Phrases[Routing] = phrases(
    {
        name + suffix: routing
        for suffix in ("", " routing")
        for name, routing in (("bgp", Routing.BGP), ("ospf", Routing.OSPF), ("vrrp", Routing.VRRP))
    }
    | {"static routing": Routing.STATIC, "static routes": Routing.STATIC, "direct routing": Routing.DIRECT}
)
COMPARATORS: Phrases[Condition] = phrases(
    {
        **dict.fromkeys(
            ("at least", "minimum", "minimum of", "min", "no less than", "not less than", ">="), Condition.AT_LEAST
        ),
        **dict.fromkeys(
            ("at most", "maximum", "maximum of", "max", "no more than", "not more than", "up to", "within",
             "not exceeding", "<="),
            Condition.AT_MOST,
        ),
        **dict.fromkeys(("less than", "below", "under", "lower than", "<"), Condition.BELOW),
        **dict.fromkeys(("more than", "above", "over", "greater than", "higher than", ">"), Condition.ABOVE),
        "exactly": Condition.EQUAL,
    }
)  # fmt: skip
PROPERTIES: Phrases[Property] = phrases(
    {
        **dict.fromkeys(("bandwidth", "capacity", "speed"), Property.BANDWIDTH),
        **dict.fromkeys(
            ("input bandwidth", "download", "download bandwidth", "download speed"), Property.INPUT_BANDWIDTH
        ),
        **dict.fromkeys(("output bandwidth", "upload", "upload bandwidth", "upload speed"), Property.OUTPUT_BANDWIDTH),
        **dict.fromkeys(("latency", "delay", "one-way latency", "one-way delay"), Property.LATENCY),
        **dict.fromkeys(("availability", "uptime"), Property.AVAILABILITY),
    }
)
DIRECTIONS: Phrases[Property] = phrases(
    {
        **dict.fromkeys(("down", "download", "downstream", "downlink", "input"), Property.INPUT_BANDWIDTH),
        **dict.fromkeys(("up", "upload", "upstream", "uplink", "output"), Property.OUTPUT_BANDWIDTH),
        **dict.fromkeys(
            ("symmetric", "symmetrical", "each way", "both ways", "in each direction", "in both directions"),
            Property.BANDWIDTH,
        ),
    }
)


_SUGGESTED_WORDS = 2


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Phrases of one knowledge base."""

    places: Phrases[tuple[SiteReference, ...]]
    countries: Phrases[str]
    customers: Phrases[str]
    templates: Phrases[str]
    vpns: Phrases[str]
    names: Mapping[str, str]
    """Everything that has a name, normalised and as written, to suggest from."""

    @classmethod
    def of(cls, knowledge: KnowledgeBase) -> "Vocabulary":
        """The words that `knowledge` adds to the grammar's own."""
        places: dict[tuple[str, ...], tuple[SiteReference, ...]] = {}
        for city in knowledge.cities:
            for name in {words_of(name) for name in (city.name, *city.aliases)}:
                places[name] = (*places.get(name, ()), SiteReference(city.name, city.country))
        for customer in knowledge.customers:
            for site in customer.sites:
                places[words_of(site.site_id)] = (SiteReference(site.city, site.country, site.site_id),)
        customers = {name: who.name for who in knowledge.customers for name in (who.name, *who.aliases)}
        countries = {name: code for code, names in knowledge.countries.items() for name in names}
        templates = {template.name: template.name for template in knowledge.templates}
        vpns = {vpn.vpn_id: vpn.vpn_id for vpn in knowledge.vpns}
        cities = tuple(name for city in knowledge.cities for name in (city.name, *city.aliases))
        return cls(
            keyed(places),
            phrases(countries),
            phrases(customers),
            phrases(templates),
            phrases(vpns),
            {normalised(name): name for name in (*cities, *customers, *vpns, *templates)},
        )

    def similar(self, words: str) -> tuple[str, ...]:
        """Up to three names that look like one of the first `words`; comparing is dear, so long texts get no more."""
        looked_up = words_of(words)[:_SUGGESTED_WORDS]
        found = [close for word in looked_up for close in get_close_matches(word, self.names, n=3, cutoff=0.7)]
        return tuple(self.names[name] for name in dict.fromkeys(found))[:3]


@lru_cache(maxsize=4)
def _vocabulary_of(knowledge: KnowledgeBase) -> Vocabulary:
    return Vocabulary.of(knowledge)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A tokenised text with the vocabulary to read it by and the moment at which it is said."""

    text: str
    tokens: tuple[Token, ...]
    norms: tuple[str, ...]
    vocabulary: Vocabulary
    knowledge: KnowledgeBase
    now: datetime

    @classmethod
    def of(cls, text: str, knowledge: KnowledgeBase, now: datetime) -> "Sentence":
        """Tokenise and leave the fillers out."""
        tokens = tuple(token for token in tokenise(text) if token.norm not in FILLERS)
        norms = tuple(token.norm for token in tokens)
        return cls(text, tokens, norms, _vocabulary_of(knowledge), knowledge, now)

    def norm(self, at: int) -> str:
        """The word at `at` as it is compared, empty past the end."""
        return self.norms[at] if 0 <= at < len(self.norms) else ""

    def raw(self, at: int) -> str:
        """The word at `at` as it was written, empty past the end."""
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def words(self, start: int, end: int) -> str:
        """The text from token `start` up to before token `end`."""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end]

    def skip(self, at: int, *words: str) -> int:
        """The position after one of `words`, or `at` itself."""
        return at + 1 if self.norm(at) in words else at

    def phrase(self, at: int, table: Phrases[Meaning]) -> tuple[Meaning, int] | None:
        """The longest phrase of `table` that starts at `at`, and where it ends."""
        words = self.norms[at : at + table.longest]
        for length in range(len(words), 0, -1):
            if words[:length] in table.entries:
                return table.entries[words[:length]], at + length
        return None

    def question(
        self, kind: QuestionKind, start: int, end: int, text: str, suggestions: tuple[str, ...] = ()
    ) -> Question:
        """A question about the tokens from `start` to before `end`."""
        return Question(kind, self.words(start, end), text, suggestions, self.tokens[start].start)
