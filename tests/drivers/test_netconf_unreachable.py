"""What an operator reads when a device cannot be reached: the object, the reason in words, and what to check."""

import asyncio
import errno
import socket

import pytest

from controller.model.errors import ConnectionFailedError
from controller.model.identifiers import DeviceName
from drivers.netconf.errors import connection_failure
from tests.ports import kept_port

WHERE = "192.0.2.1:830"


async def test_a_closed_port_is_told_in_words_and_with_a_remedy() -> None:
    with pytest.raises(OSError, match="Connect call failed") as caught:
        await asyncio.open_connection("127.0.0.1", kept_port())
    error = connection_failure(DeviceName("pe1"), WHERE, caught.value)
    assert isinstance(error, ConnectionFailedError)
    assert str(error).startswith(f"pe1: no NETCONF session to {WHERE}: Connection refused; check that the device is up")


@pytest.mark.parametrize(
    "cause, words",
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError(errno.EHOSTUNREACH, "anything"), "No route to host"),
        (TimeoutError(), "did not finish the login in time"),
        (ConnectionError(), "ConnectionError"),
    ],
)
def test_every_cause_names_the_device_the_reason_and_what_to_check(cause: Exception, words: str) -> None:
    error = connection_failure(DeviceName("pe1"), WHERE, cause)
    assert (error.device, error.remedy != "") == ("pe1", True)
    assert words in str(error)
