"""A router with a RESTCONF server, and a client that trusts it."""

import pytest

from lab.router.restconf_server import RestconfServer
from tests.lab.probe_router import probe_router
from tests.lab.restconf_client import Client


@pytest.fixture
async def router():
    return probe_router("full")


@pytest.fixture
async def server(router):
    server = RestconfServer(router)
    router.add_server("restconf", server)
    await router.start()
    yield server
    await router.stop()


@pytest.fixture
async def call(server, tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(server.ca_pem)
    client = Client(server, str(ca_file))
    yield client
    client.session.close()
