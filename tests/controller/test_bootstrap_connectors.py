"""The ways in are loaded when the first device needs them: a start does not wait for libraries nobody uses yet."""

import asyncio
import subprocess
import sys
import threading

import pytest

from controller.bootstrap import LazyConnector, connectors
from controller.model.errors import ConnectionFailedError
from controller.model.identifiers import DeviceName
from controller.ports import DeviceConnector, DeviceSession, DeviceTarget, Transport
from drivers.threads import DriverThreads


def target(transport: Transport) -> DeviceTarget:
    return DeviceTarget(
        DeviceName("r1"), "127.0.0.1", 1, transport, "accord", connect_timeout_seconds=2.0, rpc_timeout_seconds=2.0
    )


def test_a_start_loads_no_library_that_only_devices_or_modules_never_seen_need() -> None:
    libraries = ("netmiko", "paramiko", "ncclient", "asyncssh", "requests", "pyang.context")
    program = f"import sys, controller.bootstrap; print([n for n in {libraries} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("transport", list(Transport))
async def test_every_way_in_says_that_nobody_listens(transport: Transport) -> None:
    threads = DriverThreads()
    with pytest.raises(ConnectionFailedError):
        await connectors(threads)[transport].connect(target(transport))
    threads.close()


async def test_a_connector_is_made_once_beside_the_event_loop_however_many_ask() -> None:
    made_in: list[int] = []

    class Nobody:
        async def connect(self, target: DeviceTarget) -> DeviceSession:
            raise ConnectionFailedError("nobody there", device=target.name)

    def make() -> DeviceConnector:
        made_in.append(threading.get_ident())
        return Nobody()

    lazy = LazyConnector(make)
    asked = [lazy.connect(target(Transport.CLI)) for _ in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, ConnectionFailedError) for answer in answers)
    assert len(made_in) == 1
    assert made_in[0] != threading.get_ident()


async def test_a_library_that_cannot_be_loaded_is_told_and_tried_again() -> None:
    attempts = 0

    def make() -> DeviceConnector:
        nonlocal attempts
        attempts += 1
        raise ModuleNotFoundError("No module named 'netmiko'")

    lazy = LazyConnector(make)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="netmiko"):
            await lazy.connect(target(Transport.CLI))
    assert attempts == 2
