"""Owns what is promised at the moment: L3VPN services and tunnels as the twin's promises, kept up with the world.

Sites are told apart by identity: the world puts another document in place of one that changes, so keeping up costs
what has changed. The documents are the customers' own; of the mapping's decisions only the places are taken.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from controller.events import types
from controller.mapping.occupancy import AccessKey, Placement
from controller.mapping.service import L3smState
from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.model.identifiers import DeviceName
from controller.runtime.world import World
from controller.transaction.plan import Plan
from controller.twin.intended import Attachment, Intended, TunnelIntent
from controller.twin.intended_l3sm import read_site, read_vpn

Json = Any
_Named = tuple[str, str]
"""(VPN, name of the member)."""


@dataclass(slots=True)
class Promises:
    """Call `current` for what holds now, `after` for what holds when a plan has been committed."""

    world: World
    _intended: Intended = field(default_factory=Intended)
    _services: dict[str, Json] = field(default_factory=dict)
    _sites: dict[str, Json] = field(default_factory=dict)
    _placed: dict[AccessKey, Placement] = field(default_factory=dict)
    _named: dict[str, tuple[_Named, ...]] = field(default_factory=dict)
    _tunnels: int = -1

    def current(self) -> Intended:
        """What is promised now. The result is changed by the next call."""
        state = self.world.services
        for vpn, document in state.services.items():
            if self._services.get(vpn) is not document:
                self._intended.vpns[vpn] = read_vpn(document)
        for vpn in self._services.keys() - state.services.keys():
            self._intended.vpns.pop(vpn, None)
        self._services = dict(state.services)
        for site_id in self._changed_sites(state):
            self._put(self._intended, site_id, state.sites.get(site_id), _places(state, site_id))
        self._sites, self._placed = dict(state.sites), dict(state.placements)
        if self._tunnels != self.world.tunnels.version:
            self._tunnels = self.world.tunnels.version
            self._intended.tunnels = {tunnel.name: _tunnel(tunnel) for tunnel in self.world.tunnels}
        return self._intended

    def _changed_sites(self, state: L3smState) -> set[str]:
        changed = {site_id for site_id, document in state.sites.items() if self._sites.get(site_id) is not document}
        changed |= self._sites.keys() - state.sites.keys()
        changed |= {key[0] for key, place in state.placements.items() if self._placed.get(key) is not place}
        return changed | {key[0] for key in self._placed.keys() - state.placements.keys()}

    def _put(
        self, intended: Intended, site_id: str, document: Json, places: Mapping[str, Attachment]
    ) -> tuple[_Named, ...]:
        for vpn, name in self._named.get(site_id, ()):
            intended.remove(vpn, name)
        named = tuple(_add(intended, site_id, document, places)) if document is not None else ()
        if intended is self._intended:
            self._named[site_id] = named
            if not named:
                del self._named[site_id]
        return named

    def after(self, plan: Plan) -> Intended:
        """What is promised once a plan has been committed."""
        made = self.current()
        is_copy = False
        for effect in plan.effects:
            data: Json = effect.data
            if effect.type == types.SERVICES_CHANGED:
                change = data["change"]
                if not is_copy:
                    made, is_copy = self.current().copy(self._touched(change)), True
                self._change(made, change)
            if effect.type == types.TUNNELS_CHANGED:
                if not is_copy:
                    made, is_copy = self.current().copy(()), True
                wanted = TunnelChange.from_json(data["change"])
                for name in wanted.deleted:
                    made.tunnels.pop(name, None)
                made.tunnels.update({tunnel.name: _tunnel(tunnel) for tunnel in wanted.upserted})
        return made

    def _touched(self, change: Json) -> set[str]:
        """VPNs whose members may change."""
        edit = change["edit"]
        vpns = {vpn for site in _sites_of(change) for vpn, _ in self._named.get(site, ())}
        return vpns | set(edit["upserted-services"]) | set(edit["deleted-services"])

    def _change(self, made: Intended, change: Json) -> None:
        edit = change["edit"]
        for vpn in edit["deleted-services"]:
            made.vpns.pop(vpn, None)
        made.vpns.update({vpn: read_vpn(document) for vpn, document in edit["upserted-services"].items()})
        placed: dict[str, dict[str, Attachment]] = {}
        for each in change.get("placed", ()):
            place = each["placement"]
            where = Attachment(DeviceName(place["device"]), place["port"], place["vlan"])
            placed.setdefault(each["site_id"], {})[each["access_id"]] = where
        unplaced = {tuple(key) for key in change.get("unplaced", ())}
        for site_id in sorted(_sites_of(change)):
            places = {
                access: place
                for access, place in _places(self.world.services, site_id).items()
                if (site_id, access) not in unplaced
            } | placed.get(site_id, {})
            document = edit["upserted-sites"].get(site_id, self.world.services.sites.get(site_id))
            self._put(made, site_id, None if site_id in edit["deleted-sites"] else document, places)


def _sites_of(change: Json) -> set[str]:
    edit = change["edit"]
    moved = {each["site_id"] for each in change.get("placed", ())} | {key[0] for key in change.get("unplaced", ())}
    return moved | set(edit["upserted-sites"]) | set(edit["deleted-sites"])


def _places(state: L3smState, site_id: str) -> dict[str, Attachment]:
    return {
        key[1]: Attachment(place.device, place.port, place.vlan)
        for key in state.occupancy.sites.get(site_id, ())
        for place in (state.placements[key],)
    }


def _add(intended: Intended, site_id: str, document: Json, places: Mapping[str, Attachment]) -> Iterator[_Named]:
    for access, member in read_site(document, places):
        name = f"{site_id}/{access}"
        intended.put(name, member)
        yield member.vpn, name


def _tunnel(tunnel: Tunnel) -> TunnelIntent:
    return TunnelIntent(
        name=tunnel.name,
        source=tunnel.source,
        target=tunnel.target,
        color=tunnel.color,
        endpoint=str(ip_address(tunnel.endpoint)),
        bit_rate=tunnel.bandwidth.bits_per_second,
        delay_bound_seconds=tunnel.delay_bound_seconds,
        paths={path.discriminator: path.hops for path in tunnel.paths},
    )
