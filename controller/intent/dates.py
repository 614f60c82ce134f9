"""Owns how people write dates and periods; days begin at 00:00 UTC, and `now` comes with the sentence.

A last day (`until 31 March`) belongs to the period, so the end is the midnight after it. Dates that two readers
understand differently (`01/02/2027`, `next Monday`, a time without a zone) are asked back.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controller.intent.facts import EndFact, LastsFact, Match, StartFact
from controller.intent.quantities import whole_number
from controller.intent.reading import QuestionKind
from controller.intent.tokens import phrases
from controller.intent.vocabulary import Sentence

_MONTHS = {
    name: number
    for number in range(1, 13)
    for name in (calendar.month_name[number].casefold(), calendar.month_abbr[number].casefold())
} | {"sept": 9}
_WEEKDAYS = {
    name: number
    for number in range(7)
    for name in (calendar.day_name[number].casefold(), calendar.day_abbr[number].casefold())
}
_STARTS = phrases(
    dict.fromkeys(
        ("from", "starting", "starting from", "starting on", "as of", "on", "beginning", "beginning on", "effective",
         "effective from"),
        True,
    )
)  # fmt: skip
_ENDS = phrases(dict.fromkeys(("until", "till", "through"), True))
_ISO_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_ISO_MOMENT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::00)?(Z?)", re.IGNORECASE)
_NUMERIC = re.compile(r"[0-9]+[-/.][0-9]+[-/.][0-9]+(?:T.*)?", re.IGNORECASE)
_DAY = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(Z?)", re.IGNORECASE)
_SPANS = {"day": (0, 1), "week": (0, 7), "month": (1, 0), "year": (12, 0)}


@dataclass(frozen=True, slots=True)
class _Date:
    """A day (`whole_day`) or an instant, up to token `end`; `problem` when it cannot be read one way."""

    end: int
    moment: datetime | None = None
    whole_day: bool = True
    kind: QuestionKind = QuestionKind.AMBIGUOUS
    problem: str = ""
    suggestions: tuple[str, ...] = ()


def start(sentence: Sentence, at: int) -> Match | None:
    """`from Monday`, `starting on 1 December`, `tomorrow`, `now`."""
    if sentence.norm(at) in {"now", "immediately"}:
        return Match(at + 1, (StartFact(sentence.words(at, at + 1), sentence.tokens[at].start, sentence.now),))
    lead = sentence.phrase(at, _STARTS)
    if not lead and sentence.norm(at) not in {"today", "tomorrow"}:
        return None
    date = _date(sentence, lead[1] if lead else at)
    if date is None:
        return None
    if date.problem or date.moment is None:
        return _asked(sentence, lead[1] if lead else at, date)
    moment = max(date.moment, sentence.now) if _is_today(sentence, date) else date.moment
    if moment < sentence.now:
        past = _Date(date.end, kind=QuestionKind.CONTRADICTION, problem="this is in the past")
        return _asked(sentence, lead[1] if lead else at, past)
    return Match(date.end, (StartFact(sentence.words(at, date.end), sentence.tokens[at].start, moment),))


def end(sentence: Sentence, at: int) -> Match | None:
    """`until 31 March 2027` (that day included), `for 3 months`."""
    lead = sentence.phrase(at, _ENDS)
    if not lead:
        return _lasts(sentence, at)
    date = _date(sentence, lead[1])
    if date is None:
        return None
    if date.problem or date.moment is None:
        return _asked(sentence, lead[1], date)
    moment = _midnight_after(date.moment) if date.whole_day else date.moment
    if moment is None or moment <= sentence.now:
        past = _Date(date.end, kind=QuestionKind.CONTRADICTION, problem="this is in the past or beyond the calendar")
        return _asked(sentence, lead[1], past)
    return Match(date.end, (EndFact(sentence.words(at, date.end), sentence.tokens[at].start, moment),))


def after(moment: datetime, months: int, days: int) -> datetime | None:
    """The same time of day, months and days later; the month's last day where there is no such day; None past 9999."""
    years, month = divmod(moment.month - 1 + months, 12)
    if moment.year + years > 9999:
        return None
    day = min(moment.day, calendar.monthrange(moment.year + years, month + 1)[1])
    try:
        return moment.replace(year=moment.year + years, month=month + 1, day=day) + timedelta(days=days)
    except OverflowError:
        return None


def _lasts(sentence: Sentence, at: int) -> Match | None:
    number = whole_number(sentence, at + 1)
    if sentence.norm(at) != "for" or number is None:
        return None
    unit = sentence.norm(at + 2)
    span = _SPANS.get(unit.removesuffix("s"))
    if span is None:
        return None
    words, offset = sentence.words(at, at + 3), sentence.tokens[at].start
    if not 0 < number <= 10_000:
        question = sentence.question(
            QuestionKind.UNSUPPORTED, at, at + 3, "a period must be above zero and at most 10000"
        )
        return Match(at + 3, questions=(question,))
    return Match(at + 3, (LastsFact(words, offset, number * span[0], number * span[1]),))


