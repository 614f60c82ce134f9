"""Owns the L3VPN services as the mapping knows them: documents (RFC 8299), places, identifiers, fragments (RFC 9182).

`change` decides, `apply` makes it hold. Both cost what the change costs, not what the services cost: everything is
indexed by VPN, site, router and port, and only touched accesses are read again.
"""

from dataclasses import dataclass, field
from typing import Any

from controller.mapping.identifiers import IdentifierPools
from controller.mapping.infrastructure import Infrastructure
from controller.mapping.l3sm import parse_service
from controller.mapping.l3sm_attachment import VpnService
from controller.mapping.occupancy import AccessKey, Occupancy, Placement
from controller.mapping.service_change import L3smChange, L3smEdit
from controller.mapping.service_snapshot import Fragments

Json = Any


@dataclass(slots=True)
class L3smState:
    """All services. Changed by `apply` only."""

    services: dict[str, Json] = field(default_factory=dict)
    sites: dict[str, Json] = field(default_factory=dict)
    profiles: Json = None
    vpns: dict[str, VpnService] = field(default_factory=dict)
    """The services as read."""
    site_vpns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    vpn_sites: dict[str, dict[str, None]] = field(default_factory=dict)
    """Sites by VPN that they refer to."""
    occupancy: Occupancy = field(default_factory=Occupancy)
    identifiers: IdentifierPools = field(default_factory=IdentifierPools)
    fragments: Fragments = field(default_factory=Fragments)

    @property
    def placements(self) -> dict[AccessKey, Placement]:
        """Where each access is, by (site, access)."""
        return self.occupancy.placements

    def change(self, edit: L3smEdit, infrastructure: Infrastructure) -> L3smChange:
        """Decide what an edit means; this object stays as it is.

        `NotSupportedError` or `InvalidInputError` with the node's path when it cannot be done as asked, `NotFoundError`
        for a deletion of what is not there.
        """
        from controller.mapping.service_draft import draft_change

        return draft_change(self, edit, infrastructure)

    def apply(self, change: L3smChange) -> None:
        """Make a change hold. Changes apply in the order in which they were decided."""
        self._store(change.edit)
        for site_id, vpns in change.site_vpns:
            self._refer(site_id, vpns)
        for key in change.unplaced:
            self.occupancy.remove(key)
        for placed in change.placed:
            self.occupancy.add(placed.key, placed.placement)
        self.identifiers.apply(change.allocated, change.returned)
        for fragment in change.fragments_removed:
            self.fragments.pop(fragment.owner, None)
        for fragment in change.fragments_added:
            self.fragments[fragment.owner] = fragment
        for replacement in change.fragments_changed:
            self.fragments[replacement.new.owner] = replacement.new

    def document(self) -> Json:
        """All services as one ietf-l3vpn-svc document."""
        return l3sm_document(self.profiles, self.services.values(), self.sites.values())

    def _store(self, edit: L3smEdit) -> None:
        if edit.profiles is not None:
            self.profiles = edit.profiles
        for vpn_id in edit.deleted_services:
            del self.services[vpn_id], self.vpns[vpn_id]
        for vpn_id, document in edit.upserted_services.items():
            self.services[vpn_id] = document
            self.vpns[vpn_id] = parse_service(vpn_id, document)
        for site_id in edit.deleted_sites:
            del self.sites[site_id]
        self.sites.update(edit.upserted_sites)

    def _refer(self, site_id: str, vpns: tuple[str, ...]) -> None:
        for vpn_id in self.site_vpns.pop(site_id, ()):
            sites = self.vpn_sites[vpn_id]
            sites.pop(site_id, None)
            if not sites:
                del self.vpn_sites[vpn_id]
        if vpns:
            self.site_vpns[site_id] = vpns
        for vpn_id in vpns:
            self.vpn_sites.setdefault(vpn_id, {})[site_id] = None


def touched_document(state: L3smState, edit: L3smEdit) -> Json:
    """The smallest ietf-l3vpn-svc document that validates an edit: its sites and services, and what they refer to."""
    services = dict(edit.upserted_services)
    for site in edit.upserted_sites.values():
        for vpn_id in _referenced(site):
            known = state.services.get(vpn_id)
            if known is not None and vpn_id not in edit.deleted_services:
                services.setdefault(vpn_id, known)
    profiles = edit.profiles if edit.profiles is not None else state.profiles
    return l3sm_document(profiles, services.values(), edit.upserted_sites.values())


def l3sm_document(profiles: Json, services: Any, sites: Any) -> Json:
    """An ietf-l3vpn-svc document (RFC 7951)."""
    return {
        "ietf-l3vpn-svc:l3vpn-svc": {
            **({"vpn-profiles": profiles} if profiles else {}),
            "vpn-services": {"vpn-service": list(services)},
            "sites": {"site": list(sites)},
        }
    }


def _referenced(node: Json) -> set[str]:
    """Every vpn-id below a node."""
    if isinstance(node, list):
        return {vpn_id for item in node for vpn_id in _referenced(item)}
    if not isinstance(node, dict):
        return set()
    found = {vpn_id for value in node.values() for vpn_id in _referenced(value)}
    if isinstance(node.get("vpn-id"), str):
        found.add(node["vpn-id"])
    return found
