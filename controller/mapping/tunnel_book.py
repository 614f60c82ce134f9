"""Owns the tunnels that are wanted: a fold of `tunnels.changed` events, which say what holds and what held before."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from controller.events import types
from controller.mapping.tunnel import Tunnel
from controller.model.errors import NotFoundError, StalePlanError
from controller.ports import Event, NewEvent

Json = Any


@dataclass(frozen=True, slots=True)
class TunnelChange:
    """Tunnels to have as they are here, and names of those to have no more."""

    upserted: tuple[Tunnel, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every tunnel it is about."""
        return (*(tunnel.name for tunnel in self.upserted), *self.deleted)

    def to_json(self) -> Json:
        """The change as JSON."""
        return {"upserted": [tunnel.to_json() for tunnel in self.upserted], "deleted": list(self.deleted)}

    @classmethod
    def from_json(cls, document: Json) -> "TunnelChange":
        """The change that `to_json` was made of."""
        return cls(tuple(map(Tunnel.from_json, document["upserted"])), tuple(document["deleted"]))


@dataclass(slots=True)
class TunnelBook:
    """All tunnels by name. Changed by `apply` only; `version` counts the changes."""

    version: int = 0
    _tunnels: dict[str, Tunnel] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(self._tunnels.values())

    def __len__(self) -> int:
        return len(self._tunnels)

    def __contains__(self, name: str) -> bool:
        return name in self._tunnels

    def get(self, name: str) -> Tunnel:
        """One; `NotFoundError` names it."""
        if name not in self._tunnels:
            raise NotFoundError(f"there is no tunnel '{name}'", remedy="list them: accord tunnel list", path=name)
        return self._tunnels[name]

    def news_in(self, change: TunnelChange) -> TunnelChange:
        """What of a change does not hold already."""
        return TunnelChange(
            tuple(tunnel for tunnel in change.upserted if self._tunnels.get(tunnel.name) != tunnel),
            tuple(name for name in change.deleted if name in self._tunnels),
        )

    def holds(self, change: TunnelChange) -> bool:
        """Whether everything is as the change would have it."""
        is_as_wanted = all(self._tunnels.get(tunnel.name) == tunnel for tunnel in change.upserted)
        return is_as_wanted and not any(name in self._tunnels for name in change.deleted)

    def inverse(self, change: TunnelChange) -> TunnelChange:
        """What leads back from after the change to now."""
        names = change.names
        return TunnelChange(
            upserted=tuple(self._tunnels[name] for name in names if name in self._tunnels),
            deleted=tuple(name for name in names if name not in self._tunnels),
        )

    def changed(self, change: TunnelChange) -> NewEvent:
        """The event that makes the change hold."""
        data = {"change": change.to_json(), "back": self.inverse(change).to_json()}
        return NewEvent("tunnels", types.TUNNELS_CHANGED, data)

    def refuse_stale(self, effects: Iterable[NewEvent]) -> None:
        """`StalePlanError` when a tunnel is no longer as it was when its change was planned."""
        for effect in effects:
            data: Json = effect.data
            if effect.type == types.TUNNELS_CHANGED:
                back = TunnelChange.from_json(data["back"])
                moved = [tunnel.name for tunnel in back.upserted if self._tunnels.get(tunnel.name) != tunnel]
                moved += [name for name in back.deleted if name in self._tunnels]
                if moved:
                    raise StalePlanError(
                        f"tunnel '{min(moved)}' has changed since this was planned",
                        remedy="plan it again",
                        path=min(moved),
                        tag="data-exists",
                    )

    def apply(self, event: Event) -> None:
        """Fold one event."""
        if event.type == types.TUNNELS_CHANGED:
            data: Json = event.data
            self._hold(TunnelChange.from_json(data["change"]))

    def _hold(self, change: TunnelChange) -> None:
        self.version += 1
        for name in change.deleted:
            self._tunnels.pop(name, None)
        for tunnel in change.upserted:
            self._tunnels[tunnel.name] = tunnel

    def to_json(self) -> Json:
        """Every tunnel."""
        return TunnelChange(tuple(self)).to_json()

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self._hold(TunnelChange.from_json(document))
