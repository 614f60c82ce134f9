"""Owns the snapshot of the negotiation plane: desks, what follows them, the market's book. A shortcut, not the truth.

Its version is of the form of its parts: one of another version, or with a damaged part, is passed over, and the whole
log is folded again. One that is whole and yet cannot be taken up has left desks half filled: it is put aside, and the
next start folds the log.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from controller.model.errors import AccordError, PermanentError
from controller.negotiation.desk_snapshot import desk_to_json, load_desk
from controller.negotiation.market_book import MarketBook
from controller.ports import EventLog
from controller.runtime.negotiation_house import House, Kept

Json = Any
_SNAPSHOT = "negotiation@2"
_MARKET = "market"


def save_plane(log: EventLog, houses: Mapping[str, House], book: MarketBook | None) -> int:
    """Store it as the log stands; returns at which event, 0 while a record is on its way to the log."""
    if any(house.is_storing for house in houses.values()):
        return 0
    parts = {f"house/{party}": orjson.dumps(house_to_json(house)) for party, house in houses.items()}
    position = log.last_position()
    log.save_snapshot(_SNAPSHOT, position, {**parts, _MARKET: orjson.dumps(book.to_json() if book else [])})
    return position


def load_plane(log: EventLog, houses: Mapping[str, House], book: MarketBook | None) -> int:
    """Take what the snapshot has; returns the event that it was taken at, 0 where there is none that can be used.

    `PermanentError` where it cannot be taken up; it is put aside, and the next start does without.
    """
    snapshot = log.load_snapshot(_SNAPSHOT)
    wanted = {_MARKET, *(f"house/{party}" for party in houses)}
    parts = {key: snapshot.part(key) for key in wanted} if snapshot else {}
    if snapshot is None or None in parts.values():
        return 0
    try:
        for party, house in houses.items():
            load_house(house, orjson.loads(parts[f"house/{party}"] or b""))
        if book is not None:
            book.load_json(orjson.loads(parts[_MARKET] or b""))
    except (AccordError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        log.save_snapshot(_SNAPSHOT, snapshot.position, {})
        why = f"the snapshot of negotiations cannot be taken up ({type(error).__name__}: {error})"
        raise PermanentError(f"{why} and is put aside; start again: the log is read instead", path=_SNAPSHOT) from error
    return snapshot.position


def house_to_json(house: House) -> Json:
    """What a house has folded."""
    return {
        "desk": desk_to_json(house.desk),
        "followers": [one.to_json() if isinstance(one, Kept) else None for one in house.followers],
        **house.told(),
    }


def load_house(house: House, document: Json) -> None:
    """Put back what `house_to_json` gave."""
    load_desk(house.desk, document["desk"])
    for follower, said in zip(house.followers, document["followers"], strict=True):
        if isinstance(follower, Kept):
            follower.load_json(said)
    house.load_told(document)
