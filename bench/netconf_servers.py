"""Owns the far end of the NETCONF bench, in a process of its own: a canned server, or routers of the lab.

Prints one JSON line `{ports, host_keys, username, password}` when ready and serves until its standard input closes.
"""

import asyncio
import json
import re
import sys

import asyncssh

from lab.router.router import Router
from lab.router.xml import parse

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
FILTER = f'<interfaces xmlns="{INTERFACES}"><interface><name>eth0</name></interface></interfaces>'
USERNAME, PASSWORD = "bench", "bench"
LAB_ROUTERS = 4

_CAPABILITIES = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:base:1.1",
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
    f"{INTERFACES}?module=ietf-interfaces&amp;revision=2018-02-20",
)
_HELLO = (
    f'<hello xmlns="{BASE}"><capabilities>{"".join(f"<capability>{uri}</capability>" for uri in _CAPABILITIES)}'
    f"</capabilities><session-id>1</session-id></hello>]]>]]>"
).encode()
_ROW = "<interface><name>eth{}</name><description>to the next one</description><enabled>true</enabled></interface>"
_DATA = (
    f'<data><interfaces xmlns="{INTERFACES}">{"".join(_ROW.format(number) for number in range(14))}</interfaces></data>'
)
_MESSAGE_ID = re.compile(rb"message-id=[\"']([^\"']*)[\"']")


class CannedSession(asyncssh.SSHServerSession[bytes]):
    """Answers every request with `data`: the same, 1.4 kB."""

    def __init__(self) -> None:
        self._buffer = b""
        self._chunked = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        self._channel.write(_HELLO)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        del datatype
        self._buffer += data
        if not self._chunked:
            _, mark, rest = self._buffer.partition(b"]]>]]>")
            if not mark:
                return
            self._chunked, self._buffer = True, rest
        while (end := self._buffer.find(b"\n##\n")) >= 0:
            request, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            self._answer(request)

    def data(self) -> bytes:
        """What is in an answer."""
        return _DATA.encode()

    def _answer(self, request: bytes) -> None:
        found = _MESSAGE_ID.search(request)
        number = found[1] if found else b""
        inside = b"<ok/>" if b"close-session" in request else self.data()
        reply = b'<rpc-reply xmlns="%b" message-id="%b">%b</rpc-reply>' % (BASE.encode(), number, inside)
        self._channel.write(b"\n#%d\n%b\n##\n" % (len(reply), reply))


class _Login(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USERNAME, PASSWORD)

    def session_requested(self) -> CannedSession:
        return CannedSession()


async def _start_canned() -> tuple[list[int], list[str], object]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        _Login, "127.0.0.1", 0, server_host_keys=[key], encoding=None, compression_algs=None, backlog=1024
    )
    return [server.get_port()], [key.export_public_key().decode().strip()], server


async def _start_lab() -> tuple[list[int], list[str], object]:
    rows = "".join(
        f'<interface><name>eth{number}</name><type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">'
        f"t:ethernetCsmacd</type><description>to the next one</description></interface>"
        for number in range(14)
    )
    initial = f'<data xmlns="{BASE}"><interfaces xmlns="{INTERFACES}">{rows}</interfaces></data>'
    routers = [
        Router(f"pe{number}", username=USERNAME, password=PASSWORD, initial=parse(initial.encode()))
        for number in range(LAB_ROUTERS)
    ]
    for router in routers:
        await router.start()
    return [router.netconf_port for router in routers], [router.host_key for router in routers], routers


async def _main(kind: str) -> None:
    ports, host_keys, keep = await (_start_lab() if kind == "lab" else _start_canned())
    print(json.dumps({"ports": ports, "host_keys": host_keys, "username": USERNAME, "password": PASSWORD}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    del keep


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
