"""Owns the stored form of all services: quick to read at a start, as fragments are read when they are asked for."""

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from controller.mapping.codec import from_json, to_json
from controller.mapping.fragment import Fragment
from controller.mapping.service_change import L3smChange, L3smEdit, PlacedAccess
from controller.model.identifiers import Owner

if TYPE_CHECKING:
    from controller.mapping.service import L3smState

Json = Any


class Fragments(MutableMapping[Owner, Fragment]):
    """Fragments by owner; those from a snapshot stay JSON until somebody asks for them."""

    __slots__ = ("_made", "_stored")

    def __init__(self) -> None:
        self._made: dict[Owner, Fragment] = {}
        self._stored: dict[Owner, Json] = {}

    def __getitem__(self, owner: Owner) -> Fragment:
        found = self._made.get(owner)
        if found is None:
            found = from_json(Fragment, self._stored[owner])
            self._made[owner] = found
            del self._stored[owner]
        return found

    def __setitem__(self, owner: Owner, fragment: Fragment) -> None:
        self._stored.pop(owner, None)
        self._made[owner] = fragment

    def __delitem__(self, owner: Owner) -> None:
        if self._stored.pop(owner, None) is None:
            del self._made[owner]

    def __contains__(self, owner: object) -> bool:
        return owner in self._made or owner in self._stored

    def __iter__(self) -> Iterator[Owner]:
        return iter([*self._stored, *self._made])

    def __len__(self) -> int:
        return len(self._made) + len(self._stored)

    def to_json(self) -> list[Json]:
        """Every fragment."""
        return [*self._stored.values(), *map(to_json, self._made.values())]

    def load_json(self, fragments: list[Json]) -> None:
        """Put back what `to_json` gave."""
        self._stored |= {Owner(each["owner"]): each for each in fragments}


def services_to_json(state: "L3smState") -> Json:
    """Everything that leads from nothing to `state`."""
    change = L3smChange(
        edit=L3smEdit(upserted_services=state.services, upserted_sites=state.sites, profiles=state.profiles),
        placed=tuple(PlacedAccess(site, access, placed) for (site, access), placed in state.placements.items()),
        site_vpns=tuple(state.site_vpns.items()),
        allocated=tuple(
            (name, key, number) for name, pool in state.identifiers.pools.items() for key, number in pool.taken.items()
        ),
    )
    return {"change": change.to_json(), "fragments": state.fragments.to_json()}


def services_from_json(state: "L3smState", document: Json) -> None:
    """Make what `services_to_json` gave hold in an empty state."""
    state.apply(L3smChange.from_json(document["change"]))
    state.fragments.load_json(document["fragments"])