def _asked(sentence: Sentence, at: int, date: _Date) -> Match:
    problem = date.problem or "which day?"
    return Match(date.end, questions=(sentence.question(date.kind, at, date.end, problem, date.suggestions),))


def _is_today(sentence: Sentence, date: _Date) -> bool:
    return date.whole_day and date.moment is not None and date.moment.date() == sentence.now.date()


def _midnight_after(day: datetime) -> datetime | None:
    return day + timedelta(days=1) if (day.year, day.month, day.day) < (9999, 12, 31) else None


def _date(sentence: Sentence, at: int) -> _Date | None:
    day = _numeric(sentence, at) or _relative(sentence, at) or _by_month(sentence, at)
    if day is None or day.problem or day.moment is None or not day.whole_day:
        return day
    return _at_time(sentence, day.end, day.moment) or day


def _at_time(sentence: Sentence, at: int, day: datetime) -> _Date | None:
    """An optional `[at] 08:00 UTC` after a day."""
    position = sentence.skip(at, "at")
    match = _TIME.fullmatch(sentence.raw(position))
    if not match:
        return None
    hour, minute = int(match[1]), int(match[2])
    zoned = bool(match[3]) or sentence.norm(position + 1) in {"utc", "gmt"}
    end_of_time = position + 1 if match[3] or not zoned else position + 2
    if hour > 23 or minute > 59:
        return _Date(end_of_time, kind=QuestionKind.NOT_UNDERSTOOD, problem="there is no such time")
    if not zoned:
        return _Date(end_of_time, problem="in which time zone?", suggestions=(f"{match[0]} UTC",))
    return _Date(end_of_time, day.replace(hour=hour, minute=minute), whole_day=False)


def _numeric(sentence: Sentence, at: int) -> _Date | None:
    raw = sentence.raw(at)
    iso = _ISO_DAY.fullmatch(raw)
    if iso:
        return _day(at + 1, int(iso[1]), int(iso[2]), int(iso[3]))
    moment = _ISO_MOMENT.fullmatch(raw)
    if moment and not moment[6]:
        return _Date(at + 1, problem="in which time zone?", suggestions=(f"{raw}Z",))
    if moment:
        day = _day(at + 1, int(moment[1]), int(moment[2]), int(moment[3]))
        hour, minute = int(moment[4]), int(moment[5])
        if day.moment is None or hour > 23 or minute > 59:
            return _Date(at + 1, kind=QuestionKind.NOT_UNDERSTOOD, problem="there is no such moment")
        return _Date(at + 1, day.moment.replace(hour=hour, minute=minute), whole_day=False)
    if _NUMERIC.fullmatch(raw):
        return _Date(at + 1, problem="is the day or the month first? write it like 2027-02-01")
    return None


def _relative(sentence: Sentence, at: int) -> _Date | None:
    word, today = sentence.norm(at), sentence.now.replace(hour=0, minute=0, second=0, microsecond=0)
    if word in {"today", "tomorrow"}:
        return _Date(at + 1, today + timedelta(days=word == "tomorrow"))
    vague = word in {"next", "this", "coming"}
    weekday = _WEEKDAYS.get(sentence.norm(at + vague))
    if weekday is None:
        return None
    ahead = (weekday - today.weekday()) % 7
    soon, later = today + timedelta(days=ahead), today + timedelta(days=ahead + 7)
    if vague or ahead == 0:
        choices = (soon.date().isoformat(), later.date().isoformat())
        return _Date(at + vague + 1, problem="which day?", suggestions=choices)
    return _Date(at + 1, soon)


def _by_month(sentence: Sentence, at: int) -> _Date | None:
    """`1 December [2026]` or `December 1[, 2026]`."""
    for day_at, month_at in ((at, at + 1), (at + 1, at)):
        day, month = _DAY.fullmatch(sentence.raw(day_at)), _MONTHS.get(sentence.norm(month_at))
        if day and month:
            return _with_year(sentence, at, int(day[1]), month)
    return None


def _with_year(sentence: Sentence, at: int, day: int, month: int) -> _Date:
    position = at + 2
    for year_at in (position, sentence.skip(position, ",")):
        if re.fullmatch(r"[0-9]{4}", sentence.raw(year_at)):
            return _day(year_at + 1, int(sentence.raw(year_at)), month, day)
    this_year = _day(position, sentence.now.year, month, day)
    if this_year.moment and this_year.moment.date() < sentence.now.date():
        choices = (f"{sentence.words(at, position)} {sentence.now.year + 1}",)
        return _Date(position, problem="this day has passed this year: which year?", suggestions=choices)
    return this_year


def _day(end_of_day: int, year: int, month: int, day: int) -> _Date:
    try:
        return _Date(end_of_day, datetime(year, month, day, tzinfo=UTC))
    except ValueError:
        return _Date(end_of_day, kind=QuestionKind.NOT_UNDERSTOOD, problem="there is no such day")
