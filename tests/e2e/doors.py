"""The daemon's HTTP doors over a provider, asked without a socket, by people of several roles."""

from pathlib import Path

import httpx2

from controller.northbound.app import Doors
from controller.northbound.auth import Role, add_token, load_tokens, new_token
from controller.northbound.metrics_state import Reload
from controller.runtime.upkeep import Upkeep
from controller.serve import l3sm_schema
from tests.e2e.provider import Provider


class Visitor(httpx2.AsyncClient):
    """A reader; the headers of who sees some services only, and of an operator, stand beside."""

    scoped: dict[str, str]
    operator: dict[str, str]


async def client_of(provider: Provider, tmp_path: Path) -> Visitor:
    """A client of the provider's doors."""
    tokens = {}
    for name, role, services in (
        ("reader", Role.READER, ["*"]),
        ("scoped", Role.READER, ["acme-*"]),
        ("operator", Role.OPERATOR, ["*"]),
    ):
        tokens[name], entry = new_token(name, [role], services)
        add_token(tmp_path / "tokens.yaml", entry)
    settings = provider.daemon.settings.current
    store = load_tokens(tmp_path / "tokens.yaml")
    doors = Doors(
        controller=provider.controller,
        tokens=lambda: store,
        settings=lambda: settings,
        schema=l3sm_schema(settings),
        upkeep=Upkeep(provider.controller),
        reload=lambda: Reload(True, 0.0),
    )
    client = Visitor(transport=httpx2.ASGITransport(doors.app), base_url="https://accord")
    client.headers["Authorization"] = f"Bearer {tokens['reader']}"
    client.scoped, client.operator = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("scoped", "operator"))
    return client
