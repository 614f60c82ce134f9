"""Owns the step between clauses and a wish: the facts by kind, each said at most once, with their places settled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from controller.intent.dates import after
from controller.intent.facts import (
    CustomerFact,
    EndFact,
    ExpectationFact,
    Fact,
    HubsFact,
    LastsFact,
    MentionFact,
    Place,
    ServiceFact,
    SitesFact,
    SpokesFact,
    StartFact,
)
from controller.intent.knowledge import KnowledgeBase
from controller.intent.model import Property, PropertyExpectation, SiteReference, Validity
from controller.intent.reading import Question, QuestionKind, WordReading
from controller.intent.vocabulary import Sentence

F = TypeVar("F", bound=Fact)
_TWICE = "this is said twice, differently"


@dataclass(slots=True)
class Statements:
    """The facts of one sentence, and the questions that arise while they are put together."""

    sentence: Sentence
    facts: Sequence[Fact]
    questions: list[Question] = field(default_factory=list)
    settled: list[WordReading] = field(default_factory=list)
    """Places that turned out to be a particular registered site."""

    @property
    def knowledge(self) -> KnowledgeBase:
        """What the sentence is read by."""
        return self.sentence.knowledge

    def every(self, kind: type[F]) -> list[F]:
        """All facts of a kind, in the order of the sentence."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def one(self, kind: type[F]) -> F | None:
        """The fact of a kind, if it is stated; a contradiction is asked back."""
        found = self.every(kind)
        for other in found[1:]:
            if getattr(other, "value", None) != getattr(found[0], "value", None) or (
                isinstance(other, LastsFact) and other != found[0]
            ):
                self.ask(QuestionKind.CONTRADICTION, other, f'{_TWICE}: "{found[0].words}"')
        return found[0] if found else None

    def ask(self, kind: QuestionKind, about: Fact | Place, text: str, suggestions: Iterable[str] = ()) -> None:
        """Put a question about the words of a fact."""
        self.questions.append(Question(kind, about.words, text, tuple(suggestions), about.start))

    def forbid(self, kinds: Iterable[type[Fact]], text: str) -> None:
        """Ask about every fact that has no meaning in this kind of wish."""
        for kind in kinds:
            for fact in self.every(kind):
                self.ask(QuestionKind.UNSUPPORTED, fact, text)

    def customer(self) -> CustomerFact | None:
        """Who is named as the customer."""
        return self.one(CustomerFact)

    def settle(
        self, places: Iterable[Place], customer: str, known: Sequence[SiteReference] = ()
    ) -> list[SiteReference]:
        """Each place as one site: one of `known` there, else a registered site of the customer, else the city."""
        return [self._settle(place, customer, known) for place in places]

    def _settle(self, place: Place, customer: str, known: Sequence[SiteReference]) -> SiteReference:
        choice = place.options[0]
        if choice.site_id:
            if choice.site_id not in {site.site_id for site in self.knowledge.customer(customer).sites}:
                self.ask(QuestionKind.CONTRADICTION, place, f"this is not a site of {customer}")
            return choice
        here = [site for site in known if (site.city, site.country) == (choice.city, choice.country)]
        if not here:
            registered = self.knowledge.customer(customer).sites
            here = [
                SiteReference(site.city, site.country, site.site_id)
                for site in registered
                if (site.city, site.country) == (choice.city, choice.country)
            ]
        if len(here) > 1:
            names = [site.site_id or str(site) for site in here]
            self.ask(QuestionKind.AMBIGUOUS, place, f"{customer} has several sites there: which one?", names)
        if len(here) == 1 and here[0].site_id:
            self.settled.append(WordReading(place.words, "site", here[0].site_id))
        return here[0] if here else choice

    def expectations(self) -> tuple[PropertyExpectation, ...]:
        """All property expectations; the same property twice, or a name without its value, is asked back."""
        found = self.every(ExpectationFact)
        seen: dict[Property, ExpectationFact] = {}
        for fact in found:
            name = fact.value.about
            rivals = [seen[other] for other in _covering(name) if other in seen]
            if rivals and rivals[0].value != fact.value:
                self.ask(QuestionKind.CONTRADICTION, fact, f'{_TWICE}: "{rivals[0].words}"')
            seen.setdefault(name, fact)
        for mention in self.every(MentionFact):
            if not any(other in seen for other in _covering(mention.value)):
                self.ask(QuestionKind.MISSING, mention, "how much?")
        if len(self.every(MentionFact)) > 1:
            self.ask(QuestionKind.AMBIGUOUS, self.every(MentionFact)[1], "which value belongs to it?")
        return tuple(fact.value for fact in seen.values())

    def validity(self) -> Validity:
        """From and until; an end before its beginning is asked back."""
        begins, ends, lasts = self.one(StartFact), self.one(EndFact), self.one(LastsFact)
        start = begins.value if begins else None
        if ends and lasts:
            self.ask(QuestionKind.CONTRADICTION, lasts, f'{_TWICE}: "{ends.words}"')
        end = ends.value if ends else None
        last_words: Fact | None = ends
        if lasts and not ends:
            end, last_words = after(start or self.sentence.now, lasts.months, lasts.days), lasts
            if end is None:
                self.ask(QuestionKind.UNSUPPORTED, lasts, "this is beyond the calendar")
        if last_words and end is not None and end <= (start or self.sentence.now):
            self.ask(QuestionKind.CONTRADICTION, last_words, "the end is before the beginning")
            return Validity()
        return Validity(start, end)

    def readings(self) -> tuple[WordReading, ...]:
        """Which words became what."""
        return (*(_reading(fact) for fact in self.facts), *self.settled)


def _covering(name: Property) -> tuple[Property, ...]:
    """The properties that say something about the same thing."""
    if name is Property.BANDWIDTH:
        return (Property.BANDWIDTH, Property.INPUT_BANDWIDTH, Property.OUTPUT_BANDWIDTH)
    directed = name in {Property.INPUT_BANDWIDTH, Property.OUTPUT_BANDWIDTH}
    return (name, Property.BANDWIDTH) if directed else (name,)


def _reading(fact: Fact) -> WordReading:
    if isinstance(fact, ExpectationFact):
        return WordReading(fact.words, fact.value.about.value, str(fact.value))
    if isinstance(fact, SitesFact | HubsFact | SpokesFact):
        return WordReading(fact.words, fact.field, ", ".join(_label(place) for place in fact.value))
    if isinstance(fact, StartFact | EndFact):
        return WordReading(fact.words, fact.field, fact.value.isoformat())
    if isinstance(fact, LastsFact):
        return WordReading(fact.words, "duration", f"{fact.months} months" if fact.months else f"{fact.days} days")
    if isinstance(fact, ServiceFact):
        return WordReading(fact.words, fact.field, fact.value.value if fact.value else "any")
    return WordReading(fact.words, fact.field, str(getattr(fact, "value", "")))


def _label(place: Place) -> str:
    site = place.options[0]
    return site.site_id or f"{site.city}/{site.country}"
