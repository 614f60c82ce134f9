"""Owns how often a party's refused messages are written down: whoever sends them does not fill the log with them.

The first few of each sender are records of their own, then one a minute, which says how many more there were. What
nobody known has signed counts as one sender: its name is worth nothing.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

UNSIGNED = ""
"""The sender of what no known key has signed."""
AT_ONCE = 20
EVERY_SECONDS = 60.0
_MOST_KNOWN = 10_000


@dataclass(slots=True)
class _Sender:
    left: float
    since: float
    unwritten: int = 0


@dataclass(slots=True)
class TurnedAway:
    """What was turned away; times in UTC seconds."""

    _senders: dict[str, _Sender] = field(default_factory=dict)
    _known: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Digests of what was written down: the same again is not."""

    def count(self, sender: str, digest: str, now: float) -> int | None:
        """How many came before this one since the last record, where it is to be a record; None where it is not."""
        one = self._senders.setdefault(sender, _Sender(AT_ONCE, now))
        one.left = min(AT_ONCE, one.left + max(0.0, now - one.since) / EVERY_SECONDS)
        one.since = now
        if digest in self._known or one.left < 1:
            one.unwritten += 1
            return None
        self._known[digest] = None
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        unwritten, one.unwritten = one.unwritten, 0
        one.left -= 1
        return unwritten
