"""Owns listening: a sentence in, an understood wish or questions out; deterministic, and never a guess.

Draft ps-agentic-ai, Intent Based Service Delivery, steps a to c. Three passes: the grammar accounts for every word;
the facts are put together into one wish, each at most once; what is unsaid is taken from a service template and shown.
"""

from datetime import UTC, datetime
from functools import lru_cache

from controller.intent.facts import Action, ActionFact
from controller.intent.grammar import parse
from controller.intent.knowledge import KnowledgeBase
from controller.intent.reading import (
    Assumption,
    NeedsClarification,
    Question,
    QuestionKind,
    Result,
    Understood,
    Wish,
)
from controller.intent.statements import Statements
from controller.intent.vocabulary import Sentence
from controller.intent.wish_change import read_change
from controller.intent.wish_new import read_new
from controller.model.errors import InvalidInputError

LONGEST_TEXT = 2_000
"""Characters; a longer text is refused before it is read."""


def understand(text: str, knowledge: KnowledgeBase, *, now: datetime, caller: str = "") -> Result:
    """Read one sentence said at `now` (aware), by `caller`.

    `caller` is the name of the customer who speaks, who can then refer to its own things only and is the owner and,
    unless it says so itself, the customer; empty for the operator's people. Raises `InvalidInputError` for an empty or
    overlong text, a naive `now` and an unknown `caller`; whatever a text says, the result is a wish in which every word
    counted, or questions that name the words.
    """
    if now.utcoffset() is None:
        raise InvalidInputError("the moment of speaking has no time zone", path="now")
    if not text.strip():
        raise InvalidInputError("the request says nothing", path="text", remedy="say what is wanted")
    if len(text) > LONGEST_TEXT:
        raise InvalidInputError(f"the request is longer than {LONGEST_TEXT} characters", path="text")
    sentence = Sentence.of(text, _seen_by(knowledge, caller), now.astimezone(UTC))
    parsed = parse(sentence)
    if parsed.questions:
        return NeedsClarification(parsed.questions)
    said = Statements(sentence, parsed.facts)
    wish, assumed = _wish(said, caller)
    if wish is None or said.questions:
        return NeedsClarification(tuple(sorted(dict.fromkeys(said.questions), key=lambda question: question.start)))
    return Understood(wish, said.readings(), assumed)


@lru_cache(maxsize=16)
def _seen_by(knowledge: KnowledgeBase, caller: str) -> KnowledgeBase:
    return knowledge.seen_by(caller) if caller else knowledge


def _wish(said: Statements, caller: str) -> tuple[Wish | None, tuple[Assumption, ...]]:
    actions = {fact.value for fact in said.every(ActionFact)}
    action = next(iter(said.every(ActionFact)), None)
    if action is None:
        text = said.sentence.text.strip()
        start = said.sentence.text.index(text)
        said.questions.append(Question(QuestionKind.MISSING, text, "what is to be done?", _EXAMPLES, start))
        return None, ()
    if len(actions) > 1:
        other = next(fact for fact in said.every(ActionFact) if fact.value is not action.value)
        said.ask(QuestionKind.CONTRADICTION, other, f'one request at a time: this one began with "{action.words}"')
        return None, ()
    if action.value is Action.CREATE:
        return read_new(said, action, caller)
    return read_change(said, action), ()


_EXAMPLES = ("connect London and Paris", "raise vpn NAME to 500 Mbit/s", "delete vpn NAME")
