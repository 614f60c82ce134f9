"""Owns ACTN northbound (RFC 8453, CMI): topologies, TE tunnels and virtual networks as RESTCONF data, read only.

| GET | answers |
|---|---|
| /restconf/data/ietf-network:networks | each domain in white, grey and black, and the abstract node of each VN |
| /restconf/data/ietf-te:te | TE tunnels of routers and of optical domains |
| /restconf/data/ietf-vn:virtual-network, ietf-vn:access-point | VPNs with tunnels as virtual networks |
| /api/v1/topology/abstract?abstraction=white, grey or black | the domains so abstracted, and who controls them |

Who may reach only some services is shown the virtual networks of these, and nothing of the domains below them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from starlette.responses import Response
from starlette.routing import Route

from controller.mapping.actn import Abstraction, DomainView, Role, te_node_ids
from controller.mapping.actn_te import optical_lsps, optical_tunnel, packet_tunnel, te_document
from controller.mapping.actn_topology import domain_network, networks_document
from controller.mapping.actn_vn import VirtualNetwork, virtual_networks, vn_document, vn_network
from controller.mapping.optical_domain import OpticalDomain, as_te_database
from controller.mapping.tunnel_paths import state_of
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.northbound.auth import Action, Target, authorize
from controller.northbound.door import Call, Door, json_response
from controller.northbound.restconf_problem import MEDIA_TYPE, restconf_error_response
from controller.runtime.controller import Controller
from controller.transaction.plan_json import Json

IP_DOMAIN = "ip"


@dataclass(frozen=True, slots=True)
class Actn:
    """The handlers."""

    controller: Controller

    def routes(self, door: Door) -> list[Route]:
        """Every route; they stand before the datastore's own."""
        data = {
            "ietf-network:networks": self.networks,
            "ietf-te:te": self.te,
            "ietf-vn:virtual-network": self.virtual_network,
            "ietf-vn:access-point": self.access_point,
        }
        return [
            door.route("/api/v1/topology/abstract", {"GET": (Action.READ, self.abstract)}),
            *(
                door.route(f"/restconf/data/{name}", {"GET": (Action.READ, handler)}, render=restconf_error_response)
                for name, handler in data.items()
            ),
        ]

    async def networks(self, call: Call) -> Response:
        """GET ietf-network:networks."""
        found = [vn_network(vn) for vn in self._virtual_networks(call)]
        if not call.principal.is_scoped:
            views = [self._packet_view(), *map(_optical_view, await self.controller.optical.all())]
            found += [domain_network(view, abstraction) for view in views for abstraction in Abstraction]
        return _data(networks_document(found))

    async def te(self, call: Call) -> Response:
        """GET ietf-te:te."""
        call.require(Action.READ, "tunnels")
        up, domains = self._up(), await self.controller.optical.all()
        tunnels = [packet_tunnel(tunnel, is_up=tunnel.name in up) for tunnel in self.controller.world.tunnels]
        tunnels += [optical_tunnel(domain, tunnel) for domain in domains for tunnel in domain.tunnels]
        lsps = [lsp for domain in domains for lsp in _lsps(domain)]
        return _data(te_document(tunnels, lsps))

    async def virtual_network(self, call: Call) -> Response:
        """GET ietf-vn:virtual-network."""
        return _data(self._vn_part(call, "ietf-vn:virtual-network"))

    async def access_point(self, call: Call) -> Response:
        """GET ietf-vn:access-point."""
        return _data(self._vn_part(call, "ietf-vn:access-point"))

    async def abstract(self, call: Call) -> Response:
        """GET /api/v1/topology/abstract."""
        call.require(Action.READ, "topology")
        wanted = _abstraction(call.query("abstraction", "white"))
        domains = await self.controller.optical.all()
        views: dict[str, DomainView] = {IP_DOMAIN: self._packet_view()}
        views.update((domain.device, _optical_view(domain)) for domain in domains)
        return json_response(
            {
                "role": Role.COORDINATOR,
                "abstraction": wanted,
                "domains": [
                    {"name": name, "controller": "accord" if name == IP_DOMAIN else name, "role": Role.PROVISIONING}
                    for name in views
                ],
                "unread": dict(self.controller.optical.unread),
                **networks_document(domain_network(view, wanted) for view in views.values()),
            }
        )

    def _packet_view(self) -> DomainView:
        records = self.controller.records()
        ports = {name: tuple(port.name for port in record.access_ports) for name, record in records.items()}
        return DomainView(IP_DOMAIN, self.controller.topology.database, ports)

    def _up(self) -> frozenset[str]:
        database = self.controller.topology.database
        return frozenset(
            tunnel.name for tunnel in self.controller.world.tunnels if state_of(database, tunnel) != "down"
        )

    def _virtual_networks(self, call: Call) -> Sequence[VirtualNetwork]:
        found = virtual_networks(self.controller.world.tunnels, self._up())
        return [vn for vn in found if authorize(call.principal, Action.READ, Target("service", vn.id)).is_allowed]

    def _vn_part(self, call: Call, name: str) -> Json:
        document = vn_document(self._virtual_networks(call), te_node_ids(self._packet_view()))
        return {name: document[name]}


def _optical_view(domain: OpticalDomain) -> DomainView:
    ports: dict[DeviceName, tuple[str, ...]] = {}
    for port in domain.client_ports:
        ports[DeviceName(port.node)] = (*ports.get(DeviceName(port.node), ()), port.name)
    return DomainView(domain.device, as_te_database(domain), ports)


def _lsps(domain: OpticalDomain) -> list[Json]:
    ids = te_node_ids(_optical_view(domain))
    return optical_lsps(domain, lambda node: ids[DeviceName(node)])


def _abstraction(text: str) -> Abstraction:
    try:
        return Abstraction(text)
    except ValueError:
        raise InvalidInputError(
            f"'{text}' is no abstraction", remedy=f"it is one of {', '.join(Abstraction)}", path="abstraction"
        ) from None


def _data(document: Json) -> Response:
    return Response(orjson.dumps(document), 200, media_type=MEDIA_TYPE)
