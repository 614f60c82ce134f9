"""Owns how people write quantities: bit rates, delays, availability and counts, each read exactly or asked back.

Bytes, bits without "per second", numbers without unit and numbers that two countries read differently are questions,
not guesses.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from controller.intent.facts import CountFact, ExpectationFact, Fact, Match, MentionFact, PriorityFact
from controller.intent.model import Condition, Property, PropertyExpectation
from controller.intent.reading import Question, QuestionKind
from controller.intent.vocabulary import (
    COMPARATORS,
    COUNTS,
    DIRECTIONS,
    PROPERTIES,
    SERVICES,
    SITE_KINDS,
    SITE_NOUNS,
    Sentence,
)

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ODD_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)+")
_BIT_RATE = re.compile(r"([kKmMgGtT]?)(?:[bB][iI][tT][sS]?/[sS]|[bB][iI][tT][sS]?/sec|bps|b/s)")
_BITS = re.compile(r"(kilo|mega|giga|tera|k|m|g|t)?bits?", re.IGNORECASE)
_BYTES = re.compile(r"[kKmMgGtT]?B(?:ps|PS|/s|/S)|[kKmMgGtT]?[bB]ytes?/s|[kKmMgGtT][iI]?B")
_BYTE_WORDS = re.compile(r"(kilo|mega|giga|tera)?bytes?", re.IGNORECASE)
_SHORT = re.compile(r"k|m|g|t|kb|mb|gb|tb|megs?|gigs?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_DELAYS = {
    **dict.fromkeys(("us", "microsecond", "microseconds"), 1),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 10**3),
}
_SECONDS = {"s", "sec", "second", "seconds"}
_PERCENT = {"%", "percent"}
_HIGHEST_RATE = 10**14
_HIGHEST_DELAY = 10**7
_ALLOWED = {
    Property.BANDWIDTH: {Condition.AT_LEAST, Condition.EQUAL},
    Property.LATENCY: {Condition.AT_MOST, Condition.BELOW},
    Property.AVAILABILITY: {Condition.AT_LEAST, Condition.ABOVE},
}
_DEFAULT = {
    Property.BANDWIDTH: Condition.AT_LEAST,
    Property.LATENCY: Condition.AT_MOST,
    Property.AVAILABILITY: Condition.AT_LEAST,
}


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number with its unit: `value` in the canonical unit of `property`, or what is unclear about it."""

    start: int
    end: int
    about: Property | None = None
    value: Decimal = Decimal(0)
    question: Question | None = None


def quantity(sentence: Sentence, at: int) -> Match | None:
    """`[latency] [of] [at most] 20 ms [latency]`, or a property's name alone."""
    named = sentence.phrase(at, PROPERTIES)
    position = named[1] if named else at
    if not sentence.phrase(position, COMPARATORS):
        position = sentence.skip(position, "of", "to", "at", ":", "is", "=")
    compared = sentence.phrase(position, COMPARATORS)
    if compared:
        position = sentence.skip(compared[1], "of")
    amount = _amount(sentence, position, _family(named[0]) if named else None)
    if amount is None:
        return _mention(sentence, at)
    if amount.question or amount.about is None:
        return Match(amount.end, questions=(amount.question,) if amount.question else ())
    name, end = _name(sentence, amount, named[0] if named else None)
    condition = compared[0] if compared else _DEFAULT[_family(name)]
    first = at if named else (at if compared and position > at else amount.start)
    return _judge(sentence, (_said_from(sentence, first), end), amount, name, condition)


def count(sentence: Sentence, at: int) -> Match | None:
    """`2 VPN sites`, `three offices`; also the bare plural, which states nothing."""
    number = _whole(sentence, at)
    position = at if number is None else at + 1
    kind = sentence.phrase(position, SITE_KINDS)
    position = kind[1] if kind else position
    if sentence.norm(position) not in SITE_NOUNS:
        return None
    end = position + 1
    if number is None:
        return Match(end) if sentence.norm(position).endswith("s") else None
    return Match(end, (CountFact(sentence.words(at, end), sentence.tokens[at].start, number),))


