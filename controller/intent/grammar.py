"""Owns the grammar: a sentence is a sequence of clauses in any order; the longest clause at a word wins.

`parse` accounts for every word. A word belongs to a clause, is a filler, or joins two clauses; whatever is left over
becomes a question that names it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from controller.intent import dates, places, quantities
from controller.intent.facts import (
    ActionFact,
    AddressFamilyFact,
    CustomerFact,
    Fact,
    Match,
    RoutingFact,
    ServiceFact,
    ServiceModelFact,
    SitesFact,
    TemplateFact,
    TopologyFact,
    VpnFact,
    VpnNameFact,
)
from controller.intent.reading import Question, QuestionKind
from controller.intent.vocabulary import (
    ACTIONS,
    ADDRESS_FAMILIES,
    ASKING,
    CONNECTORS,
    FINAL_MARKS,
    NEGATIONS,
    ROUTINGS,
    SERVICE_MODELS,
    SERVICES,
    TOPOLOGIES,
    WISHING,
    Sentence,
)

_CUSTOMER_LEADS = frozenset({"for", "of", "to", "from", "in"})
_VPN_LEADS = frozenset({"to", "from", "of", "on", "for", "in"})
_SUGGESTED_RUNS = 5
_NEEDING = frozenset({"need", "needs", "want", "wants"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._]*(?:-[A-Za-z0-9._]+)+|[A-Za-z]+[0-9][A-Za-z0-9._]*")


@dataclass(frozen=True, slots=True)
class Parse:
    """Everything the sentence states and everything that is unclear in it, in the order of its words."""

    facts: tuple[Fact, ...]
    questions: tuple[Question, ...]


def parse(sentence: Sentence) -> Parse:
    """Read all clauses; never raises, and never passes over a word in silence."""
    facts: list[Fact] = []
    questions: list[Question] = []
    unread: list[int] = []
    joining: list[int] = []
    at = 0
    while at < len(sentence.tokens):
        match = _longest(sentence, at)
        if match:
            facts.extend(match.facts)
            questions.extend(match.questions)
            joining = []
            at = match.end
            continue
        if sentence.norm(at) in CONNECTORS:
            joining.append(at)
        else:
            unread.append(at)
            joining = []
        at += 1
    # What joins nothing may be the stump of something that was not said.
    unread += [position for position in joining if sentence.norm(position) not in FINAL_MARKS]
    questions += _about_unread(sentence, sorted(unread))
    questions += _about_second_lists(facts)
    return Parse(tuple(facts), tuple(sorted(questions, key=lambda question: question.start)))


def _longest(sentence: Sentence, at: int) -> Match | None:
    matches = [match for clause in _CLAUSES if (match := clause(sentence, at))]
    return max(matches, key=lambda match: match.end, default=None)


def _about_unread(sentence: Sentence, unread: list[int]) -> list[Question]:
    """One question for each run of neighbouring words that no clause wanted."""
    questions: list[Question] = []
    while unread:
        run = [unread.pop(0)]
        while unread and unread[0] == run[-1] + 1:
            run.append(unread.pop(0))
        words = sentence.words(run[0], run[-1] + 1)
        if any(sentence.norm(position) in NEGATIONS for position in run):
            kind, text = (
                QuestionKind.NEGATION,
                "exceptions and negations are not understood: say what is wanted instead",
            )
        else:
            kind, text = QuestionKind.NOT_UNDERSTOOD, "what does this mean?"
        similar = sentence.vocabulary.similar(words) if len(questions) < _SUGGESTED_RUNS else ()
        questions.append(sentence.question(kind, run[0], run[-1] + 1, text, similar))
    return questions


def _about_second_lists(facts: list[Fact]) -> list[Question]:
    """Two lists of places may be two services, or a condition on one: never read them as one list."""
    lists = [fact for fact in facts if isinstance(fact, SitesFact)]
    text = "how do these places belong to the others? name all sites in one list"
    return [Question(QuestionKind.AMBIGUOUS, extra.words, text, start=extra.start) for extra in lists[1:]]


def _fact(kind: Callable[..., Fact], sentence: Sentence, start: int, end: int, value: object) -> Match:
    return Match(end, (kind(sentence.words(start, end), sentence.tokens[start].start, value),))


def _action(sentence: Sentence, at: int) -> Match | None:
    found = sentence.phrase(at, ACTIONS)
    return _fact(ActionFact, sentence, at, found[1], found[0]) if found else None


def _polite(sentence: Sentence, at: int) -> Match | None:
    """`Can you ...` or `I need to ...` at the very beginning; after the former, a question mark at the very end."""
    asking = sentence.phrase(0, ASKING)
    begun = asking or sentence.phrase(0, WISHING)
    if begun and at == 0:
        return Match(begun[1])
    last = len(sentence.tokens) - 1
    return Match(at + 1) if asking and at == last and sentence.norm(at) == "?" else None


def _customer(sentence: Sentence, at: int) -> Match | None:
    """`for acme`, `customer acme`, `acme's`, `acme needs`."""
    behalf = [sentence.norm(at + step) for step in range(3)] == ["on", "behalf", "of"]
    position = at + 3 if behalf else sentence.skip(at, *_CUSTOMER_LEADS)
    begun = position > at
    named_as = sentence.skip(position, "customer")
    found = sentence.phrase(named_as, sentence.vocabulary.customers)
    if not found:
        return None
    owning = sentence.norm(found[1]) == "'s"
    if not (begun or named_as > position or owning or sentence.norm(found[1]) in _NEEDING):
        return None
    return _fact(CustomerFact, sentence, named_as, found[1] + owning, found[0])


def _service(sentence: Sentence, at: int) -> Match | None:
    position = sentence.skip(at, *_VPN_LEADS)
    found = sentence.phrase(position, SERVICES)
    return _fact(ServiceFact, sentence, position, found[1], found[0]) if found else None


def _vpn(sentence: Sentence, at: int) -> Match | None:
    """`vpn acme-1`, `acme-1`, `the acme-1 VPN`."""
    position = sentence.skip(at, *_VPN_LEADS)
    service = sentence.phrase(position, SERVICES)
    found = sentence.phrase(service[1] if service else position, sentence.vocabulary.vpns)
    if not found:
        return None
    trailing = None if service else sentence.phrase(found[1], SERVICES)
    return _fact(VpnFact, sentence, position, trailing[1] if trailing else found[1], found[0])


def _vpn_name(sentence: Sentence, at: int) -> Match | None:
    """`named acme-2`: a name has a hyphen or a digit, so that no plain word is taken for one."""
    if sentence.norm(at) not in {"named", "called"} or not _NAME.fullmatch(sentence.raw(at + 1)):
        return None
    return _fact(VpnNameFact, sentence, at + 1, at + 2, sentence.raw(at + 1))


def _topology(sentence: Sentence, at: int) -> Match | None:
    position = sentence.skip(at, "in", "to", "as")
    found = sentence.phrase(position, TOPOLOGIES)
    return _fact(TopologyFact, sentence, position, found[1], found[0]) if found else None


def _service_model(sentence: Sentence, at: int) -> Match | None:
    found = sentence.phrase(at, SERVICE_MODELS)
    return _fact(ServiceModelFact, sentence, at, found[1], found[0]) if found else None


def _template(sentence: Sentence, at: int) -> Match | None:
    """`template gold`, `the gold template`."""
    position = sentence.skip(sentence.skip(at, "from"), "service")
    lead = sentence.skip(position, "template")
    found = sentence.phrase(lead, sentence.vocabulary.templates)
    if not found or (lead == position and sentence.norm(found[1]) != "template"):
        return None
    return _fact(TemplateFact, sentence, position, found[1] + (lead == position), found[0])


def _address_family(sentence: Sentence, at: int) -> Match | None:
    found = sentence.phrase(at, ADDRESS_FAMILIES)
    return _fact(AddressFamilyFact, sentence, at, found[1], found[0]) if found else None


def _routing(sentence: Sentence, at: int) -> Match | None:
    found = sentence.phrase(at, ROUTINGS)
    return _fact(RoutingFact, sentence, at, found[1], found[0]) if found else None


_CLAUSES: tuple[quantities.Clause, ...] = (
    _action,
    places.roles,
    places.sites,
    quantities.quantity,
    quantities.count,
    quantities.priority,
    dates.start,
    dates.end,
    _customer,
    _vpn,
    _vpn_name,
    _service,
    _topology,
    _service_model,
    _template,
    _address_family,
    _routing,
    _polite,
)
