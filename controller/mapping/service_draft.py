"""Owns deciding what an edit of L3VPN services means: which accesses are read again, where they go, what they need.

The state's occupancy serves as a scratch pad (what leaves makes room for what comes) and is put back before the result
is handed out, so that a draft costs no copy.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from controller.mapping.fragment import Fragment, access_owner, check, node_owner
from controller.mapping.identifiers import IdentifierDraft
from controller.mapping.infrastructure import Infrastructure
from controller.mapping.l3sm import AccessRequest, parse_profiles, parse_service, site_path
from controller.mapping.l3sm_attachment import VpnService
from controller.mapping.l3sm_connection import AUTOMATIC
from controller.mapping.network_completion import (
    complete_access,
    complete_node,
    target_roles,
    vrf_pool,
    vrf_text,
)
from controller.mapping.occupancy import AccessKey, NodeKey, Placement
from controller.mapping.placement import Placer
from controller.mapping.service_change import L3smChange, L3smEdit, PlacedAccess, Replacement
from controller.mapping.site_reading import SiteReading, read_site
from controller.model.errors import ConflictError, InvalidInputError, NotFoundError, NotSupportedError
from controller.model.identifiers import DeviceName, Owner

if TYPE_CHECKING:
    from controller.mapping.service import L3smState

Json = Any


def draft_change(state: "L3smState", edit: L3smEdit, infrastructure: Infrastructure) -> L3smChange:
    """Decide what the edit means; the state is left as it was."""
    draft = _Draft(state, _effective(state, edit), infrastructure, IdentifierDraft(state.identifiers))
    try:
        return draft.compute()
    finally:
        draft.restore()


def _effective(state: "L3smState", edit: L3smEdit) -> L3smEdit:
    """The edit without what holds already; refuses deletions of what is not there."""
    for kind, deleted, upserted, known in (
        ("VPN service", edit.deleted_services, edit.upserted_services, state.services),
        ("site", edit.deleted_sites, edit.upserted_sites, state.sites),
    ):
        for key in deleted:
            if key not in known:
                raise NotFoundError(f"there is no {kind} '{key}'", tag="data-missing")
            if key in upserted:
                raise InvalidInputError(f"the {kind} '{key}' is both stored and deleted", tag="bad-element")
    return L3smEdit(
        upserted_services={key: doc for key, doc in edit.upserted_services.items() if state.services.get(key) != doc},
        deleted_services=tuple(dict.fromkeys(edit.deleted_services)),
        upserted_sites={key: doc for key, doc in edit.upserted_sites.items() if state.sites.get(key) != doc},
        deleted_sites=tuple(dict.fromkeys(edit.deleted_sites)),
        profiles=None if edit.profiles == state.profiles else edit.profiles,
    )


@dataclass(slots=True)
class _Draft:
    state: "L3smState"
    edit: L3smEdit
    infrastructure: Infrastructure
    ids: IdentifierDraft
    vpns: dict[str, VpnService] = field(default_factory=dict)
    """Services as the edit has them."""
    readings: dict[str, SiteReading] = field(default_factory=dict)
    removed: dict[AccessKey, Placement] = field(default_factory=dict)
    placed: dict[AccessKey, Placement] = field(default_factory=dict)
    requests: dict[AccessKey, AccessRequest] = field(default_factory=dict)
    before: dict[Owner, Fragment] = field(default_factory=dict)
    after: dict[Owner, Fragment] = field(default_factory=dict)

    def compute(self) -> L3smChange:
        if self.edit.profiles is not None:
            parse_profiles(self.edit.profiles, self.infrastructure)
        self.vpns = {vpn_id: parse_service(vpn_id, doc) for vpn_id, doc in self.edit.upserted_services.items()}
        self._read_sites()
        self._check_deleted_services()
        self._take_out()
        self._place()
        self._build_nodes()
        self._build_accesses()
        self._return_identifiers()
        self._check_profiles()
        return self._result()

    def restore(self) -> None:
        """Put the occupancy back."""
        for key in self.placed:
            self.state.occupancy.remove(key)
        for key, placement in self.removed.items():
            self.state.occupancy.add(key, placement)

    def find(self, vpn_id: str) -> VpnService | None:
        """A service as it will be."""
        if vpn_id in self.edit.deleted_services:
            return None
        return self.vpns.get(vpn_id) or self.state.vpns.get(vpn_id)

    def _read_sites(self) -> None:
        changed = {vpn for vpn, service in self.vpns.items() if self.state.vpns.get(vpn) != service}
        touched = dict(self.edit.upserted_sites)
        for vpn_id in sorted(changed | set(self.edit.deleted_services)):
            for site_id in self.state.vpn_sites.get(vpn_id, ()):
                if site_id not in self.edit.deleted_sites:
                    touched.setdefault(site_id, self.state.sites[site_id])
        for site_id, document in touched.items():
            old = self.state.sites.get(site_id)
            if not changed.isdisjoint(self.state.site_vpns.get(site_id, ())):
                old = None
            keys = self.state.occupancy.sites.get(site_id, {})
            vpns = {key[1]: frozenset(self.state.placements[key].vpns) for key in keys}
            self.readings[site_id] = read_site(
                site_id, document, old, placed=vpns, find=self.find, infrastructure=self.infrastructure
            )

    def _check_deleted_services(self) -> None:
        for vpn_id in self.edit.deleted_services:
            users = set(self.state.vpn_sites.get(vpn_id, ())) - set(self.edit.deleted_sites)
            still = sorted(site for site in users if vpn_id in self.readings[site].vpns)
            if still:
                raise ConflictError(
                    f"the VPN service '{vpn_id}' has sites: {', '.join(still[:8])}",
                    remedy="delete or move them first",
                    tag="operation-failed",
                    app_tag="instance-required",
                )

    def _take_out(self) -> None:
        occupancy = self.state.occupancy
        for site_id in self.edit.deleted_sites:
            for key in list(occupancy.sites.get(site_id, ())):
                self._unplace(key)
        for site_id, reading in self.readings.items():
            for key in list(occupancy.sites.get(site_id, ())):
                if key[1] not in reading.kept:
                    self._unplace(key)
            self.requests |= {(site_id, request.access_id): request for request in reading.requests}

    def _unplace(self, key: AccessKey) -> None:
        placement = self.state.occupancy.remove(key)
        self.removed[key] = placement
        name = _held_vrf_name(self.ids, placement)
        for vpn_id in placement.vpns:
            for owner in (access_owner(vpn_id, *key), node_owner(vpn_id, placement.device, name)):
                if owner in self.state.fragments:
                    self.before[owner] = self.state.fragments[owner]

    def _place(self) -> None:
        placer = Placer(self.infrastructure, self.state.occupancy, self._has_vlan)
        for key in sorted(self.requests, key=self._turn):
            request, old = self.requests[key], self.removed.get(key)
            customers = tuple(sorted({exchange.vpn.customer_name for exchange in request.attachment.exchanges}))
            ranked = placer.ranked(key, request.placement, customers)
            best = next(
                (found for found in ranked if old and (found.router.device, found.port.name) == (old.device, old.port)),
                ranked[0],
            )
            self._put(key, request, customers, best.router.device, best.port.name)

    def _turn(self, key: AccessKey) -> tuple[bool, bool, bool]:
        """What has a place keeps it; then comes what has the least choice."""
        asked = self.requests[key].placement
        return key not in self.removed, not asked.bearer_reference, not asked.is_bearer_type_strict

    def _put(
        self, key: AccessKey, request: AccessRequest, customers: tuple[str, ...], device: DeviceName, port: str
    ) -> None:
        vlan = self.ids.number(f"vlan/{device}/{port}", "/".join(key))
        placement = Placement(
            device=device,
            port=port,
            vlan=vlan,
            bandwidth=request.placement.bandwidth,
            vrf_key=request.attachment.key,
            vrf_label=request.attachment.label,
            vpns=request.attachment.vpn_ids,
            customers=customers,
            groups=request.placement.groups,
            maximum_routes=request.maximum_routes,
            constraints=request.placement.constraints,
            addresses=tuple(
                found.provider_address for found in request.access.connections if found.provider_address != AUTOMATIC
            ),
        )
        self._refuse_shared_address(request, placement)
        self.state.occupancy.add(key, placement)
        self.placed[key] = placement

    def _refuse_shared_address(self, request: AccessRequest, placement: Placement) -> None:
        """A router has an address once per VRF."""
        shared = self.state.occupancy.shared_address(placement)
        if shared:
            raise InvalidInputError(
                f"the access {shared} in the same VPN on {placement.device}",
                path=f"{request.placement.path}/ip-connection",
                remedy="give one of them another subnet",
            )

    def _has_vlan(self, device: DeviceName, port: str) -> bool:
        return self.ids.has_free(f"vlan/{device}/{port}")

    def _build_nodes(self) -> None:
        recipes: dict[NodeKey, tuple[Placement, AccessRequest | None]] = {}
        for placement in self.removed.values():
            recipes.setdefault((placement.device, placement.vrf_key), (placement, None))
        for key, placement in self.placed.items():
            recipes[placement.device, placement.vrf_key] = (placement, self.requests[key])
        for node, (placement, request) in recipes.items():
            use = self.state.occupancy.nodes.get(node)
            if use is None:
                self._release_node(placement)
            elif request is not None:
                self._build_node(placement, request)
            else:
                self._trim_node(placement)

    def _build_node(self, placement: Placement, request: AccessRequest) -> None:
        use = self.state.occupancy.nodes[placement.device, placement.vrf_key]
        for exchange in request.attachment.exchanges:
            node = complete_node(
                self.ids, self.infrastructure, placement, request.attachment, exchange, limits=use.largest_limits()
            )
            owner = node_owner(node.vpn_id, placement.device, node.vrf)
            self._want(owner, Fragment(owner, placement.device, self._profile(placement.device), node=node))
            if owner in self.state.fragments:
                self.before[owner] = self.state.fragments[owner]

    def _trim_node(self, placement: Placement) -> None:
        """Members left and some remain: only the limits can have changed."""
        use = self.state.occupancy.nodes[placement.device, placement.vrf_key]
        name = _held_vrf_name(self.ids, placement)
        for vpn_id in placement.vpns:
            owner = node_owner(vpn_id, placement.device, name)
            old = self.before[owner]
            if old.node is not None:
                self._want(owner, replace(old, node=replace(old.node, maximum_routes=use.largest_limits())))

    def _want(self, owner: Owner, fragment: Fragment) -> None:
        self.after[owner] = fragment

    def _profile(self, device: DeviceName) -> str:
        return self.infrastructure.by_device[device].profile

    def _build_accesses(self) -> None:
        for key, placement in self.placed.items():
            request = self.requests[key]
            siblings = self.readings[key[0]].requests
            access = complete_access(self.ids, self.infrastructure, placement, request, siblings)
            for vpn_id in placement.vpns:
                owner = access_owner(vpn_id, *key)
                self._want(owner, Fragment(owner, placement.device, self._profile(placement.device), access=access))

    def _release_node(self, placement: Placement) -> None:
        self.ids.release("rd", f"{placement.device}/{placement.vrf_key}")
        self.ids.release(f"function/{placement.device}", placement.vrf_key)
        self.ids.release(vrf_pool(placement), placement.vrf_key)

    def _return_identifiers(self) -> None:
        for key, old in self.removed.items():
            new = self.placed.get(key)
            if new is None or (new.device, new.port) != (old.device, old.port):
                self.ids.release(f"vlan/{old.device}/{old.port}", "/".join(key))
            if new is None or not self._uses_slaac(key):
                self.ids.release("slaac", "/".join(key))
        for site_id in dict.fromkeys(key[0] for key in self.removed):
            if not self._site_speaks_bgp(site_id):
                self.ids.release("soo", site_id)
        self._settle_route_targets()

    def _check_profiles(self) -> None:
        """Refuse what a router cannot be told, naming the node of the site or access that asks for it."""
        paths = {owner: path for key in self.placed for owner, path in self._paths_of(key)}
        for owner, fragment in self.after.items():
            if self.before.get(owner) == fragment:
                continue
            try:
                check(fragment)
            except NotSupportedError as error:
                error.path = "/".join(filter(None, (paths.get(owner, ""), error.path)))
                error.device = fragment.device
                raise

    def _paths_of(self, key: AccessKey) -> Iterator[tuple[Owner, str]]:
        """The owners that an access has fragments of, and where in L3SM they come from."""
        placement = self.placed[key]
        number = self.ids.number(vrf_pool(placement), placement.vrf_key)
        for vpn_id in placement.vpns:
            yield access_owner(vpn_id, *key), self.requests[key].placement.path
            yield node_owner(vpn_id, placement.device, vrf_text(placement, number)), site_path(key[0])

    def _uses_slaac(self, key: AccessKey) -> bool:
        return any(found.advertised_prefix == AUTOMATIC for found in self.requests[key].access.connections)

    def _site_speaks_bgp(self, site_id: str) -> bool:
        keys = self.state.occupancy.sites.get(site_id, ())
        return any(self.requests[key].access.bgp if key in self.requests else self._spoke_bgp(key) for key in keys)

    def _spoke_bgp(self, key: AccessKey) -> bool:
        vpn_id = self.state.placements[key].vpns[0]
        fragment = self.state.fragments[access_owner(vpn_id, *key)]
        return bool(fragment.access and fragment.access.bgp)

    def _settle_route_targets(self) -> None:
        gone = {vpn_id: set(target_roles(self.state.vpns[vpn_id])) for vpn_id in self.edit.deleted_services}
        for vpn_id, service in self.vpns.items():
            old = self.state.vpns.get(vpn_id)
            gone[vpn_id] = set(target_roles(old) if old else ()) - set(target_roles(service))
        for vpn_id, roles in gone.items():
            for role in sorted(roles):
                self.ids.release("rt", f"{vpn_id}/{role}")

    def _result(self) -> L3smChange:
        return L3smChange(
            edit=self.edit,
            placed=tuple(PlacedAccess(*key, placement) for key, placement in self.placed.items()),
            unplaced=tuple(self.removed),
            site_vpns=(
                *((site_id, reading.vpns) for site_id, reading in self.readings.items()),
                *((site_id, ()) for site_id in self.edit.deleted_sites),
            ),
            allocated=tuple((pool, key, number) for (pool, key), number in self.ids.allocated.items()),
            returned=tuple((pool, key, number) for (pool, key), number in self.ids.returned.items()),
            relied=tuple((pool, key, number) for (pool, key), number in self.ids.relied.items()),
            relied_vpns=relied_vpns(self.state, self.edit, (reading.vpns for reading in self.readings.values())),
            **_compare(self.before, self.after),
        )


def relied_vpns(state: "L3smState", edit: L3smEdit, vpn_ids: Iterable[Iterable[str]]) -> tuple[VpnService, ...]:
    """The VPNs of those ids, as they are, that the edit does not store itself."""
    own = {*edit.upserted_services, *edit.deleted_services}
    ids = dict.fromkeys(vpn_id for each in vpn_ids for vpn_id in each if vpn_id not in own)
    return tuple(state.vpns[vpn_id] for vpn_id in ids if vpn_id in state.vpns)


def _compare(before: Mapping[Owner, Fragment], after: Mapping[Owner, Fragment]) -> dict[str, Any]:
    added, changed, removed = [], [], []
    for owner, new in after.items():
        old = before.get(owner)
        if old == new:
            continue
        if old is not None and old.device == new.device:
            changed.append(Replacement(old, new))
            continue
        added.append(new)
        if old is not None:
            removed.append(old)
    removed.extend(old for owner, old in before.items() if owner not in after)
    return {
        "fragments_added": tuple(added),
        "fragments_changed": tuple(changed),
        "fragments_removed": tuple(removed),
    }


def _held_vrf_name(ids: IdentifierDraft, placement: Placement) -> str:
    """The name a placed access's VRF has now; asking does not allocate."""
    return vrf_text(placement, ids.pools.get(vrf_pool(placement), placement.vrf_key) or 0)
