"""Routers for the lab's tests: one per test, on an ephemeral port, spoken to by stock clients."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.transport import session as ncclient_session

from lab.router.profiles import PROFILES, Profile
from lab.router.router import Router
from lab.router.schema import ModuleSet, Schema, load_schema
from tests.patience import PATIENCE_SECONDS

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
IP = "urn:ietf:params:xml:ns:yang:ietf-ip"
NI = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
RT = "urn:ietf:params:xml:ns:yang:ietf-routing"
IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"

IETF = ModuleSet("ietf-test", ("ietf-interfaces", "iana-if-type", "ietf-ip", "ietf-network-instance", "ietf-routing"))
"""The modules that pyang ships: what these tests need, whatever our own model becomes."""

ncclient_session.TICK = 0.005  # how long stock ncclient sleeps before it sends: its code stays as it is

RouterMaker = Callable[..., Awaitable[Router]]


def config(content: str = "") -> etree._Element:
    """Return a <config> element holding `content`; prefixes: nc, yang, if, ip, ni, rt, ianaift."""
    return etree.fromstring(
        f'<nc:config xmlns:nc="{NC}" xmlns:yang="urn:ietf:params:xml:ns:yang:1" xmlns:if="{IF}" xmlns:ip="{IP}" '
        f'xmlns:ni="{NI}" xmlns:rt="{RT}" xmlns:ianaift="{IANA}">{content}</nc:config>'
    )


def interface(name: str, inner: str = "", *, operation: str | None = None) -> str:
    """Return an Ethernet interface in its container, as text for `config`."""
    attribute = f' nc:operation="{operation}"' if operation else ""
    return (
        f'<interfaces xmlns="{IF}"><interface{attribute}><name>{name}</name>'
        f"<type>ianaift:ethernetCsmacd</type>{inner}</interface></interfaces>"
    )


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load_schema(IETF)


@pytest.fixture
async def make_router() -> AsyncIterator[RouterMaker]:
    """Make and start a router: `await make_router(profile="full", initial=..., **Router's arguments)`."""
    async with AsyncExitStack() as stack:

        async def make(name: str = "r1", *, profile: str | Profile = "full", **arguments: Any) -> Router:
            arguments.setdefault("modules", IETF)
            chosen = PROFILES[profile] if isinstance(profile, str) else profile
            router = Router(name, profile=chosen, **arguments)
            await router.start()
            stack.push_async_callback(router.stop)
            return router

        yield make


@pytest.fixture
async def router(make_router: RouterMaker) -> Router:
    """A router with everything."""
    return await make_router()


def connect(router: Router, **arguments: Any) -> manager.Manager:
    """Open a stock ncclient session (blocking: call it in a thread)."""
    settings = {
        "username": router.username,
        "password": router.password,
        "hostkey_verify": False,
        "allow_agent": False,
        "look_for_keys": False,
        "timeout": PATIENCE_SECONDS,
    }
    return manager.connect(host="127.0.0.1", port=router.netconf_port, **{**settings, **arguments})


async def with_client(router: Router, work: Callable[[manager.Manager], Any], **arguments: Any) -> Any:
    """Run `work(session)` in a thread with a stock ncclient session, closed afterwards."""

    def run() -> Any:
        session = connect(router, **arguments)
        try:
            return work(session)
        finally:
            if session.connected:
                session.close_session()

    return await asyncio.to_thread(run)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition()` holds. Fails the test when it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"did not come true within {PATIENCE_SECONDS} s")
        await asyncio.sleep(0.005)