def priority(sentence: Sentence, at: int) -> Match | None:
    """`priority 2`: 1 is the most important, 9 the least."""
    if sentence.norm(at) != "priority":
        return None
    number = _whole(sentence, at + 1)
    if number is None:
        return None
    words = sentence.words(at, at + 2)
    if not 1 <= number <= 9:
        return Match(
            at + 2, questions=(sentence.question(QuestionKind.UNSUPPORTED, at, at + 2, "priorities are 1 to 9"),)
        )
    return Match(at + 2, (PriorityFact(words, sentence.tokens[at].start, number),))


def whole_number(sentence: Sentence, at: int) -> int | None:
    """A count in digits or as a word up to twelve, or None."""
    return _whole(sentence, at)


def _whole(sentence: Sentence, at: int) -> int | None:
    raw = sentence.raw(at)
    if re.fullmatch(r"[0-9]{1,6}", raw):
        return int(raw)
    return COUNTS.get(sentence.norm(at))


def _mention(sentence: Sentence, at: int) -> Match | None:
    position = sentence.skip(at, "of", "to")
    named = sentence.phrase(position, PROPERTIES)
    if not named:
        return None
    words = sentence.words(position, named[1])
    return Match(named[1], (MentionFact(words, sentence.tokens[position].start, named[0]),))


def _said_from(sentence: Sentence, at: int) -> int:
    """The words of a quantity start after its preposition."""
    return at if sentence.phrase(at, COMPARATORS) else sentence.skip(at, "of", "to", "at")


def _family(name: Property) -> Property:
    return Property.BANDWIDTH if name in {Property.INPUT_BANDWIDTH, Property.OUTPUT_BANDWIDTH} else name


def _name(sentence: Sentence, amount: _Amount, named: Property | None) -> tuple[Property, int]:
    """The property and where the clause ends: a direction or the property's name may follow the unit."""
    name, end = named or amount.about or Property.BANDWIDTH, amount.end
    if _family(name) is Property.BANDWIDTH and named in {None, Property.BANDWIDTH}:
        directed = sentence.phrase(end, DIRECTIONS)
        if directed and sentence.norm(directed[1]) != "to":
            name, end = directed
    after = sentence.phrase(sentence.skip(end, "of"), PROPERTIES)
    if after and not named and _family(after[0]) is _family(name):
        name = name if after[0] is Property.BANDWIDTH else after[0]
        end = after[1]
    return name, end


def _judge(sentence: Sentence, span: tuple[int, int], amount: _Amount, name: Property, condition: Condition) -> Match:
    """Refuse what is not a whole, sensible value or a condition that means nothing for the property."""
    family, (start, end) = _family(name), span
    kind, text = QuestionKind.UNSUPPORTED, ""
    if condition not in _ALLOWED[family]:
        wanted = " or ".join(sorted(allowed.symbol for allowed in _ALLOWED[family]))
        text = f"{family} can be asked for with {wanted} only"
    elif amount.value <= 0:
        text = f"{family} must be above zero"
    elif amount.value != amount.value.to_integral_value():
        text = f"{family} is counted in whole {family.unit}"
    elif amount.value > {Property.BANDWIDTH: _HIGHEST_RATE, Property.LATENCY: _HIGHEST_DELAY}.get(family, 1_000_000):
        text = f"this {family} is beyond anything a network has"
    if text:
        return Match(end, questions=(sentence.question(kind, start, end, text),))
    expectation = PropertyExpectation(name, condition, int(amount.value))
    fact: Fact = ExpectationFact(sentence.words(start, end), sentence.tokens[start].start, expectation)
    return Match(end, (fact,))


def _amount(sentence: Sentence, at: int, named: Property | None) -> _Amount | None:
    """A number and its unit at `at`, if there is a number."""
    raw = sentence.raw(at)
    number = raw if _NUMBER.fullmatch(raw) else str(COUNTS.get(sentence.norm(at), ""))
    if not number and not _ODD_NUMBER.fullmatch(raw):
        return None
    for read in (_bit_rate, _delay, _percent):
        amount = read(sentence, at, Decimal(number or 0), named)
        if amount:
            return _checked_number(sentence, amount, raw)
    counts_services = sentence.phrase(at + 1, SERVICES) is not None
    if counts_services or not raw[:1].isdigit() or sentence.phrase(at + 1, SITE_KINDS):
        return None
    return _asked(
        sentence, QuestionKind.MISSING_UNIT, (at, at + 1), "which unit? write it like '200 Mbit/s' or '20 ms'"
    )


