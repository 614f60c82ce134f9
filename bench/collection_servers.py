"""Owns the far end of the collection bench, in a process of its own: routers with interfaces whose counters go up.

Every SSH session is a router of its own. Prints one JSON line `{port, host_key, username, password}` when ready, serves
until its standard input closes.
"""

import asyncio
import json
import sys
import time
from typing import Any

import asyncssh

from bench.netconf_servers import INTERFACES, PASSWORD, USERNAME, CannedSession

PORTS = 10
_RATE = 1_000_000
"""Octets per second of the first interface; the others have multiples of it."""
_ROW = (
    "<interface><name>ge-0/0/%d</name><oper-status>up</oper-status><speed>10000000000</speed><statistics>"
    "<discontinuity-time>2026-11-22T00:00:00+00:00</discontinuity-time><in-octets>%d</in-octets>"
    "<out-octets>%d</out-octets><out-discards>0</out-discards></statistics></interface>"
)


class _Router(CannedSession):
    """Counts as if traffic had flowed since it was connected."""

    def data(self) -> bytes:
        """What a read of the interfaces' state brings."""
        seconds = time.monotonic()
        rows = [_ROW % (n, seconds * _RATE * (n + 1), seconds * _RATE * (n + 2)) for n in range(PORTS)]
        return f'<data><interfaces xmlns="{INTERFACES}">{"".join(rows)}</interfaces></data>'.encode()


class _Login(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USERNAME, PASSWORD)

    def session_requested(self) -> _Router:
        return _Router()


async def _main() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server: Any = await asyncssh.create_server(
        _Login, "127.0.0.1", 0, server_host_keys=[key], encoding=None, compression_algs=None, backlog=1024
    )
    told = {
        "port": server.get_port(),
        "host_key": key.export_public_key().decode().strip(),
        "username": USERNAME,
        "password": PASSWORD,
    }
    print(json.dumps(told), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
