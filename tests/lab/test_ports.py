"""What `held_port` promises: nobody else is given the port, nobody is answered on it, its server listens on it."""

import asyncio
import errno
import socket

import pytest

from lab.ports import held_port


async def test_a_held_port_refuses_until_its_server_listens_and_again_after_its_end() -> None:
    with held_port() as port:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
            server.close()
            await server.wait_closed()


def test_a_held_port_is_kept_from_who_would_have_it_to_himself() -> None:
    with held_port() as port, socket.socket() as other:
        with pytest.raises(OSError, match="in use") as refused:
            other.bind(("127.0.0.1", port))
        assert refused.value.errno == errno.EADDRINUSE


def test_a_port_somebody_listens_on_is_not_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match="in use"), held_port(port=port):
            pytest.fail("it was held")


def test_ports_are_held_on_ipv6_too() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with held_port("::1") as port:
        assert port > 0
