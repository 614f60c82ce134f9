"""Owns how people name places: lists of cities and registered sites, and which of them are hubs or spokes."""

from controller.intent.facts import Fact, HubsFact, Match, Place, SitesFact, SpokesFact
from controller.intent.model import SiteReference
from controller.intent.reading import Question, QuestionKind
from controller.intent.vocabulary import Sentence

_PAIR_WORDS = frozenset({"to", "with", "from"})
_SEPARATORS = frozenset({",", "and", "&"}) | _PAIR_WORDS
_NOUNS = frozenset({"site", "office", "location", "branch"})
_LEADS = frozenset({"between", "from", "in", "at", "of", ":"})
RoleFact = type[HubsFact] | type[SpokesFact]
_ROLES: dict[str, RoleFact] = {"hub": HubsFact, "hubs": HubsFact, "spoke": SpokesFact, "spokes": SpokesFact}

Read = tuple[Place, int]


def sites(sentence: Sentence, at: int) -> Match | None:
    """`between London and Paris`, `in London, Paris and Madrid`, `London to Paris`."""
    position = sentence.skip(at, *_LEADS)
    first = _item(sentence, position)
    if first is None:
        return None
    places, end, pairwise = [first[0]], first[1], False
    while True:
        separator, start = _separator(sentence, end)
        following = _item(sentence, start) if separator else None
        if following is None or roles(sentence, start) is not None:
            break
        pairwise = pairwise or separator in _PAIR_WORDS
        places.append(following[0])
        end = following[1]
    words, offset = sentence.text[places[0].start : _end_of(sentence, end)], places[0].start
    return Match(end, (SitesFact(words, offset, tuple(places), pairwise),), _doubts(places))


def roles(sentence: Sentence, at: int) -> Match | None:
    """`London as the hub`, `Paris and Lyon as spokes`, `hub London`, `London is hub`."""
    if _ROLES.keys().isdisjoint(sentence.norms):
        return None
    role = _ROLES.get(sentence.norm(at))
    if role:
        position = sentence.skip(at + 1, "is", "in", "at", ":", "=")
        listed = _plain_list(sentence, position) if sentence.norm(at).endswith("s") else _single(sentence, position)
        return listed and _role_match(sentence, at, role, listed[0], listed[1])
    listed = _plain_list(sentence, at)
    if listed is None:
        return None
    places, end = listed
    role = _ROLES.get(sentence.norm(end + 1))
    plural = sentence.norm(end + 1).endswith("s")
    joined = sentence.norm(end) in ({"as", "are"} if plural else {"as", "is"})
    if not role or not joined or (len(places) > 1) != plural:
        return None
    return _role_match(sentence, at, role, places, end + 2)


def _role_match(sentence: Sentence, at: int, role: RoleFact, places: list[Place], end: int) -> Match:
    fact: Fact = role(sentence.words(at, end), sentence.tokens[at].start, tuple(places))
    return Match(end, (fact,), _doubts(places))


def _plain_list(sentence: Sentence, at: int) -> tuple[list[Place], int] | None:
    first = _place(sentence, at)
    if first is None:
        return None
    places, end = [first[0]], first[1]
    while True:
        separator, start = _separator(sentence, end)
        following = _place(sentence, start) if separator and separator not in _PAIR_WORDS else None
        if following is None:
            return places, end
        places.append(following[0])
        end = following[1]


def _single(sentence: Sentence, at: int) -> tuple[list[Place], int] | None:
    found = _place(sentence, at)
    return ([found[0]], found[1]) if found else None


def _separator(sentence: Sentence, at: int) -> tuple[str, int]:
    """`,`, `and`, `, and`, `to` ...: the separator's word and where it ends; an empty word when there is none."""
    word = sentence.norm(at)
    if word not in _SEPARATORS:
        return "", at
    if word == "," and sentence.norm(at + 1) in {"and", "&"}:
        return "and", at + 2
    return word, at + 1


def _item(sentence: Sentence, at: int) -> Read | None:
    """A place, perhaps as `site in London`, `one in London` or `in London`."""
    position = at
    if sentence.norm(position) in {"one", "another"} and sentence.norm(position + 1) in _NOUNS | {"in", "at"}:
        position += 1
    position = sentence.skip(position, *_NOUNS)
    position = sentence.skip(position, "in", "at")
    return _place(sentence, position)


def _place(sentence: Sentence, at: int) -> Read | None:
    named = sentence.phrase(at, sentence.vocabulary.places)
    if named is None:
        return None
    options, end = named
    qualified = _country(sentence, end)
    if qualified:
        narrowed = tuple(option for option in options if option.country == qualified[0])
        options, end = (narrowed, qualified[1]) if narrowed else (options, end)
    return Place(sentence.words(at, end), sentence.tokens[at].start, options), end


def _country(sentence: Sentence, at: int) -> tuple[str, int] | None:
    """`, GB`, `(GB)`, `in the UK`, `GB` after a city. Codes count in capitals only: `in`, `no` and `it` are words."""
    bracketed = sentence.raw(at) == "("
    position = sentence.skip(at, ",", "(", "in")
    named = sentence.phrase(position, sentence.vocabulary.countries)
    code = sentence.raw(position)
    if not named and code in sentence.knowledge.countries:
        named = code, position + 1
    if not named:
        return None
    if not bracketed:
        return named
    return (named[0], named[1] + 1) if sentence.raw(named[1]) == ")" else None


def _end_of(sentence: Sentence, end: int) -> int:
    return sentence.tokens[end - 1].end


def _doubts(places: list[Place]) -> tuple[Question, ...]:
    """One question for every name that several places bear."""
    return tuple(
        Question(QuestionKind.AMBIGUOUS, place.words, "which one?", _labels(place.options), place.start)
        for place in places
        if len(place.options) > 1
    )


def _labels(options: tuple[SiteReference, ...]) -> tuple[str, ...]:
    return tuple(f"{option.city}, {option.country}" for option in options)
