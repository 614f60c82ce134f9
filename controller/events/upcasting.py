"""Owns reading old events with new eyes: stored events never change, their shape is lifted when they are read.

An event type carries its shape's version behind an `@`: `site-added` is version 1, `site-added@2` version 2. An
upcaster turns the data of one version into that of the next; the event comes out with the newest type, its hash still
the stored one's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from controller.ports import Event

Data = Mapping[str, object]
Upcaster = Callable[[Data], Data]


@dataclass(slots=True)
class Upcasters:
    """The registered steps, one per (type, version)."""

    _steps: dict[tuple[str, int], Upcaster] = field(default_factory=dict)

    def register(self, event_type: str, version: int, upcaster: Upcaster) -> None:
        """Lift `event_type` from `version` to the next; `ValueError` when that step is already there."""
        if (event_type, version) in self._steps:
            raise ValueError(f"there is already an upcaster for {event_type}@{version}")
        self._steps[event_type, version] = upcaster

    def lift(self, event: Event) -> Event:
        """The event in the newest shape there are upcasters for."""
        if not self._steps:
            return event
        name, version = split_type(event.type)
        data = event.data
        reached = version
        while (step := self._steps.get((name, reached))) is not None:
            data = step(data)
            reached += 1
        return event if reached == version else replace(event, type=f"{name}@{reached}", data=data)


def split_type(event_type: str) -> tuple[str, int]:
    """An event type's name and shape version."""
    name, at, digits = event_type.rpartition("@")
    return (name, int(digits)) if at and digits.isdecimal() else (event_type, 1)