def _checked_number(sentence: Sentence, amount: _Amount, raw: str) -> _Amount:
    """`1,000` is a thousand here and one there; so is `1.000`, unless nobody writes percentages that way."""
    thousand = re.fullmatch(r"[1-9][0-9]{0,2}\.[0-9]{3}", raw) and amount.about is not Property.AVAILABILITY
    if amount.question or (_NUMBER.fullmatch(raw) and not thousand) or not raw[:1].isdigit():
        return amount
    digits = re.sub(r"[.,]", "", raw)
    unit = sentence.words(amount.start + 1, amount.end)
    point = raw.replace(",", ".", 1)
    numbers = (digits, f"{Decimal(point).normalize():f}") if _NUMBER.fullmatch(point) else (digits,)
    choices = tuple(f"{number} {unit}" for number in numbers)
    return _asked(
        sentence,
        QuestionKind.AMBIGUOUS,
        (amount.start, amount.end),
        "is this a thousands separator or a decimal point?",
        choices,
    )


def _asked(
    sentence: Sentence, kind: QuestionKind, span: tuple[int, int], text: str, suggestions: tuple[str, ...] = ()
) -> _Amount:
    return _Amount(*span, question=sentence.question(kind, *span, text, suggestions))


def _per_second(sentence: Sentence, at: int) -> int:
    """Where `per second` after `at` ends, 0 when it is not there."""
    if sentence.norm(at) == "per" and sentence.norm(at + 1) in {"second", "sec"}:
        return at + 2
    return 0


def _bit_rate(sentence: Sentence, at: int, number: Decimal, _named: Property | None) -> _Amount | None:
    unit = sentence.raw(at + 1)
    rate = _BIT_RATE.fullmatch(unit)
    if rate:
        return _Amount(at, at + 2, Property.BANDWIDTH, number * _FACTORS[rate[1].lower()])
    bits = _BITS.fullmatch(unit)
    end = _per_second(sentence, at + 2)
    if bits and end:
        return _Amount(at, end, Property.BANDWIDTH, number * _FACTORS[(bits[1] or "")[:1].lower()])
    if bits:
        prefix = (bits[1] or "")[:1]
        fixed = f"{sentence.raw(at)} {prefix.upper() if prefix.lower() != 'k' else 'k'}bit/s"
        return _asked(sentence, QuestionKind.MISSING_UNIT, (at, at + 2), "per second?", (fixed,))
    return _unclear_rate(sentence, at, number, unit)


def _unclear_rate(sentence: Sentence, at: int, number: Decimal, unit: str) -> _Amount | None:
    """Bytes, and letters that stand for bits to one reader and for bytes to another."""
    in_bytes = _BYTES.fullmatch(unit) or _BYTE_WORDS.fullmatch(unit)
    if not in_bytes and not _SHORT.fullmatch(unit):
        return None
    end = _per_second(sentence, at + 2) or at + 2
    prefix = unit[:1].upper() if unit[:1].lower() in "mgt" else unit[:1].lower().replace("b", "")
    choices = (f"{number:f} {prefix}bit/s", f"{number * 8:f} {prefix}bit/s")
    text = "bits or bytes per second? services are sold in bits per second"
    return _asked(sentence, QuestionKind.AMBIGUOUS, (at, end), text, choices)


def _delay(sentence: Sentence, at: int, number: Decimal, named: Property | None) -> _Amount | None:
    unit = sentence.norm(at + 1)
    if unit in _DELAYS:
        return _Amount(at, at + 2, Property.LATENCY, number * _DELAYS[unit])
    after = sentence.phrase(sentence.skip(at + 2, "of"), PROPERTIES)
    if unit in _SECONDS and Property.LATENCY in {named, after[0] if after else None}:
        return _Amount(at, at + 2, Property.LATENCY, number * 10**6)
    return None


def _percent(sentence: Sentence, at: int, number: Decimal, named: Property | None) -> _Amount | None:
    if sentence.norm(at + 1) not in _PERCENT:
        return None
    after = sentence.phrase(sentence.skip(at + 2, "of"), PROPERTIES)
    if Property.AVAILABILITY in {named, after[0] if after else None}:
        return _Amount(at, at + 2, Property.AVAILABILITY, number * 10_000)
    number_words = sentence.words(at, at + 2)
    return _asked(
        sentence, QuestionKind.AMBIGUOUS, (at, at + 2), "a percentage of what?", (f"{number_words} availability",)
    )


Clause = Callable[[Sentence, int], Match | None]
