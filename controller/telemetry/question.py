"""Owns questions about a path in plain words: each word counts, and what is not understood is asked back.

`tell me if latency between London and Paris could exceed 15 ms tonight` (draft ps-agentic-ai, objective 5). Times are
UTC; what nobody said stands in `assumed`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controller.model.errors import InvalidInputError
from controller.model.units import Duration

USUAL_SECONDS = 3600.0
"""How long is looked where nobody says."""
_LONGEST_TEXT = 300
_MORNING = 6
"""The hour at which a night is over."""
_EXAMPLE = "tell me if latency between London and Paris could exceed 15 ms tonight"
_VERBS = r"exceeds?|(?:go|be|rise|get|goes|is|rises|gets) (?:above|over|higher than|more than|longer than)"
_MAY = r"could|can|may|might|will|would|does|is going to"
_DELAY = r"\d+(?:\.\d+)? ?(?:us|microseconds?|ms|msec|milliseconds?|s|sec|seconds?)"
_SPAN = r"\d+(?:\.\d+)? ?(?:seconds?|s|minutes?|mins?|m|hours?|h|days?|d)"
_PATHS = (
    re.compile(rf"\bbetween (?P<from>.+?) and (?P<to>.+?)(?= (?:{_MAY}|{_VERBS})\b)"),
    re.compile(rf"\bfrom (?P<from>.+?) to (?P<to>.+?)(?= (?:{_MAY}|{_VERBS})\b)"),
)
_BOUND = re.compile(rf"\b(?:(?:{_MAY}) )?(?:{_VERBS}) (?P<above>{_DELAY})\b")
_METRIC = re.compile(
    r"\b(?P<metric>one[- ]way|round[- ]trip) (?:latency|delay|time)\b|\b(?P<plain>latency|delay|rtt)\b"
)
_NIGHT, _DAY = re.compile(r"\btonight\b"), re.compile(r"\btoday\b")
_FOR = re.compile(rf"\b(?:within|for|in the next|within the next|over the next|during the next) (?P<span>{_SPAN})\b")
_UNTIL = re.compile(r"\buntil (?P<time>\d\d:\d\d(?: ?utc|z)|\d{4}-\d\d-\d\dt\d\d:\d\d(?::\d\d)?z)(?!\w)")
_SURE = re.compile(r"\bwith (?P<sure>\d+(?:\.\d+)?) ?% confidence\b")
_SAID = re.compile(r"\b(?:tell me|let me know|find out|say|check|i want to know|we want to know)\b|\b(?:if|whether)\b")
_FILLERS = frozenset({"please", "the", "a", "could", "can", "will", "may", "might", "does", "and"})
_UNITS = {
    word: unit
    for unit, words in {
        "us": "us microsecond microseconds",
        "ms": "ms msec millisecond milliseconds",
        "s": "s sec second seconds",
        "min": "m min mins minute minutes",
        "h": "h hour hours",
        "d": "d day days",
    }.items()
    for word in words.split()
}


@dataclass(frozen=True, slots=True)
class AskedPath:
    """A question as it was understood. `until` in UTC seconds; `assumed` says what was not said, for people."""

    source: str
    target: str
    above_seconds: float
    until: float
    metric: str = "one-way"
    confidence: float | None = None
    assumed: tuple[str, ...] = ()


def read_question(text: str, now: float) -> AskedPath:
    """Read one question that is asked at `now` (UTC seconds); `InvalidInputError` names the words that are unclear."""
    if len(text) > _LONGEST_TEXT:
        raise InvalidInputError(f"the question is longer than {_LONGEST_TEXT} characters", path="text")
    sentence = _Sentence(text)
    path, bound = sentence.take(*_PATHS), sentence.take(_BOUND)
    named = sentence.take(_METRIC)
    if path is None or bound is None or named is None:
        missing = "from where to where" if path is None else "above what" if bound is None else "of what"
        raise InvalidInputError(
            f"the question does not say {missing}", remedy=f'ask it like: "{_EXAMPLE}"', path="text"
        )
    sure = sentence.take(_SURE)
    assumed: list[str] = []
    until = _until(sentence, now, assumed)
    sentence.refuse_rest()
    source, target = (sentence.as_said(path[name]) for name in ("from", "to"))
    is_round = named["plain"] == "rtt" or (named["metric"] or "").startswith("round")
    if not is_round and (path[0].startswith("between") or not named["metric"]):
        assumed.append(f"one way, from {source} to {target}")
    above = Duration.parse(_duration(bound["above"])).seconds
    metric, confidence = "round-trip" if is_round else "one-way", float(sure["sure"]) / 100 if sure else None
    return AskedPath(source, target, above, until, metric, confidence, tuple(assumed))


class _Sentence:
    """What is left of a question that is being read."""

    def __init__(self, text: str) -> None:
        self._said = " ".join(text.split()).rstrip("?.! ")
        self._left = self._said.lower()

    def take(self, *patterns: re.Pattern[str]) -> re.Match[str] | None:
        """The first that is found; its words are read."""
        for pattern in patterns:
            if found := pattern.search(self._left):
                self._left = f"{self._left[: found.start()]} | {self._left[found.end() :]}"
                self._left = " ".join(self._left.split())
                return found
        return None

    def as_said(self, words: str) -> str:
        """Words in the case in which they were written."""
        at = self._said.lower().find(words)
        return self._said[at : at + len(words)]

    def refuse_rest(self) -> None:
        """Everything has to have been read."""
        while self.take(_SAID):
            continue
        parts = (part.strip(" ,") for part in self._left.split("|"))
        left = [part for part in parts if not set(part.replace(",", " ").split()) <= _FILLERS]
        if left:
            named = "; ".join(f"'{part}': what does this mean?" for part in left)
            raise InvalidInputError(named, remedy=f'ask it like: "{_EXAMPLE}"', path="text")


def _until(sentence: _Sentence, now: float, assumed: list[str]) -> float:
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if sentence.take(_NIGHT):
        morning = midnight + timedelta(hours=_MORNING, days=moment.hour >= _MORNING)
        assumed.append(f"a night ends at {_MORNING:02}:00 UTC")
        return morning.timestamp()
    if sentence.take(_DAY):
        assumed.append("a day ends at 00:00 UTC")
        return (midnight + timedelta(days=1)).timestamp()
    if span := sentence.take(_FOR):
        return now + Duration.parse(_duration(span["span"])).seconds
    if found := sentence.take(_UNTIL):
        return _moment(found["time"], midnight, moment)
    assumed.append("for an hour from now")
    return now + USUAL_SECONDS


def _moment(said: str, midnight: datetime, now: datetime) -> float:
    try:
        if "-" in said:
            return datetime.fromisoformat(said.upper()).timestamp()
        hour, minute = int(said[:2]), int(said[3:5])
        time = midnight.replace(hour=hour, minute=minute)
    except ValueError as error:
        raise InvalidInputError(f"'{said}' is no time", path="text") from error
    return (time if time > now else time + timedelta(days=1)).timestamp()


def _duration(said: str) -> str:
    """`15 milliseconds` as `Duration` reads it."""
    unit = said.lstrip("0123456789. ")
    return f"{said.removesuffix(unit).strip()} {_UNITS[unit]}"
