"""Owns what a change of L3VPN services is made of: the edit that was asked for, and everything that was decided for it.

Both are plain values with a JSON form, so a change can be an event: applying it again needs no placement, no allocation
and no parsing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.mapping.codec import from_json, to_json
from controller.mapping.fragment import Fragment
from controller.mapping.identifiers import Allocation
from controller.mapping.l3sm_attachment import VpnService
from controller.mapping.occupancy import AccessKey, Placement

Json = Any


@dataclass(frozen=True, slots=True)
class L3smEdit:
    """vpn-services and sites to store (RFC 7951 JSON by key) and to delete; `profiles` replaces `vpn-profiles`."""

    upserted_services: Mapping[str, Json] = field(default_factory=dict)
    deleted_services: tuple[str, ...] = ()
    upserted_sites: Mapping[str, Json] = field(default_factory=dict)
    deleted_sites: tuple[str, ...] = ()
    profiles: Json = None

    def __bool__(self) -> bool:
        return bool(
            self.upserted_services
            or self.deleted_services
            or self.upserted_sites
            or self.deleted_sites
            or self.profiles is not None
        )

    def to_json(self) -> Json:
        """The edit as JSON."""
        return {
            "upserted-services": dict(self.upserted_services),
            "deleted-services": list(self.deleted_services),
            "upserted-sites": dict(self.upserted_sites),
            "deleted-sites": list(self.deleted_sites),
            **({} if self.profiles is None else {"profiles": self.profiles}),
        }

    @classmethod
    def from_json(cls, document: Json) -> "L3smEdit":
        """The edit that `to_json` was made of."""
        return cls(
            upserted_services=document["upserted-services"],
            deleted_services=tuple(document["deleted-services"]),
            upserted_sites=document["upserted-sites"],
            deleted_sites=tuple(document["deleted-sites"]),
            profiles=document.get("profiles"),
        )


@dataclass(frozen=True, slots=True)
class PlacedAccess:
    """An access and its place."""

    site_id: str
    access_id: str
    placement: Placement

    @property
    def key(self) -> AccessKey:
        """(site, access)."""
        return self.site_id, self.access_id


@dataclass(frozen=True, slots=True)
class Replacement:
    """A fragment before and after; owner and device are the same."""

    old: Fragment
    new: Fragment


@dataclass(frozen=True, slots=True)
class L3smChange:
    """Everything decided for an edit. A fragment that moves to another device is removed and added."""

    edit: L3smEdit
    placed: tuple[PlacedAccess, ...] = ()
    unplaced: tuple[AccessKey, ...] = ()
    """Accesses that lose their place; those in `placed` as well are moved or changed."""
    site_vpns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """VPNs that a touched site refers to; none for a deleted one."""
    allocated: tuple[Allocation, ...] = ()
    returned: tuple[Allocation, ...] = ()
    relied: tuple[Allocation, ...] = ()
    """Numbers that were held already and that the change goes on using."""
    relied_vpns: tuple[VpnService, ...] = ()
    """VPNs that the change was read with and does not store itself."""
    fragments_added: tuple[Fragment, ...] = ()
    fragments_changed: tuple[Replacement, ...] = ()
    fragments_removed: tuple[Fragment, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.edit)

    def to_json(self) -> Json:
        """The change as JSON."""
        return {"edit": self.edit.to_json(), **{name: to_json(getattr(self, name)) for name in _PARTS}}

    @classmethod
    def from_json(cls, document: Json) -> "L3smChange":
        """The change that `to_json` was made of; `InvalidInputError` when the document has another shape."""
        parts = {name: from_json(kind, document[name]) for name, kind in _PARTS.items() if name in document}
        return cls(edit=L3smEdit.from_json(document["edit"]), **parts)


_PARTS: Mapping[str, Any] = {
    "placed": tuple[PlacedAccess, ...],
    "unplaced": tuple[AccessKey, ...],
    "site_vpns": tuple[tuple[str, tuple[str, ...]], ...],
    "allocated": tuple[Allocation, ...],
    "returned": tuple[Allocation, ...],
    "relied": tuple[Allocation, ...],
    "relied_vpns": tuple[VpnService, ...],
    "fragments_added": tuple[Fragment, ...],
    "fragments_changed": tuple[Replacement, ...],
    "fragments_removed": tuple[Fragment, ...],
}
