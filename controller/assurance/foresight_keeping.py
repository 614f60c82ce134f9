"""Owns the form in which what foresight has learnt is kept: parts that each have a digest where they are stored.

It is derived from telemetry that nobody has any more, so it is no truth to be replayed: what is damaged, of another
pace or too old is learnt anew, and why is said.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zipfile import BadZipFile

import numpy as np
import orjson

from controller.assurance.foresight import Foresight, Kept
from controller.model.errors import InvalidInputError

Json = Any
MOST_KEPT = 5000
"""Objectives; about 4 kB each."""
OLDEST_SECONDS = 3 * 86_400.0
"""What a day was like before that says too little of today's."""
HEAD = "head"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile, InvalidInputError)


@dataclass(frozen=True, slots=True)
class Keepsake:
    """What was learnt, ready to be written: nothing that goes on learning changes it."""

    head: Json
    groups: tuple[Kept, ...]

    def parts(self) -> dict[str, bytes]:
        """As it is stored."""
        found = {HEAD: orjson.dumps(self.head)}
        for number, group in enumerate(self.groups):
            file = BytesIO()
            np.savez(file, allow_pickle=False, **group.arrays)
            found[f"group/{number}"] = file.getvalue()
        return found


def keepsake(foresight: Foresight, now: float, most: int = MOST_KEPT) -> Keepsake:
    """What is worth keeping of it now. UTC seconds."""
    groups = foresight.keep(most)
    head = {**_pace(foresight), "time": now, "groups": [list(one.names) for one in groups]}
    return Keepsake(head, groups)


def recall(
    foresight: Foresight, part: Callable[[str], bytes | None], now: float, is_same: Callable[[str, float], bool]
) -> str:
    """Take up what was kept of what is still the same since a time; why it is learnt anew, or an empty text.

    `is_same` is asked of each objective by its name.
    """
    try:
        head = orjson.loads(part(HEAD) or b"")
        if {key: head[key] for key in _pace(foresight)} != _pace(foresight):
            return "it was learnt at another pace"
        if not 0 <= now - head["time"] <= OLDEST_SECONDS:
            return f"it was kept {(now - head['time']) / 86_400:.1f} days ago"
        groups = [_read(names, part(f"group/{number}")) for number, names in enumerate(head["groups"])]
        kept = [_only(group, {name for name in group.names if is_same(name, head["time"])}) for group in groups]
        foresight.recall(one for one in kept if one.names)
    except _UNREADABLE as error:
        return f"what was kept is damaged ({error})"
    return ""


def _pace(foresight: Foresight) -> Mapping[str, Json]:
    return {"tick_seconds": foresight.tick_seconds, "horizons": list(foresight.horizons)}


def _read(names: Iterable[str], part: bytes | None) -> Kept:
    with np.load(BytesIO(part or b""), allow_pickle=False) as file:
        found = Kept(tuple(names), {key: file[key] for key in file.files})
    if any(value.ndim and value.shape[-1] != len(found.names) for value in found.arrays.values()):
        raise InvalidInputError(f"a group has not the {len(found.names)} series that it names")
    return found


def _only(group: Kept, names: set[str]) -> Kept:
    """Without the columns of the others."""
    places = [place for place, name in enumerate(group.names) if name in names]
    arrays = {key: value[..., places] if value.ndim else value for key, value in group.arrays.items()}
    return Kept(tuple(group.names[place] for place in places), arrays)
